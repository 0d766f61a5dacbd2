//! Frames, TCP packets and streams are those of tshark, where it opens the container.

use std::path::Path;

use finrace::capture::Reader;
use finrace::connection::{RoleHints, Table};
use finrace::packet;

use super::common::tshark::{self, number};
use super::recipes::all;
use super::same::path;

/// Frames in all, and frame and stream of each TCP packet.
type Counted = (u64, Vec<(u64, u32)>);

#[test]
fn frames_and_streams_are_those_of_tshark() {
    // Starting tshark takes longer than reading a capture: two at a time.
    let recipes: Vec<_> = all().into_iter().filter(|recipe| recipe.tshark).collect();
    let (first, second) = recipes.split_at(recipes.len() / 2);
    std::thread::scope(|scope| {
        for half in [first, second] {
            scope.spawn(move || {
                for recipe in half {
                    assert_eq!(by_finrace(&path(recipe)), by_tshark(&path(recipe)), "{}", recipe.name);
                }
            });
        }
    });
}

fn by_tshark(path: &Path) -> Counted {
    let frames = tshark::fields(path, &["frame.number", "tcp.stream"]);
    let segments = frames.iter().filter(|fields| !fields[1].is_empty());
    let streams = segments.map(|fields| (number(&fields[0]), number(&fields[1]))).collect();
    (frames.len() as u64, streams)
}

fn by_finrace(path: &Path) -> Counted {
    let mut reader = Reader::open(path).expect("a capture");
    let mut table = Table::new(RoleHints::default(), 1_000);
    let (mut frame, mut streams) = (0, Vec::new());
    while let Some(record) = reader.next().expect("a record") {
        frame += 1;
        if let Ok(segment) = packet::decode(record.link.0, record.data, record.wire_len) {
            streams.push((frame, table.ingest(&segment, frame, record.time_ns, &mut |_| {})));
        }
    }
    (frame, streams)
}
