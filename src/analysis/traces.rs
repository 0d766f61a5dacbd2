//! The second pass for many incidents: all their connections in one reading of the files.

use std::collections::{BTreeMap, VecDeque};

use crate::capture::CaptureError;
use crate::connection::{Connection, RoleHints, Table};
use crate::report::{Incident, Role, Trace};

use super::Options;
use super::trace::{MAX_SEGMENTS, Passed, TraceFile, TraceRequest, each_segment, role, told};

/// Segments kept of what was captured before the story of an incident begins: the request before it is among them unless
/// its response was acknowledged piece by piece more than thirty times.
const MAX_BEFORE: usize = 64;

/// Incidents traced at most in one reading: with all that is kept of each, about 150 MiB.
pub const MAX_TRACES: usize = 10_000;

/// Reads the segments around incidents of one trace, in one more reading of its files (two where an incident lies in
/// another file than the first, because streams are numbered anew in each). Each is what [`super::trace()`] gives of one,
/// in the order of `incidents`; none where its connection was given up for want of room, and beyond the first
/// [`MAX_TRACES`].
///
/// # Errors
/// When a capture cannot be opened, or reading fails.
pub fn traces(
    files: &[TraceFile<'_>],
    incidents: &[&Incident],
    options: &Options,
) -> Result<Vec<Option<Trace>>, CaptureError> {
    let traced = &incidents[..incidents.len().min(MAX_TRACES)];
    let streams = streams(files, traced, options)?;
    let mut stories: Vec<Story<'_>> = traced.iter().map(|incident| Story::of(incident)).collect();
    let mut of_stream: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, stream) in streams.into_iter().enumerate() {
        if let Some(stream) = stream {
            of_stream.entry(stream).or_default().push(index);
        }
    }
    let mut connections: BTreeMap<u32, Connection> = BTreeMap::new();
    let mut ended = |connection: Connection| {
        if of_stream.contains_key(&connection.stream) {
            connections.insert(connection.stream, connection);
        }
    };
    let mut table = Table::new(RoleHints::new(options.server_ports.clone()), options.max_connections);
    each_segment(files, |at, segment| {
        let stream = table.ingest(segment, at.number, at.time_ns, &mut ended);
        for &index in of_stream.get(&stream).into_iter().flatten() {
            if stories[index].has_room() {
                stories[index].add(Passed::of(segment, at));
            } else {
                stories[index].omitted += 1;
            }
        }
    })?;
    table.finish_all(&mut ended);
    let mut traces: Vec<Option<Trace>> = incidents.iter().map(|_| None).collect();
    for (stream, indexes) in of_stream {
        let Some(connection) = connections.get(&stream) else { continue };
        for index in indexes {
            traces[index] = Some(stories[index].told(files, connection));
        }
    }
    Ok(traces)
}

/// The index over the whole trace of each incident's stream, which has the index of its own file in the report.
fn streams(
    files: &[TraceFile<'_>],
    incidents: &[&Incident],
    options: &Options,
) -> Result<Vec<Option<u32>>, CaptureError> {
    let position = |incident: &Incident| files.iter().position(|file| file.capture == incident.capture);
    let mut streams: Vec<Option<u32>> = Vec::with_capacity(incidents.len());
    let mut wanted: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    for (index, incident) in incidents.iter().enumerate() {
        let position = position(incident);
        streams.push((position == Some(0)).then_some(incident.stream));
        if let Some(later @ 1..) = position {
            wanted.entry((later as u32, incident.stream)).or_default().push(index);
        }
    }
    if wanted.is_empty() {
        return Ok(streams);
    }
    let positions: Vec<u32> = (0..).take(files.len()).collect();
    let mut look = |connection: Connection| {
        for &file in &positions {
            let index = connection.stream_in(file).and_then(|stream| wanted.get(&(file, stream)));
            for &incident in index.into_iter().flatten() {
                streams[incident] = Some(connection.stream);
            }
        }
    };
    let mut table = Table::new(RoleHints::new(options.server_ports.clone()), options.max_connections);
    let mut begun = 0;
    each_segment(files, |at, segment| {
        for _ in begun..at.file {
            table.begin_file();
        }
        begun = at.file;
        table.ingest(segment, at.number, at.time_ns, &mut look);
    })?;
    table.finish_all(&mut look);
    Ok(streams)
}

/// What is kept of one connection for one incident.
struct Story<'r> {
    incident: &'r Incident,
    kept: VecDeque<Passed>,
    /// The role from which on nothing may be forgotten; without it, from the beginning.
    anchor: Role,
    begun: bool,
    omitted: u64,
}

impl<'r> Story<'r> {
    fn of(incident: &'r Incident) -> Story<'r> {
        let known =
            |role| incident.frames.contains_key(&role) || incident.frames_elsewhere.contains_key(&role);
        let anchor = if known(Role::PreviousResponse) { Role::PreviousResponse } else { Role::Request };
        Story { incident, kept: VecDeque::new(), anchor, begun: !known(anchor), omitted: 0 }
    }

    fn has_room(&self) -> bool {
        !self.begun || self.kept.len() < MAX_BEFORE + MAX_SEGMENTS
    }

    fn add(&mut self, passed: Passed) {
        let role = role(&passed, self.incident);
        self.begun |= role == Some(self.anchor);
        if role.is_none() && self.kept.back_mut().is_some_and(|last| last.absorbs(&passed)) {
            return;
        }
        if !self.begun && self.kept.len() == MAX_BEFORE {
            self.omitted += self.kept.pop_front().map_or(0, |first| u64::from(first.count));
        }
        self.kept.push_back(passed);
    }

    fn told(&mut self, files: &[TraceFile<'_>], connection: &Connection) -> Trace {
        let request = TraceRequest {
            stream: self.incident.stream,
            capture: self.incident.capture,
            incident: Some(self.incident),
            names: ("client", "server"),
            products: (None, None),
            server_capture: None,
        };
        let mut trace = told(files, &request, connection, self.kept.make_contiguous(), None);
        trace.omitted += self.omitted;
        self.kept = VecDeque::new();
        trace
    }
}
