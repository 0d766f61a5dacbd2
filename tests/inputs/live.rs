//! Pipes that go on: incidents come as soon as they are certain, and whoever has seen enough may end it at any time.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::Value;

use super::common::finrace::finrace;
use super::files::{Capture, path};

/// The program with a pipe that stays open.
struct Running {
    child: Child,
    pipe: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
}

impl Running {
    fn new(options: &[&str]) -> Running {
        let mut child = finrace([&["analyze"], options, &["-"]].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program under test");
        let pipe = child.stdin.take();
        let said = BufReader::new(child.stdout.take().expect("a pipe"));
        Running { child, pipe, said }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let pipe = self.pipe.as_mut().expect("an open pipe");
        pipe.write_all(bytes).and_then(|()| pipe.flush()).expect("somebody reads");
    }

    /// Waits for a line.
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a pipe");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits for the end, the pipe still open or not: the lines that were left, standard error, and how it ended.
    fn end(mut self) -> (Vec<Value>, String, ExitStatus) {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).expect("a pipe");
        let mut errors = String::new();
        self.child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("a pipe");
        let lines = rest.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (lines, errors, self.child.wait().expect("our own child"))
    }
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["type"].as_str().expect("a type")).collect()
}

#[test]
fn an_incident_is_told_while_the_pipe_is_open() {
    let race = Capture::of("crossed-fin/client.pcap");
    let mut running = Running::new(&["--format", "ndjson"]);
    running.feed(&race.bytes());
    running.feed(&race.other_packet_after(4));
    let incident = running.line();
    assert_eq!((&incident["type"], &incident["cause"]), (&"incident".into(), &"crossed-fin".into()));
    assert_eq!(incident["id"], 1);

    running.feed(&race.other_packet_after(5));
    running.pipe = None;
    let (rest, errors, status) = running.end();
    assert_eq!((kinds(&rest), errors.as_str()), (vec!["capture", "server", "summary"], ""));
    assert_eq!(rest[0]["truncated"], Value::Null);
    assert_eq!((&rest[2]["incidents"], &rest[2]["conclusive"]), (&1.into(), &true.into()));
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_pipe_that_falls_silent_tells_what_is_certain_all_the_same() {
    let mut running = Running::new(&["--format", "ndjson"]);
    running.feed(&Capture::of("crossed-fin/client.pcap").bytes());
    assert_eq!(running.line()["cause"], "crossed-fin");
    running.pipe = None;
    let (rest, ..) = running.end();
    assert_eq!((kinds(&rest), &rest[2]["incidents"]), (vec!["capture", "server", "summary"], &1.into()));
}

#[test]
fn what_a_pipe_tells_is_what_the_file_tells() {
    for name in [
        "crossed-fin/server.pcap",
        "mismatched-pair/client.pcap",
        "deploy/client.pcap",
        "port-scan/client.pcap",
    ] {
        let whole = Capture::of(name);
        let mut running = Running::new(&["--format", "ndjson"]);
        running.feed(&whole.bytes());
        running.pipe = None;
        let (lines, ..) = running.end();
        let of_file = finrace(["analyze", "--format", "ndjson"])
            .arg(path(name))
            .output()
            .expect("the program under test");
        let of_file: Vec<Value> = String::from_utf8_lossy(&of_file.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let facts = |lines: &[Value]| {
            let mut facts: Vec<String> = lines
                .iter()
                .filter(|line| line["type"] != "capture")
                .map(|line| match line["type"].as_str() {
                    Some("incident") => {
                        format!(
                            "{} {} {} {}",
                            line["cause"], line["stream"], line["frames"], line["evidence"]
                        )
                    }
                    _ => line.to_string(),
                })
                .collect();
            facts.sort();
            facts
        };
        assert_eq!(facts(&lines), facts(&of_file), "{name}");
    }
}

#[test]
fn a_filter_applies_to_what_is_told_at_once() {
    let race = Capture::of("crossed-fin/client.pcap");
    let mut running = Running::new(&["--format", "ndjson", "--cause", "refused"]);
    running.feed(&race.bytes());
    running.feed(&race.other_packet_after(4));
    running.pipe = None;
    let (lines, _, status) = running.end();
    assert_eq!(kinds(&lines), ["capture", "server", "summary"]);
    assert_eq!((&lines[2]["incidents"], &lines[2]["filtered_out"]), (&0.into(), &1.into()));
    assert_eq!(status.code(), Some(1), "it is lost all the same");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_silent_pipe_with_what_was_found() {
    let race = Capture::of("crossed-fin/client.pcap");
    let mut running = Running::new(&["--format", "ndjson"]);
    running.feed(&race.bytes());
    running.feed(&race.other_packet_after(4));
    assert_eq!(running.line()["cause"], "crossed-fin");
    running.signal("INT");
    let (rest, errors, status) = running.end();
    assert_eq!((kinds(&rest), errors.as_str()), (vec!["capture", "server", "summary"], ""));
    let truncated = rest[0]["truncated"].as_str().expect("the end is told");
    assert!(truncated.contains("interrupted after 12 packets"), "{truncated}");
    assert_eq!(rest[2]["conclusive"], false);
    assert_eq!(rest[2]["notes"], serde_json::json!(["interrupted: this is what was found until then"]));
    assert_eq!(status.code(), Some(1));
}

#[cfg(unix)]
#[test]
fn what_was_interrupted_is_no_pass() {
    let race = Capture::of("crossed-fin/client.pcap");
    let mut running = Running::new(&["--format", "ndjson", "--max-incidents", "1"]);
    running.feed(&race.bytes());
    running.feed(&race.other_packet_after(4));
    running.line();
    running.signal("TERM");
    let (_, _, status) = running.end();
    assert_eq!(status.code(), Some(3), "one incident was allowed, but more might have come");
}

#[test]
fn a_pipe_that_stops_inside_a_record_is_partial() {
    let race = Capture::of("crossed-fin/client.pcap");
    let mut running = Running::new(&["--format", "ndjson"]);
    let bytes = race.bytes();
    running.feed(&bytes[..bytes.len() - 1]);
    running.pipe = None;
    let (lines, _, status) = running.end();
    let capture = lines.iter().find(|line| line["type"] == "capture").expect("a capture");
    let truncated = capture["truncated"].as_str().expect("the end is told");
    assert!(truncated.starts_with("the capture ends inside a record"), "{truncated}");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_reader_that_has_gone_ends_a_live_analysis() {
    let race = Capture::of("crossed-fin/client.pcap");
    let mut running = Running::new(&["--format", "ndjson"]);
    let (nobody, said) = std::io::pipe().expect("a pipe");
    drop(said);
    running.said = BufReader::new(ChildStdout::from(std::os::fd::OwnedFd::from(nobody)));
    running.feed(&race.bytes());
    running.feed(&race.other_packet_after(4));
    // The pipe stays open: the end comes from the other side.
    let (_, errors, status) = running.end();
    assert_eq!((errors.as_str(), status.code()), ("", Some(1)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_a_live_analysis_and_is_told() {
    let race = Capture::of("crossed-fin/client.pcap");
    for format in ["json", "ndjson", "csv", "markdown", "table"] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut child = finrace(["analyze", "--format", format, "-"])
            .stdin(Stdio::piped())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(&race.bytes()).and_then(|()| pipe.write_all(&race.other_packet_after(4))).unwrap();
        // Only a live analysis ends before its input does.
        let pipe = (format == "ndjson").then_some(pipe);
        let ended = child.wait_with_output().unwrap();
        drop(pipe);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{format}: {said}");
        assert!(
            said.starts_with("finrace: cannot write the result to standard output: "),
            "{format}: {said}"
        );
    }
}
