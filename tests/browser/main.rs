//! The HTML report in a real browser: pages that finrace writes are opened from disk in headless Chromium and used.
//!
//! `make browser` installs what this needs: Chromium, Node.js, and the packages of `tests/browser/package.json` in
//! `target/browser`. What the browser does is in `drive.js`.

mod capture;
mod mermaid;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use capture::{Capture, Loss, Telling};

const FINRACE: &str = env!("CARGO_BIN_EXE_finrace");

/// The page of these captures, written by the program.
fn page(captures: &[&Path], page: &Path, code: i32) {
    let output = run(Command::new(FINRACE).arg("analyze").args(captures).arg("-o").arg(page));
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `make browser` installs what is missing"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn labelled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(name).join("server.pcap")
}

/// Where `make browser` puts the packages.
fn packages() -> PathBuf {
    let build = Path::new(FINRACE).parent().and_then(Path::parent).expect("target/debug/finrace");
    build.join("browser/node_modules")
}

fn chromium() -> PathBuf {
    if let Some(program) = std::env::var_os("FINRACE_CHROMIUM") {
        return program.into();
    }
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let found = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.into_iter().find(|program| program.is_file()).unwrap_or_else(|| {
        panic!("no Chromium in PATH: `make browser` installs it, or FINRACE_CHROMIUM names one")
    })
}

/// Does in the browser what one part of `drive.js` says; returns what it measured.
fn drive(part: &str, pages: &[&Path]) -> String {
    let packages = packages();
    assert!(
        packages.join("puppeteer-core").is_dir(),
        "no {}: `make browser` installs it",
        packages.display()
    );
    let profile = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/drive.js");
    let mut command = Command::new("node");
    command.arg(script).arg(part).args(pages);
    command.env("FINRACE_PACKAGES", packages).env("FINRACE_CHROMIUM", chromium());
    command.env("FINRACE_PROFILE", profile.path());
    let output = run(&mut command);
    let (said, complaint) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{part}: {said}{complaint}");
    said
}

#[test]
fn incidents_are_found_sorted_and_opened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("report.html");
    let captures: Vec<PathBuf> =
        ["crossed-fin", "stale-reuse", "died-mid-request-fin", "crossed-fin-large-post", "mismatched-pair"]
            .map(labelled)
            .to_vec();
    let captures: Vec<&Path> = captures.iter().map(PathBuf::as_path).collect();
    page(&captures, &report, 1);
    drive("incidents", &[&report]);
}

#[test]
fn colours_follow_the_system_and_the_switch_and_paper_is_light() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("report.html");
    page(&[&labelled("crossed-fin"), &labelled("stale-reuse")], &report, 1);
    drive("colours", &[&report]);
}

#[test]
fn without_javascript_verdict_servers_and_table_are_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [lost, healthy] = ["lost.html", "healthy.html"].map(|name| folder.path().join(name));
    page(&[&labelled("crossed-fin")], &lost, 1);
    page(&[&labelled("mismatched-pair")], &healthy, 0);
    drive("plain", &[&lost, &healthy]);
}

#[test]
fn hostile_paths_and_file_names_stay_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = "\u{202e}'\"><img src=x onerror=alert(1)><!--\u{2028}&amp;.pcap";
    let (hostile, report) = (folder.path().join(name), folder.path().join("report.html"));
    let mut capture = Capture::default();
    for (number, path) in (0..).zip([
        "/</script><script>document.title='hurt'</script>",
        "/\"><img/src=x/onerror=\"document.title='hurt'\">",
        "/</style><style>*{display:none}</style>",
        "/-->{{policy}}<!--rows--><svg/onload=document.title='hurt'>",
        "/__proto__/constructor/&lt;b&gt;",
    ]) {
        capture.tell(&Telling { number, server: 0, at_us: 9_000, path, loss: Loss::CrossedFin });
    }
    capture.write(&hostile);
    page(&[&hostile], &report, 1);
    drive("hostile", &[&report]);
}

#[test]
fn ten_thousand_incidents_are_one_page() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [capture, report] = ["many.pcap", "report.html"].map(|name| folder.path().join(name));
    Capture::of_many(10_000).write(&capture);
    page(&[&capture], &report, 1);
    print!("{}", drive("many", &[&report]));
}

#[test]
fn the_same_capture_is_the_same_page() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [capture, report, again] =
        ["some.pcap", "report.html", "again.html"].map(|name| folder.path().join(name));
    Capture::of_many(200).write(&capture);
    page(&[&capture], &report, 1);
    page(&[&capture], &again, 1);
    assert!(fs::read(&report).expect("a page") == fs::read(&again).expect("a page"), "byte for byte");
}

#[test]
fn one_incident_is_a_page_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [lost, whole] = ["incident.html", "connection.html"].map(|name| folder.path().join(name));
    for (words, page) in [(&["1"][..], &lost), (&["0", "--stream"][..], &whole)] {
        let name = if page == &lost { "crossed-fin" } else { "mismatched-pair" };
        let output =
            run(Command::new(FINRACE).arg("show").arg(labelled(name)).args(words).arg("-o").arg(page));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    drive("alone", &[&lost, &whole]);
}
