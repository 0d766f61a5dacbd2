//! What fuzzing has found: each crash once, by name.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use finrace::capture::Reader;

use super::targets;

/// A pcapng of the packets of a labelled capture, with other times: seconds, which may be any 64-bit number.
fn with_times(capture: &str, mut seconds: impl FnMut(usize) -> u64) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(capture);
    let original = fs::read(file).expect("a labelled capture");
    let mut reader = Reader::from_read("original", Box::new(Cursor::new(original))).expect("a capture");
    let mut bytes = Vec::new();
    block(&mut bytes, 0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes(), &[1, 0, 0, 0], &[0xff; 8]]);
    // Ethernet, no snap length; if_tsresol 0: a tick is a second; end of options.
    block(&mut bytes, 1, &[&[1, 0, 0, 0], &[0; 4], &[9, 0, 1, 0, 0, 0, 0, 0], &[0; 4]]);
    let mut number = 0;
    while let Some(record) = reader.next().expect("readable") {
        let ticks = seconds(number);
        number += 1;
        let len = (record.data.len() as u32).to_le_bytes();
        let padding = vec![0; record.data.len().next_multiple_of(4) - record.data.len()];
        let (high, low) = (((ticks >> 32) as u32).to_le_bytes(), (ticks as u32).to_le_bytes());
        block(&mut bytes, 6, &[&[0; 4], &high, &low, &len, &len, record.data, &padding]);
    }
    bytes
}

fn block(bytes: &mut Vec<u8>, kind: u32, parts: &[&[u8]]) {
    let body = parts.concat();
    let len = (body.len() as u32 + 12).to_le_bytes();
    bytes.extend([&kind.to_le_bytes()[..], &len, &body, &len].concat());
}

/// The handshake seemed to take 292 years, and four times that does not fit into 64 bits.
#[test]
fn times_at_both_ends_of_the_range() {
    for capture in ["crossed-fin/client.pcap", "tls-stale-reuse/client.pcap", "silent-drop/client.pcap"] {
        targets::analysis(&with_times(capture, |number| if number % 2 == 0 { u64::MAX } else { 0 }));
        targets::analysis(&with_times(capture, |number| if number % 2 == 0 { 0 } else { u64::MAX }));
    }
}
