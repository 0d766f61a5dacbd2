use super::*;

fn sent(from: Side, hash: u64, fate: Fate) -> WirePacket {
    WirePacket {
        from: Some(from),
        to: from.other(),
        arrived_ns: 1_000_000_000 + hash as i64,
        length: 52,
        hash,
        fate,
    }
}

const DELIVERED: Fate = Fate::Delivered { at_ns: 0 };

fn log(packets: Vec<WirePacket>) -> WireLog {
    WireLog { packets, stopped_ns: 2_000_000_000, ..WireLog::default() }
}

fn recording(host: Side, hashes: &[u64]) -> Recording {
    let packet = |&hash| RecordedPacket { time_ns: 1_000_000_000 + hash as i64, length: 52, hash };
    Recording {
        file: PathBuf::from(format!("run/{host}.pcapng")),
        packets: hashes.iter().map(packet).collect(),
        stats: LiveStats::default(),
    }
}

#[test]
fn equal_captures_are_complete() {
    let injected = WirePacket { from: None, to: Side::Edge, ..sent(Side::Origin, 5, DELIVERED) };
    let log = log(vec![
        sent(Side::Edge, 1, DELIVERED),
        sent(Side::Edge, 2, Fate::Dropped),
        sent(Side::Origin, 3, DELIVERED),
        sent(Side::Origin, 3, DELIVERED),
        sent(Side::Origin, 4, Fate::Undelivered),
        injected,
    ]);
    assert_eq!((expected_packets(&log, Side::Edge), expected_packets(&log, Side::Origin)), (5, 4));
    let found =
        compare(&log, &recording(Side::Edge, &[1, 2, 3, 3, 5]), &recording(Side::Origin, &[1, 3, 3, 4]));
    assert_eq!(found, Completeness { complete: true, missing: Vec::new() });
}

#[test]
fn a_missing_packet_is_named() {
    let log = log(vec![
        sent(Side::Edge, 1, DELIVERED),
        sent(Side::Origin, 2, DELIVERED),
        sent(Side::Origin, 2, DELIVERED),
    ]);
    let found = compare(&log, &recording(Side::Edge, &[1, 2]), &recording(Side::Origin, &[2, 2]));
    assert_eq!(
        found.missing,
        [
            "edge.pcapng lacks a packet of 52 bytes delivered to edge 0.000000 s after the first packet",
            "origin.pcapng lacks a packet of 52 bytes delivered to origin 0.000000 s after the first packet",
        ]
    );
    assert!(!found.complete);
}

#[test]
fn a_packet_that_never_reached_the_wire_is_named_unless_the_wire_was_cut() {
    let log = log(vec![sent(Side::Edge, 1, DELIVERED)]);
    let mut edge = recording(Side::Edge, &[1, 7]);
    let late = RecordedPacket { time_ns: log.stopped_ns, ..edge.packets[1] };
    edge.packets.push(RecordedPacket { hash: 8, ..late });
    let found = compare(&log, &edge, &recording(Side::Origin, &[1]));
    assert_eq!(
        found.missing,
        [
            "edge.pcapng holds a packet of 52 bytes that never reached the wire, 0.000000 s after the first packet"
        ]
    );
}

#[test]
fn many_differences_are_summed_up() {
    let log = log((1..=30).map(|hash| sent(Side::Edge, hash, Fate::Dropped)).collect());
    let found = compare(&log, &recording(Side::Edge, &[]), &recording(Side::Origin, &[]));
    assert_eq!(found.missing.len(), DESCRIBED + 1);
    assert_eq!(found.missing.last().unwrap(), "edge.pcapng differs from the wire in 20 more packets");
}

#[test]
fn drops_by_the_kernel_and_a_broken_wire_are_no_complete_run() {
    let broken = WireLog { failure: Some("the wire failed: Bad file number".to_owned()), ..log(vec![]) };
    let mut edge = recording(Side::Edge, &[]);
    edge.stats.dropped_by_kernel = 3;
    let found = compare(&broken, &edge, &recording(Side::Origin, &[]));
    assert_eq!(
        found.missing,
        [
            "the wire failed: Bad file number",
            "the kernel dropped 3 packets of edge.pcapng because its buffer was full",
        ]
    );
}
