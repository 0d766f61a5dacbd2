//! Packets captured more than once, as `-i any` and port mirrors do: copies, to be told from retransmissions.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

use crate::packet::Segment;

/// Packets remembered, of all connections together; copies follow each other closely.
const REMEMBERED: usize = 4096;
/// The most time between two copies of a packet: no kernel retransmits by its timer before 200 ms (Linux TCP_RTO_MIN), and
/// what takes a packet longer than this through one host is no capture's doing.
const COPY_WINDOW_NS: i64 = 100_000_000;

/// What the window says of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sighting {
    /// Not seen lately.
    First,
    /// The same packet once more: nothing but a copy has the same IP identification or the same timestamps and numbers.
    Copy,
    /// Equal to a packet seen lately, in fields that two packets may have in common: a copy only where all packets of the
    /// connection come twice.
    Alike,
}

/// The packets seen last.
///
/// Deterministic, and bounded whatever the number of connections: two packets that fall on the same place push each other
/// out, by numbers that are the same in every run.
#[derive(Debug)]
pub(super) struct Window {
    seen: Box<[Seen]>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    fingerprint: u64,
    time_ns: i64,
}

impl Window {
    pub fn new() -> Window {
        Window { seen: vec![Seen { fingerprint: 0, time_ns: i64::MIN }; REMEMBERED].into_boxed_slice() }
    }

    /// Looks a segment with this [`fingerprint`] up and remembers it.
    ///
    /// The time to live may differ (a router between two mirrors), VLAN tags and link headers may; all else of a copy is the same.
    #[inline]
    pub fn sight(&mut self, segment: &Segment<'_>, fingerprint: u64, time_ns: i64) -> Sighting {
        // The high bits of a product depend on all bits of its factors.
        let place = &mut self.seen[(fingerprint >> 32) as usize % REMEMBERED];
        let known = place.fingerprint == fingerprint
            && time_ns.saturating_sub(place.time_ns).unsigned_abs() <= COPY_WINDOW_NS.unsigned_abs();
        *place = Seen { fingerprint, time_ns };
        match known {
            false => Sighting::First,
            true if is_unique(segment) => Sighting::Copy,
            true => Sighting::Alike,
        }
    }

    /// The pair is complete: a further packet like this one is the first of another pair.
    pub fn forget(&mut self, fingerprint: u64) {
        let place = &mut self.seen[(fingerprint >> 32) as usize % REMEMBERED];
        if place.fingerprint == fingerprint {
            place.time_ns = i64::MIN;
        }
    }
}

/// Whether a kernel that sends the same once more sends something else.
///
/// The IPv4 identification is a new one for each packet, retransmitted or not (RFC 6864 asks for it where packets may be
/// fragmented; Linux counts in each connection), except that 0 stands for none. IPv6 has none: there the timestamps (RFC 7323) have moved on
/// before a timer retransmits; acknowledgements without payload may well be equal within one tick of that clock.
fn is_unique(segment: &Segment<'_>) -> bool {
    let numbered = segment.payload_len > 0 || segment.flags.syn() || segment.flags.fin();
    segment.ip_id.is_some_and(|id| id != 0)
        || (numbered && segment.timestamps.is_some_and(|(value, _)| value != 0))
}

/// All of a packet that a copy has in common with it, and hardly another packet, in one number: the same in every run. What is
/// alike by accident stays apart; who makes two packets with one number on purpose gains nothing by it.
#[inline(always)]
pub(super) fn fingerprint(segment: &Segment<'_>) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    if let (Some(src), Some(dst)) = (segment.src.v4_bits(), segment.dst.v4_bits()) {
        hasher.write_u64(u64::from(src) << 32 | u64::from(dst));
    } else {
        [segment.src, segment.dst].iter().for_each(|end| hasher.write_u128(end.v6_bits()));
    }
    let ports = u64::from(segment.src.port) << 48 | u64::from(segment.dst.port) << 32;
    hasher.write_u64(ports | u64::from(segment.tunnel));
    hasher.write_u64(u64::from(segment.seq) << 32 | u64::from(segment.ack));
    let kind = u64::from(segment.window) << 16 | u64::from(segment.flags.0);
    hasher.write_u64(u64::from(segment.payload_len) << 32 | kind);
    let (value, echo) = segment.timestamps.unwrap_or_default();
    hasher.write_u64(u64::from(value) << 32 | u64::from(echo));
    // None is another value than any that there is.
    hasher.write_u64(segment.ip_id.map_or(0, |id| u64::from(id) + 1));
    hasher.finish()
}
