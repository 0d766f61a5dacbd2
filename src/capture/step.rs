//! What the two formats hand to the reader: packets, and the damage that ends a reading.

use std::ops::Range;

use thiserror::Error;

use super::LinkType;

/// The most bytes one packet may have: far above any (libpcap keeps 262 144 at most, Linux builds segments of up to
/// 524 280), and small enough that a length read from damaged bytes cannot fill the memory.
pub(super) const MAX_PACKET: u32 = 16 << 20;

/// What one step through the input met.
pub(super) enum Step {
    /// A packet.
    Record(Found),
    /// A block that holds no packet.
    Other,
    /// The end of the input, at a boundary.
    End,
    /// Damage; nothing after it can be trusted.
    Stop(Stop),
}

/// A packet and where its bytes are in the window.
pub(super) struct Found {
    /// None where the block has no time.
    pub(super) time_ns: Option<i64>,
    pub(super) link: LinkType,
    pub(super) interface: u32,
    pub(super) wire_len: u32,
    pub(super) data: Range<usize>,
}

/// The damage that ended a reading, as the first half of a sentence; the place is added by the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Stop {
    #[error("the capture ends inside a {unit} ({present} of its {needed} bytes are there)")]
    Cut { unit: &'static str, present: u64, needed: u64 },
    #[error("a record claims {claimed} bytes, more than any packet has (limit {MAX_PACKET})")]
    TooLong { claimed: u32 },
    #[error("a block claims the impossible length {claimed}")]
    BlockLength { claimed: u32 },
    #[error("a block gives its length as {head} at its start and as {tail} at its end")]
    LengthsDiffer { head: u32, tail: u32 },
    #[error("a block of type {kind} is too short for its fields ({len} bytes)")]
    BlockTooShort { kind: u32, len: u32 },
    #[error("a block of {block_len} bytes claims a packet of {claimed} bytes")]
    PacketBeyondBlock { claimed: u32, block_len: u32 },
    #[error("a block names interface {interface}, which the section does not describe")]
    UnknownInterface { interface: u32 },
    #[error("a section starts without a byte-order mark")]
    NoByteOrder,
    #[error("a section describes more than {limit} interfaces")]
    TooManyInterfaces { limit: usize },
}
