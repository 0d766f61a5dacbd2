//! The front half of the first pass: reading and decoding, which need no connection and can go ahead in a thread of their own.
//!
//! Records are handed on in their order, and the back half takes them in that order, whichever thread made them: a report is
//! the same with one thread and with two.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::capture::{Batch, Reader};
use crate::connection::http::Head;
use crate::connection::{Digest, Digester, Located, Slot, Table};
use crate::packet::{Decoder, Segment, Skip};

use super::clock::Clock;
use super::describe;
use super::quality::Seen;

/// Batches in hand at the same time: the one that is analyzed, those that wait for it, and the one that is read.
const IN_FLIGHT: usize = 4;

/// Segments looked up at the same time: as many loads as a processor has under way.
const LOOKED_UP: usize = 16;

/// Reads and decodes one capture.
pub(super) struct Front<'t> {
    pub reader: Reader,
    decoder: &'t mut Decoder,
    digester: Digester,
    /// Frames of the capture so far.
    pub frames: u64,
    pub clock: Clock,
    pub seen: Seen,
    pub skipped: BTreeMap<Skip, u64>,
    /// Why the reading ended.
    pub failure: Option<String>,
}

/// Consecutive records, decoded: the segments among them.
#[derive(Default)]
pub(super) struct Decoded {
    batch: Batch,
    found: Found,
    /// Frames of the capture until the last of these.
    pub frames: u64,
    /// Time of the first record, if there is one.
    pub first_ns: Option<i64>,
    /// Bytes taken from the input until then.
    pub bytes_read: u64,
}

/// The segments of a batch.
#[derive(Default)]
struct Found {
    items: Vec<Item>,
    /// Heads that payloads begin with.
    heads: Vec<Head>,
    /// Payload of segments that were put together from fragments.
    joined: Vec<u8>,
}

/// A segment without its payload, and where that lies.
struct Item {
    segment: Segment<'static>,
    payload: Place,
    digest: Digest,
    /// Index in the heads; beyond them where it has none.
    head: u32,
    frame: u64,
    time_ns: i64,
}

enum Place {
    Batch(Range<u32>),
    Joined(Range<u32>),
}

impl Decoded {
    /// Whether there was no record any more.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The segments in their order. Some at a time are looked up in the table before the first of them is given: the
    /// processor then waits for the memory of all of these connections at once, and not for one after the other.
    ///
    /// `before` are the frames of the trace before its file.
    #[inline]
    pub fn each(&self, table: &mut Table, before: u64, mut take: impl FnMut(&mut Table, &Located<'_>)) {
        for items in self.found.items.chunks(LOOKED_UP) {
            let mut likely = [None; LOOKED_UP];
            for (item, slot) in items.iter().zip(&mut likely) {
                *slot = table.look_up(&item.segment, item.digest);
            }
            for (item, slot) in items.iter().zip(likely) {
                take(table, &self.located(item, slot, before));
            }
        }
    }

    #[inline]
    fn located(&self, item: &Item, slot: Option<Slot>, before: u64) -> Located<'_> {
        let payload = match &item.payload {
            Place::Batch(at) => &self.batch.bytes()[at.start as usize..at.end as usize],
            Place::Joined(at) => &self.found.joined[at.start as usize..at.end as usize],
        };
        Located {
            segment: Segment { payload, ..item.segment },
            digest: item.digest,
            head: self.found.heads.get(item.head as usize),
            slot,
            frame: before + item.frame,
            time_ns: item.time_ns,
        }
    }

    fn clear(&mut self) {
        self.found.joined.clear();
        self.found.items.clear();
        self.found.heads.clear();
        self.first_ns = None;
    }
}

impl Found {
    #[inline(always)]
    fn add(&mut self, segment: &Segment<'_>, digester: &Digester, bytes: &[u8], frame: u64, time_ns: i64) {
        let (digest, head) = digester.digest(segment);
        let at = match head {
            Some(head) => {
                self.heads.push(head);
                self.heads.len() as u32 - 1
            }
            None => u32::MAX,
        };
        self.items.push(Item {
            payload: place(segment.payload, bytes, &mut self.joined),
            digest,
            head: at,
            segment: Segment { payload: &[], ..*segment },
            frame,
            time_ns,
        });
    }
}

impl<'t> Front<'t> {
    pub fn new(reader: Reader, decoder: &'t mut Decoder, digester: Digester) -> Front<'t> {
        Front {
            reader,
            decoder,
            digester,
            frames: 0,
            clock: Clock::default(),
            seen: Seen::default(),
            skipped: BTreeMap::new(),
            failure: None,
        }
    }

    /// Whether [`Front::next_alone`] has something to say within `patience`, as far as can be told.
    pub fn is_ready_within(&self, patience: Duration) -> bool {
        self.reader.is_ready_within(patience)
    }

    /// Decodes the next records, as many as lie together.
    pub fn next(&mut self, decoded: &mut Decoded) {
        let read = self.reader.next_batch(&mut decoded.batch);
        self.failure = read.err().map(|error| describe(&error)).or(self.failure.take());
        self.decode(decoded);
    }

    /// Decodes the next record as soon as it is there.
    pub fn next_alone(&mut self, decoded: &mut Decoded) {
        let read = self.reader.next_alone(&mut decoded.batch);
        self.failure = read.err().map(|error| describe(&error)).or(self.failure.take());
        self.decode(decoded);
    }

    fn decode(&mut self, decoded: &mut Decoded) {
        decoded.clear();
        let Decoded { batch, found, .. } = decoded;
        let bytes = batch.bytes();
        for record in batch.records() {
            self.frames += 1;
            let (frame, time_ns) = (self.frames, record.time_ns);
            self.clock.record(frame, record.interface, time_ns);
            let segment = match Decoder::decode_usual(record.link.0, record.data) {
                // Twice the same, as each then becomes code of its own: this one goes from registers to its place.
                Some(segment) => {
                    self.seen.segment(&segment);
                    found.add(&segment, &self.digester, bytes, frame, time_ns);
                    continue;
                }
                None => self.decoder.decode(record.link.0, record.data, record.wire_len, time_ns),
            };
            match segment {
                Ok(segment) => {
                    self.seen.segment(&segment);
                    found.add(&segment, &self.digester, bytes, frame, time_ns);
                }
                Err(skip) => {
                    self.seen.skip(skip, record.data.len());
                    *self.skipped.entry(skip).or_default() += 1;
                }
            }
        }
        decoded.first_ns = batch.records().next().map(|record| record.time_ns);
        decoded.frames = self.frames;
        decoded.bytes_read = batch.bytes_read();
    }

    /// Calls `analyze` with all there is, in order: decoded in a thread of its own while the batch before is analyzed.
    pub fn run_beside(&mut self, mut analyze: impl FnMut(&Decoded)) {
        let (full, decoded) = mpsc::sync_channel::<Decoded>(IN_FLIGHT);
        let (used, empty) = mpsc::channel();
        for _ in 0..IN_FLIGHT {
            // The receiver is at hand.
            let _ = used.send(Decoded::default());
        }
        let began = thread::scope(|scope| {
            let front = &mut *self;
            let reading = move || {
                while let Ok(mut batch) = empty.recv() {
                    front.next(&mut batch);
                    if batch.is_empty() || full.send(batch).is_err() {
                        break;
                    }
                }
            };
            let began = thread::Builder::new().name("front".to_owned()).spawn_scoped(scope, reading).is_ok();
            // Both are dropped here even if the analysis breaks down: the thread waits for neither then.
            let (used, decoded) = (used, decoded);
            for batch in decoded {
                analyze(&batch);
                let _ = used.send(batch);
            }
            began
        });
        if !began {
            self.run_in_step(analyze);
        }
    }

    /// The same in this thread.
    pub fn run_in_step(&mut self, mut analyze: impl FnMut(&Decoded)) {
        let mut decoded = Decoded::default();
        loop {
            self.next(&mut decoded);
            if decoded.is_empty() {
                return;
            }
            analyze(&decoded);
        }
    }
}

/// Where a payload lies in the bytes of its batch. That of a joined datagram does not, and is kept.
#[inline]
fn place(payload: &[u8], bytes: &[u8], joined: &mut Vec<u8>) -> Place {
    let from_start = payload.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
    let range = |start: usize| start as u32..(start + payload.len()) as u32;
    if payload.is_empty() {
        Place::Batch(0..0)
    } else if from_start < bytes.len() {
        Place::Batch(range(from_start))
    } else {
        joined.extend_from_slice(payload);
        Place::Joined(range(joined.len() - payload.len()))
    }
}
