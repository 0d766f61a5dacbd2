//! Reading in a thread of its own, ahead of whoever uses the bytes.
//!
//! A pipe is drained while the records before are looked at, unpacking takes place beside the analysis, and an
//! [`Interrupt`] ends the waiting for a pipe that is silent.

use std::io::{self, ErrorKind, Read};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::Interrupt;

/// Bytes asked for at once.
const CHUNK_LEN: usize = 256 << 10;
/// Bytes that wait at most; the thread then waits for them to be taken.
const MOST_WAITING: usize = 1 << 20;
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
    /// Read and not yet taken.
    waiting: Vec<u8>,
    /// Taken by the reading side, and not yet read from there.
    untaken: usize,
    /// Nothing more will come, for this reason if it is an error.
    end: Option<io::Result<()>>,
    /// Nobody takes bytes any more.
    abandoned: bool,
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
    /// Taken from the waiting bytes, whose storage this changes places with: nothing is allocated on the way.
    taken: Vec<u8>,
    start: usize,
}

impl ReadAhead {
    /// Starts the thread. It makes its input itself, so that the input need not be able to change threads.
    pub(super) fn start<R: Read>(
        make: impl FnOnce() -> R + Send + 'static,
        interrupt: Interrupt,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.lock().waiting.reserve_exact(MOST_WAITING);
        let filler = Filler { shared: Arc::clone(&shared) };
        thread::Builder::new().name("read-ahead".to_owned()).spawn(move || filler.fill(make()))?;
        Ok(Self { shared, interrupt, taken: Vec::with_capacity(MOST_WAITING), start: 0 })
    }

    /// A look at what waits.
    pub(super) fn waiting(&self) -> Waiting {
        Waiting { shared: Arc::clone(&self.shared), interrupt: self.interrupt.clone() }
    }

    /// Takes all that waits, or waits for some. Nothing is taken at the end.
    fn take(&mut self) -> io::Result<()> {
        self.taken.clear();
        self.start = 0;
        let mut state = self.shared.lock();
        loop {
            if self.interrupt.is_raised() {
                return Err(io::Error::other(Interrupted));
            }
            if !state.waiting.is_empty() {
                mem::swap(&mut state.waiting, &mut self.taken);
                state.untaken = self.taken.len();
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
        if self.start == self.taken.len() {
            self.take()?;
        }
        let rest = &self.taken[self.start..];
        let count = out.len().min(rest.len());
        out[..count].copy_from_slice(&rest[..count]);
        self.start += count;
        if self.start == self.taken.len() {
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
        let mut chunk = vec![0; CHUNK_LEN];
        loop {
            match input.read(&mut chunk) {
                Ok(0) => return self.end(Ok(())),
                Ok(count) => {
                    if !self.give(&chunk[..count]) {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.end(Err(error)),
            }
        }
    }

    /// Puts bytes where they can be taken. False if nobody will.
    fn give(&self, bytes: &[u8]) -> bool {
        let mut state = self.shared.lock();
        while !state.abandoned && state.waiting.len() + bytes.len() > MOST_WAITING {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.extend_from_slice(bytes);
        self.shared.changed.notify_one();
        !state.abandoned
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
