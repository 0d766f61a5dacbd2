//! Idle connections to the backend, and which of them is used next.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use rand::RngExt;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::lab::events::{Actor, Connection, EventLog, What};
use crate::lab::http::HttpStream;
use crate::lab::scenario::{Reuse, ToyProxy};

/// A connection to the backend.
pub(super) struct Upstream {
    pub(super) http: HttpStream,
    pub(super) connection: Connection,
}

impl Upstream {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        let connection = Connection { edge: stream.local_addr()?, origin: stream.peer_addr()? };
        Ok(Self { http: HttpStream::new(stream)?, connection })
    }

    /// What makes an idle connection unfit for a request, as far as this host's kernel knows at this moment.
    ///
    /// Asks the kernel directly, because the runtime hears of a FIN only at its next turn. The race of this program
    /// remains: a FIN that has not arrived cannot be seen.
    fn defect(&self) -> Option<Defect> {
        Defect::in_peek(SockRef::from(self.http.tcp()).peek(&mut [MaybeUninit::uninit()]))
    }

    /// As [`Upstream::defect`], and wakes the task when there is one later.
    fn poll_defect(&self, context: &mut Context<'_>) -> Option<Defect> {
        let stream = self.http.tcp();
        while stream.poll_read_ready(context).is_ready() {
            let look = || SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]);
            // Where there is nothing to read after all, this takes the readiness back, and the next turn waits.
            if let Some(defect) = Defect::in_peek(stream.try_io(Interest::READABLE, look)) {
                return Some(defect);
            }
        }
        None
    }
}

/// Why an idle connection is unfit for a request.
enum Defect {
    /// The backend ended it: EOF, or the error of a reset.
    Ended(String),
    /// The backend sent bytes that nobody had asked for, such as a 408.
    Unasked,
}

impl Defect {
    /// What this look at a connection tells against it.
    fn in_peek(peeked: io::Result<usize>) -> Option<Self> {
        match peeked {
            Ok(0) => Some(Defect::Ended("EOF".into())),
            Ok(_) => Some(Defect::Unasked),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Defect::Ended(error.to_string())),
        }
    }

    fn found(self) -> String {
        match self {
            Defect::Ended(found) => found,
            Defect::Unasked => "bytes that nobody asked for".into(),
        }
    }
}

/// The idle connections of one lane.
pub(super) struct Pool {
    /// Longest idle first.
    idle: Mutex<VecDeque<Idle>>,
    /// A connection was added: there may be a timer to set.
    added: Notify,
    settings: ToyProxy,
    lane: usize,
    log: EventLog,
}

struct Idle {
    upstream: Upstream,
    since: Instant,
    /// What it has to tell while it is idle has been told.
    told: bool,
}

impl Pool {
    pub(super) fn new(settings: &ToyProxy, lane: usize, log: EventLog) -> Self {
        Self { idle: Mutex::default(), added: Notify::new(), settings: settings.clone(), lane, log }
    }

    /// The connection to use next.
    pub(super) fn take(&self) -> Option<Upstream> {
        loop {
            let Idle { upstream, .. } = {
                let mut idle = self.lock();
                match self.settings.reuse {
                    Reuse::Lifo => idle.pop_back(),
                    Reuse::Fifo => idle.pop_front(),
                    Reuse::Random if idle.is_empty() => None,
                    // What is left stays in the order of idle times.
                    Reuse::Random => {
                        let any = rand::rng().random_range(0..idle.len());
                        idle.remove(any)
                    }
                }
            }?;
            match upstream.defect().filter(|_| self.settings.check_before_reuse) {
                None => return Some(upstream),
                Some(defect) => self.record(&upstream, What::StaleDiscarded { found: defect.found() }),
            }
        }
    }

    /// Keeps a connection; when there are too many, the longest idle one is closed.
    pub(super) fn put(&self, upstream: Upstream) {
        self.record(&upstream, What::Pooled);
        let surplus = {
            let mut idle = self.lock();
            idle.push_back(Idle { upstream, since: Instant::now(), told: false });
            if idle.len() > self.settings.max_idle { idle.pop_front() } else { None }
        };
        if let Some(Idle { upstream, .. }) = surplus {
            self.close(upstream, true);
        }
        self.added.notify_one();
    }

    /// Closes each connection at the end of its idle time, and notes when the backend ends one, for ever.
    pub(super) async fn sweep(&self) {
        loop {
            let oldest = self.lock().front().map(|idle| idle.since);
            let timer = async {
                match oldest {
                    // Should a request take the connection meanwhile, the check below finds a younger one or none.
                    Some(since) => sleep_until(since + self.settings.idle_timeout).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = timer => {}
                () = self.added.notified() => {}
                () = poll_fn(|context| self.poll_ends(context)) => {}
            }
            let now = Instant::now();
            while let Some(expired) = self.pop_expired(now) {
                self.close(expired, false);
            }
        }
    }

    /// Notes every end that has arrived; never ready, because a noted end changes nothing in the pool.
    fn poll_ends(&self, context: &mut Context<'_>) -> Poll<()> {
        for idle in self.lock().iter_mut().filter(|idle| !idle.told) {
            let defect = idle.upstream.poll_defect(context);
            // Nothing behind unasked bytes can be seen without taking them, so they are the last thing to tell, too.
            idle.told = defect.is_some();
            if let Some(Defect::Ended(found)) = defect {
                self.record(&idle.upstream, What::PeerClosed { found });
            }
        }
        Poll::Pending
    }

    fn pop_expired(&self, now: Instant) -> Option<Upstream> {
        let mut idle = self.lock();
        let is_due = idle.front()?.since + self.settings.idle_timeout <= now;
        if is_due { idle.pop_front().map(|idle| idle.upstream) } else { None }
    }

    fn close(&self, upstream: Upstream, pool_full: bool) {
        let connection = upstream.connection;
        drop(upstream);
        self.log.record(Actor::Proxy, self.lane, Some(connection), What::IdleClose { pool_full });
    }

    fn record(&self, upstream: &Upstream, what: What) {
        self.log.record(Actor::Proxy, self.lane, Some(upstream.connection), what);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        // Every change is a single push or pop, so a panic elsewhere leaves nothing half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
