//! Reading captures of every container format, whole and damaged, and writing them.

mod build;
mod damage;
mod formats;
mod refusals;
mod writing;

use std::io::Read;

use finrace::capture::{LinkType, Reader, ReaderSummary};

use build::Order;

const BOTH: [Order; 2] = [Order::Little, Order::Big];

/// A record that outlives its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owned {
    time_ns: i64,
    link: LinkType,
    interface: u32,
    wire_len: u32,
    data: Vec<u8>,
}

/// All records of a capture, and the summary after the last.
fn read(capture: &[u8]) -> (Vec<Owned>, ReaderSummary) {
    read_from(Box::new(std::io::Cursor::new(capture.to_vec())))
}

fn read_from(input: Box<dyn Read + Send>) -> (Vec<Owned>, ReaderSummary) {
    let mut reader = Reader::from_read("test", input).expect("a capture");
    let mut records = Vec::new();
    while let Some(record) = reader.next().expect("no input error") {
        records.push(Owned {
            time_ns: record.time_ns,
            link: record.link,
            interface: record.interface,
            wire_len: record.wire_len,
            data: record.data.to_vec(),
        });
    }
    (records, reader.summary())
}
