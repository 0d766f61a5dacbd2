//! The pool of the simulation.

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::setting::{Policy, Size};

/// An idle connection; times are s since the simulation began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    /// A request sent on it later is lost.
    pub lost_from: f64,
    /// A request later than this is not sent on it any more.
    pub gone_from: f64,
}

/// Idle connections, longest idle first, and the number of busy ones.
#[derive(Debug)]
pub(super) struct Pool {
    idle: VecDeque<Idle>,
    busy: usize,
    policy: Policy,
    size: Size,
}

impl Pool {
    pub fn new(policy: Policy, size: Size) -> Pool {
        Pool { idle: VecDeque::new(), busy: 0, policy, size }
    }

    /// Connections, busy or idle, some of which the proxy may not have noticed to be closed.
    pub fn connections(&self) -> usize {
        self.idle.len() + self.busy
    }

    /// The connection for a request, which is then busy; none where it has to open one.
    pub fn take(&mut self, now: f64, rng: &mut ChaCha8Rng) -> Option<Idle> {
        self.forget_gone(now);
        let taken = if self.must_fill() { None } else { self.pick(now, rng) };
        self.busy += 1;
        taken
    }

    fn pick(&mut self, now: f64, rng: &mut ChaCha8Rng) -> Option<Idle> {
        loop {
            let picked = match self.policy {
                Policy::Lifo => self.idle.pop_back(),
                Policy::Fifo => self.idle.pop_front(),
                Policy::Random if self.idle.is_empty() => None,
                Policy::Random => self.idle.remove(rng.random_range(0..self.idle.len())),
            }?;
            if picked.gone_from > now {
                return Some(picked);
            }
        }
    }

    /// A busy connection becomes idle; of too many, the longest idle one goes.
    pub fn put(&mut self, idle: Idle) {
        self.busy -= 1;
        self.idle.push_back(idle);
        let too_many = match self.size {
            Size::AsNeeded { max_idle } => self.idle.len() > max_idle,
            Size::Kept(number) => self.connections() > number,
        };
        if too_many {
            self.idle.pop_front();
        }
    }

    /// A new connection is opened outside of [`Pool::take`].
    pub fn open(&mut self) {
        self.busy += 1;
    }

    /// A busy connection is lost.
    pub fn lose(&mut self) {
        self.busy -= 1;
    }

    /// How long, between two times without a change, the next request would have been lost; s.
    pub fn exposed(&mut self, from: f64, to: f64) -> f64 {
        if self.policy == Policy::Random {
            return self.exposed_at_random(from, to);
        }
        let (mut from, mut exposed) = (from, 0.0);
        loop {
            self.forget_gone(from);
            if self.must_fill() {
                return exposed;
            }
            let next = if self.policy == Policy::Lifo { self.idle.back() } else { self.idle.front() };
            let Some(next) = next.copied() else { return exposed };
            if next.gone_from <= from {
                // Only the youngest can be gone here: the oldest were forgotten above.
                self.idle.pop_back();
                continue;
            }
            let oldest = self.idle.front().map_or(to, |idle| idle.gone_from);
            let until = to.min(next.gone_from).min(oldest);
            exposed += (until - next.lost_from.max(from)).max(0.0);
            if until >= to {
                return exposed;
            }
            from = until;
        }
    }

    /// As [`Pool::exposed`], where each idle connection is as likely to be the next.
    fn exposed_at_random(&mut self, mut from: f64, to: f64) -> f64 {
        let mut exposed = 0.0;
        loop {
            self.idle.retain(|idle| idle.gone_from > from);
            if self.must_fill() || self.idle.is_empty() {
                return exposed;
            }
            let until = self.idle.iter().fold(to, |until, idle| until.min(idle.gone_from));
            let each = self.idle.iter().map(|idle| (until - idle.lost_from.max(from)).max(0.0));
            exposed += each.sum::<f64>() / self.idle.len() as f64;
            if until >= to {
                return exposed;
            }
            from = until;
        }
    }

    fn must_fill(&self) -> bool {
        matches!(self.size, Size::Kept(number) if self.connections() < number)
    }

    fn forget_gone(&mut self, now: f64) {
        while self.idle.front().is_some_and(|oldest| oldest.gone_from <= now) {
            self.idle.pop_front();
        }
    }
}
