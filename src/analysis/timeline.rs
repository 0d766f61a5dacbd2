//! The second pass over a whole trace: when each of some connections was busy, and when it was closed.

use std::collections::BTreeMap;

use crate::capture::CaptureError;
use crate::connection::{Connection, RoleHints, Table};
use crate::packet::{Endpoint, Segment};
use crate::report::{
    Incident, Report, Side, Timeline, TimelineClose, TimelineIncident, TimelineLane, TimelineSpan,
};

use super::Options;
use super::streams::streams_of_trace;
use super::trace::{At, TraceFile, each_segment};

/// Connections shown at most: more lanes than a slide has room for are read by nobody.
const MAX_LANES: usize = 40;
/// Bursts of data kept for each connection; beyond it, those that lie closest together become one.
const MAX_BURSTS: usize = 512;
/// The first distance at which bursts become one; it doubles until they are few enough.
const JOINED_WITHIN_NS: i64 = 1_000_000;

/// Reads when the connections of one trace were busy and closed: those with incidents first, then the first others.
///
/// With a window, only connections that have a packet in it. `files` are those of the trace, in the order of their times.
/// Memory is bounded by the number of lanes, whatever the captures hold.
///
/// # Errors
/// When a capture cannot be opened, or reading fails.
pub fn timeline(
    files: &[TraceFile<'_>],
    report: &Report,
    window: Option<[i64; 2]>,
    options: &Options,
) -> Result<Timeline, CaptureError> {
    let in_window = |time_ns: i64| window.is_none_or(|[from, to]| (from..=to).contains(&time_ns));
    let mut of_trace: Vec<&Incident> = report
        .incidents
        .iter()
        .filter(|incident| files.iter().any(|file| file.capture == incident.capture))
        .collect();
    of_trace.retain(|incident| in_window(incident.time_ns));
    let known: Vec<(u32, u32)> =
        of_trace.iter().map(|incident| (incident.capture, incident.stream)).collect();
    let streams = streams_of_trace(files, &known, options)?;
    let mut incidents: BTreeMap<u32, Vec<TimelineIncident>> = BTreeMap::new();
    let mut incidents_left_out = 0;
    for (incident, stream) in of_trace.iter().zip(streams) {
        let Some(stream) = stream else { continue };
        if incidents.len() >= MAX_LANES && !incidents.contains_key(&stream) {
            incidents_left_out += 1;
            continue;
        }
        incidents.entry(stream).or_default().push(TimelineIncident {
            id: incident.id,
            cause: incident.cause,
            time_ns: incident.time_ns,
            request: incident.request.label(),
        });
    }
    let mut table = Table::new(RoleHints::new(options.server_ports.clone()), options.max_connections);
    let mut lanes: BTreeMap<u32, Lane> = BTreeMap::new();
    let mut others = MAX_LANES.saturating_sub(incidents.len());
    let mut span: Option<[i64; 2]> = None;
    let mut begun = 0;
    let mut left_out = Streams::default();
    each_segment(files, &options.interrupt, |at, segment| {
        for _ in begun..at.file {
            table.begin_file();
        }
        begun = at.file;
        let [first, last] = span.unwrap_or([at.time_ns; 2]);
        span = Some([first.min(at.time_ns), last.max(at.time_ns)]);
        let copies = table.counts().duplicates;
        let stream = table.ingest(segment, at.number, at.time_ns, &mut |connection| {
            keep(&mut lanes, connection, files);
        });
        let is_known = lanes.contains_key(&stream);
        if !is_known && in_window(at.time_ns) {
            let is_incident = incidents.contains_key(&stream);
            if !is_incident && others == 0 {
                left_out.insert(stream);
                return;
            }
            others -= usize::from(!is_incident);
            lanes.insert(stream, Lane::default());
        }
        if table.counts().duplicates == copies
            && let Some(lane) = lanes.get_mut(&stream)
        {
            lane.segment(segment, &at);
        }
    })?;
    table.finish_all(&mut |connection| keep(&mut lanes, connection, files));
    let mut drawn: Vec<TimelineLane> = lanes
        .into_iter()
        .filter_map(|(stream, lane)| lane.told(incidents.remove(&stream).unwrap_or_default()))
        .collect();
    drawn.sort_by_key(|lane| lane.incidents.is_empty());
    let [first_ns, last_ns] = span.unwrap_or_default();
    Ok(Timeline {
        files: files.iter().map(|file| file.path.display().to_string()).collect(),
        first_ns,
        last_ns,
        lanes: drawn,
        connections_left_out: left_out.count,
        incidents_left_out,
    })
}

/// A set of streams, a bit each.
#[derive(Debug, Default)]
struct Streams {
    bits: Vec<u64>,
    count: u64,
}

impl Streams {
    fn insert(&mut self, stream: u32) {
        let (place, bit) = (stream as usize / 64, 1_u64 << (stream % 64));
        if self.bits.len() <= place {
            self.bits.resize(place + 1, 0);
        }
        self.count += u64::from(self.bits[place] & bit == 0);
        self.bits[place] |= bit;
    }
}

/// A connection is over: what it was goes to its lane, if it has one.
fn keep(lanes: &mut BTreeMap<u32, Lane>, connection: Connection, files: &[TraceFile<'_>]) {
    let Some(lane) = lanes.get_mut(&connection.stream) else { return };
    let first = (0..).zip(files).find_map(|(at, _)| Some((at, connection.stream_in(at)?)));
    let (file, stream) = first.unwrap_or((0, connection.stream));
    lane.ended = Some(Ended {
        file,
        stream,
        client: connection.endpoint(Side::Client),
        server: connection.endpoint(Side::Server),
        first_ns: connection.first_ns,
        last_ns: connection.last_ns,
    });
}

/// Data that one end sent without being interrupted by the other.
#[derive(Debug, Clone, Copy)]
struct Burst {
    from_ns: i64,
    to_ns: i64,
    /// None where several became one.
    by: Option<Endpoint>,
}

/// What is known of a connection when it is over.
#[derive(Debug, Clone, Copy)]
struct Ended {
    file: u32,
    stream: u32,
    client: Endpoint,
    server: Endpoint,
    first_ns: i64,
    last_ns: i64,
}

/// One connection while it is read.
#[derive(Debug, Default)]
struct Lane {
    bursts: Vec<Burst>,
    /// The number behind the last byte of each end.
    next: Vec<(Endpoint, u32)>,
    closes: Vec<(Endpoint, bool, i64)>,
    ended: Option<Ended>,
}

impl Lane {
    fn segment(&mut self, segment: &Segment<'_>, at: &At) {
        let by = segment.src;
        for (happens, reset) in [(segment.flags.fin(), false), (segment.flags.rst(), true)] {
            let known = self.closes.iter().any(|(other, kind, _)| *other == by && *kind == reset);
            if happens && !known {
                self.closes.push((by, reset, at.time_ns));
            }
        }
        if segment.payload_len > 0 && !segment.flags.rst() && self.is_new(segment) {
            self.burst(by, at.time_ns);
        }
    }

    /// Whether a segment holds bytes that were not sent before: neither a retransmission nor a keep-alive probe.
    fn is_new(&mut self, segment: &Segment<'_>) -> bool {
        let end = segment.seq.wrapping_add(segment.payload_len);
        match self.next.iter_mut().find(|(end, _)| *end == segment.src) {
            Some((_, next)) => {
                // Modulo 2^32, as RFC 9293 section 3.4 compares.
                let is_new = (end.wrapping_sub(*next) as i32) > 0;
                if is_new {
                    *next = end;
                }
                is_new
            }
            None => {
                self.next.push((segment.src, end));
                true
            }
        }
    }

    fn burst(&mut self, by: Endpoint, time_ns: i64) {
        match self.bursts.last_mut() {
            Some(last) if last.by == Some(by) => last.to_ns = last.to_ns.max(time_ns),
            _ => self.bursts.push(Burst { from_ns: time_ns, to_ns: time_ns, by: Some(by) }),
        }
        let mut within_ns = JOINED_WITHIN_NS;
        while self.bursts.len() > MAX_BURSTS {
            let mut joined: Vec<Burst> = Vec::with_capacity(self.bursts.len());
            for burst in &self.bursts {
                match joined.last_mut() {
                    Some(last) if burst.from_ns.saturating_sub(last.to_ns) <= within_ns => {
                        last.to_ns = last.to_ns.max(burst.to_ns);
                        last.by = None;
                    }
                    _ => joined.push(*burst),
                }
            }
            self.bursts = joined;
            within_ns = within_ns.saturating_mul(2);
        }
    }

    /// The lane as it is drawn; none for a connection that the table gave up and never handed over.
    fn told(self, incidents: Vec<TimelineIncident>) -> Option<TimelineLane> {
        let Ended { file, stream, client, server, first_ns, last_ns } = self.ended?;
        let mut exchanges: Vec<TimelineSpan> = Vec::new();
        let mut is_asked = false;
        for burst in &self.bursts {
            let answers = burst.by == Some(server) && is_asked;
            match exchanges.last_mut() {
                Some(exchange) if answers => exchange.to_ns = exchange.to_ns.max(burst.to_ns),
                _ => exchanges.push(TimelineSpan { from_ns: burst.from_ns, to_ns: burst.to_ns }),
            }
            is_asked = burst.by == Some(client);
        }
        let side = |end: Endpoint| if end == client { Side::Client } else { Side::Server };
        Some(TimelineLane {
            file,
            stream,
            client: client.to_string(),
            server: server.to_string(),
            first_ns,
            last_ns,
            exchanges,
            closes: self
                .closes
                .iter()
                .map(|(by, reset, time_ns)| TimelineClose {
                    side: side(*by),
                    reset: *reset,
                    time_ns: *time_ns,
                })
                .collect(),
            incidents,
        })
    }
}
