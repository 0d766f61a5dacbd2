//! Reading captures of every container format, whole and damaged, and writing them.

mod batches;
mod build;
mod damage;
mod formats;
mod refusals;
mod writing;

use std::io::Read;

use finrace::capture::{LinkType, Reader, ReaderSummary, Record};

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

impl From<Record<'_>> for Owned {
    fn from(record: Record<'_>) -> Owned {
        let Record { time_ns, link, interface, wire_len, data } = record;
        Owned { time_ns, link, interface, wire_len, data: data.to_vec() }
    }
}

/// All records of a capture, and the summary after the last: the same whether they are asked for one by one or in batches.
fn read(capture: &[u8]) -> (Vec<Owned>, ReaderSummary) {
    let input = || Box::new(std::io::Cursor::new(capture.to_vec()));
    let one_by_one = read_from(input());
    assert_eq!(batches::read_from(input()), one_by_one, "in batches");
    one_by_one
}

fn read_from(input: Box<dyn Read + Send>) -> (Vec<Owned>, ReaderSummary) {
    let mut reader = Reader::from_read("test", input).expect("a capture");
    let mut records = Vec::new();
    while let Some(record) = reader.next().expect("no input error") {
        records.push(Owned::from(record));
    }
    (records, reader.summary())
}
