//! What natural traffic in the lab lost, beside what the model expected: the answer of `finrace soak`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Cause, Party};

/// Version of the layout of [`Soak`].
pub const SOAK_SCHEMA: u32 = 1;

/// One soak.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Soak {
    /// Version of this layout.
    pub schema: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// The side that sends requests.
    pub proxy: Party,
    /// The side that answers.
    pub backend: Party,
    /// One-way delay of the wire.
    pub delay_ns: i64,
    /// Pools side by side, each with a backend of its own.
    pub pools: u32,
    /// How a pool uses its connections, in words.
    pub pool: String,
    /// When requests were due, in words.
    pub arrivals: String,
    /// Seed of the arrivals, and of the model's simulation.
    pub seed: u64,
    /// From the first request due to the last answer.
    pub elapsed_ns: i64,
    /// It was interrupted; what is here had been found until then.
    pub interrupted: bool,
    /// The captures hold every packet that the wire forwarded.
    pub complete: bool,
    /// What they lack, in sentences.
    pub missing: Vec<String>,
    /// Packets in the proxy's capture.
    pub packets: u64,
    /// Requests that the proxy sent to its backend, by the packets.
    pub requests: u64,
    /// What users saw, by status or in words, with how often.
    pub answers: BTreeMap<String, u64>,
    /// Requests lost, by cause.
    pub causes: Vec<SoakCause>,
    /// Requests lost to a close of the backend's idle timer, of [`Soak::requests`].
    pub lost: SoakShare,
    /// What the packets say of timer, path and traffic.
    pub measured: SoakMeasured,
    /// Packets took the time that the wire was set to, more or less: the machine kept up.
    pub quiet: bool,
    /// What the model expected.
    pub predictions: Vec<SoakPrediction>,
    /// Sentences the reader needs before believing the numbers.
    pub notes: Vec<String>,
}

/// Requests lost to one cause.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SoakCause {
    /// Why they died.
    pub cause: Cause,
    /// How many.
    #[serde(flatten)]
    pub share: SoakShare,
}

/// A number of requests, and which share of all that is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct SoakShare {
    /// Requests.
    pub count: u64,
    /// Their share of all.
    pub share: f64,
    /// The share's 95 % interval (Wilson): its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// What the packets say of the setting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct SoakMeasured {
    /// Idle times after which the backend closed: their mean, by the backend's clock.
    pub timer_ns: Option<i64>,
    /// Their standard deviation.
    pub timer_spread_ns: Option<i64>,
    /// How many there were.
    pub timers: u64,
    /// A request's way to the backend, on average.
    pub delay_ns: Option<i64>,
    /// Its standard deviation.
    pub delay_spread_ns: Option<i64>,
    /// The backend's time for an answer, on average.
    pub response_ns: Option<i64>,
    /// Requests per second of each pool.
    pub rate_per_s: f64,
}

/// What the model expected.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SoakPrediction {
    /// `settings`: simulated with rate, timers and delay as they were set. `formula`: of the same, where there is one.
    /// `packets`: simulated with the arrivals, timers and delays that the captures show.
    pub from: String,
    /// Share of the requests.
    pub share: f64,
    /// One standard error.
    pub error: f64,
    /// The model and the measurement differ by this many standard errors of both together.
    pub apart: f64,
    /// They differ by no more than three.
    pub agree: bool,
}
