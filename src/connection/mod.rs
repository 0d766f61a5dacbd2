//! TCP segments to connections: two halves, requests and responses, idle times, endings.
//!
//! Bounded and deterministic: all time comes from the trace, nothing depends on the order of a hash map, and a
//! connection keeps only the few segments (as [`Mark`]s) that a verdict may need as proof.
//! This module knows neither files nor verdicts.

mod exchange;
mod half;
pub mod http;
mod roles;
mod seq;
mod table;
mod tls;

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};

use crate::packet::{Endpoint, Flags, Segment};
use crate::report::Side;

pub use exchange::{Exchange, Retry};
pub use half::{Fresh, Half, is_passive_reset};
pub use roles::RoleHints;
pub use seq::Seq;
pub use table::{Table, TableCounts};

use http::{Event, Framer};

/// Pipelined requests kept apart; more are counted, not kept.
const MAX_OUTSTANDING: usize = 64;
/// Copies of a packet closer together were not sent twice but captured twice, as with `-i any`: no kernel retransmits
/// sooner.
const SHORTEST_RETRANSMISSION_NS: i64 = 1_000_000;
/// Bytes of a request that make its fingerprint.
const FINGERPRINT_BYTES: usize = 256;

/// One captured segment as evidence: where it stands and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Frame number, counted from 1 over all files read.
    pub frame: u64,
    /// Capture time, ns since the Unix epoch.
    pub time_ns: i64,
    /// Sequence number.
    pub seq: Seq,
    /// Acknowledgement number; meaningful only with the ACK flag.
    pub ack: Seq,
    /// Payload bytes.
    pub len: u32,
    /// Control bits.
    pub flags: Flags,
}

impl Mark {
    /// The mark of a segment.
    pub fn of(segment: &Segment<'_>, frame: u64, time_ns: i64) -> Mark {
        Mark {
            frame,
            time_ns,
            seq: Seq(segment.seq),
            ack: Seq(segment.ack),
            len: segment.payload_len,
            flags: segment.flags,
        }
    }
}

/// What the payload of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// No payload seen yet.
    #[default]
    Unknown,
    /// HTTP/1.
    Http,
    /// HTTP/2 in clear text.
    Http2,
    /// TLS: records are seen, their content is not.
    Tls,
    /// Something else; bursts of data are all that is known.
    Data,
}

/// One TCP connection.
#[derive(Debug)]
pub struct Connection {
    /// Index in order of first packets: Wireshark's `tcp.stream`.
    pub stream: u32,
    /// The two ends; the first sent the first captured segment.
    pub ends: [Endpoint; 2],
    /// Which of `ends` is the client, once known.
    client: Option<usize>,
    /// Whether a handshake or the payload proved the roles; otherwise ports suggested them.
    pub roles_proven: bool,
    halves: [Half; 2],
    /// First and last segment.
    pub first_ns: i64,
    /// Time of the last segment.
    pub last_ns: i64,
    /// What the payload is.
    pub protocol: Protocol,
    framing: Option<Box<Framing>>,
    client_records: tls::RecordReader,
    /// Requests not (fully) answered, oldest first. Requests answered in full are forgotten.
    pub exchanges: VecDeque<Exchange>,
    /// Requests seen.
    pub requests: u32,
    /// Requests answered.
    pub served: u32,
    /// The newest segment with payload of an exchange in either direction: alerts and responses that nobody had asked
    /// for do not end an idle time.
    pub last_data: Option<Mark>,
    /// The longest idle time after which the client sent another request.
    pub longest_reuse_ns: Option<i64>,
    /// The last answered exchange's final segment.
    pub previous_response: Option<Mark>,
    /// The server spoke before any request: a greeting, so not HTTP.
    pub server_speaks_first: bool,
    /// A response nobody had asked for: its segment and HTTP status.
    pub unsolicited: Option<(Mark, Option<u16>)>,
    /// A message asked for the connection to close (`Connection: close`).
    pub announced_close: bool,
    /// A TLS alert from each side, client first.
    pub alerts: [Option<Mark>; 2],
    /// The client's first segment after the server's SYN+ACK: the end of the handshake.
    pub established: Option<Mark>,
    /// The client's first acknowledgement of the server's FIN.
    pub fin_acked: Option<Mark>,
    /// Idle time before the first FIN or RST of each side, client first, where nothing was outstanding.
    pub idle_before_close: [Option<i64>; 2],
    spare_path: Vec<u8>,
}

/// The HTTP framers, allocated when HTTP is met.
#[derive(Debug)]
struct Framing {
    requests: Framer,
    responses: Framer,
    upgraded: bool,
}

impl Connection {
    fn new(stream: u32, segment: &Segment<'_>, time_ns: i64) -> Connection {
        Connection {
            stream,
            ends: [segment.src, segment.dst],
            client: None,
            roles_proven: false,
            halves: Default::default(),
            first_ns: time_ns,
            last_ns: time_ns,
            protocol: Protocol::Unknown,
            framing: None,
            client_records: tls::RecordReader::default(),
            exchanges: VecDeque::new(),
            requests: 0,
            served: 0,
            last_data: None,
            longest_reuse_ns: None,
            previous_response: None,
            server_speaks_first: false,
            unsolicited: None,
            announced_close: false,
            alerts: [None; 2],
            established: None,
            fin_acked: None,
            idle_before_close: [None; 2],
            spare_path: Vec::new(),
        }
    }

    /// The end that plays a role; before the roles are known, the first sender counts as the client.
    pub fn endpoint(&self, side: Side) -> Endpoint {
        self.ends[self.index(side)]
    }

    /// What one side sent.
    pub fn half(&self, side: Side) -> &Half {
        &self.halves[self.index(side)]
    }

    /// Segments captured.
    pub fn packets(&self) -> u64 {
        self.halves[0].packets + self.halves[1].packets
    }

    /// The side an endpoint plays.
    pub fn side_of(&self, endpoint: Endpoint) -> Side {
        if self.endpoint(Side::Client) == endpoint { Side::Client } else { Side::Server }
    }

    /// Both sides were captured.
    pub fn both_directions(&self) -> bool {
        self.halves.iter().all(Half::seen)
    }

    /// The beginning was captured.
    pub fn has_handshake(&self) -> bool {
        self.halves.iter().any(|half| half.syn.is_some())
    }

    /// Nothing more can come: both FINs, or a RST.
    pub fn is_closed(&self) -> bool {
        self.halves.iter().all(|half| half.fin.is_some()) || self.halves.iter().any(|half| half.rst.is_some())
    }

    /// Which side closed first, decided by numbers and not by capture order: a FIN that acknowledges the other side's
    /// FIN is an answer to it; if neither does, they crossed and there is no first.
    pub fn closed_first(&self) -> Option<Side> {
        let (client, server) = (self.half(Side::Client), self.half(Side::Server));
        let answers = |answer: &Half, first: &Half| match (answer.fin, first.fin_seq()) {
            (Some(answer), Some(first)) => answer.ack.after(first),
            _ => false,
        };
        match (client.fin.or(client.rst), server.fin.or(server.rst)) {
            (Some(_), None) => Some(Side::Client),
            (None, Some(_)) => Some(Side::Server),
            (Some(_), Some(_)) if answers(server, client) => Some(Side::Client),
            (Some(_), Some(_)) if answers(client, server) => Some(Side::Server),
            // A RST that answers a FIN closes nothing by itself.
            (Some(_), Some(_)) if client.fin.is_some() && server.fin.is_none() => Some(Side::Client),
            (Some(_), Some(_)) if server.fin.is_some() && client.fin.is_none() => Some(Side::Server),
            // Two RSTs: no number tells, only who was captured first.
            (Some(by_client), Some(by_server)) if client.fin.is_none() => {
                Some(if by_client.frame < by_server.frame { Side::Client } else { Side::Server })
            }
            _ => None,
        }
    }

    fn index(&self, side: Side) -> usize {
        let client = self.client.unwrap_or(0);
        match side {
            Side::Client => client,
            Side::Server => 1 - client,
        }
    }

    /// Takes one segment of this connection into account. Returns the fingerprint of a request that began with it.
    fn ingest(&mut self, segment: &Segment<'_>, mark: Mark, hints: &RoleHints) -> Option<u64> {
        self.last_ns = self.last_ns.max(mark.time_ns);
        self.first_ns = self.first_ns.min(mark.time_ns);
        let sender = usize::from(segment.src != self.ends[0]);
        self.settle_roles(segment, sender, hints);
        let side = if self.client == Some(1 - sender) { Side::Server } else { Side::Client };
        let outstanding = self.exchanges.iter().any(|exchange| !exchange.answered());
        let ends_it = segment.flags.rst() || segment.flags.fin();
        let half = &self.halves[sender];
        let first_end = ends_it && half.fin.is_none() && half.rst.is_none();
        let requests = self.requests;
        if segment.flags.ack() {
            self.halves[1 - sender].base.get_or_insert(Seq(mark.ack.0.wrapping_sub(1)));
        }
        let fresh = self.halves[sender].accept(segment, mark);
        let exchanged = match side {
            Side::Client => self.client_segment(segment, mark, fresh),
            Side::Server => self.server_segment(segment, mark, fresh),
        };
        if exchanged {
            self.last_data = Some(mark);
        } else if first_end && !outstanding {
            self.idle_before_close[side as usize] = self.last_data.map(|last| mark.time_ns - last.time_ns);
        }
        (self.requests > requests)
            .then(|| self.exchanges.back().map(|exchange| exchange.fingerprint))
            .flatten()
    }

    /// Returns whether the segment brought data of an exchange.
    fn client_segment(&mut self, segment: &Segment<'_>, mark: Mark, fresh: Fresh) -> bool {
        if self.established.is_none() && !segment.flags.syn() && self.half(Side::Server).syn.is_some() {
            self.established = Some(mark);
        }
        let server_fin = self.half(Side::Server).fin_seq();
        if segment.flags.ack()
            && self.fin_acked.is_none()
            && server_fin.is_some_and(|fin| mark.ack.after(fin))
        {
            self.fin_acked = Some(mark);
        }
        match fresh {
            Fresh::Nothing => false,
            Fresh::Old => {
                let next = self.half(Side::Client).next;
                let probe = mark.len == 1 && mark.seq.plus(1) == next;
                if let Some(exchange) = self.exchanges.iter_mut().rfind(|exchange| !exchange.answered())
                    && !probe
                    && !mark.seq.before(exchange.start)
                    && mark.time_ns - exchange.last_retransmission.unwrap_or(exchange.request).time_ns
                        >= SHORTEST_RETRANSMISSION_NS
                {
                    exchange.retransmissions += 1;
                    exchange.last_retransmission = Some(mark);
                }
                false
            }
            Fresh::Late => {
                self.overtaken(segment.payload, mark);
                true
            }
            Fresh::New { len, missing } => {
                let skip = (segment.payload_len - len) as usize;
                let payload = segment.payload.get(skip..).unwrap_or_default();
                self.client_data(payload, mark, mark.seq.plus(segment.payload_len - len), len, missing)
            }
        }
    }

    /// The beginning of a request overtaken by its rest: the proof is the segment that holds the beginning.
    fn overtaken(&mut self, payload: &[u8], mark: Mark) {
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
        exchange.segments += 1;
        if self.protocol == Protocol::Http
            && exchange.method.is_none()
            && let Some((method, path)) = http::request_line(payload)
        {
            exchange.method = Some(method);
            exchange.path = path;
            exchange.is_request = true;
        }
    }

    fn client_data(&mut self, payload: &[u8], mark: Mark, first: Seq, len: u32, missing: u32) -> bool {
        if self.protocol == Protocol::Unknown {
            self.protocol = detect(payload, self.server_speaks_first);
        }
        match self.protocol {
            Protocol::Http => self.http_requests(payload, mark, first, len, missing),
            Protocol::Tls => {
                self.client_records.skip(missing);
                match self.client_records.read(payload, len) {
                    Some(tls::Records::Alert) => {
                        self.alerts[0] = self.alerts[0].or(Some(mark));
                        return false;
                    }
                    Some(tls::Records::Handshake) => {}
                    Some(tls::Records::ApplicationData) => self.burst(payload, mark, first, len),
                    None if payload.is_empty() => self.burst(payload, mark, first, len),
                    Some(tls::Records::Continuation) | None => self.extend_request(first.plus(len)),
                }
            }
            _ => self.burst(payload, mark, first, len),
        }
        true
    }

    /// Data whose messages cannot be told apart: client data after server data is a new request.
    fn burst(&mut self, payload: &[u8], mark: Mark, first: Seq, len: u32) {
        if self.exchanges.back().is_none_or(Exchange::answered) {
            self.retire_answered();
            self.begin_request(payload, mark, first);
            if let Some(exchange) = self.exchanges.back_mut() {
                exchange.complete = true;
            }
        }
        self.extend_request(first.plus(len));
    }

    fn http_requests(&mut self, payload: &[u8], mark: Mark, first: Seq, len: u32, missing: u32) {
        let Some(mut framing) = self.framing.take().or_else(|| Some(Box::new(Framing::new()))) else {
            return;
        };
        if framing.upgraded {
            self.framing = Some(framing);
            return self.burst(payload, mark, first, len);
        }
        if missing > 0 {
            framing.requests.lose();
        }
        framing.requests.resynchronise(payload);
        if framing.requests.is_lost() {
            self.framing = Some(framing);
            self.burst(payload, mark, first, len);
            if let Some(exchange) = self.exchanges.back_mut().filter(|exchange| exchange.start == first) {
                exchange.is_request = payload.is_empty();
            }
            return;
        }
        let mut used = 0;
        if framing.requests.in_message() {
            self.extend_request(first);
        }
        while used < payload.len() {
            let (step, event) = framing.requests.feed(&payload[used..], None);
            let at = first.plus(used as u32);
            used += step;
            match event {
                Some(Event::Begin) => {
                    let begun_before =
                        self.exchanges.back().is_some_and(|last| last.method.is_none() && !last.answered());
                    if !begun_before {
                        if framing.responses.is_lost() {
                            self.retire_answered();
                        }
                        self.begin_request(&payload[used..], mark, at);
                    }
                }
                Some(Event::Request(method)) => {
                    if let Some(exchange) = self.exchanges.back_mut() {
                        exchange.method = Some(method);
                        exchange.path.clear();
                        exchange.path.extend_from_slice(framing.requests.path().as_bytes());
                    }
                }
                Some(Event::End) => {
                    self.announced_close |= framing.requests.announced_close();
                    self.request_complete(first.plus(used as u32));
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
            self.announced_close |= framing.requests.announced_close();
            self.request_complete(first.plus(len));
        }
        if framing.requests.in_message() || framing.requests.is_lost() {
            self.extend_request(first.plus(len));
        }
        self.framing = Some(framing);
    }

    fn begin_request(&mut self, payload: &[u8], mark: Mark, start: Seq) {
        if self.exchanges.len() == MAX_OUTSTANDING {
            self.exchanges.pop_front();
        }
        // A pipelined request is told by numbers: its sender did not have the response before.
        let pipelined = self.exchanges.iter().any(|exchange| !exchange.answered())
            || self.previous_response.is_some_and(|previous| previous.seq.plus(previous.len).after(mark.ack));
        let idle_ns =
            self.last_data.map(|last| mark.time_ns - last.time_ns).filter(|_| self.served > 0 && !pipelined);
        if let Some(idle) = idle_ns
            && self.longest_reuse_ns.is_none_or(|longest| idle > longest)
        {
            self.longest_reuse_ns = Some(idle);
        }
        self.requests += 1;
        self.exchanges.push_back(Exchange {
            request: mark,
            start,
            end: start,
            segments: 0,
            method: None,
            path: std::mem::take(&mut self.spare_path),
            complete: false,
            idle_ns,
            acked: None,
            retransmissions: 0,
            last_retransmission: None,
            is_request: true,
            response_first: None,
            response_last: None,
            response_complete: false,
            status: None,
            fingerprint: fingerprint(payload),
            retried: None,
        });
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

    fn extend_request(&mut self, end: Seq) {
        if let Some(exchange) = self.exchanges.back_mut()
            && end.after(exchange.end)
        {
            exchange.end = end;
            exchange.segments += 1;
        }
    }

    /// Returns whether the segment brought data of an exchange.
    fn server_segment(&mut self, segment: &Segment<'_>, mark: Mark, fresh: Fresh) -> bool {
        if segment.flags.ack() && !segment.flags.rst() {
            for exchange in &mut self.exchanges {
                if exchange.acked.is_none() && mark.ack.after(exchange.start) {
                    exchange.acked = Some(mark);
                }
            }
        }
        let Fresh::New { len, missing } = fresh else { return false };
        let skip = (segment.payload_len - len) as usize;
        let payload = segment.payload.get(skip..).unwrap_or_default();
        if self.protocol == Protocol::Tls && tls::records(payload) == Some(tls::Records::Alert) {
            self.alerts[1] = self.alerts[1].or(Some(mark));
            return false;
        }
        if let Some(framing) = &mut self.framing {
            if missing > 0 {
                framing.responses.lose();
            }
            if framing.responses.is_lost() && http::starts_response(payload) {
                self.retire_unseen(mark);
            }
        }
        // A response acknowledges at least the first byte of its request: the kernel sends what it has received.
        let asked = self.exchanges.front().is_some_and(|front| mark.ack.after(front.start));
        if !asked {
            self.unasked_data(payload, mark);
            return self.unsolicited.is_none();
        }
        if self.protocol == Protocol::Http {
            self.http_responses(payload, mark, len);
        } else if let Some(front) = self.exchanges.front_mut() {
            front.response_first = front.response_first.or(Some(mark));
            front.response_last = Some(mark);
        }
        true
    }

    fn unasked_data(&mut self, payload: &[u8], mark: Mark) {
        if self.requests == 0 && self.half(Side::Client).bytes == 0 {
            self.server_speaks_first = true;
        }
        if http::starts_response(payload) && self.unsolicited.is_none() {
            let status = payload.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            self.unsolicited = Some((mark, status));
        }
        if let Some(framing) = &mut self.framing {
            framing.responses.lose();
        }
    }

    fn http_responses(&mut self, payload: &[u8], mark: Mark, len: u32) {
        let Some(mut framing) = self.framing.take() else { return };
        framing.responses.resynchronise(payload);
        // A client that closed before the response may not read it: what it does next tells, so the exchange is kept.
        let client_left = self.half(Side::Client).fin.is_some_and(|fin| !fin.ack.after(mark.seq));
        let mut used = 0;
        let mut touched = false;
        while used < payload.len() {
            let Some(front) = self.exchanges.front_mut() else { break };
            let (step, event) = framing.responses.feed(&payload[used..], front.method);
            used += step.max(usize::from(event.is_none()));
            front.response_first = front.response_first.or(Some(mark));
            front.response_last = Some(mark);
            touched = true;
            match event {
                Some(Event::Response(status)) => front.status = Some(status),
                Some(Event::Interim) => {
                    front.response_first = None;
                    front.response_last = None;
                }
                Some(Event::End) => {
                    self.announced_close |= framing.responses.announced_close();
                    self.response_complete(client_left, framing.requests.in_message());
                }
                Some(Event::Upgraded) => framing.upgraded = true,
                _ => {}
            }
        }
        if !touched && let Some(front) = self.exchanges.front_mut() {
            front.response_first = front.response_first.or(Some(mark));
            front.response_last = Some(mark);
        }
        let uncaptured = u64::from(len).saturating_sub(payload.len() as u64);
        if framing.responses.skip(uncaptured).is_some() {
            self.announced_close |= framing.responses.announced_close();
            self.response_complete(client_left, framing.requests.in_message());
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

    fn retire_front(&mut self) {
        if let Some(done) = self.exchanges.pop_front() {
            self.served += 1;
            self.previous_response = done.response_last;
            self.spare_path = done.path;
            self.spare_path.clear();
        }
    }

    /// Where the end of a response was not captured, the next one begins: which request does it answer? One that had an
    /// answer begun has had all of it, and whatever the server sent before a request went out answered those before it.
    fn retire_unseen(&mut self, response: Mark) {
        let is_over = |exchanges: &VecDeque<Exchange>| match (exchanges.front(), exchanges.get(1)) {
            (Some(front), _) if front.answered() => true,
            (Some(front), Some(next)) => {
                next.request.ack.after(front.request.ack)
                    && !next.request.ack.after(response.seq)
                    && response.ack.after(next.start)
            }
            _ => false,
        };
        while is_over(&self.exchanges) {
            self.retire_front();
        }
    }

    fn retire_answered(&mut self) {
        while self.exchanges.front().is_some_and(Exchange::answered) {
            self.retire_front();
        }
    }

    /// What HTTP framing knows of the response in hand: `Some(true)` complete or ending with the connection,
    /// `Some(false)` begun and incomplete, `None` unknown.
    pub fn response_is_whole(&self) -> Option<bool> {
        let framing = self.framing.as_ref().filter(|framing| !framing.upgraded)?;
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
        self.half(Side::Server).unseen_after(exchange.request.ack, self.half(Side::Client).acked)
    }

    /// HTTP was left behind by an upgrade or a CONNECT.
    pub fn is_upgraded(&self) -> bool {
        self.framing.as_ref().is_some_and(|framing| framing.upgraded)
    }
}

impl Framing {
    fn new() -> Framing {
        Framing { requests: Framer::requests(), responses: Framer::responses(), upgraded: false }
    }
}

fn detect(payload: &[u8], server_speaks_first: bool) -> Protocol {
    if payload.starts_with(b"PRI * HTTP/2.0") {
        Protocol::Http2
    } else if http::starts_request(payload) && !server_speaks_first {
        Protocol::Http
    } else if tls::records(payload).is_some() {
        Protocol::Tls
    } else {
        Protocol::Data
    }
}

fn fingerprint(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&payload[..payload.len().min(FINGERPRINT_BYTES)]);
    hasher.finish()
}
