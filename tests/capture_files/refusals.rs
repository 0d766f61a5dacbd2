//! What is no capture: each time one line that says what to do.

use std::io::Cursor;
use std::path::Path;

use finrace::capture::Reader;

use super::build::{MICROSECONDS, Order};

fn refusal_of_bytes(name: &str, bytes: &[u8]) -> String {
    Reader::from_read(name, Box::new(Cursor::new(bytes.to_vec()))).err().expect("a refusal").to_string()
}

fn refusal_of_path(path: &Path) -> String {
    Reader::open(path).err().expect("a refusal").to_string()
}

#[test]
fn a_missing_file_and_a_directory_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let shown = dir.path().display();
    assert_eq!(refusal_of_path(dir.path()), format!("{shown} is a directory: name the capture files in it"));
    let missing = dir.path().join("none.pcap");
    assert_eq!(
        refusal_of_path(&missing),
        format!("there is no file {}: check the name, or give - to read from a pipe", missing.display())
    );
}

#[test]
fn an_empty_file_says_why_that_happens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty.pcap");
    std::fs::write(&path, b"").unwrap();
    let refusal = refusal_of_path(&path);
    assert!(refusal.starts_with(&format!("{} is empty: ", path.display())), "{refusal}");
    assert!(refusal.contains("-U"), "{refusal}");
}

#[test]
fn standard_input_is_called_by_its_name() {
    assert!(refusal_of_bytes("-", b"").starts_with("standard input is empty: "));
}

#[test]
fn a_file_of_another_kind_shows_its_first_bytes() {
    let refusal = refusal_of_bytes("page.html", b"<html>\n<body>");
    assert!(
        refusal.starts_with(
            "page.html is not a pcap or pcapng capture (it starts with the bytes 3c 68 74 6d 6c 3e 0a 3c): "
        ),
        "{refusal}"
    );
    assert!(refusal_of_bytes("x", b"a").contains("the bytes 61)"));
}

#[test]
fn a_pcapng_start_without_byte_order_is_no_capture() {
    let mut section = Order::Little.section();
    section[8..12].fill(0);
    assert!(refusal_of_bytes("x.pcapng", &section).contains("is not a pcap or pcapng capture"));
}

#[test]
fn what_is_not_unpacked_here_is_answered_with_the_command_that_does() {
    let mut tar = vec![0; 512];
    tar[..5].copy_from_slice(b"a.cap");
    tar[257..262].copy_from_slice(b"ustar");
    let starts = [
        (&b"BZh91AY"[..], "bzip2-compressed: unpack it on the way (bzip2 -dc a.z | finrace analyze -)"),
        (b"PK\x03\x04\x14\0", "a zip archive: unpack it on the way (unzip -p a.z | finrace analyze -)"),
        (b"7z\xbc\xaf\x27\x1c\0", "a 7z archive: unpack it on the way (7z x -so a.z | finrace analyze -)"),
        (
            b"\x02\x21\x4c\x18",
            "lz4-compressed in the legacy format: unpack it on the way (lz4 -dc a.z | finrace analyze -)",
        ),
        (
            b"\x1f\x9d\x90",
            "compressed by compress(1): unpack it on the way (gzip -dc a.z | finrace analyze -)",
        ),
        (b"LZIP\x01", "lzip-compressed: unpack it on the way (lzip -dc a.z | finrace analyze -)"),
        (b"\x5d\0\0\x80\0\xff\xff", "lzma-compressed: unpack it on the way (xz -dc a.z | finrace analyze -)"),
        (&tar, "a tar archive: unpack it on the way (tar -xOf a.z | finrace analyze -)"),
    ];
    for (start, expected) in starts {
        assert_eq!(refusal_of_bytes("a.z", start), format!("a.z is {expected}"));
    }
    assert_eq!(
        refusal_of_bytes("-", b"BZh91AY"),
        "standard input is bzip2-compressed: unpack it on the way (... | bzip2 -dc | finrace analyze -)"
    );
    assert_eq!(
        refusal_of_bytes("-", b"PK\x03\x04\x14\0"),
        "standard input is a zip archive: unpack it on the way (... | funzip | finrace analyze -)"
    );
    assert_eq!(
        refusal_of_bytes("-", &tar),
        "standard input is a tar archive: unpack it on the way (... | tar -xOf - | finrace analyze -)"
    );
}

#[test]
fn a_file_that_ends_inside_its_header_says_how_much_is_missing() {
    let header = Order::Big.pcap(MICROSECONDS, 1);
    assert_eq!(
        refusal_of_bytes("cut.pcap", &header[..23]),
        "cut.pcap ends inside its file header (23 of 24 bytes): it holds no packet; capture again"
    );
    assert!(refusal_of_bytes("cut.pcapng", &Order::Big.section()[..11]).contains("(11 of 12 bytes)"));
}
