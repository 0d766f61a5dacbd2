//! The race window: at which idle times a request is lost, and how likely.
//!
//! Time counts from the moment at which the previous response *arrived at the client*. The backend started its timer
//! when that response left, one trip of a packet earlier, and its timer fires after `T`. So its FIN reaches the client
//! at `T`, and a request that sets out at `t` reaches the backend, in terms of the backend's timer, one round trip
//! later, at `t + RTT`:
//!
//! - `t + RTT < T`: the request is there before the timer fires, and is answered;
//! - `T − RTT < t < T`: the request and the FIN cross, and the request is lost;
//! - `t ≥ T`: the client's kernel already holds the FIN. A pool that looks before it sends finds it and opens another
//!   connection; a pool that does not look loses the request as well.
//!
//! The window is one round trip wide, whatever the timer. A timer that does not fire at the same moment every time
//! smears its edges: `lost(t) = F(t + RTT) − F(t)`, with `F` the distribution of `T`.
//!
//! `T` is taken as the moment at which the FIN leaves. A backend decides a little earlier, and a request that arrives
//! between the two is lost as well (`unread-request`), so that a real window opens earlier by that time: 0.3 ms for the toy
//! backend on a busy machine *(measured)*.
//!
//! Assumed: both directions take their time independently of the load, the backend acts when its timer fires (it does
//! not look for a request first), the client sends when it says so. A backend that looks at its connections once a
//! second has a `T` that depends on the moment at which a connection went idle; `F` then holds over many connections,
//! not for one of them.

use super::statistics::{quantile, share_up_to};

/// The share of requests lost at one idle time, for any distribution of the backend's timer.
///
/// `fired_by(t)` is the probability that the timer fires at `t` or earlier; all times in one unit. `checks` says whether
/// the pool looks for a FIN before it sends.
pub fn lost(fired_by: impl Fn(f64) -> f64, idle: f64, rtt: f64, checks: bool) -> f64 {
    let seen = if checks { fired_by(idle) } else { 0.0 };
    (fired_by(idle + rtt) - seen).clamp(0.0, 1.0)
}

/// The window expected of a backend whose timer has been watched, behind a path of known length, for a pool that looks
/// before it sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Times after which the backend closed idle connections, ns, ascending.
    closes_ns: Vec<i64>,
    /// A packet there and one back, ns.
    rtt_ns: i64,
}

impl Expected {
    /// None where no close was seen.
    pub fn new(mut closes_ns: Vec<i64>, rtt_ns: i64) -> Option<Expected> {
        closes_ns.sort_unstable();
        (!closes_ns.is_empty()).then_some(Expected { closes_ns, rtt_ns })
    }

    /// The share of requests lost at this idle time.
    pub fn lost(&self, idle_ns: i64) -> f64 {
        lost(|at| share_up_to(&self.closes_ns, at as i64), idle_ns as f64, self.rtt_ns as f64, true)
    }

    /// The share of requests lost over a range of idle times, both ends equally likely, from `steps` of them.
    pub fn lost_between(&self, from_ns: i64, to_ns: i64, steps: u32) -> f64 {
        let steps = i64::from(steps.max(1));
        let width = to_ns.saturating_sub(from_ns);
        let middle = |step: i64| from_ns + width / steps * step + width / steps / 2;
        (0..steps).map(|step| self.lost(middle(step))).sum::<f64>() / steps as f64
    }

    /// The idle time from which half of the requests come too late.
    pub fn opens_ns(&self) -> i64 {
        self.closes_at_ns() - self.rtt_ns
    }

    /// The idle time from which half of the FINs are there in time to be seen: the median of the timer.
    pub fn closes_at_ns(&self) -> i64 {
        quantile(&self.closes_ns, 0.5).unwrap_or_default()
    }

    /// Between the two: one round trip.
    pub fn width_ns(&self) -> i64 {
        self.rtt_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn an_exact_timer_loses_everything_within_one_round_trip_and_nothing_outside() {
        let expected = Expected::new(vec![500 * MS], 10 * MS).unwrap();
        let lost: Vec<f64> = [489, 491, 495, 499, 501].map(|at| expected.lost(at * MS)).to_vec();
        assert_eq!(lost, [0.0, 1.0, 1.0, 1.0, 0.0]);
        assert_eq!((expected.opens_ns(), expected.closes_at_ns()), (490 * MS, 500 * MS));
        assert_eq!(expected.width_ns(), 10 * MS);
    }

    #[test]
    fn a_spread_timer_smears_the_edges_and_keeps_the_area() {
        // Evenly spread from 480 to 520 ms.
        let closes = (0..=4000).map(|step| 480 * MS + step * 10_000).collect();
        let expected = Expected::new(closes, 10 * MS).unwrap();
        assert!((expected.lost(500 * MS) - 0.25).abs() < 0.01, "{}", expected.lost(500 * MS));
        // Lost over all idle times, times their range: one round trip.
        let area = expected.lost_between(400 * MS, 600 * MS, 2000) * 200.0;
        assert!((area - 10.0).abs() < 0.05, "{area}");
    }

    #[test]
    fn a_pool_that_does_not_look_loses_every_late_request() {
        let exact = |at: f64| if at >= 500.0 { 1.0 } else { 0.0 };
        assert_eq!(lost(exact, 600.0, 10.0, true), 0.0);
        assert_eq!(lost(exact, 600.0, 10.0, false), 1.0);
        assert_eq!(lost(exact, 480.0, 10.0, false), 0.0);
    }

    #[test]
    fn without_a_close_nothing_is_expected() {
        assert_eq!(Expected::new(Vec::new(), 10), None);
    }
}
