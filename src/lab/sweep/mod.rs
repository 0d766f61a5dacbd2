//! Natural traffic that finds the race window: many connections wait side by side, each for a time of its own, and then
//! send their second request. Nothing is held, nothing is forced.
//!
//! The driver plays the proxy's pool: it opens a connection, has one request answered, leaves the connection idle, looks
//! whether the backend has closed it, and sends the second request if not. A [`planner`] chooses the idle times while
//! the outcomes come in; [`driver`] keeps them to some microseconds; [`wire`] puts both between two hosts, [`elsewhere`] does without.

mod answer;
pub mod driver;
pub mod elsewhere;
mod link;

pub mod planner;
pub mod wire;

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use super::http::{Fields, Request};
use super::scenario::Traffic;
use super::{CaptureFile, LabError};
use crate::capture::Interrupt;
use driver::{Driven, Driver};
use planner::{Next, Planner};

/// How many idle times are chosen ahead of the connections that will keep them.
const AHEAD: usize = 8;

/// What a sweep may do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Connections opened at most, those that are only watched included.
    pub attempts: u32,
    /// Connections open at one time at most.
    pub connections: usize,
    /// New connections a second at most.
    pub rate: f64,
    /// No connection is opened or used after this.
    pub max_time: Duration,
    /// How long to wait for the backend to close a connection that is watched.
    pub max_wait: Duration,
    /// Both edges are to be known this well; then no more connections are opened.
    pub precision: Option<Duration>,
    /// Connections that are watched before the first is used.
    pub watched_first: u32,
    /// Chooses the idle times, together with what has been seen.
    pub seed: u64,
    /// Whether a request that was lost without a byte of an answer is sent once more, on a new connection, as proxies do
    /// with a GET.
    pub retry: bool,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Left alone until the backend closes it: says when its timer fires.
    Watch,
    /// Used again after this idle time.
    Send(Duration),
}

/// How an attempt ended, as the socket told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The second request was answered.
    Answered {
        /// With this status.
        status: u16,
    },
    /// The backend had closed the connection before its time had come: nothing was sent.
    ClosedBefore {
        /// From the first response to the close, by the driver's clock.
        after: Duration,
        /// With RST.
        reset: bool,
    },
    /// The second request was sent, and the connection reset without a byte of an answer.
    Reset,
    /// The second request was sent, and the connection ended without a byte of an answer.
    Eof,
    /// The answer to the second request was cut off, or is no HTTP.
    CutOff,
    /// No answer to the second request came in time.
    NoAnswer,
    /// It was to be watched and nobody closed it in time.
    StillOpen,
    /// The first request was not answered, or the answer ended the connection: nothing can be said.
    NotIdle {
        /// Why.
        reason: String,
    },
}

impl Ending {
    /// The connection ended without a byte of an answer: a proxy would send a GET again.
    fn leaves_nothing(&self) -> bool {
        matches!(self, Ending::Reset | Ending::Eof)
    }

    /// The second request was sent and not answered.
    pub fn is_lost(&self) -> bool {
        matches!(self, Ending::Reset | Ending::Eof | Ending::CutOff | Ending::NoAnswer)
    }
}

/// One connection and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Counted from 1, in the order of opening.
    pub number: u32,
    /// The driver's end.
    pub local: Option<SocketAddr>,
    /// What it was for.
    pub plan: Plan,
    /// What became of it.
    pub ending: Ending,
    /// From connect() to the connection, by the driver's clock: about a round trip.
    pub handshake: Option<Duration>,
    /// When the second request was to be sent, ns since the Unix epoch; of a connection that was found closed only later
    /// than that, when it was looked at.
    pub due_ns: Option<i64>,
    /// From the first response to the second request, by the driver's clock.
    pub idle: Option<Duration>,
    /// How much later than planned the second request was sent.
    pub late: Option<Duration>,
    /// Whether a lost request was answered when it was sent once more; none where it was not.
    pub retried: Option<bool>,
}

/// How far a sweep is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// Connections planned so far.
    pub planned: u32,
    /// At most.
    pub attempts: u32,
    /// Still watching for the backend's timer.
    pub calibrating: bool,
    /// Requests lost so far.
    pub lost: u32,
    /// The range of idle times under observation, ns.
    pub range_ns: Option<(i64, i64)>,
    /// The share lost over equal parts of that range; none where nothing was tried.
    pub shares: Vec<Option<f64>>,
}

/// A sweep, whole or interrupted.
#[derive(Debug, Clone)]
pub struct Swept {
    /// Every connection that ended, in the order of opening.
    pub attempts: Vec<Attempt>,
    /// From the first preparation to the last answer.
    pub elapsed: Duration,
    /// A stop request ended it.
    pub interrupted: bool,
    /// The time allowed ended it.
    pub out_of_time: bool,
    /// Most connections open at one time.
    pub side_by_side: usize,
    /// The captures: the driver's host first. None where nothing was captured.
    pub captures: Vec<CaptureFile>,
    /// The captures hold every packet.
    pub complete: bool,
    /// What they lack, in sentences.
    pub missing: Vec<String>,
    /// What the backend says of its version, where it is a real program.
    pub version: Option<String>,
}

/// Told now and then how far a sweep is.
pub type Observer = Box<dyn FnMut(&Progress) + Send>;

/// The requests of a sweep.
#[derive(Debug, Clone)]
pub struct Requests {
    method: String,
    target: String,
    host: String,
    body_bytes: usize,
}

impl Requests {
    /// GET requests, or of another method without a body, for a path.
    pub fn of(method: &str, target: &str, host: &str) -> Requests {
        let (method, target, host) = (method.to_owned(), target.to_owned(), host.to_owned());
        Requests { method, target, host, body_bytes: 0 }
    }

    /// Those of a scenario, to a host of this name.
    pub fn new(traffic: &Traffic, host: &str) -> Requests {
        Requests {
            method: traffic.method.clone(),
            target: traffic.path.clone(),
            host: host.to_owned(),
            body_bytes: traffic.body_bytes,
        }
    }

    fn method(&self) -> &str {
        &self.method
    }

    /// One of the two requests of an attempt. No two requests of a sweep are the same.
    fn bytes(&self, number: u32, second: bool) -> Vec<u8> {
        let id = format!("{number}-{}", if second { 2 } else { 1 });
        let fields = Fields::default()
            .with("Host", &self.host)
            .with("X-Request-Id", &id)
            .with("User-Agent", concat!("finrace/", env!("CARGO_PKG_VERSION")))
            .with("Accept", "*/*");
        let fields = if self.body_bytes > 0 { fields.with("Content-Type", "text/plain") } else { fields };
        Request {
            method: self.method.clone(),
            target: self.target.clone(),
            fields,
            keep_alive: true,
            body: vec![b'.'; self.body_bytes],
        }
        .encode()
    }
}

/// Sends the traffic of a sweep to one address and waits for its end. Blocks; call it on a thread of its own, in the
/// network namespace from which it is to be sent.
///
/// # Errors
/// When the system has no descriptor or thread left.
pub fn drive(
    settings: &Settings,
    requests: Requests,
    backend: SocketAddr,
    stop: Interrupt,
    observer: Observer,
) -> Result<Driven, LabError> {
    let failed = |source| LabError::Sweep { source };
    let (plans, planned) = mpsc::sync_channel(AHEAD);
    let (results, known) = mpsc::channel();
    let planner = Planner::new(settings);
    let choosing = thread::Builder::new()
        .name("planner".to_owned())
        .spawn(move || choose(planner, plans, &known, observer))
        .map_err(failed)?;
    let driver = Driver::new(settings, requests, backend, planned, results, stop).map_err(failed)?;
    let driven = driver.run().map_err(failed);
    // It ends when the driver's ends of the channels are gone; a panic of it has been printed.
    let _ = choosing.join();
    driven
}

/// The planner's thread: thinking takes longer than the driver may be late.
fn choose(
    mut planner: Planner,
    plans: SyncSender<Plan>,
    results: &Receiver<Attempt>,
    mut observer: Observer,
) {
    loop {
        while let Ok(attempt) = results.try_recv() {
            planner.take(&attempt);
        }
        observer(&planner.progress());
        match planner.choose_next() {
            Next::Plan(plan) => {
                if plans.send(plan).is_err() {
                    return;
                }
            }
            Next::Wait => match results.recv() {
                Ok(attempt) => planner.take(&attempt),
                Err(_) => return,
            },
            Next::Done => break,
        }
    }
    // The driver opens no more connections; those under way still bring results.
    drop(plans);
    while results.recv().is_ok() {}
}
