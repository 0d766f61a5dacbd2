//! All connections of a trace, found by their two endpoints and numbered like Wireshark's `tcp.stream`.
//!
//! Memory is bounded by the connections that are open: one that is closed and silent is handed over, and a small record
//! stays behind so that what comes late still gets the right stream index.

mod closing;
mod digest;
mod eviction;
mod reaction;
mod records;
mod retries;
mod rhythm;
mod slots;
#[cfg(test)]
mod tests;

use crate::packet::Segment;

use super::duplicates::{Sighting, Window};
use super::embryo::Embryo;
use super::http::Head;
use super::roles::proves_server;
use super::streams::{Appearances, Bases, Streams};
use super::{Connection, Mark, RoleHints};

use closing::Closing;
use eviction::Eviction;
use records::{Record, Records};
use slots::{Flow, Key, Slots};

pub use closing::SETTLE_NS;
pub use digest::{Digest, Digester};
pub use retries::{Retries, Retry, RetryAnswer};

/// Records kept for each connection that may be kept.
const RECORDS_PER_CONNECTION: usize = 4;
/// Records kept at least: they are small, and stream indexes stay exact with the smallest of tables.
const FEWEST_RECORDS: usize = 8192;

/// What a table did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableCounts {
    /// Connections begun.
    pub connections: u32,
    /// Open connections given up because of the bound.
    pub evicted: u64,
    /// How many of `evicted` never completed their handshake.
    pub evicted_half_open: u64,
    /// Packets captured more than once, as with `-i any`; each was judged once.
    pub duplicates: u64,
    /// Packets of connections that had been closed and silent for so long that they were no longer kept; not judged.
    pub late: u64,
    /// Connections of which not even the numbers are remembered: what comes late for them begins a new stream.
    pub forgotten: u64,
}

/// The connections that are open or may still receive packets.
#[derive(Debug)]
pub struct Table {
    slots: Slots,
    closing: Closing,
    eviction: Eviction,
    retries: Retries,
    window: Window,
    streams: Streams,
    // What connections left behind.
    tombstones: Records,
    // Endpoints that were seen in a virtual network: Wireshark knows none and numbers all of them together.
    shared: Records,
    // Of the connection begun last.
    serial: u32,
    hints: RoleHints,
    limit: usize,
    counts: TableCounts,
}

/// A place in a table, in which another connection may be by and by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    slot: u32,
    /// [`Slots::removed`] when it was found.
    removed: u32,
}

/// A segment with what is known of it before its connection takes it.
#[derive(Debug)]
pub struct Located<'s> {
    /// The segment.
    pub segment: Segment<'s>,
    /// Its digest by the table's [`Digester`].
    pub digest: Digest,
    /// The head that its payload begins with, if it was read ahead.
    pub head: Option<&'s Head>,
    /// Where its connection was lately, which may have changed.
    pub slot: Option<Slot>,
    /// Frame number, counted from 1 in its trace.
    pub frame: u64,
    /// Capture time, ns since the Unix epoch.
    pub time_ns: i64,
}

/// What a connection that begins is to be called.
struct Begin {
    stream: u32,
    in_file: Option<u32>,
    bases: Bases,
    resumed: bool,
}

impl Table {
    /// A table that keeps at most `limit` connections.
    pub fn new(hints: RoleHints, limit: usize) -> Table {
        let limit = limit.clamp(1, u32::MAX as usize);
        let records = limit.saturating_mul(RECORDS_PER_CONNECTION).max(FEWEST_RECORDS);
        Table {
            slots: Slots::new(),
            closing: Closing::default(),
            eviction: Eviction::default(),
            retries: Retries::default(),
            window: Window::new(),
            streams: Streams::default(),
            tombstones: Records::new(records),
            shared: Records::new(records),
            serial: 0,
            hints,
            limit,
            counts: TableCounts::default(),
        }
    }

    /// What the table did so far.
    pub fn counts(&self) -> TableCounts {
        TableCounts { forgotten: self.tombstones.forgotten(), ..self.counts }
    }

    /// Takes one segment into account. A connection that ends with it (its ports are used again, it has been closed for long,
    /// or the bound is reached) is handed to `finished`. Returns the stream index of the segment's connection.
    pub fn ingest(
        &mut self,
        segment: &Segment<'_>,
        frame: u64,
        time_ns: i64,
        finished: &mut impl FnMut(Connection),
    ) -> u32 {
        let (digest, head) = self.slots.digester().digest(segment);
        let located = Located { segment: *segment, digest, head: head.as_ref(), slot: None, frame, time_ns };
        self.ingest_located(&located, finished)
    }

    /// Where the connection of a segment is now, if it is in the table.
    #[inline]
    pub fn look_up(&self, segment: &Segment<'_>, digest: Digest) -> Option<Slot> {
        let slot = self.slots.find(digest.key, (&segment.src, &segment.dst), segment.tunnel)?;
        Some(Slot { slot, removed: self.slots.removed() })
    }

    /// What makes digests for [`Table::ingest_located`].
    pub fn digester(&self) -> Digester {
        self.slots.digester().clone()
    }

    /// As [`Table::ingest`], with what this table's [`Digester`] found before.
    #[inline]
    pub fn ingest_located(&mut self, located: &Located<'_>, finished: &mut impl FnMut(Connection)) -> u32 {
        let Located { segment, digest, head, slot: likely, frame, time_ns } = located;
        let (digest, frame, time_ns) = (*digest, *frame, *time_ns);
        if self.closing.is_due(time_ns) {
            while let Some(slot) = self.closing.retire(&self.slots, time_ns) {
                self.retire(slot, finished);
            }
        }
        if proves_server(segment.flags) {
            self.hints.learn(segment.src);
        }
        let is_there = |slot: &Slot| slot.removed == self.slots.removed();
        let known = likely.filter(is_there).or_else(|| self.look_up(segment, digest)).map(|it| it.slot);
        let is_shared = segment.tunnel != 0 || !self.shared.is_empty();
        let shared = if is_shared { self.number_shared(segment) } else { None };
        let sighting = self.window.sight(segment, digest.packet, time_ns);
        let slot = match known.filter(|&slot| !segment.flags.syn() || !self.is_left_by(slot, segment)) {
            Some(slot) => {
                if self.streams.file() > 0
                    && let Some(flow) = self.slots.get_mut(slot)
                {
                    flow.appear(segment, &mut self.streams, shared.map(|(_, in_file)| in_file));
                }
                if self.is_copy(slot, sighting, digest) {
                    self.counts.duplicates += 1;
                    self.slots.count_copy(slot, segment, time_ns, &self.hints);
                    return self.slots.get(slot).map_or(0, Flow::stream);
                }
                slot
            }
            None => {
                if let Some((_, replaced)) = known.and_then(|slot| self.slots.remove(slot)) {
                    finished(*replaced.grow(&self.hints));
                }
                match self.name(digest.key, segment, shared) {
                    Ok(begin) => self.begin(begin, digest.key, segment, frame, finished),
                    Err(late) => return late,
                }
            }
        };
        self.judge(slot, segment, *head, Mark::of(segment, frame, time_ns))
    }

    /// Lets the connection in a slot take a segment into account. Returns its stream.
    #[inline]
    fn judge(&mut self, slot: u32, segment: &Segment<'_>, head: Option<&Head>, mark: Mark) -> u32 {
        let ends = segment.flags.fin() || segment.flags.rst();
        let was_closed = ends && self.slots.get(slot).is_some_and(Flow::is_closed);
        let begun = self.slots.ingest(slot, segment, head, mark, &self.hints);
        let Some(flow) = self.slots.get(slot) else { return 0 };
        let stream = flow.stream();
        if ends {
            if flow.is_closed() && !was_closed {
                let serial = flow.serial();
                self.closing.add(&self.slots, slot, serial, mark.time_ns);
            }
            let side = self.slots.side_of(slot, segment.src);
            self.retries.side_ends(&self.slots, slot, side, mark);
        }
        if let Some(fingerprint) = begun {
            self.retries.request_begins(&mut self.slots, slot, fingerprint, segment, mark);
            self.retries.begins_late(&self.slots, slot);
        }
        if let Some(answer) = self.slots.take_retry_answer(slot) {
            self.retries.answered(answer, &self.slots, slot, mark.time_ns);
        }
        stream
    }

    /// The next file of the trace begins. Connections go on; [`Connection::stream_in`] tells their indexes in each file.
    pub fn begin_file(&mut self) {
        self.streams.begin_file();
    }

    /// What followed lost requests on other connections.
    pub fn retries(&self) -> &Retries {
        &self.retries
    }

    /// Reports each connection that has been closed for [`SETTLE_NS`] of trace time, once, with what followed lost requests so
    /// far. It stays in the table, and is handed to `finished` later like every other; one that leaves the table before it settled
    /// is not reported here.
    pub fn settle(&mut self, now_ns: i64, settled: &mut impl FnMut(&Connection, &Retries)) {
        while let Some(flow) = self.closing.settle(&self.slots, now_ns) {
            match flow {
                Flow::Embryo(embryo) => settled(&embryo.grow(&self.hints), &self.retries),
                Flow::Full(connection) => settled(connection, &self.retries),
            }
        }
    }

    /// Hands over every connection that is left, in the order of first packets.
    pub fn finish_all(&mut self, finished: &mut impl FnMut(Connection)) {
        for slot in self.slots.in_order() {
            if let Some((_, flow)) = self.slots.remove(slot) {
                finished(*flow.grow(&self.hints));
            }
        }
    }

    /// Whether a SYN begins a new connection where the one in a slot was.
    fn is_left_by(&self, slot: u32, syn: &Segment<'_>) -> bool {
        let sender = Key::of(syn).place(syn.src);
        self.slots.get(slot).is_none_or(|flow| flow.bases().are_left_by(sender, syn))
    }

    /// Whether a segment was captured before. Where that cannot be proven, it takes a connection whose packets come twice, and
    /// one of the two is a packet still.
    fn is_copy(&mut self, slot: u32, sighting: Sighting, digest: Digest) -> bool {
        match sighting {
            Sighting::First => false,
            Sighting::Copy => true,
            Sighting::Alike => {
                let mirrored = self.slots.get(slot).is_some_and(Flow::is_mirrored);
                if mirrored {
                    self.window.forget(digest.packet);
                }
                mirrored
            }
        }
    }

    /// What a connection that is not in the table is to be called; or the stream of one that is over for good.
    fn name(&mut self, hash: u64, segment: &Segment<'_>, shared: Option<(u32, u32)>) -> Result<Begin, u32> {
        let sender = Key::of(segment).place(segment.src);
        let in_later_file = self.streams.file() > 0;
        if let Some(tombstone) = self.tombstones.find(hash)
            && !tombstone.bases().are_left_by(sender, segment)
        {
            let in_file = tombstone.appear(&mut self.streams);
            let stream = tombstone.stream;
            if !tombstone.was_open {
                tombstone.learn(sender, segment);
                self.counts.late += 1;
                return Err(stream);
            }
            let bases = tombstone.bases();
            let bases = if sender == 0 { bases } else { bases.exchanged() };
            self.tombstones.remove(hash);
            return Ok(Begin { stream, in_file: in_later_file.then_some(in_file), bases, resumed: true });
        }
        self.tombstones.remove(hash);
        self.counts.connections += 1;
        let (stream, in_file) = match shared {
            Some((stream, in_file)) => (stream, in_later_file.then_some(in_file)),
            None => (self.streams.begin(), in_later_file.then(|| self.streams.take_in_file())),
        };
        Ok(Begin { stream, in_file, bases: Bases::default(), resumed: false })
    }

    /// Adds a connection. Returns its slot.
    fn begin(
        &mut self,
        begin: Begin,
        hash: u64,
        segment: &Segment<'_>,
        frame: u64,
        finished: &mut impl FnMut(Connection),
    ) -> u32 {
        if self.slots.len() >= self.limit {
            self.evict(finished);
        }
        self.serial = self.serial.wrapping_add(1);
        let mut embryo = Embryo::new(segment, frame, begin.stream, self.serial, begin.bases);
        embryo.resumed = begin.resumed;
        if let Some(in_file) = begin.in_file {
            embryo.appearances = Appearances::begin(self.streams.file(), in_file);
        }
        let slot = self.slots.add(hash, Flow::Embryo(Box::new(embryo)));
        if let Some(flow) = self.slots.get_mut(slot) {
            flow.appear(segment, &mut self.streams, begin.in_file);
        }
        self.eviction.add(&self.slots, slot);
        slot
    }

    /// Stream and index in the file in hand of endpoints that were seen in a virtual network; none for others.
    fn number_shared(&mut self, segment: &Segment<'_>) -> Option<(u32, u32)> {
        let key = Key::of(segment);
        let outside = key.without_tunnel();
        let hash = self.slots.hash(&outside);
        if self.shared.find(hash).is_none() {
            if segment.tunnel == 0 {
                return None;
            }
            let record = self.record_of(hash, &outside).unwrap_or_else(|| self.new_record(hash));
            self.shared.add(record);
        }
        let sender = key.place(segment.src);
        let record = self.shared.find(hash)?;
        if record.bases().are_left_by(sender, segment) {
            let renewed = self.new_record(hash);
            self.shared.add(renewed);
        }
        let record = self.shared.find(hash)?;
        record.learn(sender, segment);
        let in_file = record.appear(&mut self.streams);
        Some((record.stream, in_file))
    }

    fn new_record(&mut self, hash: u64) -> Record {
        let stream = self.streams.begin();
        let file = self.streams.file();
        let in_file = if file == 0 { stream } else { self.streams.take_in_file() };
        Record::new(hash, stream, (file, in_file), Bases::default())
    }

    /// What is known of a connection, in the table or gone.
    fn record_of(&mut self, hash: u64, key: &Key) -> Option<Record> {
        match self.slots.find(hash, key.ends(), 0).and_then(|slot| self.slots.get(slot)) {
            Some(flow) => Some(record(hash, flow)),
            None => self.tombstones.find(hash).copied(),
        }
    }

    /// Makes room: the connection closed longest ago, or else the open one that is worth least.
    fn evict(&mut self, finished: &mut impl FnMut(Connection)) {
        if let Some(slot) = self.closing.oldest(&self.slots) {
            return self.retire(slot, finished);
        }
        let Some(slot) = self.eviction.least(&self.slots) else { return };
        self.counts.evicted += 1;
        let half_open = self.slots.get(slot).is_some_and(Flow::is_half_open);
        self.counts.evicted_half_open += u64::from(half_open);
        self.retire(slot, finished);
    }

    /// Hands a connection over and leaves a record in its place.
    fn retire(&mut self, slot: u32, finished: &mut impl FnMut(Connection)) {
        let Some((hash, flow)) = self.slots.remove(slot) else { return };
        let mut tombstone = record(hash, &flow);
        tombstone.was_open = flow.is_intact();
        self.tombstones.add(tombstone);
        finished(*flow.grow(&self.hints));
    }
}

fn record(hash: u64, flow: &Flow) -> Record {
    Record::new(hash, flow.stream(), flow.newest_appearance(), flow.bases())
}
