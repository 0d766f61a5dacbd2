//! Sweeps in the lab: small ones, whose losses are proven by packets and whose window lies where the model has it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::finrace::{analyzed, finrace, json, output, text};

const MS: i64 = 1_000_000;

/// Sweeps; gives what was found and the folder with the files.
fn swept(words: &[&str]) -> (Value, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = finrace(["sweep", "--seed", "5", "--format", "json", "--out"]);
    let output = output(command.arg(folder.path()).args(words));
    let code = output.status.code();
    // Whether an edge is met is a matter of chance where a window is as narrow as loopback's.
    assert!([Some(0), Some(3)].contains(&code), "{}", text(&output.stderr));
    (json(&output, code.expect("a code")), folder)
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

/// The rows of `attempts.csv` by its headings.
fn attempts(folder: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(folder.join("attempts.csv")).expect("the attempts");
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let headings = lines.next().expect("headings");
    lines.map(|line| headings.iter().cloned().zip(line).collect()).collect()
}

fn time(row: &BTreeMap<String, String>, heading: &str) -> i64 {
    row[heading].parse().unwrap_or_else(|error| panic!("{heading}: {error}: {row:?}"))
}

/// What holds of every sweep in the lab: sums, proofs and files.
fn is_sound(found: &Value, folder: &Path) {
    assert_eq!(found["complete"], true, "{}", found["notes"]);
    let counts = &found["counts"];
    let of = |what: &str| number(&counts[what]);
    let sum = ["watched", "answered", "closed_before", "lost", "unusable"].map(of).iter().sum::<i64>();
    assert_eq!(sum, of("connections"), "{counts}");
    assert_eq!(
        of("proven"),
        of("lost"),
        "every loss is proven by the packets at both ends: {}",
        found["notes"]
    );
    assert_eq!(of("unusable"), 0, "{}", found["notes"]);
    let by_cause = found["by_cause"].as_object().expect("an object");
    assert_eq!(by_cause.values().map(number).sum::<i64>(), of("lost"));

    let rows = attempts(folder);
    assert_eq!(rows.len() as i64, of("connections"));
    for row in &rows {
        assert_eq!(row["fate"] == "lost", !row["cause"].is_empty(), "{row:?}");
        // What was sent, was sent after the wait that was planned, and not before.
        if row["fate"] == "answered" || row["fate"] == "lost" {
            let (planned, idle) = (time(row, "planned_ns"), time(row, "idle_ns"));
            assert!(idle >= planned, "{row:?}");
        }
    }
    for file in ["window.svg", "window.png", "window.csv", "sweep.json", "scenario.toml"] {
        assert!(folder.join(file).metadata().is_ok_and(|file| file.len() > 0), "{file}");
    }
    let schema: Value =
        serde_json::from_slice(&output(&mut finrace(["schema", "sweep"])).stdout).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let mistakes: Vec<String> = validator.iter_errors(found).map(|error| error.to_string()).collect();
    assert_eq!(mistakes, Vec::<String>::new());
}

#[test]
fn the_window_of_a_toy_is_found_without_being_told_its_timer() {
    let (found, folder) =
        swept(&["--backend-idle", "300ms", "--delay", "10ms", "--attempts", "400", "--retry"]);
    is_sound(&found, folder.path());
    assert!(number(&found["counts"]["lost"]) >= 20, "{}", found["counts"]);
    assert_eq!(found["counts"]["retried"], found["counts"]["lost"], "a new connection is answered");
    let window = &found["window"];
    let (opens, closes) = (number(&window["opens"]["at_ns"]), number(&window["closes"]["at_ns"]));
    // The timer of 300 ms and the round trip of 20, and what a busy machine adds to both.
    // The capture alone says the same.
    let alone = analyzed(&folder.path().join("edge.pcapng"), 1);
    assert_eq!(alone["summary"]["by_cause"], found["by_cause"]);
    assert!(opens < closes && (260 * MS..320 * MS).contains(&opens), "{window}");
    assert!((295 * MS..360 * MS).contains(&closes), "{window}");
    assert!(number(&found["rtt_ns"]) >= 20 * MS);
    assert!(found["expected"]["opens_difference_ns"].is_i64(), "{}", found["expected"]);
    assert_eq!(found["seed"], 5);
    let wire_only = std::fs::read_to_string(folder.path().join("scenario.toml")).expect("the scenario");
    assert!(!wire_only.contains("[[wire."), "nothing is held: {wire_only}");
}

#[test]
fn on_loopback_requests_are_lost_that_the_capture_proves() {
    let (found, folder) = swept(&["--lab", "loopback", "--backend-idle", "200ms", "--attempts", "200"]);
    is_sound(&found, folder.path());
    assert_eq!(found["place"], "loopback");
    assert!(number(&found["counts"]["closed_before"]) > 0 && number(&found["counts"]["answered"]) > 0);
}

#[test]
fn apache_throws_away_what_comes_within_its_window() {
    let (found, folder) =
        swept(&["--backend", "apache", "--backend-idle", "1s", "--delay", "10ms", "--attempts", "300"]);
    is_sound(&found, folder.path());
    assert!(number(&found["by_cause"]["discarded-request"]) >= 10, "{}", found["by_cause"]);
    assert!(number(&found["timer"]["median_ns"]) >= 900 * MS, "{}", found["timer"]);
}

#[test]
fn ctrl_c_keeps_what_a_sweep_between_hosts_has_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = finrace(["sweep", "--backend-idle", "200ms", "--attempts", "100000", "--out"]);
    let child = command
        .arg(folder.path())
        .args(["--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("finrace runs");
    // The capture of a hundred connections, each of ten packets with their headers.
    let capture = folder.path().join("edge.pcapng");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !capture.metadata().is_ok_and(|file| file.len() > 150_000) {
        assert!(Instant::now() < deadline, "the capture does not grow");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("it runs");
    let found = json(&child.wait_with_output().expect("finrace ends"), 3);
    assert_eq!(found["interrupted"], true);
    assert_eq!(found["complete"], true, "{}", found["notes"]);
    assert!(number(&found["counts"]["connections"]) > 40, "{}", found["counts"]);
}
