//! Decides what becomes of each request, and keeps the accounts. Time comes in as an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::ProbeError;
use super::super::request::Asked;
use super::connection::Action;
use super::driver::{LARGEST_NUMBER, Seen, number_of};
use super::{Again, Event, GivenUp, Id, Measurement, Options, Retry, SoFar, TRIALS, Trial};

/// How long an answer waits for further requests, so that those sent side by side need connections of their own.
const HOLD: Duration = Duration::from_millis(200);
/// A close this soon after a response is no idle timer: the proxy had no room for the connection.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Connections given up that are kept in mind: more say nothing new.
const MOST_SAMPLES: usize = 10_000;
/// How soon a proxy sends a request again. Where requests carry no number, what comes later is another one.
const SOON: Duration = Duration::from_secs(1);

/// A connection that has carried a request.
#[derive(Debug, Default)]
struct Kept {
    answered: u32,
    idle_since: Option<Instant>,
}

/// How far a trial is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Open,
    /// A request with this target met the close.
    Struck {
        target: String,
        at: Instant,
    },
    Done(Again, Option<Duration>),
}

/// The accounts of one probe.
pub(super) struct Desk {
    samples: usize,
    max_wait: Duration,
    driven: bool,
    all_sent: bool,
    /// Requests come side by side, or may.
    side_by_side: bool,
    /// The begin of the wait.
    since: Instant,
    kept: BTreeMap<Id, Kept>,
    held: Vec<oneshot::Sender<Action>>,
    held_since: Option<Instant>,
    trials: Vec<(Trial, State, Option<u16>)>,
    /// Which request of the driver is for which trial, and which have come.
    trial_of: BTreeMap<u32, usize>,
    arrived: BTreeSet<u32>,
    measured: Measurement,
}

impl Desk {
    pub(super) fn new(options: &Options, listen: SocketAddr, now: Instant) -> Desk {
        let trials = TRIALS.map(|trial| (trial, State::Open, None));
        Desk {
            samples: options.samples,
            max_wait: options.max_wait,
            driven: options.via.is_some(),
            all_sent: false,
            side_by_side: options.via.is_none(),
            since: now,
            kept: BTreeMap::new(),
            held: Vec::new(),
            held_since: None,
            trials: if options.test_retry { trials.to_vec() } else { Vec::new() },
            trial_of: BTreeMap::new(),
            arrived: BTreeSet::new(),
            measured: Measurement {
                listen: listen.to_string(),
                via: options.via.as_ref().map(ToString::to_string),
                connections: 0,
                requests: 0,
                reused: 0,
                longest_reuse_ns: None,
                not_kept: 0,
                samples: Vec::new(),
                closed_at_once: 0,
                still_open_ns: Vec::new(),
                retries: Vec::new(),
                unreadable: None,
            },
        }
    }

    /// Enters what happened.
    ///
    /// # Errors
    /// Requests cannot be sent through the proxy.
    pub(super) fn take(&mut self, event: Event) -> Result<(), ProbeError> {
        match event {
            Event::Request { id, asked, at, reply } => self.request(id, &asked, at, reply),
            Event::Answered { id, at } => {
                let kept = self.kept.entry(id).or_default();
                kept.answered += 1;
                kept.idle_since = Some(at);
            }
            Event::Parted { id } => {
                self.kept.remove(&id);
            }
            Event::Closed { id, ending, idle, at } => {
                let Some(Kept { answered, idle_since: Some(since) }) = self.kept.remove(&id) else {
                    return Ok(());
                };
                let after = at.saturating_duration_since(since);
                if after < AT_ONCE {
                    self.measured.closed_at_once += 1;
                } else if idle && self.measured.samples.len() < MOST_SAMPLES {
                    self.measured.samples.push(GivenUp { idle_ns: ns(after), ending, requests: answered });
                }
            }
            Event::Unreadable { id, why } => {
                self.kept.remove(&id);
                let before = self.measured.unreadable.take().map_or(0, |(count, _)| count);
                self.measured.unreadable = Some((before + 1, why));
            }
            Event::Trial { number, index } => {
                self.trial_of.insert(number, index);
            }
            Event::SideBySide => self.side_by_side = true,
            Event::Driven { number, status, reply } => {
                let seen =
                    Seen { arrived: self.arrived.contains(&number), tried: self.ended(number, status) };
                // A driver that does not wait any more is not to be told.
                let _ = reply.send(seen);
            }
            Event::AllSent { all, at } => {
                all?;
                self.all_sent = true;
                self.since = at;
            }
        }
        Ok(())
    }

    fn request(&mut self, id: Id, asked: &Asked, at: Instant, reply: oneshot::Sender<Action>) {
        if self.measured.requests == 0 && !self.driven {
            self.since = at;
        }
        self.measured.requests += 1;
        let number = number_of(&asked.target);
        // Anybody can send a number.
        self.arrived.extend(number.filter(|number| self.driven && *number <= LARGEST_NUMBER));
        let kept = self.kept.entry(id).or_default();
        match kept.idle_since.take() {
            Some(since) => {
                self.measured.reused += 1;
                let idle = ns(at.saturating_duration_since(since));
                self.measured.longest_reuse_ns = self.measured.longest_reuse_ns.max(Some(idle));
            }
            None => self.measured.connections += 1,
        }
        let reused = kept.answered > 0;
        self.measured.not_kept += u32::from(!asked.persistent);
        if let Some(close) = self.strikes(asked, number, reused, at) {
            self.kept.remove(&id);
            // A connection that is gone meets no close; its trial ends as one that nobody repeated.
            let _ = reply.send(close);
            return;
        }
        self.held.push(reply);
        self.held_since.get_or_insert(at);
        if self.held.len() >= self.samples || !self.side_by_side {
            self.release();
        }
    }

    /// Whether a request is to meet a close; and whether it is one that has met one and comes again.
    fn strikes(&mut self, asked: &Asked, number: Option<u32>, reused: bool, at: Instant) -> Option<Action> {
        for (trial, state, _) in &mut self.trials {
            if let State::Struck { target, at: struck } = state
                && trial.method == asked.method
                && *target == asked.target
            {
                let after = at.saturating_duration_since(*struck);
                *state = State::Done(Again::Sent, Some(after));
                return None;
            }
        }
        let waiting = self.trials.iter().any(|(_, state, _)| matches!(state, State::Struck { .. }));
        if !reused || !asked.persistent || waiting {
            return None;
        }
        let wanted = if self.driven { Some(*self.trial_of.get(&number?)?) } else { None };
        let fits = |index: usize, trial: &Trial| {
            wanted.is_none_or(|wanted| wanted == index) && trial.method == asked.method
        };
        let mut trials = self.trials.iter_mut().enumerate();
        let (_, (trial, state, _)) =
            trials.find(|(index, (trial, state, _))| *state == State::Open && fits(*index, trial))?;
        *state = State::Struck { target: asked.target.clone(), at };
        Some(Action::Close(trial.close))
    }

    /// The client has what it gets: nothing will be sent again any more. Whether this request was tried.
    fn ended(&mut self, number: u32, status: Option<u16>) -> bool {
        let Some((_, state, client)) =
            self.trial_of.get(&number).and_then(|index| self.trials.get_mut(*index))
        else {
            return false;
        };
        if matches!(state, State::Struck { .. }) {
            *state = State::Done(Again::NotSent, None);
        }
        let tried = *state != State::Open;
        if tried {
            *client = status;
        }
        tried
    }

    fn release(&mut self) {
        self.held_since = None;
        for reply in self.held.drain(..) {
            // The connection may have ended meanwhile.
            let _ = reply.send(Action::Answer);
        }
    }

    /// Does what is due.
    pub(super) fn pass_time(&mut self, now: Instant) {
        if self.held_since.is_some_and(|since| since + HOLD <= now) {
            self.release();
        }
        if self.driven {
            return;
        }
        for (_, state, _) in &mut self.trials {
            if matches!(state, State::Struck { at, .. } if *at + SOON <= now) {
                *state = State::Done(Again::NotSent, None);
            }
        }
    }

    /// When something is due next, if nothing happens.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let struck = self.trials.iter().filter_map(|(_, state, _)| match state {
            State::Struck { at, .. } if !self.driven => Some(*at + SOON),
            _ => None,
        });
        let held = self.held_since.map(|since| since + HOLD);
        // While the probe's own requests are under way, they have limits of their own.
        let wait = (!self.driven || self.all_sent).then(|| self.since + self.max_wait);
        struck.chain(held).chain(wait).min()
    }

    /// Whether enough is known, or the wait is over.
    pub(super) fn is_done(&self, now: Instant) -> bool {
        let has_samples = self.measured.samples.len() >= self.samples;
        if self.driven {
            let over = self.since + self.max_wait <= now;
            return self.all_sent && (has_samples || self.kept.is_empty() || over);
        }
        let asked_enough = usize::try_from(self.measured.requests).is_ok_and(|came| came >= self.samples);
        if asked_enough && self.measured.not_kept == self.measured.requests && self.kept.is_empty() {
            return true;
        }
        let tried = self.trials.iter().all(|(_, state, _)| matches!(state, State::Done(..)));
        (has_samples && tried) || self.since + self.max_wait <= now
    }

    pub(super) fn so_far(&self) -> SoFar {
        SoFar {
            requests: self.measured.requests,
            kept: self.kept.len(),
            given_up: self.measured.samples.len(),
        }
    }

    /// What came out.
    pub(super) fn result(self, now: Instant) -> Measurement {
        let mut measured = self.measured;
        let open = self.kept.values().filter_map(|kept| kept.idle_since);
        measured.still_open_ns = open.map(|since| ns(now.saturating_duration_since(since))).collect();
        measured.still_open_ns.sort_unstable_by(|one, other| other.cmp(one));
        let retries = self.trials.into_iter().map(|(Trial { method, close }, state, client_status)| {
            let (again, after) = match state {
                State::Done(again, after) => (again, after),
                State::Open | State::Struck { .. } => (Again::NotTested, None),
            };
            Retry { method, close, again, after_ns: after.map(ns), client_status }
        });
        measured.retries = retries.collect();
        measured
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
