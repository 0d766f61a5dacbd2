//! Many records at a time, in whatever pieces the input comes and however long they are.

use std::io::{self, Cursor, Read};

use finrace::capture::{Batch, Reader, ReaderSummary};

use super::build::{ETHERNET, MICROSECONDS, Order};
use super::{Owned, read};

/// All records of a capture, and the summary after the last, read in batches.
pub fn read_from(input: Box<dyn Read + Send>) -> (Vec<Owned>, ReaderSummary) {
    let mut reader = Reader::from_read("test", input).expect("a capture");
    let mut batch = Batch::new();
    let mut records = Vec::new();
    loop {
        reader.next_batch(&mut batch).expect("no input error");
        if batch.is_empty() {
            return (records, reader.summary());
        }
        records.extend(batch.records().map(Owned::from));
    }
}

/// A capture of packets from 0 to 600,000 bytes, more than twice what a buffer holds at first.
fn capture() -> Vec<u8> {
    let mut bytes = Order::Little.pcap(MICROSECONDS, ETHERNET.into());
    let lens =
        (0..400).flat_map(|number| [number * 7, number % 3]).chain([600_000, 1, 300_000, 0, 262_128, 70]);
    for (number, len) in (0..).zip(lens) {
        let data: Vec<u8> = (0..len).map(|at| (at as u8).wrapping_add(number as u8)).collect();
        bytes.extend(Order::Little.pcap_record(number, 0, len, &data));
    }
    bytes
}

/// Gives bytes in pieces of one length; then an end, or a failure.
struct Pieces {
    bytes: Cursor<Vec<u8>>,
    len: usize,
    fails: bool,
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = out.len().min(self.len);
        match self.bytes.read(&mut out[..len])? {
            0 if self.fails => Err(io::Error::other("the disk is gone")),
            count => Ok(count),
        }
    }
}

#[test]
fn records_are_the_same_in_whatever_pieces_the_input_comes() {
    let (expected, summary) = read(&capture());
    assert_eq!(expected.len(), 806);
    for len in [97, 4_096, 262_143, 262_144, 1 << 20] {
        let pieces = Pieces { bytes: Cursor::new(capture()), len, fails: false };
        assert_eq!(read_from(Box::new(pieces)), (expected.clone(), summary.clone()), "pieces of {len}");
    }
}

#[test]
fn what_was_read_before_a_failure_is_given_before_it_is_told() {
    let pieces = Pieces { bytes: Cursor::new(capture()), len: 1 << 20, fails: true };
    let mut reader = Reader::from_read("test", Box::new(pieces)).expect("a capture");
    let (mut batch, mut records) = (Batch::new(), 0);
    let failure = loop {
        if let Err(failure) = reader.next_batch(&mut batch) {
            break failure;
        }
        assert!(!batch.is_empty(), "an end before the failure");
        records += batch.len();
    };
    assert_eq!(records, 806);
    assert!(failure.to_string().contains("test"), "{failure}");
    reader.next_batch(&mut batch).expect("the failure was told");
    assert!(batch.is_empty(), "the end stays the end");
}

#[test]
fn a_record_alone_is_the_next_one() {
    let mut reader = Reader::from_read("test", Box::new(Cursor::new(capture()))).expect("a capture");
    let (mut batch, mut records) = (Batch::new(), Vec::new());
    loop {
        reader.next_alone(&mut batch).expect("no input error");
        assert!(batch.len() <= 1);
        if batch.is_empty() {
            break;
        }
        records.extend(batch.records().map(Owned::from));
    }
    assert_eq!(records, read(&capture()).0);
}
