//! `analyze --annotate`: comments on the packets that decide, and nothing else changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use finrace::analysis;
use finrace::capture::{Copied, Interrupt};
use finrace::destination::Destination;

use super::common::finrace::{finrace, output, text};
use super::common::tshark;
use super::files::{blocks, captures, formats, labelled, name, records, report};

const SECTION: u32 = 0x0a0d_0d0a;
const PACKETS: [u32; 2] = [2, 6];

fn annotate(input: &Path, target: &Path) -> Copied {
    let target = Destination::of(target).expect("a place");
    analysis::annotate(&report(input), 0, input, &target, &Interrupt::default())
        .unwrap_or_else(|error| panic!("{}: {error}", input.display()))
}

#[test]
fn records_of_every_container_stay_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in formats("containers").into_iter().chain(labelled()) {
        let copy = folder.path().join("copy.pcapng");
        let copied = annotate(&path, &copy);
        assert_eq!(records(&copy), records(&path), "{}", name(&path));
        assert_eq!(copied.truncated, None, "{}", name(&path));
        let (before, after) = (report(&path), report(&copy));
        assert_eq!(before.incidents, after.incidents, "{}", name(&path));
        assert_eq!(before.captures[0].dropped_by_kernel, after.captures[0].dropped_by_kernel);
    }
}

#[test]
fn blocks_stay_as_they_are_unless_they_get_a_comment() {
    let folder = tempfile::tempdir().expect("a folder");
    let is_plain = |path: &std::path::PathBuf| path.extension().is_some_and(|ending| ending == "pcapng");
    for path in formats("containers").into_iter().filter(is_plain) {
        let copy = folder.path().join("copy.pcapng");
        let copied = annotate(&path, &copy);
        let (before, after) =
            (blocks(&fs::read(&path).expect("a file")), blocks(&fs::read(&copy).expect("a file")));
        assert_eq!(before.len(), after.len(), "{}", name(&path));
        let mut changed = 0;
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.kind, after.kind, "{}", name(&path));
            if before == after || before.kind == SECTION {
                continue;
            }
            assert!(PACKETS.contains(&before.kind), "{}: type {}", name(&path), before.kind);
            changed += 1;
            // The options that were there follow the new one.
            let end = before.bytes.len() - 4;
            let options = &before.bytes[end.saturating_sub(20)..end];
            assert!(
                before.kind != 6 || after.bytes[..after.bytes.len() - 4].ends_with(options),
                "{}: options are gone",
                name(&path)
            );
        }
        let frames: BTreeSet<u64> =
            report(&path).incidents.iter().flat_map(|it| it.frames.values().copied()).collect();
        assert_eq!(changed + copied.uncommented.len(), frames.len(), "{}", name(&path));
        assert_eq!(copied.uncommented.is_empty(), !path.ends_with("simple.pcapng"), "{}", name(&path));
    }
}

#[test]
fn tshark_finds_the_comments_and_the_same_packets() {
    const FIELDS: [&str; 5] =
        ["frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.protocols"];
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy.pcapng");
    for file in ["sections.pcapng", "clocks.pcapng", "ns-be.pcap"] {
        let path = captures().join("formats/containers").join(file);
        annotate(&path, &copy);
        assert_eq!(tshark::fields(&copy, &FIELDS), tshark::fields(&path, &FIELDS), "{file}");
    }
    let comments: BTreeMap<String, String> = tshark::fields(&copy, &["frame.number", "frame.comment"])
        .into_iter()
        .map(|fields| (fields[0].clone(), fields[1].clone()))
        .filter(|(_, comment)| !comment.is_empty())
        .collect();
    let proven: BTreeSet<String> = report(&copy).incidents[0].frames.values().map(u64::to_string).collect();
    assert_eq!(comments.keys().cloned().collect::<BTreeSet<_>>(), proven);
    let request = &comments["7"];
    assert!(
        request.starts_with("finrace: incident 1, crossed-fin (certain): the lost request, POST /orders; ")
            && request.contains("the request acknowledges 48, the FIN is number 48"),
        "{request}"
    );
}

#[test]
fn of_a_cut_capture_everything_that_can_be_read_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cut, copy) = (folder.path().join("cut"), folder.path().join("copy.pcapng"));
    for file in ["us-le.pcap", "be.pcapng", "between.pcapng", "us-le.pcap.gz"] {
        let whole = fs::read(captures().join("formats/containers").join(file)).expect("a file");
        for len in (200..whole.len()).step_by(41) {
            fs::write(&cut, &whole[..len]).expect("a file");
            let copied = annotate(&cut, &copy);
            assert_eq!(records(&copy), records(&cut), "{file} cut at {len}");
            let is_cut = report(&cut).captures[0].truncated.is_some();
            assert_eq!(copied.truncated.is_some(), is_cut, "{file} cut at {len}");
        }
    }
}

#[test]
fn several_captures_are_annotated_in_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("annotated");
    let one = captures().join("crossed-fin/client.pcap");
    let other = captures().join("stale-reuse/client.pcap");
    let run = output(finrace(["analyze"]).args([&one, &other]).arg("--annotate").arg(&target));
    assert_eq!(run.status.code(), Some(1), "{}", text(&run.stderr));
    assert_eq!(records(&target.join("client.annotated.pcapng")), records(&one));
    assert_eq!(records(&target.join("client-2.annotated.pcapng")), records(&other));
}

#[test]
fn a_capture_is_not_overwritten_by_its_copy() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("race.pcap");
    let original = fs::read(captures().join("crossed-fin/client.pcap")).expect("a file");
    fs::write(&path, &original).expect("a file");
    let run = output(finrace(["analyze"]).arg(&path).arg("--annotate").arg(&path));
    assert_eq!(run.status.code(), Some(2));
    assert!(
        text(&run.stderr).contains("is read by the same command and would be lost"),
        "{}",
        text(&run.stderr)
    );
    assert_eq!(fs::read(&path).expect("a file"), original);
    let pipe = output(finrace(["analyze", "-", "--annotate"]).arg(folder.path().join("x.pcapng")));
    assert_eq!(pipe.status.code(), Some(2));
    assert!(text(&pipe.stderr).contains("save it to a file first"), "{}", text(&pipe.stderr));
}
