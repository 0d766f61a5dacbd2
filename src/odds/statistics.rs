//! Shares with their uncertainty, and the point at which a yes becomes likelier than a no.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The quantile of the normal distribution for 95 % between two tails.
const Z95: f64 = 1.959_963_984_540_054;

/// Repetitions of the bootstrap that give the ends of a 95 % interval well enough to be printed.
pub const REPETITIONS: usize = 200;

/// Observations that are kept on either side of those among which yes and no alternate: further out all agree, and no
/// split lies there.
const BEYOND: usize = 20;

/// Wilson's score interval at 95 % for a share of `trials` (E. B. Wilson, 1927): unlike the textbook's, it stays within
/// 0 and 1 and says something at 0 of n. Without a trial it is everything.
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let z2 = Z95 * Z95;
    let middle = p + z2 / (2.0 * n);
    let half = Z95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    // Rounding must not move an interval off the share that it is of.
    (((middle - half) / scale).clamp(0.0, p), ((middle + half) / scale).clamp(p, 1.0))
}

/// The value below which this share of ascending values lies, the nearest one there is; none of no values.
pub fn quantile(ascending: &[i64], share: f64) -> Option<i64> {
    let last = ascending.len().checked_sub(1)?;
    ascending.get((last as f64 * share.clamp(0.0, 1.0)).round() as usize).copied()
}

/// The share of ascending values that are not above `limit`.
pub fn share_up_to(ascending: &[i64], limit: i64) -> f64 {
    if ascending.is_empty() {
        return 0.0;
    }
    ascending.partition_point(|value| *value <= limit) as f64 / ascending.len() as f64
}

/// Where a no becomes a yes, with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// From here on a yes is likelier than a no.
    pub at: i64,
    /// It is not below this (95 %).
    pub low: i64,
    /// Nor above this.
    pub high: i64,
}

impl Edge {
    /// Half of the interval.
    pub fn uncertainty(&self) -> i64 {
        (self.high - self.low) / 2
    }
}

/// Finds the point at which yes becomes likelier than no, from observations at any places, in any density.
///
/// It is the split with the fewest observations on the wrong side: where the chance of a yes rises with the place, that
/// is where it passes one half. Between two neighbours nothing tells, so the split lies in their middle and the interval
/// reaches at least from one to the other. The interval is a bootstrap's, with a seed and so many repetitions
/// ([`REPETITIONS`]). None unless there is both a yes and a no.
pub fn edge(observations: &[(i64, bool)], seed: u64, repetitions: usize) -> Option<Edge> {
    let mut sorted = observations.to_vec();
    sorted.sort_unstable();
    let yes = sorted.iter().filter(|(_, yes)| *yes).count();
    if yes == 0 || yes == sorted.len() {
        return None;
    }
    let first_yes = sorted.iter().position(|(_, yes)| *yes).unwrap_or(0);
    let last_no = sorted.iter().rposition(|(_, yes)| !yes).unwrap_or(sorted.len() - 1);
    let from = first_yes.min(last_no).saturating_sub(BEYOND);
    let to = (first_yes.max(last_no) + BEYOND).min(sorted.len() - 1);
    let sorted = &sorted[from..=to];
    let ones = vec![1_u32; sorted.len()];
    let (below, above) = split(sorted, &ones);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = ones;
    let mut found: Vec<i64> = (0..repetitions)
        .map(|_| {
            for four in weights.chunks_mut(4) {
                let drawn: u64 = random.random();
                for (weight, part) in four.iter_mut().zip(drawn.to_le_bytes().chunks(2)) {
                    *weight = poisson_of_one(u16::from_le_bytes([part[0], part[1]]));
                }
            }
            let (below, above) = split(sorted, &weights);
            middle(below, above)
        })
        .collect();
    found.sort_unstable();
    let low = quantile(&found, 0.025).unwrap_or(below);
    let high = quantile(&found, 0.975).unwrap_or(above);
    Some(Edge { at: middle(below, above), low: low.min(below), high: high.max(above) })
}

fn middle(below: i64, above: i64) -> i64 {
    below + (above - below) / 2
}

/// The last place before the best split and the first behind it. Of several that are as good, the middle ones.
fn split(sorted: &[(i64, bool)], weights: &[u32]) -> (i64, i64) {
    let (Some((first, _)), Some((last, _))) = (sorted.first(), sorted.last()) else { return (0, 0) };
    // Splitting before the first observation puts every no on the wrong side.
    let mut wrong: i64 =
        sorted.iter().zip(weights).filter(|((_, yes), _)| !yes).map(|(_, weight)| i64::from(*weight)).sum();
    let mut least = wrong;
    let (mut from, mut to) = (0, 0);
    for (index, ((_, yes), weight)) in sorted.iter().zip(weights).enumerate() {
        wrong += if *yes { i64::from(*weight) } else { -i64::from(*weight) };
        if wrong < least {
            least = wrong;
            (from, to) = (index + 1, index + 1);
        } else if wrong == least && *weight > 0 {
            to = index + 1;
        }
    }
    let at = from + (to - from) / 2;
    let place = |index: usize| sorted.get(index).map(|(place, _)| *place);
    (at.checked_sub(1).and_then(place).unwrap_or(*first), place(at).unwrap_or(*last))
}

/// A draw from the Poisson distribution with mean 1, for an even draw: the weight of one observation in one repetition of
/// the bootstrap. Weights above 6 come once in twelve thousand draws, and are left out.
fn poisson_of_one(even: u16) -> u32 {
    // The distribution function, e⁻¹ · Σ 1/k!, in parts of 65 536.
    const UP_TO: [u16; 6] = [24_109, 48_218, 60_273, 64_291, 65_296, 65_497];
    UP_TO.iter().filter(|limit| even >= **limit).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_agrees_with_published_values() {
        // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        for ((successes, trials), (low, high)) in [
            ((81, 263), (0.2553, 0.3662)),
            ((15, 148), (0.0624, 0.1605)),
            ((0, 20), (0.0000, 0.1611)),
            ((1, 29), (0.0061, 0.1718)),
            ((29, 29), (0.8830, 1.0000)),
        ] {
            let found = wilson(successes, trials);
            assert!((found.0 - low).abs() < 5e-5 && (found.1 - high).abs() < 5e-5, "{found:?}");
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn quantiles_and_shares_of_few_values() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7], 0.99), Some(7));
        assert_eq!(quantile(&[1, 2, 3, 4, 5], 0.5), Some(3));
        assert_eq!(quantile(&[1, 2, 3, 4, 5], 1.0), Some(5));
        assert!((share_up_to(&[1, 2, 2, 9], 2) - 0.75).abs() < 1e-12);
        assert_eq!(share_up_to(&[], 2), 0.0);
    }

    #[test]
    fn a_clean_edge_lies_between_its_neighbours() {
        let edge = edge(&[(1, false), (5, false), (9, true), (12, true)], 1, REPETITIONS).unwrap();
        assert_eq!(edge.at, 7);
        assert!(edge.low <= 5 && edge.high >= 9, "{edge:?}");
    }

    #[test]
    fn an_edge_needs_both_sides() {
        assert_eq!(edge(&[(1, true), (2, true)], 1, 10), None);
        assert_eq!(edge(&[], 1, 10), None);
    }

    #[test]
    fn a_smeared_edge_is_found_whatever_the_density() {
        // The chance rises from 0 at 400 to 1 at 600; three times as many observations above 500 as below.
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let observations: Vec<(i64, bool)> = (0..2000)
            .map(|step| {
                let place = if step % 4 == 0 { 300 + step % 200 } else { 500 + step % 200 };
                (place, f64::from(place as i32 - 400) / 200.0 > random.random::<f64>())
            })
            .collect();
        let found = edge(&observations, 1, REPETITIONS).unwrap();
        assert!((470..=530).contains(&found.at), "{found:?}");
        assert!(found.low <= 505 && 495 <= found.high, "{found:?}");
        assert_eq!(edge(&observations, 1, REPETITIONS), Some(found), "the same seed gives the same interval");
    }

    #[test]
    fn weights_of_the_bootstrap_have_a_mean_of_one() {
        let drawn: u32 = (0..=u16::MAX).map(poisson_of_one).sum();
        assert!((65_500..=65_560).contains(&drawn), "{drawn}");
    }
}
