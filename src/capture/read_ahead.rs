//! Reading in a thread of its own, some buffers ahead of whoever uses the bytes.
//!
//! A pipe is drained while the records before are looked at, unpacking takes place beside the analysis, and an
//! [`Interrupt`] ends the waiting for a pipe that is silent.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use super::Interrupt;

/// As much as a [`super::window::Window`] asks for at once.
const BUFFER_LEN: usize = 256 << 10;
/// Buffers in use at most: one being filled, one being emptied, two waiting.
const BUFFERS: usize = 4;
/// How long an interruption goes unseen at most while nothing arrives.
const INTERRUPT_SEEN_WITHIN: Duration = Duration::from_millis(100);

/// The error of a read that an [`Interrupt`] ended. Its kind is not [`ErrorKind::Interrupted`], which means "try again".
#[derive(Debug, Clone, Copy, Error)]
#[error("interrupted")]
pub(super) struct Interrupted;

/// What the thread hands over.
enum Message {
    /// A buffer and how many of its bytes are filled.
    Bytes(Vec<u8>, usize),
    End,
    Failed(io::Error),
}

/// The end of the channel at which the bytes come out.
///
/// Dropping it ends the thread as soon as that has the bytes it is waiting for.
pub(super) struct ReadAhead {
    filled: Receiver<Message>,
    /// Buffers go back to be filled again, so that none is allocated after the first few.
    emptied: SyncSender<Vec<u8>>,
    interrupt: Interrupt,
    current: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
}

impl ReadAhead {
    /// Starts the thread. It makes its input itself, so that the input need not be able to change threads.
    pub(super) fn start<R: Read>(
        make: impl FnOnce() -> R + Send + 'static,
        interrupt: Interrupt,
    ) -> io::Result<Self> {
        let (fill, filled) = mpsc::sync_channel(BUFFERS);
        let (emptied, empty) = mpsc::sync_channel(BUFFERS);
        thread::Builder::new().name("read-ahead".to_owned()).spawn(move || {
            let mut input = make();
            pump(&mut input, &fill, &empty);
        })?;
        Ok(Self { filled, emptied, interrupt, current: Vec::new(), start: 0, end: 0, ended: false })
    }

    /// Waits for the next buffer. False at the end.
    fn next_buffer(&mut self) -> io::Result<bool> {
        let message = loop {
            if self.interrupt.is_raised() {
                return Err(io::Error::other(Interrupted));
            }
            match self.filled.recv_timeout(INTERRUPT_SEEN_WITHIN) {
                Ok(message) => break message,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    break Message::Failed(io::Error::other("the thread that reads ahead broke down"));
                }
            }
        };
        match message {
            Message::Bytes(buffer, filled) => {
                let emptied = std::mem::replace(&mut self.current, buffer);
                (self.start, self.end) = (0, filled);
                if !emptied.is_empty() {
                    // A thread that has ended needs no more buffers.
                    let _ = self.emptied.try_send(emptied);
                }
                Ok(true)
            }
            Message::End => {
                self.ended = true;
                Ok(false)
            }
            Message::Failed(error) => {
                self.ended = true;
                Err(error)
            }
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && (self.ended || !self.next_buffer()?) {
            return Ok(0);
        }
        let count = out.len().min(self.end - self.start);
        out[..count].copy_from_slice(&self.current[self.start..self.start + count]);
        self.start += count;
        Ok(count)
    }
}

/// Reads until the input ends or nobody wants its bytes any more. What one read gives is handed over at once, because the
/// next may take as long as the network is silent.
fn pump(input: &mut impl Read, fill: &SyncSender<Message>, empty: &Receiver<Vec<u8>>) {
    let mut allocated = 0;
    loop {
        let mut buffer = if allocated < BUFFERS {
            allocated += 1;
            vec![0; BUFFER_LEN]
        } else {
            match empty.recv() {
                Ok(buffer) => buffer,
                Err(_) => return,
            }
        };
        let message = loop {
            match input.read(&mut buffer) {
                Ok(0) => break Message::End,
                Ok(filled) => break Message::Bytes(buffer, filled),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Message::Failed(error),
            }
        };
        let over = !matches!(message, Message::Bytes(..));
        if fill.send(message).is_err() || over {
            return;
        }
    }
}
