//! A host of the lab: a thread in a network namespace of its own, with one TUN device and a tokio runtime.
//!
//! A thread's namespace decides where sockets are born and where processes that it spawns live, so whatever is to
//! happen *on* the host is handed to its thread. Threads that the host's thread starts (tokio's blocking pool) inherit
//! the namespace.

mod netlink;

use std::fs;
use std::future::Future;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use thiserror::Error;
use tokio::runtime::{self, LocalOptions, LocalRuntime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::tun::{Tun, TunError};
use netlink::{Link, Netlink};

/// Name of the TUN device in each host.
pub const DEVICE: &str = "tun0";

/// The largest IP packet between the hosts in bytes: that of an Ethernet.
pub const MTU: u32 = 1500;

/// Packets that a device queues for the wire. A burst of this many (15 MB) is not lost even if the wire's thread does not
/// get to run.
const QUEUE: u32 = 10_000;

/// How long the kernel may take to put an address into service.
const IN_SERVICE_WITHIN: Duration = Duration::from_secs(2);

/// Why a host could not be set up, or has gone.
#[derive(Debug, Error)]
pub enum HostError {
    /// No right to make a network namespace.
    #[error(
        "cannot create the network namespace of host {host}; `finrace doctor` names the remedy, or run as root"
    )]
    Namespace {
        /// Name of the host.
        host: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// No TUN device.
    #[error("host {host} has no network device")]
    Tun {
        /// Name of the host.
        host: String,
        /// What is missing.
        source: TunError,
    },
    /// A device could not be configured.
    #[error("cannot {action} on host {host}")]
    Device {
        /// Name of the host.
        host: String,
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// No thread or no runtime.
    #[error("cannot start host {host}")]
    Start {
        /// Name of the host.
        host: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The job panicked, or the host's thread has ended.
    #[error("host {host} did not finish the job given to it; the cause was printed above")]
    Gone {
        /// Name of the host.
        host: String,
    },
}

/// A running host. Dropping it ends its tasks, its thread and, with the last process and descriptor in it, its network
/// namespace.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: IpAddr,
    runtime: runtime::Handle,
    /// Keeps the device when the wire lets go of it: a capture on it may still have packets to read.
    _device: Tun,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Host {
    /// Makes the namespace, brings up its loopback device and a TUN device with `address` that can reach `peer` and
    /// nothing else. The host sends no packet of its own accord.
    ///
    /// Returns the host and the cable end of its device. Ports below 1024 are open to everyone in it where the kernel
    /// lets us say so.
    ///
    /// # Errors
    /// See [`HostError`]. Outside [`super::isolation::enter`] an ordinary user gets [`HostError::Namespace`].
    pub fn start(name: &str, address: IpAddr, peer: IpAddr) -> Result<(Host, Tun), HostError> {
        let start_error = |source| HostError::Start { host: name.to_owned(), source };
        let (ready, is_ready) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let on_thread = {
            let name = name.to_owned();
            move || match set_up(&name, address, peer) {
                Ok((runtime, tun)) => {
                    if ready.send(Ok((runtime.handle().clone(), tun))).is_ok() {
                        // An error is the expected end: the sender was dropped.
                        let _ = runtime.block_on(stopped);
                    }
                }
                Err(error) => {
                    // The receiver below waits for it.
                    let _ = ready.send(Err(error));
                }
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(on_thread).map_err(start_error)?;
        let (runtime, tun) = is_ready.recv().map_err(|_| HostError::Gone { host: name.to_owned() })??;
        let host = Host {
            name: name.to_owned(),
            address,
            runtime,
            _device: tun.try_clone().map_err(start_error)?,
            stop: Some(stop),
            thread: Some(thread),
        };
        Ok((host, tun))
    }

    /// The name given at the start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of the host's TUN device.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Starts a task on the host. The future is made and polled on the host's thread only, so it need not be `Send`.
    /// Dropping the handle leaves the task running; aborting it ends the task.
    pub fn spawn<M, F>(&self, make: M) -> JoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.runtime.spawn(async move {
            let mut task = AbortOnDrop(tokio::task::spawn_local(make()));
            match (&mut task.0).await {
                Ok(output) => output,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is ending and will drop this task, too.
                    Err(_) => std::future::pending().await,
                },
            }
        })
    }

    /// Runs a closure on the host's thread and waits for it. Meanwhile the host's tasks stand still: for system calls
    /// only. Never call it from the host's own thread.
    ///
    /// # Errors
    /// [`HostError::Gone`] if the closure panicked.
    pub fn run<R, J>(&self, job: J) -> Result<R, HostError>
    where
        J: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (done, is_done) = mpsc::channel();
        self.runtime.spawn(async move {
            // The receiver below waits for it.
            let _ = done.send(job());
        });
        is_done.recv().map_err(|_| HostError::Gone { host: self.name.clone() })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been printed.
            let _ = thread.join();
        }
    }
}

/// Carries an abort of the outer task over to the local one.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Turns the calling thread into the host.
fn set_up(name: &str, address: IpAddr, peer: IpAddr) -> Result<(LocalRuntime, Tun), HostError> {
    let host = || name.to_owned();
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|errno| HostError::Namespace { host: host(), source: errno.into() })?;
    // Servers keep their usual ports without being root. Where /proc/sys is read-only (containers) this is refused, and
    // a server that wants a low port says so itself.
    let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");

    let tun = Tun::create(DEVICE).map_err(|source| HostError::Tun { host: host(), source })?;
    configure(address, peer).map_err(|(action, source)| HostError::Device {
        host: host(),
        action,
        source,
    })?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name(name)
        .build_local(LocalOptions::default())
        .map_err(|source| HostError::Start { host: host(), source })?;
    Ok((runtime, tun))
}

fn configure(address: IpAddr, peer: IpAddr) -> Result<(), (&'static str, io::Error)> {
    let at = |action| move |source| (action, source);
    let index = |name| if_nametoindex(name).map(Link).map_err(|errno| ("find a device", errno.into()));
    let mut netlink = Netlink::open().map_err(at("open a netlink socket"))?;
    netlink.set_up(index("lo")?).map_err(at("bring up the loopback device"))?;
    let tun = index(DEVICE)?;
    netlink.stay_silent(tun).map_err(at("turn off automatic IPv6 addresses"))?;
    netlink.set_size(tun, MTU, QUEUE).map_err(at("set MTU and queue length"))?;
    netlink.add_address(tun, address).map_err(at("set the address"))?;
    netlink.set_up(tun).map_err(at("bring up the TUN device"))?;
    netlink.add_route(tun, peer).map_err(at("set the route to the other host"))?;
    wait_until_in_service(address, peer).map_err(at("bring the address into service"))
}

/// The kernel finishes an IPv6 address in a work queue, some time after it has acknowledged it *(measured: one start in
/// fifty was too early)*. Connecting a datagram socket sends nothing, it only looks up the route.
fn wait_until_in_service(address: IpAddr, peer: IpAddr) -> io::Result<()> {
    const DISCARD: u16 = 9;
    let deadline = Instant::now() + IN_SERVICE_WITHIN;
    loop {
        let ready = UdpSocket::bind((address, 0)).and_then(|socket| {
            socket.connect((address, DISCARD)).and_then(|()| socket.connect((peer, DISCARD)))
        });
        match ready {
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => thread::sleep(Duration::from_micros(100)),
            Ok(()) => return Ok(()),
        }
    }
}
