//! When each packet is due: the wire without its devices and without a clock, so that its rules can be tested in
//! virtual time.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::log::{Fate, WireEvent, WireEventKind, WireLog, WirePacket, fingerprint};
use super::rules::{Connection, Packet, Progress, Side, WireSettings};
use crate::packet;

/// LINKTYPE_RAW: the packet begins with its IP header, as a TUN device gives it.
const RAW_IP: u16 = 101;

/// One moment on two clocks: steady time decides when a packet is due, wall time is what is told to others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// CLOCK_MONOTONIC.
    pub(super) steady_ns: u64,
    /// CLOCK_REALTIME.
    pub(super) wall_ns: i64,
}

/// A packet that is due.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) to: Side,
    pub(super) bytes: Vec<u8>,
    due_ns: u64,
    /// Index in the log.
    packet: usize,
    tracked: Option<Tracked>,
}

/// What is remembered of a TCP segment under way.
#[derive(Debug, Clone, Copy)]
struct Tracked {
    connection: Connection,
    from: Side,
    class: Option<Packet>,
}

/// A packet that is held, or that waits behind one.
#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    /// None for a packet that only waits behind another.
    hold: Option<Hold>,
}

#[derive(Debug, Clone, Copy)]
struct Hold {
    until: Packet,
    deadline_ns: u64,
    fulfilled: bool,
}

#[derive(Debug, Default)]
struct ConnectionState {
    progress: Progress,
    /// Per [`WireSettings::drops`] rule, how many it has lost here.
    dropped: Vec<u32>,
    /// Per sending side.
    waiting: [VecDeque<Waiting>; 2],
}

/// The state of the wire.
#[derive(Debug)]
pub(super) struct Schedule {
    settings: WireSettings,
    connections: HashMap<Connection, ConnectionState>,
    /// In order of the time when they are due, and of arrival where that is equal.
    in_transit: BTreeMap<(u64, usize), Delivery>,
    /// Deadlines of all holds begun; those of holds that have ended do nothing when their time comes.
    deadlines: BTreeSet<(u64, Connection, Side)>,
    held: usize,
    /// Nobody will send what holds wait for any more.
    stopping: bool,
    log: WireLog,
    events: VecDeque<WireEvent>,
}

impl Schedule {
    pub(super) fn new(settings: WireSettings) -> Self {
        Schedule {
            settings,
            connections: HashMap::new(),
            in_transit: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            held: 0,
            stopping: false,
            log: WireLog::default(),
            events: VecDeque::new(),
        }
    }

    /// Takes a packet that a host sent.
    pub(super) fn arrive(&mut self, now: Moment, from: Side, bytes: Vec<u8>) {
        let mut delivery = self.enter(now, Some(from), from.other(), bytes);
        // What is not between the two hosts is counted, and carried like any other.
        let ends = ip_ends(&delivery.bytes);
        if ends != Some((self.settings.address(from), self.settings.address(from.other()))) {
            self.log.strays += 1;
            return self.send(delivery);
        }
        let bytes = std::mem::take(&mut delivery.bytes);
        // A packet on a TUN device is at most as long as its MTU.
        let Ok(segment) = packet::decode(RAW_IP, &bytes, bytes.len() as u32) else {
            self.log.not_tcp += 1;
            return self.send(Delivery { bytes, ..delivery });
        };

        let connection = Connection::of(&segment, from);
        let state = self.connections.entry(connection).or_default();
        if state.progress.is_restarted_by(&segment) {
            state.progress = Progress::default();
            state.dropped.clear();
        }
        state.dropped.resize(self.settings.drops.len(), 0);
        let class = state.progress.classify(&segment, from);
        let event = |kind| WireEvent {
            time_ns: now.wall_ns,
            connection,
            from,
            packet: class.unwrap_or(Packet::Any),
            kind,
        };

        for (rule, dropped) in self.settings.drops.iter().zip(&mut state.dropped) {
            if rule.from == from && rule.packet.covers(class) && *dropped < rule.count {
                *dropped += 1;
                self.log.packets[delivery.packet].fate = Fate::Dropped;
                self.events.push_back(event(WireEventKind::Dropped));
                return;
            }
        }
        state.progress.take(&segment, from);
        delivery.tracked = Some(Tracked { connection, from, class });
        delivery.bytes = bytes;

        let rule = self.settings.holds.iter().find(|rule| rule.from == from && rule.packet.covers(class));
        let hold = rule.map(|rule| Hold {
            until: rule.until,
            deadline_ns: now.steady_ns.saturating_add(nanoseconds(rule.at_most)),
            fulfilled: false,
        });
        let queue = &mut state.waiting[from.index()];
        if hold.is_none() && queue.is_empty() {
            self.send(delivery);
            self.fulfil(now, connection, from, class);
            return;
        }
        if let Some(hold) = hold {
            self.deadlines.insert((hold.deadline_ns, connection, from));
            self.events.push_back(event(WireEventKind::Held));
        }
        queue.push_back(Waiting { delivery, hold });
        self.held += 1;
    }

    /// Takes a packet that no host sent. It travels like the others.
    pub(super) fn inject(&mut self, now: Moment, to: Side, bytes: Vec<u8>) {
        let delivery = self.enter(now, None, to, bytes);
        self.send(delivery);
    }

    /// Releases what has been held for too long.
    pub(super) fn expire(&mut self, now: Moment) {
        while let Some(&(deadline_ns, connection, from)) = self.deadlines.first()
            && deadline_ns <= now.steady_ns
        {
            self.deadlines.pop_first();
            self.release(now, connection, from);
        }
    }

    /// Ends all holds and begins no more, because nobody will send what they wait for.
    pub(super) fn release_all(&mut self, now: Moment) {
        self.stopping = true;
        self.settings.holds.clear();
        while let Some((_, connection, from)) = self.deadlines.pop_first() {
            if let Some(state) = self.connections.get_mut(&connection) {
                for hold in state.waiting[from.index()].iter_mut().filter_map(|waiting| waiting.hold.as_mut())
                {
                    hold.deadline_ns = now.steady_ns;
                }
            }
            self.release(now, connection, from);
        }
    }

    /// The next delivery that is due.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Delivery> {
        let next = self.in_transit.first_entry()?;
        (next.key().0 <= now.steady_ns).then(|| next.remove())
    }

    /// Puts back a delivery that the device could not take yet.
    pub(super) fn postpone(&mut self, mut delivery: Delivery, until_ns: u64) {
        delivery.due_ns = until_ns;
        self.send(delivery);
    }

    /// Notes how a delivery ended.
    pub(super) fn close(&mut self, delivery: &Delivery, fate: Fate) {
        self.log.packets[delivery.packet].fate = fate;
        if let (Fate::Delivered { at_ns }, Some(Tracked { connection, from, class: Some(packet) })) =
            (fate, delivery.tracked)
            && packet != Packet::Ack
        {
            self.events.push_back(WireEvent {
                time_ns: at_ns,
                connection,
                from,
                packet,
                kind: WireEventKind::Forwarded,
            });
        }
    }

    /// When something has to be done next, in steady time.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        let transit = self.in_transit.first_key_value().map(|(&(due_ns, _), _)| due_ns);
        let deadline = self.deadlines.first().map(|&(deadline_ns, ..)| deadline_ns);
        transit.into_iter().chain(deadline).min()
    }

    /// Nothing is held or in transit.
    pub(super) fn is_empty(&self) -> bool {
        self.in_transit.is_empty() && self.held == 0
    }

    pub(super) fn next_event(&mut self) -> Option<WireEvent> {
        self.events.pop_front()
    }

    pub(super) fn into_log(self, stopped_ns: i64, failure: Option<String>) -> WireLog {
        WireLog { stopped_ns, failure, ..self.log }
    }

    /// Logs a packet and works out when it would be due if nothing held it.
    fn enter(&mut self, now: Moment, from: Option<Side>, to: Side, bytes: Vec<u8>) -> Delivery {
        self.log.packets.push(WirePacket {
            from,
            to,
            arrived_ns: now.wall_ns,
            length: bytes.len() as u32,
            hash: fingerprint(&bytes),
            fate: Fate::Undelivered,
        });
        let delay = nanoseconds(self.settings.delay_from(to.other()));
        Delivery {
            to,
            bytes,
            due_ns: now.steady_ns.saturating_add(delay),
            packet: self.log.packets.len() - 1,
            tracked: None,
        }
    }

    fn send(&mut self, delivery: Delivery) {
        self.in_transit.insert((delivery.due_ns, delivery.packet), delivery);
    }

    /// A segment from `from` has set out: whatever waits for it on the other side may follow.
    fn fulfil(&mut self, now: Moment, connection: Connection, from: Side, class: Option<Packet>) {
        // As a rule, and then the connection need not be looked up again.
        if self.held == 0 {
            return;
        }
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let mut any = false;
        for waiting in &mut state.waiting[from.other().index()] {
            if let Some(hold) = &mut waiting.hold
                && hold.until.covers(class)
            {
                hold.fulfilled = true;
                any = true;
            }
        }
        if any {
            self.release(now, connection, from.other());
        }
    }

    /// Sends on what `from` sent and no hold keeps any longer.
    fn release(&mut self, now: Moment, connection: Connection, from: Side) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let queue = &mut state.waiting[from.index()];
        let mut released = Vec::new();
        while let Some(waiting) = queue.front() {
            if waiting.hold.is_some_and(|hold| !hold.fulfilled && hold.deadline_ns > now.steady_ns) {
                break;
            }
            released.extend(queue.pop_front());
        }
        self.held -= released.len();
        for Waiting { mut delivery, hold } in released {
            let class = delivery.tracked.and_then(|tracked| tracked.class);
            if let Some(hold) = hold {
                let expired = !hold.fulfilled;
                self.log.expired_holds += u64::from(expired && !self.stopping);
                self.events.push_back(WireEvent {
                    time_ns: now.wall_ns,
                    connection,
                    from,
                    packet: class.unwrap_or(Packet::Any),
                    kind: WireEventKind::Released { expired },
                });
            }
            delivery.due_ns = delivery.due_ns.max(now.steady_ns);
            self.send(delivery);
            self.fulfil(now, connection, from, class);
        }
    }
}

/// Longer than 584 years is as good as for ever.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Source and destination of an IP packet (RFC 791 section 3.1, RFC 8200 section 3).
fn ip_ends(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => {
            let (source, rest) = packet.get(12..)?.split_first_chunk::<4>()?;
            Some((Ipv4Addr::from(*source).into(), Ipv4Addr::from(*rest.first_chunk::<4>()?).into()))
        }
        6 => {
            let (source, rest) = packet.get(8..)?.split_first_chunk::<16>()?;
            Some((Ipv6Addr::from(*source).into(), Ipv6Addr::from(*rest.first_chunk::<16>()?).into()))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
