//! The command as people use it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::common::finrace::{finrace, json, output, text};

/// The answer to a text that comes through a pipe.
pub fn explained(written: &str, code: i32) -> Value {
    json(&piped(&["--format", "json"], written.as_bytes()), code)
}

fn piped(options: &[&str], bytes: &[u8]) -> Output {
    let mut command: Command = finrace(["explain", "-"].iter().chain(options));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(bytes).expect("the program reads");
    child.wait_with_output().expect("an end")
}

#[test]
fn words_are_a_text_and_so_are_files_and_pipes() {
    let line = "upstream prematurely closed connection while reading response header from upstream";
    let whole = output(&mut finrace(["explain", line]));
    let words = output(finrace(["explain"]).args(line.split(' ')));
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), format!("{line}\n")).expect("a file");
    let filed = output(finrace(["explain"]).arg(file.path()));
    for answer in [&whole, &words, &filed, &piped(&[], line.as_bytes())] {
        assert_eq!(answer.status.code(), Some(0), "{}", text(&answer.stderr));
        assert_eq!(text(&answer.stdout), text(&whole.stdout));
    }
    assert!(text(&whole.stdout).contains("crossed-fin fits well"));
}

#[test]
fn codes_stand_for_themselves() {
    for (code, id) in [
        (&["SH--"][..], "haproxy-SH"),
        (&["503", "UC"], "envoy-UC"),
        (&["H13"], "heroku-H13"),
        (&["520"], "cloudflare-520"),
        (&["502"], "status-502"),
        (&["curl", "52"], "curl-52"),
        (&["errno", "104"], "errno-reset"),
        (&["ECONNRESET"], "errno-reset"),
    ] {
        let answer = json(&output(finrace(["explain", "--format", "json"]).args(code)), 0);
        assert_eq!(answer["messages"][0]["id"], id, "{code:?}");
    }
}

#[test]
fn what_is_not_known_is_said_with_exit_code_three() {
    for words in [&["hello"][..], &["200", "OK"], &["the widget was reset"]] {
        let answer = output(finrace(["explain"]).args(words));
        assert_eq!(answer.status.code(), Some(3), "{words:?}");
        assert!(text(&answer.stdout).contains("No message that finrace knows"), "{}", text(&answer.stdout));
    }
    assert_eq!(piped(&[], b"").status.code(), Some(3));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    for words in [
        &["explain"][..],
        &["explain", ""],
        &["explain", "--format", "csv", "x"],
        &["explain", "x", "--list"],
    ] {
        assert_eq!(output(&mut finrace(words)).status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn hostile_text_reaches_no_terminal() {
    let hostile = b"\x1b]0;owned\x07\x1b[2Jsocket hang up \xe2\x80\xae\xff\x00 \xc2\x9b2J | <script> `x`\n\x1b[31mit was reset\x07\n";
    for format in ["table", "markdown", "chat", "json"] {
        let answer = piped(&["--format", format, "--color", "never"], hostile);
        assert_eq!(answer.status.code(), Some(0));
        let said = text(&answer.stdout);
        assert!(said.contains("socket hang up"), "{said}");
        assert!(!said.chars().any(|letter| letter.is_control() && letter != '\n'), "{format}: {said:?}");
        assert!(!said.contains('\u{202e}'), "{format}: {said:?}");
    }
}

/// A log without line ends, and one of very many lines: both end, and are counted.
#[test]
fn large_input_is_read_in_bounded_pieces() {
    let mut endless = vec![b'x'; 8 << 20];
    endless.extend_from_slice(b"\nsocket hang up\n");
    let answer = json(&piped(&["--format", "json"], &endless), 0);
    assert_eq!((&answer["cut_lines"], &answer["lines"]), (&1.into(), &2.into()));
    let many = "Error: socket hang up\nall is well\n".repeat(20_000);
    let answer = json(&piped(&["--format", "json"], many.as_bytes()), 0);
    assert_eq!(answer["messages"][0]["count"], 20_000);
    assert_eq!((&answer["lines"], &answer["recognised_lines"]), (&40_000.into(), &20_000.into()));
}

#[test]
fn an_answer_keeps_to_its_schema() {
    let schema = output(&mut finrace(["schema", "explanation"])).stdout;
    let schema: Value = serde_json::from_slice(&schema).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    for (written, code) in [("socket hang up\nwidget reset\n", 0), ("nothing", 3)] {
        let answer = explained(written, code);
        let mistakes: Vec<String> = validator.iter_errors(&answer).map(|error| error.to_string()).collect();
        assert!(mistakes.is_empty(), "{mistakes:?}");
    }
}

/// docs/messages.md is the list that the program prints. `FINRACE_BLESS=1` writes it.
#[test]
fn the_list_in_the_documents_is_the_one_that_the_program_prints() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/messages.md");
    let head = "# Messages that `finrace explain` knows\n\nPrinted by `finrace explain --list`. The sources are data files in \
                `src/messages/data`, with the patterns and examples. *Measured* means: written by that product on this \
                project's own lab; the others are as their documentation, sources or users give them. How to read the \
                causes: [explain.md](explain.md).\n\n";
    let list = head.to_owned() + &text(&output(&mut finrace(["explain", "--list"])).stdout);
    if std::env::var_os("FINRACE_BLESS").is_some() {
        std::fs::write(&path, &list).expect("a document that can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == list, "docs/messages.md: FINRACE_BLESS=1 cargo test --test explain list");
}
