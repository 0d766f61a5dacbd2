//! Captures in the lab: what passes each host's device goes to a pcapng file, and afterwards is compared, packet for
//! packet, with what the wire carried.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use thiserror::Error;

use super::host::{DEVICE, Host, HostError, MTU};
use super::punctual::be_punctual;
use super::wire::{Fate, Side, WireLog, WirePacket, fingerprint};
use crate::capture::live::{LiveCapture, LiveError, LiveOptions, LiveStats};
use crate::capture::{Interface, PcapngWriter};

/// The kernel reserves this much of its buffer for every packet of a TUN device, so not much more than the MTU: 8192
/// packets fit, where the usual 256 KiB would leave room for 64.
const SNAPLEN: u32 = 2048;
const _: () = assert!(SNAPLEN >= MTU);

/// How long nothing may come before packets that are still expected count as lost.
const SILENCE_MS: u16 = 500;

/// How many missing packets are described one by one.
const DESCRIBED: usize = 10;

/// Why a capture could not be made.
#[derive(Debug, Error)]
pub enum RecorderError {
    /// The host does not answer.
    #[error("cannot capture on host {host}")]
    Host {
        /// Name of the host.
        host: String,
        /// What happened to it.
        source: HostError,
    },
    /// libpcap refused, or stopped.
    #[error("the capture on host {host} failed")]
    Capture {
        /// Name of the host.
        host: String,
        /// What libpcap said.
        source: LiveError,
    },
    /// The file could not be written. What was written before stays readable.
    #[error("cannot write the capture {}: make room there, or name another folder with --out", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A system call that fails only when the machine is out of something.
    #[error("cannot {action} for the capture on host {host}")]
    System {
        /// Name of the host.
        host: String,
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The thread panicked; the message was printed.
    #[error("the capture on host {host} ended by a panic, which was printed above")]
    Panicked {
        /// Name of the host.
        host: String,
    },
}

/// A capture under way. Its file is readable at every moment. Dropping the recorder ends the capture.
#[derive(Debug)]
pub struct Recorder {
    host: String,
    /// The number of packets to be waited for.
    finish: Sender<u64>,
    wake: Arc<EventFd>,
    thread: Option<thread::JoinHandle<Result<Recording, RecorderError>>>,
}

/// A finished capture.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The file.
    pub file: PathBuf,
    /// What is in it, in its order.
    pub packets: Vec<RecordedPacket>,
    /// The kernel's counters.
    pub stats: LiveStats,
}

/// One packet of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedPacket {
    /// In nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Length of the IP packet in bytes.
    pub length: u32,
    /// [`fingerprint`] of the IP packet.
    pub hash: u64,
}

impl Recorder {
    /// Starts a capture on the host's TUN device. When this returns, no later packet is missed.
    ///
    /// # Errors
    /// See [`RecorderError`].
    pub fn start(host: &Host, file: &Path) -> Result<Recorder, RecorderError> {
        let name = host.name().to_owned();
        let options = LiveOptions { snaplen: SNAPLEN, ..LiveOptions::default() };
        // A packet socket belongs to the namespace of the thread that opens it, and can be read from any.
        let capture = host
            .run(move || LiveCapture::open(DEVICE, &options))
            .map_err(|source| RecorderError::Host { host: name.clone(), source })?
            .map_err(|source| RecorderError::Capture { host: name.clone(), source })?;
        let interface =
            Interface { name: format!("{name}/{DEVICE}"), link: capture.link(), snaplen: capture.snaplen() };
        let writer = File::create(file)
            .and_then(|out| PcapngWriter::new(BufWriter::new(out), &[interface]))
            .map_err(|source| RecorderError::Write { file: file.to_owned(), source })?;

        let system = |action| {
            let host = name.clone();
            move |source| RecorderError::System { host, action, source }
        };
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| system("create an event")(errno.into()))?;
        let wake = Arc::new(wake);
        let (finish, expected) = mpsc::channel();
        let tape = Tape {
            host: name.clone(),
            capture,
            writer,
            file: file.to_owned(),
            packets: Vec::new(),
            expected,
            wake: Arc::clone(&wake),
        };
        let thread = thread::Builder::new()
            .name(format!("capture {name}"))
            .spawn(move || tape.run())
            .map_err(system("start a thread"))?;
        Ok(Recorder { host: name, finish, wake, thread: Some(thread) })
    }

    /// Waits until `expected` packets have been captured in all, or none has come for half a second; then ends the
    /// capture and its file. Blocks until then.
    ///
    /// # Errors
    /// See [`RecorderError`]; an error while capturing is told here.
    pub fn finish(mut self, expected: u64) -> Result<Recording, RecorderError> {
        let host = std::mem::take(&mut self.host);
        let thread = self.end(expected);
        thread.and_then(|thread| thread.join().ok()).unwrap_or(Err(RecorderError::Panicked { host }))
    }

    fn end(&mut self, expected: u64) -> Option<thread::JoinHandle<Result<Recording, RecorderError>>> {
        // Both fail only when the thread has ended, and then its result says why.
        if self.finish.send(expected).is_ok() {
            let _ = self.wake.write(1);
        }
        self.thread.take()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // Nobody asks for the result any more; the file is what counts.
            let _ = self.end(0).map(thread::JoinHandle::join);
        }
    }
}

/// The thread's side.
struct Tape {
    host: String,
    capture: LiveCapture,
    writer: PcapngWriter<BufWriter<File>>,
    file: PathBuf,
    packets: Vec<RecordedPacket>,
    expected: Receiver<u64>,
    wake: Arc<EventFd>,
}

impl Tape {
    fn run(mut self) -> Result<Recording, RecorderError> {
        // The wire is, and would otherwise fill the kernel's buffer faster than this thread may empty it.
        be_punctual();
        let mut expected = None;
        loop {
            self.take_in()?;
            if expected.is_some_and(|expected| self.packets.len() as u64 >= expected) {
                break;
            }
            let timeout = expected.map_or(PollTimeout::NONE, |_| PollTimeout::from(SILENCE_MS));
            let mut fds =
                [self.capture.as_fd(), self.wake.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut fds, timeout) {
                Ok(0) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => {
                    let host = self.host;
                    return Err(RecorderError::System { host, action: "wait", source: errno.into() });
                }
            }
            // Only says whether it was written to, which the command itself tells.
            let _ = self.wake.read();
            expected = self.expected.try_recv().ok().or(expected);
        }
        let stats = self.capture.stats().map_err(|source| self.capture_error(source))?;
        let ended_ns = self.packets.last().map_or(0, |packet| packet.time_ns);
        self.writer
            .statistics(0, ended_ns, stats.received, stats.dropped_by_kernel)
            .and_then(|()| self.writer.flush())
            .map_err(|source| self.write_error(source))?;
        Ok(Recording { file: self.file, packets: self.packets, stats })
    }

    /// Writes what has been captured, then flushes, so that a run that ends in any way leaves what it has seen.
    fn take_in(&mut self) -> Result<(), RecorderError> {
        let before = self.packets.len();
        loop {
            let packet = match self.capture.next() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(source) => return Err(self.capture_error(source)),
            };
            let written = self.writer.packet(0, packet.time_ns, packet.wire_len, packet.data, None);
            self.packets.push(RecordedPacket {
                time_ns: packet.time_ns,
                length: packet.wire_len,
                hash: fingerprint(packet.data),
            });
            written.map_err(|source| self.write_error(source))?;
        }
        if self.packets.len() > before {
            self.writer.flush().map_err(|source| self.write_error(source))?;
        }
        Ok(())
    }

    fn capture_error(&self, source: LiveError) -> RecorderError {
        RecorderError::Capture { host: self.host.clone(), source }
    }

    fn write_error(&self, source: io::Error) -> RecorderError {
        RecorderError::Write { file: self.file.clone(), source }
    }
}

/// Whether the two captures hold exactly what the wire carried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completeness {
    /// They do, and the wire itself ran to the end.
    pub complete: bool,
    /// What is missing or too much, in sentences.
    pub missing: Vec<String>,
}

/// How many packets the capture on one host should hold: those it sent and those it was given.
pub fn expected_packets(log: &WireLog, host: Side) -> u64 {
    log.packets.iter().filter(|packet| is_seen_by(packet, host)).count() as u64
}

/// Compares the captures of both hosts with the wire's log, packet for packet, by content.
///
/// What a host sent after the wire was cut is no part of the run.
pub fn compare(log: &WireLog, edge: &Recording, origin: &Recording) -> Completeness {
    let mut missing: Vec<String> = log.failure.iter().cloned().collect();
    for (host, recording) in [(Side::Edge, edge), (Side::Origin, origin)] {
        missing.extend(differences(log, host, recording));
    }
    Completeness { complete: missing.is_empty(), missing }
}

fn is_seen_by(packet: &WirePacket, host: Side) -> bool {
    packet.from == Some(host) || (packet.to == host && matches!(packet.fate, Fate::Delivered { .. }))
}

fn differences(log: &WireLog, host: Side, recording: &Recording) -> Vec<String> {
    let file = recording.file.file_name().unwrap_or(recording.file.as_os_str()).to_string_lossy();
    let began_ns = log.packets.first().map_or(0, |packet| packet.arrived_ns);
    let at = |time_ns: i64| format!("{:.6} s after the first packet", (time_ns - began_ns) as f64 / 1e9);

    let mut captured: HashMap<(u64, u32), u64> = HashMap::new();
    for packet in &recording.packets {
        *captured.entry((packet.hash, packet.length)).or_default() += 1;
    }
    let mut found = Vec::new();
    for packet in log.packets.iter().filter(|packet| is_seen_by(packet, host)) {
        match captured.get_mut(&(packet.hash, packet.length)).filter(|left| **left > 0) {
            Some(left) => *left -= 1,
            None => {
                let how = if packet.from == Some(host) { "sent by" } else { "delivered to" };
                found.push(format!(
                    "{file} lacks a packet of {} bytes {how} {host} {}",
                    packet.length,
                    at(packet.arrived_ns)
                ));
            }
        }
    }
    for packet in recording.packets.iter().filter(|packet| packet.time_ns < log.stopped_ns) {
        if let Some(left) = captured.get_mut(&(packet.hash, packet.length)).filter(|left| **left > 0) {
            *left -= 1;
            found.push(format!(
                "{file} holds a packet of {} bytes that never reached the wire, {}",
                packet.length,
                at(packet.time_ns)
            ));
        }
    }
    if found.len() > DESCRIBED {
        let more = found.len() - DESCRIBED;
        found.truncate(DESCRIBED);
        found.push(format!("{file} differs from the wire in {more} more packets"));
    }
    if recording.stats.dropped_by_kernel > 0 {
        found.push(format!(
            "the kernel dropped {} packets of {file} because its buffer was full",
            recording.stats.dropped_by_kernel
        ));
    }
    found
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
