//! Frames, TCP packets and streams are those of tshark, where it opens the container.

use std::path::Path;
use std::process::Command;

use finrace::capture::Reader;
use finrace::connection::{RoleHints, Table};
use finrace::packet;

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
    let output = Command::new("tshark")
        .arg("-r")
        .arg(path)
        .args(["-T", "fields", "-e", "frame.number", "-e", "tcp.stream"])
        .output()
        .unwrap_or_else(|error| {
            panic!("tshark cannot be run ({error}); install it with `apt-get install tshark` and run again")
        });
    assert!(
        output.status.success(),
        "tshark on {}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("text");
    let rows: Vec<(u64, Option<u32>)> = text
        .lines()
        .map(|line| {
            let (frame, stream) = line.split_once('\t').expect("two fields");
            (frame.parse().expect("a number"), stream.parse().ok())
        })
        .collect();
    let streams = rows.iter().filter_map(|(frame, stream)| Some((*frame, (*stream)?))).collect();
    (rows.len() as u64, streams)
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
