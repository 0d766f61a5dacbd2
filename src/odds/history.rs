//! Times that were measured, with the moment of each: a machine that stalls does so for a while, not at random.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Measured values near a moment that stand for it with equal chances.
const NEAREST: usize = 5;

/// Values by the moments at which they were measured, both in s.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// In the order of their moments.
    by_moment: Vec<(f64, f64)>,
}

impl Samples {
    /// None.
    pub(super) const EMPTY: Samples = Samples { by_moment: Vec::new() };

    /// Samples of (moment, value), in any order.
    pub fn new(mut by_moment: Vec<(f64, f64)>) -> Samples {
        by_moment.sort_by(|one, other| one.0.total_cmp(&other.0));
        Samples { by_moment }
    }

    /// All values.
    pub fn values(&self) -> Vec<f64> {
        self.by_moment.iter().map(|(_, value)| *value).collect()
    }

    /// One of the values measured around a moment; none where nothing was measured.
    pub(super) fn around(&self, moment: f64, rng: &mut ChaCha8Rng) -> Option<f64> {
        let after = self.by_moment.partition_point(|(at, _)| *at < moment);
        let last = self.by_moment.len().checked_sub(1)?;
        let from = after.saturating_sub(NEAREST / 2 + 1).min(last);
        let to = (from + NEAREST).min(self.by_moment.len());
        Some(self.by_moment[rng.random_range(from..to)].1)
    }
}

/// What was measured of a setting while it was used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The server's idle timer, by the moments at which the idle times began.
    pub timers: Samples,
    /// One-way delays.
    pub delays: Samples,
    /// The server's times for an answer.
    pub responses: Samples,
}

impl History {
    /// Nothing was measured.
    pub(super) const EMPTY: History =
        History { timers: Samples::EMPTY, delays: Samples::EMPTY, responses: Samples::EMPTY };
}
