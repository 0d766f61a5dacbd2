//! How soon after a loss another request began, as its client would measure it.

use crate::connection::{Connection, Mark};
use crate::report::Side;

/// How long after a loss became visible to the client an equal request may be its retry: proxies retry at once, people and
/// schedulers come back later.
pub(super) const RETRY_WINDOW_NS: i64 = 2_000_000_000;
/// How exactly a reaction can be measured at best.
const JITTER_NS: i64 = 100_000;
/// A round trip is never twice the same, by about this part of it.
const JITTER_PART: i64 = 8;

/// What told a client of a loss, with the times at the capture point.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Signs {
    fin: Option<i64>,
    reset: Option<i64>,
    /// An answer that is no success.
    refusal: Option<i64>,
    /// The client closed by itself: it knew before.
    own_close: Option<i64>,
    handshake: Option<Path>,
    without: Path,
}

/// How long packets take.
#[derive(Debug, Clone, Copy, Default)]
struct Path {
    /// From the capture point to the client and back, at least.
    to_client_ns: i64,
    /// The same, at most; none where nothing tells.
    to_client_at_most_ns: Option<i64>,
    /// From the client to the server and back.
    round_trip_ns: i64,
}

/// When a request began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    sent_ns: i64,
    /// Of the first request of a connection: its SYN, and how long the client waited after the handshake.
    opened: Option<(i64, i64)>,
    handshake: Option<Path>,
}

/// The time between a sign and a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reaction {
    /// As measured, the wait for a handshake left out, ns.
    pub ns: i64,
    /// It was no longer than this.
    pub at_most_ns: i64,
    /// Signs that there had been: it may have been a reaction to each.
    pub signs: i64,
    /// It began after a sign, and not just about when the sign became visible.
    pub is_after: bool,
}

impl Path {
    /// As the handshake of a connection shows it.
    fn of_handshake(connection: &Connection) -> Option<Path> {
        let [client, server] = [Side::Client, Side::Server].map(|side| connection.half(side).syn());
        let (ended_ns, answered_ns) = (connection.established_ns()?, server?.at.time_ns);
        let to_client_ns = ended_ns.saturating_sub(answered_ns).max(0);
        Some(Path {
            to_client_ns,
            to_client_at_most_ns: Some(to_client_ns),
            round_trip_ns: ended_ns.saturating_sub(client.map_or(answered_ns, |syn| syn.at.time_ns)).max(0),
        })
    }

    /// Without a handshake: an acknowledgement may be delayed, so it was no longer than the shortest took.
    fn of_acknowledgements(connection: &Connection) -> Path {
        let [to_server, to_client] =
            [Side::Client, Side::Server].map(|side| connection.half(side).shortest_ack_ns());
        Path {
            to_client_ns: 0,
            to_client_at_most_ns: to_client,
            round_trip_ns: to_client.unwrap_or(0).saturating_add(to_server.unwrap_or(0)),
        }
    }

    /// The shorter of two that were measured: what is longer was delayed.
    fn shorter(self, other: Path) -> Path {
        let at_most = self.to_client_at_most_ns.into_iter().chain(other.to_client_at_most_ns);
        Path {
            to_client_ns: self.to_client_ns.min(other.to_client_ns),
            to_client_at_most_ns: at_most.min(),
            round_trip_ns: self.round_trip_ns.min(other.round_trip_ns),
        }
    }
}

impl Start {
    /// Of a connection's newest request, which begins with this segment.
    pub fn of(connection: &Connection, mark: Mark) -> Start {
        let syn = connection.half(Side::Client).syn().filter(|_| connection.requests == 1);
        let opened = syn.zip(connection.established_ns());
        Start {
            sent_ns: mark.time_ns,
            opened: opened
                .map(|(syn, ended_ns)| (syn.at.time_ns, mark.time_ns.saturating_sub(ended_ns).max(0))),
            handshake: Path::of_handshake(connection),
        }
    }
}

impl Signs {
    /// Those to the client of this connection, of which there were none yet.
    pub fn of(connection: &Connection) -> Signs {
        Signs {
            handshake: Path::of_handshake(connection),
            without: Path::of_acknowledgements(connection),
            ..Signs::default()
        }
    }

    /// A side closes or resets the connection.
    pub fn add_end(&mut self, side: Side, mark: Mark) {
        let sign = match side {
            Side::Client => &mut self.own_close,
            Side::Server if mark.flags.rst() => &mut self.reset,
            Side::Server => &mut self.fin,
        };
        sign.get_or_insert(mark.time_ns);
    }

    /// The server answers that it could not.
    pub fn add_refusal(&mut self, time_ns: i64) {
        self.refusal.get_or_insert(time_ns);
    }

    /// How soon after a sign of the loss a request began, the same at every capture point; none for one that was under way
    /// before, or began more than [`RETRY_WINDOW_NS`] later.
    ///
    /// 1. What the server sends becomes visible as much later as a packet needs from the capture point to the client and
    ///    back, measured by what the client sends then. A sign that came before the request was sent is visible at once.
    /// 2. A client that opens a connection for its retry reacts with the SYN. The wait for the handshake is the path's, what
    ///    passes after it is the client's again.
    /// 3. Of several signs it counts from the last one before it. Only where there was none, one that became visible at about
    ///    the same time is enough.
    pub fn reaction(&self, sent_ns: i64, start: &Start) -> Option<Reaction> {
        let path = match (self.handshake, start.handshake) {
            (Some(of_lost), Some(of_retry)) => of_lost.shorter(of_retry),
            (of_lost, of_retry) => of_lost.or(of_retry).unwrap_or(self.without),
        };
        let jitter_ns = JITTER_NS + path.round_trip_ns / JITTER_PART;
        // Nearer than that is the client itself: what passed there had arrived, or left.
        let beyond_jitter = |ns: i64| if ns > jitter_ns { ns } else { 0 };
        let [earliest_ns, latest_ns] =
            [Some(path.to_client_ns), path.to_client_at_most_ns].map(|ns| ns.map(beyond_jitter));
        let mut found = Found::default();
        for at_ns in [self.fin, self.reset, self.refusal].into_iter().flatten() {
            let visible =
                [earliest_ns, latest_ns].map(|way_ns| Some(at_ns.saturating_add(way_ns?).max(sent_ns)));
            found.add(visible.map(|at_ns| at_ns.map(|at_ns| start.since(at_ns, jitter_ns))), jitter_ns);
        }
        if let Some(at_ns) = self.own_close {
            found.add([Some(start.since(at_ns.max(sent_ns), jitter_ns)); 2], jitter_ns);
        }
        let ns = found.after.or(found.about_then)?.max(0);
        Some(Reaction {
            ns,
            at_most_ns: ns.max(jitter_ns),
            signs: found.signs.max(1),
            is_after: found.after.is_some(),
        })
    }
}

impl Start {
    /// The time since a sign was visible; negative when it was not yet.
    fn since(&self, visible_ns: i64, jitter_ns: i64) -> i64 {
        match self.opened {
            Some((syn_ns, waited_ns)) if syn_ns.saturating_add(jitter_ns) >= visible_ns => {
                syn_ns.saturating_sub(visible_ns).saturating_add(waited_ns)
            }
            _ => self.sent_ns.saturating_sub(visible_ns),
        }
    }
}

/// The times between some signs and a request.
#[derive(Debug, Default)]
struct Found {
    /// From the last sign that was surely visible before.
    after: Option<i64>,
    /// From one that may have been.
    about_then: Option<i64>,
    /// Signs that were surely visible before.
    signs: i64,
}

impl Found {
    /// A sign, by the time since it was visible at the earliest and at the latest, where that is known.
    fn add(&mut self, [longest_ns, shortest_ns]: [Option<i64>; 2], jitter_ns: i64) {
        let Some(longest_ns) = longest_ns.filter(|ns| (-jitter_ns..=RETRY_WINDOW_NS).contains(ns)) else {
            return;
        };
        let is_after = shortest_ns.is_some_and(|ns| ns >= 0);
        let nearest = if is_after { &mut self.after } else { &mut self.about_then };
        *nearest = Some(nearest.map_or(longest_ns, |known| known.min(longest_ns)));
        self.signs += i64::from(is_after);
    }
}
