//! What each possible change would make of the failure rate.

use super::closed::{Closed, WhyNone, closed_form};
use super::idle::Fate;
use super::setting::{Policy, Setting, Size};
use super::simulation::{Plan, Simulated, simulate};

/// A timer counts as longer when it is so by this much, s, or by this share of itself where that is less.
const MARGIN: f64 = 1.0;
const MARGIN_SHARE: f64 = 0.2;
/// How far timers and delays may stray within the margin, in standard deviations.
const STRAYS: f64 = 6.0;
/// Errors are half of a 95 % interval. Formula and simulation agree when they differ by no more than 1.5 of them, three
/// standard errors.
const AGREES_WITHIN: f64 = 1.5;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ChangeKind {
    /// Nothing.
    AsIs,
    /// The server's idle timer, s.
    ServerTimer(f64),
    /// The proxy's idle timer, s.
    ProxyTimer(f64),
    /// The pool looks for a FIN before it uses a connection.
    Check,
    /// Lost requests that may be repeated are sent again; the share of those, where it is known.
    Retry(Option<f64>),
    /// A smaller pool.
    Pool(usize),
    /// The connection used last is used first.
    LastUsedFirst,
}

/// A setting after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What is changed.
    pub kind: ChangeKind,
    /// All of it.
    pub setting: Setting,
}

/// Whether formula and simulation say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// They do, within three standard errors.
    Agree,
    /// They do not: the simulation assumes less, so it is the one to believe.
    Differ,
    /// There is only one of them, or the simulation has seen no loss that it could be compared by.
    One,
}

/// What a change makes of the failure rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessed {
    /// The change.
    pub change: Change,
    /// By formula.
    pub closed: Result<Closed, WhyNone>,
    /// By simulation; none where no request can be lost.
    pub simulated: Option<Simulated>,
    /// Whether both say the same.
    pub agreement: Agreement,
}

impl Assessed {
    /// Whether the formula is believed: the simulation agrees, or has seen nothing while the formula leaves nothing out.
    pub fn by_formula(&self) -> Option<Closed> {
        let closed = self.closed.ok().filter(|_| self.simulated.is_some())?;
        let believed = match self.agreement {
            Agreement::Agree => true,
            Agreement::Differ => false,
            Agreement::One => closed.leaves_out.is_none(),
        };
        believed.then_some(closed)
    }

    /// Share of the requests that users see fail, and half of its 95 % interval: the formula's where it is believed,
    /// otherwise the simulation's.
    pub fn failing(&self) -> (f64, f64) {
        let seen = 1.0 - self.change.setting.retried;
        let Some(simulated) = self.simulated else { return (0.0, 0.0) };
        match self.by_formula() {
            Some(closed) => (closed.lost * seen, 0.0),
            None => (simulated.lost * seen, simulated.error * seen),
        }
    }
}

/// The setting itself, and every change that could help it. `idempotent` is the share of requests that may be repeated.
pub fn changes(setting: &Setting, idempotent: Option<f64>) -> Vec<Change> {
    let with = |kind, alter: &dyn Fn(&mut Setting)| {
        let mut setting = setting.clone();
        alter(&mut setting);
        Change { kind, setting }
    };
    let mut changes = vec![with(ChangeKind::AsIs, &|_| ())];
    if Fate::of(setting).support().is_none() {
        return changes;
    }
    let Setting { server, proxy, delay, .. } = *setting;
    let strays = STRAYS
        * (server.deviation.powi(2) + proxy.deviation.powi(2) + 2.0 * delay.deviation.powi(2)).sqrt()
        + 2.0 * delay.mean;
    let margin = |timer: f64| strays + MARGIN.min(timer * MARGIN_SHARE);
    if proxy.mean.is_finite() {
        let longer = readable(proxy.mean + margin(proxy.mean), f64::ceil);
        changes.push(with(ChangeKind::ServerTimer(longer), &|setting| setting.server.mean = longer));
    }
    let shorter = readable(server.mean - margin(server.mean), f64::floor);
    if shorter > 0.0 {
        changes.push(with(ChangeKind::ProxyTimer(shorter), &|setting| setting.proxy.mean = shorter));
    }
    if !setting.checks {
        changes.push(with(ChangeKind::Check, &|setting| setting.checks = true));
    }
    if setting.retried == 0.0 {
        let share = idempotent.unwrap_or(0.0);
        changes.push(with(ChangeKind::Retry(idempotent), &|setting| setting.retried = share));
    }
    match setting.size {
        Size::Kept(number @ 2..) => {
            changes
                .push(with(ChangeKind::Pool(number / 2), &|setting| setting.size = Size::Kept(number / 2)));
        }
        Size::AsNeeded { max_idle: 2.. } => {
            changes.push(with(ChangeKind::Pool(1), &|setting| setting.size = Size::AsNeeded { max_idle: 1 }));
        }
        _ => {}
    }
    if setting.policy != Policy::Lifo {
        changes.push(with(ChangeKind::LastUsedFirst, &|setting| setting.policy = Policy::Lifo));
    }
    changes
}

/// A time that somebody would write into a configuration: whole seconds from five on, tenths from one on, milliseconds.
fn readable(time: f64, round: fn(f64) -> f64) -> f64 {
    let steps = if time >= 5.0 {
        1.0
    } else if time >= 1.0 {
        10.0
    } else {
        1_000.0
    };
    round(time * steps) / steps
}

/// Computes a change's failure rate both ways and compares them.
pub fn assess(change: Change, plan: Plan) -> Assessed {
    let closed = closed_form(&change.setting);
    let possible = Fate::of(&change.setting).support().is_some();
    let simulated = possible.then(|| simulate(&change.setting, plan));
    let agreement = match (simulated, closed) {
        (Some(simulated), Ok(closed)) if simulated.lost > 0.0 => {
            let apart = (simulated.lost - closed.lost).abs();
            if apart <= AGREES_WITHIN * simulated.error { Agreement::Agree } else { Agreement::Differ }
        }
        _ => Agreement::One,
    };
    Assessed { change, closed, simulated, agreement }
}

/// Computes every change of a setting. A retry whose share is not known changes nothing that could be computed: its
/// numbers are those of the setting as it is, of which nothing is saved.
pub fn assess_all(setting: &Setting, idempotent: Option<f64>, plan: Plan) -> Vec<Assessed> {
    let mut all: Vec<Assessed> = Vec::new();
    for change in changes(setting, idempotent) {
        let assessed = match (change.kind, all.first()) {
            (ChangeKind::Retry(None), Some(before)) => Assessed { change, ..before.clone() },
            _ => assess(change, plan),
        };
        all.push(assessed);
    }
    all
}
