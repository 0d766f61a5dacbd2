//! What the events of one lane tell about the attempt under way. Pure: events in, facts out.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::lab::events::{Connection, Event, What};
use crate::lab::scenario::{Packet, Party, SendWhen};

/// One attempt, as far as it was reported.
pub(super) struct Watch {
    send_when: SendWhen,
    /// A toy proxy says which connection it uses and when its kernel has a FIN; of a real one only packets tell.
    proxy_reports: bool,
    second_sent_ns: Option<i64>,
    /// The connection that the first request used.
    pub(super) connection: Option<Connection>,
    /// The first connection that the second request used.
    pub(super) sent_on: Option<Connection>,
    /// The second request was sent on another connection, too.
    pub(super) retried: bool,
    /// Who closed `connection` first.
    pub(super) closed_first: Option<Party>,
    /// The second request is to be sent.
    pub(super) moment_has_come: bool,
}

impl Watch {
    pub(super) fn new(send_when: SendWhen, proxy_reports: bool) -> Self {
        Self {
            send_when,
            proxy_reports,
            second_sent_ns: None,
            connection: None,
            sent_on: None,
            retried: false,
            closed_first: None,
            moment_has_come: false,
        }
    }

    /// Requests reported from now on are the second.
    pub(super) fn second_is_sent(&mut self, time_ns: i64) {
        self.second_sent_ns = Some(time_ns);
    }

    /// Every event that has been reported.
    pub(super) fn take_all(&mut self, events: &mut UnboundedReceiver<Event>) {
        while let Ok(event) = events.try_recv() {
            self.take(&event);
        }
    }

    /// One event.
    pub(super) fn take(&mut self, event: &Event) {
        let Some(connection) = event.connection else { return };
        if self.is_request(event) {
            self.request_on(connection, event.time_ns);
        }
        // A real proxy's connection may show itself by its end before its request was reported.
        let ours = *self.connection.get_or_insert(connection) == connection;
        if !ours {
            return;
        }
        if let Some(party) = closer(&event.what) {
            self.closed_first.get_or_insert(party);
        }
        // After the proxy has closed, the backend's own close can no longer be met.
        self.moment_has_come |= self.closed_first == Some(Party::Proxy) || self.is_moment(event);
    }

    fn is_request(&self, event: &Event) -> bool {
        match event.what {
            What::NewConnection | What::Reuse => true,
            What::Forwarded { from: Party::Proxy, packet: Packet::Request } => !self.proxy_reports,
            _ => false,
        }
    }

    fn request_on(&mut self, connection: Connection, time_ns: i64) {
        // The wire's reports come a moment late: the clock decides which request it is.
        if self.second_sent_ns.is_none_or(|sent| time_ns < sent) {
            if self.connection != Some(connection) {
                self.connection = Some(connection);
                self.closed_first = None;
                self.moment_has_come = false;
            }
        } else {
            self.retried |= *self.sent_on.get_or_insert(connection) != connection;
        }
    }

    fn is_moment(&self, event: &Event) -> bool {
        match (self.send_when, &event.what) {
            (SendWhen::FinOnWire, What::Held { from, packet: Packet::Fin | Packet::Rst })
            | (SendWhen::FinOnWire, What::Forwarded { from, packet: Packet::Fin }) => *from == Party::Backend,
            (SendWhen::FinDelivered, What::PeerClosed { .. }) => true,
            (SendWhen::FinDelivered, What::Forwarded { from: Party::Backend, packet: Packet::Fin }) => {
                !self.proxy_reports
            }
            (SendWhen::BackendTimer, What::IdleTimer) => true,
            _ => false,
        }
    }
}

/// Who closes the connection, if this event is a close.
fn closer(what: &What) -> Option<Party> {
    match what {
        What::Held { from, packet: Packet::Fin | Packet::Rst }
        | What::Forwarded { from, packet: Packet::Fin | Packet::Rst } => Some(*from),
        What::Closed { how: Some(_) } | What::HalfClosed | What::PeerClosed { .. } => Some(Party::Backend),
        What::IdleClose { .. } => Some(Party::Proxy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::events::Actor;

    fn connection(port: u16) -> Connection {
        Connection { edge: ([192, 0, 2, 1], port).into(), origin: ([192, 0, 2, 2], 3000).into() }
    }

    fn event(time_ns: i64, actor: Actor, port: u16, what: What) -> Event {
        Event { time_ns, actor, lane: 0, attempt: Some(1), connection: Some(connection(port)), what }
    }

    const HELD: What = What::Held { from: Party::Backend, packet: Packet::Fin };
    const REQUEST: What = What::Forwarded { from: Party::Proxy, packet: Packet::Request };

    #[test]
    fn a_held_fin_of_this_connection_is_the_moment_and_another_ones_is_not() {
        let mut watch = Watch::new(SendWhen::FinOnWire, true);
        watch.take(&event(1, Actor::Proxy, 40_000, What::NewConnection));
        watch.take(&event(2, Actor::Wire, 39_999, HELD));
        assert!(!watch.moment_has_come);
        watch.take(&event(3, Actor::Wire, 40_000, HELD));
        assert!(watch.moment_has_come);
        assert_eq!(watch.closed_first, Some(Party::Backend));
    }

    #[test]
    fn when_the_proxy_closes_first_there_is_nothing_more_to_wait_for() {
        for send_when in [SendWhen::FinOnWire, SendWhen::FinDelivered, SendWhen::BackendTimer] {
            let mut watch = Watch::new(send_when, false);
            watch.take(&event(1, Actor::Wire, 40_000, REQUEST));
            watch.take(&event(
                2,
                Actor::Wire,
                40_000,
                What::Forwarded { from: Party::Proxy, packet: Packet::Fin },
            ));
            assert!(watch.moment_has_come, "{send_when:?}");
            assert_eq!(watch.closed_first, Some(Party::Proxy));
        }
    }

    #[test]
    fn a_fin_is_delivered_when_a_toy_proxy_says_so_and_of_a_real_one_when_the_wire_says_so() {
        let forwarded = What::Forwarded { from: Party::Backend, packet: Packet::Fin };
        let noted = What::PeerClosed { found: "EOF".into() };
        for (proxy_reports, actor, delivered) in
            [(true, Actor::Proxy, noted), (false, Actor::Wire, forwarded)]
        {
            let mut watch = Watch::new(SendWhen::FinDelivered, proxy_reports);
            watch.take(&event(1, Actor::Proxy, 40_000, What::NewConnection));
            watch.take(&event(2, Actor::Wire, 40_000, HELD));
            assert!(!watch.moment_has_come);
            watch.take(&event(3, actor, 40_000, delivered));
            assert!(watch.moment_has_come);
        }
    }

    #[test]
    fn a_first_request_that_moves_to_another_connection_takes_the_watch_along() {
        let mut watch = Watch::new(SendWhen::FinOnWire, true);
        watch.take(&event(1, Actor::Proxy, 40_000, What::Reuse));
        watch.take(&event(2, Actor::Wire, 40_000, HELD));
        watch.take(&event(3, Actor::Proxy, 40_001, What::NewConnection));
        assert_eq!(watch.connection, Some(connection(40_001)));
        assert!(!watch.moment_has_come && watch.closed_first.is_none());
    }

    #[test]
    fn a_late_report_of_the_first_request_is_not_taken_for_the_second() {
        let mut watch = Watch::new(SendWhen::FinOnWire, false);
        watch.take(&event(1, Actor::Wire, 40_000, HELD));
        watch.second_is_sent(10);
        watch.take(&event(0, Actor::Wire, 40_000, REQUEST));
        assert_eq!(watch.sent_on, None);
        watch.take(&event(11, Actor::Wire, 40_000, REQUEST));
        watch.take(&event(12, Actor::Wire, 40_000, REQUEST));
        assert!(!watch.retried, "two segments of one request");
        watch.take(&event(13, Actor::Wire, 40_001, REQUEST));
        assert!(watch.retried);
        assert_eq!((watch.connection, watch.sent_on), (Some(connection(40_000)), Some(connection(40_000))));
    }
}
