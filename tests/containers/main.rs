//! One story in every container and compression: `captures/formats/containers/`.

#[path = "../capture_files/build.rs"]
mod build;
#[path = "../common"]
mod common {
    pub mod tshark;
}
mod cuts;
mod packed;
mod pipes;
mod recipes;
mod same;
mod tshark;

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use finrace::capture::{CaptureError, LinkType, Reader, ReaderSummary};

/// A record that outlives its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owned {
    time_ns: i64,
    link: LinkType,
    interface: u32,
    data: Vec<u8>,
}

/// Where the captures are kept.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/formats/containers")
}

/// The capture that all others are made of.
fn original() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/crossed-fin/client.pcap");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn open(capture: &[u8]) -> Result<Reader, CaptureError> {
    Reader::from_read("test", Box::new(Cursor::new(capture.to_vec())))
}

/// All records of a capture, and the summary after the last.
fn read(capture: &[u8]) -> Result<(Vec<Owned>, ReaderSummary), CaptureError> {
    let mut reader = open(capture)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next()? {
        records.push(Owned {
            time_ns: record.time_ns,
            link: record.link,
            interface: record.interface,
            data: record.data.to_vec(),
        });
    }
    Ok((records, reader.summary()))
}

/// Everything an input gives.
fn everything(mut input: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).expect("a whole stream");
    bytes
}
