//! `analyze --postmortem`: a folder that tells the whole story, also to those who have nothing but it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::Output;

use sha2::{Digest, Sha256};

use super::common::finrace::{finrace, output, text};
use super::files::captures;
use super::redacted::addresses;

/// Runs `analyze` on a capture with a folder for its postmortem.
fn analyze(capture: &OsStr, folder: &Path, more: &[&str], input: Option<File>) -> Output {
    let mut command =
        finrace([OsStr::new("analyze"), capture, OsStr::new("--postmortem"), folder.as_os_str()]);
    command.args(more);
    if let Some(input) = input {
        command.stdin(input);
    }
    output(&mut command)
}

fn labelled(name: &str) -> std::path::PathBuf {
    captures().join(name)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn page(folder: &Path) -> String {
    fs::read_to_string(folder.join("postmortem.md")).expect("a page")
}

#[test]
fn page_pictures_and_annotated_capture_are_written_and_never_over_others() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let folder = parent.path().join("new/found");
    let capture = labelled("crossed-fin/server.pcap");
    let first = analyze(capture.as_os_str(), &folder, &["--format", "json"], None);
    assert_eq!(first.status.code(), Some(1), "as without a postmortem: {}", text(&first.stderr));
    assert!(serde_json::from_slice::<serde_json::Value>(&first.stdout).is_ok(), "the report as ever");
    let all = [
        "ladder-1-crossed-fin.png",
        "ladder-1-crossed-fin.svg",
        "postmortem.md",
        "server.annotated.pcapng",
        "timeline-1.png",
        "timeline-1.svg",
    ];
    assert_eq!(names(&folder), all);
    let said = text(&first.stderr);
    assert!(all.iter().all(|name| said.contains(name)) && said.lines().count() == 1, "{said}");
    let page = page(&folder);
    let digest: String = Sha256::digest(fs::read(&capture).expect("a capture"))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(page.contains(&digest), "{page}");
    for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(folder.join(link).is_file(), "{link} is not there");
    }

    let again = analyze(capture.as_os_str(), &folder, &[], None);
    assert_eq!((again.status.code(), text(&again.stdout)), (Some(2), String::new()));
    assert!(text(&again.stderr).contains("is not empty: empty it, or name another folder"), "{again:?}");
}

#[test]
fn the_exit_code_is_that_of_the_analysis() {
    for (name, code, title) in [
        ("mismatched-pair/client.pcap", 0, "# No request was lost yet"),
        ("safe-pair/client.pcap", 0, "# No request was lost\n"),
        ("tls-http2/client.pcap", 3, "# Inconclusive: whether requests were lost cannot be told\n"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let done = analyze(labelled(name).as_os_str(), folder.path(), &[], None);
        assert_eq!(done.status.code(), Some(code), "{name}: {}", text(&done.stderr));
        assert!(page(folder.path()).starts_with(title), "{name}: {}", page(folder.path()));
        let drawn = names(folder.path());
        assert!(drawn.contains(&"timeline-1.svg".to_owned()), "{name}: {drawn:?}");
        let spread = drawn.contains(&"idle-times-1.svg".to_owned());
        assert_eq!(spread, name.starts_with("mismatched-pair"), "{name}: {drawn:?}");
        assert!(
            !drawn.iter().any(|name| name.starts_with("ladder") || name.ends_with("pcapng")),
            "{drawn:?}"
        );
    }
}

#[test]
fn a_pipe_gives_a_page_without_pictures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = File::open(labelled("crossed-fin/server.pcap")).expect("a capture");
    let done = analyze(OsStr::new("-"), folder.path(), &[], Some(input));
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    assert_eq!(names(folder.path()), ["postmortem.md"]);
    let page = page(folder.path());
    assert!(page.contains("it came by a pipe") && page.contains("| 8 | request |"), "{page}");
}

#[test]
fn with_redact_it_names_nobody() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let (capture, folder) = (parent.path().join("customer.pcap"), parent.path().join("found"));
    fs::copy(labelled("crossed-fin/server.pcap"), &capture).expect("a copy");
    let done = analyze(capture.as_os_str(), &folder, &["--redact", "--server", "192.0.2.2"], None);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    let files = names(&folder);
    assert!(!files.iter().any(|name| name.ends_with("pcapng")), "captures name everybody: {files:?}");
    let texts: Vec<&String> = files.iter().filter(|name| !name.ends_with("png")).collect();
    assert_eq!(texts.len(), 3, "{files:?}");
    for name in texts {
        let said = fs::read_to_string(folder.join(name)).expect("text");
        assert_eq!(addresses(&said), Vec::<String>::new(), "{name}: {said}");
        assert!(!said.contains("orders") && !said.contains("customer"), "{name}: {said}");
        assert!(said.contains("backend-1"), "{name}: {said}");
    }
}
