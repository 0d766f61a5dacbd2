//! What can be computed of a segment before any connection is looked at, and in another thread.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use crate::connection::duplicates;
use crate::connection::http::Head;
use crate::packet::Segment;

use super::slots::Key;

/// A segment in two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// The keyed hash of its connection's endpoints.
    pub(super) key: u64,
    /// Equal for copies of a packet.
    pub(super) packet: u64,
}

/// Makes the digests of one table.
///
/// Keyed with random numbers, as the endpoints come out of a capture, which may be hostile: whoever wrote it does not know
/// them and sees nothing of the table. SipHash, made for attackers who can watch, costs ten times as much.
#[derive(Debug, Clone, Default)]
pub struct Digester(RandomState);

impl Digester {
    /// The digest of a segment, and the head that its payload begins with, if that can be read ahead.
    #[inline(always)]
    pub fn digest(&self, segment: &Segment<'_>) -> (Digest, Option<Head>) {
        let digest = Digest { key: self.hash(&Key::of(segment)), packet: duplicates::fingerprint(segment) };
        (digest, Head::read(segment.payload))
    }

    /// The keyed hash of a key.
    #[inline(always)]
    pub(super) fn hash(&self, key: &Key) -> u64 {
        self.0.hash_one(key)
    }
}
