//! Several files: those of one ring are one trace, whatever their order; others stay apart; what is missing is said.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::common::finrace::{FINRACE, json, output, text};
use super::files::{Capture, analyzed_in as analyzed, notes, run_in};

fn files(report: &Value) -> Vec<&str> {
    let captures = report["captures"].as_array().expect("captures");
    captures.iter().map(|capture| capture["file"].as_str().expect("a name")).collect()
}

/// What stays the same however a capture is cut into files.
fn verdicts(report: &Value) -> Vec<Value> {
    let incidents = report["incidents"].as_array().expect("incidents");
    incidents
        .iter()
        .map(|incident| {
            let mut incident = incident.clone();
            for place in ["capture", "stream", "frames", "frames_elsewhere"] {
                incident.as_object_mut().expect("an object").remove(place);
            }
            incident
        })
        .collect()
}

#[test]
fn a_ring_cut_anywhere_shows_what_the_whole_shows() {
    let whole = Capture::of("crossed-fin/client.pcap");
    let folder = whole.split(&[("whole.pcap", 0)]);
    let expected = verdicts(&analyzed(&folder, &["whole.pcap"], 1));
    assert_eq!(expected.len(), 1);
    for first in 0..whole.records.len() {
        for second in first..whole.records.len() {
            let folder = whole.split(&[("r8.pcap", 0), ("r9.pcap", first), ("r10.pcap", second)]);
            let report = analyzed(&folder, &["r10.pcap", "r8.pcap", "r9.pcap"], 1);
            assert_eq!(verdicts(&report), expected, "cut before {first} and {second}");
            assert_eq!(report["summary"]["connections"], 1, "cut before {first} and {second}");
        }
    }
}

#[test]
fn frames_and_streams_are_those_of_the_file_alone() {
    // The ring has begun again: the newest file has the lowest number.
    let whole = Capture::of("crossed-fin/client.pcap");
    let folder = whole.split(&[("r1.pcap", 0), ("r2.pcap", 5), ("r0.pcap", 8)]);
    let report = analyzed(&folder, &["r2.pcap", "r0.pcap", "r1.pcap"], 1);
    assert_eq!(files(&report), ["r1.pcap", "r2.pcap", "r0.pcap"]);
    let continues: Vec<&Value> =
        report["captures"].as_array().unwrap().iter().map(|capture| &capture["continues"]).collect();
    assert_eq!(continues, [&Value::Null, &json!(0), &json!(1)]);
    let incident = &report["incidents"][0];
    assert_eq!((&incident["capture"], &incident["stream"]), (&json!(1), &json!(0)));
    assert_eq!(incident["frames"], json!({"request": 2, "fin": 3}));
    assert_eq!(
        incident["frames_elsewhere"],
        json!({
            "previous_response": {"capture": 0, "frame": 5},
            "fin_ack": {"capture": 2, "frame": 1},
            "reset": {"capture": 2, "frame": 2},
        })
    );
    assert_eq!(notes(&report), ["r1.pcap, r2.pcap and r0.pcap are one trace, in the order of their times"]);
    let page = text(&run_in(&folder, &["r0.pcap", "r1.pcap", "r2.pcap"]).stdout);
    assert!(page.contains("request 2, FIN 3, RST 2 in r0.pcap"), "{page}");
}

#[test]
fn an_incident_over_several_files_is_shown_from_all_of_them() {
    let whole = Capture::of("crossed-fin/client.pcap");
    let folder = whole.split(&[("r0.pcap", 0), ("r1.pcap", 5), ("r2.pcap", 8)]);
    let page = text(&run_in(&folder, &["r0.pcap", "r1.pcap", "r2.pcap"]).stdout);
    let command =
        page.lines().find_map(|line| line.strip_prefix("Show it         finrace ")).expect("a command");
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words, ["show", "r0.pcap", "r1.pcap", "r2.pcap", "1", "-o", "race.svg"]);
    assert_eq!(run_in(&folder, &words).status.code(), Some(0));
    assert!(fs::read_to_string(folder.path().join("race.svg")).unwrap().contains("POST /orders"));

    let shown = text(&run_in(&folder, &["show", "r1.pcap", "r0.pcap", "r2.pcap"]).stdout);
    for line in ["1:1 ", "2:2 ", "2:3 ", "3:2 ", "1: r0.pcap", "3: r2.pcap", "the lost request"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let stream = text(&run_in(&folder, &["show", "r1.pcap", "r0.pcap", "r2.pcap", "0", "--stream"]).stdout);
    assert_eq!(stream, shown, "stream 0 of r1.pcap is the incident's connection");
}

#[test]
fn the_timeline_of_a_ring_is_that_of_the_capture_it_was_cut_from() {
    let whole = Capture::of("deploy/server.pcap");
    let cut = whole.split(&[("r0.pcap", 0), ("r1.pcap", 50), ("r2.pcap", 120)]);
    let one = whole.split(&[("r0.pcap", 0)]);
    let drawn = |folder: &tempfile::TempDir, files: &[&str], id: &[&str]| {
        let words = [&["show"], files, id, &["--chart", "timeline", "-o", "lanes.svg"]].concat();
        assert_eq!(run_in(folder, &words).status.code(), Some(0), "{words:?}");
        fs::read_to_string(folder.path().join("lanes.svg")).unwrap()
    };
    let signs = |picture: &str| {
        ["<rect", "<polygon", "<polyline", "<circle"].map(|sign| picture.matches(sign).count())
    };
    let ring = ["r1.pcap", "r2.pcap", "r0.pcap"];
    let lanes = drawn(&cut, &ring, &[]);
    assert!(
        lanes.contains(">21 connections, 1 request lost<") && lanes.contains(">file:stream, client<"),
        "{lanes}"
    );
    assert!(lanes.contains(">1:2 192.0.2.1:40100<") && lanes.contains(" 192.0.2.1:40019<"), "{lanes}");
    assert_eq!(signs(&lanes), signs(&drawn(&one, &["r0.pcap"], &[])));
    let around = drawn(&cut, &ring, &["1"]);
    assert!(around.contains(" around a lost request: "), "{around}");
    assert_eq!(signs(&around), signs(&drawn(&one, &["r0.pcap"], &["1"])));
}

#[test]
fn a_missing_file_is_said_and_what_it_may_hold_is_not_claimed() {
    let whole = Capture::of("state-lost/client.pcap");
    let last = whole.records.len();
    let folder = whole.split(&[("r1.pcap", 0), ("r2.pcap", 3), ("r4.pcap", last - 2)]);
    let report = analyzed(&folder, &["r1.pcap", "r2.pcap", "r4.pcap"], 1);
    let gap = notes(&report)[0].to_owned();
    assert!(gap.starts_with("between r2.pcap (until 12:00:"), "{gap}");
    assert!(
        gap.ends_with(
            " a file is missing (number 3 by the names): connections that were open then may have lost packets"
        ),
        "{gap}"
    );
    let incident = &report["incidents"][0];
    assert_eq!((&incident["cause"], &incident["confidence"]), (&json!("state-lost"), &json!("inconclusive")));
    let against = incident["counter_evidence"].to_string();
    assert!(
        against.contains("a file of the capture is missing: a FIN may be among what is lost"),
        "{against}"
    );

    let folder = whole.split(&[("r1.pcap", 0), ("r2.pcap", 3), ("r3.pcap", last - 2)]);
    let report = analyzed(&folder, &["r1.pcap", "r2.pcap", "r3.pcap"], 1);
    assert_eq!(report["incidents"][0]["confidence"], "likely");
    assert_eq!(notes(&report).len(), 1);
}

#[test]
fn files_that_overlap_in_time_are_traces_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for (name, side) in [("host1.pcap", "client"), ("host2.pcap", "server")] {
        let capture = Capture::of(&format!("crossed-fin/{side}.pcap"));
        fs::write(folder.path().join(name), capture.bytes()).unwrap();
    }
    let report = analyzed(&folder, &["host1.pcap", "host2.pcap"], 1);
    assert_eq!((&report["summary"]["connections"], &report["summary"]["incidents"]), (&json!(2), &json!(2)));
    assert_eq!(notes(&report), Vec::<&str>::new());
}

#[test]
fn two_rings_side_by_side_are_two_traces() {
    let [client, server] = ["client", "server"].map(|side| Capture::of(&format!("crossed-fin/{side}.pcap")));
    let folder = client.split(&[("a_00001.pcap", 0), ("a_00002.pcap", 6)]);
    for (name, part) in
        [("b_00001.pcap", server.part(0..6)), ("b_00002.pcap", server.part(6..server.records.len()))]
    {
        fs::write(folder.path().join(name), part).unwrap();
    }
    let report = analyzed(&folder, &["a_00001.pcap", "b_00001.pcap", "a_00002.pcap", "b_00002.pcap"], 1);
    assert_eq!(files(&report), ["a_00001.pcap", "a_00002.pcap", "b_00001.pcap", "b_00002.pcap"]);
    assert_eq!((&report["summary"]["connections"], &report["summary"]["incidents"]), (&json!(2), &json!(2)));
    assert_eq!(notes(&report).len(), 2);
}

#[test]
fn a_file_given_twice_is_analyzed_once() {
    let whole = Capture::of("crossed-fin/client.pcap");
    let folder = whole.split(&[("race.pcap", 0)]);
    let report = analyzed(&folder, &["race.pcap", "./race.pcap", "race.pcap"], 1);
    assert_eq!((files(&report).len(), &report["summary"]["incidents"]), (1, &json!(1)));
    assert_eq!(
        notes(&report),
        [
            "./race.pcap was given more than once and analyzed once",
            "race.pcap was given more than once and analyzed once"
        ]
    );
}

/// `ulimit` is the shell's.
#[cfg(unix)]
#[test]
fn a_ring_may_have_more_files_than_a_process_may_open() {
    let whole = Capture::of("mismatched-pair/client.pcap");
    let names: Vec<String> = (0..100).map(|number| format!("r{number:03}.pcap")).collect();
    let starts: Vec<(&str, usize)> = names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let folder = whole.split(&starts);
    fs::write(folder.path().join("all"), whole.bytes()).unwrap();
    let script = "ulimit -n 32; exec \"$0\" analyze --format json r*.pcap";
    let mut limited = Command::new("sh");
    limited.args(["-c", script, FINRACE]).current_dir(folder.path());
    let ring = output(&mut limited);
    let alone = json(&run_in(&folder, &["analyze", "--format", "json", "all"]), 0);
    let ring = json(&ring, 0);
    assert_eq!(ring["servers"], alone["servers"]);
    assert_eq!(files(&ring).len(), 100);
    assert_eq!(notes(&ring), ["r000.pcap, r001.pcap and 98 more are one trace, in the order of their times"]);
}
