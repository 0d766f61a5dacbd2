//! One run of a scenario.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::common::finrace::{FINRACE, finrace, json, output, text};
use crate::common::ordinary_user::is_root;

/// A run that has ended, with its folder.
pub struct Run {
    /// What was printed, as JSON.
    pub report: Value,
    folder: tempfile::TempDir,
}

impl Run {
    /// Runs a scenario with options; the program must end with this code.
    pub fn new(words: &[&str], code: i32) -> Run {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("run");
        let out = out.to_str().expect("a temporary folder with a plain name");
        let report = json(&output(&mut reproduce(&[&["--out", out], words].concat())), code);
        Run { report, folder }
    }

    /// Runs a scenario on the wire and checks what every good run has.
    pub fn on_wire(words: &[&str]) -> Run {
        let run = Run::new(words, 0);
        run.holds("wire");
        run
    }

    /// Every good run keeps its expectation, lacks no packet, and leaves all its files.
    pub fn holds(&self, lab: &str) {
        let run = &self.report["run"];
        assert_eq!(run["lab"], lab, "`finrace doctor` says what the wire lab needs");
        assert_eq!(run["expectation"]["held"], true, "{run}");
        assert_eq!(
            (&run["complete"], &run["interrupted"]),
            (&Value::from(true), &Value::from(false)),
            "{run}"
        );
        assert_eq!(run["missing"], Value::Array(Vec::new()));
        let kept: Value = serde_json::from_slice(&self.file("report.json")).expect("report.json is JSON");
        assert_eq!(kept, self.report, "what is printed is what is kept");
        for name in ["events.jsonl", "scenario.toml", "ladder.svg", "ladder.png"] {
            assert!(!self.file(name).is_empty(), "{name}");
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("run").join(name)
    }

    pub fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The attempts that came out like this, of all.
    pub fn attempts(&self, matches: impl Fn(&Value) -> bool) -> (usize, usize) {
        let attempts = self.report["run"]["attempts"].as_array().expect("a list of attempts");
        (attempts.iter().filter(|attempt| matches(attempt)).count(), attempts.len())
    }
}

/// The program. A user who may not capture on the machine's loopback device is root of a network namespace for that;
/// the wire lab has namespaces of its own.
pub fn reproduce(words: &[&str]) -> Command {
    const ON_A_LOOPBACK_OF_OUR_OWN: &str = "ip link set lo up; exec \"$0\" \"$@\"";
    let words = [&["reproduce", "--format", "json"], words].concat();
    if is_root() || !words.contains(&"loopback") {
        return finrace(words);
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "sh", "-ec", ON_A_LOOPBACK_OF_OUR_OWN, FINRACE]);
    command.args(words);
    command
}

/// The text of a built-in scenario, to be changed and run from a file.
pub fn builtin(name: &str) -> String {
    let mut command: Command = finrace(["scenarios", name]);
    let printed = output(&mut command);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    text(&printed.stdout)
}
