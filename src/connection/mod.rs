//! TCP segments to connections: two halves, requests and responses, idle times, endings.
//!
//! Bounded and deterministic: all time comes from the trace, nothing depends on the order of a hash map, and a
//! connection keeps only the few segments (as [`Mark`]s) that a verdict may need as proof.
//! This module knows neither files nor verdicts.

mod duplicates;
mod embryo;
mod exchange;
mod framing;
mod half;
pub mod http;
pub(crate) mod http2;
mod maybe;
mod message;
mod outstanding;
mod requests;
mod responses;
mod roles;
mod seq;
mod spares;
mod streams;
mod table;
pub(crate) mod tls;
mod websocket;

use std::num::NonZeroU64;

use crate::packet::{Endpoint, Flags, Segment};
use crate::report::Side;

pub use exchange::Exchange;
pub use half::{Fresh, Half, REORDERED_NS, Reset, is_passive_reset};
pub use message::{Meaning, Message};
pub use outstanding::Exchanges;
pub use roles::RoleHints;
pub use seq::Seq;
pub use table::{
    Digest, Digester, Located, Retries, Retry, RetryAnswer, SETTLE_NS, Slot, Table, TableCounts,
};

use framing::Framing;
use maybe::{MaybeNs, SurvivedAndTrip};

/// A shorter silence at the beginning of a capture says nothing of an idle time.
pub const SHORTEST_SILENCE_NS: i64 = 50_000_000;

/// One captured segment as evidence: where it stands and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Frame number, counted from 1 in its capture.
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
    niche: Niche,
}

/// Where a segment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    // Never 0, so that `Option<Moment>` takes no more than a moment.
    frame: NonZeroU64,
    /// Capture time, ns since the Unix epoch.
    pub time_ns: i64,
}

impl Moment {
    /// Frame number, counted from 1 in its capture.
    pub fn frame(self) -> u64 {
        self.frame.get()
    }
}

impl From<Mark> for Moment {
    fn from(mark: Mark) -> Moment {
        Moment { frame: NonZeroU64::new(mark.frame).unwrap_or(NonZeroU64::MIN), time_ns: mark.time_ns }
    }
}

/// What of a [`Mark`] is kept for as long as its connection: where it stands, and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Where it stands.
    pub at: Moment,
    /// Sequence number.
    pub seq: Seq,
}

impl From<Mark> for Point {
    fn from(mark: Mark) -> Point {
        Point { at: mark.into(), seq: mark.seq }
    }
}

impl From<Point> for Moment {
    fn from(point: Point) -> Moment {
        point.at
    }
}

/// A byte that is never 0: `Option<Mark>`, of which a connection has many, takes no more than a mark.
type Niche = std::num::NonZeroU8;

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
            niche: Niche::MIN,
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

/// New bytes of one side.
struct Bytes<'s> {
    /// As many as were captured.
    payload: &'s [u8],
    /// The head that they begin with, where it was read ahead.
    head: Option<&'s http::Head>,
    /// Number of the first.
    first: Seq,
    /// How many they are.
    len: u32,
    /// Bytes missing before them.
    missing: u32,
}

impl<'s> Bytes<'s> {
    /// Those at the end of a segment's payload, by [`Fresh::New`].
    #[inline]
    fn new(segment: &Segment<'s>, head: Option<&'s http::Head>, (len, missing): (u32, u32)) -> Bytes<'s> {
        let skip = segment.payload_len - len;
        Bytes {
            payload: segment.payload.get(skip as usize..).unwrap_or_default(),
            head: head.filter(|_| skip == 0),
            first: Seq(segment.seq).plus(skip),
            len,
            missing,
        }
    }
}

/// One TCP connection.
#[derive(Debug)]
pub struct Connection {
    /// Index in order of first packets: Wireshark's `tcp.stream`.
    pub stream: u32,
    /// The two ends; the first sent the first captured segment.
    pub ends: [Endpoint; 2],
    /// Virtual network, 0 outside of one: connections with the same ends in two of them are two.
    pub tunnel: u32,
    /// Number of the connection in the table: unlike its stream never used twice.
    serial: u32,
    /// It goes on after it had been given up for the bound of the table: what came before was handed over on its own.
    pub resumed: bool,
    /// Whether the second of `ends` is the client, once known.
    client_is_second: Option<bool>,
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
    /// The client's ClientHello offers HTTP/2 (ALPN, RFC 7301); whether it is spoken is encrypted.
    pub offers_http2: bool,
    /// The client's first message that was recognised as one of a protocol.
    spoken: Message,
    client_records: tls::RecordReader,
    server_records: tls::RecordReader,
    /// Requests not (fully) answered, oldest first. Requests answered in full are forgotten.
    pub exchanges: Exchanges,
    /// Requests seen.
    pub requests: u32,
    /// Requests answered.
    pub served: u32,
    /// Time of the newest segment with payload of an exchange in either direction: alerts and responses that nobody had
    /// asked for do not end an idle time.
    last_data: MaybeNs,
    longest_reuse: MaybeNs,
    survived_and_trip: SurvivedAndTrip,
    /// The last answered exchange's final segment, with the sequence number behind its payload.
    pub previous_response: Option<Point>,
    /// The server spoke before any request: a greeting, so not HTTP.
    pub server_speaks_first: bool,
    rare: Option<Box<Rare>>,
    /// What the last response says of the connection's future; none where it could not be read.
    pub announced: Option<http::Announcement>,
    upgraded: bool,
    established: MaybeNs,
    /// Packets that were captured more than once, as far as the number goes.
    duplicates: u32,
    appearances: streams::Appearances,
}

/// What few connections have before they close.
#[derive(Debug, Default)]
struct Rare {
    streams: Option<Box<http2::Streams>>,
    fin_acked: Option<Mark>,
    idle_before_close: [MaybeNs; 2],
    silent_before_close: [MaybeNs; 2],
    reused_after_silence: MaybeNs,
    goaway: Option<(Mark, u32)>,
    used_after_close: u32,
    overdue: u32,
    unsolicited: Option<(Mark, Option<u16>)>,
    /// Server data captured before the client's that it acknowledges.
    early: Option<Mark>,
    alert: bool,
    retry_answer: Option<RetryAnswer>,
}

impl Connection {
    /// A connection of which no segment was seen yet.
    fn new(stream: u32, tunnel: u32, ends: [Endpoint; 2]) -> Connection {
        Connection {
            stream,
            ends,
            tunnel,
            serial: 0,
            resumed: false,
            client_is_second: None,
            roles_proven: false,
            halves: Default::default(),
            first_ns: i64::MAX,
            last_ns: i64::MIN,
            protocol: Protocol::Unknown,
            framing: None,
            offers_http2: false,
            spoken: Message::UNKNOWN,
            client_records: tls::RecordReader::default(),
            server_records: tls::RecordReader::default(),
            exchanges: Exchanges::default(),
            requests: 0,
            served: 0,
            last_data: MaybeNs::default(),
            longest_reuse: MaybeNs::default(),
            survived_and_trip: SurvivedAndTrip::default(),
            previous_response: None,
            server_speaks_first: false,
            rare: None,
            announced: None,
            upgraded: false,
            established: MaybeNs::default(),
            duplicates: 0,
            appearances: streams::Appearances::default(),
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

    /// Copies of segments already captured, as of `-i any` and mirrors: part of the segments, not judged.
    pub fn duplicates(&self) -> u64 {
        self.duplicates.into()
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
        self.halves.iter().any(|half| half.syn().is_some())
    }

    /// Nothing more can come: both FINs, or a RST.
    pub fn is_closed(&self) -> bool {
        self.halves.iter().all(|half| half.fin().is_some()) || self.halves.iter().any(|half| half.rsts() > 0)
    }

    /// Which side closed first, decided by numbers and not by capture order: a FIN that acknowledges the other side's
    /// FIN is an answer to it; if neither does, they crossed and there is no first.
    pub fn closed_first(&self) -> Option<Side> {
        let (client, server) = (self.half(Side::Client), self.half(Side::Server));
        let answers = |answer: &Half, first: &Half| match (answer.fin(), first.fin_seq()) {
            (Some(answer), Some(first)) => answer.ack.after(first),
            _ => false,
        };
        match (client.fin().or(client.rst()), server.fin().or(server.rst())) {
            (Some(_), None) => Some(Side::Client),
            (None, Some(_)) => Some(Side::Server),
            (Some(_), Some(_)) if answers(server, client) => Some(Side::Client),
            (Some(_), Some(_)) if answers(client, server) => Some(Side::Server),
            // A RST that answers a FIN closes nothing by itself.
            (Some(_), Some(_)) if client.fin().is_some() && server.fin().is_none() => Some(Side::Client),
            (Some(_), Some(_)) if server.fin().is_some() && client.fin().is_none() => Some(Side::Server),
            // Two RSTs: no number tells, only who was captured first.
            (Some(by_client), Some(by_server)) if client.fin().is_none() => {
                Some(if by_client.frame < by_server.frame { Side::Client } else { Side::Server })
            }
            _ => None,
        }
    }

    /// The server's GOAWAY: its segment and the last stream that it accepts.
    pub fn goaway(&self) -> Option<(Mark, u32)> {
        self.rare.as_ref()?.goaway
    }

    /// A response nobody had asked for: its segment and HTTP status.
    pub fn unsolicited(&self) -> Option<(Mark, Option<u16>)> {
        self.rare.as_ref()?.unsolicited
    }

    /// A TLS alert was captured, of either side.
    pub fn has_alert(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.alert)
    }

    /// The client's first acknowledgement of the server's FIN.
    pub fn fin_acked(&self) -> Option<Mark> {
        self.rare.as_ref()?.fin_acked
    }

    /// Idle time before the first FIN or RST of a side, ns, where nothing was outstanding.
    pub fn idle_before_close(&self, side: Side) -> Option<i64> {
        self.rare.as_ref()?.idle_before_close[side as usize].get()
    }

    /// The same where the last exchange lies before the capture: at least so long.
    pub fn idle_before_close_at_least(&self, side: Side) -> Option<i64> {
        self.rare.as_ref()?.silent_before_close[side as usize].get()
    }

    /// The longest idle time after which the client sent another request, ns.
    pub fn longest_reuse_ns(&self) -> Option<i64> {
        self.longest_reuse.get()
    }

    /// The same where that idle time began before the capture of the connection: at least so long.
    pub fn reused_after_at_least_ns(&self) -> Option<i64> {
        self.rare.as_ref()?.reused_after_silence.get()
    }

    /// Since when the capture shows that nothing was sent on a connection whose last exchange it does not hold: its first
    /// segment, where the numbers prove that no byte passed since. `received` is up to where the client has received.
    fn silent_since_ns(&self, received: Seq) -> Option<i64> {
        /// The first segment may be a keep-alive probe, numbered one below (RFC 9293 section 3.8.4).
        const PROBE: u32 = 1;
        let (client, server) = (self.half(Side::Client), self.half(Side::Server));
        let nothing_unseen = client.unseen(server) + server.unseen(client) <= PROBE.into();
        let nothing_seen = self.last_data.get().is_none() && server.bytes == 0 && client.rst().is_none();
        let fin = u32::from(server.fin_seq().is_some_and(|fin| received.after(fin)));
        let nothing_received = server.base().is_some_and(|base| !received.after(base.plus(1 + PROBE + fin)));
        (!self.has_handshake() && nothing_seen && nothing_unseen && nothing_received).then_some(self.first_ns)
    }

    /// Time of the newest segment with payload of an exchange, in either direction.
    pub fn last_data_ns(&self) -> Option<i64> {
        self.last_data.get()
    }

    /// Time of the client's first segment after the server's SYN+ACK, which is the end of the handshake.
    pub fn established_ns(&self) -> Option<i64> {
        self.established.get()
    }

    /// The shortest time, at the capture point, from a segment of the client to the server's answer to it, ns: of the SYN,
    /// where neither was repeated, and of the beginning of each request. Both are answered by the server's kernel, or by
    /// something nearer in its name; a kernel that delays its acknowledgement makes a single one longer, never shorter.
    pub fn round_trip_ns(&self) -> Option<i64> {
        let handshake = self.half(Side::Client).syn().zip(self.half(Side::Server).syn());
        let handshake = handshake
            .filter(|_| self.half(Side::Client).syn_repeats() == 0)
            .map(|(syn, answer)| answer.at.time_ns - syn.at.time_ns);
        handshake.into_iter().chain(self.survived_and_trip.trip_ns()).filter(|trip| *trip >= 0).min()
    }

    /// The longest silence, without a packet of either side at the capture point, after which a request was acknowledged, ns:
    /// whatever lies on the path still knew the connection then.
    pub fn survived_ns(&self) -> Option<i64> {
        self.survived_and_trip.survived_ns()
    }

    /// Whether the bytes of a request tell equal ones from others. What is encrypted is never twice the same, and what an HTTP/2
    /// header block means depends on those before it (RFC 7541 section 2.3.2).
    pub fn is_comparable(&self, exchange: &Exchange) -> bool {
        match self.protocol {
            Protocol::Http => exchange.method.is_some(),
            Protocol::Data => exchange.fingerprint != http::fingerprint(&[]),
            Protocol::Http2 | Protocol::Tls | Protocol::Unknown => false,
        }
    }

    /// Its index in the newest file that holds packets of it.
    fn newest_stream(&self) -> u32 {
        self.appearances.newest(self.stream).1
    }

    /// How a request that [followed](Exchange::follows_loss) a lost one was answered, once.
    fn take_retry_answer(&mut self) -> Option<RetryAnswer> {
        self.rare.as_mut()?.retry_answer.take()
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn index(&self, side: Side) -> usize {
        let client = usize::from(self.client_is_second.unwrap_or(false));
        match side {
            Side::Client => client,
            Side::Server => 1 - client,
        }
    }

    /// Takes one segment of this connection into account; `head` is what its payload begins with, where that was read ahead.
    /// Returns the fingerprint of a request that began with it.
    #[inline]
    fn ingest(
        &mut self,
        segment: &Segment<'_>,
        head: Option<&http::Head>,
        mark: Mark,
        hints: &RoleHints,
    ) -> Option<u64> {
        self.first_ns = self.first_ns.min(mark.time_ns);
        let sender = usize::from(segment.src != self.ends[0]);
        if !self.roles_proven {
            self.settle_roles(segment, sender, hints);
        }
        let side = if self.client_is_second == Some(sender == 0) { Side::Server } else { Side::Client };
        let ends_it = segment.flags.rst() || segment.flags.fin();
        let half = &self.halves[sender];
        // A close in answer to a goodbye is no idle timer; one that crosses it is.
        let is_answer_to = |exchange: &Exchange| side == Side::Client || mark.ack.after(exchange.start);
        let is_over =
            |exchange: &Exchange| exchange.answered() || (exchange.is_farewell() && !is_answer_to(exchange));
        let ends_idle = ends_it && !half.has_ended() && self.exchanges.iter().all(is_over);
        if segment.flags.ack() {
            let peer = &mut self.halves[1 - sender];
            peer.begin_at(Seq(mark.ack.0.wrapping_sub(1)));
            if !segment.flags.rst() {
                peer.acknowledged(mark.ack, mark.time_ns);
            }
        }
        let fresh = self.halves[sender].accept(segment, mark);
        match side {
            Side::Client => self.client_acknowledges(segment, mark),
            Side::Server => self.server_acknowledges(segment, mark),
        }
        let requests = self.requests;
        let exchanged = match (side, fresh) {
            (_, Fresh::Nothing) => false,
            (Side::Server, Fresh::Old) => self.server_repeats(segment.payload, mark),
            (Side::Server, Fresh::Late) => {
                self.response_overtaken(segment.payload, mark);
                self.server_repeats(segment.payload, mark)
            }
            (Side::Client, Fresh::Old) => {
                self.client_repeats(mark);
                false
            }
            (Side::Client, Fresh::Late) => {
                self.overtaken(segment.payload, mark);
                true
            }
            (side, Fresh::New { len, missing }) => {
                let bytes = Bytes::new(segment, head, (len, missing));
                match side {
                    Side::Client => self.client_data(&bytes, mark),
                    Side::Server => self.server_data(&bytes, mark),
                }
            }
        };
        if side == Side::Server && segment.flags.fin() {
            self.server_closes();
        }
        if exchanged {
            self.last_data = mark.time_ns.into();
        } else if ends_idle {
            self.close_ends_idle(side, mark.time_ns);
        }
        self.last_ns = self.last_ns.max(mark.time_ns);
        if self.requests == requests {
            return None;
        }
        self.exchanges.back().map(|exchange| exchange.fingerprint)
    }

    /// A side closes while nothing is outstanding.
    fn close_ends_idle(&mut self, side: Side, close_ns: i64) {
        if let Some(last_ns) = self.last_data.get() {
            self.rare().idle_before_close[side as usize] = (close_ns - last_ns).into();
        } else if let Some(received) = self.half(Side::Server).base()
            && let Some(since_ns) = self.silent_since_ns(received.plus(1)).filter(|since| *since < close_ns)
        {
            self.rare().silent_before_close[side as usize] = (close_ns - since_ns).into();
        }
    }

    /// Counts a copy of a segment already taken into account.
    fn count_copy(&mut self, sender: Endpoint, time_ns: i64) {
        self.last_ns = self.last_ns.max(time_ns);
        self.halves[usize::from(sender != self.ends[0])].packets += 1;
        self.duplicates = self.duplicates.saturating_add(1);
    }

    /// Zero of the relative numbers, in the order of `ends`.
    fn bases(&self) -> streams::Bases {
        let mut bases = streams::Bases::default();
        for (end, half) in self.halves.iter().enumerate() {
            half.base().into_iter().for_each(|base| bases.set(end, base.0));
        }
        bases
    }

    /// Why the connection ends with the last exchange, as its headers or its framing say; none where it goes on.
    pub fn ends_as_announced(&self) -> Option<&'static str> {
        let by_framing = self.response_ends_with_connection().then_some("a response without a length");
        self.announced_close().or(by_framing)
    }

    /// Requests sent although the connection had been announced to close.
    pub fn used_after_close(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.used_after_close)
    }

    /// Requests sent when the announced idle time was over ([`Connection::is_overdue`]).
    pub fn overdue(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.overdue)
    }

    /// How the last response, or the request that it answers, says that the connection ends with it.
    pub fn announced_close(&self) -> Option<&'static str> {
        self.announced?.closes()
    }

    /// What a packet takes from the capture point to the client and back, ns: as the handshake showed, else at most as the
    /// client's acknowledgements of data did.
    pub fn trip_to_client_ns(&self) -> Option<i64> {
        let handshake = self.handshake_trip_to_client_ns();
        handshake.or_else(|| self.half(Side::Server).shortest_ack_ns())
    }

    /// The same by the handshake alone.
    pub fn handshake_trip_to_client_ns(&self) -> Option<i64> {
        Some(self.established_ns()? - self.half(Side::Server).syn()?.at.time_ns)
    }

    /// For how long the last response says that an idle connection is kept, ns.
    pub fn announced_timeout_ns(&self) -> Option<i64> {
        self.announced?.timeout_s().map(|seconds| i64::from(seconds) * 1_000_000_000)
    }

    /// Whether a request that was sent after so long, at the capture point, was sent when the idle time that the server had
    /// announced was over: by the client's clock, which starts as the response arrives.
    pub fn is_overdue(&self, idle_ns: Option<i64>) -> bool {
        match (self.announced_timeout_ns(), idle_ns, self.trip_to_client_ns()) {
            (Some(announced), Some(idle), Some(trip)) => idle - trip >= announced,
            _ => false,
        }
    }
}
