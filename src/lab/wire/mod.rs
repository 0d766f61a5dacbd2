//! The wire between the two hosts: a thread that reads each packet from one TUN device and writes it to the other,
//! later, or not at all.
//!
//! Holding the backend's idle FIN until the proxy's next request is on its way makes the race certain with unmodified
//! kernels and servers: both hosts just see a FIN that travelled for long.
//!
//! It never changes a packet, so a packet can be recognised by its bytes in both hosts' captures.

mod log;
mod rules;
mod schedule;

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use thiserror::Error;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub use log::{Fate, WireEvent, WireEventKind, WireLog, WirePacket, fingerprint};
pub use rules::{Connection, DropRule, HoldRule, Packet, Side, WireSettings};

use super::punctual::be_punctual;
use super::tun::Tun;
use schedule::{Moment, Schedule};

/// After [`Wire::stop`] the wire still carries what the hosts have to say to each other, but not for longer than this.
const SETTLE_AT_MOST_NS: u64 = 1_000_000_000;

/// How soon a packet is offered again to a device that had no room for it.
const RETRY_NS: u64 = 200_000;

/// Packets read from one device before the other, and what is due, has its turn.
const BATCH: usize = 64;

/// The wire could not be started.
#[derive(Debug, Error)]
pub enum WireError {
    /// A system call that fails only when the machine is out of something.
    #[error("cannot {action} for the wire")]
    System {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A running wire. Dropping it cuts the wire.
#[derive(Debug)]
pub struct Wire {
    control: Control,
    thread: Option<thread::JoinHandle<WireLog>>,
}

#[derive(Debug)]
struct Control {
    commands: mpsc::Sender<Command>,
    wake: Arc<EventFd>,
}

#[derive(Debug)]
enum Command {
    Inject { to: Side, bytes: Vec<u8> },
    Stop,
}

impl Control {
    fn send(&self, command: Command) {
        // Both fail only when the thread has ended, and then its log says why.
        if self.commands.send(command).is_ok() {
            let _ = self.wake.write(1);
        }
    }
}

impl Wire {
    /// Joins the devices of the two hosts. Events arrive in order; nobody has to read them.
    ///
    /// # Errors
    /// When the thread or its wake-up descriptor cannot be made.
    pub fn start(
        edge: Tun,
        origin: Tun,
        settings: WireSettings,
    ) -> Result<(Wire, UnboundedReceiver<WireEvent>), WireError> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| WireError::System { action: "create an event", source: errno.into() })?;
        let wake = Arc::new(wake);
        let (commands, received) = mpsc::channel();
        let (events, events_out) = unbounded_channel();
        let carrier = Carrier {
            tuns: [edge, origin],
            schedule: Schedule::new(settings),
            commands: received,
            wake: Arc::clone(&wake),
            events,
            buffer: vec![0; usize::from(u16::MAX)],
            stop_by_ns: None,
        };
        let thread = thread::Builder::new()
            .name("wire".to_owned())
            .spawn(move || carrier.run())
            .map_err(|source| WireError::System { action: "start a thread", source })?;
        Ok((Wire { control: Control { commands, wake }, thread: Some(thread) }, events_out))
    }

    /// Puts an IP packet that no host sent onto the wire. It takes the wire's delay like any other.
    pub fn inject(&self, to: Side, bytes: Vec<u8>) {
        self.control.send(Command::Inject { to, bytes });
    }

    /// Ends all holds, carries packets until both hosts are silent and nothing is in transit (at most one second), then
    /// cuts the wire. Blocks until then.
    pub fn stop(mut self) -> WireLog {
        self.control.send(Command::Stop);
        match self.thread.take().map(thread::JoinHandle::join) {
            Some(Ok(log)) => log,
            _ => WireLog { failure: Some("the wire's thread panicked".to_owned()), ..WireLog::default() },
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.control.send(Command::Stop);
            // A panic of the thread has already been printed.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Carrier {
    /// By [`Side::index`].
    tuns: [Tun; 2],
    schedule: Schedule,
    commands: mpsc::Receiver<Command>,
    wake: Arc<EventFd>,
    events: UnboundedSender<WireEvent>,
    buffer: Vec<u8>,
    /// Set once told to stop.
    stop_by_ns: Option<u64>,
}

impl Carrier {
    fn run(mut self) -> WireLog {
        be_punctual();
        let failure = self.carry().err().map(|errno| format!("the wire failed: {}", errno.desc()));
        self.publish();
        self.schedule.into_log(now().wall_ns, failure)
    }

    fn carry(&mut self) -> nix::Result<()> {
        loop {
            self.deliver_due();
            self.publish();
            let settled = self.stop_by_ns.is_some() && self.schedule.is_empty();
            let something_came = self.wait(settled)?;
            if settled && !something_came || self.stop_by_ns.is_some_and(|by| by <= now().steady_ns) {
                return Ok(());
            }
        }
    }

    fn deliver_due(&mut self) {
        self.schedule.expire(now());
        loop {
            let moment = now();
            let Some(delivery) = self.schedule.take_due(moment) else { return };
            match self.tuns[delivery.to.index()].write(&delivery.bytes) {
                Ok(()) => self.schedule.close(&delivery, Fate::Delivered { at_ns: moment.wall_ns }),
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS | Errno::ENOMEM) => {
                    self.schedule.postpone(delivery, moment.steady_ns.saturating_add(RETRY_NS));
                }
                Err(errno) => self.schedule.close(&delivery, Fate::Refused { errno: errno as i32 }),
            }
        }
    }

    fn publish(&mut self) {
        while let Some(event) = self.schedule.next_event() {
            // Nobody has to listen.
            let _ = self.events.send(event);
        }
    }

    /// Sleeps until a packet or a command comes or something is due, and takes in what came. Says whether anything did.
    fn wait(&mut self, only_look: bool) -> nix::Result<bool> {
        let until_ns = if only_look { Some(0) } else { self.next_wake_ns() };
        let timeout = until_ns
            .map(|until_ns| TimeSpec::from(Duration::from_nanos(until_ns.saturating_sub(now().steady_ns))));
        let mut fds = [self.tuns[0].as_fd(), self.tuns[1].as_fd(), self.wake.as_fd()]
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match ppoll(&mut fds, timeout, None) {
            Ok(0) | Err(Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(errno) => return Err(errno),
        }
        let [edge, origin, woken] = fds.map(|fd| fd.any().unwrap_or(false));
        if edge {
            self.take_in(Side::Edge)?;
        }
        if origin {
            self.take_in(Side::Origin)?;
        }
        if woken {
            self.obey()?;
        }
        Ok(true)
    }

    fn next_wake_ns(&self) -> Option<u64> {
        self.schedule.next_due_ns().into_iter().chain(self.stop_by_ns).min()
    }

    fn take_in(&mut self, from: Side) -> nix::Result<()> {
        for _ in 0..BATCH {
            match self.tuns[from.index()].read(&mut self.buffer) {
                Ok(length) => self.schedule.arrive(now(), from, self.buffer[..length].to_vec()),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn obey(&mut self) -> nix::Result<()> {
        match self.wake.read() {
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Inject { to, bytes } => self.schedule.inject(now(), to, bytes),
                Command::Stop => {
                    let moment = now();
                    self.schedule.release_all(moment);
                    self.stop_by_ns = Some(moment.steady_ns.saturating_add(SETTLE_AT_MOST_NS));
                }
            }
        }
        Ok(())
    }
}

fn now() -> Moment {
    Moment {
        // Both clocks are positive, and 64 bits of nanoseconds last until the year 2262.
        steady_ns: clock_ns(ClockId::CLOCK_MONOTONIC) as u64,
        wall_ns: clock_ns(ClockId::CLOCK_REALTIME),
    }
}

/// Reads a clock in nanoseconds; these two clocks exist on every Linux, so that reading them cannot fail.
fn clock_ns(clock: ClockId) -> i64 {
    clock_gettime(clock)
        .map_or(0, |time| time.tv_sec().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec()))
}
