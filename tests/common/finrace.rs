//! The program under test and what it says.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The program that this build made.
pub const FINRACE: &str = env!("CARGO_BIN_EXE_finrace");

/// The program, with nothing of this terminal that would change its answers.
pub fn finrace<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(FINRACE);
    command.args(arguments).env_remove("NO_COLOR").env_remove("COLUMNS").env("LC_ALL", "C.UTF-8");
    command
}

/// Runs a command to its end.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Standard output as JSON, after an end with this code.
pub fn json(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)))
}

/// The report of `analyze` on one capture.
pub fn analyzed(capture: &Path, code: i32) -> Value {
    let options = ["--format", "json", "--connections"];
    let words = [OsStr::new("analyze"), capture.as_os_str()].into_iter().chain(options.map(OsStr::new));
    json(&output(&mut finrace(words)), code)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
