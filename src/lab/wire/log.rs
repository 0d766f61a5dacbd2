//! What the wire did with each packet: the live events, and the log for the completeness check.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

use super::rules::{Connection, Packet, Side};

/// Something that happened on the wire to a segment of a class worth waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireEvent {
    /// When: nanoseconds since the Unix epoch, the clock that stamps the captures.
    pub time_ns: i64,
    /// On which connection.
    pub connection: Connection,
    /// The host that sent the segment.
    pub from: Side,
    /// The segment; [`Packet::Any`] for a held or dropped one of no class of its own.
    pub packet: Packet,
    /// What happened.
    pub kind: WireEventKind,
}

/// What happened to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireEventKind {
    /// A hold began.
    Held,
    /// A hold ended; the segment is on its way and will be `Forwarded`.
    Released {
        /// The awaited packet did not come in time (or the wire was stopped first).
        expired: bool,
    },
    /// The segment was handed to the other host's kernel. Not reported for pure ACKs and for segments of no class.
    Forwarded,
    /// A rule lost the segment.
    Dropped,
}

/// The fate of every packet that the wire read or was given.
#[derive(Debug, Clone, Default)]
pub struct WireLog {
    /// In order of arrival.
    pub packets: Vec<WirePacket>,
    /// Packets between the two hosts that carry no TCP segment: ICMP.
    pub not_tcp: u64,
    /// Packets from or to addresses that are not the lab's. They are carried all the same.
    pub strays: u64,
    /// Holds that ended because the awaited packet did not come, not counting those that the end of the run ended.
    pub expired_holds: u64,
    /// When the wire was cut: what hosts sent later never entered it.
    pub stopped_ns: i64,
    /// Why the wire ended before it was told to, if it did.
    pub failure: Option<String>,
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WirePacket {
    /// The host that sent it; none if it was injected into the wire.
    pub from: Option<Side>,
    /// The host it is for.
    pub to: Side,
    /// When it reached the wire, in nanoseconds since the Unix epoch.
    pub arrived_ns: i64,
    /// Length of the IP packet in bytes.
    pub length: u32,
    /// [`fingerprint`] of the IP packet.
    pub hash: u64,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Handed to the receiving host's kernel.
    Delivered {
        /// Just before that, in nanoseconds since the Unix epoch.
        at_ns: i64,
    },
    /// Lost by a rule.
    Dropped,
    /// The receiving host's device did not take it.
    Refused {
        /// The error number of write(2).
        errno: i32,
    },
    /// Still held or in transit when the wire was cut.
    Undelivered,
}

/// A 64-bit hash of a packet's bytes, the same wherever the packet is seen during one run of the program.
pub fn fingerprint(packet: &[u8]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(packet);
    hasher.finish()
}
