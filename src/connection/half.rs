//! One direction of a connection: what one side sent, as sequence numbers tell it.

use crate::packet::{Flags, Segment};

use super::{Mark, MaybeNs, Point, Seq};

/// Packets captured this near to each other may have been sent in the other order: the queues of a network card and the
/// ports of a mirror do not keep it.
pub const REORDERED_NS: i64 = 1_000_000;

/// What a segment's payload adds to the bytes already seen in its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// No payload.
    Nothing,
    /// Payload all seen before: a retransmission, a keep-alive probe (RFC 9293 section 3.8.4), a duplicate.
    Old,
    /// Payload that fills a hole left by an earlier segment: it was reordered, or recovered by retransmission.
    Late,
    /// The last `len` bytes of the payload continue the stream; `missing` bytes before them were not captured (yet).
    New {
        /// New bytes at the end of the payload.
        len: u32,
        /// Bytes skipped between what was known and this segment.
        missing: u32,
    },
}

/// What one side of a connection sent.
///
/// A million of them are kept at once: what only an end or a loss brings is in a box of its own.
#[derive(Debug, Clone, Default)]
pub struct Half {
    /// Zero of the relative numbers; meaningful once it is known.
    base: Seq,
    /// One past the highest payload byte seen; meaningful once a segment other than a RST was seen.
    pub next: Seq,
    /// Highest acknowledgement number sent; meaningful once it is known.
    acked: Seq,
    known: Known,
    ttls: Ttls,
    /// Segments sent.
    pub packets: u64,
    /// New payload bytes.
    pub bytes: u64,
    start: Start,
    trouble: Option<Box<Trouble>>,
}

/// How the capture shows the beginning of a direction.
#[derive(Debug, Clone)]
enum Start {
    /// Without a handshake, which would tell the same and surer: how soon the other side acknowledged.
    Unseen(Option<Box<AckTimes>>),
    /// The SYN.
    Syn(Point),
}

impl Default for Start {
    fn default() -> Start {
        Start::Unseen(None)
    }
}

/// Which of the numbers of a [`Half`] are known, a bit each.
#[derive(Debug, Clone, Copy, Default)]
struct Known(u8);

impl Known {
    const BASED: u8 = 1;
    const STARTED: u8 = 2;
    const HAS_ACKED: u8 = 4;

    #[inline]
    fn is(self, what: u8) -> bool {
        self.0 & what != 0
    }

    #[inline]
    fn set(&mut self, what: u8) {
        self.0 |= what;
    }
}

/// The times to live (hop limits, in IPv6) that a side's segments arrive with, RSTs left out: one on a steady path, two where
/// something else answers the SYN, more where packets take several paths.
#[derive(Debug, Clone, Copy, Default)]
struct Ttls {
    first: u8,
    /// 0 where there is none; the same as the first where there are more than two.
    second: u8,
}

impl Ttls {
    #[inline]
    fn vary(self) -> bool {
        self.first == self.second && self.first > 0
    }

    #[inline]
    fn add(&mut self, ttl: u8) {
        if ttl == self.first || ttl == self.second || self.vary() {
            return;
        }
        match (self.first, self.second) {
            (0, _) => self.first = ttl,
            (_, 0) => self.second = ttl,
            _ => self.second = self.first,
        }
    }
}

/// A RST, with what the IP layer says of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// The segment.
    pub mark: Mark,
    /// Time to live, or hop limit, that it arrived with.
    pub ttl: u8,
}

/// What a side has only that ended, or of which something was lost.
#[derive(Debug, Clone, Default)]
struct Trouble {
    fin: Option<Mark>,
    rst: Option<Reset>,
    last_rst: Option<Reset>,
    denied_rst: Option<Reset>,
    rsts: u32,
    syn_repeats: u32,
    missing: u64,
    hole: Option<(Seq, Seq)>,
}

impl Trouble {
    /// Takes in an ordinary segment that follows a RST.
    fn deny(&mut self, segment: &Segment<'_>, mark: Mark) {
        let goes_on = segment.payload_len > 0
            && self.fin.is_none()
            && self.rst.is_some_and(|Reset { mark: reset, .. }| {
                !mark.seq.before(reset.seq) && mark.time_ns - reset.time_ns > REORDERED_NS
            });
        if goes_on {
            self.denied_rst = self.denied_rst.or(self.rst);
        }
    }
}

/// How soon the other side acknowledged what this one sent.
#[derive(Debug, Clone, Default)]
struct AckTimes {
    shortest: MaybeNs,
    // Time and end of the payload whose acknowledgement is waited for.
    unacked: MaybeNs,
    unacked_end: Seq,
}

impl Half {
    /// Zero of the relative numbers, chosen as Wireshark does: the SYN's number, or one below the first number that
    /// this side used or that the other side acknowledged.
    pub fn base(&self) -> Option<Seq> {
        self.known.is(Known::BASED).then_some(self.base)
    }

    /// Highest acknowledgement number sent, if any.
    pub fn acked(&self) -> Option<Seq> {
        self.known.is(Known::HAS_ACKED).then_some(self.acked)
    }

    /// The first SYN, if it was captured.
    pub fn syn(&self) -> Option<Point> {
        match self.start {
            Start::Syn(syn) => Some(syn),
            Start::Unseen(_) => None,
        }
    }

    /// SYNs repeated.
    pub fn syn_repeats(&self) -> u32 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.syn_repeats)
    }

    /// The first FIN.
    pub fn fin(&self) -> Option<Mark> {
        self.trouble.as_ref()?.fin
    }

    /// The first RST.
    pub fn rst(&self) -> Option<Mark> {
        self.reset().map(|reset| reset.mark)
    }

    /// The same with its time to live.
    pub fn reset(&self) -> Option<Reset> {
        self.trouble.as_ref()?.rst
    }

    /// The newest RST; the same as the first where there is one.
    pub fn last_reset(&self) -> Option<Reset> {
        self.trouble.as_ref()?.last_rst
    }

    /// The first RST, where this side denied it: it went on with new bytes, numbered at or behind the RST and captured more than
    /// [`REORDERED_NS`] later, as no host does that has reset a connection. Somebody else had sent it.
    pub fn denied_reset(&self) -> Option<Reset> {
        self.trouble.as_ref()?.denied_rst
    }

    /// IP time to live of this side's first segment, RSTs left out.
    pub fn ttl(&self) -> Option<u8> {
        Some(self.ttls.first).filter(|ttl| *ttl > 0)
    }

    /// Whether no other segment of this side arrived with this time to live, of which there are few: whoever sent it is
    /// somewhere else, or sends it in another way.
    pub fn is_strange_ttl(&self, ttl: u8) -> bool {
        let Ttls { first, second } = self.ttls;
        first > 0 && !self.ttls.vary() && ttl != first && ttl != second
    }

    /// RSTs sent.
    pub fn rsts(&self) -> u32 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.rsts)
    }

    /// Payload bytes that the sequence numbers prove were sent and the capture does not hold.
    pub fn missing(&self) -> u64 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.missing)
    }

    /// This side sent a FIN or a RST.
    pub fn has_ended(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.fin.is_some() || trouble.rst.is_some())
    }

    /// Sets zero of the relative numbers where it is not known yet.
    #[inline]
    pub(super) fn begin_at(&mut self, base: Seq) {
        if !self.known.is(Known::BASED) {
            self.base = base;
            self.known.set(Known::BASED);
        }
    }

    fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// The sequence number that the FIN occupies: its segment's number plus its payload (RFC 9293 section 3.4).
    pub fn fin_seq(&self) -> Option<Seq> {
        self.fin().map(|fin| fin.seq.plus(fin.len))
    }

    /// Numbers that were used in this direction and not captured: holes, and what the other side acknowledges beyond the
    /// last one seen (Wireshark's "ACKed unseen segment"), a FIN included.
    pub fn unseen(&self, peer: &Half) -> u64 {
        let end = self.next.plus(u32::from(self.fin().is_some()));
        let beyond =
            peer.acked().filter(|_| self.known.is(Known::STARTED)).map_or(0, |acked| acked.since(end).max(0));
        self.missing() + u64::from(beyond.unsigned_abs())
    }

    /// Whether anything of this direction was captured.
    pub fn seen(&self) -> bool {
        self.packets > 0
    }

    /// Takes one segment of this direction into account and says what its payload adds.
    #[inline]
    pub fn accept(&mut self, segment: &Segment<'_>, mark: Mark) -> Fresh {
        self.packets += 1;
        self.begin_at(if segment.flags.syn() { mark.seq } else { Seq(mark.seq.0.wrapping_sub(1)) });
        if segment.flags.rst() {
            // A RST's numbers may be anybody's guess: they must not move what is known of the stream.
            let trouble = self.trouble();
            let reset = Reset { mark, ttl: segment.ttl };
            trouble.rsts += 1;
            trouble.rst.get_or_insert(reset);
            trouble.last_rst = Some(reset);
            return Fresh::Nothing;
        }
        self.ttls.add(segment.ttl);
        if let Some(trouble) = &mut self.trouble {
            trouble.deny(segment, mark);
        }
        if segment.flags.syn() {
            match self.start {
                Start::Unseen(_) => self.start = Start::Syn(mark.into()),
                Start::Syn(_) => self.trouble().syn_repeats += 1,
            }
        }
        if segment.flags.ack() && (!self.known.is(Known::HAS_ACKED) || mark.ack.after(self.acked)) {
            self.acked = mark.ack;
            self.known.set(Known::HAS_ACKED);
        }
        let first_byte = mark.seq.plus(u32::from(segment.flags.syn()));
        if !self.known.is(Known::STARTED) {
            self.known.set(Known::STARTED);
            self.next = first_byte;
        }
        let fresh = self.payload(first_byte, segment.payload_len, mark);
        if segment.flags.fin() {
            self.trouble().fin.get_or_insert(mark);
        }
        fresh
    }

    /// Takes an acknowledgement of this direction's bytes by the other side into account.
    #[inline]
    pub fn acknowledged(&mut self, ack: Seq, time_ns: i64) {
        let Start::Unseen(Some(times)) = &mut self.start else { return };
        let Some(sent_ns) = times.unacked.get().filter(|_| !ack.before(times.unacked_end)) else { return };
        times.unacked = MaybeNs::default();
        let took_ns = time_ns - sent_ns;
        if took_ns >= 0 && times.shortest.get().is_none_or(|known| took_ns < known) {
            times.shortest = took_ns.into();
        }
    }

    /// The shortest time, at the capture point, from new payload of this side to the other side's acknowledgement of
    /// it; known only where this side's SYN was not captured. Payload sent again does not count: its acknowledgement may
    /// be of either (RFC 6298 section 3).
    pub fn shortest_ack_ns(&self) -> Option<i64> {
        match &self.start {
            Start::Unseen(times) => times.as_ref()?.shortest.get(),
            Start::Syn(_) => None,
        }
    }

    #[inline]
    fn payload(&mut self, first_byte: Seq, len: u32, mark: Mark) -> Fresh {
        if len == 0 {
            return Fresh::Nothing;
        }
        let end = first_byte.plus(len);
        if !end.after(self.next) {
            if let Start::Unseen(Some(times)) = &mut self.start {
                times.unacked = MaybeNs::default();
            }
            return match self.hole() {
                Some((start, stop)) if !first_byte.before(start) && !end.after(stop) => {
                    self.fill(first_byte, end);
                    Fresh::Late
                }
                _ => Fresh::Old,
            };
        }
        let ahead = first_byte.since(self.next);
        let missing = ahead.max(0) as u32;
        let new = if ahead < 0 { end.since(self.next) as u32 } else { len };
        if missing > 0 {
            let hole = (self.next, first_byte);
            let trouble = self.trouble();
            trouble.hole = Some(hole);
            trouble.missing += u64::from(missing);
        }
        self.next = end;
        self.bytes += u64::from(new);
        if let Start::Unseen(times) = &mut self.start {
            let times = times.get_or_insert_default();
            if times.unacked.get().is_none() {
                times.unacked = mark.time_ns.into();
                times.unacked_end = end;
            }
        }
        Fresh::New { len: new, missing }
    }

    /// Whether numbers from `from` on were used for payload that the capture does not hold: there is a hole, or this
    /// side's own FIN or active RST, or what the peer acknowledged, lies beyond the last byte seen.
    pub fn unseen_after(&self, from: Seq, acked_by_peer: Option<Seq>) -> bool {
        if !self.known.is(Known::STARTED) {
            return false;
        }
        let known = if from.after(self.next) { from } else { self.next };
        let active_reset = self.rst().filter(|rst| !is_passive_reset(rst.flags)).map(|rst| rst.seq);
        let beyond =
            |number: Option<Seq>, spare| number.is_some_and(|number| number.after(known.plus(spare)));
        // One number more than the bytes seen may be that of a FIN.
        self.hole().is_some_and(|(_, stop)| stop.after(from))
            || beyond(self.fin_seq(), 0)
            || beyond(active_reset, 1)
            || (self.fin().is_none() && beyond(acked_by_peer, 1))
    }

    /// This side ended, and there is no payload although its numbers say that there was some; or it sent a FIN, and the
    /// SYN that would tell is missing, too.
    pub fn is_hollow(&self) -> bool {
        let active_reset = self.rst().filter(|rst| !is_passive_reset(rst.flags)).map(|rst| rst.seq);
        let ended_behind =
            |syn: Point| self.fin_seq().or(active_reset).is_some_and(|end| end.after(syn.seq.plus(1)));
        self.bytes == 0 && self.syn().map_or(self.fin().is_some(), ended_behind)
    }

    fn hole(&self) -> Option<(Seq, Seq)> {
        self.trouble.as_ref()?.hole
    }

    fn fill(&mut self, from: Seq, to: Seq) {
        let len = to.since(from) as u32;
        self.bytes += u64::from(len);
        let trouble = self.trouble();
        trouble.missing = trouble.missing.saturating_sub(u64::from(len));
        trouble.hole = match trouble.hole {
            Some((start, stop)) if from == start && to == stop => None,
            Some((start, stop)) if from == start => Some((to, stop)),
            Some((start, stop)) if to == stop => Some((start, from)),
            other => other,
        };
    }
}

/// Whether a RST came from a kernel that had no socket for the segment it answers.
///
/// RFC 9293 section 3.10.7.1: such a RST carries no ACK flag when the offending segment had one, and its sequence
/// number is that segment's acknowledgement number. Linux sends it with window 0, IP ID 0 and no timestamps (measured),
/// so none of these proves a middlebox.
pub fn is_passive_reset(flags: Flags) -> bool {
    flags.rst() && !flags.ack()
}
