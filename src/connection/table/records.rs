//! Stream indexes remembered by the hash of their endpoints: all that is left of a connection that the table handed over.

use std::collections::VecDeque;

use hashbrown::HashTable;

use crate::connection::streams::{Bases, Streams};
use crate::packet::Segment;

/// What the stream index of a segment is decided by, in little memory: of a flood there are millions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    hash: u64,
    /// Index of the stream.
    pub stream: u32,
    /// The newest file of the trace in which the stream was seen, and its index there.
    file: u32,
    in_file: u32,
    bases: [u32; 2],
    bases_known: [bool; 2],
    /// It is of a connection that was given up while nobody had said goodbye: what comes late is worth judging.
    pub was_open: bool,
    removed: bool,
}

impl Record {
    /// A record for a keyed hash of endpoints. `bases` are those of the lesser endpoint and the greater one.
    pub fn new(hash: u64, stream: u32, (file, in_file): (u32, u32), bases: Bases) -> Record {
        let mut record = Record {
            hash,
            stream,
            file,
            in_file,
            bases: [0; 2],
            bases_known: [false; 2],
            was_open: false,
            removed: false,
        };
        record.set_bases(bases);
        record
    }

    /// Zero of the relative numbers.
    pub fn bases(&self) -> Bases {
        let mut bases = Bases::default();
        for end in (0..2).filter(|&end| self.bases_known[end]) {
            bases.set(end, self.bases[end]);
        }
        bases
    }

    /// Learns from a segment of one of the endpoints, 0 for the lesser.
    pub fn learn(&mut self, sender: usize, segment: &Segment<'_>) {
        let mut bases = self.bases();
        bases.learn(sender, segment);
        self.set_bases(bases);
    }

    /// The stream's index in the file in hand, which it takes at its first segment there.
    pub fn appear(&mut self, streams: &mut Streams) -> u32 {
        if self.file != streams.file() {
            self.file = streams.file();
            self.in_file = streams.take_in_file();
        }
        self.in_file
    }

    fn set_bases(&mut self, bases: Bases) {
        for end in 0..2 {
            self.bases_known[end] = bases.get(end).is_some();
            self.bases[end] = bases.get(end).map_or(0, |base| base.0);
        }
    }
}

/// The newest records.
#[derive(Debug)]
pub(super) struct Records {
    // Hashes to positions, counted on from the first record ever, modulo 2^32.
    index: HashTable<u32>,
    ring: VecDeque<Record>,
    // Position of the ring's first.
    first: u32,
    limit: usize,
    forgotten: u64,
}

impl Records {
    /// Keeps at most `limit` records, the newest.
    pub fn new(limit: usize) -> Records {
        let limit = limit.clamp(1, 1 << 31);
        Records { index: HashTable::new(), ring: VecDeque::new(), first: 0, limit, forgotten: 0 }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The record of a hash.
    pub fn find(&mut self, hash: u64) -> Option<&mut Record> {
        let (ring, first) = (&self.ring, self.first);
        let position = *self.index.find(hash, |&position| hash_at(ring, first, position) == Some(hash))?;
        self.ring.get_mut(position.wrapping_sub(first) as usize)
    }

    /// Adds one in place of an older one with the same hash.
    pub fn add(&mut self, record: Record) {
        self.remove(record.hash);
        if self.ring.len() >= self.limit {
            if let Some(oldest) = self.ring.front().filter(|oldest| !oldest.removed) {
                self.forgotten += 1;
                self.unlink(oldest.hash);
            }
            self.ring.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        let position = self.first.wrapping_add(self.ring.len() as u32);
        self.ring.push_back(record);
        let (ring, first) = (&self.ring, self.first);
        let rehash = |&position: &u32| hash_at(ring, first, position).unwrap_or_default();
        self.index.insert_unique(record.hash, position, rehash);
    }

    /// Removes the one of a hash, if there is one.
    pub fn remove(&mut self, hash: u64) {
        if let Some(position) = self.unlink(hash)
            && let Some(record) = self.ring.get_mut(position.wrapping_sub(self.first) as usize)
        {
            record.removed = true;
        }
    }

    /// Records given up because of the limit.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn unlink(&mut self, hash: u64) -> Option<u32> {
        let (ring, first) = (&self.ring, self.first);
        let found = self.index.find_entry(hash, |&position| hash_at(ring, first, position) == Some(hash));
        found.ok().map(|entry| entry.remove().0)
    }
}

fn hash_at(ring: &VecDeque<Record>, first: u32, position: u32) -> Option<u64> {
    ring.get(position.wrapping_sub(first) as usize).map(|record| record.hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(hash: u64, stream: u32) -> Record {
        Record::new(hash, stream, (0, stream), Bases::default())
    }

    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Record>() <= 32, "{}", size_of::<Record>());
    }

    #[test]
    fn the_oldest_are_forgotten_and_counted() {
        let mut records = Records::new(3);
        (0..5).for_each(|stream| records.add(record(u64::from(stream), stream)));
        let kept: Vec<Option<u32>> =
            (0..5).map(|hash| records.find(hash).map(|record| record.stream)).collect();
        assert_eq!(kept, [None, None, Some(2), Some(3), Some(4)]);
        assert_eq!(records.forgotten(), 2);
    }

    #[test]
    fn one_that_was_removed_is_not_found_and_not_counted() {
        let mut records = Records::new(2);
        records.add(record(1, 0));
        records.remove(1);
        assert!(records.find(1).is_none());
        (2..5).for_each(|hash| records.add(record(hash, hash as u32)));
        assert_eq!(records.forgotten(), 1, "of hash 2 only");
        assert!(records.find(3).is_some() && records.find(4).is_some());
    }

    #[test]
    fn a_newer_one_takes_the_place_of_an_older() {
        let mut records = Records::new(3);
        [1, 2, 3, 4].into_iter().for_each(|stream| records.add(record(9, stream)));
        assert_eq!(records.find(9).map(|record| record.stream), Some(4));
        assert_eq!(records.index.len(), 1);
    }
}
