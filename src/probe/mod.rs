//! Measuring a live server: after how long it closes idle connections, and how.
//!
//! Each sample is a connection of its own that carries one harmless request and is then left alone: any byte would
//! start the server's timer anew. All samples run side by side, so a probe takes one idle timeout, not several.
//! Knows neither captures nor the lab.

mod connection;
mod request;
mod response;
mod target;
pub mod upstream;
mod way;

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use connection::{Link, NoAnswer};
use way::Way;

pub use response::Facts;
pub use target::Target;

/// What to measure, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whom.
    pub target: Target,
    /// The method of the request.
    pub method: String,
    /// Connections that carry a request and then idle.
    pub connections: usize,
    /// How long to wait for a close. The whole probe takes no longer, whatever the server does.
    pub max_wait: Duration,
    /// Also wait, as long as for the others, for the close of a connection that carries no request. Otherwise it is only
    /// watched for as long as the others take: servers wait for a first request much longer than for a further one.
    pub first_request: bool,
    /// Look for a limit on requests, up to this many on one connection.
    pub max_requests: Option<u32>,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Its name is not known.
    #[error("cannot find {0}: check the name")]
    Name(String, #[source] std::io::Error),
    /// Nobody answers there.
    #[error("cannot connect to {0}: check that a server listens there")]
    Connect(SocketAddr, #[source] std::io::Error),
    /// It refuses the handshake, or speaks something else.
    #[error("{0} does not complete a TLS handshake: check that its port speaks TLS, or write http://")]
    Tls(SocketAddr, #[source] std::io::Error),
    /// Its address is taken, or not one of this machine.
    #[error("cannot listen on {0}: give an address of this machine and a port that is free")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// A proxy answered by itself.
    #[error(
        "{via} answered {status} without asking the backend of this probe: point the proxy's upstream to the address \
         given to --upstream"
    )]
    NotForwarded {
        /// The URL of the proxy.
        via: String,
        /// What it answered.
        status: u16,
    },
    /// It closed or reset the connection instead of answering, or did not answer in time.
    #[error("{address} gave no response to {request}: {reason}")]
    NoResponse {
        /// Where.
        address: SocketAddr,
        /// To what.
        request: String,
        /// How that was seen.
        reason: String,
    },
}

/// How an idle connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The server sent FIN.
    Fin,
    /// The server sent RST.
    Reset,
    /// The server sent the close_notify of TLS, and no FIN within a second.
    NotifyOnly,
    /// It was still open when the wait was over.
    StillOpen,
    /// The server went on sending without being asked: it was never idle.
    Talks,
}

impl Ending {
    /// Whether the server closed it.
    pub const fn is_close(self) -> bool {
        !matches!(self, Ending::StillOpen | Ending::Talks)
    }
}

/// What was seen on one idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Time from the last byte of the response (or from the handshake) to the close, or to the end of the wait, ns.
    pub idle_ns: u64,
    /// What it was.
    pub ending: Ending,
    /// The server said goodbye with a TLS alert before (RFC 8446 section 6.1).
    pub close_notify: bool,
    /// The status of a response that nobody had asked for, sent before the close.
    pub unsolicited_status: Option<u16>,
}

/// What became of a request that was sent after the server's FIN had arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LateRequest {
    /// Answered with RST: the server had closed both directions.
    Reset,
    /// No RST within a second: the server had closed one direction, and throws away what still comes.
    Discarded,
}

/// What many requests on one connection showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RequestLimit {
    /// Requests that were answered.
    pub answered: u32,
    /// The server ended the connection after them.
    pub reached: bool,
    /// Its last response said so.
    pub announced: bool,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// As it was asked for.
    pub target: String,
    /// The address that was probed.
    pub address: String,
    /// `TLS 1.3`, where TLS was spoken. Certificates are not verified.
    pub tls: Option<String>,
    /// What the first response said.
    pub response: Facts,
    /// Connections that idled after a response; empty where the server keeps none.
    pub samples: Vec<Sample>,
    /// A connection that idled before its first request.
    pub unused: Option<Sample>,
    /// What became of a request sent after the close.
    pub late_request: Option<LateRequest>,
    /// Whether there is a limit on requests; only where it was asked for.
    pub request_limit: Option<RequestLimit>,
}

impl Measurement {
    /// The shortest and the longest idle time before a close, ns.
    pub fn idle_ns(&self) -> Option<(u64, u64)> {
        let closed = self.samples.iter().filter(|sample| sample.ending.is_close());
        closed.fold(None, |spread, sample| {
            let (least, most) = spread.unwrap_or((sample.idle_ns, sample.idle_ns));
            Some((least.min(sample.idle_ns), most.max(sample.idle_ns)))
        })
    }
}

/// What one of the connections, side by side, brought.
enum Brought {
    Sample(usize, Sample),
    Late(Option<LateRequest>),
    Limit(Option<RequestLimit>),
    /// The server refused this one connection.
    Nothing,
}

/// Probes a server. Sends it one request on each connection, those for the limit aside.
///
/// # Errors
/// The server cannot be reached, or does not answer the first request.
pub async fn run(options: &Options) -> Result<Measurement, ProbeError> {
    let deadline = Instant::now() + options.max_wait;
    let request = options.target.request(&options.method);
    let (way, mut first) = reach(options, deadline).await?;
    let address = way.address;
    let response =
        first.exchange(&request, &options.method).await.map_err(|reason| ProbeError::NoResponse {
            address,
            request: format!("{} {}", options.method, options.target.path),
            reason: reason.to_string(),
        })?;
    let mut measured = Measurement {
        target: options.target.to_string(),
        address: address.to_string(),
        tls: first.tls_version(),
        samples: Vec::new(),
        unused: None,
        late_request: None,
        request_limit: None,
        response,
    };
    let mut work = JoinSet::new();
    let method = options.method.clone();
    if measured.response.keeps_alive {
        work.spawn(async move { Brought::Sample(0, first.idle().await) });
        for index in 1..options.connections {
            let (way, request, method) = (way.clone(), request.clone(), method.clone());
            work.spawn(async move {
                match idle_after_request(&way, &request, &method, deadline).await {
                    Some((_, sample)) => Brought::Sample(index, sample),
                    None => Brought::Nothing,
                }
            });
        }
        let (by, late, named) = (way.clone(), request.clone(), method.clone());
        work.spawn(async move {
            match idle_after_request(&by, &late, &named, deadline).await {
                Some((link, Sample { ending: Ending::Fin | Ending::NotifyOnly, .. })) => {
                    Brought::Late(link.late(&late).await)
                }
                _ => Brought::Late(None),
            }
        });
        if let Some(most) = options.max_requests {
            let (way, request) = (way.clone(), request.clone());
            work.spawn(async move { Brought::Limit(limit(&way, &request, &method, most, deadline).await) });
        }
    }
    let (enough, stop) = tokio::sync::oneshot::channel::<()>();
    let first_request = options.first_request;
    let unused = tokio::spawn(async move {
        let mut link = Link::open(&way, deadline).await.ok()?;
        let enough = async {
            // The sender is dropped when all others are done.
            let _ = stop.await;
            if first_request {
                std::future::pending().await
            }
        };
        Some(link.idle_unless(enough).await)
    });
    let mut samples: Vec<(usize, Sample)> = Vec::new();
    while let Some(brought) = work.join_next().await {
        match brought {
            Ok(Brought::Sample(index, sample)) => samples.push((index, sample)),
            Ok(Brought::Late(late)) => measured.late_request = late,
            Ok(Brought::Limit(limit)) => measured.request_limit = limit,
            // A task that panicked brings nothing; the others are as good as before.
            Ok(Brought::Nothing) | Err(_) => {}
        }
    }
    drop(enough);
    measured.unused = unused.await.ok().flatten();
    samples.sort_by_key(|(index, _)| *index);
    measured.samples = samples.into_iter().map(|(_, sample)| sample).collect();
    Ok(measured)
}

/// The first address of the target that can be reached, and a connection to it.
async fn reach(options: &Options, deadline: Instant) -> Result<(Way, Link), ProbeError> {
    let mut refused = None;
    for way in options.target.resolve(deadline).await? {
        match Link::open(&way, deadline).await {
            Ok(link) => return Ok((way, link)),
            // The first one says what is wrong: the others are the same server.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let nowhere = || ProbeError::Name(options.target.host.clone(), std::io::ErrorKind::NotFound.into());
    Err(refused.unwrap_or_else(nowhere))
}

async fn idle_after_request(
    way: &Way,
    request: &str,
    method: &str,
    deadline: Instant,
) -> Option<(Link, Sample)> {
    let mut link = Link::open(way, deadline).await.ok()?;
    let facts = link.exchange(request, method).await.ok()?;
    if !facts.keeps_alive {
        return None;
    }
    let sample = link.idle().await;
    Some((link, sample))
}

/// One request after the other on one connection, until the server ends it or `most` are answered.
async fn limit(way: &Way, request: &str, method: &str, most: u32, deadline: Instant) -> Option<RequestLimit> {
    let mut link = Link::open(way, deadline).await.ok()?;
    let mut limit = RequestLimit { answered: 0, reached: false, announced: false };
    while limit.answered < most {
        match link.exchange(request, method).await {
            Ok(facts) => {
                limit.answered += 1;
                if !facts.keeps_alive {
                    limit.reached = true;
                    limit.announced = true;
                    break;
                }
            }
            Err(NoAnswer::Ended(_)) => {
                limit.reached = true;
                break;
            }
            // The probe's own patience is no limit of the server's.
            Err(NoAnswer::TooLate(_) | NoAnswer::Unusable(_)) => break,
        }
    }
    Some(limit)
}
