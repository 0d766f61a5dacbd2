//! The tables of a scenario file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Program, duration, parse};
use crate::report::Cause;

/// One of the two programs under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The client of the TCP connection: it sends requests.
    Proxy,
    /// The server of the TCP connection.
    Backend,
}

impl Party {
    /// The word used in scenarios and output.
    pub const fn token(self) -> &'static str {
        match self {
            Party::Proxy => "proxy",
            Party::Backend => "backend",
        }
    }
}

/// The proxy of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Proxy {
    /// finrace's own.
    Toy(ToyProxy),
    /// A real program.
    Program(Box<Program>),
}

/// The backend of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Backend {
    /// finrace's own.
    Toy(ToyBackend),
    /// A real program.
    Program(Box<Program>),
}

/// Settings of the toy proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct ToyProxy {
    /// The pool closes a connection that was idle for this long.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// Which requests are sent once more when a reused connection dies before any byte of an answer.
    pub retry: Retry,
    /// Look for a FIN or RST on a pooled connection before a request is sent on it.
    pub check_before_reuse: bool,
    /// Idle connections kept; the longest idle one goes first.
    pub max_idle: usize,
    /// Which idle connection the next request uses.
    #[serde(skip_serializing_if = "Reuse::is_default")]
    pub reuse: Reuse,
    /// First lane's port.
    pub port: u16,
    /// Whose words it speaks: error page and access log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imitates: Option<Imitated>,
}

impl Default for ToyProxy {
    fn default() -> Self {
        let idle_timeout = Duration::from_secs(60);
        Self {
            idle_timeout,
            retry: Retry::Never,
            check_before_reuse: true,
            max_idle: 64,
            reuse: Reuse::Lifo,
            port: 8080,
            imitates: None,
        }
    }
}

/// Which idle connection of a pool is used next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reuse {
    /// The one used last.
    #[default]
    Lifo,
    /// The one idle longest.
    Fifo,
    /// Any of them.
    Random,
}

impl Reuse {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_default(&self) -> bool {
        *self == Reuse::default()
    }
}

/// A proxy that cannot be run here, whose page and log the toy can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Imitated {
    /// Application Load Balancer of Amazon Web Services.
    AwsAlb,
}

impl Imitated {
    /// The word used in scenarios and output.
    pub const fn token(self) -> &'static str {
        match self {
            Imitated::AwsAlb => "aws-alb",
        }
    }
}

/// Which requests the toy proxy repeats on a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// None.
    Never,
    /// Methods that may be repeated without harm (RFC 9110 section 9.2.2).
    Idempotent,
    /// All.
    Always,
}

impl Retry {
    /// Whether a request with this method is repeated.
    pub fn allows(self, method: &str) -> bool {
        match self {
            Retry::Never => false,
            Retry::Idempotent => matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"),
            Retry::Always => true,
        }
    }
}

/// Settings of the toy backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct ToyBackend {
    /// A connection is closed when it was idle for this long since the last byte of the last response.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// A connection is closed when no request has begun for this long since it was accepted (Node: `headersTimeout`).
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// How it is closed.
    pub close: Close,
    /// Close after this many responses; 0 is no limit.
    pub max_requests: u32,
    /// Say `Connection: close` in the last response before that limit.
    pub announce_close: bool,
    /// Time from the last byte of a request to the first byte of its response.
    #[serde(with = "duration")]
    pub response_delay: Duration,
    /// Bytes of a response's body.
    pub response_bytes: usize,
    /// First lane's port.
    pub port: u16,
}

impl Default for ToyBackend {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(60),
            close: Close::Fin,
            max_requests: 0,
            announce_close: false,
            response_delay: Duration::ZERO,
            response_bytes: 120,
            port: 3000,
        }
    }
}

/// How the toy backend closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Close {
    /// `close()` with nothing unread: the kernel sends FIN, and RST to whatever still comes.
    Fin,
    /// `shutdown(SHUT_WR)`, then read and throw away until the peer closes (Apache's lingering close).
    HalfClose,
    /// `SO_LINGER` 0: RST at once, no FIN.
    Reset,
    /// Decide to close, let a request land, `close()` without reading it: RST+ACK, no FIN.
    Unread,
}

/// The link between the two hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Wire {
    /// IP version.
    pub family: Family,
    /// Time a packet takes, one way.
    #[serde(with = "duration")]
    pub delay: Duration,
    /// Packets kept back until another has passed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hold: Vec<Hold>,
    /// Packets lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<Loss>,
}

impl Default for Wire {
    fn default() -> Self {
        Self { family: Family::Ipv4, delay: Duration::from_millis(5), hold: Vec::new(), drop: Vec::new() }
    }
}

/// IP version of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// 192.0.2.0/24 (RFC 5737).
    Ipv4,
    /// 2001:db8::/32 (RFC 3849).
    Ipv6,
}

/// Keeps one packet of a connection back until another, from the other side, has passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Hold {
    /// Who sends the packet that waits.
    pub from: Party,
    /// Which packet waits.
    pub packet: Packet,
    /// What it waits for, sent by the other side of the same connection.
    pub until: Packet,
    /// It waits no longer than this.
    #[serde(with = "duration", default = "hold_at_most")]
    pub at_most: Duration,
}

fn hold_at_most() -> Duration {
    Duration::from_secs(2)
}

/// Loses packets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Loss {
    /// Who sends them.
    pub from: Party,
    /// Which.
    pub packet: Packet,
    /// How many of each connection.
    #[serde(default = "one")]
    pub count: u32,
}

fn one() -> u32 {
    1
}

/// What a packet is within its connection; each is at most one of these.
///
/// A retransmission of something that has passed the wire, and a FIN that answers a FIN, are none of them: only
/// [`Packet::Any`] matches those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packet {
    /// SYN without ACK, of the proxy.
    Syn,
    /// SYN with ACK, of the backend.
    SynAck,
    /// New payload from the proxy.
    Request,
    /// New payload from the backend, with or without FIN.
    Response,
    /// The first FIN of a connection, without payload: one side closes and the other has not (an idle close).
    Fin,
    /// RST, with or without ACK.
    Rst,
    /// Neither payload nor SYN, FIN, RST.
    Ack,
    /// Every packet; never what a packet is.
    Any,
}

impl Packet {
    /// The word used in scenarios.
    pub const fn token(self) -> &'static str {
        match self {
            Packet::Syn => "syn",
            Packet::SynAck => "syn-ack",
            Packet::Request => "request",
            Packet::Response => "response",
            Packet::Fin => "fin",
            Packet::Rst => "rst",
            Packet::Ack => "ack",
            Packet::Any => "any",
        }
    }

    /// Whether a rule about `self` speaks of a packet that is `found`.
    pub(in crate::lab) fn covers(self, found: Option<Packet>) -> bool {
        self == Packet::Any || Some(self) == found
    }

    /// The only side that can send it, where only one can.
    pub const fn sender(self) -> Option<Party> {
        match self {
            Packet::Syn | Packet::Request => Some(Party::Proxy),
            Packet::SynAck | Packet::Response => Some(Party::Backend),
            Packet::Fin | Packet::Rst | Packet::Ack | Packet::Any => None,
        }
    }
}

/// What is asked, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Traffic {
    /// HTTP method of both requests of an attempt.
    pub method: String,
    /// Their path.
    pub path: String,
    /// Bytes of their bodies.
    pub body_bytes: usize,
    /// The moment at which the second request is sent.
    pub send_when: SendWhen,
    /// Further wait after that moment.
    #[serde(with = "duration")]
    pub send_after: Duration,
    /// For `send_when = "idle"`: attempts are spread evenly from the first to the second.
    #[serde(with = "duration::range", skip_serializing_if = "Option::is_none")]
    pub idle: Option<[Duration; 2]>,
    /// Both requests of an attempt come from one client over one connection, as a browser's do. Proxies treat a failure
    /// behind a client's first request and behind a later one differently.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub same_client: bool,
    /// How often all of it is done.
    pub attempts: u32,
    /// Attempts at one time, each on ports and a pool of its own.
    pub side_by_side: usize,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: "/".into(),
            body_bytes: 0,
            send_when: SendWhen::FinOnWire,
            send_after: Duration::ZERO,
            idle: None,
            same_client: false,
            attempts: 1,
            side_by_side: 32,
        }
    }
}

/// The moment at which the second request of an attempt is sent. If the proxy closes the connection first, the
/// request is sent then: waiting longer cannot bring the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendWhen {
    /// The backend's FIN has left its host and has not reached the proxy's; or the RST of one that closes without a FIN.
    FinOnWire,
    /// The backend's FIN has reached the proxy's host.
    FinDelivered,
    /// The toy backend's idle timer has fired.
    BackendTimer,
    /// A time after the first response.
    Idle,
}

impl SendWhen {
    /// The word used in scenarios.
    pub const fn token(self) -> &'static str {
        match self {
            SendWhen::FinOnWire => "fin-on-wire",
            SendWhen::FinDelivered => "fin-delivered",
            SendWhen::BackendTimer => "backend-timer",
            SendWhen::Idle => "idle",
        }
    }
}

/// What the run must show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Expect {
    /// Cause of every attempt's incident; none where nothing may die.
    #[serde(with = "parse::cause_or_none")]
    pub cause: Option<Cause>,
    /// The status that the user saw.
    pub status: u16,
    /// The proxy sent the request again on another connection.
    #[serde(default)]
    pub retried: bool,
    /// Who closes the idle connections: the first to close each one that is closed while its attempt lasts, and there
    /// is at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_first: Option<Party>,
}

impl Expect {
    /// Every user gets an answer, and no packet shows a lost request.
    pub fn nothing_lost() -> Self {
        Self { cause: None, status: 200, retried: false, closes_first: None }
    }
}

impl Proxy {
    /// Idle time after which it closes a pooled connection, as far as the scenario knows.
    pub fn idle_timeout(&self) -> Option<Duration> {
        match self {
            Proxy::Toy(toy) => Some(toy.idle_timeout),
            Proxy::Program(program) => program.idle_timeout(),
        }
    }

    /// First port it listens on.
    pub fn port(&self) -> u16 {
        match self {
            Proxy::Toy(toy) => toy.port,
            Proxy::Program(program) => program.port,
        }
    }

    /// Its name in sentences.
    pub fn name(&self) -> &str {
        match self {
            Proxy::Toy(ToyProxy { imitates: Some(Imitated::AwsAlb), .. }) => "toy aws-alb",
            Proxy::Toy(_) => "toy proxy",
            Proxy::Program(program) => &program.name,
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Proxy::Toy(ToyProxy::default())
    }
}

impl Backend {
    /// Idle time after which it closes a connection, as far as the scenario knows.
    pub fn idle_timeout(&self) -> Option<Duration> {
        match self {
            Backend::Toy(toy) => Some(toy.idle_timeout),
            Backend::Program(program) => program.idle_timeout(),
        }
    }

    /// First port it listens on.
    pub fn port(&self) -> u16 {
        match self {
            Backend::Toy(toy) => toy.port,
            Backend::Program(program) => program.port,
        }
    }

    /// Its name in sentences.
    pub fn name(&self) -> &str {
        match self {
            Backend::Toy(_) => "toy backend",
            Backend::Program(program) => &program.name,
        }
    }
}

impl Default for Backend {
    fn default() -> Self {
        Backend::Toy(ToyBackend::default())
    }
}
