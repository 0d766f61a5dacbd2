//! A bounded run of the fuzz targets: captures of this project with seeded mutations, no nightly compiler needed.
//! A failure names the seed and keeps the input; `FINRACE_FUZZ_SEED` and `FINRACE_FUZZ_RUNS` repeat or prolong a run.

mod found;
mod mutate;
mod targets;

use std::env;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use finrace::capture::Reader;
use mutate::Mutator;

/// Enough to try every seed several times, few enough for a debug build: some seconds a target.
const RUNS: u64 = 4_000;
const SEED: u64 = 0x5020_2bad_6a7e_3a7e;

/// Every capture of this project.
fn captures() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("captures"), &mut files);
    files.sort();
    assert!(files.len() > 100, "{} captures", files.len());
    files.iter().map(|file| fs::read(file).expect("a capture of this project")).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of this project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if !path.extension().is_some_and(|it| ["txt", "toml", "md"].iter().any(|text| it == *text)) {
            files.push(path);
        }
    }
}

/// The packets of a capture, in the form that [`targets::decoder`] takes.
fn packets(capture: &[u8]) -> Vec<u8> {
    let mut reader =
        Reader::from_read("seed", Box::new(std::io::Cursor::new(capture.to_vec()))).expect("a capture");
    let mut bytes = Vec::new();
    while let Some(record) = reader.next().expect("readable") {
        if bytes.is_empty() {
            bytes.extend(record.link.0.to_be_bytes());
        }
        bytes.extend((record.data.len() as u16).to_be_bytes());
        bytes.extend(record.wire_len.to_be_bytes());
        bytes.extend(record.data);
    }
    bytes
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn fuzz(name: &str, seeds: &[Vec<u8>], target: fn(&[u8])) {
    let seed = number("FINRACE_FUZZ_SEED", SEED);
    let mut mutator = Mutator::new(seed);
    for run in 0..number("FINRACE_FUZZ_RUNS", RUNS) {
        let input = mutator.mutate(seeds);
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| target(&input))) {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}-{seed}-{run}"));
            fs::write(&kept, &input).expect("the build's own folder");
            eprintln!("{name}, seed {seed}, run {run}: the input is kept in {}", kept.display());
            panic::resume_unwind(panic);
        }
    }
}

#[test]
fn the_reader_bears_mutated_captures() {
    fuzz("reader", &captures(), targets::reader);
}

#[test]
fn the_decoder_bears_mutated_packets() {
    let seeds: Vec<Vec<u8>> = captures().iter().map(|capture| packets(capture)).collect();
    fuzz("decoder", &seeds, targets::decoder);
}

#[test]
fn the_analysis_bears_mutated_captures() {
    fuzz("analysis", &captures(), targets::analysis);
}

#[test]
fn the_report_of_mutated_captures_can_be_shown() {
    fuzz("report", &captures(), targets::report);
}

/// The corpus that `cargo fuzz` starts from, for `make fuzz`.
#[test]
#[ignore = "writes files: make fuzz runs it"]
fn seeds_for_cargo_fuzz() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let whole = captures();
    let packets: Vec<Vec<u8>> = whole.iter().map(|capture| packets(capture)).collect();
    for (target, seeds) in
        [("reader", &whole), ("decoder", &packets), ("analysis", &whole), ("report", &whole)]
    {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("a folder for seeds");
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed).expect("a seed");
        }
    }
}
