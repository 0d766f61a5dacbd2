//! Harmless requests through the proxy under probe, so that nobody else has to send them.

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::connection::{Link, NoAnswer};
use super::super::way::Way;
use super::super::{Facts, ProbeError, Target};
use super::{Event, Trial};

/// How often a request for a trial is sent until it meets a kept connection: a proxy with several workers has several
/// pools.
const TRIES: usize = 4;

/// More requests than a driver ever sends: the trials, what comes between them, and a hundred side by side.
pub(super) const LARGEST_NUMBER: u32 = 1000;

/// What the backend of the probe knows of a request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// It came through the proxy.
    pub arrived: bool,
    /// It was the subject of its trial.
    pub tried: bool,
}

/// Sends requests through a proxy.
pub(super) struct Driver {
    pub via: Target,
    /// When every request has its answer, or gets none.
    pub deadline: Instant,
    pub events: mpsc::Sender<Event>,
    pub sent: u32,
}

impl Driver {
    /// The trials one after the other, then `side_by_side` requests at once. The trials come first, so that a proxy that
    /// never gives up a connection does not keep them waiting.
    ///
    /// # Errors
    /// The proxy cannot be reached, does not answer, or answers without asking the backend.
    pub(super) async fn drive(mut self, trials: &[Trial], side_by_side: usize) -> Result<(), ProbeError> {
        let ways = self.via.resolve(self.deadline).await?;
        let way = self.reachable(ways).await?;
        let (mut link, seen, status) = self.warm(&way).await?;
        if !seen.arrived {
            return Err(ProbeError::NotForwarded { via: self.via.to_string(), status });
        }
        for (index, trial) in trials.iter().enumerate() {
            for _ in 0..TRIES {
                // On the connection of a client that has just been answered: there are proxies that reuse nothing for
                // the first request of a client.
                let number = self.next();
                if self.events.send(Event::Trial { number, index }).await.is_err() {
                    return Ok(());
                }
                let status =
                    self.exchange(&mut link, trial.method, number).await.ok().map(|facts| facts.status);
                let tried = self.seen(number, status).await.tried;
                // Nobody knows what state a failure has left the client's connection in.
                (link, ..) = self.warm(&way).await?;
                if tried {
                    break;
                }
            }
        }
        drop(link);
        if self.events.send(Event::SideBySide).await.is_err() {
            return Ok(());
        }
        let mut clients = JoinSet::new();
        for _ in 0..side_by_side {
            let number = self.next();
            let (way, request, deadline) = (way.clone(), self.request("GET", number), self.deadline);
            clients.spawn(async move {
                let mut link = Link::open(&way, deadline).await.ok()?;
                link.exchange(&request, "GET").await.ok()
            });
        }
        // Whichever does not come through opens no connection; the others are as good.
        while clients.join_next().await.is_some() {}
        Ok(())
    }

    /// The first address of the proxy that takes a connection.
    async fn reachable(&self, ways: Vec<Way>) -> Result<Way, ProbeError> {
        let mut refused = None;
        for way in ways {
            match Link::open(&way, self.deadline).await {
                Ok(_) => return Ok(way),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let nowhere = || ProbeError::Name(self.via.host.clone(), std::io::ErrorKind::NotFound.into());
        Err(refused.unwrap_or_else(nowhere))
    }

    /// A client's connection, with one request answered where the proxy keeps it.
    async fn warm(&mut self, way: &Way) -> Result<(Link, Seen, u16), ProbeError> {
        let number = self.next();
        let mut link = Link::open(way, self.deadline).await?;
        let facts = self.exchange(&mut link, "GET", number).await.map_err(|reason| {
            let reason = reason.to_string();
            ProbeError::NoResponse { address: way.address, request: format!("GET {}", self.via.path), reason }
        })?;
        let seen = self.seen(number, Some(facts.status)).await;
        if !facts.keeps_alive {
            link = Link::open(way, self.deadline).await?;
        }
        Ok((link, seen, facts.status))
    }

    async fn exchange(&self, link: &mut Link, method: &str, number: u32) -> Result<Facts, NoAnswer> {
        link.exchange(&self.request(method, number), method).await
    }

    async fn seen(&self, number: u32, status: Option<u16>) -> Seen {
        let (reply, seen) = oneshot::channel();
        let nothing = Seen { arrived: false, tried: true };
        if self.events.send(Event::Driven { number, status, reply }).await.is_err() {
            return nothing;
        }
        seen.await.unwrap_or(nothing)
    }

    fn next(&mut self) -> u32 {
        self.sent += 1;
        self.sent
    }

    /// Its number is in the query, which proxies pass on, and which lets no cache answer.
    fn request(&self, method: &str, number: u32) -> String {
        let mut target = self.via.clone();
        let mark = if target.path.contains('?') { '&' } else { '?' };
        target.path += &format!("{mark}{NUMBER}{number}");
        if method == "POST" { target.request_with_body(method, "finrace") } else { target.request(method) }
    }
}

/// What comes before the number of a request.
const NUMBER: &str = "finrace=";

/// The number that a request carries.
pub(super) fn number_of(target: &str) -> Option<u32> {
    target.rsplit_once(NUMBER)?.1.parse().ok()
}
