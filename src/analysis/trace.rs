//! The second pass: the segments of one connection, from one capture or from the captures of both ends.

use std::path::Path;

use crate::capture::{CaptureError, Interrupt, Reader};
use crate::connection::{Connection, Protocol, RoleHints, Table};
use crate::packet::{Decoder, Endpoint, Flags, Segment};
use crate::report::{self, Clocks, FrameIn, Incident, Lane, Role, SegmentKind, Side, Trace};

use super::streams::stream_of_trace;
use super::{Options, labels};

/// Segments shown at most; what lies beyond is counted as omitted.
pub(super) const MAX_SEGMENTS: usize = 60;

/// Which connection to trace, and how its ends are to be called.
#[derive(Debug)]
pub struct TraceRequest<'r> {
    /// Wireshark's `tcp.stream` in the file named by `capture`.
    pub stream: u32,
    /// Index in the report of the file that `stream` counts in.
    pub capture: u32,
    /// The incident to explain; without it the whole connection is shown.
    pub incident: Option<&'r Incident>,
    /// Names of client and server: `("proxy", "backend")`.
    pub names: (&'r str, &'r str),
    /// What runs at client and server, where known.
    pub products: (Option<String>, Option<String>),
    /// The capture of the other end, by the same clock: `file` is then the client's and this one the server's.
    pub server_capture: Option<&'r Path>,
}

/// One file of a trace.
#[derive(Debug, Clone, Copy)]
pub struct TraceFile<'r> {
    /// The capture file.
    pub path: &'r Path,
    /// Its index in the report.
    pub capture: u32,
}

/// One segment as it passed one capture point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Passed {
    pub at: At,
    from: Endpoint,
    seq: u32,
    ack: u32,
    flags: Flags,
    len: u32,
    ip_id: Option<u16>,
    timestamps: Option<(u32, u32)>,
    kind: [SegmentKind; 2],
    label: String,
    /// Its name if the connection speaks HTTP/2, which only the whole of it tells.
    http2: Option<String>,
}

impl Passed {
    pub fn of(segment: &Segment<'_>, at: At) -> Passed {
        Passed {
            at,
            from: segment.src,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            len: segment.payload_len,
            ip_id: segment.ip_id,
            timestamps: segment.timestamps,
            kind: [labels::kind(segment, Side::Client), labels::kind(segment, Side::Server)],
            label: labels::label(segment),
            http2: labels::http2(segment.payload),
        }
    }

    /// The same packet at another capture point of one path without address translation.
    fn is_same_packet(&self, other: &Passed) -> bool {
        self.from == other.from
            && self.seq == other.seq
            && self.ack == other.ack
            && self.flags == other.flags
            && self.len == other.len
            && self.ip_id == other.ip_id
            && self.timestamps == other.timestamps
    }
}

/// Reads the segments of one connection from the files of one trace, given in the order of their times.
///
/// # Errors
/// When a capture cannot be opened, or reading fails.
pub fn trace(
    files: &[TraceFile<'_>],
    request: &TraceRequest<'_>,
    options: &Options,
) -> Result<Option<Trace>, CaptureError> {
    let Some(stream) = stream_of_trace(files, request, options)? else { return Ok(None) };
    let Some(Collected { connection, passed }) =
        collect(files, options, |table_stream, _| table_stream == stream)?.pop()
    else {
        return Ok(None);
    };
    let (client, server) = (connection.endpoint(Side::Client), connection.endpoint(Side::Server));
    let at_server = match request.server_capture {
        None => None,
        Some(path) => {
            let same_ends = |_, segment: &Segment<'_>| {
                (segment.src == client && segment.dst == server)
                    || (segment.src == server && segment.dst == client)
            };
            // Ports may have been used twice: the connection that shares most packets is the same one.
            let file = TraceFile { path, capture: 0 };
            collect(&[file], options, same_ends)?.into_iter().map(|other| other.passed).max_by_key(|other| {
                other.iter().filter(|there| passed.iter().any(|here| here.is_same_packet(there))).count()
            })
        }
    };
    Ok(Some(told(files, request, &connection, &passed, at_server.as_deref())))
}

/// The story of a connection, from its segments here and at the other end.
pub(super) fn told(
    files: &[TraceFile<'_>],
    request: &TraceRequest<'_>,
    connection: &Connection,
    passed: &[Passed],
    at_server: Option<&[Passed]>,
) -> Trace {
    let (client, server) = (connection.endpoint(Side::Client), connection.endpoint(Side::Server));
    let base = |side| connection.half(side).base().map_or(0, |base| base.0);
    let bases = [base(Side::Client), base(Side::Server)];
    let mut segments = join(passed, at_server, client, bases, request.incident);
    segments.sort_by_key(|segment| segment.sent_ns);
    name_repetitions(&mut segments);
    if request.incident.is_none() {
        explain_close(&mut segments, connection, request.names);
    }
    let (segments, left_out) = select(fold(segments), request.incident);
    let omitted = left_out + connection.duplicates();
    let zero_ns = zero(&segments).unwrap_or(connection.first_ns);
    let lane = |name: &str, product: &Option<String>, endpoint: Endpoint| Lane {
        name: name.to_owned(),
        product: product.clone(),
        address: endpoint.to_string(),
    };
    Trace {
        lanes: [
            lane(request.names.0, &request.products.0, client),
            lane(request.names.1, &request.products.1, server),
        ],
        clocks: if at_server.is_some() { Clocks::Both } else { Clocks::One },
        stream: request.stream,
        zero_ns,
        segments,
        files: match files {
            [_] => Vec::new(),
            several => several.iter().map(|file| file.path.display().to_string()).collect(),
        },
        omitted,
    }
}

/// Where and when a segment was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    /// Position of its file in the trace.
    pub file: u32,
    pub frame: FrameIn,
    /// The frame counted through the files.
    pub number: u64,
    /// Capture time.
    pub time_ns: i64,
}

/// Calls with each segment of some files.
///
/// # Errors
/// When a file cannot be opened, reading fails, or the interrupt is raised: half of a connection tells another story.
pub(super) fn each_segment(
    files: &[TraceFile<'_>],
    interrupt: &Interrupt,
    mut use_it: impl FnMut(At, &Segment<'_>),
) -> Result<(), CaptureError> {
    let mut number = 0;
    let mut decoder = Decoder::new();
    for (position, file) in (0..).zip(files) {
        let mut reader = Reader::open_with(file.path, interrupt)?;
        let mut frame = 0;
        while let Some(record) = reader.next()? {
            frame += 1;
            number += 1;
            let frame = FrameIn { capture: file.capture, frame };
            let at = At { file: position, frame, number, time_ns: record.time_ns };
            if let Ok(segment) = decoder.decode(record.link.0, record.data, record.wire_len, record.time_ns) {
                use_it(at, &segment);
            }
        }
        if interrupt.is_raised() {
            return Err(CaptureError::Interrupted { name: file.path.display().to_string() });
        }
    }
    Ok(())
}

/// A connection with its segments.
struct Collected {
    connection: Connection,
    /// Without those that were captured once more (`-i any`, mirrors).
    passed: Vec<Passed>,
}

/// Gives segments the names that only the whole of their connection tells.
pub(super) fn name(connection: &Connection, passed: &mut [Passed]) {
    if connection.protocol == Protocol::Http2 {
        for passed in passed {
            passed.label = passed.http2.take().unwrap_or(std::mem::take(&mut passed.label));
        }
    }
}

/// Connections of which `wanted` holds for some segment, with their segments, in the order of first packets.
fn collect(
    files: &[TraceFile<'_>],
    options: &Options,
    wanted: impl Fn(u32, &Segment<'_>) -> bool,
) -> Result<Vec<Collected>, CaptureError> {
    let mut table = Table::new(RoleHints::new(options.server_ports.clone()), options.max_connections);
    let mut kept: Vec<(u32, Vec<Passed>)> = Vec::new();
    let mut connections: Vec<Connection> = Vec::new();
    each_segment(files, &options.interrupt, |at, segment| {
        let mut ended = |connection| connections.push(connection);
        let copies = table.counts().duplicates;
        let stream = table.ingest(segment, at.number, at.time_ns, &mut ended);
        // Only the wanted connections are worth the memory.
        connections.retain(|connection| kept.iter().any(|(known, _)| *known == connection.stream));
        if wanted(stream, segment) && table.counts().duplicates == copies {
            let passed = Passed::of(segment, at);
            match kept.iter_mut().find(|(known, _)| *known == stream) {
                Some((_, segments)) => segments.push(passed),
                None => kept.push((stream, vec![passed])),
            }
        }
    })?;
    table.finish_all(&mut |connection| connections.push(connection));
    Ok(kept
        .into_iter()
        .filter_map(|(stream, mut passed)| {
            let at = connections.iter().position(|connection| connection.stream == stream)?;
            let connection = connections.swap_remove(at);
            name(&connection, &mut passed);
            Some(Collected { connection, passed })
        })
        .collect())
}

fn join(
    here: &[Passed],
    at_server: Option<&[Passed]>,
    client: Endpoint,
    bases: [u32; 2],
    incident: Option<&Incident>,
) -> Vec<report::Segment> {
    let mut there: Vec<Option<&Passed>> = at_server.unwrap_or_default().iter().map(Some).collect();
    let mut segments: Vec<report::Segment> = Vec::with_capacity(here.len());
    for passed in here {
        let twin = there
            .iter_mut()
            .find(|other| other.is_some_and(|other| passed.is_same_packet(other)))
            .and_then(Option::take);
        let mut segment = describe(passed, client, bases, incident);
        segment.peer_frame = twin.map(|twin| twin.at.frame.frame);
        if at_server.is_some() {
            let (sent, received) = match segment.from {
                Side::Client => (Some(passed.at.time_ns), twin.map(|twin| twin.at.time_ns)),
                Side::Server => (twin.map(|twin| twin.at.time_ns), Some(passed.at.time_ns)),
            };
            segment.sent_ns = sent.unwrap_or(passed.at.time_ns);
            segment.received_ns = received;
        }
        segments.push(segment);
    }
    // What only the server's side saw was lost on the way, or not yet there when the capture ended.
    for lost in there.into_iter().flatten() {
        let mut segment = describe(lost, client, bases, None);
        segment.frame = 0;
        segment.peer_frame = Some(lost.at.frame.frame);
        segments.push(segment);
    }
    segments
}

fn describe(
    passed: &Passed,
    client: Endpoint,
    bases: [u32; 2],
    incident: Option<&Incident>,
) -> report::Segment {
    let from = if passed.from == client { Side::Client } else { Side::Server };
    let (own, other) = (bases[from as usize], bases[from.peer() as usize]);
    let seq = passed.seq.wrapping_sub(own);
    let ack = passed.flags.ack().then(|| passed.ack.wrapping_sub(other));
    let kind = passed.kind[from as usize];
    let role = incident.and_then(|incident| role(passed, incident));
    let meaning = incident.map_or_else(String::new, |incident| {
        let fin_seq = seq.wrapping_add(passed.len);
        let number = if role == Some(Role::Fin) { fin_seq } else { seq };
        labels::meaning(role, from, kind, incident, number, ack.unwrap_or(0))
    });
    report::Segment {
        frame: passed.at.frame.frame,
        file: passed.at.file,
        peer_frame: None,
        from,
        sent_ns: passed.at.time_ns,
        received_ns: None,
        kind,
        flags: passed.flags.to_string(),
        seq,
        ack,
        len: passed.len,
        role,
        label: passed.label.clone(),
        meaning,
        count: 1,
    }
}

pub(super) fn role(passed: &Passed, incident: &Incident) -> Option<Role> {
    if passed.at.frame.capture == incident.capture {
        incident.frames.iter().find(|(_, frame)| **frame == passed.at.frame.frame).map(|(role, _)| *role)
    } else {
        incident.frames_elsewhere.iter().find(|(_, frame)| **frame == passed.at.frame).map(|(role, _)| *role)
    }
}

/// Below, a close belongs to the response before it and no idle timer has run.
const SHORTEST_IDLE_NS: i64 = 10_000_000;

/// Without an incident, the story is who closed first, and after how long.
fn explain_close(segments: &mut [report::Segment], connection: &Connection, names: (&str, &str)) {
    let Some(closer) = connection.closed_first() else { return };
    let name = match closer {
        Side::Client => names.0,
        Side::Server => names.1,
    };
    let Some(close) = segments.iter_mut().find(|segment| {
        segment.from == closer && matches!(segment.kind, SegmentKind::Fin | SegmentKind::Reset)
    }) else {
        return;
    };
    close.meaning = match connection.idle_before_close(closer) {
        Some(idle_ns) if idle_ns >= SHORTEST_IDLE_NS => {
            format!("the {name} closes first, after {:.3} s idle", idle_ns as f64 / 1e9)
        }
        _ => format!("the {name} closes first"),
    };
}

/// Before the name of what was sent already.
const AGAIN: &str = "again: ";

/// Says of each segment that repeats bytes sent before that it does, so that nobody takes it for new ones.
fn name_repetitions(segments: &mut [report::Segment]) {
    // The number behind the last one sent, by side.
    let mut next: [Option<u32>; 2] = [None; 2];
    for segment in segments.iter_mut().filter(|segment| segment.kind != SegmentKind::Reset) {
        let control = u32::from(segment.flags.contains("SYN")) + u32::from(segment.flags.contains("FIN"));
        let end = segment.seq.wrapping_add(segment.len).wrapping_add(control);
        let next = &mut next[segment.from as usize];
        // Modulo 2^32, as RFC 9293 section 3.4 compares.
        let before = |number: u32, other: u32| (number.wrapping_sub(other) as i32) < 0;
        match *next {
            // RFC 9293 section 3.8.4: one number below the next, with one byte or none.
            Some(next) if control == 0 && segment.len <= 1 && segment.seq.wrapping_add(1) == next => {
                segment.kind = SegmentKind::Ack;
                segment.label = "keep-alive probe".to_owned();
            }
            Some(next) if segment.len + control > 0 && !before(next, end) => {
                segment.label.insert_str(0, AGAIN);
            }
            Some(known) if !before(known, end) => {}
            _ => *next = Some(end),
        }
    }
}

/// The most time between two segments that are shown as one: what comes later is worth a time of its own.
const FOLDED_WITHIN_NS: i64 = 1_000_000_000;

/// Folds storms of RSTs, and the segments of one body with the acknowledgements between them, into one line each.
fn fold(segments: Vec<report::Segment>) -> Vec<report::Segment> {
    let mut folded: Vec<report::Segment> = Vec::with_capacity(segments.len());
    // The time of the last segment in each line.
    let mut until: Vec<i64> = Vec::with_capacity(segments.len());
    for segment in segments {
        let line = line_of(&segment, &folded).filter(|&line| {
            segment.role.is_none() && segment.sent_ns.saturating_sub(until[line]) <= FOLDED_WITHIN_NS
        });
        match line {
            Some(line) => {
                let into = &mut folded[line];
                into.count += segment.count;
                into.len = into.len.saturating_add(segment.len);
                until[line] = segment.sent_ns;
            }
            None => {
                until.push(segment.sent_ns);
                folded.push(segment);
            }
        }
    }
    folded
}

/// The line that a segment goes on with, if there is one.
fn line_of(segment: &report::Segment, folded: &[report::Segment]) -> Option<usize> {
    let last = folded.len().checked_sub(1)?;
    let between = matches!(&folded[last], ack if ack.kind == SegmentKind::Ack
        && ack.role.is_none()
        && ack.from != segment.from
        && ack.label == "ACK");
    let line = match segment.kind {
        SegmentKind::Request | SegmentKind::Response if between => last.checked_sub(1)?,
        _ => last,
    };
    let it = &folded[line];
    let goes_on = match segment.kind {
        SegmentKind::Reset => true,
        // What has a name of its own begins something.
        SegmentKind::Request | SegmentKind::Response => match segment.label.strip_prefix(AGAIN) {
            None => segment.label == labels::UNNAMED || segment.label == it.label,
            // Each attempt to send a request again has a time that tells something.
            Some(name) => name == labels::UNNAMED && segment.label == it.label,
        },
        SegmentKind::Ack => it.role.is_none() && segment.label == it.label,
        SegmentKind::Handshake | SegmentKind::Fin => false,
    };
    (goes_on && it.from == segment.from && it.kind == segment.kind).then_some(line)
}

/// What tells the story: the handshake if it is near, the last exchange before the incident, and all that follows.
fn select(segments: Vec<report::Segment>, incident: Option<&Incident>) -> (Vec<report::Segment>, u64) {
    let previous = segments
        .iter()
        .position(|segment| segment.role == Some(Role::PreviousResponse))
        .or_else(|| segments.iter().position(|segment| segment.role == Some(Role::Request)));
    let start = match (incident, previous) {
        (Some(_), Some(previous)) => {
            segments[..previous].iter().rposition(|segment| segment.kind == SegmentKind::Request).unwrap_or(0)
        }
        _ => 0,
    };
    // A handshake of three segments right before is part of the story.
    let start = if start <= 3 { 0 } else { start };
    let end = segments.len().min(start + MAX_SEGMENTS);
    let omitted: u64 =
        segments[..start].iter().chain(&segments[end..]).map(|segment| u64::from(segment.count)).sum();
    (segments[start..end].to_vec(), omitted)
}

/// Time zero: the server's FIN, or what took its place.
fn zero(segments: &[report::Segment]) -> Option<i64> {
    let of = |role| segments.iter().find(|segment| segment.role == Some(role)).map(|segment| segment.sent_ns);
    of(Role::Fin).or_else(|| of(Role::Reset)).or_else(|| of(Role::Request))
}
