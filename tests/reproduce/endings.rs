//! Runs that do not end by themselves: Ctrl-C keeps what was found, and `kill -9` leaves nothing behind.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use finrace::analysis::{Options, analyze};
use finrace::capture::Reader;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::finrace::{FINRACE, analyzed, json, text};
use crate::run::reproduce;

/// How often something that must come is looked for, and when it is given up.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(60);

const CAPTURES: [&str; 2] = ["edge.pcapng", "origin.pcapng"];

/// Packets of a handshake, a request, its acknowledgement, and the response.
const FIRST_EXCHANGE: u64 = 6;

/// Attempts side by side of a scenario with toys, unless it says otherwise.
const LANES: u64 = 32;

/// Waits until something is there; what it waits for is an event, the bound only ends a test that has failed.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A run under way, in a process group of its own as a shell would start it.
struct Running {
    child: Child,
    folder: tempfile::TempDir,
}

impl Running {
    fn start(words: &[&str]) -> Running {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let child = reproduce(&[&["--out", "run"], words].concat())
            .current_dir(folder.path())
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{FINRACE}: {error}"));
        Running { child, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("run").join(name)
    }

    /// Waits until an event has happened in the run.
    fn wait_for_event(&self, matches: impl Fn(&Value) -> bool) {
        wait_for("an event in events.jsonl", || {
            let log = fs::read_to_string(self.path("events.jsonl")).ok()?;
            // The last line may not be whole yet.
            log.lines().filter_map(|line| serde_json::from_str(line).ok()).find(|event| matches(event))
        });
    }

    fn supervisor(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a process number"))
    }

    /// PID 1 of the lab, by its number outside.
    fn inner(&self) -> Pid {
        let supervisor = self.supervisor();
        let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"));
        let children = children.expect("the supervisor runs");
        let [inner] = children.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("the supervisor's children: {children}")
        };
        Pid::from_raw(inner.parse().expect("a process number"))
    }

    /// Waits for the end of every process of the run that could still speak.
    fn end(mut self) -> (Output, tempfile::TempDir) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        // Little is written to standard error, so the one pipe cannot fill while the other is read.
        self.child.stdout.take().expect("piped").read_to_end(&mut stdout).expect("standard output");
        self.child.stderr.take().expect("piped").read_to_end(&mut stderr).expect("standard error");
        let status = self.child.wait().expect("our child");
        (Output { status, stdout, stderr }, self.folder)
    }
}

/// A lane begins its second attempt when its first has ended.
fn first_attempts_have_ended(event: &Value) -> bool {
    event["event"] == "attempt-begins" && event["attempt"].as_u64() > Some(LANES)
}

/// After an interrupt: exit code, and a partial report whose verdicts the capture alone confirms.
fn keeps_what_was_found(run: Running, capture: &str, cause: &str) {
    let (output, folder) = run.end();
    let report = json(&output, 1);
    assert_eq!(report["run"]["interrupted"], true);
    assert_eq!(report["run"]["expectation"]["held"], false);
    assert_eq!(report["run"]["complete"], true, "{}", report["run"]);
    let found = report["run"]["attempts"].as_array().map_or(0, Vec::len);
    assert!((1..5000).contains(&found), "{found} attempts");
    let folder = folder.path().join("run");
    let kept = fs::read(folder.join("report.json")).expect("report.json");
    assert_eq!(serde_json::from_slice::<Value>(&kept).expect("JSON"), report);
    let alone = analyzed(&folder.join(capture), 1);
    assert_eq!(alone["summary"]["by_cause"], report["summary"]["by_cause"]);
    assert!(alone["summary"]["by_cause"][cause].as_u64() >= Some(1), "{}", alone["summary"]);
}

#[test]
fn a_signal_to_the_program_ends_a_run_and_keeps_what_was_found() {
    let run = Running::start(&["--repeat", "5000"]);
    run.wait_for_event(first_attempts_have_ended);
    kill(run.supervisor(), Signal::SIGINT).unwrap();
    keeps_what_was_found(run, "edge.pcapng", "crossed-fin");
}

#[test]
fn a_signal_to_the_whole_group_ends_a_run_and_keeps_what_was_found() {
    let run = Running::start(&["--repeat", "5000"]);
    run.wait_for_event(first_attempts_have_ended);
    killpg(run.supervisor(), Signal::SIGINT).unwrap();
    keeps_what_was_found(run, "origin.pcapng", "crossed-fin");
}

#[test]
fn ctrl_c_on_loopback_keeps_what_was_found() {
    let run = Running::start(&["--lab", "loopback", "--repeat", "5000"]);
    run.wait_for_event(first_attempts_have_ended);
    kill(run.supervisor(), Signal::SIGINT).unwrap();
    keeps_what_was_found(run, "loopback.pcapng", "unread-request");
}

#[test]
fn a_run_interrupted_before_its_first_attempt_ended_says_so() {
    let run = Running::start(&["--backend-idle", "1h", "--proxy-idle", "2h"]);
    run.wait_for_event(|event| event["event"] == "answered");
    kill(run.supervisor(), Signal::SIGTERM).unwrap();
    let (output, folder) = run.end();
    let report = json(&output, 1);
    assert_eq!(report["run"]["interrupted"], true);
    assert_eq!(report["run"]["attempts"], Value::Array(Vec::new()));
    let alone = analyzed(&folder.path().join("run/edge.pcapng"), 0);
    assert_eq!(alone["summary"]["requests"], 1);
}

/// Inodes of the namespaces that a run has made: of the lab's process numbers, and of the hosts' networks.
fn namespaces_of(inner: Pid) -> Vec<u64> {
    let inode = |path: &Path| fs::metadata(path).expect("a namespace").ino();
    let tasks = fs::read_dir(format!("/proc/{inner}/task")).expect("the lab runs").flatten();
    let mut found: Vec<u64> = tasks.map(|task| inode(&task.path().join("ns/net"))).collect();
    found.push(inode(Path::new(&format!("/proc/{inner}/ns/pid"))));
    let ours = ["net", "pid"].map(|kind| inode(Path::new(&format!("/proc/self/ns/{kind}"))));
    found.retain(|namespace| !ours.contains(namespace));
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 3, "two networks and one numbering of processes: {found:?}");
    found
}

/// The tasks that live in one of these namespaces.
fn users_of(namespaces: &[u64]) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let tasks =
        processes.filter_map(|process| Some(fs::read_dir(process.path().join("task")).ok()?.flatten()));
    let lives_there = |task: &PathBuf| {
        ["net", "pid"].iter().any(|kind| {
            fs::metadata(task.join("ns").join(kind))
                .is_ok_and(|namespace| namespaces.contains(&namespace.ino()))
        })
    };
    tasks.flatten().map(|task| task.path()).filter(lives_there).collect()
}

/// Kills one half of a run with real servers; nothing of the run may stay, and what was captured stays readable.
fn leaves_nothing(half: impl Fn(&Running) -> Pid) -> Output {
    let run = Running::start(&["nginx-express"]);
    for capture in CAPTURES {
        wait_for("the first exchange in the capture", || {
            let report = analyze(vec![Reader::open(&run.path(capture)).ok()?], &Options::default());
            (report.summary.packets >= FIRST_EXCHANGE).then_some(())
        });
    }
    let namespaces = namespaces_of(run.inner());
    let before = users_of(&namespaces);
    assert!(before.len() >= 4, "two hosts, nginx and node: {before:?}");
    kill(half(&run), Signal::SIGKILL).expect("the run is under way");
    let (output, folder) = run.end();
    wait_for("the end of every process of the run", || users_of(&namespaces).is_empty().then_some(()));
    for capture in CAPTURES {
        let report = analyzed(&folder.path().join("run").join(capture), 0);
        assert_eq!(report["summary"]["requests"], 1, "{capture}");
    }
    output
}

#[test]
fn kill_9_of_the_program_leaves_no_process_and_no_namespace() {
    let output = leaves_nothing(Running::supervisor);
    assert_eq!(output.status.signal(), Some(9));
}

#[test]
fn kill_9_of_the_lab_leaves_no_process_and_no_namespace() {
    let output = leaves_nothing(Running::inner);
    assert_eq!(output.status.code(), Some(128 + 9));
    assert_eq!(text(&output.stderr), "finrace: the lab was ended by SIGKILL\n");
}

#[test]
fn a_picture_that_cannot_be_written_loses_nothing_of_what_was_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // A folder in the picture's place, as a full disk would be: the run goes on, and the picture cannot be written.
    fs::create_dir_all(folder.path().join("run/ladder.png/kept")).expect("our own folder");
    fs::write(folder.path().join("run/.finrace-run"), "").expect("our own folder");
    let output = reproduce(&["--out", "run"]).current_dir(folder.path()).output().expect("finrace runs");
    let complained = text(&output.stderr);
    assert_eq!(json(&output, 2)["run"]["expectation"]["held"], true);
    assert!(
        complained.contains("ladder.png: make room there, or name another folder with --out"),
        "{complained}"
    );
    assert!(folder.path().join("run/report.json").is_file(), "what can be written is");
}
