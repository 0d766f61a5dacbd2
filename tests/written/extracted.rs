//! `extract`: the packets of one connection, and the verdict that the whole capture gives them.

use std::fs;
use std::path::{Path, PathBuf};

use finrace::analysis::{self, ExtractError, ExtractRequest, Extracted, Key, Options, TraceFile};
use finrace::destination::Destination;
use finrace::packet::Decoder;
use finrace::report::Report;

use super::common::finrace::{finrace, output, text};
use super::common::tshark;
use super::files::{blocks, captures, formats, labelled, name, records, report};

/// Writes one stream of a capture, under other names with a key.
pub fn extract(
    path: &Path,
    report: &Report,
    stream: u32,
    key: Option<&str>,
    target: &Path,
) -> Result<Extracted, ExtractError> {
    let files = [TraceFile { path, capture: 0 }];
    let anonymize = key.map(Key::from_text);
    let request = ExtractRequest { report, files: &files, capture: 0, stream, anonymize };
    analysis::extract(&request, &Destination::of(target)?, &Options::default())
}

/// The streams worth an extract: those with an incident, and the first.
pub fn streams(report: &Report) -> Vec<u32> {
    let mut streams: Vec<u32> = report.incidents.iter().map(|incident| incident.stream).collect();
    streams.push(0);
    streams.sort_unstable();
    streams.dedup();
    streams.truncate(3);
    streams
}

/// Only the whole of a port scan tells that it is one, and only other connections tell that a timer closed this one.
pub fn needs_the_whole(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str() == "port-scan" || part.as_os_str() == "discarded-request-before-fin")
}

/// What a message of another protocol than HTTP and TLS means is told by its bytes, and so are responses whose length is
/// declared wrongly. An anonymous extract keeps neither: it is refused where it would say something else.
pub fn needs_its_bytes(path: &Path) -> bool {
    const STORIES: [&str; 15] = [
        "dce-rpc-stale-reuse",
        "framing-found-again",
        "framing-found-again-then-died",
        "json-rpc-first-message",
        "mail-stale-reuse",
        "mqtt-disconnect-goodbye",
        "mysql-quit-goodbye",
        "mysql-stale-reuse",
        "postgres-crossed-fin",
        "redis-quit-goodbye",
        "smb-tree-disconnect-goodbye",
        "syslog-crossed-fin",
        "tunnel-crossed-fin",
        "upgraded-crossed-fin",
        "websocket-crossed-fin",
    ];
    path.components().any(|part| part.as_os_str().to_str().is_some_and(|name| STORIES.contains(&name)))
}

#[test]
fn an_extract_has_the_packets_of_its_connection_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("extract.pcapng");
    for path in labelled().into_iter().filter(|path| !needs_the_whole(path)) {
        let report = report(&path);
        let all = records(&path);
        for stream in streams(&report) {
            let extracted = extract(&path, &report, stream, None, &target)
                .unwrap_or_else(|error| panic!("{} {stream}: {error}", name(&path)));
            let kept: Vec<_> =
                records(&target).into_iter().map(|it| (it.time_ns, it.wire_len, it.data)).collect();
            let connection = report.connections.as_ref().expect("connections").iter();
            let packets = connection.filter(|it| it.stream == stream).map(|it| it.packets).sum::<u64>();
            assert_eq!((kept.len() as u64, extracted.packets), (packets, packets), "{}", name(&path));
            let mut from = all.iter().map(|it| (it.time_ns, it.wire_len, it.data.clone()));
            for record in &kept {
                assert!(from.any(|original| original == *record), "{}: {record:?}", name(&path));
            }
        }
    }
}

#[test]
fn an_extract_of_every_format_keeps_its_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("extract.pcapng");
    for path in formats("links").into_iter().chain(formats("containers")) {
        let report = report(&path);
        for key in [None, Some("a key")] {
            let extracted = extract(&path, &report, 0, key, &target)
                .unwrap_or_else(|error| panic!("{}: {error}", name(&path)));
            assert_eq!(extracted.verdicts, ["crossed-fin, certain"], "{}", name(&path));
            assert_eq!(extracted.server_port, None, "{}", name(&path));
        }
    }
}

#[test]
fn tshark_reads_an_extract_with_all_its_blocks() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("extract.pcapng");
    // Frames that are no packets are not of the connection, names and statistics stay.
    let path = captures().join("formats/containers/between.pcapng");
    extract(&path, &report(&path), 0, None, &target).expect("an extract");
    let seen = tshark::fields(&target, &["frame.number", "tcp.stream", "frame.comment"]);
    let wanted: Vec<_> =
        (1..=11).map(|number| vec![number.to_string(), "0".into(), "a comment".into()]).collect();
    assert_eq!(seen, wanted);
    let kinds = |path: &Path| -> Vec<u32> {
        blocks(&fs::read(path).expect("a file")).iter().map(|block| block.kind).collect()
    };
    assert_eq!(kinds(&target), kinds(&path));
}

/// What must survive anonymising, of each segment.
fn facts(path: &Path) -> Vec<String> {
    let mut decoder = Decoder::new();
    let mut facts = Vec::new();
    for record in records(path) {
        let Ok(it) = decoder.decode(record.link.0, &record.data, record.wire_len, record.time_ns) else {
            continue;
        };
        facts.push(format!(
            "{} {} {} {} {} {} {} {} {} {:?} {}",
            record.time_ns,
            it.seq,
            it.ack,
            it.flags,
            it.window,
            it.payload_len,
            it.payload.len(),
            it.ttl,
            it.src.ip().is_ipv6(),
            it.ip_id,
            it.timestamps.is_some()
        ));
    }
    facts
}

#[test]
fn an_anonymous_extract_keeps_times_numbers_flags_and_lengths() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, anonymous) = (folder.path().join("plain.pcapng"), folder.path().join("anonymous.pcapng"));
    for path in labelled().into_iter().filter(|path| !needs_the_whole(path) && !needs_its_bytes(path)) {
        let report = report(&path);
        for stream in streams(&report) {
            extract(&path, &report, stream, None, &plain)
                .unwrap_or_else(|error| panic!("{}: {error}", name(&path)));
            let extracted = extract(&path, &report, stream, Some("a key"), &anonymous)
                .unwrap_or_else(|error| panic!("{} {stream}: {error}", name(&path)));
            assert_eq!(extracted.rebuilt, 0, "{}", name(&path));
            assert_eq!(facts(&anonymous), facts(&plain), "{}", name(&path));
            let lengths = |path: &Path| -> Vec<(u32, usize)> {
                records(path).iter().map(|it| (it.wire_len, it.data.len())).collect()
            };
            assert_eq!(lengths(&anonymous), lengths(&plain), "{}", name(&path));
        }
    }
}

#[test]
fn common_links_and_tunnels_are_kept() {
    const KEPT: [&str; 34] = [
        "ethernet-snap",
        "ethernet-llc-ip",
        "vlan",
        "qinq",
        "mpls",
        "mpls-pseudowire",
        "pppoe",
        "null",
        "null-ipv6-macos",
        "loop",
        "raw",
        "raw-ipv6",
        "ipv4",
        "ipv6",
        "linux-sll",
        "linux-sll-vlan",
        "linux-sll2",
        "linux-sll2-vlan",
        "ppp",
        "cisco-hdlc",
        "vxlan",
        "vxlan-vlan",
        "vxlan-8472",
        "vxlan-over-ipv6",
        "geneve",
        "geneve-ip",
        "gre",
        "nvgre",
        "ip-in-ip",
        "6in4",
        "4in6",
        "nested",
        "ipv4-options",
        "ipv6-extensions",
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("extract.pcapng");
    for file in KEPT {
        let path = captures().join(format!("formats/links/{file}.pcap"));
        let extracted = extract(&path, &report(&path), 0, Some("a key"), &target).expect("an extract");
        assert_eq!(extracted.rebuilt, 0, "{file}");
        let frames = |path: &Path| -> Vec<usize> { records(path).iter().map(|it| it.data.len()).collect() };
        assert_eq!(frames(&target), frames(&path), "{file}");
    }
}

#[test]
fn the_captures_of_both_ends_stay_comparable() {
    let folder = tempfile::tempdir().expect("a folder");
    let ends = ["client", "server"].map(|side| {
        let path = captures().join(format!("crossed-fin/{side}.pcap"));
        let target = folder.path().join(side);
        extract(&path, &report(&path), 0, Some("both"), &target).expect("an extract");
        // Without what the link fills short packets up with, which the sender's own capture does not have.
        let ip =
            |frame: &[u8]| frame[26..14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]))].to_vec();
        let mut packets: Vec<Vec<u8>> = records(&target).iter().map(|it| ip(&it.data)).collect();
        packets.sort();
        packets
    });
    let [client, server] = ends;
    assert_eq!(client, server, "from the IP addresses on, the same packets");
}

#[test]
fn a_connection_over_two_files_of_a_ring_is_one_extract() {
    const FILE_HEADER: usize = 24;
    /// Up to the lost request: its FIN is in the second file.
    const IN_THE_FIRST: usize = 7;
    let folder = tempfile::tempdir().expect("a folder");
    let whole = fs::read(crossed_fin()).expect("a file");
    let cut = FILE_HEADER
        + records(&crossed_fin())[..IN_THE_FIRST].iter().map(|it| 16 + it.data.len()).sum::<usize>();
    let halves = [whole[..cut].to_vec(), [&whole[..FILE_HEADER], &whole[cut..]].concat()];
    let ring = ["ring_00001.pcap", "ring_00002.pcap"].map(|file| folder.path().join(file));
    for (path, half) in ring.iter().zip(halves) {
        fs::write(path, half).expect("a file");
    }
    let target = folder.path().join("race.pcapng");
    for anonymize in [false, true] {
        let mut command = finrace(["extract"]);
        command.args(&ring).args(["1", "-w"]).arg(&target).args(anonymize.then_some("--anonymize"));
        let run = output(&mut command);
        assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
        let said = "11 packets; its verdict is that of the whole capture (crossed-fin, certain)";
        assert!(text(&run.stderr).contains(said), "{}", text(&run.stderr));
        assert_eq!(records(&target).len(), 11);
    }
}

#[test]
fn what_would_say_something_else_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("extract.pcapng");
    let path = captures().join("port-scan/client.pcap");
    let error =
        extract(&path, &report(&path), 0, None, &target).expect_err("a scan is more than one connection");
    assert!(matches!(error, ExtractError::OtherVerdict(_)), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

fn crossed_fin() -> PathBuf {
    captures().join("crossed-fin/client.pcap")
}

#[test]
fn the_command_says_what_it_wrote() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("race.pcapng");
    let run = output(finrace(["extract"]).arg(crossed_fin()).args(["1", "--anonymize", "-w"]).arg(&target));
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    assert_eq!(
        text(&run.stderr),
        format!(
            "finrace: wrote {}: 11 packets; its verdict is that of the whole capture (crossed-fin, certain)\n",
            target.display()
        )
    );
    assert!(run.stdout.is_empty());
    assert_eq!(report(&target).incidents.len(), 1);
}

#[test]
fn what_is_not_there_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("race.pcapng");
    for (words, message) in [
        (&["9"][..], "there is no incident 9"),
        (&["9", "--stream"], "there is no stream 9"),
        (&["1", "--key", "x"], "--anonymize"),
    ] {
        let run = output(finrace(["extract"]).arg(crossed_fin()).args(words).arg("-w").arg(&target));
        assert_eq!(run.status.code(), Some(2), "{words:?}");
        assert!(text(&run.stderr).contains(message), "{}", text(&run.stderr));
    }
    let onto = output(finrace(["extract"]).arg(crossed_fin()).args(["1", "-w"]).arg(crossed_fin()));
    assert!(
        text(&onto.stderr).contains("is read by the same command and would be lost"),
        "{}",
        text(&onto.stderr)
    );
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
