//! A connection to a verdict: how it ended, which requests died on it, of what, and which segments prove it.
//!
//! Pure functions over [`Connection`]; no I/O, no clock. One rule is one function, its conditions numbered in its
//! docstring in the order in which the code checks them. Rules compare sequence and acknowledgement numbers, never
//! the order of capture, so that a capture from either side gives the same verdict (DESIGN section 3).

mod advice;
mod ending;
mod goodbye;
mod limits;
mod logs;
mod memory;
mod path;
mod race;
mod restart;
mod rules;
mod sender;
mod timers;

use crate::connection::{Connection, Exchange, Half, Moment, Protocol};
use crate::report::{Cause, Confidence, Ending, PathLoss, RetrySafe, Role, Side};

use goodbye::Weight;

pub use advice::{Story, happened_in_restart, tell, timer_advice};
pub use ending::ending;
pub use limits::Limit;
pub use logs::would_log;
pub use memory::path_advice;
pub use race::discarded_by_timer;
pub use restart::Restart;
pub use timers::{IdleTimes, ServerTimers, Spread, bound_idle_time};

/// A `stale-reuse` whose request left within this time of the FIN's arrival is the race, seen one hop later: no
/// application notices a readable FIN faster than its event loop turns (a few ms, DESIGN section 4).
pub const RACE_GAP_NS: i64 = 5_000_000;

/// What the capture around the connection allows to conclude.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances {
    /// The capturing kernel reported dropped packets.
    pub packets_dropped: bool,
    /// A file of the ring is missing, and the connection was open then.
    pub file_missing: bool,
}

/// Where on its connection a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is the first: the capture holds the connection from its beginning, and none was sent before.
    First,
    /// Others were answered before it.
    Later,
    /// What came before it was not captured.
    Unknown,
}

/// One request that died, and the proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Why.
    pub cause: Cause,
    /// How sure.
    pub confidence: Confidence,
    /// Index into [`Connection::exchanges`]; none where the connection itself failed to open.
    pub exchange: Option<usize>,
    /// Where on its connection it stands; an attempt to connect counts as the first.
    pub place: Place,
    /// The segments that prove it, by role.
    pub frames: Vec<(Role, Moment)>,
    /// Time from the last byte of the previous exchange to the request.
    pub idle_ns: Option<i64>,
    /// The same where the previous exchange lies before the capture: for how long the connection was seen silent.
    pub idle_at_least_ns: Option<i64>,
    /// Packets of this time are missing from the capture, and nobody knows which.
    pub packets_missing: bool,
    /// Whether the request's acknowledgement number covers the server's FIN.
    pub ack_covers_fin: Option<bool>,
    /// For a stale reuse: how long the client's kernel had held the FIN when the request was sent.
    pub stale_for_ns: Option<i64>,
    /// The proof in sentences, strongest first.
    pub evidence: Vec<String>,
    /// What would have spoken against it and was looked for.
    pub counter_evidence: Vec<String>,
    /// Can the application have processed the request?
    pub retry_safe: RetrySafe,
    /// How long nothing had passed on the connection before the request; none where the connection itself failed to open.
    pub silence_ns: Option<i64>,
    /// What the path did to it.
    pub path_loss: Option<PathLoss>,
    /// A RST that decided came from something else than the server, as far as the IP layer tells.
    pub from_stranger: bool,
}

impl Finding {
    /// The mark that plays a role in the proof.
    pub fn moment(&self, role: Role) -> Option<Moment> {
        self.frames.iter().find(|(known, _)| *known == role).map(|(_, mark)| *mark)
    }

    /// Time from the server's FIN to the request at the capture point; negative when the request was captured first.
    pub fn fin_to_request_ns(&self) -> Option<i64> {
        Some(self.moment(Role::Request)?.time_ns - self.moment(Role::Fin)?.time_ns)
    }

    /// Time from the last byte of the previous exchange to the server's close. Both come from the server, so that it is the
    /// same at every capture point.
    pub fn idle_at_close_ns(&self) -> Option<i64> {
        let close = self.moment(Role::Fin).or(self.moment(Role::Reset))?;
        Some(close.time_ns - self.moment(Role::PreviousResponse)?.time_ns)
    }

    /// Whether this is the keep-alive race (DESIGN section 4): both sides acted within one trip of a packet.
    pub fn is_race(&self) -> bool {
        self.cause.is_race()
            || (self.cause == Cause::StaleReuse && self.stale_for_ns.is_some_and(|gap| gap <= RACE_GAP_NS))
    }
}

/// What became of a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// How it ended.
    pub ending: Ending,
    /// Requests that died on it.
    pub findings: Vec<Finding>,
    /// The last message without an answer of which the capture cannot tell whether anything was lost with it.
    pub unclear: Option<Moment>,
}

/// Everything a rule may look at for one request.
#[derive(Debug, Clone, Copy)]
struct Case<'c> {
    connection: &'c Connection,
    client: &'c Half,
    server: &'c Half,
    exchange: &'c Exchange,
    index: usize,
}

type Rule = for<'c> fn(&Case<'c>) -> Option<Finding>;

/// The rules for a request without any response, in the order they are asked; the first that holds names the cause.
const UNANSWERED: &[Rule] = &[
    rules::goaway,
    rules::unsolicited_response,
    rules::died_before_the_rest,
    race::discarded_request,
    race::crossed_fin,
    race::stale_reuse,
    rules::died_mid_request_with_fin,
    path::reset_by_stranger,
    race::unread_request,
    path::reset_idle,
    rules::died_mid_request_with_reset,
    rules::fin_missed_by_capture,
    path::state_lost,
    path::silent_drop,
    path::reset_in_clients_name,
    rules::client_gave_up,
    rules::unexplained,
];

/// The rules for a request whose client closed before anything else happened: what came later answers that.
const LEFT: &[Rule] = &[rules::goaway, path::silent_drop, rules::client_gave_up];

/// The rules for a request whose response began.
const ANSWERED: &[Rule] = &[
    path::reset_denied_by_server,
    rules::truncated_response,
    rules::aborted_response,
    rules::response_reset,
];

/// Judges one connection.
pub fn judge(connection: &Connection, circumstances: Circumstances) -> Judgement {
    let mut findings: Vec<Finding> = rules::never_opened(connection).into_iter().collect();
    let mut said_goodbye = false;
    let mut unclear = None;
    if connection.both_directions() {
        for (index, exchange) in connection.exchanges.iter().enumerate() {
            let case = Case {
                connection,
                client: connection.half(Side::Client),
                server: connection.half(Side::Server),
                exchange,
                index,
            };
            // A hole in the capture is never a lost request, and neither is what a client sends after its own end.
            if connection.response_unseen(exchange) || case.client_had_ended() {
                continue;
            }
            if goodbye::is_goodbye(&case) {
                said_goodbye = true;
                continue;
            }
            let rules = match exchange.answered() {
                true if case.answer_came_too_late() => LEFT,
                true => ANSWERED,
                false if case.client_left_first() => LEFT,
                false => UNANSWERED,
            };
            match rules
                .iter()
                .find_map(|rule| rule(&case))
                .map(|finding| goodbye::weigh(&case, case.with_framing_doubted(finding)))
            {
                Some(Weight::Told(finding)) => findings.push(finding),
                Some(Weight::Unclear) => unclear = Some(exchange.request.into()),
                Some(Weight::Nothing) | None => {}
            }
        }
    }
    for finding in &mut findings {
        doubt(finding, circumstances);
    }
    let said_goodbye = said_goodbye && findings.is_empty();
    Judgement { ending: ending::ending(connection, said_goodbye), findings, unclear }
}

/// What was dropped before it could be captured may be what would have changed a verdict.
fn doubt(finding: &mut Finding, circumstances: Circumstances) {
    let reason = match circumstances {
        Circumstances { packets_dropped: true, .. } => "the capturing kernel dropped packets",
        Circumstances { file_missing: true, .. } => "a file of the capture is missing",
        _ => return,
    };
    finding.packets_missing = true;
    // It rests on there being no FIN.
    if finding.cause == Cause::StateLost {
        finding.confidence = Confidence::Inconclusive;
        finding.counter_evidence.push(format!("{reason}: a FIN may be among what is lost"));
    }
}

impl Case<'_> {
    /// A finding about this request, with the marks that every rule shows.
    fn finding(&self, cause: Cause, confidence: Confidence, retry_safe: RetrySafe) -> Finding {
        let mut frames = Vec::new();
        let mut show = |role, moment: Option<Moment>| frames.extend(moment.map(|moment| (role, moment)));
        let previous = match self.index.checked_sub(1) {
            Some(before) => {
                self.connection.exchanges.get(before).and_then(Exchange::response_last).map(Moment::from)
            }
            None => self.connection.previous_response.map(Moment::from),
        };
        show(Role::PreviousResponse, previous);
        show(Role::Request, Some(self.exchange.request.into()));
        show(Role::RequestAck, self.exchange.acked);
        show(Role::Fin, self.server.fin().map(Moment::from));
        show(
            Role::FinAck,
            self.connection
                .fin_acked()
                .filter(|ack| ack.frame != self.exchange.request.frame)
                .map(Moment::from),
        );
        show(Role::Response, self.exchange.response_first().map(Moment::from));
        show(Role::Reset, self.server.rst().map(Moment::from));
        show(Role::ClientFin, self.client.fin().map(Moment::from));
        show(Role::ClientReset, self.client.rst().map(Moment::from));
        Finding {
            cause,
            confidence,
            exchange: Some(self.index),
            place: self.place(),
            frames,
            idle_ns: self.exchange.idle_ns(),
            idle_at_least_ns: self.exchange.idle_at_least_ns(),
            packets_missing: false,
            ack_covers_fin: self.ack_covers_fin(),
            stale_for_ns: self.stale_for_ns(),
            evidence: Vec::new(),
            counter_evidence: Vec::new(),
            retry_safe,
            silence_ns: Some(self.exchange.silence_ns()),
            path_loss: None,
            from_stranger: false,
        }
    }

    fn place(&self) -> Place {
        let before = &self.connection.exchanges;
        if self.connection.served > 0 || before.iter().take(self.index).any(Exchange::answered) {
            Place::Later
        } else if self.connection.has_handshake() && self.client.missing() == 0 && self.server.missing() == 0
        {
            Place::First
        } else {
            Place::Unknown
        }
    }

    /// The rule that decides (DESIGN section 3): does the request acknowledge the server's FIN?
    fn ack_covers_fin(&self) -> Option<bool> {
        self.server.fin_seq().map(|fin| self.exchange.request.ack.after(fin))
    }

    /// How long the client's kernel had held the FIN when the request was sent, the same at every capture point: what
    /// passed there between FIN and request, less what a packet takes from there to the client and back, as the
    /// handshake showed. Without a handshake, the client's own acknowledgement of the FIN gives a lower bound (Linux
    /// delays it by up to 40 ms, measured).
    fn stale_for_ns(&self) -> Option<i64> {
        if self.ack_covers_fin() != Some(true) {
            return None;
        }
        let request = self.exchange.request;
        let to_client_and_back = self
            .server
            .syn()
            .zip(self.connection.established_ns())
            .map(|(syn, ack_ns)| ack_ns - syn.at.time_ns);
        let gap = match (to_client_and_back, self.connection.fin_acked()) {
            (Some(trip), _) => request.time_ns - self.server.fin()?.time_ns - trip,
            (None, Some(acked)) => request.time_ns - acked.time_ns,
            (None, None) => 0,
        };
        Some(gap.max(0))
    }

    /// The server's kernel had received none of the request when it sent its FIN: the FIN acknowledges nothing of it.
    fn fin_left_before_request_arrived(&self) -> bool {
        self.server.fin().is_some_and(|fin| !fin.ack.after(self.exchange.start))
    }

    /// The client itself had reset the connection before it sent this, or the number lies behind its own FIN: then
    /// another connection has taken the ports, and its beginning was not captured.
    fn client_had_ended(&self) -> bool {
        let reset = self.client.rst().is_some_and(|reset| {
            reset.frame < self.exchange.request.frame
                && !self.exchange.start.before(reset.seq)
                && !self.client_reset_is_strangers()
        });
        reset || self.client.fin_seq().is_some_and(|fin| self.exchange.start.after(fin))
    }

    /// The client closed without a byte of the response, and refused the response when it came:
    /// 1. the client's FIN acknowledges nothing of the response;
    /// 2. the client's kernel answered the response with RST, so nobody was there to read it. (A client that only ends
    ///    its own stream still reads.)
    fn answer_came_too_late(&self) -> bool {
        match (self.client.fin(), self.exchange.response_first()) {
            (Some(fin), Some(response)) => {
                !fin.ack.after(response.seq)
                    && self.client.rst().is_some()
                    && self.connection.closed_first() == Some(Side::Client)
            }
            _ => false,
        }
    }

    /// Takes certainty from a verdict that rests on where messages begin and end, where that is not known.
    fn with_framing_doubted(&self, mut finding: Finding) -> Finding {
        let (connection, exchange) = (self.connection, self.exchange);
        let unread = connection.protocol == Protocol::Http && exchange.method.is_none();
        let reason = if connection.response_may_be_hidden(exchange) {
            "the server sent data after it had this request, and where the response before it ends cannot be told: its \
             response may be among that data"
        } else if unread && self.client.missing() > 0 {
            "the beginning of the request was not captured: this may be the rest of one that the server had begun to read"
        } else if unread && finding.cause == Cause::TruncatedResponse {
            "the request was not captured in full: the response to a HEAD ends with its header"
        } else {
            return finding;
        };
        finding.confidence = Confidence::Inconclusive;
        finding.counter_evidence.push(reason.into());
        finding
    }

    /// `GET /path` for HTTP, a description for anything else.
    fn label(&self) -> String {
        label(self.exchange)
    }
}

/// What to call a request in a sentence.
pub fn label(exchange: &Exchange) -> String {
    match exchange.method {
        Some(method) => format!("{} {}", method.name(), String::from_utf8_lossy(&exchange.path)),
        None => format!("the request of {} bytes", exchange.bytes()),
    }
}

/// A sequence number as Wireshark shows it: relative to the connection's first.
fn relative(half: &Half, number: crate::connection::Seq) -> u32 {
    half.base().map_or(number.0, |base| number.since(base) as u32)
}

/// A duration for a sentence, in the unit that reads best.
fn duration(ns: i64) -> String {
    match ns {
        1_000_000_000.. => format!("{:.1} s", ns as f64 / 1e9),
        1_000_000.. => format!("{} ms", ns / 1_000_000),
        _ => format!("{} µs", ns / 1_000),
    }
}
