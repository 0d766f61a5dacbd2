//! What the server sends: which request a response answers, and where it ends.

use crate::packet::Segment;
use crate::report::Side;

use super::http::{self, Event, Head};
use super::{
    Bytes, Connection, Exchange, Exchanges, Framing, Mark, Protocol, RetryAnswer, http2, message, tls,
};

impl Connection {
    /// Takes in what a segment of the server says of the client's.
    #[inline]
    pub(super) fn server_acknowledges(&mut self, segment: &Segment<'_>, mark: Mark) {
        if segment.flags.ack() && !segment.flags.rst() {
            for exchange in self.exchanges.iter_mut() {
                if exchange.acked.is_none() && mark.ack.after(exchange.start) {
                    exchange.acked = Some(mark.into());
                    self.survived_and_trip.survive(exchange.silence_ns());
                    if exchange.retransmissions() == 0 {
                        self.survived_and_trip.answer(mark.time_ns - exchange.request.time_ns);
                    }
                }
            }
        }
    }

    /// Returns whether the bytes are of an exchange.
    pub(super) fn server_data(&mut self, bytes: &Bytes<'_>, mark: Mark) -> bool {
        let Bytes { payload, head, len, missing, .. } = *bytes;
        if self.protocol == Protocol::Tls {
            self.server_records.skip(missing);
            match self.server_records.read(payload, len) {
                Some(tls::Records::Alert) => {
                    self.rare().alert = true;
                    return false;
                }
                // The rest of the handshake may come after a request that did not wait for it (RFC 7918).
                Some(tls::Records::Handshake) => return true,
                Some(tls::Records::ContinuationAndAlert) => self.rare().alert = true,
                _ => {}
            }
        }
        if missing > 0
            && let Some(framing) = &mut self.framing
        {
            framing.responses.lose();
        }
        self.find_responses_again(bytes, mark);
        if self.upgraded && self.protocol == Protocol::Unknown && http2::starts_with_settings(payload) {
            self.protocol = Protocol::Http2;
        }
        if self.protocol == Protocol::Http2 {
            return self.http2_responses(payload, mark, len, missing);
        }
        // A response acknowledges at least the first byte of its request: the kernel sends what it has received.
        let asked = self.exchanges.front().is_some_and(|front| mark.ack.after(front.start));
        if !asked {
            self.unasked_data(payload, mark);
            return self.unsolicited().is_none();
        }
        if self.protocol == Protocol::Http {
            self.http_responses(payload, head, mark, len);
        } else if let Some(front) = self.exchanges.front_mut() {
            if front.answered() && self.protocol == Protocol::Data && message::server_says_goodbye(payload) {
                return false;
            }
            front.answer(mark);
            if self.protocol == Protocol::Tls {
                front.answer_may_be_interim(tls::may_be_interim(payload));
            }
        }
        true
    }

    /// A part of a response overtaken by what was sent after it: it may be all that came of it.
    pub(super) fn response_overtaken(&mut self, payload: &[u8], mark: Mark) {
        let is_answer = match self.protocol {
            Protocol::Tls => {
                !matches!(tls::records(payload), Some(tls::Records::Alert | tls::Records::Handshake))
            }
            Protocol::Http2 => false,
            _ => true,
        };
        let status = http::status(payload);
        if is_answer
            && status.is_none_or(|status| status >= 200)
            && let Some(front) = self.exchanges.front_mut().filter(|front| mark.ack.after(front.start))
            && !front.answered()
        {
            front.answer(mark);
            front.status = status;
        }
    }

    /// Bytes of a response that come late, or once more because they were lost: they have arrived only now, and the idle
    /// time counts from here. Returns whether it does. A keep-alive probe brings nothing, and what the client had
    /// acknowledged already was sent in vain.
    pub(super) fn server_repeats(&mut self, payload: &[u8], mark: Mark) -> bool {
        let end = mark.seq.plus(mark.len);
        let probe = mark.len == 1 && end == self.half(Side::Server).next;
        let had_it = self.half(Side::Client).acked().is_some_and(|acked| !end.after(acked));
        let alert = self.protocol == Protocol::Tls && tls::records(payload) == Some(tls::Records::Alert);
        if probe || had_it || alert {
            return false;
        }
        match self.exchanges.front_mut().filter(|front| front.answered()) {
            Some(front) => front.answer_arrives(mark),
            None => {
                if let Some(previous) = self.previous_response.as_mut().filter(|last| !end.after(last.seq)) {
                    previous.at = mark.into();
                }
            }
        }
        true
    }

    fn unasked_data(&mut self, payload: &[u8], mark: Mark) {
        // Where the beginning was not captured, this may be the rest of any response.
        if self.requests == 0 && self.half(Side::Client).bytes == 0 && self.half(Side::Server).syn().is_some()
        {
            self.server_speaks_first = true;
        }
        let client = self.half(Side::Client);
        if client.seen() && mark.ack.after(client.next) {
            self.rare().early = Some(mark);
            return;
        }
        if http::starts_response(payload) && self.unsolicited().is_none() {
            self.rare().unsolicited = Some((mark, http::status(payload)));
        }
        if let Some(framing) = &mut self.framing {
            framing.responses.lose();
        }
    }

    fn http_responses(&mut self, payload: &[u8], head: Option<&Head>, mark: Mark, len: u32) {
        let Some(mut framing) = self.framing.take() else { return };
        framing.responses.resynchronise(payload);
        // A client that closed before the response may not read it: what it does next tells, so the exchange is kept.
        // The same where a RST of the server came before: it may have cut the client off.
        let client_left = self.half(Side::Client).fin().is_some_and(|fin| !fin.ack.after(mark.seq))
            || self.half(Side::Server).rsts() > 0;
        let mut head = head.filter(|_| framing.responses.is_fresh());
        let mut used = 0;
        let mut touched = false;
        while used < payload.len() {
            let Some(front) = self.exchanges.front_mut() else { break };
            let (step, event) = match head.take() {
                Some(head) => {
                    front.status = head.status().or(front.status);
                    framing.responses.pass(head, front.method)
                }
                None => framing.responses.feed(&payload[used..], front.method),
            };
            used += step.max(usize::from(event.is_none()));
            front.answer(mark);
            touched = true;
            match event {
                Some(Event::Response(status)) => front.status = Some(status),
                Some(Event::Interim) => {
                    front.forget_answer();
                }
                Some(Event::End) => {
                    self.announced = Some(framing.responses.announced());
                    self.response_complete(client_left, framing.requests.in_message());
                }
                Some(Event::Upgraded) => {
                    self.leave_http(&mut framing, client_left);
                    break;
                }
                _ => {}
            }
        }
        if !touched && let Some(front) = self.exchanges.front_mut() {
            front.answer(mark);
        }
        let uncaptured = u64::from(len).saturating_sub(payload.len() as u64);
        match framing.responses.skip(uncaptured) {
            Some(Event::Upgraded) => self.leave_http(&mut framing, client_left),
            Some(_) => {
                self.announced = Some(framing.responses.announced());
                self.response_complete(client_left, framing.requests.in_message());
            }
            None => {}
        }
        self.framing = Some(framing);
    }

    /// A server may answer before it has the whole request; then the exchange is not over.
    fn response_complete(&mut self, client_left: bool, request_under_way: bool) {
        let Some(front) = self.exchanges.front_mut() else { return };
        front.response_complete = true;
        if !client_left && (front.complete || !request_under_way) {
            self.retire_front();
        }
    }

    pub(super) fn retire_front(&mut self) {
        let Some(front) = self.exchanges.front() else { return };
        self.served += 1;
        self.announced = self.announced.filter(|_| front.response_complete);
        if front.says_close {
            self.announced = Some(self.announced.unwrap_or_default().of_client_that_closes());
        }
        self.previous_response = front.response_end();
        self.tell_retry();
        self.exchanges.pop_front();
    }

    /// The oldest request has its answer.
    fn tell_retry(&mut self) {
        if let Some(front) = self.exchanges.front().filter(|front| front.follows_loss()) {
            let answer = RetryAnswer { frame: front.request.frame, status: front.status };
            self.rare().retry_answer = Some(answer);
        }
    }

    /// The server closes: a response without a length is complete (RFC 9112 section 6.3).
    pub(super) fn server_closes(&mut self) {
        if self.response_ends_with_connection() && self.exchanges.front().is_some_and(Exchange::answered) {
            self.tell_retry();
        }
    }

    /// What follows is another protocol, which its first bytes will tell: WebSocket, HTTP/2, or what a tunnel carries.
    fn leave_http(&mut self, framing: &mut Framing, client_left: bool) {
        self.upgraded = true;
        self.protocol = Protocol::Unknown;
        *framing = Framing::new();
        if !client_left {
            self.retire_front();
        }
    }

    /// Where a response ends may be unknown, or not where its head says: the capture misses a part, its length was declared
    /// wrongly or not at all, it answers a HEAD that was not seen. Then numbers tell which request these bytes answer:
    ///
    /// 1. one that the client sent after it had got something of the server since the request before it, and no later than
    ///    these bytes, where the server has received it;
    /// 2. the next one that the server has received, if these bytes begin like a response and the one before has had some
    ///    of its own; even if no further request was seen, where the end was not captured.
    ///
    /// What a head says of the length is doubted by the second kind of bytes only: a client may send its next request while
    /// a response is under way.
    fn find_responses_again(&mut self, bytes: &Bytes<'_>, mark: Mark) {
        let Some(framing) = &self.framing else { return };
        let is_lost = framing.responses.is_lost();
        let begins = http::starts_response(bytes.payload);
        if !(is_lost
            || framing.responses.ends_with_connection()
            || (begins && framing.responses.in_message()))
        {
            return;
        }
        let is_over = |exchanges: &Exchanges| match (exchanges.front(), exchanges.get(1)) {
            (Some(front), Some(next)) => {
                let sent_later =
                    next.request.ack.after(front.request.ack) && !next.request.ack.after(bytes.first);
                mark.ack.after(next.start) && (sent_later || (begins && front.answered()))
            }
            (Some(front), None) => is_lost && begins && front.answered(),
            (None, _) => false,
        };
        let mut was_over = false;
        while is_over(&self.exchanges) {
            self.retire_front();
            was_over = true;
        }
        if was_over && let Some(framing) = &mut self.framing {
            if begins { framing.responses.restart() } else { framing.responses.give_up() }
        }
    }

    pub(super) fn retire_answered(&mut self) {
        while self.exchanges.front().is_some_and(Exchange::answered) {
            self.retire_front();
        }
    }
}
