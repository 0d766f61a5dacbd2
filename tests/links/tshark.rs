//! Frames, streams and TCP segments are those of Wireshark, whatever they are wrapped in.

use std::fs;
use std::path::Path;

use finrace::capture::Reader;
use finrace::connection::{RoleHints, Table};

use super::common::tshark::{self, number};
use super::meaning::segments;
use super::pcap::{Record, merged, records};
use super::recipes::{RECIPES, Recipe};

/// Captures in which tshark 4.0 does not find the TCP segments, and why.
const UNREAD_BY_TSHARK: &[(&str, &str)] = &[
    ("vxlan-8472", "it knows VXLAN on port 4789 only"),
    ("ipv6-length-zero", "it leaves offload in IPv6 to a preference"),
];

/// What tshark and finrace both say of one segment.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    frame: u64,
    stream: u32,
    seq: u32,
    ack: u32,
    len: u32,
}

/// Starting tshark takes longer than reading a hundred captures: it gets them in one file, and so does finrace.
#[test]
fn tshark_finds_the_same_segments_in_every_wrapping() {
    let captures: Vec<(&Recipe, Vec<Record>)> =
        RECIPES.iter().map(|recipe| (recipe, records(&recipe.make().file))).collect();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("all.pcapng");
    let file = merged(captures.iter().map(|(recipe, records)| (recipe.link, records.as_slice())));
    fs::write(&path, file).expect("a file written");
    let (theirs, ours) = (seen_by_tshark(&path), seen_by_finrace(&path));

    let mut first_frame = 1;
    let mut failures = Vec::new();
    for (recipe, records) in &captures {
        let frames = first_frame..first_frame + records.len() as u64;
        let of = |all: &[Seen]| -> Vec<String> {
            all.iter().filter(|seen| frames.contains(&seen.frame)).map(|seen| format!("{seen:?}")).collect()
        };
        let (theirs, ours) = (of(&theirs), of(&ours));
        let exception = UNREAD_BY_TSHARK.iter().find(|(name, _)| *name == recipe.name);
        match exception {
            Some((name, why)) if theirs == ours => {
                failures.push(format!("{name}: tshark reads it after all; the exception ({why}) can go"));
            }
            None if theirs != ours => {
                let first = theirs.iter().zip(&ours).find(|(theirs, ours)| theirs != ours);
                failures.push(format!(
                    "{}, frames {frames:?}: tshark has {} segments, finrace {}; first difference {first:?}",
                    recipe.name,
                    theirs.len(),
                    ours.len()
                ));
            }
            _ => {}
        }
        first_frame = frames.end;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn seen_by_tshark(path: &Path) -> Vec<Seen> {
    const FIELDS: [&str; 5] = ["frame.number", "tcp.stream", "tcp.seq_raw", "tcp.ack_raw", "tcp.len"];
    tshark::fields(path, &FIELDS)
        .iter()
        // Fragments, and segments whose header is cut, have no length.
        .filter(|fields| !fields[4].is_empty())
        .map(|fields| Seen {
            frame: number(&fields[0]),
            stream: number(&fields[1]),
            seq: number(&fields[2]),
            ack: number(&fields[3]),
            len: number(&fields[4]),
        })
        .collect()
}

fn seen_by_finrace(path: &Path) -> Vec<Seen> {
    let reader = Reader::open(path).expect("a capture");
    let mut table = Table::new(RoleHints::default(), 1_000);
    let mut seen = Vec::new();
    segments(reader, |frame, time_ns, segment| {
        let stream = table.ingest(segment, frame, time_ns, &mut |_| {});
        seen.push(Seen { frame, stream, seq: segment.seq, ack: segment.ack, len: segment.payload_len });
    });
    seen
}
