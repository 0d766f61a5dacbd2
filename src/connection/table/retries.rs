//! Requests that seem lost, and the equal ones that follow them on other connections.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::connection::{Connection, Exchange, Mark, http};
use crate::packet::Segment;
use crate::report::Side;

use super::reaction::{RETRY_WINDOW_NS, Reaction, Signs, Start};
use super::rhythm::{AROUND_NS, Lately, Rhythm, Sighting};
use super::slots::{Flow, Slots};

/// Losses watched at the same time.
const MAX_WATCHED: usize = 1_024;
/// Losses whose followers are remembered.
const MAX_FOLLOWED: usize = 65_536;

/// An equal request that followed a lost one on another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Index of its connection in the file that holds its frame.
    pub stream: u32,
    /// Its frame.
    pub frame: u64,
    /// How long after the loss became visible to the client, the wait for a handshake left out, ns.
    pub after_ns: i64,
    /// It is a retry: no coincidence made the bytes equal, and they came from the same address.
    pub certain: bool,
}

/// How a request that followed a lost one was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAnswer {
    /// Frame of the request.
    pub frame: u64,
    /// HTTP status; none where it could not be read.
    pub status: Option<u16>,
}

impl RetryAnswer {
    /// Whether it is no success: the server failed (5xx), or speaks of the moment and not of the request (408, 425 and 429:
    /// RFC 9110 section 15.5.9, RFC 8470 and RFC 6585).
    pub fn is_failure(&self) -> bool {
        matches!(self.status, Some(408 | 425 | 429 | 500..))
    }
}

/// A request that seems lost.
#[derive(Debug)]
struct Watched {
    fingerprint: u64,
    slot: u32,
    serial: u32,
    frame: u64,
    sent: Sighting,
    client: IpAddr,
    /// Frame of the first try, where this is a later one.
    chain: u64,
    since_ns: i64,
    signs: Signs,
    of_client: Rhythm,
    of_all: Rhythm,
    follower: Option<Follower>,
}

/// What followed it.
#[derive(Debug, Clone, Copy)]
struct Follower {
    frame: u64,
    sent: Sighting,
    reaction: Reaction,
    same_client: bool,
    /// It can be told from others: all bytes that are compared were captured, it began after the loss was visible, and follows
    /// no second loss.
    distinct: bool,
}

impl Watched {
    /// A retry, and nobody else's request.
    fn is_retried(&self) -> bool {
        self.follower.is_some_and(|follower| {
            follower.distinct
                && follower.same_client
                && self.of_client.excludes_coincidence(follower.reaction)
        })
    }

    fn is_followed_by(&self, frame: u64) -> bool {
        self.follower.is_some_and(|follower| follower.frame == frame)
    }

    /// What followed was sent when the loss was known.
    fn is_tried_again_by(&self, frame: u64) -> bool {
        self.follower.is_some_and(|follower| follower.frame == frame && follower.reaction.is_after)
    }

    fn is_copied_by(&self, sighting: &Sighting) -> bool {
        self.sent.is_copied_by(sighting)
            || self.follower.is_some_and(|follower| follower.sent.is_copied_by(sighting))
    }
}

/// The requests that seem lost, and what followed them.
#[derive(Debug, Default)]
pub struct Retries {
    lately: Lately,
    /// Oldest first.
    watched: VecDeque<Watched>,
    /// How many of them have a fingerprint.
    fingerprints: HashMap<u64, u32>,
    followed: HashMap<u64, Retry>,
    answers: HashMap<u64, RetryAnswer>,
    /// The keys of `followed`, oldest first.
    order: VecDeque<u64>,
    /// Frame of the newest loss that could not be watched for long enough, because there were too many.
    unsure_to: u64,
}

impl Retries {
    /// The equal request that followed the lost one of a frame.
    pub fn of(&self, lost: u64) -> Option<&Retry> {
        self.followed.get(&lost)
    }

    /// Whether the lost request of a frame was watched for long enough to know that nothing followed.
    pub fn is_sure_of(&self, lost: u64) -> bool {
        lost > self.unsure_to
    }

    /// How the request of a frame, which followed a lost one, was answered.
    pub fn answer(&self, follower: u64) -> Option<&RetryAnswer> {
        self.answers.get(&follower)
    }

    /// A side of a connection closes: what was not answered until now may be lost.
    pub(super) fn side_ends(&mut self, slots: &Slots, slot: u32, side: Side, mark: Mark) {
        let Some(Flow::Full(connection)) = slots.get(slot) else { return };
        let is_on_it = |watched: &&mut Watched| watched.slot == slot && watched.serial == connection.serial;
        self.watched.iter_mut().filter(is_on_it).for_each(|watched| watched.signs.add_end(side, mark));
        for exchange in connection.exchanges.iter().filter(|exchange| !exchange.answered()) {
            let mut signs = Signs::of(connection);
            signs.add_end(side, mark);
            self.watch(connection, exchange, (slot, mark.time_ns), signs);
        }
    }

    /// A request that begins after the server closed is lost from its first byte.
    pub(super) fn begins_late(&mut self, slots: &Slots, slot: u32) {
        let Some(Flow::Full(connection)) = slots.get(slot) else { return };
        let server = connection.half(Side::Server);
        if server.has_ended()
            && let Some(exchange) = connection.exchanges.back()
        {
            let mut signs = Signs::of(connection);
            server.fin().into_iter().chain(server.rst()).for_each(|mark| signs.add_end(Side::Server, mark));
            self.watch(connection, exchange, (slot, exchange.request.time_ns), signs);
        }
    }

    fn watch(
        &mut self,
        connection: &Connection,
        exchange: &Exchange,
        (slot, since_ns): (u32, i64),
        signs: Signs,
    ) {
        let (serial, frame) = (connection.serial, exchange.request.frame);
        let known = |watched: &Watched| watched.serial == serial && watched.frame == frame;
        if !connection.is_comparable(exchange) || self.watched.iter().any(known) {
            return;
        }
        let client = connection.endpoint(Side::Client).ip();
        let sent = Sighting::new(exchange.fingerprint, client, exchange.request);
        let of_itself = [Rhythm::default(); 2];
        self.add(Watched {
            fingerprint: exchange.fingerprint,
            slot,
            serial,
            frame,
            sent,
            client,
            chain: frame,
            since_ns,
            signs,
            of_client: of_itself[0],
            of_all: of_itself[1],
            follower: None,
        });
    }

    /// Watches a loss from now on; what came before it is looked up.
    fn add(&mut self, mut lost: Watched) {
        let first_try = self.watched.iter().find(|watched| watched.is_tried_again_by(lost.frame));
        lost.chain = first_try.map_or(lost.frame, |watched| watched.chain);
        let is_earlier_try = |sighting: &Sighting| {
            let mut chain = self.watched.iter().filter(|watched| watched.chain == lost.chain);
            chain.any(|watched| {
                sighting.is_of(watched.frame)
                    || watched.follower.is_some_and(|it| it.reaction.is_after && sighting.is_of(it.frame))
            })
        };
        [lost.of_client, lost.of_all] = self.lately.rhythms(&lost.sent, is_earlier_try);
        if self.watched.len() == MAX_WATCHED
            && let Some(oldest) = self.forget_oldest()
            && oldest.follower.is_none()
            && lost.since_ns - oldest.since_ns <= RETRY_WINDOW_NS
        {
            self.unsure_to = self.unsure_to.max(oldest.frame);
        }
        *self.fingerprints.entry(lost.fingerprint).or_default() += 1;
        self.watched.push_back(lost);
    }

    fn forget_oldest(&mut self) -> Option<Watched> {
        let oldest = self.watched.pop_front()?;
        if let Some(count) = self.fingerprints.get_mut(&oldest.fingerprint) {
            *count -= 1;
            if *count == 0 {
                self.fingerprints.remove(&oldest.fingerprint);
            }
        }
        Some(oldest)
    }

    /// A request begins: does it follow one that seems lost?
    #[inline]
    pub(super) fn request_begins(
        &mut self,
        slots: &mut Slots,
        slot: u32,
        fingerprint: u64,
        segment: &Segment<'_>,
        mark: Mark,
    ) {
        let Some(Flow::Full(connection)) = slots.get_mut(slot) else { return };
        if !connection.exchanges.back().is_some_and(|exchange| connection.is_comparable(exchange)) {
            return;
        }
        let sent = Sighting::new(fingerprint, segment.src.ip(), mark);
        while self.watched.front().is_some_and(|oldest| mark.time_ns - oldest.since_ns > AROUND_NS) {
            self.forget_oldest();
        }
        if self.fingerprints.contains_key(&fingerprint) {
            self.compare(connection, fingerprint, sent, segment, mark);
        }
        self.lately.remember(sent);
    }

    /// A request begins whose bytes are those of one that seems lost.
    fn compare(
        &mut self,
        connection: &mut Connection,
        fingerprint: u64,
        sent: Sighting,
        segment: &Segment<'_>,
        mark: Mark,
    ) {
        let is_equal =
            |watched: &&mut Watched| watched.fingerprint == fingerprint && watched.frame != mark.frame;
        let client = segment.src.ip();
        let start = Start::of(connection, mark);
        let whole = http::holds_fingerprint(segment.payload, segment.payload_len);
        let mut chain = None;
        let mut follows = 0;
        for watched in self.watched.iter_mut().filter(is_equal) {
            let same_client = watched.client == client;
            let free = watched.follower.is_none_or(|follower| same_client && !follower.same_client);
            if !free || watched.serial == connection.serial || watched.is_copied_by(&sent) {
                continue;
            }
            let Some(reaction) = watched.signs.reaction(watched.sent.time_ns, &start) else { continue };
            // From another address it may be another proxy of a fleet, if anybody.
            if same_client || watched.of_all.excludes_coincidence(reaction) {
                let follower = Follower {
                    frame: mark.frame,
                    sent,
                    reaction,
                    same_client,
                    distinct: whole && reaction.is_after,
                };
                watched.follower = Some(follower);
                if reaction.is_after {
                    chain.get_or_insert(watched.chain);
                }
                follows += 1;
            }
        }
        if follows > 0
            && let Some(exchange) = connection.exchanges.back_mut()
        {
            exchange.follow();
        }
        let stream = connection.newest_stream();
        for watched in self.watched.iter_mut().filter(is_equal) {
            if let Some(follower) = watched.follower.as_mut().filter(|follower| follower.frame == mark.frame)
            {
                follower.distinct &= follows == 1;
                watched.of_client.pass_over(sent);
                watched.of_all.pass_over(sent);
            } else if watched.is_copied_by(&sent) {
                continue;
            } else if chain == Some(watched.chain) {
                watched.of_client.pass_over(sent);
                watched.of_all.pass_over(sent);
            } else {
                watched.of_all.meet(sent);
                if watched.client == client {
                    watched.of_client.meet(sent);
                }
            }
            if let Some(follower) = watched.follower {
                let known = self.followed.get(&watched.frame).filter(|known| known.frame == follower.frame);
                let retry = Retry {
                    stream: known.map_or(stream, |known| known.stream),
                    frame: follower.frame,
                    after_ns: follower.reaction.ns,
                    certain: watched.is_retried(),
                };
                if self.followed.insert(watched.frame, retry).is_none() {
                    self.order.push_back(watched.frame);
                }
            }
        }
        while self.order.len() > MAX_FOLLOWED {
            self.forget_followed();
        }
    }

    fn forget_followed(&mut self) {
        let Some(lost) = self.order.pop_front() else { return };
        self.unsure_to = self.unsure_to.max(lost);
        if let Some(retry) = self.followed.remove(&lost) {
            self.answers.remove(&retry.frame);
        }
    }

    /// A request that followed a lost one was answered, at this time. A refusal may be followed by a further try.
    pub(super) fn answered(&mut self, answer: RetryAnswer, slots: &Slots, slot: u32, time_ns: i64) {
        self.answers.insert(answer.frame, answer);
        let Some(Flow::Full(connection)) = slots.get(slot).filter(|_| answer.is_failure()) else { return };
        let Some(first_try) = self.watched.iter().find(|watched| watched.is_followed_by(answer.frame)) else {
            return;
        };
        let Some(follower) = first_try.follower else { return };
        let mut signs = Signs::of(connection);
        signs.add_refusal(time_ns);
        self.add(Watched {
            fingerprint: first_try.fingerprint,
            slot,
            serial: connection.serial,
            frame: answer.frame,
            sent: follower.sent,
            client: connection.endpoint(Side::Client).ip(),
            chain: first_try.chain,
            since_ns: time_ns,
            signs,
            of_client: Rhythm::default(),
            of_all: Rhythm::default(),
            follower: None,
        });
    }
}
