//! What the race is expected to cost: the answer of `finrace odds`.

use schemars::JsonSchema;
use serde::Serialize;

/// Version of the layout of [`Odds`].
pub const ODDS_SCHEMA: u32 = 1;

/// Expected failures, now and after each possible change.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Odds {
    /// Version of this layout.
    pub schema: u32,
    /// Requests per second.
    pub rate_per_s: f64,
    /// When requests come, in words.
    pub arrivals: String,
    /// The proxy's timer for idle connections.
    pub proxy: OddsTimer,
    /// The server's.
    pub server: OddsTimer,
    /// Time that a packet takes, one way.
    pub delay_ns: i64,
    /// Its standard deviation.
    pub delay_spread_ns: i64,
    /// The server's time for an answer, on average.
    pub response_ns: i64,
    /// The pool, in words.
    pub pool: String,
    /// Connections of the pool, averaged over the simulated time; none where nothing had to be simulated.
    pub connections: Option<f64>,
    /// The first is the pair as it is; the others what each change would make of it.
    pub changes: Vec<OddsChange>,
    /// Requests that were simulated for each line.
    pub requests_simulated: u64,
    /// The seed of the simulation.
    pub seed: u64,
    /// Sentences the reader needs before believing the numbers.
    pub notes: Vec<String>,
}

/// One of the two idle timers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OddsTimer {
    /// Whose it is, as given.
    pub name: String,
    /// When it fires, on average; none where it never does.
    pub idle_ns: Option<i64>,
    /// Its standard deviation.
    pub spread_ns: i64,
    /// How that is known.
    pub known_from: String,
}

/// One line: a change, and what it makes of the failures.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OddsChange {
    /// `as-is`, `server-timer`, `proxy-timer`, `check`, `retry`, `pool` or `last-used-first`.
    pub change: String,
    /// In words.
    pub what: String,
    /// Requests that users see fail, a day.
    pub failing_per_day: f64,
    /// Half the width of its 95 % interval; 0 where a formula gave it.
    pub error_per_day: f64,
    /// One request in so many fails; none where none does.
    pub one_in: Option<f64>,
    /// Where the number is a bound from above, because it is not known how many requests may be sent again.
    pub at_most: bool,
    /// Which way the number was found: `window` (no request can be lost), `formula`, or `simulation`.
    pub method: String,
    /// By formula, a day; none where there is no formula.
    pub formula_per_day: Option<f64>,
    /// By simulation, a day; none where nothing had to be simulated.
    pub simulation_per_day: Option<f64>,
    /// Half the width of its 95 % interval.
    pub simulation_error_per_day: Option<f64>,
    /// Formula and simulation differ by no more than three standard errors; none where there is only one of them.
    pub agree: Option<bool>,
    /// What the formula leaves out, or why there is none.
    pub formula_note: Option<String>,
}
