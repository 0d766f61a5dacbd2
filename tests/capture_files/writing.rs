//! What the writer writes, the reader reads.

use std::io::ErrorKind;

use finrace::capture::{Interface, LinkType, PcapngWriter};
use proptest::prelude::*;

use super::{Owned, read};

fn interfaces() -> [Interface; 2] {
    [
        Interface { name: "tun0".into(), link: LinkType::RAW, snaplen: 0 },
        Interface { name: "eth0".into(), link: LinkType::ETHERNET, snaplen: 262_144 },
    ]
}

#[derive(Debug, Clone)]
enum Call {
    Packet { interface: u32, time_ns: i64, wire_len: u32, data: Vec<u8>, comment: Option<String> },
    Statistics { interface: u32, received: u64, dropped: u64 },
}

fn write(calls: &[Call]) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), &interfaces()).expect("writing to memory");
    for call in calls {
        match call {
            Call::Packet { interface, time_ns, wire_len, data, comment } => {
                writer.packet(*interface, *time_ns, *wire_len, data, comment.as_deref())
            }
            Call::Statistics { interface, received, dropped } => {
                writer.statistics(*interface, 1, *received, *dropped)
            }
        }
        .expect("writing to memory");
    }
    writer.into_inner()
}

fn call() -> impl Strategy<Value = Call> {
    let packet = (
        0..2_u32,
        // Up to the year 2116, as the reader has it.
        0..1_i64 << 62,
        any::<u32>(),
        prop::collection::vec(any::<u8>(), 0..90),
        any::<Option<String>>(),
    )
        .prop_map(|(interface, time_ns, wire_len, data, comment)| Call::Packet {
            interface,
            time_ns,
            wire_len,
            data,
            comment,
        });
    let statistics = (0..2_u32, any::<u64>(), 0..u64::MAX / 2)
        .prop_map(|(interface, received, dropped)| Call::Statistics { interface, received, dropped });
    prop_oneof![4 => packet, 1 => statistics]
}

proptest! {
    #[test]
    fn every_call_leaves_a_capture_that_reads_back_as_written(calls in prop::collection::vec(call(), 0..8)) {
        for count in 0..=calls.len() {
            let mut expected = Vec::new();
            let mut drops = [None, None];
            for call in &calls[..count] {
                match call {
                    Call::Packet { interface, time_ns, wire_len, data, .. } => expected.push(Owned {
                        time_ns: *time_ns,
                        link: interfaces()[*interface as usize].link,
                        interface: *interface,
                        wire_len: *wire_len,
                        data: data.clone(),
                    }),
                    Call::Statistics { interface, dropped, .. } => drops[*interface as usize] = Some(*dropped),
                }
            }
            let (records, summary) = read(&write(&calls[..count]));
            prop_assert_eq!(records, expected);
            prop_assert_eq!(summary.truncated, None);
            prop_assert_eq!(summary.link_types, [LinkType::RAW, LinkType::ETHERNET]);
            prop_assert_eq!(summary.dropped_by_kernel, drops.into_iter().flatten().reduce(|sum, more| sum + more));
        }
    }
}

#[test]
fn a_packet_is_written_byte_by_byte_as_the_format_says() {
    let packet = Call::Packet {
        interface: 1,
        time_ns: (1 << 32) + 2,
        wire_len: 60,
        data: vec![0xaa, 0xbb],
        comment: Some("why".into()),
    };
    let start = write(&[]).len();
    #[rustfmt::skip]
    assert_eq!(write(&[packet])[start..], [
        0x06, 0x00, 0x00, 0x00,  0x30, 0x00, 0x00, 0x00,  // enhanced packet, 48 bytes
        0x01, 0x00, 0x00, 0x00,  0x01, 0x00, 0x00, 0x00,  // interface 1, upper half of the time
        0x02, 0x00, 0x00, 0x00,  0x02, 0x00, 0x00, 0x00,  // lower half, 2 bytes captured
        0x3c, 0x00, 0x00, 0x00,  0xaa, 0xbb, 0x00, 0x00,  // of 60, padded
        0x01, 0x00, 0x03, 0x00,  b'w', b'h', b'y', 0x00,  // comment of 3 bytes, padded
        0x00, 0x00, 0x00, 0x00,  0x30, 0x00, 0x00, 0x00,  // end of options
    ]);
}

#[test]
fn the_section_names_the_program_that_wrote_it() {
    let capture = write(&[]);
    assert!(capture.windows(8).any(|bytes| bytes == b"finrace "));
    assert!(capture.windows(4).any(|bytes| bytes == b"tun0"));
}

#[test]
fn a_comment_too_long_for_the_format_is_cut_at_a_character() {
    let long = "é".repeat(40_000);
    let packet = |comment: &str| Call::Packet {
        interface: 0,
        time_ns: 1,
        wire_len: 1,
        data: vec![1],
        comment: Some(comment.into()),
    };
    assert_eq!(write(&[packet(&long)]), write(&[packet(&long[..65_534])]));
    assert_eq!(read(&write(&[packet(&long)])).0.len(), 1);
}

#[test]
fn what_the_format_cannot_hold_is_refused_and_leaves_no_trace() {
    let mut writer = PcapngWriter::new(Vec::new(), &interfaces()).unwrap();
    let too_long = vec![0; (16 << 20) + 1];
    let refusals = [
        writer.packet(2, 1, 1, b"x", None),
        writer.packet(0, -1, 1, b"x", None),
        writer.packet(0, 1, 1, &too_long, None),
        writer.statistics(2, 1, 0, 0),
    ];
    for refusal in refusals {
        assert_eq!(refusal.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    writer.packet(0, 1, 1, &too_long[1..], None).unwrap();
    let (records, summary) = read(&writer.into_inner());
    assert_eq!((records.len(), summary.truncated), (1, None));
}
