//! From attempts to the map of the window: shares over idle times, the edges, and the model beside them.

use std::collections::BTreeMap;

use super::statistics::{REPETITIONS, edge, quantile, wilson};
use super::window::Expected;
use crate::report::Cause;
use crate::report::sweep::{Bin, ExpectedWindow, ObservedTimer, Window, WindowEdge};

/// Parts of the map, at most.
const MOST_BINS: i64 = 32;
/// The narrowest part: half the jitter that a kernel adds, ns.
const NARROWEST_NS: i64 = 20_000;
/// Points of a part at which the model is asked.
const STEPS: u32 = 20;

/// What became of a connection that was to be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its request was answered.
    Answered,
    /// It was found closed.
    Closed,
    /// Its request was lost, of this cause where the packets prove one.
    Lost(Option<Cause>),
}

/// One attempt: an idle time and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// From the last byte of the first response to the second request, ns.
    pub idle_ns: i64,
    /// What became of it.
    pub fate: Fate,
}

/// The window, the model's window, and the shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// As measured; none where one of its edges was not met.
    pub window: Option<Window>,
    /// As the model has it; none where no close was watched, or the round trip is unknown.
    pub expected: Option<ExpectedWindow>,
    /// Shares over idle times around the window.
    pub bins: Vec<Bin>,
}

/// Draws up the map. `closes_ns` are the timers of connections that were only watched; the seed is that of the
/// uncertainty of the edges.
pub fn map(samples: &[Sample], closes_ns: &[i64], rtt_ns: Option<i64>, seed: u64) -> Map {
    let late: Vec<(i64, bool)> =
        samples.iter().map(|sample| (sample.idle_ns, sample.fate != Fate::Answered)).collect();
    let closed: Vec<(i64, bool)> =
        samples.iter().map(|sample| (sample.idle_ns, sample.fate == Fate::Closed)).collect();
    let edge_of = |observations: &[(i64, bool)]| {
        edge(observations, seed, REPETITIONS).map(|it| WindowEdge {
            at_ns: it.at,
            low_ns: it.low,
            high_ns: it.high,
        })
    };
    let edges = edge_of(&late).zip(edge_of(&closed));
    let model = rtt_ns.and_then(|rtt| Expected::new(closes_ns.to_vec(), rtt));
    let shown = edges
        .map(|(opens, closes)| (opens.at_ns, closes.at_ns))
        .or_else(|| model.as_ref().map(|model| (model.opens_ns(), model.closes_at_ns())));
    let spread = timer(closes_ns).map_or(0, |timer| timer.p95_ns - timer.p5_ns);
    let bins = shown.map_or_else(Vec::new, |(opens, closes)| {
        let width = (closes - opens).max(NARROWEST_NS * 8);
        // Beside a window that a few late closes smear far, the window itself is to be seen.
        let beyond = spread.clamp(width * 3 / 5, width * 3);
        bins(samples, (opens - beyond, closes + beyond), model.as_ref())
    });
    let window = edges.map(|(opens, closes)| {
        let width_ns = closes.at_ns - opens.at_ns;
        let measured = opens.high_ns < closes.low_ns;
        let width_rtt = rtt_ns.filter(|rtt| measured && *rtt > 0).map(|rtt| width_ns as f64 / rtt as f64);
        let between = |sample: &&Sample| (opens.at_ns..closes.at_ns).contains(&sample.idle_ns);
        let (mut all, mut lost) = (0_u64, 0_u64);
        for sample in samples.iter().filter(between) {
            all += 1;
            lost += u64::from(matches!(sample.fate, Fate::Lost(_)));
        }
        let share = (all > 0).then(|| lost as f64 / all as f64);
        Window { opens, closes, width_ns, width_rtt, share }
    });
    let expected = model.map(|model| {
        let width_ns = model.width_ns();
        ExpectedWindow {
            opens_ns: model.opens_ns(),
            closes_ns: model.closes_at_ns(),
            width_ns,
            opens_difference_ns: window.map(|it| it.opens.at_ns - model.opens_ns()),
            closes_difference_ns: window.map(|it| it.closes.at_ns - model.closes_at_ns()),
            width_difference: window
                .filter(|it| width_ns > 0 && it.width_rtt.is_some())
                .map(|it| (it.width_ns - width_ns) as f64 / width_ns as f64),
        }
    });
    Map { window, expected, bins }
}

/// Equal parts of a range, their ends at round numbers.
fn bins(samples: &[Sample], (from, to): (i64, i64), model: Option<&Expected>) -> Vec<Bin> {
    let width = round_up((to - from) / MOST_BINS).max(NARROWEST_NS);
    let first = from.div_euclid(width);
    let count = usize::try_from((to + width - 1).div_euclid(width) - first).unwrap_or(0);
    let mut bins: Vec<Bin> = (first..)
        .take(count)
        .map(|index| {
            let (from_ns, to_ns) = (index * width, (index + 1) * width);
            Bin {
                from_ns,
                to_ns,
                attempts: 0,
                answered: 0,
                closed_before: 0,
                lost: 0,
                by_cause: BTreeMap::new(),
                share: None,
                share_low: 0.0,
                share_high: 1.0,
                expected: model.map(|model| model.lost_between(from_ns, to_ns, STEPS)),
            }
        })
        .collect();
    for sample in samples {
        let index = usize::try_from(sample.idle_ns.div_euclid(width) - first);
        let Some(bin) = index.ok().and_then(|index| bins.get_mut(index)) else { continue };
        bin.attempts += 1;
        match sample.fate {
            Fate::Answered => bin.answered += 1,
            Fate::Closed => bin.closed_before += 1,
            Fate::Lost(cause) => {
                bin.lost += 1;
                if let Some(cause) = cause {
                    *bin.by_cause.entry(cause).or_default() += 1;
                }
            }
        }
    }
    for bin in &mut bins {
        bin.share = (bin.attempts > 0).then(|| bin.lost as f64 / bin.attempts as f64);
        (bin.share_low, bin.share_high) = wilson(bin.lost, bin.attempts);
    }
    bins
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn round_up(least: i64) -> i64 {
    let mut power = 1_i64;
    loop {
        for step in [1, 2, 5] {
            if power.saturating_mul(step) >= least {
                return power.saturating_mul(step);
            }
        }
        power = power.saturating_mul(10);
    }
}

/// Sums up when the backend closed; none where it did not.
pub fn timer(closes_ns: &[i64]) -> Option<ObservedTimer> {
    let mut ascending = closes_ns.to_vec();
    ascending.sort_unstable();
    let at = |share| quantile(&ascending, share);
    Some(ObservedTimer {
        count: ascending.len() as u64,
        min_ns: at(0.0)?,
        p5_ns: at(0.05)?,
        median_ns: at(0.5)?,
        p95_ns: at(0.95)?,
        max_ns: at(1.0)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// An attempt every 50 us around a window from 490 to 500 ms.
    fn exact() -> Vec<Sample> {
        let fate = |idle_ns: i64| match idle_ns {
            500_000_000.. => Fate::Closed,
            490_000_000.. => Fate::Lost(Some(Cause::CrossedFin)),
            _ => Fate::Answered,
        };
        (0..800)
            .map(|step| 475 * MS + step * 50_000)
            .map(|idle_ns| Sample { idle_ns, fate: fate(idle_ns) })
            .collect()
    }

    #[test]
    fn an_exact_window_is_mapped_exactly() {
        let map = map(&exact(), &[500 * MS], Some(10 * MS), 1);
        let window = map.window.unwrap();
        assert!((window.opens.at_ns - 490 * MS).abs() <= 50_000, "{window:?}");
        assert!((window.closes.at_ns - 500 * MS).abs() <= 50_000, "{window:?}");
        assert!((window.width_rtt.unwrap() - 1.0).abs() < 0.02 && window.share > Some(0.999));
        let expected = map.expected.unwrap();
        assert!(expected.opens_difference_ns.unwrap().abs() <= 50_000, "{expected:?}");
        for bin in &map.bins {
            let share = bin.share.unwrap();
            assert!((share - bin.expected.unwrap()).abs() < 0.15, "{bin:?}");
            assert!(bin.share_low <= share && share <= bin.share_high, "{bin:?}");
            assert_eq!(bin.attempts, bin.answered + bin.closed_before + bin.lost);
            assert_eq!(bin.by_cause.values().sum::<u64>(), bin.lost);
        }
    }

    #[test]
    fn the_parts_are_round_few_and_next_to_each_other() {
        let map = map(&exact(), &[500 * MS], Some(10 * MS), 1);
        assert!((10..=33).contains(&map.bins.len()), "{}", map.bins.len());
        for (bin, next) in map.bins.iter().zip(&map.bins[1..]) {
            assert_eq!(bin.to_ns, next.from_ns);
        }
        assert_eq!([1, 7, 300, 501].map(round_up), [1, 10, 500, 1000]);
    }

    #[test]
    fn a_window_narrower_than_its_edges_are_known_has_no_width_to_be_told() {
        let samples: Vec<Sample> = (0..200)
            .map(|step| Sample {
                idle_ns: 499 * MS + step * 10_000,
                fate: match step {
                    _ if step % 40 == 20 => Fate::Lost(Some(Cause::UnreadRequest)),
                    _ if step % 3 == 0 || step > 120 => Fate::Closed,
                    _ => Fate::Answered,
                },
            })
            .collect();
        let map = map(&samples, &[500 * MS], Some(20_000), 1);
        assert_eq!(map.window.unwrap().width_rtt, None, "{:?}", map.window);
        assert_eq!(map.expected.unwrap().width_difference, None);
    }

    #[test]
    fn without_an_edge_there_is_no_window_but_what_is_known_is_shown() {
        let early: Vec<Sample> = exact().into_iter().filter(|sample| sample.idle_ns < 495 * MS).collect();
        let half = map(&early, &[500 * MS], Some(10 * MS), 1);
        assert_eq!(half.window, None);
        assert!(!half.bins.is_empty() && half.expected.unwrap().opens_difference_ns.is_none());
        let nothing = map(&[], &[], None, 1);
        assert_eq!(nothing, Map { window: None, expected: None, bins: Vec::new() });
    }
}
