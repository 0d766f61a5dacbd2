//! What becomes of a request that is sent on a pooled connection after some idle time: [`window::lost`], with a timer
//! and delays that stray, and a proxy that gives connections up.

use super::distribution::normal_below;
use super::setting::{Setting, Spread};
use super::window;

/// Beyond so many standard deviations a time does not stray: one in a thousand million does.
const STRAYS_AT_MOST: f64 = 6.0;

/// When a request of a setting is lost, by the idle time after which it is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fate {
    /// When the server's FIN is seen, by the idle time of the proxy.
    fin: Spread,
    /// A packet there and one back, s.
    rtt: f64,
    /// When the proxy gives the connection up.
    given_up: Spread,
    checks: bool,
}

impl Fate {
    /// The fate of the setting's requests.
    pub fn of(setting: &Setting) -> Fate {
        let Setting { server, proxy, delay, checks, .. } = *setting;
        // Each edge of the window is a sum of the timer and the flights of two packets.
        let deviation = (server.deviation.powi(2) + 2.0 * delay.deviation.powi(2)).sqrt();
        let fin = Spread { mean: server.mean, deviation };
        Fate { fin, rtt: 2.0 * delay.mean, given_up: proxy, checks }
    }

    /// The probability that a request is lost which finds this connection after an idle time, s: it arrives after the
    /// close, and the pool neither knew of it nor had given the connection up.
    pub fn lost(&self, idle: f64) -> f64 {
        let window = window::lost(|at| below(self.fin, at), idle, self.rtt, self.checks);
        window * (1.0 - below(self.given_up, idle))
    }

    /// The idle times between which alone a request can be lost, s; none where there are none.
    pub fn support(&self) -> Option<(f64, f64)> {
        let seen = if self.checks { latest(self.fin) } else { f64::INFINITY };
        let from = (earliest(self.fin) - self.rtt).max(0.0);
        let to = seen.min(latest(self.given_up));
        (from < to).then_some((from, to))
    }

    /// The idle times where [`Fate::lost`] bends, s, in order.
    pub(super) fn bends(&self) -> Vec<f64> {
        let Some((from, to)) = self.support() else { return Vec::new() };
        let mut bends = vec![from, to];
        let opens = Spread { mean: self.fin.mean - self.rtt, ..self.fin };
        for edge in [opens, self.fin, self.given_up] {
            bends.extend([-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0].map(|by| edge.mean + by * edge.deviation));
        }
        bends.retain(|bend| bend.is_finite() && (from..=to).contains(bend));
        bends.sort_by(f64::total_cmp);
        bends.dedup();
        bends
    }
}

fn below(edge: Spread, idle: f64) -> f64 {
    if edge.deviation == 0.0 || edge.mean.is_infinite() {
        return if idle > edge.mean { 1.0 } else { 0.0 };
    }
    normal_below((idle - edge.mean) / edge.deviation)
}

fn earliest(edge: Spread) -> f64 {
    edge.mean - STRAYS_AT_MOST * edge.deviation
}

fn latest(edge: Spread) -> f64 {
    edge.mean + STRAYS_AT_MOST * edge.deviation
}
