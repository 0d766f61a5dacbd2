//! The captures to analyze, and the order in which they are read.

use std::fs;
use std::path::{Path, PathBuf};

use crate::capture::{CaptureError, Interrupt, Reader};

use super::family::Name;

/// One capture to analyze.
pub struct Input(Kind);

enum Kind {
    /// Read when it is its turn: a ring may have more files than a process may open.
    File(Box<Listed>),
    /// Open already, because it can be read only once.
    Open(Box<Reader>),
}

/// A file that was found readable.
#[derive(Debug)]
pub(super) struct Listed {
    pub path: PathBuf,
    pub name: Name,
    /// Tells the same file under two names.
    canonical: PathBuf,
    /// Time of its first record; none where it has none.
    pub first_ns: Option<i64>,
    pub bytes: u64,
}

impl Input {
    /// Looks at a capture: opens it, reads the time of its first record, and closes it again. A pipe (`-`, a FIFO) stays
    /// open.
    ///
    /// # Errors
    /// If it cannot be opened or read, is empty, or is no capture.
    pub fn look_at(path: &Path, interrupt: &Interrupt) -> Result<Input, CaptureError> {
        let file = fs::metadata(path).ok().filter(|metadata| metadata.is_file() && path.as_os_str() != "-");
        let mut reader = Reader::open_with(path, interrupt)?;
        let Some(file) = file else { return Ok(Input::from(reader)) };
        // What is wrong with the first record is told when the file is read.
        let first_ns = reader.peek_time().ok().flatten();
        Ok(Input(Kind::File(Box::new(Listed {
            path: path.to_owned(),
            name: Name::of(path),
            canonical: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            first_ns,
            bytes: file.len(),
        }))))
    }

    /// Whether this capture comes while it is read, and cannot be read twice.
    pub fn is_pipe(&self) -> bool {
        matches!(self.0, Kind::Open(_))
    }
}

impl From<Reader> for Input {
    /// A capture that is open already is a trace of its own.
    fn from(reader: Reader) -> Input {
        Input(Kind::Open(Box::new(reader)))
    }
}

/// Files whose names allow that they are one ring, in the order of their first packets.
pub(super) type Group = Vec<Listed>;

/// All captures in the order in which they are to be read.
pub(super) struct Plan {
    /// In the order of first packets.
    pub groups: Vec<Group>,
    /// In the order given.
    pub open: Vec<Reader>,
    /// Files given more than once.
    pub repeated: Vec<PathBuf>,
    /// Bytes of all of them; none where a pipe is among them.
    pub bytes: Option<u64>,
}

impl Plan {
    pub fn of(inputs: Vec<Input>) -> Plan {
        let mut plan = Plan { groups: Vec::new(), open: Vec::new(), repeated: Vec::new(), bytes: Some(0) };
        let mut files: Vec<Listed> = Vec::new();
        for input in inputs {
            match input.0 {
                Kind::Open(reader) => {
                    plan.open.push(*reader);
                    plan.bytes = None;
                }
                Kind::File(file) => files.push(*file),
            }
        }
        let mut known = std::collections::BTreeSet::new();
        files.retain(|file| {
            let new = known.insert(file.canonical.clone());
            if !new {
                plan.repeated.push(file.path.clone());
            }
            new
        });
        plan.bytes = plan.bytes.map(|_| files.iter().map(|file| file.bytes).sum());
        files.sort_by_key(|file| (file.first_ns.is_none(), file.first_ns, file.name.numbers()));
        let mut places = std::collections::BTreeMap::new();
        for file in files {
            let (folder, texts) = file.name.skeleton();
            let place = *places.entry((folder.to_owned(), texts.to_vec())).or_insert(plan.groups.len());
            if place == plan.groups.len() {
                plan.groups.push(Vec::new());
            }
            plan.groups[place].push(file);
        }
        plan
    }
}
