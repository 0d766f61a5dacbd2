//! Reading in a thread of its own, ahead of whoever uses the bytes.
//!
//! A pipe is drained while the records before are looked at, unpacking takes place beside the analysis, and an
//! [`Interrupt`] ends the waiting for a pipe that is silent.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::Interrupt;

/// Bytes asked for at once.
const CHUNK_LEN: usize = 128 << 10;
/// Chunks on the way at most: one that is read, one that is taken, and those that wait between the two.
const CHUNKS: usize = 8;
/// A read that gave fewer bytes than this is copied behind those that wait, so that many short ones do not use up the chunks.
const SHORT_READ: usize = 16 << 10;
/// How long an interruption goes unseen at most while nothing arrives.
const INTERRUPT_SEEN_WITHIN: Duration = Duration::from_millis(100);

/// The error of a read that an [`Interrupt`] ended. Its kind is not [`ErrorKind::Interrupted`], which means "try again".
#[derive(Debug, Clone, Copy, Error)]
#[error("interrupted")]
pub(super) struct Interrupted;

/// What both threads see.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Either thread has done what the other may be waiting for.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Read and not yet taken, in order.
    waiting: VecDeque<Chunk>,
    /// Those that can be read into. Taken from the end: what was used last is still in the processor's cache.
    empty: Vec<Chunk>,
    /// Taken by the reading side, and not yet read from there.
    untaken: usize,
    /// Nothing more will come, for this reason if it is an error.
    end: Option<io::Result<()>>,
    /// Nobody takes bytes any more.
    abandoned: bool,
}

/// Bytes that go from thread to thread without being copied.
#[derive(Debug)]
struct Chunk {
    storage: Box<[u8]>,
    len: usize,
}

impl Chunk {
    fn new() -> Chunk {
        Chunk { storage: vec![0; CHUNK_LEN].into_boxed_slice(), len: 0 }
    }

    /// Takes the bytes of another if there is room for them.
    fn append(&mut self, other: &Chunk) -> bool {
        let Some(room) = self.storage.get_mut(self.len..self.len + other.len) else { return false };
        room.copy_from_slice(&other.storage[..other.len]);
        self.len += other.len;
        true
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is complete by itself, so that a thread that broke down left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees whether there is anything to take, without taking it.
pub(super) struct Waiting {
    shared: Arc<Shared>,
    interrupt: Interrupt,
}

impl Waiting {
    /// Whether bytes, the end, or an interruption come within `patience`.
    pub(super) fn ends_within(&self, patience: Duration) -> bool {
        let began = Instant::now();
        let mut state = self.shared.lock();
        loop {
            let anything = state.untaken > 0 || !state.waiting.is_empty() || state.end.is_some();
            if anything || self.interrupt.is_raised() {
                return true;
            }
            let Some(left) = patience.checked_sub(began.elapsed()) else { return false };
            let wait = self.shared.changed.wait_timeout(state, left.min(INTERRUPT_SEEN_WITHIN));
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The end at which the bytes come out. Dropping it ends the thread as soon as that has the bytes it is waiting for.
pub(super) struct ReadAhead {
    shared: Arc<Shared>,
    interrupt: Interrupt,
    taken: Chunk,
    /// Where in it the next byte is.
    start: usize,
}

impl ReadAhead {
    /// Starts the thread. It makes its input itself, so that the input need not be able to change threads.
    pub(super) fn start<R: Read>(
        make: impl FnOnce() -> R + Send + 'static,
        interrupt: Interrupt,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        {
            // All that is ever needed, so that nothing is allocated on the way.
            let mut state = shared.lock();
            state.waiting.reserve_exact(CHUNKS);
            state.empty.reserve_exact(CHUNKS);
            state.empty.extend((2..CHUNKS).map(|_| Chunk::new()));
        }
        let filler = Filler { shared: Arc::clone(&shared) };
        thread::Builder::new().name("read-ahead".to_owned()).spawn(move || filler.fill(make()))?;
        Ok(Self { shared, interrupt, taken: Chunk::new(), start: 0 })
    }

    /// A look at what waits.
    pub(super) fn waiting(&self) -> Waiting {
        Waiting { shared: Arc::clone(&self.shared), interrupt: self.interrupt.clone() }
    }

    /// Takes the next chunk, or waits for one. Nothing is taken at the end.
    fn take(&mut self) -> io::Result<()> {
        self.taken.len = 0;
        self.start = 0;
        let mut state = self.shared.lock();
        loop {
            if self.interrupt.is_raised() {
                return Err(io::Error::other(Interrupted));
            }
            if let Some(chunk) = state.waiting.pop_front() {
                state.untaken = chunk.len;
                state.empty.push(mem::replace(&mut self.taken, chunk));
                self.shared.changed.notify_one();
                return Ok(());
            }
            if let Some(end) = &mut state.end {
                return mem::replace(end, Ok(()));
            }
            let wait = self.shared.changed.wait_timeout(state, INTERRUPT_SEEN_WITHIN);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.taken.len {
            self.take()?;
        }
        let rest = &self.taken.storage[self.start..self.taken.len];
        let count = out.len().min(rest.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.start += count;
        if self.start == self.taken.len {
            self.shared.lock().untaken = 0;
        }
        Ok(count)
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.shared.lock().abandoned = true;
        self.shared.changed.notify_one();
    }
}

/// The thread's side.
struct Filler {
    shared: Arc<Shared>,
}

impl Filler {
    /// Reads until the input ends or nobody wants its bytes any more. What one read gives can be taken at once, because the
    /// next may take as long as the network is silent.
    fn fill(&self, mut input: impl Read) {
        let mut chunk = Chunk::new();
        loop {
            match input.read(&mut chunk.storage) {
                Ok(0) => return self.end(Ok(())),
                Ok(count) => {
                    chunk.len = count;
                    let Some(next) = self.give(chunk) else { return };
                    chunk = next;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.end(Err(error)),
            }
        }
    }

    /// Puts bytes where they can be taken and gives a chunk to read into, when there is one. None if nobody will take them.
    fn give(&self, chunk: Chunk) -> Option<Chunk> {
        let mut state = self.shared.lock();
        let last = state.waiting.back_mut().filter(|_| chunk.len < SHORT_READ);
        if last.is_some_and(|last| last.append(&chunk)) {
            return (!state.abandoned).then_some(chunk);
        }
        state.waiting.push_back(chunk);
        self.shared.changed.notify_one();
        while !state.abandoned {
            if let Some(empty) = state.empty.pop() {
                return Some(empty);
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn end(&self, end: io::Result<()>) {
        self.shared.lock().end.get_or_insert(end);
        self.shared.changed.notify_one();
    }
}

impl Drop for Filler {
    /// Whoever waits must hear of the end even if a decoder broke down.
    fn drop(&mut self) {
        self.end(Err(io::Error::other("the thread that reads ahead broke down")));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Gives its bytes in reads of these lengths and says when it has given all.
    struct Slices {
        bytes: Vec<u8>,
        given: usize,
        lens: Vec<usize>,
        all_given: Sender<()>,
    }

    impl Read for Slices {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Some(len) = self.lens.pop() else {
                let _ = self.all_given.send(());
                return Ok(0);
            };
            let len = len.min(out.len()).min(self.bytes.len() - self.given);
            out[..len].copy_from_slice(&self.bytes[self.given..self.given + len]);
            self.given += len;
            Ok(len)
        }
    }

    fn slices(lens: Vec<usize>) -> (Slices, std::sync::mpsc::Receiver<()>) {
        let (all_given, given) = channel();
        let bytes = (0..lens.iter().sum()).map(|number: usize| (number % 251) as u8).collect();
        (Slices { bytes, given: 0, lens, all_given }, given)
    }

    #[test]
    fn the_bytes_come_out_as_they_went_in_however_they_are_cut() {
        let lens = [1, CHUNK_LEN, 40, SHORT_READ, SHORT_READ - 1, CHUNK_LEN - 1, 7, CHUNK_LEN / 2].repeat(9);
        let (input, _given) = slices(lens);
        let expected = input.bytes.clone();
        let mut ahead = ReadAhead::start(move || input, Interrupt::default()).unwrap();
        let mut read = Vec::new();
        ahead.read_to_end(&mut read).unwrap();
        assert!(read == expected, "{} bytes of {}", read.len(), expected.len());
    }

    /// A pipe of many small writes is drained while nobody takes anything.
    #[test]
    fn short_reads_do_not_use_up_the_chunks() {
        let (input, given) = slices(vec![100; 100 * CHUNKS]);
        let len = input.bytes.len();
        let mut ahead = ReadAhead::start(move || input, Interrupt::default()).unwrap();
        given.recv().unwrap();
        assert_eq!(ahead.read_to_end(&mut Vec::new()).unwrap(), len);
    }
}
