//! All connections of a trace, found by their two endpoints and numbered like Wireshark's `tcp.stream`.

use std::collections::{HashMap, VecDeque};

use crate::packet::{Endpoint, Segment};
use crate::report::Side;

use super::roles::proves_server;
use super::streams::Streams;
use super::{Connection, Exchange, Mark, Retry, RoleHints};

/// How long after a loss the same request on another connection counts as its retry: proxies retry at once, people and
/// schedulers come back later with bytes that may well be the same.
const RETRY_WINDOW_NS: i64 = 2_000_000_000;
/// How long a connection is closed before [`Table::settle`] reports it, in trace time: longer than a retry may take to show.
pub const SETTLE_NS: i64 = 3_000_000_000;
/// Connections looked at to find a silent one to give up.
const EVICTION_SAMPLE: usize = 64;
/// Losses watched for a retry at the same time.
const MAX_WATCHED: usize = 256;

/// Both endpoints in canonical order, so that either direction finds the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key(Endpoint, Endpoint);

impl Key {
    fn of(segment: &Segment<'_>) -> Key {
        let (a, b) = (segment.src, segment.dst);
        if a <= b { Key(a, b) } else { Key(b, a) }
    }
}

/// A request that seems lost: the same bytes on another connection would be its retry.
#[derive(Debug)]
struct Watched {
    fingerprint: u64,
    slot: usize,
    stream: u32,
    request_frame: u64,
    client: std::net::IpAddr,
    since_ns: i64,
}

/// A connection that was first seen closed at some time.
#[derive(Debug)]
struct Closed {
    slot: usize,
    stream: u32,
    since_ns: i64,
}

/// What a table did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableCounts {
    /// Connections begun.
    pub connections: u32,
    /// Open connections given up because of the bound.
    pub evicted: u64,
}

/// The connections that are open or may still receive packets.
#[derive(Debug)]
pub struct Table {
    // Keyed with a random SipHash: the endpoints come out of a capture, which may be hostile.
    slots: HashMap<Key, usize>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    // Slots in the order in which their connections were first seen closed; stale entries are skipped.
    closed: VecDeque<Closed>,
    // How many of `closed`, from the front, were reported as settled.
    settled: usize,
    watched: VecDeque<Watched>,
    // Where the search for a silent connection goes on.
    hand: usize,
    streams: Streams,
    hints: RoleHints,
    limit: usize,
    counts: TableCounts,
}

impl Table {
    /// A table that keeps at most `limit` connections.
    pub fn new(hints: RoleHints, limit: usize) -> Table {
        Table {
            slots: HashMap::new(),
            connections: Vec::new(),
            free: Vec::new(),
            closed: VecDeque::new(),
            settled: 0,
            streams: Streams::default(),
            watched: VecDeque::new(),
            hand: 0,
            hints,
            limit: limit.max(1),
            counts: TableCounts::default(),
        }
    }

    /// What the table did so far.
    pub fn counts(&self) -> TableCounts {
        self.counts
    }

    /// Takes one segment into account. A connection that ends with it (its ports are used again, or the bound is
    /// reached) is handed to `finished`. Returns the stream index of the segment.
    pub fn ingest(
        &mut self,
        segment: &Segment<'_>,
        frame: u64,
        time_ns: i64,
        finished: &mut impl FnMut(Connection),
    ) -> u32 {
        let mark = Mark::of(segment, frame, time_ns);
        if proves_server(segment.flags) {
            self.hints.learn(segment.src);
        }
        let key = Key::of(segment);
        let mut slot = self.slots.get(&key).copied();
        if let Some(known) = slot
            && self.connections[known].as_ref().is_none_or(|connection| connection.is_replaced_by(segment))
        {
            self.finish(known, finished);
            slot = None;
        }
        let slot = match slot {
            Some(slot) => slot,
            None => {
                if self.slots.len() >= self.limit {
                    self.evict(finished);
                }
                let (stream, appearances) = self.streams.begin();
                self.counts.connections += 1;
                let connection = Connection::new(stream, appearances, segment, time_ns);
                let slot = self.free.pop().unwrap_or(self.connections.len());
                if slot == self.connections.len() {
                    self.connections.push(Some(connection));
                } else {
                    self.connections[slot] = Some(connection);
                }
                self.slots.insert(key, slot);
                slot
            }
        };
        let Some(connection) = self.connections[slot].as_mut() else { return 0 };
        connection.appear(segment, &mut self.streams);
        let was_closed = connection.is_closed();
        let begun = connection.ingest(segment, mark, &self.hints);
        let stream = connection.stream;
        if connection.is_closed() && !was_closed {
            self.closed.push_back(Closed { slot, stream, since_ns: time_ns });
        }
        if segment.flags.fin() || segment.flags.rst() {
            self.watch_outstanding(slot, time_ns);
        }
        if let Some(fingerprint) = begun {
            self.match_retry(fingerprint, segment, stream, frame, time_ns);
            self.watch_if_late(slot, time_ns);
        }
        stream
    }

    /// The next file of the trace begins. Connections go on; [`Connection::stream_in`] tells their indexes in each file.
    pub fn begin_file(&mut self) {
        self.streams.begin_file();
    }

    /// Reports each connection that has been closed for [`SETTLE_NS`] of trace time, once. It stays in the table, and is handed to
    /// `finished` later like every other; one that leaves the table before it settled is not reported here.
    pub fn settle(&mut self, now_ns: i64, settled: &mut impl FnMut(&Connection)) {
        while let Some(closed) = self.closed.get(self.settled)
            && now_ns.saturating_sub(closed.since_ns) >= SETTLE_NS
        {
            self.settled += 1;
            if let Some(connection) = &self.connections[closed.slot]
                && connection.stream == closed.stream
            {
                settled(connection);
            }
        }
    }

    /// Hands over every connection that is left, in the order of first packets.
    pub fn finish_all(&mut self, finished: &mut impl FnMut(Connection)) {
        let mut rest: Vec<Connection> = self.connections.drain(..).flatten().collect();
        rest.sort_by_key(|connection| connection.stream);
        self.slots.clear();
        self.free.clear();
        self.closed.clear();
        self.settled = 0;
        rest.into_iter().for_each(finished);
    }

    fn finish(&mut self, slot: usize, finished: &mut impl FnMut(Connection)) {
        if let Some(connection) = self.connections[slot].take() {
            let (a, b) = (connection.ends[0], connection.ends[1]);
            self.slots.remove(&if a <= b { Key(a, b) } else { Key(b, a) });
            self.free.push(slot);
            finished(connection);
        }
    }

    /// Makes room: the connection closed longest ago, or else the one silent longest among the next few. Looking at all of
    /// them would make a flood of open connections take quadratic time.
    fn evict(&mut self, finished: &mut impl FnMut(Connection)) {
        while let Some(Closed { slot, stream, .. }) = self.closed.pop_front() {
            self.settled = self.settled.saturating_sub(1);
            if self.connections[slot].as_ref().is_some_and(|connection| connection.stream == stream) {
                return self.finish(slot, finished);
            }
        }
        let slots = self.connections.len();
        let silent = (0..slots.min(EVICTION_SAMPLE))
            .map(|step| (self.hand + step) % slots)
            .filter_map(|slot| self.connections[slot].as_ref().map(|connection| (connection.last_ns, slot)))
            .min();
        self.hand = (self.hand + EVICTION_SAMPLE) % slots.max(1);
        if let Some((_, slot)) = silent {
            self.counts.evicted += 1;
            self.finish(slot, finished);
        }
    }

    fn watch_outstanding(&mut self, slot: usize, time_ns: i64) {
        let Some(connection) = &self.connections[slot] else { return };
        let lost: Vec<(u64, u64)> =
            connection.exchanges.iter().filter(|exchange| !exchange.answered()).map(identity).collect();
        self.watch(slot, &lost, time_ns);
    }

    /// A request that begins after the server closed is lost from its first byte.
    fn watch_if_late(&mut self, slot: usize, time_ns: i64) {
        let Some(connection) = &self.connections[slot] else { return };
        let server = connection.half(Side::Server);
        if (server.fin.is_some() || server.rst.is_some())
            && let Some(exchange) = connection.exchanges.back()
        {
            let lost = [identity(exchange)];
            self.watch(slot, &lost, time_ns);
        }
    }

    fn watch(&mut self, slot: usize, lost: &[(u64, u64)], since_ns: i64) {
        let Some(connection) = &self.connections[slot] else { return };
        let (stream, client) = (connection.stream, connection.endpoint(Side::Client).ip);
        for &(fingerprint, request_frame) in lost {
            let known = self
                .watched
                .iter()
                .any(|watched| watched.stream == stream && watched.request_frame == request_frame);
            if known {
                continue;
            }
            if self.watched.len() == MAX_WATCHED {
                self.watched.pop_front();
            }
            self.watched.push_back(Watched { fingerprint, slot, stream, request_frame, client, since_ns });
        }
    }

    fn match_retry(
        &mut self,
        fingerprint: u64,
        segment: &Segment<'_>,
        stream: u32,
        frame: u64,
        time_ns: i64,
    ) {
        self.watched.retain(|watched| time_ns - watched.since_ns <= RETRY_WINDOW_NS);
        let Some(at) = self.watched.iter().position(|watched| {
            watched.fingerprint == fingerprint && watched.client == segment.src.ip && watched.stream != stream
        }) else {
            return;
        };
        let Some(watched) = self.watched.remove(at) else { return };
        if let Some(connection) = self.connections[watched.slot].as_mut()
            && connection.stream == watched.stream
            && let Some(lost) = connection
                .exchanges
                .iter_mut()
                .find(|exchange| exchange.request.frame == watched.request_frame)
        {
            lost.retried = Some(Retry { stream, frame });
        }
    }
}

fn identity(exchange: &Exchange) -> (u64, u64) {
    (exchange.fingerprint, exchange.request.frame)
}

impl Connection {
    /// Whether a segment on the same endpoints begins a new connection, by the rule of Wireshark's stream index:
    /// a SYN whose number is not this connection's own. (The same number again is the same attempt to connect, even after a
    /// RST: Windows tries a refused SYN three times.)
    fn is_replaced_by(&self, segment: &Segment<'_>) -> bool {
        if !segment.flags.syn() || segment.flags.ack() {
            return false;
        }
        let half = &self.halves[usize::from(segment.src != self.ends[0])];
        match half.base {
            Some(base) => base.0 != segment.seq,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::packet::Flags;

    fn syn(host: u16) -> Segment<'static> {
        let [high, low] = host.to_be_bytes();
        Segment {
            src: Endpoint { ip: IpAddr::V4(Ipv4Addr::new(198, 51, high, low)), port: 40_000 },
            dst: Endpoint { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), port: 80 },
            tunnel: 0,
            seq: 1,
            ack: 0,
            flags: Flags(Flags::SYN),
            window: 0,
            payload_len: 0,
            payload: &[],
            ttl: 64,
            ip_id: None,
            timestamps: None,
        }
    }

    #[test]
    fn a_flood_of_half_open_connections_stays_within_the_bound() {
        let mut table = Table::new(RoleHints::default(), 100);
        let mut finished = 0;
        for host in 0..10_000 {
            table.ingest(&syn(host), u64::from(host) + 1, i64::from(host), &mut |_| finished += 1);
            assert!(table.slots.len() <= 100 && table.connections.len() <= 100);
        }
        assert_eq!(table.counts(), TableCounts { connections: 10_000, evicted: 9_900 });
        table.finish_all(&mut |_| finished += 1);
        assert_eq!(finished, 10_000, "each is handed over once");
    }

    #[test]
    fn the_rest_is_handed_over_in_the_order_of_first_packets() {
        let mut table = Table::new(RoleHints::default(), 10);
        for host in [3, 1, 2] {
            table.ingest(&syn(host), 1, 0, &mut |_| unreachable!("nothing ends here"));
        }
        let mut streams = Vec::new();
        table.finish_all(&mut |connection| streams.push((connection.stream, connection.ends[0].ip)));
        let expected = [(0, 3), (1, 1), (2, 2)];
        assert_eq!(streams, expected.map(|(stream, host)| (stream, syn(host).src.ip)));
    }
}
