//! The driver: plays the user. Each attempt sends one request, waits for the scenario's moment, and sends another.

mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use self::watch::Watch;
use super::events::{Actor, Connection, Event, EventLog, Turn, What, now_ns};
use super::http::{Fields, HttpError, HttpStream, Request};
use super::scenario::{Backend, Party, Proxy, Scenario, SendWhen, Traffic, format_duration};

/// How long an answer may take: longer than the proxy's attempt to connect, and than any hold of the wire.
const ANSWER_AT_MOST: Duration = Duration::from_secs(30);

/// How long the wire may be late, beyond its own delay, in reporting a request of a real proxy.
const REPORT_MARGIN: Duration = Duration::from_millis(100);

/// How long a real proxy may answer by itself before it knows its backend (Traefik listens before it has read its
/// routes, measured), and how often it is asked meanwhile.
const KNOWS_BACKEND_WITHIN: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Bytes of a body that are kept to be shown.
const EXCERPT: usize = 200;

/// What the user saw of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An HTTP response.
    Status {
        /// Status code.
        code: u16,
        /// Beginning of the body, in printable ASCII.
        body_excerpt: String,
    },
    /// The connection ended without a byte of an answer.
    EmptyReply,
    /// The connection was reset without a byte of an answer.
    Reset,
    /// Nobody listens.
    Refused,
    /// No answer within the time given.
    NoAnswer,
    /// The request was not sent.
    NotSent {
        /// Why.
        reason: String,
    },
    /// Anything else.
    Failed {
        /// What.
        reason: String,
    },
}

impl Outcome {
    /// The status code, where there was a response.
    pub fn status(&self) -> Option<u16> {
        match self {
            Outcome::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    fn is_success(&self) -> bool {
        self.status().is_some_and(|code| (200..300).contains(&code))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Status { code, .. } => write!(f, "{code}"),
            Outcome::EmptyReply => f.write_str("connection closed without an answer"),
            Outcome::Reset => f.write_str("connection reset without an answer"),
            Outcome::Refused => f.write_str("connection refused"),
            Outcome::NoAnswer => write!(f, "no answer within {}", format_duration(ANSWER_AT_MOST)),
            Outcome::NotSent { reason } => write!(f, "not sent: {reason}"),
            Outcome::Failed { reason } => f.write_str(reason),
        }
    }
}

/// One attempt and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// Counted from 0.
    pub lane: usize,
    /// The connection between proxy and backend that the first request left idle.
    pub connection: Option<Connection>,
    /// The connection on which the proxy sent the second request (at first, if it was sent twice); none where it sent
    /// none, or nobody reported it.
    pub sent_on: Option<Connection>,
    /// What the user saw of the first request.
    pub warm_up: Outcome,
    /// What the user saw of the second.
    pub outcome: Outcome,
    /// The proxy sent the second request again on another connection.
    pub retried: bool,
    /// From the first answer to the second request, at the driver.
    pub idle: Duration,
    /// Who closed [`Attempt::connection`] first, where somebody did before the attempt ended.
    pub closed_first: Option<Party>,
    /// When the second request was sent.
    pub sent_ns: Option<i64>,
    /// When its answer was complete, or had failed.
    pub answered_ns: Option<i64>,
}

/// Sends a scenario's traffic.
pub struct Driver {
    traffic: Traffic,
    proxies: Vec<SocketAddr>,
    proxy_reports: bool,
    backend: String,
    trigger_at_most: Duration,
    report_at_most: Duration,
    log: EventLog,
    before_second: Box<dyn Fn() + Send + Sync>,
}

impl Driver {
    /// A driver for the proxy's addresses, one for each lane. Only toys report their events; of real programs the
    /// driver knows what the wire reports to the log.
    pub fn new(scenario: &Scenario, proxies: &[SocketAddr], log: EventLog) -> Self {
        Self {
            traffic: scenario.traffic.clone(),
            proxies: proxies.to_vec(),
            proxy_reports: matches!(scenario.proxy, Proxy::Toy(_)),
            backend: match &scenario.backend {
                Backend::Toy(_) => "the toy backend".into(),
                Backend::Program(program) => program.name.clone(),
            },
            trigger_at_most: scenario.trigger_at_most(),
            report_at_most: scenario.wire.delay + REPORT_MARGIN,
            log,
            before_second: Box::new(|| ()),
        }
    }

    /// Does something before each second request: what happens later is about it.
    pub fn before_second(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.before_second = Box::new(hook);
        self
    }

    /// Runs every attempt, several lanes side by side, and sends each result when it is there: within a lane in
    /// order, between lanes as they come. Ends early when nobody receives any more.
    ///
    /// Must be called where its sockets are to live: in the edge host's thread.
    pub async fn run(self, results: UnboundedSender<Attempt>) {
        let driver = Arc::new(self);
        let mut lanes = JoinSet::new();
        for lane in 0..driver.proxies.len() {
            lanes.spawn(driver.clone().run_lane(lane, results.clone()));
        }
        while lanes.join_next().await.is_some() {}
    }

    /// Lane k of n takes every n-th attempt, so that the same attempt always has the same idle time and lane.
    async fn run_lane(self: Arc<Self>, lane: usize, results: UnboundedSender<Attempt>) {
        let mut events = self.log.follow(lane);
        for number in (1..=self.traffic.attempts).skip(lane).step_by(self.proxies.len()) {
            let attempt = self.attempt(number, lane, &mut events).await;
            if results.send(attempt).is_err() {
                return;
            }
        }
    }

    async fn attempt(&self, number: u32, lane: usize, events: &mut UnboundedReceiver<Event>) -> Attempt {
        // What still comes of the attempt before is not about this one.
        while events.try_recv().is_ok() {}
        self.log.begin_attempt(lane, number);
        let mut watch = Watch::new(self.traffic.send_when, self.proxy_reports);
        let mut client = None;
        let mut warm_up = self.request(number, lane, Turn::WarmUp, &mut client).await;
        let mut answered = Instant::now();
        watch.take_all(events);
        let deadline = answered + KNOWS_BACKEND_WITHIN;
        while !self.proxy_reports
            && !warm_up.is_success()
            && watch.connection.is_none()
            && answered < deadline
        {
            sleep(ASK_EVERY).await;
            warm_up = self.request(number, lane, Turn::WarmUp, &mut client).await;
            answered = Instant::now();
            watch.take_all(events);
        }
        let moment = if warm_up.is_success() {
            self.moment(number, answered, &mut watch, events).await
        } else {
            Err(format!("the first request already failed ({warm_up})"))
        };
        let idle = answered.elapsed();
        let (mut sent_ns, mut answered_ns) = (None, None);
        let outcome = match moment {
            Ok(()) => {
                (self.before_second)();
                watch.second_is_sent(*sent_ns.insert(now_ns()));
                let outcome = self.request(number, lane, Turn::Second, &mut client).await;
                answered_ns = Some(now_ns());
                self.wait_for_report(&mut watch, events).await;
                outcome
            }
            Err(reason) => {
                self.log.record(Actor::Driver, lane, None, What::NotSent { reason: reason.clone() });
                Outcome::NotSent { reason }
            }
        };
        watch.take_all(events);
        let Watch { connection, sent_on, retried, closed_first, .. } = watch;
        Attempt {
            number,
            lane,
            connection,
            sent_on,
            warm_up,
            outcome,
            retried,
            idle,
            closed_first,
            sent_ns,
            answered_ns,
        }
    }

    /// Waits until the second request is to be sent; the error says why that moment did not come.
    async fn moment(
        &self,
        number: u32,
        answered: Instant,
        watch: &mut Watch,
        events: &mut UnboundedReceiver<Event>,
    ) -> Result<(), String> {
        if self.traffic.send_when == SendWhen::Idle {
            sleep_until(answered + self.idle_of(number)).await;
        } else {
            let deadline = answered + self.trigger_at_most;
            while !watch.moment_has_come {
                match timeout_at(deadline, events.recv()).await {
                    Ok(Some(event)) => watch.take(&event),
                    Ok(None) => return Err("the event log ended".into()),
                    Err(_) => return Err(self.missing_moment()),
                }
            }
        }
        if !self.traffic.send_after.is_zero() {
            sleep(self.traffic.send_after).await;
        }
        Ok(())
    }

    /// An answer can be there before the request is: the FIN of a race ends it while the request is still on its way.
    /// Of a real proxy only the request's arrival tells the connection.
    async fn wait_for_report(&self, watch: &mut Watch, events: &mut UnboundedReceiver<Event>) {
        let deadline = Instant::now() + self.report_at_most;
        while !self.proxy_reports && watch.sent_on.is_none() {
            match timeout_at(deadline, events.recv()).await {
                Ok(Some(event)) => watch.take(&event),
                // A proxy that answers by itself sends nothing.
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn missing_moment(&self) -> String {
        let Self { backend, .. } = self;
        let awaited = match self.traffic.send_when {
            SendWhen::FinOnWire => format!("a FIN of {backend} was not seen on the wire"),
            SendWhen::FinDelivered => format!("a FIN of {backend} was not delivered"),
            SendWhen::BackendTimer => format!("the idle timer of {backend} did not fire"),
            SendWhen::Idle => "the idle time did not end".into(),
        };
        let limit = format_duration(self.trigger_at_most);
        format!(
            "{awaited} within {limit} of the first answer; is its idle timeout longer than the scenario says?"
        )
    }

    /// Attempts are spread evenly over the range, both ends included.
    fn idle_of(&self, number: u32) -> Duration {
        let [from, to] = self.traffic.idle.unwrap_or_default();
        let steps = self.traffic.attempts.saturating_sub(1).max(1);
        from + (to.saturating_sub(from)) * (number - 1) / steps
    }

    /// One request on a connection of its own, as from a user who has not been here before; or on the one kept in
    /// `client`, where the scenario says that the user stays.
    async fn request(
        &self,
        attempt: u32,
        lane: usize,
        turn: Turn,
        client: &mut Option<HttpStream>,
    ) -> Outcome {
        self.log.record(Actor::Driver, lane, None, What::Sent { request: turn });
        let request_id = format!("{attempt}-{}", if turn == Turn::WarmUp { 1 } else { 2 });
        let exchanged = timeout(ANSWER_AT_MOST, self.exchange(self.proxies[lane], &request_id, client)).await;
        let outcome = exchanged.unwrap_or(Outcome::NoAnswer);
        let told = What::Answered { request: turn, outcome: outcome.to_string() };
        self.log.record(Actor::Driver, lane, None, told);
        outcome
    }

    async fn exchange(
        &self,
        proxy: SocketAddr,
        request_id: &str,
        client: &mut Option<HttpStream>,
    ) -> Outcome {
        let mut stream = match client.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(proxy).await.and_then(HttpStream::new) {
                Ok(stream) => stream,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    return Outcome::Refused;
                }
                Err(error) => {
                    return Outcome::Failed { reason: format!("cannot connect to {proxy}: {error}") };
                }
            },
        };
        match self.ask(&mut stream, proxy, request_id).await {
            Ok((outcome, keep_alive)) => {
                *client = (keep_alive && self.traffic.same_client).then_some(stream);
                outcome
            }
            Err(HttpError::Closed) => Outcome::EmptyReply,
            Err(error) if error.is_reset() => Outcome::Reset,
            Err(error) => Outcome::Failed { reason: error.to_string() },
        }
    }

    async fn ask(
        &self,
        stream: &mut HttpStream,
        proxy: SocketAddr,
        request_id: &str,
    ) -> Result<(Outcome, bool), HttpError> {
        let Traffic { method, path, body_bytes, same_client, .. } = &self.traffic;
        let fields = Fields::default()
            .with("Host", &proxy.to_string())
            // No two requests of a run are the same, so that the same bytes on another connection are a retry.
            .with("X-Request-Id", request_id)
            .with("User-Agent", concat!("finrace/", env!("CARGO_PKG_VERSION")))
            .with("Accept", "*/*");
        let fields = if *body_bytes > 0 { fields.with("Content-Type", "text/plain") } else { fields };
        let request = Request {
            method: method.clone(),
            target: path.clone(),
            fields,
            keep_alive: *same_client,
            body: vec![b'.'; *body_bytes],
        };
        stream.send(&request.encode()).await?;
        let response = stream.read_response(method).await?;
        let excerpt = response.body.iter().take(EXCERPT);
        let printable = excerpt.map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' });
        let body_excerpt = printable.collect::<String>().trim().to_owned();
        Ok((Outcome::Status { code: response.code, body_excerpt }, response.keep_alive))
    }
}

#[cfg(test)]
mod tests;
