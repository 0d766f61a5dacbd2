//! What one lab run did: the experiment around the packets.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Cause, Side};

/// One run of a scenario in the lab.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Run {
    /// Name of the scenario.
    pub scenario: String,
    /// What it is, in one sentence.
    pub summary: String,
    /// `wire` (two network namespaces and a link between them) or `loopback`.
    pub lab: String,
    /// One-way delay of the wire; none on loopback.
    pub delay_ns: Option<i64>,
    /// What the wire was told to do, in words: `hold the backend's FIN until a request has passed`.
    pub wire_rules: Vec<String>,
    /// The side that sends requests.
    pub proxy: Party,
    /// The side that answers.
    pub backend: Party,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
    /// Attempts that ran at the same time, at most.
    pub side_by_side: u32,
    /// From the first packet to the last answer.
    pub elapsed_ns: i64,
    /// The captures hold every packet that the wire forwarded.
    pub complete: bool,
    /// What they lack, in sentences.
    pub missing: Vec<String>,
    /// The run was interrupted; what is here had been found until then.
    pub interrupted: bool,
    /// What was expected, and whether it came.
    pub expectation: Expectation,
    /// New lines of the products' own logs, by party.
    pub product_logs: Vec<ProductLog>,
}

/// Proxy or backend.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Party {
    /// `toy proxy`, `nginx`.
    pub name: String,
    /// The version it states, where it is a real program: `1.22.1`.
    pub version: Option<String>,
    /// How long it keeps idle connections; none where the scenario does not say.
    pub idle_timeout_ns: Option<i64>,
}

impl Party {
    /// Name, and version where there is one: `nginx 1.22.1`.
    pub fn title(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.clone(),
        }
    }
}

/// One attempt to lose a request.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Attempt {
    /// 1-based.
    pub number: u32,
    /// What the user got: `502 Bad Gateway`, `200 OK`, `empty reply`.
    pub outcome: String,
    /// HTTP status, where there was one.
    pub status: Option<u16>,
    /// What the packets say; none when no request died.
    pub cause: Option<Cause>,
    /// The lost request was sent again by the proxy.
    pub retried: bool,
    /// The second request was sent, at first, over the connection that the first had left idle: only then can that one's
    /// end have met it. None where the proxy sent it over none, or nobody saw it.
    pub reused: Option<bool>,
    /// Idle time before the second request.
    pub idle_ns: i64,
    /// When the second request left the proxy, measured from when the FIN left the backend. Needs captures of both ends;
    /// none where no FIN met a request.
    pub request_after_fin_ns: Option<i64>,
    /// How long that FIN was on its way: a request that leaves within this time is lost.
    pub fin_flight_ns: Option<i64>,
    /// Which side closed the first connection first.
    pub closed_first: Option<Side>,
    /// Wireshark's `tcp.stream` of the connection in the proxy's capture.
    pub stream: Option<u32>,
    /// Anything unusual.
    pub note: Option<String>,
}

/// What was expected of a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Expectation {
    /// In words.
    pub text: String,
    /// Whether every attempt met it.
    pub held: bool,
}

/// What a real program wrote about it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProductLog {
    /// The program.
    pub name: String,
    /// The file in the run directory.
    pub file: String,
    /// Its last lines, printable.
    pub lines: Vec<String>,
}
