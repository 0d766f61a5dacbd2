//! The mirror image: a backend behind somebody's proxy, which measures after how long the proxy gives up its idle
//! connections, how often it reuses them, and whether it sends a request again that met a close.
//!
//! The backend answers every request, keeps every connection, and closes none by itself: whatever closes is the proxy.
//! Idle times are counted from the last byte written to the arrival of the FIN or RST, so they hold one round trip more
//! than the proxy's timer.

mod connection;
mod desk;
mod driver;

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::request::Asked;
use super::{Ending, ProbeError, Target};
use desk::Desk;
use driver::{Driver, Seen};

/// Events that may wait for their turn; who has one more waits, too.
const EVENTS: usize = 64;
/// Connections at a time; a further one waits until another has ended.
const MOST_CONNECTIONS: usize = 1024;
/// How long to leave a further connection alone where one could not be accepted, as where there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);
/// A year: further away than any deadline.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What to measure, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// A URL of the proxy, where the probe itself is to send requests through it.
    pub via: Option<Target>,
    /// How many connections have to be given up.
    pub samples: usize,
    /// How long to wait: for the first request (or for those that the probe sends), and from there on for the proxy to give
    /// up connections. So all is over after twice this time, whatever comes.
    pub max_wait: Duration,
    /// Close kept connections on one GET and one POST, each way, and see whether they come again.
    pub test_retry: bool,
}

/// How a kept connection is closed on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Close {
    /// With FIN: the proxy reads the end, as where the two cross.
    Fin,
    /// With RST: the proxy reads an error, as where the request is in the socket that is closed.
    Reset,
}

/// A request that is to meet a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trial {
    method: &'static str,
    close: Close,
}

/// GET may be sent again without harm, POST may not (RFC 9110 section 9.2.2).
const TRIALS: [Trial; 4] = [
    Trial { method: "GET", close: Close::Fin },
    Trial { method: "GET", close: Close::Reset },
    Trial { method: "POST", close: Close::Fin },
    Trial { method: "POST", close: Close::Reset },
];

/// What the proxy did with a request that met a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Again {
    /// The same request came on another connection.
    Sent,
    /// It did not come again.
    NotSent,
    /// No such request came on a kept connection.
    NotTested,
}

/// What one request that met a close showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// The method of the request.
    pub method: &'static str,
    /// What it met.
    pub close: Close,
    /// What came of it.
    pub again: Again,
    /// Time from the close to the same request, ns.
    pub after_ns: Option<u64>,
    /// What the client got in the end; known only to the probe's own requests.
    pub client_status: Option<u16>,
}

/// A kept connection that the proxy closed while it was idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GivenUp {
    /// Time from the last byte of the last response to the close, ns.
    pub idle_ns: u64,
    /// FIN or RST.
    pub ending: Ending,
    /// Requests that it had carried.
    pub requests: u32,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Measurement {
    /// Where the proxy sent its requests to.
    pub listen: String,
    /// The URL that was used to send requests through the proxy.
    pub via: Option<String>,
    /// Connections that carried a request.
    pub connections: u32,
    /// Requests that came.
    pub requests: u32,
    /// Those of them that came on a connection that had carried one before.
    pub reused: u32,
    /// The longest idle time after which a connection was used again, ns.
    pub longest_reuse_ns: Option<u64>,
    /// Requests after which the proxy did not want to keep the connection: `Connection: close`, or plain HTTP/1.0.
    pub not_kept: u32,
    /// Connections that it gave up, in that order.
    pub samples: Vec<GivenUp>,
    /// Connections that it closed right after a response, as where its pool is full.
    pub closed_at_once: u32,
    /// How long the connections had been idle that were still open in the end, the longest first, ns.
    pub still_open_ns: Vec<u64>,
    /// Whether requests were sent again; empty where that was not asked for.
    pub retries: Vec<Retry>,
    /// Connections that brought something else than HTTP/1, and why the last of them could not be read.
    pub unreadable: Option<(u32, String)>,
}

impl Measurement {
    /// The shortest and the longest idle time before a close, ns.
    pub fn idle_ns(&self) -> Option<(u64, u64)> {
        let idle = || self.samples.iter().map(|sample| sample.idle_ns);
        Some((idle().min()?, idle().max()?))
    }

    /// Whether the proxy keeps no connection at all.
    pub fn keeps_none(&self) -> bool {
        self.samples.is_empty() && self.still_open_ns.is_empty() && self.reused == 0 && self.requests > 0
    }

    /// Whether a kept connection was idle for longer than any that was given up.
    pub fn is_open_ended(&self) -> bool {
        self.still_open_ns.first() > self.idle_ns().map(|(_, most)| most).as_ref()
    }
}

/// How far a probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SoFar {
    /// Requests that came.
    pub requests: u32,
    /// Connections that are kept.
    pub kept: usize,
    /// Connections that were given up.
    pub given_up: usize,
}

/// Numbers a connection.
type Id = u64;

/// What happened.
enum Event {
    /// A request is there, and wants to know what becomes of it.
    Request { id: Id, asked: Asked, at: Instant, reply: oneshot::Sender<connection::Action> },
    /// Its response is written, and the connection kept.
    Answered { id: Id, at: Instant },
    /// Its response is written, or could not be, and the connection is gone.
    Parted { id: Id },
    /// The proxy closed a connection.
    Closed { id: Id, ending: Ending, idle: bool, at: Instant },
    /// A connection brought something else than HTTP/1.
    Unreadable { id: Id, why: String },
    /// The request with this number is for this trial.
    Trial { number: u32, index: usize },
    /// From now on requests come side by side.
    SideBySide,
    /// The request with this number has its answer, or gets none.
    Driven { number: u32, status: Option<u16>, reply: oneshot::Sender<Seen> },
    /// All requests through the proxy are sent.
    AllSent { all: Result<(), ProbeError>, at: Instant },
}

/// A backend that listens.
pub struct Backend {
    listener: TcpListener,
    address: SocketAddr,
}

impl Backend {
    /// Listens.
    ///
    /// # Errors
    /// The address is taken, or not one of this machine.
    pub async fn bind(listen: SocketAddr) -> Result<Backend, ProbeError> {
        let failed = |error| ProbeError::Listen(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Backend { listener, address })
    }

    /// Where it listens: with a port of its own where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the proxy until enough is known, the wait is over, or nobody wants to know any more.
    ///
    /// # Errors
    /// Requests cannot be sent through the proxy.
    pub async fn run(
        self,
        options: &Options,
        enough: impl Future<Output = ()>,
        mut tell: impl FnMut(SoFar),
    ) -> Result<Measurement, ProbeError> {
        let (events, mut happened) = mpsc::channel(EVENTS);
        let mut desk = Desk::new(options, self.address, Instant::now());
        let mut connections = JoinSet::new();
        if let Some(via) = options.via.clone() {
            let deadline = Instant::now() + options.max_wait;
            let driver = Driver { via, deadline, events: events.clone(), sent: 0 };
            let events = events.clone();
            let trials = if options.test_retry { TRIALS.as_slice() } else { &[] };
            let samples = options.samples;
            connections.spawn(async move {
                let all = driver.drive(trials, samples).await;
                let _ = events.send(Event::AllSent { all, at: Instant::now() }).await;
            });
        }
        let mut enough = std::pin::pin!(enough);
        let mut next_id: Id = 0;
        let mut accept_from = Instant::now();
        loop {
            let now = Instant::now();
            desk.pass_time(now);
            if desk.is_done(now) {
                break;
            }
            tell(desk.so_far());
            let paused = accept_from > now;
            let wake = desk.next_deadline().unwrap_or(now + FAR);
            let wake = if paused { wake.min(accept_from) } else { wake };
            tokio::select! {
                Some(event) = happened.recv() => desk.take(event)?,
                accepted = self.listener.accept(), if !paused && connections.len() < MOST_CONNECTIONS => match accepted {
                    // A connection that is gone before it could be accepted needs no answer.
                    Ok((stream, _)) if stream.set_nodelay(true).is_ok() => {
                        connections.spawn(connection::serve(stream, next_id, events.clone()));
                        next_id += 1;
                    }
                    Ok(_) => {}
                    // It would fail again at once.
                    Err(_) => accept_from = now + PAUSE,
                },
                Some(_) = connections.join_next() => {}
                () = sleep_until(wake) => {}
                () = &mut enough => break,
            }
        }
        Ok(desk.result(Instant::now()))
    }
}
