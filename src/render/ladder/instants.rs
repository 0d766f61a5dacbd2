//! The moments of a trace in the order of time: a segment leaves, a segment arrives.

use crate::report::{Clocks, Side, Trace};

/// Which end of a segment's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It leaves its sender.
    Sent,
    /// It reaches its receiver.
    Received,
}

/// One moment on one life line, or, with one clock, across both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant {
    /// When.
    pub time_ns: i64,
    /// Index of the segment.
    pub segment: usize,
    /// Which end of its way; with one clock a segment has the one instant [`End::Sent`].
    pub end: End,
}

impl Instant {
    /// On whose life line it happens.
    pub fn side(&self, trace: &Trace) -> Side {
        let from = trace.segments[self.segment].from;
        match self.end {
            End::Sent => from,
            End::Received => from.peer(),
        }
    }
}

/// Every instant of the trace in order; segments of equal time keep the order of the trace.
/// A receive time before the send time (two clocks that disagree) counts as the send time: no arrow points upwards.
pub fn instants(trace: &Trace) -> Vec<Instant> {
    let mut instants = Vec::with_capacity(trace.segments.len() * 2);
    for (segment, it) in trace.segments.iter().enumerate() {
        instants.push(Instant { time_ns: it.sent_ns, segment, end: End::Sent });
        if let (Clocks::Both, Some(received_ns)) = (trace.clocks, it.received_ns) {
            instants.push(Instant { time_ns: received_ns.max(it.sent_ns), segment, end: End::Received });
        }
    }
    instants.sort_by_key(|instant| (instant.time_ns, instant.segment, instant.end));
    instants
}

/// The shortest quiet time that is worth folding away: far longer than a segment's flight, and not short beside the
/// longest quiet time of the trace. Less than 10 ms is the network's time and belongs in the picture; with one capture
/// point, where flights are not known, less than 50 ms.
pub fn shortest_fold(trace: &Trace, instants: &[Instant]) -> i64 {
    let least_ns = if trace.clocks == Clocks::Both { 10_000_000 } else { 50_000_000 };
    let flight = trace
        .segments
        .iter()
        .filter_map(|it| Some(it.received_ns?.saturating_sub(it.sent_ns)))
        .max()
        .unwrap_or(0);
    let quiet =
        instants.windows(2).map(|pair| pair[1].time_ns.saturating_sub(pair[0].time_ns)).max().unwrap_or(0);
    least_ns.max(flight.saturating_mul(4)).max(quiet / 10)
}
