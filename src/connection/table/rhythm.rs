//! How often equal requests come, so that one that follows a loss is not taken for its retry when it may be anybody's.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::connection::Mark;

use super::reaction::Reaction;

/// How far before and after a loss equal requests count: "around that time".
pub(super) const AROUND_NS: i64 = 60_000_000_000;
/// Requests remembered, 24 bytes each.
const REMEMBERED: usize = 8_192;
/// How many times more rarely than the reaction equal requests have to come.
const IMPROBABLE: i64 = 1_000;

/// A request, by what tells equal ones from others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    /// Of its first bytes.
    bytes: u32,
    client: u32,
    /// Of its numbers: two with the same are one packet, captured before and behind an address translation.
    packet: u32,
    frame: u32,
    /// When it began.
    pub time_ns: i64,
}

impl Sighting {
    pub fn new(fingerprint: u64, client: IpAddr, mark: Mark) -> Sighting {
        Sighting {
            bytes: (fingerprint >> 32) as u32,
            client: folded(client),
            packet: mark.seq.0 ^ mark.ack.0.rotate_left(16) ^ mark.len,
            frame: mark.frame as u32,
            time_ns: mark.time_ns,
        }
    }

    /// Whether it is the request of a frame.
    pub fn is_of(&self, frame: u64) -> bool {
        self.frame == frame as u32
    }

    /// The same packet was captured once more.
    pub fn is_copied_by(&self, other: &Sighting) -> bool {
        self.packet == other.packet
    }

    fn is_equal(&self, other: &Sighting) -> bool {
        self.bytes == other.bytes
    }
}

fn folded(ip: IpAddr) -> u32 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(ip) => ip.to_bits().to_be_bytes().chunks(4).fold(0, |folded, part| {
            folded.rotate_left(7) ^ part.iter().fold(0, |word, &byte| word << 8 | u32::from(byte))
        }),
    }
}

/// The newest requests of a trace: of what came before a loss, only this is known.
#[derive(Debug, Default)]
pub(super) struct Lately {
    sightings: VecDeque<Sighting>,
    /// Older ones were forgotten.
    forgot: bool,
}

impl Lately {
    pub fn remember(&mut self, sighting: Sighting) {
        if self.sightings.len() == REMEMBERED {
            self.sightings.pop_front();
            self.forgot = true;
        }
        self.sightings.push_back(sighting);
    }

    /// How requests equal to a lost one came until now: those of its client, and those of all. What `is_of_chain` tells to
    /// be an earlier try of the lost one is none of them.
    pub fn rhythms(&self, lost: &Sighting, is_of_chain: impl Fn(&Sighting) -> bool) -> [Rhythm; 2] {
        let horizon_ns = match self.sightings.front() {
            Some(oldest) if self.forgot => lost.time_ns.saturating_sub(oldest.time_ns).max(0),
            _ => i64::MAX,
        };
        let mut rhythms = [Rhythm::new(horizon_ns); 2];
        let around = |known: &&Sighting| lost.time_ns.saturating_sub(known.time_ns) <= AROUND_NS;
        for known in self.sightings.iter().filter(|known| known.is_equal(lost)).filter(around) {
            let is_own = known.frame == lost.frame;
            if !is_own && (lost.is_copied_by(known) || is_of_chain(known)) {
                continue;
            }
            let [of_client, of_all] = &mut rhythms;
            of_all.meet(*known);
            if known.client == lost.client {
                of_client.meet(*known);
            }
        }
        rhythms
    }
}

/// How equal requests follow each other, as far as that was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    /// The shortest time between two of them; the longest there is while no two were seen.
    closest_ns: i64,
    last: Option<Sighting>,
}

impl Default for Rhythm {
    fn default() -> Rhythm {
        Rhythm::new(i64::MAX)
    }
}

impl Rhythm {
    /// `horizon_ns` is how far back the memory reaches: what it does not hold may have come just before.
    fn new(horizon_ns: i64) -> Rhythm {
        Rhythm { closest_ns: horizon_ns, last: None }
    }

    /// One more came.
    pub fn meet(&mut self, sighting: Sighting) {
        let Some(last) = self.last.replace(sighting) else { return };
        if !last.is_copied_by(&sighting) {
            let apart_ns = sighting.time_ns.saturating_sub(last.time_ns).max(0);
            self.closest_ns = self.closest_ns.min(apart_ns);
        }
    }

    /// One came that may be a retry: the time from the lost request to it says nothing of how often others come, the time from
    /// it to the next one does.
    pub fn pass_over(&mut self, sighting: Sighting) {
        self.last = Some(sighting);
    }

    /// Whether a request that began so long after a loss became visible cannot be an equal one of somebody else:
    /// 1. no other equal one was seen [around that time](AROUND_NS), or
    /// 2. the shortest time between two equal ones is [`IMPROBABLE`] times the reaction.
    ///
    /// The bound: let two equal requests never come closer than `g`. Then at most one of them falls into any stretch of
    /// time `d < g`, and, its phase being independent of the loss, with a probability of at most `d/g`. Where a client could
    /// react to one of `n` signs (the server's FIN, its RST, the client's own close), there are `n` such stretches. So the
    /// probability of a coincidence is at most `n·d/g`, and 1 in 1000 is allowed. The shortest time of many is much
    /// shorter than the mean one: of `k` requests that come at random in a time `T`, it is about `T/k²`, so that for these
    /// the bound is `k` times stricter than the rate alone would ask for. Users in crowds come at random, and for them it
    /// is hardly ever met.
    pub fn excludes_coincidence(&self, reaction: Reaction) -> bool {
        reaction.at_most_ns.saturating_mul(reaction.signs).saturating_mul(IMPROBABLE) <= self.closest_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Endpoint, Flags, Segment};

    const SECOND: i64 = 1_000_000_000;

    /// A request of a client with these bytes; `seq` tells it from copies of others.
    fn sighting(client: u8, bytes: u64, time_ns: i64, seq: u32) -> Sighting {
        let segment = Segment {
            src: Endpoint::v4(u32::from(client), 40_000),
            dst: Endpoint::v4(2, 80),
            tunnel: 0,
            seq,
            ack: 1,
            flags: Flags(Flags::ACK),
            window: 0,
            payload_len: 100,
            payload: b"",
            ttl: 64,
            ip_id: None,
            timestamps: None,
        };
        Sighting::new(bytes << 32, segment.src.ip(), Mark::of(&segment, u64::from(seq), time_ns))
    }

    fn after(ns: i64) -> Reaction {
        Reaction { ns, at_most_ns: ns, signs: 1, is_after: true }
    }

    /// The longest reaction, of a few, that is no coincidence after a loss at 100 s.
    fn longest(lately: &Lately) -> [Option<i64>; 2] {
        let lost = sighting(1, 7, 100 * SECOND, 1);
        let rhythms = lately.rhythms(&lost, |_| false);
        rhythms.map(|rhythm| {
            let reactions = [2 * SECOND, SECOND / 10, SECOND / 100, SECOND / 1_000, SECOND / 10_000];
            reactions.into_iter().find(|&ns| rhythm.excludes_coincidence(after(ns)))
        })
    }

    fn lately(sightings: &[(u8, u64, i64)]) -> Lately {
        let mut lately = Lately::default();
        for (seq, &(client, bytes, time_ns)) in (100..).zip(sightings) {
            lately.remember(sighting(client, bytes, time_ns, seq));
        }
        lately.remember(sighting(1, 7, 100 * SECOND, 1));
        lately
    }

    #[test]
    fn bytes_that_come_once_are_no_coincidence() {
        let other_bytes = lately(&[(1, 8, 99 * SECOND), (1, 9, 99 * SECOND)]);
        assert_eq!(longest(&other_bytes), [Some(2 * SECOND); 2]);
        let long_ago = lately(&[(1, 7, 30 * SECOND), (1, 7, 31 * SECOND)]);
        assert_eq!(longest(&long_ago), [Some(2 * SECOND); 2], "not around that time");
    }

    #[test]
    fn the_shortest_time_between_two_equal_ones_bounds_the_reaction() {
        let polled = lately(&[(1, 7, 80 * SECOND), (1, 7, 90 * SECOND)]);
        assert_eq!(longest(&polled), [Some(SECOND / 100); 2]);
        let once_close = lately(&[(1, 7, 60 * SECOND), (1, 7, 61 * SECOND), (1, 7, 80 * SECOND)]);
        assert_eq!(longest(&once_close), [Some(SECOND / 1_000); 2]);
        let of_another = lately(&[(3, 7, 99 * SECOND)]);
        assert_eq!(longest(&of_another), [Some(2 * SECOND), Some(SECOND / 1_000)]);
    }

    #[test]
    fn each_sign_that_may_have_been_reacted_to_counts() {
        let rhythm = Rhythm { closest_ns: SECOND, last: None };
        let reactions = [1, 2].map(|signs| Reaction { signs, ..after(SECOND / 1_000) });
        assert_eq!(reactions.map(|reaction| rhythm.excludes_coincidence(reaction)), [true, false]);
    }

    #[test]
    fn a_copy_of_a_packet_is_no_second_request() {
        let mut rhythm = Rhythm::default();
        rhythm.meet(sighting(1, 7, SECOND, 5));
        rhythm.meet(sighting(9, 7, SECOND + 1, 5));
        assert!(rhythm.excludes_coincidence(after(2 * SECOND)));
        rhythm.meet(sighting(1, 7, SECOND + 2, 6));
        assert!(!rhythm.excludes_coincidence(after(1)));
    }

    #[test]
    fn what_is_forgotten_may_have_been_equal() {
        let mut busy = Lately::default();
        for seq in 0..REMEMBERED as u32 + 10 {
            busy.remember(sighting(
                1,
                8,
                100 * SECOND - i64::from(REMEMBERED as u32 + 10 - seq) * 1_000_000,
                seq + 100,
            ));
        }
        busy.remember(sighting(1, 7, 100 * SECOND, 1));
        assert_eq!(longest(&busy), [Some(SECOND / 1_000); 2], "it reaches back for eight seconds");
    }
}
