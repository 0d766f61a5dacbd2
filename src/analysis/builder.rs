//! Connections and findings folded into a report.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use crate::connection::{Connection, Exchange, Protocol, TableCounts};
use crate::diagnosis::{self, Circumstances, Finding, Limit, ServerTimers};
use crate::packet::Endpoint;
use crate::report::{self, Cause, Incident, Report, SCHEMA_VERSION, Side, Summary, Verdict};

use super::quality::Quality;
use super::vantage::vantage;

/// A finding that waits for its words: advice needs the timers of all connections.
struct Pending {
    incident: Incident,
    finding: Finding,
    client: Endpoint,
    server: Endpoint,
}

/// A client that is refused at this many addresses and ports of one capture is a port scan.
const SCAN_TARGETS: usize = 16;

/// Collects what the passes over all captures find.
pub(super) struct Builder {
    list_connections: bool,
    circumstances: Circumstances,
    captures: Vec<report::Capture>,
    connections: Vec<report::Connection>,
    pending: Vec<Pending>,
    servers: Vec<(Endpoint, ServerTimers)>,
    // Only looked up by key; the order of output is that of `servers`.
    server_index: HashMap<Endpoint, usize>,
    summary: Summary,
}

impl Builder {
    pub fn new(list_connections: bool) -> Builder {
        Builder {
            list_connections,
            circumstances: Circumstances::default(),
            captures: Vec::new(),
            connections: Vec::new(),
            pending: Vec::new(),
            servers: Vec::new(),
            server_index: HashMap::new(),
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

    /// Whether the capture in hand is known to have lost packets.
    pub fn circumstances(&mut self, packets_dropped: bool) {
        self.circumstances.packets_dropped = packets_dropped;
    }

    /// Judges a connection that is over, or as far as the capture goes.
    pub fn connection(&mut self, capture: u32, connection: &Connection) {
        let judgement = diagnosis::judge(connection, self.circumstances);
        let server = connection.endpoint(Side::Server);
        self.timers(server).add(connection, &judgement.findings);
        self.summary.connections += u64::from(!connection.resumed);
        self.summary.requests += u64::from(connection.requests);
        let vantage = vantage(connection);
        if self.list_connections {
            let closed_first = connection.closed_first();
            self.connections.push(report::Connection {
                capture,
                stream: connection.stream,
                client: connection.endpoint(Side::Client).to_string(),
                server: server.to_string(),
                vantage,
                packets: connection.packets(),
                requests: connection.requests,
                ending: judgement.ending,
                closed_first,
                idle_before_close_ns: closed_first
                    .and_then(|side| connection.idle_before_close[side as usize]),
                first_ns: connection.first_ns,
                last_ns: connection.last_ns,
            });
        }
        for finding in judgement.findings {
            let exchange = finding.exchange.and_then(|index| connection.exchanges.get(index));
            let Some(start) = exchange.map(|exchange| exchange.request).or(connection.half(Side::Client).syn)
            else {
                continue;
            };
            let incident = Incident {
                id: 0,
                cause: finding.cause,
                confidence: finding.confidence,
                capture,
                stream: connection.stream,
                client: connection.endpoint(Side::Client).to_string(),
                server: server.to_string(),
                time_ns: start.time_ns,
                idle_ns: exchange.and_then(|exchange| exchange.idle_ns),
                requests_before: answered_before(connection, finding.exchange),
                ack_covers_fin: finding.ack_covers_fin,
                fin_to_request_ns: finding.fin_to_request_ns(),
                request: request(connection, exchange),
                frames: finding.frames.iter().map(|(role, mark)| (*role, mark.frame)).collect(),
                resets: connection.half(Side::Server).rsts,
                evidence: finding.evidence.clone(),
                counter_evidence: finding.counter_evidence.clone(),
                retry_safe: finding.retry_safe,
                retried: exchange.is_some_and(|exchange| exchange.retried.is_some()),
                vantage,
                race: finding.is_race(),
                would_log: diagnosis::would_log(finding.cause),
                what_happened: String::new(),
                advice: String::new(),
            };
            self.pending.push(Pending {
                incident,
                finding,
                client: connection.endpoint(Side::Client),
                server,
            });
        }
    }

    /// Closes a capture: what it was and what it could have shown.
    pub fn capture(
        &mut self,
        capture: report::Capture,
        quality: &Quality,
        counts: TableCounts,
        max_connections: usize,
    ) {
        self.summary.packets += capture.packets;
        self.summary.tcp_packets += quality.segments();
        if let Some(objection) =
            quality.objection(&capture.link_types, capture.dropped_by_kernel.unwrap_or(0))
        {
            self.summary.conclusive = false;
            self.summary.notes.push(format!("{}: {objection}", capture.file));
        }
        if let Some(dropped) = capture.dropped_by_kernel.filter(|dropped| *dropped > 0) {
            self.summary.notes.push(format!(
                "{}: the capturing kernel dropped {dropped} packets; what they held is unknown",
                capture.file
            ));
        }
        self.summary.notes.extend(given_up(&capture.file, counts, max_connections));
        self.captures.push(capture);
        self.circumstances = Circumstances::default();
    }

    /// The report, incidents in the order of time.
    pub fn finish(mut self) -> Report {
        self.leave_out_scans();
        for (server, timers) in &mut self.servers {
            timers.settle();
            for restart in &timers.restarts {
                self.summary.notes.push(format!(
                    "{server} closed {} connections {}, whatever their idle time: a restart or deploy, not an idle timer",
                    restart.closes,
                    match (restart.to_ns - restart.from_ns) / 1_000_000 {
                        0 => "at one moment".to_owned(),
                        ms => format!("within {ms} ms"),
                    }
                ));
            }
            self.summary.notes.extend(timers.limit.map(|limit| describe_limit(*server, limit)));
        }
        self.pending.sort_by_key(|pending| {
            (pending.incident.capture, pending.incident.time_ns, pending.incident.stream)
        });
        let mut incidents = Vec::with_capacity(self.pending.len());
        for (index, pending) in self.pending.into_iter().enumerate() {
            let mut incident = pending.incident;
            let timers = &self.servers[self.server_index[&pending.server]].1;
            let first_request = incident.requests_before == 0;
            let story = diagnosis::tell(&pending.finding, incident.idle_ns, first_request, timers);
            incident.id = index as u32 + 1;
            // The packets are those of the race; what made them was a restart, and timers cannot cure it.
            incident.race &= !diagnosis::happened_in_restart(&pending.finding, timers);
            incident.what_happened = story.what_happened;
            incident.advice = story.advice;
            *self.summary.by_cause.entry(incident.cause).or_default() += 1;
            incidents.push(incident);
        }
        self.summary.incidents = incidents.len() as u64;
        let servers =
            self.servers.iter().filter(|(_, timers)| timers.is_worth_showing()).map(server_row).collect();
        Report {
            schema: SCHEMA_VERSION,
            run: None,
            captures: self.captures,
            summary: self.summary,
            incidents,
            servers,
            connections: self.list_connections.then_some(self.connections),
        }
    }

    /// A port scan is refused again and again; no request of anybody is lost in it.
    fn leave_out_scans(&mut self) {
        let mut refused: BTreeMap<IpAddr, BTreeSet<Endpoint>> = BTreeMap::new();
        for pending in self.pending.iter().filter(|pending| pending.incident.cause == Cause::Refused) {
            refused.entry(pending.client.ip).or_default().insert(pending.server);
        }
        refused.retain(|_, targets| targets.len() >= SCAN_TARGETS);
        for (client, targets) in &refused {
            self.summary.notes.push(format!(
                "{client} was refused at {} addresses and ports: a port scan, not lost requests",
                targets.len()
            ));
        }
        self.pending.retain(|pending| {
            pending.incident.cause != Cause::Refused || !refused.contains_key(&pending.client.ip)
        });
    }

    fn timers(&mut self, server: Endpoint) -> &mut ServerTimers {
        let next = self.servers.len();
        let index = *self.server_index.entry(server).or_insert(next);
        if index == next {
            self.servers.push((server, ServerTimers::default()));
        }
        &mut self.servers[index].1
    }
}

/// Requests answered before one that was not, wherever their responses were captured: answers come in order.
fn answered_before(connection: &Connection, exchange: Option<usize>) -> u32 {
    let kept = connection.exchanges.iter().take(exchange.unwrap_or(0));
    connection.served + kept.filter(|exchange| exchange.answered()).count() as u32
}

/// What the bound on connections cost; none where it cost nothing.
fn given_up(name: &str, counts: TableCounts, max_connections: usize) -> Option<String> {
    if counts.evicted == 0 {
        return None;
    }
    let begun = match counts.evicted_half_open {
        0 => String::new(),
        half_open => format!("; {} of them had never completed their handshake", thousands(half_open)),
    };
    let mut note = format!(
        "{name}: {} open connections were given up to stay within --max-connections {max_connections}, those silent \
         longest first{begun}",
        thousands(counts.evicted)
    );
    if counts.evicted > counts.evicted_half_open {
        note += ". What they lost after that is not told: a greater --max-connections needs more memory and tells";
    }
    Some(note)
}

/// `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn describe_limit(server: Endpoint, limit: Limit) -> String {
    match limit {
        Limit::Requests { requests, closes } => format!(
            "{server} closes a connection after {requests} requests ({closes} of them did): a request limit, not an idle timer"
        ),
        Limit::Age { age_ns, closes } => format!(
            "{server} closes a connection at an age of {:.0} s ({closes} of them did): an age limit, not an idle timer",
            age_ns as f64 / 1e9
        ),
    }
}

fn server_row((server, timers): &(Endpoint, ServerTimers)) -> report::Server {
    let verdict = timers.verdict();
    report::Server {
        server: server.to_string(),
        connections: timers.connections,
        server_idle_close: timers.server_close.summary(),
        client_idle_close: timers.client_close.summary(),
        longest_reuse_ns: timers.longest_reuse_ns,
        verdict,
        advice: match verdict {
            Verdict::AtRisk => diagnosis::timer_advice(timers),
            Verdict::Safe => "The client gives up idle connections first: nothing to change.".to_owned(),
            Verdict::Unknown => {
                "Too few idle closes were seen to tell; capture for longer than both idle timeouts."
                    .to_owned()
            }
        },
    }
}

fn request(connection: &Connection, exchange: Option<&Exchange>) -> report::Request {
    let protocol = match connection.protocol {
        Protocol::Http => "http",
        Protocol::Http2 => "http2",
        Protocol::Tls => "tls",
        Protocol::Data | Protocol::Unknown => "data",
    };
    report::Request {
        method: exchange.and_then(|exchange| exchange.method).map(|method| method.name().to_owned()),
        path: exchange
            .filter(|exchange| exchange.method.is_some())
            .map(|exchange| String::from_utf8_lossy(&exchange.path).into_owned()),
        bytes: exchange.map_or(0, |exchange| u64::from(exchange.bytes())),
        protocol: protocol.to_owned(),
    }
}
