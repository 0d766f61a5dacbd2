//! Failure rates by formulas.
//!
//! Each is the integral of [`Fate::lost`] over the density of the idle times that requests find.

use super::idle::Fate;
use super::laplace::{Complex, inverse};
use super::levels::{Levels, Phases};
use super::setting::{Policy, Responses, Setting, Size};

/// A failure rate by formula.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closed {
    /// Share of the requests that the race costs, before retries.
    pub lost: f64,
    /// What the formula leaves out, where it is no more than a close guess.
    pub leaves_out: Option<&'static str>,
}

/// Why there is no formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNone {
    /// The number of connections depends on all that happened before.
    PoolMoves,
    /// A stack that is always filled up.
    FilledStack,
    /// Arrivals as they were observed follow no formula.
    Observed,
}

impl WhyNone {
    /// The reason as a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            WhyNone::PoolMoves => {
                "There is no formula for this pool: how many connections it has depends on all that happened before."
            }
            WhyNone::FilledStack => {
                "There is no formula for a pool that uses the last one first and yet opens connections it does not need."
            }
            WhyNone::Observed => {
                "There is no formula for arrivals that were observed: they are what they were."
            }
        }
    }
}

/// Share of the requests that the race costs, by formula.
///
/// # Errors
/// [`WhyNone`], where there is none. A setting in which no request can be lost needs none.
pub fn closed_form(setting: &Setting) -> Result<Closed, WhyNone> {
    let fate = Fate::of(setting);
    if fate.support().is_none() {
        return Ok(Closed { lost: 0.0, leaves_out: None });
    }
    let phases = Phases::of(&setting.arrivals).ok_or(WhyNone::Observed)?;
    let busy = setting.busy();
    // A request that is lost and not sent again leaves no idle connection behind that another could be lost on.
    let of_requests = |of_idle: f64| of_idle / (1.0 + of_idle * (1.0 - setting.retried));
    match (setting.policy, setting.size) {
        (Policy::Lifo, Size::AsNeeded { max_idle }) => {
            let levels = Levels::new(phases, setting.arrivals.peak_rate(), busy);
            let load = setting.arrivals.peak_rate() * busy;
            let constant = matches!(setting.responses, Responses::Constant(_)) || setting.delay.mean > 0.0;
            let leaves_out = if (max_idle as f64) < load + ROOM * load.sqrt() {
                Some("it takes the pool to keep every idle connection")
            } else {
                (load > OVERLAP && constant)
                    .then_some("it takes the time of an exchange for exponentially distributed")
            };
            Ok(Closed { lost: of_requests(integrate(&fate, &|s| levels.idle(s), 0.0)), leaves_out })
        }
        (Policy::Fifo, Size::Kept(number)) => {
            let turn = |s: Complex| phases.next_arrival(s, 1.0).power(number).weighted(phases.arriving);
            let leaves_out = Some("it takes the number of connections for constant");
            Ok(Closed { lost: of_requests(integrate(&fate, &turn, busy)), leaves_out })
        }
        (Policy::Random, Size::Kept(number)) => {
            let share = 1.0 / number as f64;
            let picked = |s: Complex| phases.next_arrival(s, share).weighted(phases.arriving);
            let leaves_out = Some("it takes the number of idle connections for constant");
            Ok(Closed { lost: of_requests(integrate(&fate, &picked, 0.0)), leaves_out })
        }
        (Policy::Lifo, Size::Kept(_)) => Err(WhyNone::FilledStack),
        (Policy::Fifo | Policy::Random, Size::AsNeeded { .. }) => Err(WhyNone::PoolMoves),
    }
}

/// Requests under way at once, on average, above which their lengths matter.
const OVERLAP: f64 = 0.05;
/// So many standard deviations of requests under way hardly ever come back at once.
const ROOM: f64 = 5.0;

/// Pieces of an integral are no longer than this share of their time.
const PIECE: f64 = 0.04;
/// Most pieces between two bends, for ranges without end.
const MOST_PIECES: usize = 400;
/// A piece without end counts as ended when it adds less than this share of what there is.
const NEGLIGIBLE: f64 = 1e-12;

/// Gauss-Legendre nodes and weights on [-1, 1], five points: exact for polynomials up to the ninth degree.
const NODES: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_08),
    (-0.538_469_310_105_683, 0.478_628_670_499_366_47),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683, 0.478_628_670_499_366_47),
    (0.906_179_845_938_664, 0.236_926_885_056_189_08),
];

/// The integral of the probability of loss over the density with this transform, of which the idle time is `shift` less.
fn integrate(fate: &Fate, transform: &dyn Fn(Complex) -> Complex, shift: f64) -> f64 {
    let density = |idle: f64| {
        let time = idle + shift;
        // What the inversion leaves of nothing must not become a rate.
        let density = inverse(transform, time);
        if density * time < 1e-9 { 0.0 } else { density }
    };
    let piece = |from: f64, to: f64| {
        let (middle, half) = (f64::midpoint(from, to), (to - from) / 2.0);
        let sum: f64 = NODES
            .iter()
            .map(|(node, weight)| {
                let idle = middle + node * half;
                weight * density(idle) * fate.lost(idle)
            })
            .sum();
        sum * half
    };
    let mut bends = fate.bends();
    if fate.support().is_some_and(|(_, to)| to.is_infinite()) {
        bends.push(f64::INFINITY);
    }
    let mut sum = 0.0;
    for range in bends.windows(2) {
        let (mut from, to) = (range[0], range[1]);
        for _ in 0..MOST_PIECES {
            let end = (from + ((from + shift) * PIECE).max(1e-9)).min(to);
            let added = piece(from, end);
            sum += added;
            from = end;
            if from >= to || (to.is_infinite() && added < NEGLIGIBLE * sum) {
                break;
            }
        }
    }
    sum.clamp(0.0, 1.0)
}
