//! How long connections stay idle in a pool that uses the one used last first.
//!
//! Such a pool is a stack. Its place number m is empty exactly while more than m requests are under way, so that an idle
//! time there begins when the number of requests under way falls from m + 1 to m, and ends when it first rises to m + 1
//! again: a passage time of the number in an infinite-server queue (M/M/∞; with bursts, Markov-modulated).

use super::laplace::{Complex, Matrix};
use super::setting::Arrivals;

/// Requests under way at once, beyond the mean, in standard deviations and absolutely.
const DEVIATIONS: f64 = 10.0;
const MORE: f64 = 20.0;
/// Most levels. A pool has no more places.
const MOST_LEVELS: usize = 5_000;
/// Shorter exchanges, s, count as this long: a rate must be finite.
const SHORTEST_BUSY: f64 = 1e-9;

/// Arrivals in two phases, as matrices: of Poisson arrivals both phases are the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phases {
    /// Requests per second in each phase, on the diagonal.
    pub rates: Matrix,
    /// Changes of the phase per second.
    pub changes: Matrix,
    /// Share of the requests that come in each phase.
    pub arriving: [f64; 2],
}

impl Phases {
    /// None for arrivals that follow no formula.
    pub fn of(arrivals: &Arrivals) -> Option<Phases> {
        let (rates, leave, arriving) = match *arrivals {
            Arrivals::Poisson { rate } => ([rate, rate], [rate, rate], [0.5, 0.5]),
            Arrivals::Bursty { rate, off: 0.0, .. } => ([rate, rate], [rate, rate], [0.5, 0.5]),
            Arrivals::Bursty { on, off, .. } => {
                ([arrivals.peak_rate(), 0.0], [1.0 / on, 1.0 / off], [1.0, 0.0])
            }
            Arrivals::Observed { .. } => return None,
        };
        Some(Phases {
            rates: Matrix::real([[rates[0], 0.0], [0.0, rates[1]]]),
            changes: Matrix::real([[-leave[0], leave[0]], [leave[1], -leave[1]]]),
            arriving,
        })
    }

    /// Transform of the time until the next arrival, from each phase into each phase, of a share of the arrivals.
    pub fn next_arrival(&self, s: Complex, share: f64) -> Matrix {
        let rates = self.rates.scaled(share);
        (Matrix::diagonal(s) + rates - self.changes).inverse() * rates
    }
}

/// The idle times of a stack of connections.
#[derive(Debug)]
pub(super) struct Levels {
    phases: Phases,
    /// Exchanges that end per second, of one that is under way.
    ends: f64,
    /// For each place of the stack: returns to it, by phase, as shares of all requests.
    returns: Vec<[f64; 2]>,
}

impl Levels {
    /// The stack under these arrivals, with exchanges of this mean length, s, exponentially distributed.
    pub fn new(phases: Phases, peak_rate: f64, busy: f64) -> Levels {
        let busy = busy.max(SHORTEST_BUSY);
        let ends = 1.0 / busy;
        let load = peak_rate * busy;
        let top = ((load + DEVIATIONS * load.sqrt() + MORE) as usize).min(MOST_LEVELS);
        let under_way = stationary(&phases, ends, top);
        let mut returns: Vec<[f64; 2]> = (0..top)
            .map(|level| under_way[level + 1].map(|share| share * (level + 1) as f64 * ends))
            .collect();
        let total: f64 = returns.iter().flatten().sum();
        returns.iter_mut().flatten().for_each(|share| *share /= total);
        Levels { phases, ends, returns }
    }

    /// Transform of the idle time of the connection that a request finds.
    pub fn idle(&self, s: Complex) -> Complex {
        let Phases { rates, changes, .. } = self.phases;
        let mut sum = Complex::real(0.0);
        let mut passage = Matrix::ZERO;
        for (level, returns) in self.returns.iter().enumerate() {
            let down = self.ends * level as f64;
            let leaving = Matrix::diagonal(s + Complex::real(down)) + rates - changes;
            passage = (leaving - passage.scaled(down)).inverse() * rates;
            sum = sum + passage.weighted(*returns);
        }
        sum
    }

    /// Share of the requests that find this many under way or more.
    #[cfg(test)]
    pub fn busier_than(&self, level: usize) -> f64 {
        self.returns.iter().skip(level).flatten().sum()
    }
}

/// The stationary distribution of requests under way, by phase: matrix-analytic, from the top downwards.
fn stationary(phases: &Phases, ends: f64, top: usize) -> Vec<[f64; 2]> {
    let Phases { rates, changes, .. } = *phases;
    let mut rises = vec![Matrix::ZERO; top + 1];
    for level in (0..top).rev() {
        let down = ends * (level + 1) as f64;
        let arrivals = if level + 1 == top { Matrix::ZERO } else { rates };
        let leaving = Matrix::diagonal(Complex::real(down)) + arrivals - changes;
        let returning = rises[level + 1].scaled(down + ends);
        rises[level] = rates * (leaving - returning).inverse();
    }
    // Empty: what leaves comes back from one request under way.
    let empty = changes - rates + rises[0].scaled(ends);
    let [[a, _], [c, _]] = empty.0;
    let mut levels = vec![[c.re.abs(), a.re.abs()]];
    for rise in &rises[..top] {
        let [x, y] = levels[levels.len() - 1];
        let up = |column: usize| x * rise.0[0][column].re + y * rise.0[1][column].re;
        levels.push([up(0), up(1)]);
    }
    let total: f64 = levels.iter().flatten().sum();
    levels.iter_mut().flatten().for_each(|share| *share /= total);
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_under_way_are_poisson_distributed_when_arrivals_are() {
        let phases = Phases::of(&Arrivals::Poisson { rate: 30.0 }).unwrap();
        let under_way = stationary(&phases, 10.0, 40);
        let mut expected = f64::exp(-3.0);
        for (number, share) in under_way.iter().enumerate().take(20) {
            assert!((share[0] + share[1] - expected).abs() < 1e-12, "{number}: {share:?} {expected}");
            expected *= 3.0 / (number + 1) as f64;
        }
    }

    #[test]
    fn with_bursts_the_mean_number_under_way_is_still_the_load() {
        // Little's law knows no distribution.
        let arrivals = Arrivals::Bursty { rate: 30.0, on: 0.2, off: 0.6 };
        let under_way = stationary(&Phases::of(&arrivals).unwrap(), 10.0, 100);
        let mean: f64 =
            under_way.iter().enumerate().map(|(number, share)| number as f64 * (share[0] + share[1])).sum();
        assert!((mean - 3.0).abs() < 1e-9, "{mean}");
        let on: f64 = under_way.iter().map(|share| share[0]).sum();
        assert!((on - 0.25).abs() < 1e-12, "{on}");
    }

    #[test]
    fn the_lowest_place_waits_for_the_next_request_alone() {
        let arrivals = Arrivals::Poisson { rate: 2.0 };
        let levels = Levels::new(Phases::of(&arrivals).unwrap(), 2.0, 1e-6);
        assert!(levels.busier_than(1) < 1e-5);
        let density = super::super::laplace::inverse(&|s| levels.idle(s), 0.7);
        assert!((density - 2.0 * f64::exp(-1.4)).abs() < 1e-4, "{density}");
    }

    #[test]
    fn every_idle_time_ends() {
        let arrivals = Arrivals::Bursty { rate: 50.0, on: 0.1, off: 0.3 };
        let levels = Levels::new(Phases::of(&arrivals).unwrap(), arrivals.peak_rate(), 0.02);
        let whole = levels.idle(Complex::real(1e-12));
        assert!((whole.re - 1.0).abs() < 1e-6, "{whole:?}");
    }
}
