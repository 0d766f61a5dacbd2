//! Damaged captures: everything before the damage counts, and the damage is told.

use std::io::{self, Cursor, Read};

use finrace::capture::{CaptureError, Reader};
use proptest::prelude::*;

use super::build::{ETHERNET, KUZNETZOV, MICROSECONDS, Order, RAW};
use super::{BOTH, read, read_from};

/// A capture as its pieces: file header or blocks, and whether the piece is a packet.
type Pieces = Vec<(Vec<u8>, bool)>;

fn classic(order: Order) -> Pieces {
    let packet = |data: &[u8]| (order.pcap_record(1, 2, 60, data), true);
    vec![
        (order.pcap(MICROSECONDS, ETHERNET.into()), false),
        packet(b"first"),
        packet(b""),
        packet(b"third one"),
    ]
}

fn pcapng(order: Order) -> Pieces {
    vec![
        (order.section(), false),
        (order.interface(RAW, 0, &[(9, &[9])]), false),
        (order.enhanced(0, 1, 60, b"first"), true),
        (order.block(0x7777, b"something else"), false),
        (order.simple(4, b"four"), true),
        (order.statistics(0, &[(5, &order.u64(2))]), false),
        (order.obsolete(0, 7, 3, 60, b"third one"), true),
    ]
}

fn join(pieces: &Pieces) -> Vec<u8> {
    pieces.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
}

/// What the reader says of a capture that must be damaged.
fn reason(capture: &[u8]) -> String {
    read(capture).1.truncated.expect("the damage to be told")
}

/// Checks a capture cut at each length from `shortest` on: below, its file header is not whole.
fn cut_everywhere(pieces: &Pieces, shortest: usize) {
    let whole = join(pieces);
    for len in shortest..=whole.len() {
        let (mut end, mut packets, mut at_boundary) = (0, 0, false);
        for (bytes, is_packet) in pieces {
            end += bytes.len();
            packets += u64::from(*is_packet && end <= len);
            at_boundary |= end == len;
        }
        let (records, summary) = read(&whole[..len]);
        assert_eq!(records, read(&whole).0[..packets as usize], "cut at {len}");
        assert_eq!(summary.packets, packets, "cut at {len}");
        match summary.truncated {
            None => assert!(at_boundary, "cut at {len} and nothing said"),
            Some(reason) => {
                assert!(!at_boundary, "cut at {len}, a boundary, and yet: {reason}");
                assert!(reason.starts_with("the capture ends inside a "), "{reason}");
                assert!(reason.ends_with(&format!("(whole records before it: {packets})")), "{reason}");
            }
        }
    }
}

#[test]
fn a_classic_capture_cut_anywhere_keeps_all_whole_records() {
    for order in BOTH {
        cut_everywhere(&classic(order), 24);
    }
}

#[test]
fn a_pcapng_capture_cut_anywhere_keeps_all_whole_records() {
    for order in BOTH {
        cut_everywhere(&pcapng(order), 12);
    }
}

#[test]
fn the_reason_names_the_place_of_a_cut() {
    let whole = join(&classic(Order::Little));
    assert_eq!(
        reason(&whole[..whole.len() - 1]),
        "the capture ends inside a record (24 of its 25 bytes are there), at byte 61 (whole records before it: 2)"
    );
    let whole = join(&pcapng(Order::Little));
    assert_eq!(
        reason(&whole[..30]),
        "the capture ends inside a block (2 of its 12 bytes are there), at byte 28 (whole records before it: 0)"
    );
}

#[test]
fn a_length_no_packet_has_ends_the_reading_without_taking_memory() {
    let order = Order::Little;
    let mut huge = order.pcap_record(1, 0, 60, b"");
    huge[8..12].copy_from_slice(&order.u32(u32::MAX));
    let capture = [order.pcap(MICROSECONDS, 1), order.pcap_record(1, 0, 1, b"a"), huge].concat();
    assert_eq!(
        reason(&capture),
        "a record claims 4294967295 bytes, more than any packet has (limit 16777216), at byte 41 (whole records before it: 1)"
    );
}

#[test]
fn block_lengths_that_cannot_be_end_the_reading() {
    for order in BOTH {
        for claimed in [0, 8, 11, 13, 0xffff_fffd] {
            let mut block = order.block(0x0bad, b"");
            block[4..8].copy_from_slice(&order.u32(claimed));
            let capture = [join(&pcapng(order)), block].concat();
            let told = reason(&capture);
            assert!(
                told.starts_with(&format!("a block claims the impossible length {claimed}, at byte")),
                "{told}"
            );
            assert_eq!(read(&capture).0.len(), 3);
        }
        let mut huge = order.enhanced(0, 1, 1, b"x");
        huge[4..8].copy_from_slice(&order.u32(0xffff_fffc));
        let told = reason(&[join(&pcapng(order)), huge].concat());
        assert!(told.starts_with("a record claims 4294967292 bytes"), "{told}");
    }
}

#[test]
fn a_block_whose_two_lengths_differ_ends_the_reading() {
    let order = Order::Big;
    for mut block in [order.enhanced(0, 1, 1, b"x"), order.block(0x0bad, b"")] {
        let len = block.len();
        block[len - 4..].copy_from_slice(&order.u32(96));
        let told = reason(&[join(&pcapng(order)), block].concat());
        let expected =
            format!("a block gives its length as {len} at its start and as 96 at its end, at byte");
        assert!(told.starts_with(&expected), "{told}");
    }
}

#[test]
fn blocks_that_contradict_themselves_end_the_reading() {
    let order = Order::Little;
    let mut too_much = order.enhanced(0, 1, 60, b"x");
    too_much[20..24].copy_from_slice(&order.u32(500));
    let mut no_byte_order = order.section();
    no_byte_order[8] = 0;
    let cases = [
        (order.enhanced(1, 1, 1, b"x"), "a block names interface 1, which the section does not describe"),
        (order.statistics(4, &[]), "a block names interface 4, which the section does not describe"),
        (too_much, "a block of 56 bytes claims a packet of 500 bytes"),
        (order.block(6, b"short"), "a block of type 6 is too short for its fields (20 bytes)"),
        (no_byte_order, "a section starts without a byte-order mark"),
    ];
    for (block, expected) in cases {
        let told = reason(&[join(&pcapng(order)), block].concat());
        assert!(told.starts_with(expected), "{told}");
    }
}

/// Gives some bytes, then fails as a broken disk does.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::other("the disk is gone")),
            count => Ok(count),
        }
    }
}

#[test]
fn an_input_that_fails_is_an_error_after_the_records_before_it() {
    let capture = join(&classic(Order::Little));
    let mut reader = Reader::from_read("disk.pcap", Box::new(Failing(Cursor::new(capture.clone())))).unwrap();
    for _ in 0..3 {
        assert!(reader.next().unwrap().is_some());
    }
    let error = reader.next().unwrap_err();
    assert!(matches!(error, CaptureError::Read { .. }));
    assert_eq!(error.to_string(), format!("reading disk.pcap failed at byte {}", capture.len()));
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.summary().packets, 3);
}

/// Gives its bytes in portions, as a pipe does, with an interruption before each.
struct Trickle {
    input: Cursor<Vec<u8>>,
    portion: usize,
    interrupt: bool,
}

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let portion = self.portion.min(out.len());
        self.input.read(&mut out[..portion])
    }
}

#[test]
fn a_pipe_gives_the_same_records_as_a_file() {
    for pieces in [classic(Order::Big), pcapng(Order::Little)] {
        let capture = join(&pieces);
        for portion in [1, 7, 64] {
            let trickle = Trickle { input: Cursor::new(capture.clone()), portion, interrupt: false };
            assert_eq!(read_from(Box::new(trickle)), read(&capture));
        }
    }
}

/// Reads to the end and checks that there is one: no step without progress.
fn must_end(bytes: &[u8]) {
    let Ok(mut reader) = Reader::from_read("arbitrary", Box::new(Cursor::new(bytes.to_vec()))) else {
        return;
    };
    const SHORTEST_RECORD: usize = 12;
    for _ in 0..=bytes.len() / SHORTEST_RECORD {
        if reader.next().expect("no input error").is_none() {
            assert!(reader.next().expect("no input error").is_none(), "the end is final");
            return;
        }
    }
    panic!("more records than {} bytes can hold", bytes.len());
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        must_end(&bytes);
        for start in [classic(Order::Little), classic(Order::Big), pcapng(Order::Little), pcapng(Order::Big)] {
            must_end(&[start[0].0.clone(), bytes.clone()].concat());
        }
        must_end(&[Order::Little.pcap(KUZNETZOV, 1), bytes].concat());
    }

    #[test]
    fn mutated_captures_are_read_to_an_end(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        big in any::<bool>(),
        is_pcapng in any::<bool>(),
    ) {
        let order = if big { Order::Big } else { Order::Little };
        let mut capture = join(&if is_pcapng { pcapng(order) } else { classic(order) });
        for (index, value) in changes {
            let at = index.index(capture.len());
            capture[at] = value;
        }
        must_end(&capture);
    }
}
