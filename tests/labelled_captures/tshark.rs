//! Frame numbers, stream indexes and TCP segments are those of Wireshark, so that a sceptic can check every verdict.

use std::path::Path;

use finrace::capture::Reader;
use finrace::connection::{RoleHints, Table};
use finrace::packet;
use finrace::report::Side;

use super::common::tshark::{self, number};
use super::labelled::{SIDES, all};

/// What tshark and finrace both say of one packet: frame, stream, flags, and absolute numbers.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    frame: u64,
    stream: u32,
    flags: u8,
    seq: u32,
    ack: u32,
    len: u32,
}

#[test]
fn frames_and_streams_are_those_of_tshark() {
    // Starting tshark takes longer than reading a capture: one thread a side.
    let failures: Vec<String> = std::thread::scope(|scope| {
        SIDES
            .map(|side| scope.spawn(move || differences(side)))
            .into_iter()
            .flat_map(|thread| thread.join().expect("a list"))
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Where tshark and finrace disagree on the captures of one side.
fn differences(side: Side) -> Vec<String> {
    let mut failures = Vec::new();
    for labelled in all() {
        let path = labelled.capture_path(side);
        let theirs = seen_by_tshark(&path);
        for limit in [1, 1_000] {
            let ours = seen_by_finrace(&path, limit);
            if theirs != ours {
                let first = theirs.iter().zip(&ours).find(|(theirs, ours)| theirs != ours);
                failures.push(format!(
                    "captures/{}/{side}.pcap, with {limit} connections kept: tshark has {} segments, finrace {}; first \
                     difference {first:?}",
                    labelled.name,
                    theirs.len(),
                    ours.len()
                ));
            }
        }
    }
    failures
}

fn seen_by_tshark(path: &Path) -> Vec<Seen> {
    const FIELDS: [&str; 6] =
        ["frame.number", "tcp.stream", "tcp.flags", "tcp.seq_raw", "tcp.ack_raw", "tcp.len"];
    tshark::fields(path, &FIELDS)
        .iter()
        .map(|fields| Seen {
            frame: number(&fields[0]),
            stream: number(&fields[1]),
            // Wireshark's field has the bits before the flags, too.
            flags: number::<u64>(&fields[2]) as u8,
            seq: number(&fields[3]),
            ack: number(&fields[4]),
            len: number(&fields[5]),
        })
        .collect()
}

/// With so few connections kept that most are given up, too: their numbers must outlive them.
fn seen_by_finrace(path: &Path, max_connections: usize) -> Vec<Seen> {
    let mut reader = Reader::open(path).expect("a capture");
    let mut table = Table::new(RoleHints::default(), max_connections);
    let mut seen = Vec::new();
    let mut frame = 0;
    while let Some(record) = reader.next().expect("a record") {
        frame += 1;
        let segment = packet::decode(record.link.0, record.data, record.wire_len).expect("a segment");
        let stream = table.ingest(&segment, frame, record.time_ns, &mut |_| {});
        seen.push(Seen {
            frame,
            stream,
            flags: segment.flags.0,
            seq: segment.seq,
            ack: segment.ack,
            len: segment.payload_len,
        });
    }
    seen
}
