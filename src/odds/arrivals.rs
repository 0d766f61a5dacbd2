//! Moments of arrival, drawn from a process: for whoever sends real requests by it.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;

use super::setting::Arrivals;

/// The times of arrival, s, from 0 until `seconds`; at most `most` of them. Observed arrivals begin with the first of
/// their gaps and repeat.
pub fn arrival_times(arrivals: &Arrivals, seconds: f64, most: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut exponential = |mean: f64| mean * rng.sample::<f64, _>(Exp1);
    let mut times = Vec::new();
    let mut now = 0.0;
    let mut burst_ends = match arrivals {
        Arrivals::Bursty { on, .. } => exponential(*on),
        _ => f64::INFINITY,
    };
    while times.len() < most {
        now += match arrivals {
            Arrivals::Poisson { rate } => exponential(1.0 / rate),
            Arrivals::Bursty { on, off, .. } => {
                let mut wait = exponential(1.0 / arrivals.peak_rate());
                while now + wait > burst_ends {
                    // What is left of the wait is as long as a new one: it has no memory.
                    let next = burst_ends + exponential(*off);
                    burst_ends = next + exponential(*on);
                    wait = next - now + exponential(1.0 / arrivals.peak_rate());
                }
                wait
            }
            Arrivals::Observed { gaps } => gaps[times.len() % gaps.len()],
        };
        if now >= seconds {
            break;
        }
        times.push(now);
    }
    times
}
