//! Compressed streams that are nested, damaged, empty, or hold no capture.

use std::io::{self, Cursor, Read, Write};

use finrace::capture::{CaptureError, Reader};
use lz4_flex::frame::{BlockMode, BlockSize};
use lzma_rust2::{XzOptions, XzWriter};

use super::build::{MICROSECONDS, Order};
use super::recipes::{gzip, lz4, skippable, xz, zstd};
use super::{open, original, read};

type Packer = (&'static str, fn(&[u8]) -> Vec<u8>);

fn lz4_small(plain: &[u8]) -> Vec<u8> {
    lz4(plain, BlockSize::Max64KB, BlockMode::Linked)
}

const PACKERS: [Packer; 4] = [("gzip", gzip), ("zstd", zstd), ("lz4", lz4_small), ("xz", xz)];

fn refusal(bytes: &[u8]) -> String {
    open(bytes).err().expect("a refusal").to_string()
}

#[test]
fn two_compressions_are_undone_in_any_order_and_three_are_refused() {
    let (plain, _) = read(&original()).unwrap();
    for (outer, pack) in PACKERS {
        for (inner, pack_first) in PACKERS {
            let twice = pack(&pack_first(&original()));
            let (records, summary) = read(&twice).unwrap();
            assert_eq!(records, plain);
            assert_eq!(
                summary.format,
                format!("pcap, little-endian, microseconds, in {outer} around {inner}")
            );
            assert_eq!(
                refusal(&gzip(&twice)),
                format!(
                    "test is compressed more than 2 times over (gzip around {outer} around {inner}): unpack it first"
                )
            );
        }
    }
}

#[test]
fn content_that_is_no_capture_is_told_as_such() {
    for (method, pack) in PACKERS {
        let content = format!("the content of test (unpacked from {method})");
        let empty = pack(b"");
        // lz4 has no frame for nothing but an empty file, which is empty before it is unpacked.
        let expected = if empty.is_empty() { "test" } else { &content };
        assert!(refusal(&empty).starts_with(&format!("{expected} is empty: ")), "{}", refusal(&empty));
        assert_eq!(
            refusal(&pack(b"hello")),
            format!(
                "{content} is not a pcap or pcapng capture (it starts with the bytes 68 65 6c 6c 6f): \
                 if Wireshark opens it, convert it with editcap -F pcapng"
            )
        );
        assert_eq!(
            refusal(&pack(&original()[..10])),
            format!(
                "{content} ends inside its file header (10 of 24 bytes): it holds no packet; capture again"
            )
        );
    }
    let mut tar = vec![0; 512];
    tar[..5].copy_from_slice(b"a.cap");
    tar[257..262].copy_from_slice(b"ustar");
    assert_eq!(
        refusal(&gzip(&tar)),
        "the content of test (unpacked from gzip) is a tar archive: unpack it on the way \
         (gzip -dc test | tar -xOf - | finrace analyze -)"
    );
}

#[test]
fn nothing_but_skippable_frames_is_empty() {
    assert!(refusal(&skippable(b"and no more")).starts_with("test is empty: "));
    assert!(refusal(&[skippable(b""), b"hello".to_vec()].concat()).contains("68 65 6c 6c 6f"));
}

#[test]
fn a_capture_that_ends_inside_its_compression_says_so_with_both_lengths() {
    let whole = gzip(&original());
    let (_, summary) = read(&whole[..whole.len() - 8]).unwrap();
    assert_eq!(
        summary.truncated.unwrap(),
        "the gzip stream ends early, after 982 unpacked bytes (whole records before it: 11)"
    );
    let (_, summary) = read(&gzip(&original()[..100])).unwrap();
    assert_eq!(
        summary.truncated.unwrap(),
        "the capture ends inside a record (2 of its 16 bytes are there), at unpacked byte 98 \
         (whole records before it: 1)"
    );
}

#[test]
fn a_checksum_that_does_not_hold_is_damage_after_all_records() {
    // Where the checksum of the content is, from the end.
    for ((method, pack), from_end) in PACKERS.into_iter().zip([8, 4, 4, 32]) {
        let mut packed = pack(&original());
        let at = packed.len() - from_end;
        packed[at] ^= 1;
        let (records, summary) = read(&packed).unwrap();
        let reason = summary.truncated.unwrap();
        assert!(reason.starts_with(&format!("the {method} stream is damaged after ")), "{reason}");
        if from_end < 32 {
            assert!(reason.ends_with(" (whole records before it: 11)"), "{reason}");
            assert_eq!(records.len(), 11);
        }
    }
}

#[test]
fn what_follows_the_last_stream_is_damage_after_all_records() {
    for (method, pack) in PACKERS {
        let (records, summary) = read(&[pack(&original()), b"something else".to_vec()].concat()).unwrap();
        let reason = summary.truncated.unwrap();
        assert!(reason.starts_with(&format!("the {method} stream ")), "{reason}");
        assert_eq!(records.len(), 11);
    }
}

#[test]
fn zeros_after_gzip_are_padding() {
    let padded = [gzip(&original()), vec![0; 200_000]].concat();
    let (records, summary) = read(&padded).unwrap();
    assert_eq!((records.len(), summary.truncated), (11, None));
}

/// A capture of a megabyte that no method makes smaller.
fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut file = Order::Little.pcap(MICROSECONDS, 1);
    for second in 0..1_000 {
        let data: Vec<u8> = (0..1_000).map(|_| next()).collect();
        file.extend(Order::Little.pcap_record(second, 0, 1_000, &data));
    }
    file
}

#[test]
fn what_was_unpacked_before_a_cut_or_damage_is_given() {
    let noise = noise();
    for (method, pack) in PACKERS {
        let packed = pack(&noise);
        let (records, summary) = read(&packed).unwrap();
        assert_eq!((records.len(), summary.truncated), (1_000, None), "{method}");
        let at = packed.len() * 3 / 4;
        let mut changed = packed.clone();
        changed[at..at + 32].fill(0xff);
        let whole = records;
        for broken in [&packed[..at], &changed] {
            let (records, summary) = read(broken).unwrap();
            assert!(summary.truncated.is_some(), "{method}");
            // The methods' blocks are of 128 KiB at most, and none of it can be unpacked before all of it is there.
            assert!(records.len() > 600, "{method}: {} records", records.len());
            assert_eq!(records[..600], whole[..600], "{method}");
        }
    }
}

/// As many bytes as are asked for, of a capture that is one large record.
struct Huge {
    header: Cursor<Vec<u8>>,
}

impl Read for Huge {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.header.read(out)? {
            0 => {
                out.fill(0);
                Ok(out.len())
            }
            count => Ok(count),
        }
    }
}

#[test]
fn frames_that_claim_more_memory_than_is_granted_are_refused_in_words() {
    // A zstd frame header with a window of 2^31 bytes (RFC 8878 section 3.1.1.1.2), then an empty last block.
    let zstd_long = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
    assert_eq!(
        refusal(zstd_long),
        "test holds no packet that can be read: the zstd stream asks for more memory than is granted, \
         after 0 unpacked bytes; unpack it first (zstd -d --long=31, xz -d)"
    );
    let mut options = XzOptions::with_preset(0);
    options.lzma_options.dict_size = 1 << 29;
    let mut xz_large = XzWriter::new(Vec::new(), options).unwrap();
    xz_large.write_all(&original()).unwrap();
    let xz_large = xz_large.finish().unwrap();
    assert!(refusal(&xz_large).contains("the xz stream asks for more memory than is granted"));
}

#[test]
fn progress_counts_the_bytes_of_the_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    let plain = original();
    for (name, bytes) in [("plain.pcap", plain.clone()), ("packed.pcap.gz", gzip(&plain))] {
        let path = dir.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        assert_eq!(reader.bytes_total(), Some(bytes.len() as u64), "{name}");
        while reader.next().unwrap().is_some() {}
        assert_eq!(reader.bytes_read(), bytes.len() as u64, "{name}");
    }
    let endless =
        Reader::from_read("endless", Box::new(Huge { header: Cursor::new(plain[..24].to_vec()) })).unwrap();
    assert_eq!(endless.bytes_total(), None);
    assert!((24..1 << 20).contains(&endless.bytes_read()), "{}", endless.bytes_read());
}

/// Gives some bytes, then fails as a broken disk does.
struct Broken(Cursor<Vec<u8>>);

impl Read for Broken {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::other("the disk is gone")),
            count => Ok(count),
        }
    }
}

#[test]
fn an_input_that_fails_is_no_damage_of_the_stream() {
    for (method, pack) in PACKERS {
        let packed = pack(&original());
        let cut = packed.len() - 9;
        let mut reader =
            match Reader::from_read("disk", Box::new(Broken(Cursor::new(packed[..cut].to_vec())))) {
                Ok(reader) => reader,
                Err(error) => {
                    assert!(matches!(error, CaptureError::Read { .. }), "{method}: {error}");
                    continue;
                }
            };
        let error = loop {
            match reader.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{method}: the failure is lost"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), format!("reading disk failed at byte {cut}"), "{method}");
        let source = std::error::Error::source(&error).expect("what the disk said");
        assert_eq!(source.to_string(), "the disk is gone");
    }
}
