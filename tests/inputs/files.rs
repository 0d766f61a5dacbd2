//! Captures of the repository, taken apart and put together in other ways.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use super::common::finrace::{finrace, json, output};

/// Seconds, microseconds, captured and original length.
const RECORD_HEADER: usize = 16;

/// Where a capture of the repository is.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(name)
}

/// A classic capture, little-endian, microseconds, as its file header and its records.
pub struct Capture {
    pub header: Vec<u8>,
    pub records: Vec<Vec<u8>>,
}

impl Capture {
    pub fn of(name: &str) -> Capture {
        let path = path(name);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (header, mut rest) = bytes.split_at(24);
        let mut records = Vec::new();
        while !rest.is_empty() {
            let len = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
            let (record, more) = rest.split_at(RECORD_HEADER + len);
            records.push(record.to_vec());
            rest = more;
        }
        Capture { header: header.to_vec(), records }
    }

    /// All of it as a file.
    pub fn bytes(&self) -> Vec<u8> {
        self.part(0..self.records.len())
    }

    /// A file of some of the records.
    pub fn part(&self, records: std::ops::Range<usize>) -> Vec<u8> {
        [self.header.as_slice(), &self.records[records].concat()].concat()
    }

    /// Writes the records into files, each from its number on.
    pub fn split(&self, names: &[(&str, usize)]) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (at, (name, from)) in names.iter().enumerate() {
            let to = names.get(at + 1).map_or(self.records.len(), |(_, next)| *next);
            fs::write(folder.path().join(name), self.part(*from..to)).expect("our own folder");
        }
        folder
    }

    /// A packet that is no IP, some seconds after the last one: time passes on every network.
    pub fn other_packet_after(&self, seconds: u32) -> Vec<u8> {
        let last = self.records.last().map_or(0, |record| second(record));
        let mut record: Vec<u8> =
            [last + seconds, 0, 60, 60].iter().flat_map(|field| field.to_le_bytes()).collect();
        record.extend([0xff; 12]);
        record.extend([0x08, 0x06]);
        record.resize(RECORD_HEADER + 60, 0);
        record
    }
}

/// The seconds of a record's time.
pub fn second(record: &[u8]) -> u32 {
    u32::from_le_bytes(record[..4].try_into().expect("four bytes"))
}

pub fn run_in(folder: &TempDir, words: &[&str]) -> Output {
    output(finrace(words).current_dir(folder.path()))
}

/// The report on some files in a folder.
pub fn analyzed_in(folder: &TempDir, files: &[&str], code: i32) -> Value {
    json(&run_in(folder, &[&["analyze", "--format", "json", "--connections"], files].concat()), code)
}

pub fn notes(report: &Value) -> Vec<&str> {
    let notes = report["summary"]["notes"].as_array().expect("notes");
    notes.iter().map(|note| note.as_str().expect("a sentence")).collect()
}
