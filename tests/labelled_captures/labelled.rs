//! The directories under `captures/`: what each holds, and the report of each capture in them.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use finrace::analysis::{self, Options};
use finrace::capture::Reader;
use finrace::report::{Report, Side};

use super::bytes::{self, Record};
use super::facts::Facts;
use super::story::Story;
use super::wire;

/// Set to anything, it lets the tests write the captures anew from their stories.
pub const BLESS: &str = "FINRACE_BLESS";

pub const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// One directory under `captures/`.
pub struct Labelled {
    pub name: String,
    pub directory: PathBuf,
    pub facts: Facts,
}

/// The directory of captures that hold one story in many formats, with tests of their own.
const FORMATS: &str = "formats";

/// All of them, in the order of their names.
pub fn all() -> Vec<Labelled> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut directories: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap_or_else(|error| panic!("{}: {error}", root.display()))
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.is_dir() && !path.ends_with(FORMATS))
        .collect();
    directories.sort();
    assert!(!directories.is_empty(), "{} holds no labelled captures", root.display());
    directories.into_iter().map(Labelled::open).collect()
}

impl Labelled {
    fn open(directory: PathBuf) -> Labelled {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = directory.join("facts.toml");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let facts = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Labelled { name, directory, facts }
    }

    pub fn capture_path(&self, side: Side) -> PathBuf {
        self.directory.join(format!("{side}.pcap"))
    }

    /// The records of the committed capture of one side.
    pub fn records(&self, side: Side) -> Vec<Record> {
        let path = self.capture_path(side);
        bytes::from_pcap(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The capture file of one side, as the story tells it.
    pub fn told(&self, side: Side) -> Vec<u8> {
        let path = self.directory.join("story.txt");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let story = Story::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        bytes::to_pcap(&bytes::capture(&wire::packets(&story), side, story.ipv6))
    }
}

/// The report on one capture.
pub fn report(records: &[Record]) -> Report {
    let file = Cursor::new(bytes::to_pcap(records));
    let reader = Reader::from_read("labelled", Box::new(file)).expect("a capture");
    analysis::analyze(vec![reader], &Options { connections: true, ..Options::default() })
}
