//! A soak: requests come as they do in life, through proxy and pool, over a wire that does nothing but take its time.
//!
//! Nothing is forced and nobody waits for a moment: what is lost is lost by chance.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::events::EventLog;
use super::experiment::{addresses, capture_file, connections_end, start_both, wire_settings};
use super::host::Host;
use super::http::{Fields, HttpError, HttpStream, Request};
use super::isolation::StopRequest;
use super::recorder::{Recorder, compare, expected_packets};
use super::scenario::{Scenario, Traffic};
use super::wire::{Side, Wire};
use super::{CaptureFile, LabError};

/// How long an answer may take.
const ANSWER_AT_MOST: Duration = Duration::from_secs(30);
/// Requests under way at one time, of one pool. More than that are not sent: a machine so late measures itself.
const MOST_UNDER_WAY: usize = 512;

/// What a soak left behind.
#[derive(Debug, Clone)]
pub struct Soaked {
    /// What users saw, by status or in words, with how often.
    pub answers: BTreeMap<String, u64>,
    /// Requests that were due and not sent, because too many were under way.
    pub withheld: u64,
    /// From the first request due to the last answer.
    pub elapsed: Duration,
    /// A stop request ended it early.
    pub interrupted: bool,
    /// The captures: the proxy's host first.
    pub captures: Vec<CaptureFile>,
    /// The captures hold every packet that crossed the wire.
    pub complete: bool,
    /// What they lack, in sentences.
    pub missing: Vec<String>,
    /// What proxy and backend say of their version, where they are real programs.
    pub versions: (Option<String>, Option<String>),
}

/// The requests of a soak.
#[derive(Debug, Clone, Default)]
pub struct Crowd {
    /// For each pool, side by side, when each request is due, from the beginning; a real proxy has one pool.
    pub due: Vec<Vec<Duration>>,
    /// All begin with the same bytes, as requests for one page do: what tells one from another stands behind
    /// [`ALIKE_BYTES`] of them.
    pub alike: bool,
}

/// Bytes that requests have in common at least, where they are [alike](Crowd::alike): more than are compared to find out that
/// one was sent again.
pub const ALIKE_BYTES: usize = 400;

/// Runs requests through the scenario's proxy to its backend. Of the scenario's traffic only method, path and body count. Must be
/// called inside [`super::isolation::enter`], in a tokio runtime of the calling thread.
///
/// `sent` counts the requests that were sent, for whoever looks on.
///
/// # Errors
/// See [`LabError`]. Files already written stay.
pub async fn run(
    scenario: &Scenario,
    crowd: Crowd,
    (folder, servers): (&Path, &Path),
    stop: StopRequest,
    sent: Arc<AtomicU64>,
) -> Result<Soaked, LabError> {
    let (edge_ip, origin_ip) = addresses(scenario.wire.family);
    let (edge, edge_tun) = Host::start("edge", edge_ip, origin_ip)?;
    let (origin, origin_tun) = Host::start("origin", origin_ip, edge_ip)?;
    let (edge, origin) = (Arc::new(edge), Arc::new(origin));
    // What happened is in the captures; writing it down as well would make timers late.
    let log = EventLog::new(std::io::sink());
    let recorders = (
        Recorder::start(&edge, &folder.join("edge.pcapng"))?,
        Recorder::start(&origin, &folder.join("origin.pcapng"))?,
    );
    let (wire, wire_events) = Wire::start(edge_tun, origin_tun, wire_settings(scenario, edge_ip, origin_ip))?;
    drop(wire_events);

    let pools = crowd.due.len() as u16;
    let backends: Vec<SocketAddr> =
        (0..pools).map(|pool| SocketAddr::new(origin_ip, scenario.backend.port() + pool)).collect();
    let proxies: Vec<SocketAddr> = (0..pools)
        .map(|pool| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), scenario.proxy.port() + pool))
        .collect();
    let hosts = (&edge, &origin);
    let (proxy, backend) =
        start_both(scenario, hosts, (&proxies, &backends), &log, (folder, servers)).await?;

    let began = Instant::now();
    let (told, mut answers) = unbounded_channel();
    let traffic = scenario.traffic.clone();
    let driver = edge.spawn(move || drive(crowd, proxies, traffic, told, sent));
    let mut soaked = Soaked {
        answers: BTreeMap::new(),
        withheld: 0,
        elapsed: Duration::ZERO,
        interrupted: false,
        captures: Vec::new(),
        complete: false,
        missing: Vec::new(),
        versions: (proxy.version(), backend.version()),
    };
    loop {
        tokio::select! {
            answer = answers.recv() => match answer {
                Some(Some(answer)) => *soaked.answers.entry(answer).or_default() += 1,
                Some(None) => soaked.withheld += 1,
                None => break,
            },
            _ = stop.wait() => {
                soaked.interrupted = true;
                break;
            }
        }
    }
    soaked.elapsed = began.elapsed();
    driver.abort();
    proxy.stop().await;
    connections_end(&origin).await;
    backend.stop().await;
    let wire_log = wire.stop();
    let recordings = (
        recorders.0.finish(expected_packets(&wire_log, Side::Edge))?,
        recorders.1.finish(expected_packets(&wire_log, Side::Origin))?,
    );
    let completeness = compare(&wire_log, &recordings.0, &recordings.1);
    soaked.captures = [recordings.0, recordings.1].map(capture_file).into();
    (soaked.complete, soaked.missing) = (completeness.complete, completeness.missing);
    Ok(soaked)
}

/// Sends every request when it is due, each pool for itself, and tells what users see; none for a request that was
/// withheld.
async fn drive(
    Crowd { due, alike }: Crowd,
    proxies: Vec<SocketAddr>,
    traffic: Traffic,
    told: UnboundedSender<Option<String>>,
    sent: Arc<AtomicU64>,
) {
    let traffic = Arc::new(traffic);
    let began = tokio::time::Instant::now();
    let mut pools = JoinSet::new();
    for (due, proxy) in due.into_iter().zip(proxies) {
        let users = Users { proxy, traffic: traffic.clone(), alike, told: told.clone(), sent: sent.clone() };
        pools.spawn_local(users.come(began, due));
    }
    drop(told);
    while pools.join_next().await.is_some() {}
}

/// The users of one proxy.
#[derive(Clone)]
struct Users {
    proxy: SocketAddr,
    traffic: Arc<Traffic>,
    alike: bool,
    told: UnboundedSender<Option<String>>,
    sent: Arc<AtomicU64>,
}

impl Users {
    async fn come(self, began: tokio::time::Instant, due: Vec<Duration>) {
        // Users stay connected: a new connection for each would only load the machine.
        let connected: Rc<std::cell::RefCell<Vec<HttpStream>>> = Rc::default();
        let mut under_way = JoinSet::new();
        for (number, at) in due.into_iter().enumerate() {
            sleep_until(began + at).await;
            while under_way.try_join_next().is_some() {}
            if under_way.len() >= MOST_UNDER_WAY {
                // Nobody listens any more when the soak was stopped.
                let _ = self.told.send(None);
                continue;
            }
            let (user, connected) = (self.clone(), connected.clone());
            under_way.spawn_local(async move {
                let stream = connected.borrow_mut().pop();
                let asked = timeout(ANSWER_AT_MOST, user.ask(number, stream)).await;
                let answer = match asked {
                    Ok(Ok((answer, stream))) => {
                        connected.borrow_mut().extend(stream);
                        answer
                    }
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => "no answer".to_owned(),
                };
                let _ = user.told.send(Some(answer));
            });
        }
        while under_way.join_next().await.is_some() {}
    }

    /// One request; the connection comes back if it can be used again.
    async fn ask(
        &self,
        number: usize,
        stream: Option<HttpStream>,
    ) -> Result<(String, Option<HttpStream>), HttpError> {
        let mut stream = match stream {
            Some(stream) => stream,
            None => {
                let connected = TcpStream::connect(self.proxy).await.and_then(HttpStream::new);
                connected.map_err(HttpError::Failed)?
            }
        };
        let Traffic { method, path, body_bytes, .. } = &*self.traffic;
        let mut fields = Fields::default().with("Host", &self.proxy.to_string());
        if self.alike {
            fields = fields.with("Cookie", &format!("theme={}", "=".repeat(ALIKE_BYTES)));
        }
        let request = Request {
            method: method.clone(),
            target: path.clone(),
            fields: fields
                // No two requests are the same, so that the same bytes on another connection are a retry.
                .with("X-Request-Id", &number.to_string())
                .with("User-Agent", concat!("finrace/", env!("CARGO_PKG_VERSION"))),
            keep_alive: true,
            body: vec![b'.'; *body_bytes],
        };
        self.sent.fetch_add(1, Ordering::Relaxed);
        stream.send(&request.encode()).await?;
        let response = stream.read_response(method).await?;
        let keeps = response.keep_alive && !stream.has_leftover();
        Ok((response.code.to_string(), keeps.then_some(stream)))
    }
}
