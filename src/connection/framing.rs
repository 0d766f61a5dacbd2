//! Where HTTP messages begin and end on a connection, and what of that may be told.

use crate::report::Side;

use super::http::Framer;
use super::{Connection, Exchange, Protocol};

/// The HTTP framers; a connection has them only while a message is under way.
#[derive(Debug)]
pub(super) struct Framing {
    pub requests: Framer,
    pub responses: Framer,
}

impl Framing {
    pub fn new() -> Framing {
        Framing { requests: Framer::requests(), responses: Framer::responses() }
    }

    /// Between two messages in both directions: a new one would do as well.
    pub fn is_fresh(&self) -> bool {
        self.requests.is_fresh() && self.responses.is_fresh()
    }
}

impl Connection {
    /// What HTTP framing knows of the response in hand: `Some(true)` complete or ending with the connection,
    /// `Some(false)` begun and incomplete, `None` unknown.
    pub fn response_is_whole(&self) -> Option<bool> {
        let Some(framing) = &self.framing else {
            // Between two messages it is lent to other connections.
            return (self.protocol == Protocol::Http).then_some(true);
        };
        let responses = &framing.responses;
        if responses.is_lost() {
            None
        } else {
            Some(responses.ends_with_connection() || !responses.in_message())
        }
    }

    /// The sequence numbers prove that the server sent bytes after a request which the capture does not hold: the
    /// response, or a part of it.
    pub fn response_unseen(&self, exchange: &Exchange) -> bool {
        self.half(Side::Server).unseen_after(exchange.request.ack, self.half(Side::Client).acked())
    }

    /// The response in hand has no length: the server's close is its end, not the end of an idle time.
    pub fn response_ends_with_connection(&self) -> bool {
        self.framing.as_ref().is_some_and(|framing| framing.responses.ends_with_connection())
    }

    /// Whether a server's bytes that acknowledge a request may be its response although framing takes them for those of an
    /// earlier one: where that one ends is not known, or only the connection's own end would be it.
    pub fn response_may_be_hidden(&self, exchange: &Exchange) -> bool {
        let framing_is_lost = self
            .framing
            .as_ref()
            .is_some_and(|framing| framing.responses.is_lost() || framing.responses.ends_with_connection());
        framing_is_lost
            && !exchange.answered()
            && self
                .exchanges
                .iter()
                .take_while(|earlier| earlier.start != exchange.start)
                .any(|earlier| earlier.response_last().is_some_and(|last| last.ack.after(exchange.start)))
    }

    /// HTTP was left behind by an upgrade (101) or a CONNECT: [`Connection::protocol`] is what came after.
    pub fn is_upgraded(&self) -> bool {
        self.upgraded
    }
}
