//! Connections and findings folded into a report.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use crate::connection::{Connection, Retries, TableCounts};
use crate::diagnosis::{self, Finding};
use crate::packet::Endpoint;
use crate::report::{self, Filter, Incident, Report, SCHEMA_VERSION, Side, Summary, Unlisted};

use super::Observer;
use super::files::Files;
use super::hops::{Hops, Twins};
use super::incident::Pending;
use super::notes::{self, Unclear};
use super::quality::Quality;
use super::retried::Lost;
use super::servers::Servers;
use super::vantage::vantage;

/// A client that is refused at this many addresses and ports of one capture is a port scan.
const SCAN_TARGETS: usize = 16;
/// Incidents listed at most, some KB each; of more, each is counted. Nobody reads as many. Those that a filter asks for have
/// as much room again, so that what was lost before them does not hide them.
const MAX_INCIDENTS: usize = 20_000;

/// Collects what the passes over all captures find.
pub(super) struct Builder<'o> {
    /// Where incidents go as soon as they are certain.
    observer: &'o mut dyn Observer,
    list_connections: bool,
    filter: Filter,
    captures: Vec<report::Capture>,
    connections: Vec<report::Connection>,
    pending: Vec<Pending>,
    servers: Servers,
    hops: Hops,
    live: Live,
    /// Lost requests that are copies of others.
    copies: u64,
    /// How many of `pending` are there only because the filter asks for them.
    asked_for: usize,
    /// Incidents beyond those listed.
    unlisted: Unlisted,
    /// Those of them that the filter keeps, and that nobody was told of.
    counted_only: u64,
    unclear: Unclear,
    summary: Summary,
}

/// What was told before the end.
#[derive(Default)]
struct Live {
    told: Vec<Incident>,
    /// Those that were told, and for which the list had no room.
    told_only: u64,
    /// Those of each trace.
    lost: HashMap<u32, Lost>,
    twins: Twins,
    /// The servers as far as their connections have settled.
    servers: Servers,
}

impl Live {
    fn has_told(&self, pending: &Pending) -> bool {
        self.lost.get(&pending.trace).is_some_and(|lost| lost.contains_key(&pending.start.frame()))
    }
}

impl<'o> Builder<'o> {
    pub fn new(list_connections: bool, filter: Filter, observer: &'o mut dyn Observer) -> Builder<'o> {
        Builder {
            observer,
            list_connections,
            filter,
            captures: Vec::new(),
            connections: Vec::new(),
            pending: Vec::new(),
            servers: Servers::default(),
            hops: Hops::default(),
            live: Live::default(),
            copies: 0,
            asked_for: 0,
            unlisted: Unlisted::default(),
            counted_only: 0,
            unclear: Unclear::default(),
            summary: Summary {
                packets: 0,
                tcp_packets: 0,
                connections: 0,
                requests: 0,
                incidents: 0,
                filtered_out: 0,
                by_cause: BTreeMap::new(),
                conclusive: true,
                notes: Vec::new(),
            },
        }
    }

    /// Tells how far the analysis is.
    pub fn progress(&mut self, bytes: u64, bytes_total: Option<u64>, packets: u64) {
        let unlisted = self.unlisted.kept.values().sum::<u64>() + self.unlisted.filtered_out;
        let incidents = (self.live.told.len() + self.pending.len()) as u64 + self.live.told_only + unlisted;
        self.observer.progress(&super::Progress { bytes, bytes_total, packets, incidents });
    }

    /// Something that the reader needs to know before believing the numbers.
    pub fn note(&mut self, note: String) {
        self.summary.notes.push(note);
    }

    /// The captures were not read to their end, or could not show every lost request.
    pub fn inconclusive(&mut self) {
        self.summary.conclusive = false;
    }

    /// Captures described so far.
    pub fn captures(&self) -> u32 {
        self.captures.len() as u32
    }

    /// Tells the incidents of a connection that has been closed for a while, ahead of the end.
    pub fn settled(&mut self, files: &Files, connection: &Connection, retries: &Retries) {
        let judgement = diagnosis::judge(connection, files.circumstances(connection));
        self.live.servers.add(files.trace, connection, &judgement.findings);
        self.tell(files, connection, judgement.findings, retries);
    }

    /// Tells the incidents of a connection that is over before the end.
    pub fn ended(&mut self, files: &Files, connection: &Connection, retries: &Retries) {
        let judgement = diagnosis::judge(connection, files.circumstances(connection));
        self.tell(files, connection, judgement.findings, retries);
    }

    fn tell(&mut self, files: &Files, connection: &Connection, findings: Vec<Finding>, retries: &Retries) {
        let vantage = vantage(connection);
        for finding in findings {
            let Some(mut pending) = Pending::of(files, connection, finding, vantage) else { continue };
            let lost = self.live.lost.entry(pending.trace).or_default();
            // Whether refusals are those of a port scan is known at the end.
            if pending.is_refusal() || lost.insert(pending.start.frame(), pending.verdict()).is_some() {
                continue;
            }
            pending.follow(files, retries, lost);
            if self.live.twins.told_before(&pending, self.live.told.len()).is_some() {
                self.copies += 1;
                continue;
            }
            let id = self.live.told.len() as u64 + self.live.told_only + 1;
            let timers = self.live.servers.timers_so_far(pending.server);
            let incident = pending.told(u32::try_from(id).unwrap_or(u32::MAX), timers);
            if self.filter.keeps(&incident) {
                self.observer.incident(&incident);
            }
            if self.has_room() {
                self.live.told.push(incident);
            } else {
                self.live.told_only += 1;
                self.unlist(&incident);
            }
        }
    }

    /// Judges a connection that is over, or as far as the captures go.
    pub fn connection(&mut self, files: &Files, connection: &Connection) {
        let judgement = diagnosis::judge(connection, files.circumstances(connection));
        let server = connection.endpoint(Side::Server);
        self.servers.add(files.trace, connection, &judgement.findings);
        self.hops.connection(files.trace, connection);
        self.summary.connections += u64::from(!connection.resumed);
        self.summary.requests += u64::from(connection.requests);
        let vantage = vantage(connection);
        if self.list_connections {
            let closed_first = connection.closed_first();
            let (capture, stream) = files.first_stream(connection);
            self.connections.push(report::Connection {
                capture,
                stream,
                client: connection.endpoint(Side::Client).to_string(),
                server: server.to_string(),
                vantage,
                packets: connection.packets(),
                requests: connection.requests,
                ending: judgement.ending,
                closed_first,
                idle_before_close_ns: closed_first.and_then(|side| connection.idle_before_close(side)),
                first_ns: connection.first_ns,
                last_ns: connection.last_ns,
            });
        }
        if let Some(message) = judgement.unclear {
            let (place, stream) = files.stream_at(connection, message);
            self.unclear.add(place.frame.capture, stream, place.frame.frame);
        }
        for finding in judgement.findings {
            let Some(pending) = Pending::of(files, connection, finding, vantage) else { continue };
            if self.live.has_told(&pending) {
                continue;
            }
            if self.has_room() {
                self.pending.push(pending);
            } else if self.asked_for < MAX_INCIDENTS && self.asks_for(&pending) {
                self.asked_for += 1;
                self.pending.push(Pending { asked_for: true, ..pending });
            } else {
                self.counted_only += u64::from(self.unlist(&pending.incident));
            }
        }
    }

    fn has_room(&self) -> bool {
        self.live.told.len() + self.pending.len() - self.asked_for < MAX_INCIDENTS
    }

    /// Whether there is a filter that may keep it, whatever the timers will make of its cause.
    fn asks_for(&self, pending: &Pending) -> bool {
        let keeps = |cause| self.filter.keeps_with_cause(&pending.incident, cause);
        !self.filter.is_empty() && pending.possible_causes().into_iter().any(keeps)
    }

    /// Counts an incident that is not listed, and says whether the filter keeps it.
    fn unlist(&mut self, incident: &Incident) -> bool {
        let kept = self.filter.keeps(incident);
        if kept {
            *self.unlisted.kept.entry(incident.cause).or_default() += 1;
        } else {
            self.unlisted.filtered_out += 1;
        }
        kept
    }

    /// Closes a capture.
    pub fn capture(&mut self, capture: report::Capture, segments: u64) {
        self.summary.packets += capture.packets;
        self.summary.tcp_packets += segments;
        self.captures.push(capture);
    }

    /// All connections of a trace were judged: what became of further tries is known.
    pub fn retries(&mut self, files: &Files, retries: &Retries) {
        let mut lost = self.live.lost.remove(&files.trace).unwrap_or_default();
        let of_trace = |pending: &&mut Pending| pending.trace == files.trace;
        for pending in self.pending.iter_mut().filter(of_trace) {
            lost.insert(pending.start.frame(), pending.verdict());
        }
        for pending in self.pending.iter_mut().filter(of_trace) {
            pending.follow(files, retries, &lost);
        }
    }

    /// Closes a trace: what it could have shown.
    pub fn trace(&mut self, files: &Files, quality: &Quality, counts: TableCounts, max_connections: usize) {
        let captures: Vec<&report::Capture> =
            files.captures().filter_map(|index| self.captures.get(index as usize)).collect();
        let name = notes::names(&captures.iter().map(|capture| capture.file.as_str()).collect::<Vec<_>>());
        let mut links: Vec<&str> =
            captures.iter().flat_map(|capture| &capture.link_types).map(String::as_str).collect();
        links.dedup();
        let dropped = captures.iter().filter_map(|capture| capture.dropped_by_kernel).sum();
        let objection = quality.objection(&links, dropped);
        let drops: Vec<String> = captures.iter().filter_map(|capture| notes::dropped(capture)).collect();
        if let Some(objection) = objection {
            self.inconclusive();
            self.note(format!("{name}: {objection}"));
        }
        self.summary.notes.extend(drops);
        self.summary.notes.extend(notes::duplicates(&name, counts.duplicates));
        self.summary.notes.extend(notes::given_up(&name, counts, max_connections));
    }

    /// The report. Incidents are in the order of captures and of time; those told before the end come first, in the order
    /// in which they were told. Those that only a filter asked for come last: with any filter the others have the same numbers.
    pub fn finish(mut self) -> Report {
        self.leave_out_scans();
        let notes = self.servers.settle();
        self.summary.notes.extend(notes);
        self.pending.sort_by_key(|pending| {
            (pending.asked_for, pending.incident.capture, pending.incident.time_ns, pending.incident.stream)
        });
        self.leave_out_copies();
        let ends: Vec<(Endpoint, Endpoint)> =
            self.pending.iter().map(|pending| (pending.client, pending.server)).collect();
        self.summary.notes.extend(self.hops.note());
        if let Some(note) = self.unclear.note(&self.captures) {
            self.inconclusive();
            self.note(note);
        }
        self.summary.notes.extend(notes::two_hops_of_a_proxy(&ends, &self.servers));
        let mut incidents = self.live.told;
        for (id, pending) in (incidents.len() as u32 + 1..).zip(self.pending) {
            let timers = self.servers.timers(pending.server);
            let incident = pending.told(id, timers);
            if self.filter.keeps(&incident) {
                self.observer.incident(&incident);
            }
            incidents.push(incident);
        }
        self.connections.sort_by_key(|connection| (connection.capture, connection.stream));
        if self.counted_only > 0 {
            self.summary.notes.push(notes::unlisted(self.counted_only));
        }
        self.summary.notes.extend(notes::port_forwarder(&incidents, &self.captures));
        let mut report = Report {
            schema: SCHEMA_VERSION,
            run: None,
            captures: self.captures,
            summary: self.summary,
            incidents,
            servers: self.servers.rows(),
            connections: self.list_connections.then_some(self.connections),
        };
        report.narrow(&self.filter, self.unlisted);
        report
    }

    /// A port scan is refused again and again; no request of anybody is lost in it.
    fn leave_out_scans(&mut self) {
        let mut refused: BTreeMap<IpAddr, BTreeSet<Endpoint>> = BTreeMap::new();
        for pending in self.pending.iter().filter(|pending| pending.is_refusal()) {
            refused.entry(pending.client.ip()).or_default().insert(pending.server);
        }
        refused.retain(|_, targets| targets.len() >= SCAN_TARGETS);
        for (client, targets) in &refused {
            self.summary.notes.push(format!(
                "{client} was refused at {} addresses and ports: a port scan, not lost requests",
                targets.len()
            ));
        }
        self.pending.retain(|pending| !pending.is_refusal() || !refused.contains_key(&pending.client.ip()));
    }

    /// The same lost request on two hops is one incident: the one captured first.
    fn leave_out_copies(&mut self) {
        let mut twins = std::mem::take(&mut self.live.twins);
        let mut kept: Vec<Pending> = Vec::with_capacity(self.pending.len());
        let told = self.live.told.len();
        for pending in self.pending.drain(..) {
            match twins.told_before(&pending, told + kept.len()) {
                None => kept.push(pending),
                Some(first) => {
                    self.copies += 1;
                    if let Some(first) = first.checked_sub(told).and_then(|at| kept.get_mut(at)) {
                        first.join(&pending);
                    }
                }
            }
        }
        self.pending = kept;
        self.summary.notes.extend(notes::copies(self.copies));
    }
}
