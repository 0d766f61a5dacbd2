//! What the client sends: where requests begin and end.

use crate::packet::Segment;
use crate::report::Side;

use super::exchange::Idle;
use super::http::{self, Event, Method};
use super::{
    Bytes, Connection, Exchange, Framing, Mark, MaybeNs, Meaning, Message, Protocol, SHORTEST_SILENCE_NS,
    Seq, http2, tls, websocket,
};

/// Pipelined requests kept apart; more are counted, not kept.
const MAX_OUTSTANDING: usize = 64;
/// Copies of a packet closer together were not sent twice but captured twice, as with `-i any`: no kernel retransmits
/// sooner.
const SHORTEST_RETRANSMISSION_NS: i64 = 1_000_000;
/// A message of an unknown protocol that has been acknowledged and not answered for this long, when another follows it, was
/// not waited for.
const ONE_WAY_SILENCE_NS: i64 = 1_000_000_000;

/// A client that is at work on one request does not rest longer between two segments of it.
const LONGEST_PAUSE_NS: i64 = 1_000_000_000;

impl Connection {
    /// Takes in what a segment of the client says of the server's.
    #[inline]
    pub(super) fn client_acknowledges(&mut self, segment: &Segment<'_>, mark: Mark) {
        let server = self.half(Side::Server);
        let fin = server.fin_seq();
        if self.established.get().is_none() && server.syn().is_some() && !segment.flags.syn() {
            self.established = mark.time_ns.into();
        }
        if fin.is_some_and(|fin| mark.ack.after(fin)) && segment.flags.ack() {
            self.rare().fin_acked.get_or_insert(mark);
        }
    }

    /// Bytes that were there before: a request is sent again, unless it is a probe (RFC 9293 section 3.8.4).
    pub(super) fn client_repeats(&mut self, mark: Mark) {
        let next = self.half(Side::Client).next;
        let probe = mark.len == 1 && mark.seq.plus(1) == next;
        if let Some(exchange) = self.exchanges.iter_mut().filter(|exchange| !exchange.answered()).last()
            && !probe
            && !mark.seq.before(exchange.start)
            && mark.time_ns - exchange.last_sent_ns() >= SHORTEST_RETRANSMISSION_NS
        {
            exchange.sent_again(mark.time_ns);
        }
    }

    /// The beginning of a request overtaken by its rest: the proof is the segment that holds the beginning.
    pub(super) fn overtaken(&mut self, payload: &[u8], mark: Mark) {
        if self.protocol == Protocol::Tls
            && matches!(tls::records(payload), Some(tls::Records::Alert | tls::Records::Handshake))
        {
            return;
        }
        let next = self.half(Side::Client).next;
        let Some(exchange) = self.exchanges.back_mut().filter(|exchange| mark.seq.before(exchange.start))
        else {
            if self.protocol == Protocol::Tls && tls::records(payload) == Some(tls::Records::ApplicationData)
            {
                self.burst(payload, mark, mark.seq, next.since(mark.seq) as u32);
            }
            return;
        };
        exchange.start = mark.seq;
        exchange.request = mark;
        if self.protocol == Protocol::Data {
            exchange.message = Message::read(payload, mark.len, self.spoken);
        }
        if self.protocol == Protocol::Http
            && exchange.method.is_none()
            && let Some((method, path)) = http::request_line(payload)
        {
            exchange.method = Some(method);
            exchange.path = path;
            exchange.is_request = true;
        }
    }

    /// Returns whether the bytes are of an exchange.
    pub(super) fn client_data(&mut self, bytes: &Bytes<'_>, mark: Mark) -> bool {
        let Bytes { payload, first, len, missing, .. } = *bytes;
        self.detect_protocol(payload);
        match self.protocol {
            Protocol::Http => self.http_requests(bytes, mark),
            Protocol::Http2 => return self.http2_requests(payload, mark, first, len, missing),
            Protocol::Tls => {
                self.offers_http2 |= tls::offers_http2(payload);
                self.client_records.skip(missing);
                match self.client_records.read(payload, len) {
                    Some(tls::Records::Alert) => {
                        self.rare().alert = true;
                        return false;
                    }
                    Some(tls::Records::Handshake) => {}
                    Some(tls::Records::ApplicationData) => self.burst(payload, mark, first, len),
                    None if payload.is_empty() => self.burst(payload, mark, first, len),
                    Some(tls::Records::ContinuationAndAlert) => {
                        self.rare().alert = true;
                        self.extend_request(first.plus(len));
                    }
                    Some(tls::Records::Continuation) | None => self.extend_request(first.plus(len)),
                }
            }
            _ if self.upgraded && websocket::is_control(payload) => return false,
            _ => return self.message(payload, mark, first, len),
        }
        true
    }

    /// What the client speaks is told by its first bytes; later ones may show that these were the rest of something that
    /// began before the capture, or an agreement to go on in TLS (STARTTLS and the like).
    fn detect_protocol(&mut self, payload: &[u8]) {
        match self.protocol {
            Protocol::Unknown => self.protocol = detect(payload, self.server_speaks_first),
            Protocol::Data if http::holds_request_line(payload) => {
                self.retire_answered();
                self.protocol = Protocol::Http;
            }
            Protocol::Data if tls::is_client_hello(payload) => {
                self.retire_answered();
                self.protocol = Protocol::Tls;
            }
            _ => {}
        }
    }

    /// Data whose messages cannot be told apart: client data is a new request once the client has got something of an answer
    /// to the one before; by the numbers, so that it is the same wherever the capture was taken.
    fn burst(&mut self, payload: &[u8], mark: Mark, first: Seq, len: u32) {
        let has_got = |answer: Mark| mark.ack.after(answer.seq);
        let is_new = self.exchanges.back().is_none_or(|back| back.response_first().is_some_and(has_got));
        if is_new {
            let continues = self.exchanges.back().is_some_and(|back| self.goes_on(back, mark));
            self.retire_answered();
            self.begin_request(http::fingerprint(payload), mark, first);
            if let Some(exchange) = self.exchanges.back_mut() {
                exchange.complete = true;
                exchange.continues = continues;
            }
        }
        self.extend_request(first.plus(len));
    }

    /// Whether what a client sends now is rather the rest of its request: the server had answered before it had all that
    /// the client had sent by then, or with what may have been an interim response, and the client goes on without a pause.
    fn goes_on(&self, request: &Exchange, mark: Mark) -> bool {
        let without_pause =
            self.last_data.get().is_some_and(|last_ns| mark.time_ns - last_ns <= LONGEST_PAUSE_NS);
        let answered_early = request.response_last().is_some_and(|answer| request.end.after(answer.ack));
        without_pause && (answered_early || request.is_answer_interim())
    }

    /// The client gave up the body of its last request, as it may after a final response in place of 100 Continue, or had
    /// declared it too long: a segment holds the line that begins the next one, sent after the response had arrived.
    fn client_moved_on(&self, framing: &Framing, payload: &[u8], mark: Mark) -> bool {
        let has_got = |answer: Mark| mark.ack.after(answer.seq);
        framing.requests.in_message()
            && self.exchanges.back().and_then(Exchange::response_first).is_some_and(has_got)
            && http::holds_request_line(payload)
    }

    /// The same in protocols of which the bytes may say what they want. What wanted no answer is over when the server's
    /// kernel has it. Returns whether the bytes end an idle time: a goodbye does not.
    fn message(&mut self, payload: &[u8], mark: Mark, first: Seq, len: u32) -> bool {
        if self.exchanges.back().is_some_and(|last| self.wants_nothing_more(last, payload, mark)) {
            while let Some(over) = self.exchanges.front() {
                // What something follows was no goodbye: a heartbeat, say.
                self.last_data = self
                    .last_data
                    .get()
                    .max(Some(over.request.time_ns))
                    .map_or(self.last_data, MaybeNs::from);
                self.exchanges.pop_front();
            }
        }
        let requests = self.requests;
        let longest_reuse = (self.longest_reuse, self.reused_after_at_least_ns());
        self.burst(payload, mark, first, len);
        let Some(exchange) = self.exchanges.back_mut() else { return true };
        if self.requests == requests {
            exchange.message.go_on(payload, len);
            return exchange.message.meaning != Meaning::Farewell;
        }
        exchange.message = Message::read(payload, len, self.spoken);
        if self.spoken.protocol().is_none() {
            self.spoken = exchange.message;
        }
        // Who says goodbye does not use the connection again.
        let farewell = exchange.message.meaning == Meaning::Farewell;
        if farewell {
            self.longest_reuse = longest_reuse.0;
            if let Some(rare) = &mut self.rare {
                rare.reused_after_silence = longest_reuse.1.map(MaybeNs::from).unwrap_or_default();
            }
        }
        !farewell
    }

    /// What was sent last has arrived, and no answer to it is due: what comes now is another message.
    fn wants_nothing_more(&self, last: &Exchange, payload: &[u8], now: Mark) -> bool {
        let arrived = self.half(Side::Server).acked().is_some_and(|acked| !acked.before(last.end));
        let silent =
            || self.last_data.get().is_some_and(|last_ns| now.time_ns - last_ns >= ONE_WAY_SILENCE_NS);
        let is_over = || match last.message.meaning {
            Meaning::Request => false,
            Meaning::Unknown => silent(),
            Meaning::OneWay | Meaning::Farewell => silent() || last.message.is_followed_by(payload, now.len),
        };
        !last.answered() && arrived && is_over()
    }

    fn http_requests(&mut self, bytes: &Bytes<'_>, mark: Mark) {
        let Bytes { payload, head, first, len, missing } = *bytes;
        let Some(mut framing) = self.framing.take().or_else(|| Some(Box::new(Framing::new()))) else {
            return;
        };
        if missing > 0 {
            framing.requests.lose();
        }
        framing.requests.resynchronise(payload);
        if self.client_moved_on(&framing, payload, mark) {
            framing.requests.restart();
            self.retire_answered();
        }
        if framing.requests.is_lost() {
            self.framing = Some(framing);
            return self.unreadable_request(bytes, mark);
        }
        let mut used = 0;
        if framing.requests.in_message() {
            self.extend_request(first);
        } else if let Some(head) = head
            && framing.requests.is_fresh()
            && let Some((method, path)) = head.request(payload)
        {
            self.request_begins(&mut framing, payload, head.fingerprint(), mark, first);
            self.request_named(method, path);
            let (len, event) = framing.requests.pass(head, None);
            used = len;
            if event.is_some() {
                self.request_ends(&framing, first.plus(len as u32));
            }
        }
        while used < payload.len() {
            let between = !framing.requests.in_message();
            let (step, event) = framing.requests.feed(&payload[used..], None);
            let at = used;
            used += step;
            match event {
                Some(Event::Begin) => {
                    let first = first.plus(at as u32);
                    self.request_begins(&mut framing, &payload[used..], None, mark, first);
                }
                Some(Event::Request(method)) => {
                    self.request_named(method, framing.requests.path().as_bytes());
                }
                Some(Event::End) => self.request_ends(&framing, first.plus(used as u32)),
                // It belongs to the request before.
                None if between && framing.requests.is_lost() && self.awaits_answer() => used = payload.len(),
                None if between && framing.requests.is_lost() => {
                    self.framing = Some(framing);
                    let (payload, first, len) = (&payload[at..], first.plus(at as u32), len - at as u32);
                    return self
                        .unreadable_request(&Bytes { payload, first, len, head: None, missing: 0 }, mark);
                }
                _ => {}
            }
        }
        if framing.requests.is_lost()
            && let Some(exchange) = self.exchanges.back_mut().filter(|exchange| exchange.method.is_none())
        {
            exchange.is_request = false;
        }
        if framing.requests.skip(u64::from(len).saturating_sub(payload.len() as u64)).is_some() {
            self.request_ends(&framing, first.plus(len));
        }
        if framing.requests.in_message() || framing.requests.is_lost() {
            self.extend_request(first.plus(len));
        }
        self.framing = Some(framing);
    }

    /// Bytes on an HTTP connection in which no request can be made out. Where they begin something, the beginning of a request
    /// may be in what was not captured; otherwise they are none.
    fn unreadable_request(&mut self, bytes: &Bytes<'_>, mark: Mark) {
        self.burst(bytes.payload, mark, bytes.first, bytes.len);
        if let Some(exchange) = self.exchanges.back_mut().filter(|exchange| exchange.start == bytes.first) {
            exchange.is_request = bytes.payload.is_empty() || bytes.missing > 0;
        }
    }

    /// Whether the last request waits for its answer. What follows it and begins no request is more of that one (a body of
    /// which its head says nothing), or a client's test whether the connection lives.
    fn awaits_answer(&self) -> bool {
        self.exchanges.back().is_some_and(|last| last.method.is_some() && !last.answered())
    }

    /// A request begins with `payload`, of which the fingerprint may be known.
    fn request_begins(
        &mut self,
        framing: &mut Framing,
        payload: &[u8],
        fingerprint: Option<u64>,
        mark: Mark,
        at: Seq,
    ) {
        // A client that goes on has taken what it has for the whole response, though no length was declared.
        if framing.responses.ends_with_connection() && !self.half(Side::Server).next.after(mark.ack) {
            framing.responses.give_up();
        }
        let fingerprint = fingerprint.unwrap_or_else(|| http::fingerprint(payload));
        match self.exchanges.back_mut().filter(|last| last.method.is_none() && !last.answered()) {
            Some(begun) if begun.is_request => {}
            Some(stray) => stray.begin_anew(mark, at, fingerprint),
            None => {
                if framing.responses.is_lost() {
                    self.retire_answered();
                }
                self.begin_request(fingerprint, mark, at);
            }
        }
    }

    fn request_named(&mut self, method: Method, path: &[u8]) {
        if let Some(exchange) = self.exchanges.back_mut() {
            exchange.method = Some(method);
            exchange.path.clear();
            exchange.path.extend_from_slice(path);
        }
    }

    fn request_ends(&mut self, framing: &Framing, end: Seq) {
        if let Some(exchange) = self.exchanges.back_mut() {
            exchange.says_close = framing.requests.announced().says_close();
        }
        self.request_complete(end);
    }

    pub(super) fn begin_request(&mut self, fingerprint: u64, mark: Mark, start: Seq) {
        if self.half(Side::Server).rsts() > 0 {
            // They were kept for what the client would do next, and it goes on.
            self.retire_answered();
        }
        if self.exchanges.len() == MAX_OUTSTANDING {
            self.exchanges.pop_front();
        }
        // A pipelined request is told by numbers: its sender did not have the response before.
        let pipelined = self.exchanges.iter().any(|exchange| !exchange.answered())
            || self.previous_response.is_some_and(|previous| previous.seq.after(mark.ack));
        let idle = if pipelined { Idle::Unknown } else { self.idle_until(mark) };
        if !pipelined && !self.is_upgraded() {
            self.reused_after(idle);
        }
        self.requests += 1;
        let silence_ns = match self.last_ns {
            i64::MIN => 0,
            last_ns => (mark.time_ns - last_ns).max(0),
        };
        self.exchanges.begin(|path| Exchange::new(mark, start, idle, silence_ns, fingerprint, path));
        if let Some(early) = self.rare.as_ref().and_then(|rare| rare.early)
            && early.ack.after(start)
            && !early.seq.before(mark.ack)
            && let Some(exchange) = self.exchanges.back_mut()
        {
            exchange.answer(early);
        }
    }

    /// Takes in that the client used the connection again.
    fn reused_after(&mut self, idle: Idle) {
        // On a connection that was to close, it says nothing of how long the client keeps others.
        if self.announced_close().is_some() {
            self.rare().used_after_close += 1;
            return;
        }
        match idle {
            Idle::Exactly(ns) => {
                if self.is_overdue(Some(ns)) {
                    self.rare().overdue += 1;
                }
                let longest = self.longest_reuse.get().map_or(ns, |longest| longest.max(ns));
                self.longest_reuse = longest.into();
            }
            // It is the first of its connection in the capture.
            Idle::AtLeast(ns) if ns >= SHORTEST_SILENCE_NS => self.rare().reused_after_silence = ns.into(),
            Idle::AtLeast(_) | Idle::Unknown => {}
        }
    }

    /// How long nothing had been sent when a request was.
    fn idle_until(&self, request: Mark) -> Idle {
        match self.last_data.get() {
            Some(last_ns) if self.served > 0 => Idle::Exactly(request.time_ns - last_ns),
            _ => match self.silent_since_ns(request.ack) {
                Some(since_ns) => Idle::AtLeast((request.time_ns - since_ns).max(0)),
                None => Idle::Unknown,
            },
        }
    }

    fn request_complete(&mut self, end: Seq) {
        if let Some(exchange) = self.exchanges.back_mut() {
            exchange.complete = true;
            exchange.end = end;
        }
        if self.exchanges.front().is_some_and(|front| front.complete && front.response_complete) {
            self.retire_front();
        }
    }

    pub(super) fn extend_request(&mut self, end: Seq) {
        if let Some(exchange) = self.exchanges.back_mut()
            && end.after(exchange.end)
        {
            exchange.end = end;
        }
    }
}

/// A server that speaks first may be one that is still answering what was asked before the capture began.
fn detect(payload: &[u8], server_speaks_first: bool) -> Protocol {
    if http2::starts(payload) {
        Protocol::Http2
    } else if http::starts_request(payload) && (!server_speaks_first || http::holds_request_line(payload)) {
        Protocol::Http
    } else if tls::records(payload).is_some() {
        Protocol::Tls
    } else {
        Protocol::Data
    }
}
