//! What a packet is to the wire, and the rules about it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

pub use crate::lab::scenario::Packet;
use crate::packet::{Endpoint, Segment};

/// One of the two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Where the proxy runs, the TCP client.
    Edge,
    /// Where the backend runs, the TCP server.
    Origin,
}

impl Side {
    /// The host at the other end of the wire.
    pub fn other(self) -> Side {
        match self {
            Side::Edge => Side::Origin,
            Side::Origin => Side::Edge,
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Edge => "edge",
            Side::Origin => "origin",
        })
    }
}

/// One TCP connection across the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    /// The end on [`Side::Edge`].
    pub edge: Endpoint,
    /// The end on [`Side::Origin`].
    pub origin: Endpoint,
}

impl Connection {
    pub(super) fn of(segment: &Segment<'_>, from: Side) -> Self {
        match from {
            Side::Edge => Connection { edge: segment.src, origin: segment.dst },
            Side::Origin => Connection { edge: segment.dst, origin: segment.src },
        }
    }
}

/// Keeps a packet on the wire until another has come the other way.
///
/// While it is held, later packets of its direction and connection wait behind it, so their order is kept: to both
/// hosts the packet merely seems to travel for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRule {
    /// The host that sends the packet.
    pub from: Side,
    /// Which packets are held, in each connection.
    pub packet: Packet,
    /// What releases it: a packet of this class that the *other* host sent on the same connection after the hold began.
    /// The held packet is then due at its arrival plus the wire's delay, or at once if that has passed.
    pub until: Packet,
    /// Released after this long at the latest, and reported as expired.
    pub at_most: Duration,
}

impl HoldRule {
    /// How long a packet is held at most unless the scenario says otherwise.
    pub const AT_MOST: Duration = Duration::from_secs(2);
}

/// Loses packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropRule {
    /// The host that sends the packet.
    pub from: Side,
    /// Which packets are lost.
    pub packet: Packet,
    /// How many of them, in each connection.
    pub count: u32,
}

/// How the wire treats what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireSettings {
    /// Address of the edge; packets from or to others are counted as strays.
    pub edge: IpAddr,
    /// Address of the origin.
    pub origin: IpAddr,
    /// One-way delay from edge to origin.
    pub delay_to_origin: Duration,
    /// One-way delay from origin to edge.
    pub delay_to_edge: Duration,
    /// Packets to be held.
    pub holds: Vec<HoldRule>,
    /// Packets to be lost.
    pub drops: Vec<DropRule>,
}

impl WireSettings {
    /// A wire between two addresses with the same delay both ways and no rules.
    pub fn new(edge: IpAddr, origin: IpAddr, delay: Duration) -> Self {
        WireSettings {
            edge,
            origin,
            delay_to_origin: delay,
            delay_to_edge: delay,
            holds: Vec::new(),
            drops: Vec::new(),
        }
    }

    pub(super) fn delay_from(&self, from: Side) -> Duration {
        match from {
            Side::Edge => self.delay_to_origin,
            Side::Origin => self.delay_to_edge,
        }
    }

    pub(super) fn address(&self, side: Side) -> IpAddr {
        match side {
            Side::Edge => self.edge,
            Side::Origin => self.origin,
        }
    }
}

/// What the wire remembers of a connection to classify its segments. Indexes are [`Side::index`].
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Sequence number of the SYN that began this incarnation of the connection.
    syn: Option<u32>,
    /// Per side: one past the last payload byte that the wire has taken.
    next_new: [Option<u32>; 2],
    /// Per side: whether a FIN has been taken.
    fin_taken: [bool; 2],
}

impl Progress {
    /// Whether this segment begins a new connection on the same pair of endpoints.
    pub(super) fn is_restarted_by(&self, segment: &Segment<'_>) -> bool {
        segment.flags.syn() && !segment.flags.ack() && self.syn.is_some_and(|syn| syn != segment.seq)
    }

    /// The class of a segment that `from` sent.
    pub(super) fn classify(&self, segment: &Segment<'_>, from: Side) -> Option<Packet> {
        let flags = segment.flags;
        if flags.rst() {
            Some(Packet::Rst)
        } else if flags.syn() {
            Some(if flags.ack() { Packet::SynAck } else { Packet::Syn })
        } else if segment.payload_len > 0 {
            let is_new = self.next_new[from.index()].is_none_or(|next| is_after(payload_end(segment), next));
            is_new.then_some(match from {
                Side::Edge => Packet::Request,
                Side::Origin => Packet::Response,
            })
        } else if flags.fin() {
            (!self.fin_taken.contains(&true)).then_some(Packet::Fin)
        } else {
            Some(Packet::Ack)
        }
    }

    /// Notes a segment that the wire will deliver, now or later.
    pub(super) fn take(&mut self, segment: &Segment<'_>, from: Side) {
        if segment.flags.syn() && !segment.flags.ack() {
            self.syn = Some(segment.seq);
        }
        if segment.payload_len > 0 {
            let next = &mut self.next_new[from.index()];
            let end = payload_end(segment);
            if next.is_none_or(|next| is_after(end, next)) {
                *next = Some(end);
            }
        }
        if segment.flags.fin() {
            self.fin_taken[from.index()] = true;
        }
    }
}

fn payload_end(segment: &Segment<'_>) -> u32 {
    segment.seq.wrapping_add(segment.payload_len)
}

/// Sequence numbers wrap modulo 2^32 (RFC 9293 section 3.4).
fn is_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}
