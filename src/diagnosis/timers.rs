//! The idle timers that a capture shows, whether or not anything broke.

use crate::connection::{Connection, Mark, SHORTEST_SILENCE_NS, is_passive_reset};
use crate::products::{self, Facing, Likeness};
use crate::report::{Cause, IdleBucket, IdleClose, LooksLike, Risk, Side, Verdict};

use super::Finding;
use super::limits::{self, Limit};
use super::memory::Paths;
use super::restart::{self, Life, Opened, Restart};
use super::root;

/// A close sooner than this after the last byte is not an idle timer but the end of the conversation.
pub(super) const SHORTEST_IDLE_NS: i64 = 50_000_000;
/// Width of a histogram bucket relative to its value: 1 %.
const BUCKETS_PER_E_FOLD: f64 = 100.0;

/// Connections of one server whose lives are kept to recognise a restart; of more, only the idle times count.
const MAX_LIVES: usize = 65_536;

/// Most buckets of a histogram that is shown: neighbours are joined until they are as few.
const MOST_SHOWN: usize = 64;

/// Idle times, in buckets of 1 %: bounded however many connections there are.
#[derive(Debug, Clone, Default)]
pub struct IdleTimes {
    buckets: Vec<Bucket>,
    count: u64,
    min_ns: i64,
    max_ns: i64,
}

#[derive(Debug, Clone)]
struct Bucket {
    // The logarithm of its idle times, in steps of 1 %.
    number: u32,
    count: u64,
    first_ns: i64,
    from_ns: i64,
    to_ns: i64,
}

/// How idle times are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Closes observed.
    pub count: u64,
    /// The most frequent value (the first one seen of its 1 %).
    pub mode_ns: i64,
    /// Smallest.
    pub min_ns: i64,
    /// Largest.
    pub max_ns: i64,
}

impl IdleTimes {
    fn add(&mut self, idle_ns: i64) {
        let number = ((idle_ns.max(1) as f64).ln() * BUCKETS_PER_E_FOLD) as u32;
        match self.buckets.binary_search_by_key(&number, |bucket| bucket.number) {
            Ok(at) => {
                let bucket = &mut self.buckets[at];
                bucket.count += 1;
                bucket.from_ns = bucket.from_ns.min(idle_ns);
                bucket.to_ns = bucket.to_ns.max(idle_ns);
            }
            Err(at) => self
                .buckets
                .insert(at, Bucket { number, count: 1, first_ns: idle_ns, from_ns: idle_ns, to_ns: idle_ns }),
        }
        self.min_ns = if self.count == 0 { idle_ns } else { self.min_ns.min(idle_ns) };
        self.max_ns = self.max_ns.max(idle_ns);
        self.count += 1;
    }

    /// The spread, if there is anything to tell.
    pub fn summary(&self) -> Option<Spread> {
        let most =
            self.buckets.iter().max_by_key(|bucket| (bucket.count, std::cmp::Reverse(bucket.number)))?;
        Some(Spread { count: self.count, mode_ns: most.first_ns, min_ns: self.min_ns, max_ns: self.max_ns })
    }

    /// All of it, for the report.
    pub fn idle_close(&self, side: Side) -> Option<IdleClose> {
        let Spread { count, mode_ns, min_ns, max_ns } = self.summary()?;
        let looks_like = self.looks_like(side);
        Some(IdleClose { count, mode_ns, min_ns, max_ns, histogram: self.histogram(), looks_like })
    }

    /// The time that looks like a timer: at least half of all closes came within 2 % of the most frequent value.
    pub fn timer_ns(&self) -> Option<i64> {
        let mode_ns = self.summary()?.mode_ns;
        let near = |bucket: &&Bucket| (bucket.first_ns - mode_ns).abs() <= mode_ns / 50;
        let beside: u64 = self.buckets.iter().filter(near).map(|bucket| bucket.count).sum();
        (beside * 2 >= self.count).then_some(mode_ns)
    }

    /// The products that close idle connections after this time when nothing is set: servers where the server closed,
    /// proxies and clients where the client did.
    pub fn looks_like(&self, side: Side) -> Vec<LooksLike> {
        let facing = match side {
            Side::Server => Facing::Downstream,
            Side::Client => Facing::Upstream,
        };
        let Some(timer_ns) = self.timer_ns() else { return Vec::new() };
        products::looks_like(facing, timer_ns)
            .into_iter()
            .map(|Likeness { product, timer, default_ns }| LooksLike {
                product: product.id.clone(),
                name: product.name.clone(),
                setting: timer.setting_name().map(str::to_owned),
                default_ns,
                versions: timer.versions.clone(),
            })
            .collect()
    }

    /// Not empty buckets, few enough to be shown: neighbours of twice, four times, … the width are joined.
    fn histogram(&self) -> Vec<IdleBucket> {
        let mut width = 1;
        loop {
            let mut shown: Vec<(u32, IdleBucket)> = Vec::new();
            for bucket in &self.buckets {
                let number = bucket.number / width;
                match shown.last_mut() {
                    Some((known, last)) if *known == number => {
                        last.to_ns = bucket.to_ns;
                        last.count += bucket.count;
                    }
                    _ => {
                        let Bucket { count, from_ns, to_ns, .. } = *bucket;
                        shown.push((number, IdleBucket { from_ns, to_ns, count }));
                    }
                }
            }
            if shown.len() <= MOST_SHOWN {
                return shown.into_iter().map(|(_, bucket)| bucket).collect();
            }
            width *= 2;
        }
    }
}

/// What one server's connections show of both sides' timers.
#[derive(Debug, Clone, Default)]
pub struct ServerTimers {
    /// Connections seen.
    pub connections: u64,
    /// Time of the first segment to or from it; none before the first connection.
    pub first_ns: Option<i64>,
    /// Idle times before the server closed first, restarts left out; known once [`ServerTimers::settle`] was called.
    pub server_close: IdleTimes,
    /// Idle times before the client closed first.
    pub client_close: IdleTimes,
    /// The longest idle time after which the client sent another request.
    pub longest_reuse_ns: Option<i64>,
    /// The same of connections that were idle before the capture holds them: at least so long.
    pub reused_at_least_ns: Option<i64>,
    /// The longest silence before the server closed first, of connections that were idle before the capture holds them: it
    /// keeps idle connections for at least so long. Restarts are left out; known once [`ServerTimers::settle`] was called.
    pub closed_at_least_ns: Option<i64>,
    /// Requests lost to the race, restarts left out; known once [`ServerTimers::settle`] was called.
    pub races: u64,
    /// Those of them that the server closed for right after an answer.
    pub races_after_answer: u64,
    /// What the paths to the server show of devices that forget connections.
    pub paths: Paths,
    /// Restarts; known once [`ServerTimers::settle`] was called.
    pub restarts: Vec<Restart>,
    /// A limit on requests or age; known once [`ServerTimers::settle`] was called.
    pub limit: Option<Limit>,
    // Connections that the server closed, and how long all of them lived.
    closed: Vec<Life>,
    opened: Opened,
    // Times of the closes that requests were lost to, and whether they came right after an answer.
    raced_ns: Vec<(i64, bool)>,
}

impl ServerTimers {
    /// Adds one connection and what was found on it. Its life is kept only if there is `room` for one more; otherwise it
    /// cannot help to recognise a restart.
    pub fn add(&mut self, connection: &Connection, findings: &[Finding], room: bool) {
        self.connections += 1;
        self.paths.add(connection, findings, room);
        self.first_ns =
            Some(self.first_ns.map_or(connection.first_ns, |first| first.min(connection.first_ns)));
        self.longest_reuse_ns = self.longest_reuse_ns.max(connection.longest_reuse_ns());
        self.reused_at_least_ns = self.reused_at_least_ns.max(connection.reused_after_at_least_ns());
        let closed_first = connection.closed_first();
        let ended_ns = close(connection, Side::Server).map_or(connection.last_ns, |close| close.time_ns);
        // What a server had announced when it closed is no fault of its limits or timers.
        let as_announced = |finding: &Finding| {
            root::closed_after_answer(finding) && finding.announced.is_some_and(|announced| announced.close)
        };
        let races = findings.iter().filter(|finding| finding.is_race() && !as_announced(finding));
        self.raced_ns.extend(races.map(|finding| (ended_ns, root::closed_after_answer(finding))));
        let served = connection.served > 0 || connection.exchanges.iter().any(|exchange| exchange.answered());
        let announced = connection.ends_as_announced().is_some() || connection.is_upgraded();
        // A close that HTTP had announced is no timer, neither is one before the first answer or after HTTP was left, and how
        // long HTTP/2 inside TLS was idle cannot be told.
        let idle_ns = closed_first
            .filter(|_| served && !announced && !connection.offers_http2)
            .and_then(|side| idle_before_close(connection, side, findings))
            .filter(|idle| *idle >= SHORTEST_IDLE_NS);
        if closed_first == Some(Side::Client)
            && let Some(idle_ns) = idle_ns
        {
            self.client_close.add(idle_ns);
        }
        let closed_by_server = closed_first == Some(Side::Server);
        let idle_ns = idle_ns.filter(|_| closed_by_server);
        let silent_ns = Some(connection)
            .filter(|_| closed_by_server && !announced)
            .and_then(|connection| silent_before_close(connection, findings))
            .filter(|silent| *silent >= SHORTEST_IDLE_NS);
        // A connection that nothing was ever sent on, as in a flood of SYNs, tells nothing.
        let tells = closed_by_server
            || [Side::Client, Side::Server].iter().any(|side| connection.half(*side).bytes > 0);
        if !(tells && room && self.lives() < MAX_LIVES) {
            idle_ns.into_iter().for_each(|idle_ns| self.server_close.add(idle_ns));
            self.closed_at_least_ns = self.closed_at_least_ns.max(silent_ns);
        } else if closed_by_server {
            self.opened.add(connection.first_ns, ended_ns);
            self.closed.push(Life {
                from_ns: connection.first_ns,
                to_ns: ended_ns,
                whole: connection.has_handshake(),
                served: connection.served,
                idle_ns,
                silent_ns,
            });
        } else {
            self.opened.add(connection.first_ns, connection.last_ns);
        }
    }

    /// Lives that are kept: those of connections that the server closed, and the longest of all.
    pub fn lives(&self) -> usize {
        self.closed.len() + self.opened.count()
    }

    /// Once all connections are known: tells the closes of restarts from those of timers.
    pub fn settle(&mut self) {
        self.restarts = restart::find(&self.closed, &std::mem::take(&mut self.opened));
        let in_restart =
            |restarts: &[Restart], time_ns| restarts.iter().any(|restart| restart.holds(time_ns));
        let closed = std::mem::take(&mut self.closed);
        self.limit = limits::find(closed.iter().filter(|life| !in_restart(&self.restarts, life.to_ns)));
        let aged = matches!(self.limit, Some(Limit::Age { .. }));
        for life in closed.into_iter().filter(|life| !aged && !in_restart(&self.restarts, life.to_ns)) {
            life.idle_ns.into_iter().for_each(|idle_ns| self.server_close.add(idle_ns));
            self.closed_at_least_ns = self.closed_at_least_ns.max(life.silent_ns);
        }
        let raced = std::mem::take(&mut self.raced_ns);
        for (_, after_answer) in
            raced.into_iter().filter(|(time_ns, _)| !in_restart(&self.restarts, *time_ns))
        {
            self.races += 1;
            self.races_after_answer += u64::from(after_answer);
        }
    }

    /// Whether anything is known beyond that the server exists.
    pub fn is_worth_showing(&self) -> bool {
        self.races > 0
            || self.paths.soonest().is_some()
            || self.reused_ns().is_some()
            || self.server_close.summary().is_some()
            || self.client_close.summary().is_some()
    }

    /// The longest idle time after which the client was seen to send another request, though it may have been longer.
    pub fn reused_ns(&self) -> Option<i64> {
        self.longest_reuse_ns.max(self.reused_at_least_ns)
    }

    /// The greatest idle time that the server is known to allow, where no close shows the time itself.
    pub fn kept_at_least_ns(&self) -> Option<i64> {
        self.closed_at_least_ns.filter(|_| self.server_close.summary().is_none())
    }

    /// What speaks for the next loss.
    pub fn risks(&self) -> Vec<Risk> {
        let server_closes = self.server_close.summary().is_some() || self.closed_at_least_ns.is_some();
        let found = [
            (
                self.races > self.races_after_answer || (server_closes && self.reused_ns().is_some()),
                Risk::IdleTimers,
            ),
            (self.races_after_answer > 0, Risk::AfterAnswer),
            (self.paths.soonest().is_some(), Risk::PathForgets),
        ];
        found.into_iter().filter(|(is_one, _)| *is_one).map(|(_, risk)| risk).collect()
    }

    /// Can requests be lost? At risk: something between the two forgets connections, or the server closes idle ones that the
    /// client would still have used.
    pub fn verdict(&self) -> Verdict {
        let client_closes = self.client_close.summary().is_some();
        match self.reused_ns() {
            _ if !self.risks().is_empty() => Verdict::AtRisk,
            Some(_) if client_closes => Verdict::Safe,
            _ => Verdict::Unknown,
        }
    }
}

/// Once all connections are known: where the idle time of a lost request began before the capture, it lasted at least since
/// the capture shows its server. No packet of the connection is there, and none was dropped as far as is known.
pub fn bound_idle_time(finding: &mut Finding, request_ns: i64, timers: &ServerTimers) {
    let Some(silent_ns) = finding.idle_at_least_ns else { return };
    let watched_ns =
        timers.first_ns.filter(|_| !finding.packets_missing).map(|first_ns| request_ns - first_ns);
    let at_least = watched_ns.map_or(silent_ns, |watched| watched.max(silent_ns));
    finding.idle_at_least_ns = Some(at_least).filter(|ns| *ns >= SHORTEST_SILENCE_NS);
}

/// A side's own FIN or active RST: a kernel that refuses data closes nothing.
fn close(connection: &Connection, side: Side) -> Option<Mark> {
    let half = connection.half(side);
    half.fin().or(half.rst().filter(|reset| !is_passive_reset(reset.flags)))
}

/// A close in the middle of a request ends no idle time.
fn ended_idle(finding: &Finding) -> bool {
    matches!(
        finding.cause,
        Cause::CrossedFin
            | Cause::UnreadRequest
            | Cause::DiscardedRequest
            | Cause::StaleReuse
            | Cause::AnnouncedClose
            | Cause::ResetIdle
            | Cause::UnsolicitedResponse
    )
}

/// For how long the capture shows a connection silent before the server closed it, where the last exchange lies before.
fn silent_before_close(connection: &Connection, findings: &[Finding]) -> Option<i64> {
    let close = close(connection, Side::Server).filter(|_| findings.iter().all(ended_idle))?;
    connection.idle_before_close_at_least(Side::Server).or_else(|| {
        let exchange = connection.exchanges.front()?;
        Some(close.time_ns - (exchange.request.time_ns - exchange.idle_at_least_ns()?))
    })
}

/// Idle time before the first close. Where a request crossed the close, the connection was idle until that request.
fn idle_before_close(connection: &Connection, side: Side, findings: &[Finding]) -> Option<i64> {
    let close = close(connection, side)?;
    if !findings.iter().all(ended_idle) {
        return None;
    }
    if let Some(idle_ns) = connection.idle_before_close(side) {
        return Some(idle_ns);
    }
    findings.first()?;
    let exchange = connection.exchanges.iter().find(|exchange| !exchange.answered())?;
    Some(close.time_ns - (exchange.request.time_ns - exchange.idle_ns()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn times(idle_ms: impl IntoIterator<Item = i64>) -> IdleTimes {
        let mut times = IdleTimes::default();
        idle_ms.into_iter().for_each(|idle| times.add(idle * MS));
        times
    }

    #[test]
    fn a_histogram_holds_every_close_in_few_buckets() {
        let times = times((60..400_000).step_by(7));
        let shown = times.histogram();
        assert!(shown.len() <= MOST_SHOWN && shown.len() > MOST_SHOWN / 4, "{}", shown.len());
        assert_eq!(shown.iter().map(|bucket| bucket.count).sum::<u64>(), times.count);
        assert!(shown.windows(2).all(|pair| pair[0].to_ns < pair[1].from_ns));
        assert_eq!((shown[0].from_ns, shown[shown.len() - 1].to_ns), (times.min_ns, times.max_ns));
    }

    #[test]
    fn two_timers_stay_apart() {
        let shown = times([5_001, 5_002, 6_001, 5_000]).histogram();
        assert_eq!(shown.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [3, 1]);
    }

    #[test]
    fn a_timer_looks_like_the_defaults_that_are_known_and_scattered_closes_like_none() {
        let names = |times: &IdleTimes, side| {
            times.looks_like(side).into_iter().map(|it| it.product).collect::<Vec<_>>()
        };
        assert_eq!(names(&times([6_001, 6_002, 6_004, 900]), Side::Server), ["node-http"]);
        assert_eq!(names(&times([60_002]), Side::Client)[..2], ["nginx", "aws-alb"]);
        assert!(names(&times([1_000, 2_000, 3_500, 6_000, 9_000]), Side::Server).is_empty());
        assert!(names(&times([]), Side::Server).is_empty());
    }
}
