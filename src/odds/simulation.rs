//! Failure rates by simulation: requests, pool and timers, event by event, in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};

use super::distribution::{mean_and_deviation, t_95};
use super::history::History;
use super::pool::{Idle, Pool};
use super::setting::{Arrivals, Responses, Setting, Spread};

/// Parts of a simulation whose results differ by chance alone: what the error is estimated from.
const BATCHES: usize = 30;
/// Observed gaps that stay together on average when they are drawn again, so that a burst remains one.
const BLOCK: f64 = 64.0;

/// How much to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Requests that count; as many as a thirtieth of them come before, and more where the timers are long.
    pub requests: u64,
    /// The same seed gives the same numbers.
    pub seed: u64,
}

/// What a simulation showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simulated {
    /// Share of the requests that the race costs, before retries.
    pub lost: f64,
    /// Half the width of its 95 % confidence interval.
    pub error: f64,
    /// Requests that counted.
    pub requests: u64,
    /// Requests lost among them, one by one.
    pub hits: u64,
    /// Connections of the pool, averaged over time.
    pub connections: f64,
    /// Virtual time, s.
    pub seconds: f64,
}

/// What the model makes of arrivals that are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replayed {
    /// Requests lost, on average over the replays.
    pub lost: f64,
    /// Standard deviation between them: what chance alone does.
    pub deviation: f64,
}

/// Simulates a setting that was validated.
pub fn simulate(setting: &Setting, plan: Plan) -> Simulated {
    let mut model = Model::new(setting, plan.seed);
    let shortest = setting.server.mean.min(setting.proxy.mean);
    let settle = if shortest.is_finite() { 5.0 * shortest * setting.arrivals.rate() } else { 0.0 };
    let warm_up = (plan.requests / BATCHES as u64).max((settle as u64).min(plan.requests));
    for _ in 0..warm_up {
        model.request();
    }
    let began = model.now;
    let (mut rates, mut hits, mut requests) = (Vec::with_capacity(BATCHES), 0, 0);
    let per_batch = (plan.requests / BATCHES as u64).max(1);
    model.connection_seconds = 0.0;
    for _ in 0..BATCHES {
        (model.expected, model.hits) = (0.0, 0);
        for _ in 0..per_batch {
            model.request();
        }
        let lost = if model.counts_only { model.hits as f64 } else { model.expected };
        rates.push(lost / per_batch as f64);
        hits += model.hits;
        requests += per_batch;
    }
    let (lost, deviation) = mean_and_deviation(&rates);
    let seconds = model.now - began;
    let mut error = t_95(BATCHES - 1) * deviation / (BATCHES as f64).sqrt();
    if lost == 0.0 && super::Fate::of(setting).support().is_some() {
        // Nothing seen in n trials: the true share is below 3/n with 95 % confidence.
        error = 3.0 / requests as f64;
    }
    let connections = if seconds > 0.0 { model.connection_seconds / seconds } else { 0.0 };
    Simulated { lost, error, requests, hits, connections, seconds }
}

/// Lets the pool of a setting meet these arrivals (s, in order), several times with other chances in the rest. The
/// setting's own arrivals do not matter, nor do its times where the history has measured ones.
pub fn replay(setting: &Setting, history: &History, arrivals: &[f64], seed: u64, times: u32) -> Replayed {
    let lost: Vec<f64> = (0..u64::from(times))
        .map(|time| {
            let mut model = Model { history, ..Model::new(setting, seed.wrapping_add(time)) };
            for at in arrivals {
                model.request_at(*at);
            }
            model.hits as f64
        })
        .collect();
    let (lost, deviation) = mean_and_deviation(&lost);
    Replayed { lost, deviation }
}

/// Times in the order of the heap.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Time(f64);

impl Eq for Time {}

impl Ord for Time {
    fn cmp(&self, other: &Time) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Time) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Nothing was measured.
static NO_HISTORY: History = History::EMPTY;

struct Model<'s> {
    setting: &'s Setting,
    history: &'s History,
    rng: ChaCha8Rng,
    pool: Pool,
    /// Exchanges under way, by their ends.
    under_way: BinaryHeap<Reverse<Time>>,
    now: f64,
    /// Arrivals come only in bursts, and one is on.
    on: bool,
    /// When the burst or the pause ends.
    phase_ends: f64,
    /// The next observed gap.
    gap: usize,
    /// Losses that the arrivals' rate makes of the time in which a request would be lost.
    expected: f64,
    /// Losses one by one.
    hits: u64,
    connection_seconds: f64,
    /// Arrivals without a rate: only [`Model::hits`] counts.
    counts_only: bool,
}

impl<'s> Model<'s> {
    fn new(setting: &'s Setting, seed: u64) -> Model<'s> {
        let mut model = Model {
            setting,
            history: &NO_HISTORY,
            rng: ChaCha8Rng::seed_from_u64(seed),
            pool: Pool::new(setting.policy, setting.size),
            under_way: BinaryHeap::new(),
            now: 0.0,
            on: true,
            phase_ends: f64::INFINITY,
            gap: 0,
            expected: 0.0,
            hits: 0,
            connection_seconds: 0.0,
            counts_only: matches!(setting.arrivals, Arrivals::Observed { .. }),
        };
        if let Arrivals::Bursty { on, .. } = setting.arrivals {
            model.phase_ends = on * model.exponential();
        }
        model
    }

    /// Lets time go on to the next arrival, and serves it.
    fn request(&mut self) {
        match &self.setting.arrivals {
            Arrivals::Poisson { rate } => {
                let at = self.now + self.exponential() / rate;
                self.advance(at, *rate);
            }
            Arrivals::Bursty { on, off, .. } => {
                let peak = self.setting.arrivals.peak_rate();
                loop {
                    // Both are exponential, so that a burst that goes on needs no memory.
                    let at = if self.on { self.now + self.exponential() / peak } else { f64::INFINITY };
                    if at < self.phase_ends {
                        self.advance(at, peak);
                        break;
                    }
                    self.advance(self.phase_ends, if self.on { peak } else { 0.0 });
                    self.on = !self.on;
                    let mean = if self.on { on } else { off };
                    self.phase_ends = self.now + mean * self.exponential();
                }
            }
            Arrivals::Observed { gaps } => {
                // The stationary bootstrap of D. Politis and J. Romano (1994).
                if self.rng.random::<f64>() < 1.0 / BLOCK {
                    self.gap = self.rng.random_range(0..gaps.len());
                }
                let at = self.now + gaps[self.gap];
                self.gap = (self.gap + 1) % gaps.len();
                self.advance(at, 0.0);
            }
        }
        self.serve();
    }

    fn request_at(&mut self, at: f64) {
        self.advance(at.max(self.now), 0.0);
        self.serve();
    }

    /// Lets time go on, while requests come at this rate.
    fn advance(&mut self, to: f64, rate: f64) {
        loop {
            let until = self.under_way.peek().map_or(to, |Reverse(Time(end))| end.min(to));
            if rate > 0.0 && !self.counts_only {
                self.expected += rate * self.pool.exposed(self.now, until);
            }
            self.connection_seconds += self.pool.connections() as f64 * (until - self.now);
            self.now = until;
            match self.under_way.peek() {
                Some(Reverse(Time(end))) if *end <= until && until < to => {
                    self.under_way.pop();
                    let idle = self.idle();
                    self.pool.put(idle);
                }
                _ => return,
            }
        }
    }

    /// One request at this moment.
    fn serve(&mut self) {
        let opened = match self.pool.take(self.now, &mut self.rng) {
            Some(taken) if self.now >= taken.lost_from => {
                self.hits += 1;
                self.pool.lose();
                if self.setting.retried == 0.0 || self.rng.random::<f64>() >= self.setting.retried {
                    return;
                }
                // The retry needs a connection of its own.
                self.pool.open();
                true
            }
            Some(_) => false,
            None => true,
        };
        let handshake = if opened { self.flight(self.now) + self.flight(self.now) } else { 0.0 };
        let there_and_back = self.flight(self.now) + self.flight(self.now);
        let answered = self.history.responses.around(self.now, &mut self.rng);
        let answered = answered.unwrap_or_else(|| match self.setting.responses {
            Responses::Constant(time) => time,
            Responses::Exponential(mean) => mean * self.exponential(),
        });
        self.under_way.push(Reverse(Time(self.now + handshake + there_and_back + answered)));
    }

    /// A connection whose response arrives now, with all that will become of it.
    fn idle(&mut self) -> Idle {
        let Setting { server, proxy, checks, .. } = *self.setting;
        let timer = self.history.timers.around(self.now, &mut self.rng).unwrap_or_else(|| self.draw(server));
        let closes = self.now + timer;
        // The response's flight, the FIN's, and that of a request.
        let (response, fin, request) = (self.flight(self.now), self.flight(closes), self.flight(closes));
        let lost_from = (self.now + timer - response - request).max(self.now);
        let seen = if checks { self.now + (timer + fin - response).max(0.0) } else { f64::INFINITY };
        Idle { lost_from, gone_from: seen.min(self.now + self.draw(proxy)) }
    }

    /// How long a packet takes that leaves at this moment.
    fn flight(&mut self, at: f64) -> f64 {
        let measured = self.history.delays.around(at, &mut self.rng);
        measured.unwrap_or_else(|| self.draw(self.setting.delay))
    }

    fn draw(&mut self, time: Spread) -> f64 {
        if time.deviation == 0.0 {
            return time.mean;
        }
        let normal: f64 = self.rng.sample(StandardNormal);
        (time.mean + time.deviation * normal).max(0.0)
    }

    fn exponential(&mut self) -> f64 {
        self.rng.sample(Exp1)
    }
}
