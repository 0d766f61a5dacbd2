//! The driver: one thread that keeps thousands of connections, each with a deadline of its own, and is late by
//! microseconds only.
//!
//! It sleeps until shortly before the next deadline and then watches the clock, because a sleeping thread is woken some
//! ten microseconds late *(measured; more on a busy machine)*. Work that can wait does so while a deadline is near.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::answer::{Answer, LONGEST, answer};
use super::link::{Link, State, lost_by};
use super::{Attempt, Ending, Plan, Requests, Settings};
use crate::capture::Interrupt;
use crate::lab::events::now_ns;
use crate::lab::punctual::be_punctual;

/// The clock is watched for this long before a deadline: longer than a woken thread is usually late.
const WATCHED: Duration = Duration::from_micros(200);
/// How often a stop request is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How soon a plan that was not there is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(1);
/// How long an answer to a second request may take. Whoever lost it is told by FIN or RST within a round trip.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Events taken from the kernel at one time: few, so that no deadline passes meanwhile.
const EVENTS: usize = 4;
/// Connections without their first answer: at least this many may be, and as many more as are idle. A backend with few
/// workers, each busy with one idle connection, is thus not buried under connections that it cannot serve.
const UNANSWERED: usize = 4;

/// What a driver found.
#[derive(Debug)]
pub struct Driven {
    /// Every connection that ended, in the order of opening.
    pub attempts: Vec<Attempt>,
    /// A stop request ended it.
    pub interrupted: bool,
    /// The time allowed ended it.
    pub out_of_time: bool,
    /// Most connections open at one time.
    pub side_by_side: usize,
}

/// Something to be done at a time, on a place whose connection has this number.
type Deadline = Reverse<(Instant, usize, u32)>;

/// Keeps the connections of one sweep.
pub struct Driver {
    settings: Settings,
    requests: Requests,
    backend: SocketAddr,
    plans: Option<Receiver<Plan>>,
    results: Sender<Attempt>,
    stop: Interrupt,
    epoll: Epoll,
    links: Vec<Option<Link>>,
    free: Vec<usize>,
    deadlines: BinaryHeap<Deadline>,
    random: ChaCha8Rng,
    next_open: Instant,
    opened: u32,
    open: usize,
    idle: usize,
    side_by_side: usize,
    attempts: Vec<Attempt>,
    began: Instant,
    began_ns: i64,
}

impl Driver {
    /// A driver that has opened nothing yet.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(
        settings: &Settings,
        requests: Requests,
        backend: SocketAddr,
        plans: Receiver<Plan>,
        results: Sender<Attempt>,
        stop: Interrupt,
    ) -> io::Result<Driver> {
        let began = Instant::now();
        Ok(Driver {
            settings: settings.clone(),
            requests,
            backend,
            plans: Some(plans),
            results,
            stop,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            links: Vec::new(),
            free: Vec::new(),
            deadlines: BinaryHeap::new(),
            random: ChaCha8Rng::seed_from_u64(settings.seed.wrapping_add(1)),
            next_open: began,
            opened: 0,
            open: 0,
            idle: 0,
            side_by_side: 0,
            attempts: Vec::new(),
            began,
            began_ns: now_ns(),
        })
    }

    /// Opens and uses connections until there is no plan left, the time is over, or it is stopped.
    ///
    /// # Errors
    /// When the kernel refuses to wait: a defect.
    pub fn run(mut self) -> io::Result<Driven> {
        be_punctual();
        let end = self.began + self.settings.max_time;
        let (interrupted, out_of_time) = loop {
            self.meet_deadlines();
            let ended = (self.stop.is_raised(), Instant::now() >= end);
            if ended != (false, false) || (self.plans.is_none() && self.open == 0) {
                break ended;
            }
            self.open_if_due();
            self.wait(end)?;
        };
        // Lost all the same, whatever would have become of the second try.
        self.attempts.extend(self.links.iter_mut().flatten().filter_map(|link| link.lost.take()));
        self.attempts.sort_by_key(|attempt| attempt.number);
        Ok(Driven {
            attempts: std::mem::take(&mut self.attempts),
            interrupted,
            out_of_time: out_of_time && !interrupted,
            side_by_side: self.side_by_side,
        })
    }

    fn meet_deadlines(&mut self) {
        while let Some(Reverse((at, place, number))) = self.deadlines.peek().copied() {
            if at > Instant::now() {
                return;
            }
            self.deadlines.pop();
            let Some(link) = self.links[place].as_ref().filter(|link| link.number == number) else {
                continue;
            };
            match link.state {
                State::Idle if link.due == Some(at) => self.send_second(place),
                State::Idle if link.plan == Plan::Watch => self.end(place, Ending::StillOpen),
                State::SecondSent if link.sent.is_some_and(|sent| sent + ANSWER_WITHIN <= at) => {
                    self.end(place, Ending::NoAnswer);
                }
                State::Connecting => self.not_idle(place, "no connection came about in time"),
                State::FirstSent => self.not_idle(place, "the first request was not answered in time"),
                // A deadline of a state that it has left.
                State::Idle | State::SecondSent => {}
            }
        }
    }

    /// The connection's time has come: looks whether the backend has closed it, as a pool does, and sends if not.
    fn send_second(&mut self, place: usize) {
        let Some(link) = self.links[place].as_mut() else { return };
        match link.stream.peek(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // FIN, or a response that nobody asked for: either way the pool throws the connection away.
            Ok(_) => return self.closed(place, false),
            Err(_) => return self.closed(place, true),
        }
        let sent = Instant::now();
        link.sent = Some(sent);
        link.state = State::SecondSent;
        link.received.clear();
        self.idle -= 1;
        let number = link.number;
        match link.stream.write(&link.second) {
            Ok(written) if written == link.second.len() => {
                self.deadlines.push(Reverse((sent + ANSWER_WITHIN, place, number)));
            }
            Ok(_) => self.end(place, Ending::CutOff),
            Err(error) => self.end(place, lost_by(&error)),
        }
    }

    fn open_if_due(&mut self) {
        let now = Instant::now();
        if now < self.next_open || self.plans.is_none() || !self.may_open() {
            return;
        }
        // Someone else's deadline comes first.
        if self.deadlines.peek().is_some_and(|Reverse((at, ..))| *at < now + WATCHED) {
            return;
        }
        let plan = match self.plans.as_ref().map(Receiver::try_recv) {
            Some(Ok(plan)) => plan,
            Some(Err(TryRecvError::Empty)) => {
                self.next_open = now + ASK_AGAIN;
                return;
            }
            _ => {
                self.plans = None;
                return;
            }
        };
        // Never in step with a timer, and never more in a second than allowed.
        let pause = self.random.random_range(1.0..1.5) / self.settings.rate;
        self.next_open = now + Duration::from_secs_f64(pause);
        self.opened += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.links.push(None);
            self.links.len() - 1
        });
        match self.connect(place, plan) {
            Ok(link) => {
                self.deadlines.push(Reverse((now + self.settings.max_wait, place, link.number)));
                self.links[place] = Some(link);
                self.open += 1;
                self.side_by_side = self.side_by_side.max(self.open);
            }
            Err(error) => {
                self.free.push(place);
                self.tell(Attempt {
                    number: self.opened,
                    local: None,
                    plan,
                    ending: Ending::NotIdle { reason: format!("cannot connect: {error}") },
                    handshake: None,
                    due_ns: None,
                    idle: None,
                    late: None,
                    retried: None,
                });
            }
        }
    }

    fn may_open(&self) -> bool {
        let unanswered = self.open - self.idle.min(self.open);
        self.open < self.settings.connections && unanswered < UNANSWERED + self.idle
    }

    fn connect(&self, place: usize, plan: Plan) -> io::Result<Link> {
        let link = Link::open(self.opened, plan, self.backend)?;
        let interest =
            EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.epoll.add(&link.stream, EpollEvent::new(interest, place as u64))?;
        Ok(link)
    }

    /// Sleeps until something is due or comes in, and takes in what came.
    fn wait(&mut self, end: Instant) -> io::Result<()> {
        let now = Instant::now();
        let deadline = self.deadlines.peek().map(|Reverse((at, ..))| *at);
        if let Some(at) = deadline
            && at <= now + WATCHED
        {
            while Instant::now() < at {
                std::hint::spin_loop();
            }
            return Ok(());
        }
        let opening = (self.plans.is_some() && self.may_open()).then_some(self.next_open);
        let until = [deadline.map(|at| at - WATCHED), opening, Some(end), Some(now + LOOK_EVERY)];
        let until = until.into_iter().flatten().min().unwrap_or(now);
        let timeout = TimeSpec::from(until.saturating_duration_since(now));
        let mut fds = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, Some(timeout), None) {
            Ok(0) | Err(Errno::EINTR) => return Ok(()),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        loop {
            let mut events = [EpollEvent::empty(); EVENTS];
            let came = self.epoll.wait(&mut events, EpollTimeout::ZERO).or_else(|errno| match errno {
                Errno::EINTR => Ok(0),
                errno => Err(errno),
            })?;
            for event in &events[..came] {
                self.handle(event.data() as usize);
            }
            let near = self.deadlines.peek().is_some_and(|Reverse((at, ..))| *at <= Instant::now() + WATCHED);
            if came < EVENTS || near {
                return Ok(());
            }
        }
    }

    fn handle(&mut self, place: usize) {
        let Some(link) = self.links.get_mut(place).and_then(Option::as_mut) else { return };
        if link.state == State::Connecting {
            match link.stream.take_error() {
                Ok(None) => {}
                Ok(Some(error)) | Err(error) => {
                    return self.not_idle(place, &format!("cannot connect: {error}"));
                }
            }
            // Not connected yet: the event was of the registration.
            if link.stream.peer_addr().is_err() {
                return;
            }
            link.handshake = Some(link.opened.elapsed());
            link.local = link.stream.local_addr().ok();
            link.state = State::FirstSent;
            let first = match &link.lost {
                Some(lost) => self.requests.bytes(lost.number, true),
                None => self.requests.bytes(link.number, false),
            };
            match link.stream.write(&first) {
                Ok(written) if written == first.len() => {}
                Ok(_) => return self.not_idle(place, "the first request does not fit into the socket"),
                Err(error) => {
                    return self.not_idle(place, &format!("cannot send the first request: {error}"));
                }
            }
        }
        self.read(place);
    }

    fn read(&mut self, place: usize) {
        let mut chunk = [0; 16 * 1024];
        loop {
            let Some(link) = self.links[place].as_mut() else { return };
            match link.stream.read(&mut chunk) {
                Ok(0) => {
                    return match link.state {
                        State::Idle => self.closed(place, false),
                        State::SecondSent if link.received.is_empty() => self.end(place, Ending::Eof),
                        State::SecondSent => self.end(place, Ending::CutOff),
                        State::Connecting | State::FirstSent => {
                            self.not_idle(place, "the backend closed the connection instead of answering")
                        }
                    };
                }
                // A response that nobody asked for (408) goes before a close.
                Ok(_) if link.state == State::Idle => return self.closed(place, false),
                Ok(read) => {
                    link.received.extend_from_slice(&chunk[..read]);
                    if link.received.len() > LONGEST + chunk.len() {
                        return self.not_idle(place, "its response is longer than 4 MiB");
                    }
                    if read == chunk.len() {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return match link.state {
                        State::Idle => self.closed(place, true),
                        State::SecondSent if link.received.is_empty() => self.end(place, lost_by(&error)),
                        State::SecondSent => self.end(place, Ending::CutOff),
                        State::Connecting | State::FirstSent => {
                            self.not_idle(place, &format!("the first request failed: {error}"))
                        }
                    };
                }
            }
            // All there is, as a rule; an end behind it comes as an event of its own, or is read in the next turn.
            if self.answered(place) {
                return;
            }
        }
    }

    /// Judges what has been received; true when the connection has ended.
    fn answered(&mut self, place: usize) -> bool {
        let now = Instant::now();
        let Some(link) = self.links[place].as_mut() else { return true };
        if link.received.is_empty() || !matches!(link.state, State::FirstSent | State::SecondSent) {
            return false;
        }
        let found = match answer(&link.received, self.requests.method()) {
            Ok(Some(found)) => found,
            Ok(None) => return false,
            Err(_) if link.state == State::SecondSent => {
                self.end(place, Ending::CutOff);
                return true;
            }
            Err(reason) => {
                self.not_idle(place, &reason);
                return true;
            }
        };
        let Answer { status, keep_alive } = found;
        if link.state == State::SecondSent || link.lost.is_some() {
            self.end(place, Ending::Answered { status });
            return true;
        }
        if !keep_alive {
            self.not_idle(place, "the backend keeps no connection: it says Connection: close");
            return true;
        }
        link.state = State::Idle;
        link.idle_since = Some(now);
        link.second = self.requests.bytes(link.number, true);
        let number = link.number;
        let at = match link.plan {
            Plan::Watch => now + self.settings.max_wait,
            Plan::Send(idle) => *link.due.insert(now + idle),
        };
        self.idle += 1;
        self.deadlines.push(Reverse((at, place, number)));
        false
    }

    /// The backend closed an idle connection.
    fn closed(&mut self, place: usize, reset: bool) {
        let Some(since) = self.links[place].as_ref().and_then(|link| link.idle_since) else { return };
        self.end(place, Ending::ClosedBefore { after: since.elapsed(), reset });
    }

    fn not_idle(&mut self, place: usize, reason: &str) {
        self.end(place, Ending::NotIdle { reason: reason.to_owned() });
    }

    /// The connection has served its purpose.
    fn end(&mut self, place: usize, ending: Ending) {
        let Some(mut link) = self.links[place].take() else { return };
        self.open -= 1;
        self.idle -= usize::from(link.state == State::Idle);
        let wall_ns = |at: Instant| {
            let since = i64::try_from((at - self.began).as_nanos()).unwrap_or(i64::MAX);
            self.began_ns.saturating_add(since)
        };
        // Found closed later than planned, it counts for the moment at which it was looked at.
        let found = matches!(ending, Ending::ClosedBefore { .. }).then(Instant::now);
        if let Some(lost) = link.lost.take() {
            drop(link);
            self.free.push(place);
            return self.tell(Attempt { retried: Some(matches!(ending, Ending::Answered { .. })), ..lost });
        }
        let attempt = Attempt {
            number: link.number,
            local: link.local,
            plan: link.plan,
            ending,
            handshake: link.handshake,
            due_ns: link.due.map(|due| wall_ns(found.map_or(due, |found| found.max(due)))),
            idle: link.sent.zip(link.idle_since).map(|(sent, since)| sent - since),
            late: link.sent.zip(link.due).map(|(sent, due)| sent.saturating_duration_since(due)),
            retried: None,
        };
        // Closing sends a FIN, and takes it off the list of events.
        drop(link);
        if self.settings.retry && attempt.ending.leaves_nothing() {
            return self.send_again(place, attempt);
        }
        self.free.push(place);
        self.tell(attempt);
    }

    /// Sends a lost request on a new connection in the place of the old one.
    fn send_again(&mut self, place: usize, lost: Attempt) {
        match self.connect(place, lost.plan) {
            Ok(link) => {
                let until = Instant::now() + ANSWER_WITHIN;
                self.deadlines.push(Reverse((until, place, link.number)));
                self.links[place] = Some(Link { lost: Some(lost), ..link });
                self.open += 1;
            }
            Err(_) => {
                self.free.push(place);
                self.tell(Attempt { retried: Some(false), ..lost });
            }
        }
    }

    fn tell(&mut self, attempt: Attempt) {
        // The planner has ended when it wants no more.
        let _ = self.results.send(attempt.clone());
        self.attempts.push(attempt);
    }
}
