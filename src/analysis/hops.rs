//! Two hops of one flow in one capture: the same packets before and behind an address translation, or by two mirrors.

use std::collections::{HashMap, VecDeque};

use crate::connection::Connection;
use crate::packet::Endpoint;
use crate::report::Side;

use super::incident::Pending;

/// Two copies of one packet pass their two capture points within this time.
const APART_NS: i64 = 1_000_000_000;
/// Connections remembered to recognise their second copy; both copies end at about the same time.
const REMEMBERED: usize = 4_096;

/// What both copies of a connection have in common: its trace and both initial sequence numbers, 64 bits that two
/// connections do not share by chance.
type Isns = (u32, u32, u32);

/// One copy of a connection.
#[derive(Debug, Clone, Copy)]
struct Copy {
    stream: u32,
    first_ns: i64,
    client: Endpoint,
    server: Endpoint,
}

/// Recognises connections that were captured on two hops.
#[derive(Debug, Default)]
pub(super) struct Hops {
    // Only looked up by key.
    recent: HashMap<Isns, Copy>,
    order: VecDeque<Isns>,
    pairs: u64,
    example: Option<[Copy; 2]>,
}

impl Hops {
    /// Takes a connection into account.
    pub fn connection(&mut self, trace: u32, connection: &Connection) {
        let (client, server) = (connection.half(Side::Client), connection.half(Side::Server));
        let (Some(syn), Some(answer)) = (client.syn(), server.syn()) else { return };
        let isns = (trace, syn.seq.0, answer.seq.0);
        let copy = Copy {
            stream: connection.stream,
            first_ns: connection.first_ns,
            client: connection.endpoint(Side::Client),
            server: connection.endpoint(Side::Server),
        };
        match self.recent.get(&isns) {
            Some(first) if first.first_ns.abs_diff(copy.first_ns) <= APART_NS.unsigned_abs() => {
                self.pairs += 1;
                let mut both = [*first, copy];
                both.sort_by_key(|copy| copy.stream);
                self.example.get_or_insert(both);
            }
            Some(_) => {}
            None => {
                if self.order.len() == REMEMBERED
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.recent.remove(&oldest);
                }
                self.order.push_back(isns);
                self.recent.insert(isns, copy);
            }
        }
    }

    /// What the reader has to know of it.
    pub fn note(&self) -> Option<String> {
        let [first, second] = self.example?;
        let (number, verb) = match self.pairs {
            1 => ("1 connection".to_owned(), "is"),
            pairs => (format!("{pairs} connections"), "are"),
        };
        let why = if (first.client, first.server) == (second.client, second.server) {
            "by two mirrors or tunnels".to_owned()
        } else {
            format!(
                "before and behind an address translation ({} to {} is {} to {} too)",
                first.client, first.server, second.client, second.server
            )
        };
        Some(format!(
            "{number} {verb} in the capture twice, with the same sequence numbers, {why}: both are listed, and a request \
             lost on both is one incident"
        ))
    }
}

/// What two copies of the same lost request have in common: trace, sequence and acknowledgement number, length.
type Numbers = (u32, u32, u32, u32);

/// Recognises lost requests that were captured on two hops.
#[derive(Debug, Default)]
pub(super) struct Twins(HashMap<Numbers, Told>);

/// A lost request that was told.
#[derive(Debug, Clone, Copy)]
struct Told {
    frame: u64,
    time_ns: i64,
    at: usize,
}

impl Twins {
    /// The one told before that this is a copy of: the same numbers in another connection of the same trace, within a second.
    /// If there is none, this one is remembered as told at `at`.
    pub fn told_before(&mut self, pending: &Pending, at: usize) -> Option<usize> {
        // A SYN has only one number of its own, and a port scanner may use the same one everywhere.
        let (seq, ack, len) = pending.numbers?;
        let start = pending.start;
        let numbers = (pending.trace, seq.0, ack.0, len);
        match self.0.get(&numbers) {
            Some(told)
                if told.frame != start.frame()
                    && told.time_ns.abs_diff(start.time_ns) <= APART_NS.unsigned_abs() =>
            {
                Some(told.at)
            }
            _ => {
                self.0.insert(numbers, Told { frame: start.frame(), time_ns: start.time_ns, at });
                None
            }
        }
    }
}

impl Pending {
    /// Takes over what a second copy of the same lost request adds.
    pub fn join(&mut self, copy: &Pending) {
        let other = &copy.incident;
        let why = if (self.client, self.server) == (copy.client, copy.server) {
            "by another mirror or tunnel"
        } else {
            "behind an address translation"
        };
        self.incident.evidence.push(format!(
            "the same packets are stream {} too ({} to {}, {why})",
            other.stream, other.client, other.server
        ));
        // What retried the copy retried both.
        if self.incident.retry.is_none() {
            (self.incident.retried, self.incident.retry) = (other.retried, other.retry);
        }
    }
}
