//! A wrapped capture means what the plain one means.

use std::collections::BTreeMap;

use finrace::analysis::{Options, analyze};
use finrace::capture::Reader;
use finrace::packet::{Decoder, Segment};
use finrace::report::{Incident, Report};

use super::pcap::original;
use super::recipes::{Made, Make, RECIPES, Recipe};

fn report(reader: Reader) -> Report {
    analyze(vec![reader], &Options::default())
}

fn plain(recipe: &Recipe) -> Reader {
    Reader::open(&original(recipe.original)).expect("a capture")
}

/// Out of memory: the files may just be written.
fn wrapped(recipe: &Recipe) -> Reader {
    let file = std::io::Cursor::new(recipe.make().file);
    Reader::from_read(recipe.name, Box::new(file)).expect("a capture")
}

/// What an incident is, whatever carried its packets, with the frames of the plain capture.
fn essence(incident: &Incident, made: Option<&Made>) -> serde_json::Value {
    let plain = |frame: u64| match made {
        None => frame,
        Some(made) => made.frames.iter().position(|known| *known == frame).map_or(0, |at| at as u64 + 1),
    };
    let frames: BTreeMap<String, u64> =
        incident.frames.iter().map(|(role, frame)| (format!("{role:?}"), plain(*frame))).collect();
    serde_json::json!({
        "cause": incident.cause,
        "confidence": incident.confidence,
        "stream": incident.stream,
        "client": incident.client,
        "server": incident.server,
        "time_ns": incident.time_ns,
        "idle_ns": incident.idle_ns,
        "requests_before": incident.requests_before,
        "ack_covers_fin": incident.ack_covers_fin,
        "request": incident.request,
        "frames": frames,
        "resets": incident.resets,
        "vantage": incident.vantage,
        "race": incident.race,
        "what_happened": incident.what_happened,
        "advice": incident.advice,
    })
}

/// How a wrapped capture differs from the plain one.
fn difference(recipe: &Recipe) -> Option<String> {
    let made = recipe.make();
    let (plain, wrapped) = (report(plain(recipe)), report(wrapped(recipe)));
    let found: Vec<_> = wrapped.incidents.iter().map(|incident| essence(incident, Some(&made))).collect();
    let wanted: Vec<_> = plain.incidents.iter().map(|incident| essence(incident, None)).collect();
    assert!(!wanted.is_empty(), "captures/{} has no incident to compare with", recipe.original);
    let pieces = made.count - made.frames.len() as u64;
    let skipped = match recipe.make {
        Make::Pieces(_) => BTreeMap::from([("fragment-joined".to_owned(), pieces)]),
        Make::One(_) => BTreeMap::new(),
    };
    let counts = |report: &Report| (report.summary.tcp_packets, report.summary.connections);
    if found != wanted {
        Some(format!("{}: found {found:#?}\ninstead of {wanted:#?}", recipe.name))
    } else if counts(&wrapped) != counts(&plain) {
        Some(format!(
            "{}: {:?} segments and connections, not {:?}",
            recipe.name,
            counts(&wrapped),
            counts(&plain)
        ))
    } else if wrapped.captures[0].skipped != skipped {
        Some(format!("{}: skipped {:?}, not {skipped:?}", recipe.name, wrapped.captures[0].skipped))
    } else {
        None
    }
}

#[test]
fn the_same_incident_is_found_in_every_wrapping() {
    let differences: Vec<String> = RECIPES.iter().filter_map(difference).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Decodes a capture, giving each segment to `each`.
pub fn segments(mut reader: Reader, mut each: impl FnMut(u64, i64, &Segment<'_>)) {
    let mut decoder = Decoder::new();
    let mut frame = 0;
    while let Some(record) = reader.next().expect("a record") {
        frame += 1;
        if let Ok(segment) = decoder.decode(record.link.0, record.data, record.wire_len, record.time_ns) {
            each(frame, record.time_ns, &segment);
        }
    }
}

#[test]
fn segments_name_their_virtual_network_and_the_innermost_time_to_live() {
    for recipe in RECIPES {
        let mut wanted = Vec::new();
        segments(plain(recipe), |_, _, segment| wanted.push((segment.ttl, segment.ip_id)));
        let mut found = Vec::new();
        segments(wrapped(recipe), |_, _, segment| {
            assert_eq!(segment.tunnel, recipe.vni, "{}", recipe.name);
            found.push((segment.ttl, segment.ip_id));
        });
        assert_eq!(found, wanted, "{}", recipe.name);
    }
}
