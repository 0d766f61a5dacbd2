//! Pipes: record by record, however long they are silent, and over when the user wants.

use std::io::{self, Cursor, Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use finrace::capture::{CaptureError, Interrupt, Reader};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::original;
use super::recipes::{gzip, zstd};

/// Far longer than anything here takes; a test that waits so long has failed.
const TOO_LONG: Duration = Duration::from_secs(60);

/// A reader of a pipe into which the start of a capture has been written.
fn piped(start: &[u8], interrupt: &Interrupt) -> (Reader, io::PipeWriter) {
    let (read, mut write) = io::pipe().expect("a pipe");
    write.write_all(start).expect("room in the pipe");
    (Reader::from_pipe("-", Box::new(read), interrupt).expect("a capture"), write)
}

/// Where each record of the original ends.
fn record_ends() -> Vec<usize> {
    let file = original();
    let mut end = 24;
    let mut ends = Vec::new();
    while end < file.len() {
        end += 16 + u32::from_le_bytes(file[end + 8..end + 12].try_into().expect("four bytes")) as usize;
        ends.push(end);
    }
    ends
}

#[test]
fn each_record_is_given_before_the_next_is_written() {
    let file = original();
    let (mut reader, mut pipe) = piped(&file[..24], &Interrupt::default());
    let mut start = 24;
    for end in record_ends() {
        pipe.write_all(&file[start..end]).unwrap();
        // This returns only because the record is complete: nothing more comes until it has returned.
        assert!(reader.next().unwrap().is_some());
        start = end;
    }
    drop(pipe);
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.summary().truncated, None);
    assert_eq!(reader.bytes_read(), file.len() as u64);
    assert_eq!(reader.bytes_total(), None);
}

#[test]
fn each_record_is_given_when_its_compressor_has_flushed_it() {
    let file = original();
    let (read, write) = io::pipe().unwrap();
    let mut pipe = GzEncoder::new(write, Compression::default());
    pipe.write_all(&file[..24]).unwrap();
    pipe.flush().unwrap();
    let mut reader = Reader::from_pipe("-", Box::new(read), &Interrupt::default()).unwrap();
    let mut start = 24;
    for end in record_ends() {
        pipe.write_all(&file[start..end]).unwrap();
        pipe.flush().unwrap();
        assert!(reader.next().unwrap().is_some());
        start = end;
    }
    drop(pipe.finish().unwrap());
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.summary().truncated, None);
}

#[test]
fn a_pipe_is_drained_while_nobody_asks_for_records() {
    // More than a pipe holds (64 KiB on Linux): the writer would wait for ever if nobody read.
    const RECORDS: usize = 4_000;
    let file = original();
    let first = &file[24..record_ends()[0]];
    let (reader, mut pipe) = piped(&file[..24], &Interrupt::default());
    pipe.write_all(&first.repeat(RECORDS)).unwrap();
    drop(pipe);
    let mut reader = reader;
    while reader.next().unwrap().is_some() {}
    assert_eq!(reader.summary().packets, RECORDS as u64);
}

#[test]
fn an_interrupt_ends_the_waiting_for_a_silent_pipe() {
    let file = original();
    let plain = &file[..record_ends()[1] + 5];
    for start in [plain.to_vec(), flushed(plain)] {
        let interrupt = Interrupt::default();
        let (mut reader, pipe) = piped(&start, &interrupt);
        assert!(reader.next().unwrap().is_some() && reader.next().unwrap().is_some());
        let ended = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| reader.next().map(|record| record.is_none()));
            interrupt.raise();
            waiting.join().unwrap().unwrap()
        });
        assert!(ended);
        assert!(reader.next().unwrap().is_none(), "the end is final");
        let summary = reader.summary();
        assert_eq!(summary.packets, 2);
        assert_eq!(summary.truncated.unwrap(), "the reading was interrupted after 2 packets");
        drop(pipe);
    }
}

/// A gzip stream that is not over.
fn flushed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("writing to memory");
    encoder.flush().expect("writing to memory");
    encoder.get_ref().clone()
}

#[test]
fn an_interrupt_ends_the_reading_of_a_file_at_the_next_record() {
    let interrupt = Interrupt::default();
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.pcap", original()), ("a.pcap.zst", zstd(&original()))] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let interrupt = Interrupt::default();
        let mut reader = Reader::open_with(&path, &interrupt).unwrap();
        assert!(reader.next().unwrap().is_some());
        assert!(reader.peek_time().unwrap().is_some());
        interrupt.raise();
        assert!(reader.next().unwrap().is_none());
        assert_eq!(
            reader.summary().truncated.unwrap(),
            "the reading was interrupted after 1 packet",
            "{name}"
        );
    }
    assert!(!interrupt.is_raised(), "each interrupt is its own");
}

#[test]
fn an_interrupt_after_the_end_changes_nothing() {
    let interrupt = Interrupt::default();
    let mut reader = Reader::from_pipe("-", Box::new(Cursor::new(original())), &interrupt).unwrap();
    while reader.next().unwrap().is_some() {}
    interrupt.raise();
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.summary().truncated, None);
}

#[test]
fn an_interrupt_ends_the_opening_of_a_silent_pipe() {
    let (read, pipe) = io::pipe().unwrap();
    let interrupt = Interrupt::default();
    interrupt.raise();
    let error = Reader::from_pipe("-", Box::new(read), &interrupt).err().expect("an interruption");
    assert!(matches!(error, CaptureError::Interrupted { .. }));
    assert_eq!(error.to_string(), "the reading of standard input was interrupted");
    drop(pipe);
}

/// An endless input that tells when it is dropped.
struct Endless {
    start: Cursor<Vec<u8>>,
    again: Vec<u8>,
    _dropped: mpsc::Sender<()>,
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start.position() == self.start.get_ref().len() as u64 {
            self.start = Cursor::new(self.again.clone());
        }
        self.start.read(out)
    }
}

#[test]
fn the_threads_of_a_dropped_reader_end_and_let_go_of_its_input() {
    let file = original();
    let record = file[24..record_ends()[0]].to_vec();
    let inputs = [
        (file.clone(), record.clone()),
        (gzip(&file), gzip(&record)),
        (gzip(&zstd(&file)), gzip(&zstd(&record))),
    ];
    for (start, again) in inputs {
        let (sender, dropped) = mpsc::channel();
        let input = Endless { start: Cursor::new(start), again, _dropped: sender };
        let mut reader = Reader::from_pipe("endless", Box::new(input), &Interrupt::default()).unwrap();
        assert!(reader.next().unwrap().is_some());
        drop(reader);
        assert_eq!(dropped.recv_timeout(TOO_LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}

#[test]
fn the_time_of_the_next_record_can_be_seen_without_taking_it() {
    let mut reader = Reader::from_read("test", Box::new(Cursor::new(original()))).unwrap();
    let mut seen = 0;
    loop {
        let time = reader.peek_time().unwrap();
        assert_eq!(reader.peek_time().unwrap(), time, "it stays");
        assert_eq!(reader.summary().packets, seen);
        assert_eq!(reader.next().unwrap().map(|record| record.time_ns), time);
        if time.is_none() {
            break;
        }
        seen += 1;
    }
    assert_eq!(seen, 11);
}
