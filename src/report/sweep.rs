//! What a sweep found: the map of the race window. A document of its own, with a schema of its own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Cause, Party};

/// Version of the layout of a sweep's JSON; raised when a reader of the old one would break.
pub const SWEEP_SCHEMA_VERSION: u32 = 1;

/// The JSON schema (2020-12) of [`Sweep`], pretty-printed with a closing newline, as kept in `docs/sweep.schema.json`.
pub fn sweep_json_schema() -> String {
    let schema = schemars::schema_for!(Sweep);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}

/// One sweep: at which idle times requests are lost, and how likely.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Sweep {
    /// Version of this layout.
    pub schema: u32,
    /// The backend; of a live server its name is the URL asked for.
    pub backend: Party,
    /// `wire` (two network namespaces and a link between them), `loopback`, or `live` (a server elsewhere).
    pub place: String,
    /// One-way delay that the wire was given; none elsewhere.
    pub delay_ns: Option<i64>,
    /// A packet there and one back: the median from SYN to its answer, by packets on the client's host, or by the
    /// program's own clock where nothing was captured.
    pub rtt_ns: Option<i64>,
    /// Idle times and causes are those of recorded packets; otherwise they are what the sockets told.
    pub by_packets: bool,
    /// What chose the idle times, together with what was seen: `--seed`.
    pub seed: u64,
    /// What the sweep was allowed.
    pub limits: SweepLimits,
    /// From the first preparation to the last answer.
    pub elapsed_ns: i64,
    /// Most connections open at one time.
    pub side_by_side: u64,
    /// Somebody ended it; what is here had been found until then.
    pub interrupted: bool,
    /// Both edges are known as well as was asked; none where no precision was asked for.
    pub precise: Option<bool>,
    /// The captures hold every packet; none where nothing was captured.
    pub complete: Option<bool>,
    /// What limits the value of the numbers, in sentences.
    pub notes: Vec<String>,
    /// What became of the connections.
    pub counts: SweepCounts,
    /// Lost requests by cause, as the packets prove it, the same at both ends.
    pub by_cause: BTreeMap<Cause, u64>,
    /// After which idle time the backend closes, from connections that were only watched.
    pub timer: Option<ObservedTimer>,
    /// How much later than planned second requests were sent.
    pub lateness: Option<Lateness>,
    /// The window as measured.
    pub window: Option<Window>,
    /// The window as the model has it.
    pub expected: Option<ExpectedWindow>,
    /// The share lost over idle times.
    pub bins: Vec<Bin>,
}

/// Bounds that a sweep keeps.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SweepLimits {
    /// Connections in all.
    pub attempts: u64,
    /// Connections at one time.
    pub connections: u64,
    /// New connections a second.
    pub rate: f64,
    /// Time.
    pub time_ns: i64,
    /// How well both edges are to be known, where that was asked for.
    pub precision_ns: Option<i64>,
}

/// What became of the connections of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SweepCounts {
    /// Connections opened that ended.
    pub connections: u64,
    /// Left alone, to see when the backend closes them.
    pub watched: u64,
    /// Used again, and answered.
    pub answered: u64,
    /// Found closed when they were to be used: nothing was sent.
    pub closed_before: u64,
    /// The second request was sent and lost.
    pub lost: u64,
    /// Lost requests that were answered when they were sent once more, on a new connection (`--retry`).
    pub retried: u64,
    /// Lost requests whose cause the packets at both ends prove alike.
    pub proven: u64,
    /// The first request was not answered, or the answer ended the connection: they say nothing.
    pub unusable: u64,
}

/// After which idle time the backend closes: from the response to the close, both as they left the backend where packets
/// were captured there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ObservedTimer {
    /// Closes observed.
    pub count: u64,
    /// Earliest.
    pub min_ns: i64,
    /// 5 % are not later.
    pub p5_ns: i64,
    /// Half are not later.
    pub median_ns: i64,
    /// 95 % are not later.
    pub p95_ns: i64,
    /// Latest.
    pub max_ns: i64,
}

/// How much later than planned second requests were sent, by the sender's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Lateness {
    /// Half are not later.
    pub median_ns: i64,
    /// 99 % are not later.
    pub p99_ns: i64,
    /// The latest.
    pub max_ns: i64,
}

/// One edge of the window with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WindowEdge {
    /// The idle time.
    pub at_ns: i64,
    /// With 95 % it is not below this.
    pub low_ns: i64,
    /// Nor above this.
    pub high_ns: i64,
}

/// The race window: idle times at which requests are lost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Window {
    /// From this idle time on half of the requests come too late.
    pub opens: WindowEdge,
    /// From this idle time on half of the closes are seen before anything is sent.
    pub closes: WindowEdge,
    /// Between the two.
    pub width_ns: i64,
    /// The same in round trips; none where the round trip is not known, or the edges are not known well enough to say
    /// that there is a width.
    pub width_rtt: Option<f64>,
    /// The share lost of the requests between the two; none where none was sent there.
    pub share: Option<f64>,
}

/// The window that the model expects of the timer that was watched and the round trip that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct ExpectedWindow {
    /// Median of the timer, less one round trip.
    pub opens_ns: i64,
    /// Median of the timer.
    pub closes_ns: i64,
    /// One round trip.
    pub width_ns: i64,
    /// Measured less expected.
    pub opens_difference_ns: Option<i64>,
    /// Measured less expected.
    pub closes_difference_ns: Option<i64>,
    /// Measured less expected, as a share of the expected; none where the measured width is not known.
    pub width_difference: Option<f64>,
}

/// A range of idle times and what became of the connections used then.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Bin {
    /// From this idle time, inclusive.
    pub from_ns: i64,
    /// To this, exclusive.
    pub to_ns: i64,
    /// Connections used, or found closed, in it.
    pub attempts: u64,
    /// Answered.
    pub answered: u64,
    /// Found closed.
    pub closed_before: u64,
    /// Lost.
    pub lost: u64,
    /// Lost, by cause; those without a proven cause are in none.
    pub by_cause: BTreeMap<Cause, u64>,
    /// Lost, as a share of the attempts; none without attempts.
    pub share: Option<f64>,
    /// With 95 % the share is not below this (Wilson's score interval).
    pub share_low: f64,
    /// Nor above this.
    pub share_high: f64,
    /// The share that the model expects.
    pub expected: Option<f64>,
}

/// One connection of a sweep: a row of `attempts.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepAttempt {
    /// Counted from 1, in the order of opening.
    pub number: u32,
    /// The client's address and port.
    pub client: Option<String>,
    /// The idle time that was planned; none for a connection that was only watched.
    pub planned_ns: Option<i64>,
    /// The idle time as packets and clock prove it: from the arrival of the response to the second request.
    pub idle_ns: Option<i64>,
    /// How much later than planned the second request was sent, by the sender's clock.
    pub late_ns: Option<i64>,
    /// `answered`, `closed-before`, `lost`, `still-open` or `unusable`.
    pub fate: String,
    /// What the socket told.
    pub detail: String,
    /// What the packets prove of a lost request.
    pub cause: Option<Cause>,
    /// After which idle time the backend closed, of a connection that was only watched.
    pub timer_ns: Option<i64>,
    /// Whether a lost request was answered when it was sent once more; none where it was not.
    pub retried: Option<bool>,
}
