//! Records handed over many at a time, together with the buffer that they lie in.

use super::step::Found;
use super::{LinkType, Record};

/// Records in a batch at most. A buffer of the usual size holds fewer; one that grew for a huge packet could hold a million.
const MOST_RECORDS: usize = 16_384;

/// Records of one capture, one after the other, with their bytes: unlike a [`Record`] it can go to another thread.
///
/// It is made once and given to [`Reader::next_batch`](super::Reader::next_batch) again and again, which takes no memory
/// for a packet then.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) bytes: Vec<u8>,
    records: Vec<Place>,
    pub(super) bytes_read: u64,
}

/// A record and where its bytes are.
#[derive(Debug, Clone, Copy)]
struct Place {
    time_ns: i64,
    start: u32,
    len: u32,
    wire_len: u32,
    interface: u32,
    link: LinkType,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Records in it.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none, as after the end of the capture.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records in their order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.records.iter().map(|place| Record {
            time_ns: place.time_ns,
            link: place.link,
            interface: place.interface,
            wire_len: place.wire_len,
            data: &self.bytes[place.start as usize..][..place.len as usize],
        })
    }

    /// The bytes of all records: where those of [`Batch::records`] lie.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes taken from the input itself when the last record was found, as
    /// [`Reader::bytes_read`](super::Reader::bytes_read).
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= MOST_RECORDS
    }

    /// Puts a copy of one record in the place of all.
    pub(super) fn copy(&mut self, record: &Record<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(record.data);
        let Record { time_ns, link, interface, wire_len, data } = *record;
        self.records.push(Place { time_ns, start: 0, len: data.len() as u32, wire_len, interface, link });
    }

    /// Adds a record of that time, whose data is counted from `start` in the buffer.
    #[inline]
    pub(super) fn add(&mut self, found: &Found, start: usize, time_ns: i64) {
        // A buffer has some MiB at most: twice the largest packet.
        let (start, len) = ((start + found.data.start) as u32, found.data.len() as u32);
        let Found { link, interface, wire_len, .. } = *found;
        self.records.push(Place { time_ns, start, len, wire_len, interface, link });
    }
}
