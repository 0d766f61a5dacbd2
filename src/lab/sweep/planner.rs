//! Which idle time to try next: pure, so that it can be tested in virtual time.
//!
//! First some connections are only watched: they tell when the backend's timer fires. Then idle times are tried across
//! the window that this lets expect, and beyond it on both sides; the range is moved while one of its edges is not in
//! it. Once both edges are known roughly, most connections are used near them.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Attempt, Ending, Plan, Progress, Settings};
use crate::odds::statistics::{Edge, edge, quantile};

/// Every so many-th connection is only watched, so that a timer that depends on the load is measured under it.
const WATCH_EVERY: u32 = 20;
/// The range of idle times reaches at least this far beyond the window, ns.
const LEAST_MARGIN_NS: i64 = 1_000_000;
/// Idle times near an edge are at least this far apart from it, on either side, ns: nearer, the kernel's and the
/// driver's own jitter decide.
const LEAST_ZONE_NS: i64 = 200_000;
/// Results before the range is moved, and between two looks at the edges.
const LOOK_EVERY: usize = 20;
/// Repetitions of the bootstrap: enough to aim by.
const REPETITIONS: usize = 60;
/// Results before a requested precision counts as reached: chance is precise, too, with few.
const LEAST_RESULTS: usize = 120;
/// So many connections in a row that could not be used say that the others cannot be used either.
const FAILURES: u32 = 24;
/// Parts of the live picture.
const PARTS: usize = 32;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Open a connection for this.
    Plan(Plan),
    /// Nothing before another result is there.
    Wait,
    /// Nothing more.
    Done,
}

/// One result: an idle time and how it came out.
#[derive(Debug, Clone, Copy)]
struct Tried {
    idle_ns: i64,
    answered: bool,
    closed: bool,
}

/// Chooses idle times.
#[derive(Debug)]
pub struct Planner {
    random: ChaCha8Rng,
    seed: u64,
    attempts: u32,
    precision_ns: Option<i64>,
    watched_first: u32,
    planned: u32,
    /// Watched connections that have not ended yet.
    watching: u32,
    /// Idle times after which the backend closed a watched connection, ns, ascending.
    closes_ns: Vec<i64>,
    handshakes_ns: Vec<i64>,
    tried: Vec<Tried>,
    range: Option<(i64, i64)>,
    /// Where requests begin to come too late, and where closes begin to be seen.
    edges: [Option<Edge>; 2],
    looked_at: usize,
    /// Connections in a row of which the first request was not answered.
    failures: u32,
}

impl Planner {
    /// A planner that knows nothing yet.
    pub fn new(settings: &Settings) -> Planner {
        let nanoseconds = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Planner {
            random: ChaCha8Rng::seed_from_u64(settings.seed),
            seed: settings.seed,
            attempts: settings.attempts,
            precision_ns: settings.precision.map(nanoseconds),
            watched_first: settings.watched_first.min(settings.attempts),
            planned: 0,
            watching: 0,
            closes_ns: Vec::new(),
            handshakes_ns: Vec::new(),
            tried: Vec::new(),
            range: None,
            edges: [None; 2],
            looked_at: 0,
            failures: 0,
        }
    }

    /// Takes in how a connection ended.
    pub fn take(&mut self, attempt: &Attempt) {
        let nanoseconds = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        if let Some(handshake) = attempt.handshake {
            insert(&mut self.handshakes_ns, nanoseconds(handshake));
        }
        let failed = matches!(attempt.ending, Ending::NotIdle { .. });
        self.failures = if failed { self.failures + 1 } else { 0 };
        match attempt.plan {
            Plan::Watch => {
                self.watching = self.watching.saturating_sub(1);
                if let Ending::ClosedBefore { after, .. } = attempt.ending {
                    insert(&mut self.closes_ns, nanoseconds(after));
                }
            }
            Plan::Send(idle) => {
                let answered = matches!(attempt.ending, Ending::Answered { .. });
                let closed = matches!(attempt.ending, Ending::ClosedBefore { .. });
                if answered || closed || attempt.ending.is_lost() {
                    self.tried.push(Tried { idle_ns: nanoseconds(idle), answered, closed });
                }
            }
        }
        if self.tried.len() >= self.looked_at + LOOK_EVERY.max(self.tried.len() / 10) {
            self.look();
        }
    }

    /// What to do now.
    pub fn choose_next(&mut self) -> Next {
        if self.planned >= self.attempts || self.failures >= FAILURES || self.is_precise() {
            return Next::Done;
        }
        if self.planned < self.watched_first {
            return self.plan(Plan::Watch);
        }
        if self.range.is_none() {
            if self.watching > 0 {
                return Next::Wait;
            }
            self.range = self.expected_range();
        }
        let Some(range) = self.range else { return Next::Done };
        if self.planned.is_multiple_of(WATCH_EVERY) {
            return self.plan(Plan::Watch);
        }
        let idle_ns = self.choose(range).max(0);
        self.plan(Plan::Send(Duration::from_nanos(idle_ns as u64)))
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let mut parts = [(0_u32, 0_u32); PARTS];
        if let Some((from, to)) = self.range {
            let width = (to - from).max(1);
            for tried in &self.tried {
                let part = i128::from(tried.idle_ns - from) * PARTS as i128 / i128::from(width);
                if let Some(part) = usize::try_from(part).ok().and_then(|part| parts.get_mut(part)) {
                    part.0 += 1;
                    part.1 += u32::from(!tried.answered && !tried.closed);
                }
            }
        }
        let share = |(all, lost): (u32, u32)| (all > 0).then(|| f64::from(lost) / f64::from(all));
        Progress {
            planned: self.planned,
            attempts: self.attempts,
            calibrating: self.range.is_none(),
            lost: self.tried.iter().filter(|tried| !tried.answered && !tried.closed).count() as u32,
            range_ns: self.range,
            shares: parts.map(share).to_vec(),
        }
    }

    fn plan(&mut self, plan: Plan) -> Next {
        self.planned += 1;
        self.watching += u32::from(plan == Plan::Watch);
        Next::Plan(plan)
    }

    /// From one round trip before the early closes to the late ones, and half as much on either side; none when the
    /// backend closed nothing. A single close that was far off would widen it in vain.
    fn expected_range(&self) -> Option<(i64, i64)> {
        let (first, last) = (quantile(&self.closes_ns, 0.1)?, quantile(&self.closes_ns, 0.9)?);
        let rtt = quantile(&self.handshakes_ns, 0.5).unwrap_or(0);
        let margin = ((last - first + rtt) / 2).max(LEAST_MARGIN_NS);
        Some(((first - rtt - margin).max(0), last + margin))
    }

    fn choose(&mut self, (from, to): (i64, i64)) -> i64 {
        let draw: f64 = self.random.random();
        let edges = match self.edges {
            [Some(opens), Some(closes)] => [opens, closes],
            // While an edge is missing, everywhere.
            _ => return self.random.random_range(from..=to),
        };
        let around = match draw {
            ..0.35 => edges[0],
            ..0.7 => edges[1],
            _ => return self.random.random_range(from..=to),
        };
        // Where a timer smears the edge, the uncertainty says so.
        let zone = (around.uncertainty() * 4).max(LEAST_ZONE_NS).min((to - from) / 2);
        self.random.random_range((around.at - zone).max(0)..=around.at + zone)
    }

    /// Finds the edges in what is known, and moves the range where one is not in it.
    fn look(&mut self) {
        self.looked_at = self.tried.len();
        let late: Vec<(i64, bool)> =
            self.tried.iter().map(|tried| (tried.idle_ns, !tried.answered)).collect();
        let closed: Vec<(i64, bool)> = self.tried.iter().map(|tried| (tried.idle_ns, tried.closed)).collect();
        self.edges = [&late, &closed].map(|seen| edge(seen, self.seed, REPETITIONS));
        let Some((from, to)) = self.range else { return };
        let half = ((to - from) / 2).max(LEAST_MARGIN_NS);
        let margin = half / 8;
        let too_late =
            late.iter().all(|(_, late)| *late) || self.edges[0].is_some_and(|it| it.at < from + margin);
        let too_early =
            closed.iter().all(|(_, closed)| !*closed) || self.edges[1].is_some_and(|it| it.at > to - margin);
        self.range = Some((
            if too_late { (from - half).max(0) } else { from },
            if too_early { to.saturating_add(half) } else { to },
        ));
    }

    fn is_precise(&self) -> bool {
        let enough = |edge: &Option<Edge>| {
            edge.is_some_and(|edge| {
                self.precision_ns
                    .is_some_and(|wanted| edge.high - edge.at <= wanted && edge.at - edge.low <= wanted)
            })
        };
        self.tried.len() >= LEAST_RESULTS && self.edges.iter().all(enough)
    }
}

/// Keeps values ascending.
fn insert(ascending: &mut Vec<i64>, value: i64) {
    let at = ascending.partition_point(|other| *other <= value);
    ascending.insert(at, value);
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
