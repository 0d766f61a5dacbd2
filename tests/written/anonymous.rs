//! Nothing of the original in an anonymous extract, and nothing wrong with its packets.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use finrace::packet;

use super::build::{ETHERNET, Order};
use super::common::tshark;
use super::extracted::{extract, needs_its_bytes, needs_the_whole, streams};
use super::files::{captures, formats, labelled, name, records, report};

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// All that could give the ends of a capture away: addresses as bytes and as text.
fn secrets_of(path: &Path) -> Vec<Vec<u8>> {
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for record in records(path) {
        let Ok(segment) = packet::decode(record.link.0, &record.data, record.wire_len) else { continue };
        for end in [segment.src, segment.dst] {
            secrets.push(end.ip().to_string().into_bytes());
            secrets.push(match end.ip() {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            });
        }
    }
    secrets.sort();
    secrets.dedup();
    secrets.retain(|secret| secret.iter().any(|byte| *byte != 0));
    secrets
}

/// Hardware addresses where Ethernet has them: six bytes with many zeros turn up elsewhere by chance.
fn macs(path: &Path) -> BTreeSet<Vec<u8>> {
    let frames = records(path).into_iter().filter(|record| record.link.0 == ETHERNET);
    frames.flat_map(|frame| [frame.data[..6].to_vec(), frame.data[6..12].to_vec()]).collect()
}

#[test]
fn no_address_of_any_capture_survives() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("extract.pcapng");
    for path in labelled().into_iter().chain(formats("links")).chain(formats("containers")) {
        if needs_the_whole(&path) || needs_its_bytes(&path) {
            continue;
        }
        let report = report(&path);
        for stream in streams(&report) {
            extract(&path, &report, stream, Some("a key"), &target)
                .unwrap_or_else(|error| panic!("{}: {error}", name(&path)));
            let written = fs::read(&target).expect("a file");
            for secret in secrets_of(&path) {
                assert!(!holds(&written, &secret), "{}: {secret:02x?} is still there", name(&path));
            }
            assert!(
                macs(&target).is_disjoint(&macs(&path)),
                "{}: a hardware address is still there",
                name(&path)
            );
            for word in [&b"/orders"[..], b"/upload", b"Host", b"example", b"tun0", b"eth0", b"origin"] {
                assert!(!holds(&written, word), "{}: {word:?} is still there", name(&path));
            }
        }
    }
}

/// The crossed FIN once more, with everything that a capture of a company may hold.
fn full_of_secrets() -> Vec<u8> {
    // As long as the one whose place it takes.
    const REQUEST: &[u8; 80] =
        b"POST /jane HTTP/1.1\r\nHost: db.corp\r\nCookie: s=HUSHX\r\nContent-Length: 6\r\n\r\nSECRET";
    const HEADERS: usize = 54;
    let order = Order::Big;
    let enterprise = order.u32(32_473);
    let host = [&order.u16(1)[..], &order.u16(12), &[192, 0, 2, 2], b"db.corp\0", &[0; 4]].concat();
    let keys = [&order.u32(0x544c_534b)[..], &order.u32(16), b"CLIENT_RANDOM 77"].concat();
    let mut file = vec![
        order.section(),
        order.interface(ETHERNET, 0, &[(2, b"bond0.jane"), (3, b"uplink of jane"), (12, b"JaneOS 7")]),
        order.block(4, &host),
        order.block(10, &keys),
        order.block(0x0bad, &[&enterprise[..], b"jane's notes"].concat()),
    ];
    for (number, mut record) in records(&captures().join("crossed-fin/client.pcap")).into_iter().enumerate() {
        if number == 6 {
            record.data[HEADERS..].copy_from_slice(REQUEST);
        }
        // Behind the packet, where the link fills it up.
        let behind = b"padding-jane";
        record.data.extend(behind);
        let wire_len = record.wire_len + behind.len() as u32;
        file.push(order.enhanced(0, record.time_ns as u64 / 1_000, wire_len, &record.data));
    }
    file.push(order.statistics(0, &[(1, b"jane was here"), (5, &order.u64(3))]));
    file.concat()
}

#[test]
fn names_secrets_and_content_do_not_survive() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, target) = (folder.path().join("in.pcapng"), folder.path().join("out.pcapng"));
    fs::write(&path, full_of_secrets()).expect("a file");
    let before = report(&path);
    assert_eq!(before.incidents[0].request.path.as_deref(), Some("/jane"));
    extract(&path, &before, 0, Some("a key"), &target).expect("an extract");
    let written = fs::read(&target).expect("a file");
    for word in
        ["jane", "Jane", "corp", "HUSH", "SECRET", "Cookie", "CLIENT_RANDOM", "comment", "padding", "uplink"]
    {
        assert!(!holds(&written, word.as_bytes()), "{word} is still there");
    }
    let after = report(&target);
    assert_eq!(after.incidents[0].request.path.as_deref(), Some("/xxxx"));
    assert_eq!(after.captures[0].dropped_by_kernel, Some(3), "what the kernel dropped is no secret");
}

/// Anonymous extracts of all captures in one file: sections that follow each other are a capture, and tshark starts once.
fn all_in_one(folder: &Path) -> (PathBuf, Vec<(u64, String)>) {
    let target = folder.join("extract.pcapng");
    let (mut all, mut firsts, mut frames) = (Vec::new(), Vec::new(), 0);
    for path in labelled().into_iter().chain(formats("links")) {
        if needs_the_whole(&path) || needs_its_bytes(&path) {
            continue;
        }
        // A key of its own: streams with the same ends and numbers would look like one.
        extract(&path, &report(&path), 0, Some(&name(&path)), &target)
            .unwrap_or_else(|error| panic!("{}: {error}", name(&path)));
        firsts.push((frames + 1, name(&path)));
        frames += records(&target).len() as u64;
        all.extend(fs::read(&target).expect("a file"));
    }
    let path = folder.join("all.pcapng");
    fs::write(&path, all).expect("a file");
    (path, firsts)
}

#[test]
fn tshark_finds_nothing_wrong_with_the_packets() {
    const FIELDS: [&str; 5] =
        ["frame.number", "_ws.malformed", "ip.checksum.status", "tcp.checksum.status", "udp.checksum.status"];
    const BAD: &str = "0";
    let folder = tempfile::tempdir().expect("a folder");
    let (path, firsts) = all_in_one(folder.path());
    let checks = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"];
    let options: Vec<&str> = checks.iter().flat_map(|check| ["-o", check]).collect();
    let frames = tshark::fields_with(&options, &path, &FIELDS);
    assert_eq!(frames.len(), records(&path).len());
    for fields in frames {
        let number: u64 = tshark::number(&fields[0]);
        let file = firsts.iter().rfind(|(first, _)| *first <= number).map_or("", |(_, file)| file);
        let bad = fields[2..].iter().any(|status| status.split(',').any(|one| one == BAD));
        // Wrong ones stay wrong; and tshark takes a length of zero for one.
        let (wrong, empty) = (file.contains("wrong-checksums"), file.contains("ipv6-length-zero"));
        assert_eq!(bad, wrong, "{file}, frame {number}: checksums {:?}", &fields[2..]);
        assert_eq!(!fields[1].is_empty(), empty, "{file}, frame {number}: {}", fields[1]);
    }
}

/// Bytes that are anything, the same in every run (the generator of Numerical Recipes).
struct Dice(u32);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % sides
    }
}

#[test]
fn a_damaged_capture_is_written_without_its_addresses_or_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (broken, target) = (folder.path().join("broken.pcap"), folder.path().join("extract.pcapng"));
    let mut dice = Dice(7);
    let mut written = 0;
    for path in formats("links").into_iter().chain(labelled()) {
        let mut bytes = fs::read(&path).expect("a file");
        for _ in 0..bytes.len() / 60 {
            // Behind the file header and the header of the first record.
            let at = 40 + dice.throw(bytes.len() - 40);
            bytes[at] = dice.throw(256) as u8;
        }
        fs::write(&broken, &bytes).expect("a file");
        let report = report(&broken);
        for stream in streams(&report) {
            if extract(&broken, &report, stream, Some("a key"), &target).is_err() {
                continue;
            }
            written += 1;
            let bytes = fs::read(&target).expect("a file");
            for secret in secrets_of(&path) {
                assert!(!holds(&bytes, &secret), "{}: {secret:02x?} is still there", name(&path));
            }
        }
    }
    assert!(written > 100, "{written} extracts: most damage leaves some stream whole");
}
