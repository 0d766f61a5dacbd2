//! What a capture point does to a capture is said, with what to do about it.

use std::fs;

use serde_json::Value;

use super::common::finrace::analyzed;
use super::files::{Capture, notes, second};

fn report(capture: &Capture, code: i32) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("given.pcap");
    fs::write(&path, capture.bytes()).expect("our own folder");
    analyzed(&path, code)
}

/// Where the IPv4 header of a record over Ethernet is.
const IP: usize = 16 + 14;

#[test]
fn a_clock_that_steps_backwards_is_said_with_its_frame() {
    let mut race = Capture::of("crossed-fin/client.pcap");
    assert_eq!(notes(&report(&race, 1)), Vec::<&str>::new());
    let earlier = second(&race.records[6]) - 3_600;
    race.records[6][..4].copy_from_slice(&earlier.to_le_bytes());
    let report = report(&race, 1);
    let note = notes(&report).into_iter().find(|note| note.contains("the time goes back")).expect("a note");
    assert!(note.contains("the time goes back by 3595.0 s at frame 7 "), "{note}");
    assert!(note.contains("Do not trust idle times around it"), "{note}");
}

#[test]
fn a_lost_request_before_and_behind_an_address_translation_is_one_incident() {
    let mut race = Capture::of("crossed-fin/client.pcap");
    // The same packets again with another client address, 40 µs later: an inner interface of the same host.
    let copies: Vec<Vec<u8>> = race.records.iter().map(|record| translated(record, 40)).collect();
    race.records = race.records.into_iter().zip(copies).flat_map(|(one, two)| [one, two]).collect();
    let report = report(&race, 1);
    assert_eq!((&report["summary"]["connections"], &report["summary"]["incidents"]), (&2.into(), &1.into()));
    let incident = &report["incidents"][0];
    assert_eq!((&incident["client"], &incident["stream"]), (&"192.0.2.1:40000".into(), &0.into()));
    let evidence = incident["evidence"].to_string();
    assert!(
        evidence.contains(
            "the same packets are stream 1 too (198.51.100.9:40000 to 192.0.2.2:8080, behind an address translation)"
        ),
        "{evidence}"
    );
    let notes = notes(&report).join("\n");
    assert!(notes.contains("1 lost request was captured on two hops"), "{notes}");
    assert!(
        notes.contains(
            "1 connection is in the capture twice, with the same sequence numbers, before and behind an address translation \
             (192.0.2.1:40000 to 192.0.2.2:8080 is 198.51.100.9:40000 to 192.0.2.2:8080 too)"
        ),
        "{notes}"
    );
}

#[test]
fn the_same_numbers_long_after_are_another_request() {
    let mut race = Capture::of("crossed-fin/client.pcap");
    let later: Vec<Vec<u8>> = race
        .records
        .iter()
        .map(|record| {
            let mut copy = translated(record, 0);
            copy[..4].copy_from_slice(&(second(record) + 60).to_le_bytes());
            copy
        })
        .collect();
    race.records.extend(later);
    assert_eq!(report(&race, 1)["summary"]["incidents"], 2);
}

#[test]
fn the_two_hops_of_a_proxy_are_said_to_be_two() {
    // What asked for the lost request was a server itself: a proxy.
    let mut both = Capture::of("crossed-fin/client.pcap");
    let mut front = Capture::of("safe-pair/client.pcap");
    for record in &mut front.records {
        for at in [IP + 12, IP + 16] {
            let address: &[u8] = match record[at + 3] {
                1 => &[198, 51, 100, 9],
                _ => &[192, 0, 2, 1],
            };
            record[at..at + 4].copy_from_slice(address);
        }
    }
    both.records.append(&mut front.records);
    both.records.sort_by_key(|record| {
        (second(record), u32::from_le_bytes(record[4..8].try_into().expect("four bytes")))
    });
    let notes = notes(&report(&both, 1)).join("\n");
    assert!(
        notes.contains("192.0.2.1 sent requests that were lost and is itself a server (192.0.2.1:8080): both hops of a proxy"),
        "{notes}"
    );
}

/// A record with another source or destination address in place of the client's.
fn translated(record: &[u8], later_us: u32) -> Vec<u8> {
    let mut copy = record.to_vec();
    let us = u32::from_le_bytes(copy[4..8].try_into().expect("four bytes"));
    copy[4..8].copy_from_slice(&(us + later_us).to_le_bytes());
    for at in [IP + 12, IP + 16] {
        if copy[at..at + 4] == [192, 0, 2, 1] {
            copy[at..at + 4].copy_from_slice(&[198, 51, 100, 9]);
        }
    }
    copy
}

#[test]
fn a_reset_without_fin_on_the_loopback_of_macos_may_be_a_port_forwarders() {
    let looped = |name: &str| {
        let mut capture = Capture::of(name);
        capture.header[20..24].copy_from_slice(&0u32.to_le_bytes());
        for record in &mut capture.records {
            for at in [IP + 12, IP + 16] {
                record[at..at + 4].copy_from_slice(&[127, 0, 0, 1]);
            }
            // AF_INET in place of the Ethernet header.
            record.splice(16..IP, 2u32.to_le_bytes());
            for field in [8, 12] {
                let len = u32::from_le_bytes(record[field..field + 4].try_into().expect("four bytes")) - 10;
                record[field..field + 4].copy_from_slice(&len.to_le_bytes());
            }
        }
        report(&capture, 1)
    };
    let forwarded = looped("unread-request/client.pcap");
    let hint = notes(&forwarded).join("\n");
    assert!(
        hint.contains("If the server runs in Docker Desktop, this shows only its port-forwarder"),
        "{hint}"
    );
    assert!(hint.contains("'tcp port 8080'"), "{hint}");
    // Where there was a FIN, the server itself was captured.
    let server = looped("crossed-fin/client.pcap");
    assert_eq!(server["incidents"][0]["cause"], "crossed-fin");
    assert_eq!(notes(&server), Vec::<&str>::new());
    // And on Ethernet nothing forwards.
    assert_eq!(notes(&report(&Capture::of("unread-request/client.pcap"), 1)), Vec::<&str>::new());
}
