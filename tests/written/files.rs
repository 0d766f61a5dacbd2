//! The captures of this repository, and what is read from one.

use std::fs;
use std::path::{Path, PathBuf};

use finrace::analysis::{self, Options};
use finrace::capture::{LinkType, Reader};
use finrace::report::Report;

/// A record that outlives its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    pub time_ns: i64,
    pub link: LinkType,
    pub interface: u32,
    pub wire_len: u32,
    pub data: Vec<u8>,
}

pub fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

/// Both captures of each labelled story.
pub fn labelled() -> Vec<PathBuf> {
    let stories = sorted(&captures()).into_iter().filter(|path| path.is_dir() && !path.ends_with("formats"));
    stories.flat_map(|story| [story.join("client.pcap"), story.join("server.pcap")]).collect()
}

/// The captures of one story in many formats.
pub fn formats(kind: &str) -> Vec<PathBuf> {
    let files = sorted(&captures().join("formats").join(kind));
    files.into_iter().filter(|path| path.extension().is_none_or(|ending| ending != "md")).collect()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}", folder.display());
    paths
}

/// `crossed-fin/client.pcap`, for messages and keys.
pub fn name(path: &Path) -> String {
    path.strip_prefix(captures()).unwrap_or(path).display().to_string()
}

pub fn records(path: &Path) -> Vec<Owned> {
    let mut reader = Reader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut records = Vec::new();
    while let Some(record) = reader.next().expect("a record") {
        records.push(Owned {
            time_ns: record.time_ns,
            link: record.link,
            interface: record.interface,
            wire_len: record.wire_len,
            data: record.data.to_vec(),
        });
    }
    records
}

pub fn report(path: &Path) -> Report {
    let reader = Reader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    analysis::analyze(vec![reader], &Options { connections: true, ..Options::default() })
}

/// A pcapng block: its type, and all of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub kind: u32,
    pub bytes: Vec<u8>,
}

/// The blocks of a file, each in its section's byte order.
pub fn blocks(file: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut rest, mut big) = (file, false);
    while !rest.is_empty() {
        if rest.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            big = rest[8..12] == [0x1a, 0x2b, 0x3c, 0x4d];
        }
        let number = |at: usize| {
            let raw = rest[at..at + 4].try_into().expect("four bytes");
            if big { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) }
        };
        let (bytes, behind) = rest.split_at(number(4) as usize);
        blocks.push(Block { kind: number(0), bytes: bytes.to_vec() });
        rest = behind;
    }
    blocks
}
