//! One thread and two tell the same, byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use finrace::analysis::{self, Input, Options, Unobserved};
use finrace::capture::Interrupt;

/// The report on captures, as JSON.
fn report(captures: &[PathBuf], threads: usize) -> String {
    let look =
        |path: &PathBuf| Input::look_at(path, &Interrupt::default()).expect("a capture of this project");
    let options = Options { threads, connections: true, ..Options::default() };
    let report = analysis::analyze_inputs(captures.iter().map(look).collect(), &options, &mut Unobserved);
    serde_json::to_string_pretty(&report).expect("a report")
}

fn collect(folder: &Path, captures: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of this project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, captures);
        } else if Input::look_at(&path, &Interrupt::default()).is_ok() {
            captures.push(path);
        }
    }
}

#[test]
fn every_capture_of_this_project_gives_the_same_report() {
    let mut captures = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("captures"), &mut captures);
    captures.sort();
    assert!(captures.len() > 100, "{} captures", captures.len());
    for capture in &captures {
        let capture = std::slice::from_ref(capture);
        assert_eq!(report(capture, 1), report(capture, 2), "{capture:?}");
    }
    assert_eq!(report(&captures, 1), report(&captures, 2), "all together");
}
