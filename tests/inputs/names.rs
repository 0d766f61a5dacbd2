//! Names and paths that would steer a terminal, a spreadsheet or a page, if they were let.

use std::fs;

use tempfile::TempDir;

use super::common::finrace::text;
use super::files::{Capture, run_in};

/// Clears the screen, begins a formula, and breaks out of a table.
const NAME: &str = "=cmd|' \x1b[2J\u{202e}<b>`x`.pcap";

fn folder() -> TempDir {
    Capture::of("crossed-fin/client.pcap").split(&[(NAME, 0)])
}

fn has_no_controls(said: &str) {
    let hidden =
        said.chars().find(|letter| (letter.is_control() && *letter != '\n') || *letter == '\u{202e}');
    assert_eq!(hidden, None, "{said:?}");
}

#[test]
fn a_file_name_cannot_steer_the_terminal() {
    let folder = folder();
    for format in ["table", "json", "ndjson", "csv", "markdown", "chat"] {
        let printed = run_in(&folder, &["analyze", "--format", format, NAME]);
        assert_eq!(printed.status.code(), Some(1));
        // A record of CSV ends in CR LF.
        let said = text(&printed.stdout).replace("\r\n", "\n");
        // JSON escapes what ASCII calls a control; the rest is letters to it.
        if !format.contains("json") {
            has_no_controls(&said);
        }
        assert!(!said.contains('\x1b'), "{format}: {said:?}");
    }
    let page = text(&run_in(&folder, &["analyze", NAME]).stdout);
    assert!(page.contains("=cmd|' \\x1b[2J\\u{202e}<b>`x`.pcap: "), "{page}");
}

/// The command that shows an incident can be copied, whatever the name.
#[cfg(unix)]
#[test]
fn the_command_to_show_an_incident_names_the_file_to_a_shell() {
    let folder = folder();
    let page = text(&run_in(&folder, &["analyze", NAME]).stdout);
    let command =
        page.lines().find_map(|line| line.strip_prefix("Show it         finrace ")).expect("a command");
    let script = format!("printf %s {}", command.strip_suffix(" 1 -o race.svg").expect("the end of it"));
    let shell = std::process::Command::new("bash").args(["-c", &script]).output().expect("bash");
    assert_eq!(text(&shell.stdout), format!("show{NAME}"));
}

#[test]
fn a_file_name_in_a_message_cannot_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(NAME), "no capture").unwrap();
    for words in
        [&["analyze", NAME][..], &["show", NAME], &["timeouts", NAME], &["analyze", "\x1b]0;x\x07/y.pcap"]]
    {
        let printed = run_in(&folder, words);
        assert_eq!(printed.status.code(), Some(2));
        let said = text(&printed.stderr);
        has_no_controls(&said);
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let said = text(&run_in(&folder, &["show", NAME, "99"]).stderr);
    has_no_controls(&said);
}

#[test]
fn a_file_name_is_no_formula_in_a_spreadsheet() {
    let printed = text(&run_in(&folder(), &["analyze", "--format", "csv", NAME]).stdout);
    let row = printed.lines().nth(1).expect("an incident");
    assert!(row.starts_with("1,crossed-fin,certain,true,'=cmd|' \\x1b[2J"), "{row}");
}

/// A path is the attacker's; what is not printable ASCII never gets this far.
#[test]
fn a_path_is_text_everywhere() {
    let mut race = Capture::of("crossed-fin/client.pcap");
    for record in &mut race.records {
        if let Some(at) = record.windows(7).position(|bytes| bytes == b"/orders") {
            record[at..at + 7].copy_from_slice(b"/<b>|`*");
        }
    }
    let folder = race.split(&[("race.pcap", 0)]);
    let said = |format| text(&run_in(&folder, &["analyze", "--format", format, "race.pcap"]).stdout);
    let code = "<code>POST /&#60;b&#62;&#124;&#96;&#42;</code>";
    assert!(said("markdown").contains(code), "{}", said("markdown"));
    assert!(said("csv").contains(",POST /<b>|`*,"), "{}", said("csv"));
    assert!(said("json").contains(r#""path": "/<b>|`*""#), "{}", said("json"));
    assert_eq!(run_in(&folder, &["show", "race.pcap", "-o", "race.svg"]).status.code(), Some(0));
    let picture = fs::read_to_string(folder.path().join("race.svg")).unwrap();
    assert!(picture.contains("/&lt;b&gt;|`*") && !picture.contains("<b>"), "the picture is XML");
}
