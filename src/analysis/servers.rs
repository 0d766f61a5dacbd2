//! The timers of each server met.

use std::collections::HashMap;

use crate::connection::Connection;
use crate::diagnosis::{self, Finding, Limit, ServerTimers};
use crate::packet::Endpoint;
use crate::report::{self, Side, Verdict};

/// Servers whose timers are kept. A capture of a port scan has many more, and none of them a timer.
const MAX_SERVERS: usize = 100_000;
/// Lives of connections that are kept, of all servers, to recognise restarts, 64 bytes each; of more, only idle times count.
const MAX_LIVES: usize = 1_000_000;
/// While a capture is still read, the timers are summed up again when they have seen this share more connections (1/8).
const SUM_UP_AFTER: u64 = 8;

/// The timers of the servers.
#[derive(Debug, Default)]
pub(super) struct Servers {
    rows: Vec<Row>,
    // Only looked up by key; the order of output is that of `rows`.
    index: HashMap<Endpoint, usize>,
    // Sums for words that cannot wait for the end, with the number of connections they are of.
    so_far: HashMap<usize, ServerTimers>,
    /// Connections to servers beyond the bound.
    unlisted: u64,
    /// Connections whose lives the timers keep.
    lives: usize,
    unknown: ServerTimers,
}

/// One server.
#[derive(Debug)]
struct Row {
    server: Endpoint,
    /// Trace and stream of its first connection.
    first: (u32, u32),
    timers: ServerTimers,
}

impl Servers {
    /// Adds one connection and what was found on it.
    pub fn add(&mut self, trace: u32, connection: &Connection, findings: &[Finding]) {
        let server = connection.endpoint(Side::Server);
        let first = (trace, connection.stream);
        let next = self.rows.len();
        if next >= MAX_SERVERS && !self.index.contains_key(&server) {
            self.unlisted += 1;
            return;
        }
        let at = *self.index.entry(server).or_insert(next);
        if at == next {
            self.rows.push(Row { server, first, timers: ServerTimers::default() });
        }
        // Connections come in the order in which they end.
        self.rows[at].first = self.rows[at].first.min(first);
        let timers = &mut self.rows[at].timers;
        let lives = timers.lives();
        timers.add(connection, findings, self.lives < MAX_LIVES);
        // It may keep fewer now than before: a long life takes the place of short ones.
        self.lives = self.lives + timers.lives() - lives;
    }

    /// Once all connections are known: puts the servers in the order of their first connections and tells restarts and limits from timers. Returns what the reader has to know of it.
    pub fn settle(&mut self) -> Vec<String> {
        self.rows.sort_by_key(|row| row.first);
        self.index = self.rows.iter().enumerate().map(|(at, row)| (row.server, at)).collect();
        let mut notes = Vec::new();
        for Row { server, timers, .. } in &mut self.rows {
            timers.settle();
            for restart in &timers.restarts {
                notes.push(format!(
                    "{server} closed {} connections {}, whatever their idle time: a restart or deploy, not an idle timer",
                    restart.closes,
                    match (restart.to_ns - restart.from_ns) / 1_000_000 {
                        0 => "at one moment".to_owned(),
                        ms => format!("within {ms} ms"),
                    }
                ));
            }
            notes.extend(timers.limit.map(|limit| describe_limit(*server, limit)));
        }
        if self.unlisted > 0 {
            notes.push(format!(
                "there are more than {MAX_SERVERS} servers: the timers of {} connections to further ones were not kept. \
                 Narrow the capture down to the failing hop (editcap, or a filter)",
                self.unlisted
            ));
        }
        notes
    }

    /// The timers of a server, after [`Servers::settle`].
    pub fn timers(&self, server: Endpoint) -> &ServerTimers {
        self.index.get(&server).map_or(&self.unknown, |at| &self.rows[*at].timers)
    }

    /// The timers of a server as far as they are known before the end.
    pub fn timers_so_far(&mut self, server: Endpoint) -> &ServerTimers {
        let Some(&at) = self.index.get(&server) else { return &self.unknown };
        let timers = &self.rows[at].timers;
        let summed_up = self.so_far.get(&at).map_or(0, |sum| sum.connections);
        if timers.connections > summed_up + summed_up / SUM_UP_AFTER {
            let mut sum = timers.clone();
            sum.settle();
            self.so_far.insert(at, sum);
        }
        self.so_far.get(&at).unwrap_or(&self.unknown)
    }

    /// Whether an address is that of a server with timers, and which.
    pub fn at_address(&self, address: std::net::IpAddr) -> Option<Endpoint> {
        self.rows.iter().map(|row| row.server).find(|server| server.ip() == address)
    }

    /// The servers that have something to show.
    pub fn rows(&self) -> Vec<report::Server> {
        self.rows.iter().filter(|row| row.timers.is_worth_showing()).map(described).collect()
    }
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

fn described(Row { server, timers, .. }: &Row) -> report::Server {
    let verdict = timers.verdict();
    let path_forgets = timers.paths.soonest();
    report::Server {
        server: server.to_string(),
        connections: timers.connections,
        server_idle_close: timers.server_close.idle_close(Side::Server),
        client_idle_close: timers.client_close.idle_close(Side::Client),
        longest_reuse_ns: timers.longest_reuse_ns,
        reused_at_least_ns: timers.reused_at_least_ns,
        closed_at_least_ns: timers.closed_at_least_ns,
        advice: match verdict {
            Verdict::AtRisk if let Some(forgets) = &path_forgets => match timers.verdict_of_timers() {
                Verdict::AtRisk => {
                    format!("{} {}", diagnosis::timer_advice(timers), diagnosis::path_advice(forgets))
                }
                Verdict::Safe | Verdict::Unknown => diagnosis::path_advice(forgets),
            },
            Verdict::AtRisk => diagnosis::timer_advice(timers),
            Verdict::Safe => "The client gives up idle connections first: nothing to change.".to_owned(),
            Verdict::Unknown => {
                "Too few idle closes were seen to tell; capture for longer than both idle timeouts."
                    .to_owned()
            }
        },
        verdict,
        path_forgets,
    }
}
