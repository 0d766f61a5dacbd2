//! The one buffer between an input and its records.

use std::io::{self, Cursor, ErrorKind, Read};
use std::mem;
use std::ops::Range;

/// Large enough that reading costs little per packet, small enough to stay in the cache.
const INITIAL_LEN: usize = 128 << 10;

/// A window that slides over an input of any length: files and pipes alike.
///
/// It grows only as bytes arrive, never by what a header claims.
pub(super) struct Window {
    input: Box<dyn Read + Send>,
    /// Storage; `bytes[start..end]` is read and not yet taken.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Position of `bytes[start]` in the input.
    offset: u64,
    /// What was taken from the storage is still to be handed over with it: its bytes must stay where they are.
    pinned: bool,
    /// The storage that was full while it was pinned.
    retired: Option<Vec<u8>>,
    /// Storage to go on with when that happens.
    spare: Vec<u8>,
    /// What has been taken since [`Window::record`], where somebody wants to write it again.
    taken: Option<Vec<u8>>,
}

/// Bytes kept for [`Window::recorded`] at most: a block longer than any that is read whole is nobody's packet.
const MAX_RECORDED: usize = 32 << 20;

impl Window {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            input,
            bytes: vec![0; INITIAL_LEN],
            start: 0,
            end: 0,
            offset: 0,
            pinned: false,
            retired: None,
            spare: Vec::new(),
            taken: None,
        }
    }

    /// The input from the next byte to take on.
    pub(super) fn into_input(mut self) -> Box<dyn Read + Send> {
        self.bytes.truncate(self.end);
        let mut read = Cursor::new(self.bytes);
        read.set_position(self.start as u64);
        Box::new(read.chain(self.input))
    }

    /// Position in the input of the next byte to take.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes read and not yet taken.
    #[inline]
    pub(super) fn available(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Where in the storage the next byte to take is: what [`Window::take`] begins with.
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Reads until `wanted` bytes are available and no further, so that a pipe's records are seen as they come.
    /// Returns how many are available: fewer than `wanted` only at the end of the input.
    pub(super) fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        while self.end - self.start < wanted {
            self.make_room();
            match self.input.read(&mut self.bytes[self.end..]) {
                Ok(0) => break,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.end - self.start)
    }

    /// Takes `count` available bytes; [`Window::get`] shows them until the next call that reads.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Range<usize> {
        let taken = self.start..self.start + count;
        self.start = taken.end;
        self.offset += count as u64;
        if let Some(copy) = &mut self.taken
            && copy.len() <= MAX_RECORDED
        {
            copy.extend_from_slice(&self.bytes[taken.clone()]);
        }
        taken
    }

    /// From here on, keeps what is taken or skipped.
    pub(super) fn record(&mut self) {
        self.taken.get_or_insert_default().clear();
    }

    /// What was taken or skipped since [`Window::record`]; none where that was too much to keep.
    pub(super) fn recorded(&self) -> Option<&[u8]> {
        self.taken.as_deref().filter(|taken| taken.len() <= MAX_RECORDED)
    }

    /// The bytes of a range that [`Window::take`] gave, or of a part of it.
    #[inline]
    pub(super) fn get(&self, taken: Range<usize>) -> &[u8] {
        &self.bytes[taken]
    }

    /// Takes `count` bytes without keeping them. Returns how many there were: fewer only at the end of the input.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<u64> {
        let mut left = count;
        while left > 0 {
            let available = self.fill(1)? as u64;
            if available == 0 {
                break;
            }
            let step = available.min(left);
            self.take(step as usize);
            left -= step;
        }
        Ok(count - left)
    }

    /// Keeps in their place the bytes taken from now on, and those before that are in the storage, until
    /// [`Window::hand_over`].
    pub(super) fn pin(&mut self) {
        self.pinned = true;
    }

    /// Whether the pinned bytes lie in a storage that is full: what was taken last does not lie there.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.is_some()
    }

    /// Takes back a storage that was handed over.
    pub(super) fn give_back(&mut self, mut storage: Vec<u8>) {
        if storage.len() > INITIAL_LEN {
            storage.truncate(INITIAL_LEN);
            storage.shrink_to_fit();
        }
        self.spare = storage;
    }

    /// The storage with the pinned bytes, in the places where they were taken.
    pub(super) fn hand_over(&mut self) -> Vec<u8> {
        self.retire();
        self.retired.take().unwrap_or_default()
    }

    /// Goes on with another storage, if bytes are pinned in this one.
    fn retire(&mut self) {
        if !mem::take(&mut self.pinned) {
            return;
        }
        let left = &self.bytes[self.start..self.end];
        let mut fresh = mem::take(&mut self.spare);
        fresh.resize(INITIAL_LEN.max(2 * left.len()), 0);
        fresh[..left.len()].copy_from_slice(left);
        (self.start, self.end) = (0, left.len());
        self.retired = Some(mem::replace(&mut self.bytes, fresh));
    }

    /// Leaves at least one byte of storage after `end`.
    fn make_room(&mut self) {
        if self.pinned && self.end == self.bytes.len() {
            self.retire();
        } else if self.pinned {
            // There is room behind what must stay.
        } else if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end < self.bytes.len() {
            // There is room.
        } else if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
    }
}
