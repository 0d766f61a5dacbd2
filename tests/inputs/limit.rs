//! More lost requests than a list has room for: those that somebody asks for are found among them.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::common::finrace::{json, text};
use super::files::{Capture, run_in};

/// Incidents that a list has room for.
const ROOM: u64 = 20_000;
/// Requests lost to the race, and after them those that a server died under.
const RACES: u32 = 20_100;
const DEATHS: u32 = 5;
/// Each connection begins so long after the one before.
const APART_SECONDS: u32 = 10;

/// Where the addresses of a record over Ethernet are, and behind them the numbers.
const ADDRESSES: [usize; 2] = [16 + 14 + 12, 16 + 14 + 16];
const NUMBERS: [usize; 2] = [16 + 34 + 4, 16 + 34 + 8];

/// The records of a connection as those of another client, later, with other numbers, and perhaps to another server.
fn another(capture: &Capture, number: u32, server: [u8; 4]) -> Vec<u8> {
    let mut records = capture.records.clone();
    for record in &mut records {
        let second = u32::from_le_bytes(record[..4].try_into().expect("four bytes"));
        record[..4].copy_from_slice(&(second + number * APART_SECONDS).to_le_bytes());
        for at in ADDRESSES {
            let [_, _, high, low] = number.to_be_bytes();
            let address = if record[at..at + 4] == [192, 0, 2, 1] { [10, 9, high, low] } else { server };
            record[at..at + 4].copy_from_slice(&address);
        }
        for at in NUMBERS {
            let value = u32::from_be_bytes(record[at..at + 4].try_into().expect("four bytes"));
            record[at..at + 4].copy_from_slice(&value.wrapping_add(number * 7_919).to_be_bytes());
        }
    }
    records.concat()
}

fn folder() -> TempDir {
    let race = Capture::of("crossed-fin/client.pcap");
    let death = Capture::of("died-mid-request-slow/client.pcap");
    let mut bytes = race.header.clone();
    (0..RACES).for_each(|number| bytes.extend(another(&race, number, [192, 0, 2, 2])));
    (RACES..RACES + DEATHS).for_each(|number| bytes.extend(another(&death, number, [192, 0, 2, 3])));
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("many.pcap"), bytes).expect("our own folder");
    folder
}

fn count(report: &Value, name: &str) -> u64 {
    report["summary"][name].as_u64().expect("a count")
}

#[test]
fn what_a_filter_asks_for_is_found_behind_any_number_of_others() {
    let folder = folder();
    let analyzed = |filter: &[&str], code: i32| {
        json(&run_in(&folder, &[&["analyze", "--format", "json", "many.pcap"], filter].concat()), code)
    };
    let (races, deaths) = (u64::from(RACES), u64::from(DEATHS));

    let all = analyzed(&[], 1);
    assert_eq!(count(&all, "incidents"), races + deaths);
    assert_eq!(all["summary"]["by_cause"]["died-mid-request"], deaths);
    assert_eq!(all["incidents"].as_array().map(Vec::len), Some(ROOM as usize));
    let notes = all["summary"]["notes"].to_string();
    assert!(notes.contains("105 incidents are counted and not listed"), "{notes}");

    let time = u64::from(RACES + 2) * u64::from(APART_SECONDS) * 1_000_000_000;
    let third = all["incidents"][0]["time_ns"].as_u64().expect("a time") + time;
    let third = finrace::render::units::iso_time(i64::try_from(third).expect("a time of this age"));
    let asked: [(&[&str], u64); 5] = [
        (&["--cause", "died-mid-request"], deaths),
        (&["--server", "192.0.2.3"], deaths),
        (&["--around", &third, "--window", "15s"], 3),
        (&["--cause", "died-mid-request", "--around", &third, "--window", "5s"], 1),
        (&["--cause", "crossed-fin"], races),
    ];
    for (filter, expected) in asked {
        let report = analyzed(filter, 1);
        let listed = report["incidents"].as_array().expect("a list");
        assert_eq!((listed.len() as u64, count(&report, "incidents")), (expected, expected), "{filter:?}");
        assert_eq!(count(&report, "filtered_out"), races + deaths - expected, "{filter:?}");
        assert_eq!(report["summary"]["notes"].as_array().map(Vec::len), Some(0), "{filter:?}");
    }

    // The incidents that are listed without a filter have the same numbers with any.
    let numbered = analyzed(&["--server", "192.0.2.2"], 1);
    assert_eq!(numbered["incidents"][ROOM as usize - 1], all["incidents"][ROOM as usize - 1]);
}

#[test]
fn a_filter_that_keeps_nothing_does_not_make_a_loss_a_pass() {
    let folder = folder();
    for filter in [["--cause", "refused"], ["--server", "192.0.2.77"], ["--around", "1999-01-01T00:00:00"]] {
        let done = run_in(&folder, &[&["analyze", "many.pcap"], filter.as_slice()].concat());
        let said = text(&done.stdout);
        assert!(
            said.contains("No lost request matches the filter: ") && said.contains(" left out."),
            "{said}"
        );
        assert_eq!(done.status.code(), Some(1), "{filter:?}");
    }
}
