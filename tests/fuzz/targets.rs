//! What is done with bytes that nobody chose, and what must hold whatever they are. Shared by the ordinary tests, which
//! mutate the captures of this project, and by `cargo fuzz` (see `docs/testing.md`).

use std::io::Cursor;

use finrace::analysis::{self, Options};
use finrace::capture::Reader;
use finrace::packet::{self, Decoder, Skip};
use finrace::render::{self, TextOptions};
use finrace::report::Report;

/// Reads a capture to its end, whatever its container.
pub fn reader(bytes: &[u8]) {
    let Ok(mut reader) = Reader::from_read("fuzz", Box::new(Cursor::new(bytes.to_vec()))) else { return };
    let mut packets = 0;
    while let Ok(Some(record)) = reader.next() {
        packets += 1;
        assert!(record.data.len() <= MAX_PACKET, "{} bytes in a packet", record.data.len());
    }
    let summary = reader.summary();
    assert_eq!(summary.packets, packets);
    assert!(matches!(reader.next(), Ok(None)), "the end stays the end");
}

/// What a reader must never claim a packet to have.
const MAX_PACKET: usize = 16 << 20;

/// Decodes packets: two bytes of link type, then for each packet two bytes of length, four of the length it had on the
/// wire, and its bytes.
pub fn decoder(mut bytes: &[u8]) {
    let Some((link, rest)) = bytes.split_first_chunk() else { return };
    let link = u16::from_be_bytes(*link);
    bytes = rest;
    let mut decoder = Decoder::new();
    let mut time_ns = 0;
    while let Some((head, rest)) = bytes.split_first_chunk::<6>() {
        let len = usize::from(u16::from_be_bytes([head[0], head[1]])).min(rest.len());
        let wire_len = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
        let (data, rest) = rest.split_at(len);
        bytes = rest;
        time_ns += i64::from(wire_len) * 1_000;
        let alone = packet::decode(link, data, wire_len);
        let joined = decoder.decode(link, data, wire_len, time_ns);
        for segment in [&alone, &joined].into_iter().flatten() {
            assert!(segment.payload.len() <= segment.payload_len as usize, "more payload than there was");
        }
        // The one goes from header to header, the other takes a short way where it may.
        if alone != Err(Skip::Fragment) {
            assert_eq!(alone, joined, "a packet by itself needs none of those before");
        }
    }
}

/// Analyzes a capture.
pub fn analysis(bytes: &[u8]) {
    analyzed(bytes);
}

/// Analyzes a capture and writes the report in every form.
pub fn report(bytes: &[u8]) {
    let Some(report) = analyzed(bytes) else { return };
    for text in [
        render::report_text::report_text(&report, TextOptions::default()),
        render::report_text::timeouts(&report, TextOptions::default()),
        render::csv::incidents(&report),
        render::markdown::incidents(&report),
        render::chat::message(&report),
        render::json::lines(&report),
    ] {
        let harmful = text.chars().find(|it| it.is_control() && !matches!(it, '\n' | '\r'));
        assert_eq!(harmful, None, "control characters reach the reader");
    }
}

fn analyzed(bytes: &[u8]) -> Option<Report> {
    let reader = Reader::from_read("fuzz", Box::new(Cursor::new(bytes.to_vec()))).ok()?;
    let options = Options { max_connections: 64, connections: true, ..Options::default() };
    let report = analysis::analyze(vec![reader], &options);
    let summary = &report.summary;
    let skipped: u64 = report.captures.iter().flat_map(|capture| capture.skipped.values()).sum();
    assert_eq!(summary.packets, summary.tcp_packets + skipped, "every packet is counted once");
    assert_eq!(summary.incidents, report.incidents.len() as u64);
    assert_eq!(summary.incidents, summary.by_cause.values().sum::<u64>());
    for incident in &report.incidents {
        let inside = |frame: &u64| (1..=summary.packets).contains(frame);
        assert!(incident.frames.values().all(inside), "frames of the capture: {:?}", incident.frames);
    }
    Some(report)
}
