//! Whatever the container, the report is the same.

use std::fs;
use std::path::PathBuf;

use finrace::analysis::{self, Options};
use finrace::capture::Reader;
use finrace::report::Report;
use flate2::read::MultiGzDecoder;

use super::recipes::{Recipe, all};
use super::{everything, folder, open, original, read};

/// Set to anything, it lets the test write the captures anew.
const BLESS: &str = "FINRACE_BLESS";

pub fn path(recipe: &Recipe) -> PathBuf {
    folder().join(recipe.name)
}

/// What must be as the recipe says. gzip's bytes depend on the processor they were made by: what they unpack to counts.
fn comparable(bytes: &[u8]) -> Vec<u8> {
    if bytes.starts_with(b"\x1f\x8b") { everything(MultiGzDecoder::new(bytes)) } else { bytes.to_vec() }
}

#[test]
fn the_captures_are_what_their_recipes_make() {
    let mut differ = Vec::new();
    for recipe in all() {
        if std::env::var_os(BLESS).is_some() {
            fs::write(path(&recipe), recipe.bytes()).expect("a folder to write to");
        }
        let kept = fs::read(path(&recipe)).unwrap_or_default();
        if kept.is_empty() || comparable(&kept) != comparable(&recipe.bytes()) {
            differ.push(recipe.name);
        }
    }
    assert!(
        differ.is_empty(),
        "captures/formats/containers: {differ:?} are not what their recipes make; if the recipe is right, write them \
         anew: {BLESS}=1 cargo test --test containers"
    );
}

#[test]
fn the_folder_holds_nothing_else_and_the_readme_names_all() {
    let readme = fs::read_to_string(folder().join("README.md")).expect("a README");
    let mut expected: Vec<String> = all().iter().map(|recipe| recipe.name.to_owned()).collect();
    for name in &expected {
        assert!(readme.contains(&format!("| `{name}` |")), "README.md does not name {name}");
    }
    expected.push("README.md".to_owned());
    expected.sort();
    let mut there: Vec<String> = fs::read_dir(folder())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    there.sort();
    assert_eq!(there, expected);
}

fn report(reader: Reader) -> Report {
    analysis::analyze(vec![reader], &Options { connections: true, ..Options::default() })
}

#[test]
fn the_incidents_are_those_of_the_original() {
    let plain = report(open(&original()).expect("a capture"));
    assert_eq!(plain.incidents.len(), 1);
    for recipe in all() {
        let given = report(Reader::open(&path(&recipe)).expect(recipe.name));
        let capture = &given.captures[0];
        assert_eq!((&capture.format[..], &capture.truncated), (recipe.format, &None), "{}", recipe.name);
        assert_eq!(given.summary.tcp_packets, plain.summary.tcp_packets, "{}", recipe.name);
        assert_eq!(given.incidents.len(), 1, "{}", recipe.name);
        let mut incident = given.incidents[0].clone();
        let mut expected = plain.incidents[0].clone();
        for frame in expected.frames.values_mut() {
            *frame = recipe.frames[*frame as usize - 1];
        }
        assert_eq!(incident.frames, expected.frames, "{}", recipe.name);
        // Sentences repeat frame numbers and times, which are compared above and below.
        for incident in [&mut incident, &mut expected] {
            incident.evidence.clear();
            incident.counter_evidence.clear();
            incident.what_happened.clear();
        }
        if recipe.timed {
            assert_eq!(incident, expected, "{}", recipe.name);
        } else {
            let facts = |incident: finrace::report::Incident| {
                (incident.cause, incident.stream, incident.client, incident.server, incident.request.path)
            };
            assert_eq!(facts(incident), facts(expected), "{}", recipe.name);
        }
    }
}

#[test]
fn the_packets_are_those_of_the_original() {
    const ETHERNET_HEADER_LEN: usize = 14;
    let (plain, _) = read(&original()).expect("a capture");
    for recipe in all() {
        let (records, summary) = read(&recipe.bytes()).expect(recipe.name);
        assert_eq!(summary.packets, records.len() as u64);
        assert!(recipe.frames.len() == plain.len() && records.len() >= plain.len(), "{}", recipe.name);
        for (frame, expected) in recipe.frames.iter().zip(&plain) {
            let record = &records[*frame as usize - 1];
            if recipe.timed {
                assert_eq!(record.time_ns, expected.time_ns, "{} frame {frame}", recipe.name);
            }
            let data = &expected.data[expected.data.len() - record.data.len()..];
            assert_eq!(record.data, data, "{} frame {frame}", recipe.name);
            assert!(record.data.len() >= expected.data.len() - ETHERNET_HEADER_LEN);
        }
    }
}
