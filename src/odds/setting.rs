//! What the odds depend on.

use std::sync::Arc;

/// A time that strays: normally distributed around its mean, and never below 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Mean, s; infinite for a timer that never fires.
    pub mean: f64,
    /// Standard deviation, s.
    pub deviation: f64,
}

impl Spread {
    /// A time that is always the same.
    pub const fn exactly(mean: f64) -> Spread {
        Spread { mean, deviation: 0.0 }
    }
}

/// When requests come.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// Independently of each other, at one rate.
    Poisson {
        /// Requests per second.
        rate: f64,
    },
    /// In bursts: Poisson while on, nothing while off, the lengths of both exponentially distributed.
    Bursty {
        /// Requests per second, averaged over on and off.
        rate: f64,
        /// Mean length of a burst, s.
        on: f64,
        /// Mean length of a pause, s.
        off: f64,
    },
    /// As they came once: the times between two arrivals, s, in their order.
    Observed {
        /// At least one, none negative, not all of them 0.
        gaps: Arc<[f64]>,
    },
}

impl Arrivals {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        match self {
            Arrivals::Poisson { rate } | Arrivals::Bursty { rate, .. } => *rate,
            Arrivals::Observed { gaps } => gaps.len() as f64 / gaps.iter().sum::<f64>(),
        }
    }

    /// Requests per second while they come.
    pub fn peak_rate(&self) -> f64 {
        match self {
            Arrivals::Bursty { rate, on, off } => rate * (on + off) / on,
            other => other.rate(),
        }
    }
}

/// Which idle connection a pool uses for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The one used last.
    Lifo,
    /// The one idle longest: all take turns.
    Fifo,
    /// Any of them, with equal chances.
    Random,
}

/// How many connections a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// As many as requests were under way at once: it opens one only where none is idle.
    AsNeeded {
        /// Idle ones kept; of more, the longest idle one is closed.
        max_idle: usize,
    },
    /// Always this many: a request opens another as long as there are fewer, and one more while all are busy.
    Kept(usize),
}

/// How long a server takes to answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Responses {
    /// Always the same time, s.
    Constant(f64),
    /// Exponentially distributed with this mean, s.
    Exponential(f64),
}

impl Responses {
    /// Mean, s.
    pub const fn mean(self) -> f64 {
        match self {
            Responses::Constant(mean) | Responses::Exponential(mean) => mean,
        }
    }
}

/// One proxy with one pool in front of one server.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// When requests come to the proxy.
    pub arrivals: Arrivals,
    /// Which connection the pool uses.
    pub policy: Policy,
    /// How many it has.
    pub size: Size,
    /// The server's idle timer: from when its response left until its FIN leaves.
    pub server: Spread,
    /// The proxy's idle timer: from the arrival of a response until the proxy gives the connection up.
    pub proxy: Spread,
    /// Time that a packet takes, one way.
    pub delay: Spread,
    /// The server's answers.
    pub responses: Responses,
    /// The pool looks for a FIN that has arrived before it uses a connection.
    pub checks: bool,
    /// Share of the lost requests that the proxy sends again on a new connection, 0 to 1.
    pub retried: f64,
}

/// A setting that no pool can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A rate, or the gaps of one.
    #[error("the rate of requests has to be above 0")]
    Rate,
    /// The lengths of bursts and pauses.
    #[error("bursts have to last longer than 0, and pauses not less than 0")]
    Bursts,
    /// A time or a spread.
    #[error("times and spreads cannot be negative, and only a timer can be endless")]
    Time,
    /// A pool without connections.
    #[error("a pool that keeps no connection cannot lose a request on one")]
    NoPool,
    /// A share.
    #[error("a share is from 0 to 1")]
    Share,
}

impl Setting {
    /// One way to the server, the server's time, and back: how long a request keeps its connection busy, on average.
    pub fn busy(&self) -> f64 {
        2.0 * self.delay.mean + self.responses.mean()
    }

    /// Refuses what would make the formulas or the simulation meaningless.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn validate(&self) -> Result<(), SettingError> {
        let positive = |number: f64| number.is_finite() && number > 0.0;
        let time = |number: f64| number.is_finite() && number >= 0.0;
        match &self.arrivals {
            Arrivals::Observed { gaps } => {
                let sum: f64 = gaps.iter().sum();
                if gaps.iter().any(|gap| !time(*gap)) || !positive(sum) {
                    return Err(SettingError::Rate);
                }
            }
            Arrivals::Bursty { on, off, .. } if !positive(*on) || !time(*off) => {
                return Err(SettingError::Bursts);
            }
            _ => {}
        }
        if !positive(self.arrivals.rate()) {
            return Err(SettingError::Rate);
        }
        let timer = |timer: Spread| timer.mean >= 0.0 && time(timer.deviation);
        let finite = time(self.delay.mean) && time(self.responses.mean());
        if !(timer(self.server) && timer(self.proxy) && timer(self.delay) && finite) {
            return Err(SettingError::Time);
        }
        if matches!(self.size, Size::AsNeeded { max_idle: 0 } | Size::Kept(0)) {
            return Err(SettingError::NoPool);
        }
        if !(0.0..=1.0).contains(&self.retried) {
            return Err(SettingError::Share);
        }
        Ok(())
    }
}
