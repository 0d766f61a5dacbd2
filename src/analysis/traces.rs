//! The second pass for many incidents: all their connections in one reading of the files.

use std::collections::{BTreeMap, VecDeque};

use crate::capture::CaptureError;
use crate::connection::{Connection, RoleHints, Table};
use crate::packet::Segment;
use crate::report::{Incident, Role, Trace};

use super::Options;
use super::streams::streams_of_trace;
use super::trace::{At, MAX_SEGMENTS, Passed, TraceFile, TraceRequest, each_segment, name, role, told};

/// Segments kept at the same time, of all connections together, when there are so many that each has only its share.
const MAX_KEPT: usize = 1_000_000;

/// The share of one connection: half of it before its story begins, half from there on. The smallest is what a picture
/// shows.
const SHARE: std::ops::RangeInclusive<usize> = 2 * MAX_SEGMENTS..=4_096;

/// Incidents traced at most in one reading.
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
    let known: Vec<(u32, u32)> = traced.iter().map(|incident| (incident.capture, incident.stream)).collect();
    let streams = streams_of_trace(files, &known, options)?;
    let share = (MAX_KEPT / traced.len().max(1)).clamp(*SHARE.start(), *SHARE.end());
    let mut stories: Vec<Story<'_>> = traced.iter().map(|incident| Story::of(incident, share / 2)).collect();
    let mut of_stream: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, stream) in streams.into_iter().enumerate() {
        if let Some(stream) = stream {
            of_stream.entry(stream).or_default().push(index);
        }
    }
    let mut traces: Vec<Option<Trace>> = incidents.iter().map(|_| None).collect();
    let mut ended: Vec<Connection> = Vec::new();
    let mut table = Table::new(RoleHints::new(options.server_ports.clone()), options.max_connections);
    each_segment(files, &options.interrupt, |at, segment| {
        let copies = table.counts().duplicates;
        let stream = table.ingest(segment, at.number, at.time_ns, &mut |connection| ended.push(connection));
        if table.counts().duplicates == copies {
            for &index in of_stream.get(&stream).into_iter().flatten() {
                stories[index].add(segment, at);
            }
        }
        // What is told needs no more room than its picture.
        for connection in ended.drain(..) {
            tell(&connection, &of_stream, &mut stories, files, &mut traces);
        }
    })?;
    table.finish_all(&mut |connection| tell(&connection, &of_stream, &mut stories, files, &mut traces));
    Ok(traces)
}

/// Tells the stories of a connection that is over.
fn tell(
    connection: &Connection,
    of_stream: &BTreeMap<u32, Vec<usize>>,
    stories: &mut [Story<'_>],
    files: &[TraceFile<'_>],
    traces: &mut [Option<Trace>],
) {
    for &index in of_stream.get(&connection.stream).into_iter().flatten() {
        traces[index] = Some(stories[index].told(files, connection));
    }
}

/// What is kept of one connection for one incident.
struct Story<'r> {
    incident: &'r Incident,
    kept: VecDeque<Passed>,
    /// Segments kept before the anchor, and from it on.
    half: usize,
    /// The role from which on nothing may be forgotten; without it, from the beginning.
    anchor: Role,
    /// How many were kept when the anchor came.
    begun: Option<usize>,
    omitted: u64,
}

impl<'r> Story<'r> {
    fn of(incident: &'r Incident, half: usize) -> Story<'r> {
        let known =
            |role| incident.frames.contains_key(&role) || incident.frames_elsewhere.contains_key(&role);
        let anchor = if known(Role::PreviousResponse) { Role::PreviousResponse } else { Role::Request };
        let begun = if known(anchor) { None } else { Some(0) };
        Story { incident, kept: VecDeque::new(), half, anchor, begun, omitted: 0 }
    }

    fn add(&mut self, segment: &Segment<'_>, at: At) {
        if self.begun.is_some_and(|begun| self.kept.len() >= begun + self.half) {
            self.omitted += 1;
            return;
        }
        let passed = Passed::of(segment, at);
        if self.begun.is_none() {
            if role(&passed, self.incident) == Some(self.anchor) {
                self.begun = Some(self.kept.len());
            } else if self.kept.len() == self.half {
                self.kept.pop_front();
                self.omitted += 1;
            }
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
        let mut passed = Vec::from(std::mem::take(&mut self.kept));
        name(connection, &mut passed);
        let mut trace = told(files, &request, connection, &passed, None);
        trace.omitted += self.omitted;
        trace
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::analysis::{Input, Unobserved, analyze_inputs, trace};
    use crate::capture::Interrupt;

    /// What one incident's own reading gives.
    fn one(file: TraceFile<'_>, incident: &Incident) -> Option<Trace> {
        let request = TraceRequest {
            stream: incident.stream,
            capture: incident.capture,
            incident: Some(incident),
            names: ("client", "server"),
            products: (None, None),
            server_capture: None,
        };
        trace(&[file], &request, &Options::default()).unwrap()
    }

    #[test]
    fn many_incidents_traced_at_once_are_what_each_is_alone() {
        let stories = std::fs::read_dir("captures").unwrap().map(|entry| entry.unwrap().path());
        let files = stories.flat_map(|story| ["client.pcap", "server.pcap"].map(|name| story.join(name)));
        let files: Vec<PathBuf> = files.filter(|file| file.exists()).collect();
        let mut compared = 0;
        for path in &files {
            let input = Input::look_at(path, &Interrupt::default()).unwrap();
            let report = analyze_inputs(vec![input], &Options::default(), &mut Unobserved);
            let incidents: Vec<&Incident> = report.incidents.iter().collect();
            let file = TraceFile { path, capture: 0 };
            let together = traces(&[file], &incidents, &Options::default()).unwrap();
            assert_eq!(together.len(), incidents.len());
            for (incident, told) in incidents.into_iter().zip(together) {
                assert!(told.is_some(), "{}: #{}", path.display(), incident.id);
                assert_eq!(told, one(file, incident), "{}: #{}", path.display(), incident.id);
                compared += 1;
            }
        }
        assert!(compared > 60, "{compared} incidents");
    }

    #[test]
    fn a_second_reading_that_is_interrupted_tells_nothing() {
        let path = PathBuf::from("captures/crossed-fin/server.pcap");
        let input = Input::look_at(&path, &Interrupt::default()).unwrap();
        let report = analyze_inputs(vec![input], &Options::default(), &mut Unobserved);
        let options = Options::default();
        options.interrupt.raise();
        let files = [TraceFile { path: &path, capture: 0 }];
        let told = traces(&files, &[&report.incidents[0]], &options);
        assert!(matches!(told, Err(CaptureError::Interrupted { .. })), "{told:?}");
        let drawn = crate::analysis::timeline(&files, &report, None, &options);
        assert!(matches!(drawn, Err(CaptureError::Interrupted { .. })), "{drawn:?}");
    }

    #[test]
    fn a_share_that_is_too_small_keeps_the_story_and_counts_the_rest() {
        let path = PathBuf::from("captures/crossed-fin/server.pcap");
        let input = Input::look_at(&path, &Interrupt::default()).unwrap();
        let report = analyze_inputs(vec![input], &Options::default(), &mut Unobserved);
        let incident = &report.incidents[0];
        let mut story = Story::of(incident, 2);
        let mut table = Table::new(RoleHints::new(Vec::new()), 10);
        let mut all = 0;
        each_segment(&[TraceFile { path: &path, capture: 0 }], &Interrupt::default(), |at, segment| {
            table.ingest(segment, at.number, at.time_ns, &mut |_| {});
            story.add(segment, at);
            all += 1;
        })
        .unwrap();
        let frames: Vec<u64> = story.kept.iter().map(|passed| passed.at.frame.frame).collect();
        assert_eq!(frames, [3, 4, 5, 6], "two before the response, and two from it on");
        assert_eq!(story.omitted, all - 4);
    }
}
