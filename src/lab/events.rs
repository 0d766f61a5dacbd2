//! What happened in the lab, in the order in which it happened: one JSON object a line.
//!
//! This is what the applications saw, beside the captures, which are what the kernels did. It is also how the driver
//! knows when to send: everything it waits for is in the log, so a reader of `events.jsonl` can follow each decision.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::scenario::{Close, Packet, Party};

/// CLOCK_REALTIME in nanoseconds since the Unix epoch: the clock of the captures.
pub fn now_ns() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_nanos().try_into().unwrap_or(i64::MAX)
}

/// One TCP connection between the two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    /// The proxy's end.
    pub edge: SocketAddr,
    /// The backend's end.
    pub origin: SocketAddr,
}

impl fmt::Display for Connection {
    /// `192.0.2.1:40000 192.0.2.2:3000`, the proxy's end first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.edge, self.origin)
    }
}

impl Serialize for Connection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// Sends the user's requests; on the edge host.
    Driver,
    /// On the edge host.
    Proxy,
    /// On the origin host.
    Backend,
    /// Between the hosts.
    Wire,
}

/// One of the two requests of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// The first: it opens, or finds, the connection that then stays idle.
    WarmUp,
    /// The second: the one that may die.
    Second,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// Driver: an attempt begins.
    AttemptBegins,
    /// Driver: a request was sent to the proxy.
    Sent {
        /// Which.
        request: Turn,
    },
    /// Driver: it ended.
    Answered {
        /// Which.
        request: Turn,
        /// What the user saw.
        outcome: String,
    },
    /// Driver: the moment for the second request did not come.
    NotSent {
        /// Why.
        reason: String,
    },
    /// Proxy: a connection to the backend was opened for a request.
    NewConnection,
    /// Proxy: a pooled connection was taken for a request.
    Reuse,
    /// Proxy: its kernel has the backend's end of a pooled connection. Only noted: whether the pool acts on it is the
    /// setting `check_before_reuse`.
    PeerClosed {
        /// What was found.
        found: String,
    },
    /// Proxy: a pooled connection was looked at, found dead, and thrown away.
    StaleDiscarded {
        /// What was found.
        found: String,
    },
    /// Proxy: the backend ended the connection before any byte of an answer.
    UpstreamEof,
    /// Proxy: the connection was reset before any byte of an answer.
    UpstreamReset,
    /// Proxy: any other failure of the backend.
    UpstreamFailed {
        /// What.
        reason: String,
    },
    /// Proxy: the request is sent once more, on a new connection.
    Retry,
    /// Proxy: a connection is idle now.
    Pooled,
    /// Proxy: a pooled connection was closed.
    IdleClose {
        /// True when it made room for another, false when its idle timer fired.
        pool_full: bool,
    },
    /// Backend: a connection was accepted.
    Accepted,
    /// Backend: the application has a request.
    RequestRead {
        /// Method and path.
        request: String,
    },
    /// Backend: the last byte of a response was written; the idle timer starts.
    Responded,
    /// Backend: the idle timer fired.
    IdleTimer,
    /// Backend: the sending half was shut down; what still comes is thrown away.
    HalfClosed,
    /// Backend: the connection was closed.
    Closed {
        /// How; none when the proxy had ended it before.
        how: Option<Close>,
    },
    /// Wire: a packet waits.
    Held {
        /// Who sent it.
        from: Party,
        /// Which.
        packet: Packet,
    },
    /// Wire: it goes on.
    Released {
        /// Who sent it.
        from: Party,
        /// Which.
        packet: Packet,
        /// True when what it waited for did not come in time.
        expired: bool,
    },
    /// Wire: a packet was handed to the other host.
    Forwarded {
        /// Who sent it.
        from: Party,
        /// Which.
        packet: Packet,
    },
    /// Wire: a packet was lost on purpose.
    Dropped {
        /// Who sent it.
        from: Party,
        /// Which.
        packet: Packet,
    },
}

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When, nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Who reports.
    pub actor: Actor,
    /// Ports and pool of the attempt, counted from 0.
    pub lane: usize,
    /// The attempt under way on that lane, counted from 1; none before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The connection between proxy and backend, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// The log of one run, shared by everything that takes part in it, on any thread.
#[derive(Clone)]
pub struct EventLog {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    out: Box<dyn Write + Send>,
    failure: Option<io::Error>,
    attempts: BTreeMap<usize, u32>,
    /// Lanes of the connections that a toy proxy has opened: a backend with one port for all lanes cannot tell them.
    lanes: BTreeMap<Connection, usize>,
    followers: Vec<(usize, UnboundedSender<Event>)>,
}

impl EventLog {
    /// A log that writes to `out`, flushing after each line: an interrupted run keeps what happened so far.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        let shared = Shared {
            out: Box::new(out),
            failure: None,
            attempts: BTreeMap::new(),
            lanes: BTreeMap::new(),
            followers: Vec::new(),
        };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Every event of one lane from now on.
    pub fn follow(&self, lane: usize) -> UnboundedReceiver<Event> {
        let (sender, receiver) = unbounded_channel();
        self.lock().followers.push((lane, sender));
        receiver
    }

    /// Events of this lane belong to this attempt from now on.
    pub fn begin_attempt(&self, lane: usize, attempt: u32) {
        self.lock().attempts.insert(lane, attempt);
        self.record(Actor::Driver, lane, None, What::AttemptBegins);
    }

    /// Something happens now.
    pub fn record(&self, actor: Actor, lane: usize, connection: Option<Connection>, what: What) {
        let mut shared = self.lock();
        if let (What::NewConnection, Some(connection)) = (&what, connection) {
            shared.lanes.insert(connection, lane);
        }
        shared.write(now_ns(), actor, lane, connection, what);
    }

    /// The wire reports something that happened a moment ago; `time_ns` is of the clock of [`now_ns`]. A connection of
    /// which no toy proxy has told yet belongs to `lane`.
    pub fn record_wire(&self, time_ns: i64, lane: usize, connection: Connection, what: What) {
        let mut shared = self.lock();
        let lane = shared.lanes.get(&connection).copied().unwrap_or(lane);
        shared.write(time_ns, Actor::Wire, lane, Some(connection), what);
    }

    /// Ends the log.
    ///
    /// # Errors
    /// The first failure to write; recording itself never fails, so that a full disk does not end an experiment.
    pub fn finish(&self) -> io::Result<()> {
        let mut shared = self.lock();
        shared.followers.clear();
        shared.failure.take().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Each line is written whole or not at all, so a panic elsewhere leaves nothing half done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn write(&mut self, time_ns: i64, actor: Actor, lane: usize, connection: Option<Connection>, what: What) {
        let attempt = self.attempts.get(&lane).copied();
        let event = Event { time_ns, actor, lane, attempt, connection, what };
        let written = serde_json::to_string(&event).map_err(io::Error::from).and_then(|mut line| {
            line.push('\n');
            self.out.write_all(line.as_bytes())?;
            self.out.flush()
        });
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
        self.followers
            .retain(|(followed, follower)| *followed != lane || follower.send(event.clone()).is_ok());
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A log whose text can be read back.
    #[derive(Clone, Default)]
    pub struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Memory {
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Waits until an event of the lane matches, and returns it.
    pub async fn wait_for(events: &mut UnboundedReceiver<Event>, matches: impl Fn(&What) -> bool) -> Event {
        loop {
            let event = events.recv().await.expect("the log is still open");
            if matches(&event.what) {
                return event;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Memory;
    use super::*;

    const CONNECTION: fn() -> Connection =
        || Connection { edge: "192.0.2.1:40000".parse().unwrap(), origin: "192.0.2.2:3000".parse().unwrap() };

    #[test]
    fn a_line_says_when_who_where_and_what() {
        let memory = Memory::default();
        let log = EventLog::new(memory.clone());
        log.record_wire(7, 2, CONNECTION(), What::Held { from: Party::Backend, packet: Packet::Fin });
        assert_eq!(
            memory.text(),
            "{\"time_ns\":7,\"actor\":\"wire\",\"lane\":2,\"connection\":\"192.0.2.1:40000 192.0.2.2:3000\",\
             \"event\":\"held\",\"from\":\"backend\",\"packet\":\"fin\"}\n"
        );
    }

    #[test]
    fn events_carry_the_attempt_of_their_own_lane() {
        let log = EventLog::new(io::sink());
        let mut events = log.follow(1);
        log.begin_attempt(0, 1);
        log.begin_attempt(1, 2);
        log.record(Actor::Proxy, 0, None, What::Retry);
        log.record(Actor::Proxy, 1, None, What::Reuse);
        let followed: Vec<_> =
            std::iter::from_fn(|| events.try_recv().ok()).map(|event| (event.attempt, event.what)).collect();
        assert_eq!(followed, [(Some(2), What::AttemptBegins), (Some(2), What::Reuse)]);
    }

    #[test]
    fn packets_belong_to_the_lane_whose_proxy_opened_the_connection() {
        let log = EventLog::new(io::sink());
        let mut events = log.follow(5);
        let held = What::Held { from: Party::Backend, packet: Packet::Fin };
        log.record_wire(1, 0, CONNECTION(), held.clone());
        log.record(Actor::Proxy, 5, Some(CONNECTION()), What::NewConnection);
        log.record_wire(2, 0, CONNECTION(), held.clone());
        let followed: Vec<_> =
            std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.what).collect();
        assert_eq!(followed, [What::NewConnection, held]);
    }

    #[test]
    fn a_full_disk_is_reported_at_the_end_and_followers_still_hear() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let log = EventLog::new(Full);
        let mut events = log.follow(0);
        log.record(Actor::Backend, 0, None, What::IdleTimer);
        assert_eq!(events.try_recv().unwrap().what, What::IdleTimer);
        assert_eq!(log.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
