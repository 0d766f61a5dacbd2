//! Captures that could not have shown the race: they say so, never that nothing was lost, and name the command that would
//! have shown it. Each is a labelled capture of the race, as a common mistake would have recorded it.

use std::io::Cursor;

use finrace::analysis::{self, Options};
use finrace::capture::{Interface, LinkType, PcapngWriter, Reader};
use finrace::report::{Report, Side};

use super::bytes::Record;
use super::labelled::{SIDES, all, report};
use super::mutate;

/// The race, from one side, with only the records that a filter lets through.
fn race_seen(side: Side, keeps: impl Fn(&Record) -> bool, snaplen: usize) -> Report {
    let labelled =
        all().into_iter().find(|labelled| labelled.name == "crossed-fin").expect("the race is labelled");
    let mut records: Vec<Record> =
        labelled.records(side).into_iter().filter(|record| keeps(record)).collect();
    assert!(!records.is_empty(), "the filter keeps something");
    mutate::cut(&mut records, snaplen);
    report(&records)
}

fn is_inconclusive_for(report: &Report, reason: &str) {
    assert!(!report.summary.conclusive, "{:?}", report.summary);
    assert_eq!(report.incidents, [], "what cannot be seen is not judged");
    let notes = report.summary.notes.join("\n");
    assert!(notes.contains(reason), "{notes}");
    let port = if report.connections.as_ref().is_some_and(|seen| !seen.is_empty()) { "8080" } else { "PORT" };
    assert!(notes.contains(&format!("tcpdump -i any -s 256 -w capture.pcap 'tcp port {port}'")), "{notes}");
}

const WHOLE: usize = 65_535;

#[test]
fn a_filter_on_rst_cannot_show_the_race() {
    for side in SIDES {
        let report = race_seen(side, |record| mutate::has_any_flag(&record.data, mutate::RST), WHOLE);
        is_inconclusive_for(&report, "RST segments only");
    }
}

#[test]
fn a_filter_on_syn_fin_and_rst_cannot_show_the_race() {
    let control = mutate::SYN | mutate::FIN | mutate::RST;
    for side in SIDES {
        let report = race_seen(side, |record| mutate::has_any_flag(&record.data, control), WHOLE);
        is_inconclusive_for(&report, "only SYN, FIN and RST segments");
    }
}

#[test]
fn one_direction_cannot_show_the_race() {
    for side in SIDES {
        let from_client = race_seen(side, |record| mutate::from_client(&record.data), WHOLE);
        is_inconclusive_for(&from_client, "one direction only");
        let from_server = race_seen(side, |record| !mutate::from_client(&record.data), WHOLE);
        is_inconclusive_for(&from_server, "one direction only");
    }
}

#[test]
fn forty_bytes_of_each_packet_cannot_show_the_race() {
    for side in SIDES {
        is_inconclusive_for(&race_seen(side, |_| true, 40), "cut before their TCP header");
    }
}

/// Packets that the capturing kernel dropped matter where the numbers show that bytes are missing, and only there.
#[test]
fn kernel_drops_make_a_capture_with_holes_inconclusive() {
    for (name, conclusive) in [("hole-response", false), ("safe-pair", true)] {
        let labelled = all().into_iter().find(|labelled| labelled.name == name).expect("it is labelled");
        let interface = Interface { name: "eth0".to_owned(), link: LinkType::ETHERNET, snaplen: 0 };
        let mut writer = PcapngWriter::new(Vec::new(), &[interface]).expect("a Vec takes everything");
        for record in labelled.records(Side::Client) {
            let wire_len = record.wire_len as u32;
            writer
                .packet(0, record.time_us * 1_000, wire_len, &record.data, None)
                .expect("a Vec takes everything");
        }
        writer.statistics(0, 0, 100, 7).expect("a Vec takes everything");
        let reader =
            Reader::from_read("drops", Box::new(Cursor::new(writer.into_inner()))).expect("a capture");
        let report = analysis::analyze(vec![reader], &Options::default());
        assert_eq!(report.captures[0].dropped_by_kernel, Some(7));
        assert_eq!(report.summary.conclusive, conclusive, "{name}: {:?}", report.summary.notes);
        let notes = report.summary.notes.join("\n");
        assert!(notes.contains("dropped 7 packets"), "{notes}");
        assert_eq!(notes.contains("-B 65536"), !conclusive, "{notes}");
    }
}
