//! What a ladder says: headline, foot, and the words beside each instant, by cause and role.
//!
//! Only what the packets show is stated. What the capture point could not see is marked by the layout as inferred.

use super::Outcome;
use super::instants::End;
use super::model::Face;
use crate::render::retry::remark;
use crate::render::style::Tone;
use crate::render::units::{counted, duration};
use crate::report::{
    Cause, Clocks, Confidence, Incident, Retried, RetrySafe, Role, Segment, SegmentKind, Side, Trace, Vantage,
};

/// One line beside an instant: size and weight, colour, words.
pub type Line = (Face, Tone, String);

/// A trace with what is known about it.
#[derive(Debug, Clone, Copy)]
pub struct Story<'a> {
    /// The segments.
    pub trace: &'a Trace,
    /// The verdict, if there is one.
    pub incident: Option<&'a Incident>,
    /// What the packets cannot tell.
    pub outcome: &'a Outcome,
}

impl<'a> Story<'a> {
    /// Index of the first segment with this role.
    pub fn index(&self, role: Role) -> Option<usize> {
        self.trace.segments.iter().position(|segment| segment.role == Some(role))
    }

    /// The first segment with this role.
    fn segment(&self, role: Role) -> Option<&'a Segment> {
        self.index(role).map(|index| &self.trace.segments[index])
    }

    /// The cause, if there is a verdict.
    pub fn cause(&self) -> Option<Cause> {
        self.incident.map(|incident| incident.cause)
    }

    /// Where the capture was taken, if there is only one.
    pub fn vantage(&self) -> Option<Vantage> {
        match self.trace.clocks {
            Clocks::Both => None,
            Clocks::One => Some(self.incident.map_or(Vantage::Unknown, |incident| incident.vantage)),
        }
    }

    /// The end at which nothing was captured, where the capture point is known to be the other end.
    pub fn unobserved(&self) -> Option<Side> {
        match self.vantage()? {
            Vantage::Client => Some(Side::Server),
            Vantage::Server => Some(Side::Client),
            Vantage::Between | Vantage::Unknown => None,
        }
    }

    /// The two segments that the story is about: the lost request, and what it met on its way; none where the cause is
    /// no meeting of two.
    pub fn meeting(&self) -> Option<(usize, usize)> {
        let met = match self.cause()? {
            Cause::CrossedFin | Cause::DiscardedRequest | Cause::StaleReuse | Cause::AnnouncedClose => {
                Role::Fin
            }
            Cause::ResetIdle => Role::Reset,
            _ => return None,
        };
        Some((self.index(Role::Request)?, self.index(met)?))
    }

    /// Whether the verdict says that the two crossed, although one capture point cannot show it.
    pub fn crossing_is_inferred(&self) -> bool {
        self.trace.clocks == Clocks::One
            && self.meeting().is_some()
            && self.incident.is_some_and(|incident| incident.ack_covers_fin == Some(false))
    }

    /// The numbers behind that conclusion.
    pub fn crossing_proof(&self) -> Option<String> {
        let (request, fin) = (self.segment(Role::Request)?, self.segment(Role::Fin)?);
        Some(format!("ack {}: FIN {} not yet received", request.ack?, fin_number(fin)))
    }

    /// The headline.
    pub fn title(&self) -> String {
        let [client, server] = self.names();
        let Some(incident) = self.incident else {
            return format!("One connection: {client} and {server}");
        };
        let lost =
            if incident.retried == Retried::Yes { "One request sent twice: " } else { "One request lost: " };
        let what = match incident.cause {
            Cause::CrossedFin => format!("it crossed the {server}’s FIN in flight"),
            Cause::UnreadRequest => format!("the {server} closed without reading it"),
            Cause::DiscardedRequest => format!("the {server} took it and threw it away"),
            Cause::StaleReuse => format!("sent after the {server}’s FIN had arrived"),
            Cause::AnnouncedClose => "sent although the close had been announced".to_owned(),
            Cause::ResetIdle => format!("the {server} reset the idle connection"),
            Cause::StateLost => format!("the {server}’s side no longer knew the connection"),
            Cause::SilentDrop => "nobody ever acknowledged it".to_owned(),
            Cause::DiedMidRequest => format!("the {server} closed before it answered"),
            Cause::TruncatedResponse => return "One response cut short".to_owned(),
            Cause::ResponseReset => return "One response that a reset may have erased".to_owned(),
            Cause::ProxyTimeout => return format!("The {client} gave up waiting for a response"),
            Cause::ClientAbort => return format!("The {client} went away before the response was complete"),
            Cause::Refused => return format!("The {server} refused the connection"),
            Cause::ConnectTimeout => return format!("The {server} never answered the connection attempt"),
            Cause::UnsolicitedResponse => format!("the {server} had already said something else"),
            Cause::Goaway => format!("the {server} had said goodbye (GOAWAY)"),
            Cause::Unknown => "no rule explains why".to_owned(),
        };
        format!("{lost}{what}")
    }

    /// Under the headline: who, how far apart, what was asked, where to find it, what became of it.
    pub fn subtitle(&self) -> String {
        let mut parts = Vec::new();
        if let [Some(client), Some(server)] = [&self.trace.lanes[0].product, &self.trace.lanes[1].product] {
            parts.push(format!("{client} → {server}"));
        } else if let Some(product) = self.trace.lanes.iter().find_map(|lane| lane.product.as_ref()) {
            parts.push(product.clone());
        }
        if let Some(flight) = self.typical_flight_ns() {
            parts.push(format!("one-way delay {}", duration(flight)));
        }
        if let Some(incident) = self.incident {
            parts.push(incident.request.label());
        }
        parts.push(format!("stream\u{a0}{}", self.trace.stream));
        match self.vantage() {
            Some(Vantage::Client) => {
                parts.push(format!("captured at the {}: dashed is inferred", self.names()[0]))
            }
            Some(Vantage::Server) => {
                parts.push(format!("captured at the {}: dashed is inferred", self.names()[1]))
            }
            Some(Vantage::Between) => parts.push("captured on the way".to_owned()),
            Some(Vantage::Unknown) => parts.push("one capture point".to_owned()),
            None => {}
        }
        if let Some(saw) = &self.outcome.user_saw {
            parts.push(format!("the user saw {saw}"));
        }
        parts.join(" · ")
    }

    /// The foot: why this is sure, what cures it, what was left out. One paragraph each.
    pub fn foot(&self) -> Vec<String> {
        let mut foot = Vec::new();
        if let Some(incident) = self.incident {
            let heading = match incident.confidence {
                Confidence::Certain => "Why this is sure",
                Confidence::Likely => "Why this is likely",
                Confidence::Inconclusive => "What is missing",
            };
            if let Some(proof) = incident.evidence.first() {
                foot.push(format!("{heading}: {proof}"));
            }
            match incident.retried {
                Retried::Yes => foot.push(
                    "The same request was sent again on another connection and answered there.".to_owned(),
                ),
                _ => foot.extend(remark(incident).map(|said| format!("Sent again: {said}."))),
            }
            if !incident.advice.is_empty() {
                foot.push(format!("Cure: {}", incident.advice));
            }
        }
        if self.trace.omitted > 0 {
            foot.push(format!("Left out as adding nothing: {}.", counted(self.trace.omitted, "segment")));
        }
        foot
    }

    /// All of it in sentences, for those who cannot see the picture.
    pub fn description(&self) -> String {
        let mut sentences = vec![self.title() + "."];
        sentences
            .extend(self.incident.map(|incident| incident.what_happened.clone()).filter(|it| !it.is_empty()));
        for segment in &self.trace.segments {
            let [from, to] = [segment.from, segment.from.peer()].map(|side| self.name(side));
            let mut sentence =
                format!("{}: {from} to {to}, {}", self.clock(segment.sent_ns), self.label(segment));
            if let Some(received_ns) = segment.received_ns {
                sentence += &format!(", arrives {}", self.clock(received_ns));
            }
            sentences.push(sentence + ".");
        }
        sentences.extend(self.foot());
        sentences.join(" ")
    }

    /// The name on an arrow: what it is, and its size or number where that says more.
    pub fn label(&self, segment: &Segment) -> String {
        match (segment.kind, segment.count, segment.len) {
            (SegmentKind::Reset, 2.., _) => format!("{} resets", segment.count),
            (_, 2.., 0) => format!("{} × {}", segment.count, segment.label),
            (_, 2.., len) => format!("{} {len} B (×{})", segment.label, segment.count),
            (_, _, 0) => segment.label.clone(),
            (_, _, len) => format!("{} {len} B", segment.label),
        }
    }

    /// A time of this trace, relative to its zero.
    pub fn clock(&self, time_ns: i64) -> String {
        crate::render::units::relative(time_ns.saturating_sub(self.trace.zero_ns))
    }

    /// How long, and what kind of quiet: `length_ns` between two instants, ended by `until` at `time_ns` on side `by`.
    ///
    /// Where it is the story's idle time, it counts from the last segment that means something, as the side that ends
    /// it saw that: what its timer counts.
    pub fn quiet(&self, length_ns: i64, until: usize, by: Side, time_ns: i64) -> String {
        let before = || self.trace.segments.iter().filter(|segment| segment.sent_ns < time_ns);
        let since = |segment: &Segment| {
            let here = if segment.from == by {
                segment.sent_ns
            } else {
                segment.received_ns.unwrap_or(segment.sent_ns)
            };
            duration(time_ns.saturating_sub(here))
        };
        let is_request = self.trace.segments[until].role == Some(Role::Request);
        let means_something = |segment: &&Segment| {
            !matches!(segment.kind, SegmentKind::Ack | SegmentKind::Handshake) && !manages(segment)
        };
        match before().rfind(means_something) {
            Some(fin) if fin.kind == SegmentKind::Fin && is_request => {
                format!("{} after the FIN", since(fin))
            }
            Some(end) if matches!(end.kind, SegmentKind::Fin | SegmentKind::Reset) => {
                format!("{} later", duration(length_ns))
            }
            Some(request) if request.kind == SegmentKind::Request => {
                format!("{} without an answer", since(request))
            }
            Some(response)
                if self.cause() == Some(Cause::TruncatedResponse)
                    && response.kind == SegmentKind::Response
                    && self.segment(Role::Request).is_some_and(|asked| asked.sent_ns <= response.sent_ns) =>
            {
                format!("{} without the rest", since(response))
            }
            Some(response) => format!("{} idle", since(response)),
            None if before().all(|segment| segment.from == Side::Client) => {
                format!("{} without an answer", duration(length_ns))
            }
            None => format!("{} idle", duration(length_ns)),
        }
    }

    /// Words beside the instant at which segment `index` leaves or arrives; empty where it speaks for itself.
    pub fn words(&self, index: usize, end: End) -> Vec<Line> {
        let segment = &self.trace.segments[index];
        let mut lines = match (self.incident, segment.role, end) {
            (Some(incident), Some(role), _) if self.index(role) == Some(index) => {
                self.told(incident, segment, role, end)
            }
            (None, _, End::Sent) => plain(&segment.meaning),
            _ => Vec::new(),
        };
        if self.outcome_at() == Some((index, end)) {
            lines.extend(self.outcome_lines(segment));
        }
        lines
    }

    /// The words of a segment that is evidence.
    fn told(&self, incident: &Incident, segment: &Segment, role: Role, end: End) -> Vec<Line> {
        use Cause::{AnnouncedClose, CrossedFin, DiscardedRequest, StaleReuse, UnreadRequest};
        let race = matches!(incident.cause, CrossedFin | DiscardedRequest | StaleReuse | UnreadRequest)
            || incident.cause == AnnouncedClose;
        match (role, end) {
            (Role::PreviousResponse, End::Sent) if incident.cause == AnnouncedClose => {
                plain("the last answer: the connection is to close")
            }
            (Role::PreviousResponse, End::Sent) if race => plain("last byte of the response; idle starts"),
            (Role::Fin, End::Sent) if race => self.closing(segment),
            (Role::Fin, End::Received) if race && self.trace.clocks == Clocks::Both => {
                self.closing_noticed(segment)
            }
            (Role::FinAck, End::Sent) if incident.cause == StaleReuse => {
                plain("its kernel acknowledges the FIN")
            }
            // RunReport beside the request already.
            (Role::RequestAck, End::Sent) if race => Vec::new(),
            (Role::FinAck, _) => Vec::new(),
            (Role::Request, End::Sent) if race => self.sending(incident, segment),
            (Role::Request, End::Received) => self.arriving(incident),
            (Role::RequestAck, End::Received) if incident.cause == DiscardedRequest => {
                plain("acknowledged, yet never answered")
            }
            (Role::Reset, End::Sent) => self.resetting(incident, segment),
            (Role::Request, End::Sent) => {
                vec![strong(Tone::Request, format!("{} is sent", subject(segment)))]
            }
            (_, End::Sent) => plain(&segment.meaning),
            (_, End::Received) => Vec::new(),
        }
    }

    /// The server closes.
    fn closing(&self, fin: &Segment) -> Vec<Line> {
        let idle = self.segment(Role::PreviousResponse).map(|last| fin.sent_ns.saturating_sub(last.sent_ns));
        let words = match idle {
            Some(idle) if idle < SHORTEST_IDLE_NS => "closes right after the response: FIN".to_owned(),
            Some(idle) => format!("closes after {} idle: sends FIN", duration(idle)),
            None => "closes: sends FIN".to_owned(),
        };
        vec![strong(Tone::Fin, words), mono(format!("FIN has number {}", fin_number(fin)))]
    }

    /// The FIN reaches the client.
    fn closing_noticed(&self, fin: &Segment) -> Vec<Line> {
        let sent = self.segment(Role::Request).map(|request| request.sent_ns);
        match (fin.received_ns, sent) {
            (Some(received), Some(sent)) if received >= sent => {
                plain(&format!("FIN arrives: the request left {} before", duration(received - sent)))
            }
            _ => vec![strong(Tone::Fin, "FIN arrives: the connection is over".to_owned())],
        }
    }

    /// The client sends the request that will be lost.
    fn sending(&self, incident: &Incident, request: &Segment) -> Vec<Line> {
        let mut lines = Vec::new();
        let stale = incident.ack_covers_fin == Some(true);
        let fin = self.segment(Role::Fin);
        match fin.and_then(|fin| fin.received_ns).map(|received| request.sent_ns.saturating_sub(received)) {
            Some(gap) if stale => lines.extend(plain(&format!("{} after the FIN arrived:", duration(gap)))),
            _ if stale => lines.extend(plain("its kernel already has the FIN:")),
            _ if incident.cause == Cause::AnnouncedClose => {
                lines.extend(plain("the close had been announced:"))
            }
            _ if incident.first_request && incident.idle_ns.is_none() => {
                lines.extend(plain("the first request on this connection:"));
            }
            _ => lines.extend(plain("the connection still looks open:")),
        }
        let manner = if stale || incident.cause == Cause::AnnouncedClose {
            "is sent all the same"
        } else {
            "is sent on it"
        };
        lines.push(strong(Tone::Request, format!("{} {manner}", subject(request))));
        if let (Some(ack), Some(fin)) = (request.ack, fin) {
            let number = fin_number(fin);
            lines.push(mono(match stale {
                true => format!("ack {ack}: has received {number}, the FIN"),
                false => format!("ack {ack}: has not seen FIN {number}"),
            }));
        }
        lines
    }

    /// The request reaches the server.
    fn arriving(&self, incident: &Incident) -> Vec<Line> {
        match incident.cause {
            Cause::UnreadRequest => plain("its kernel takes the request into the buffer"),
            Cause::DiscardedRequest => vec![
                strong(Tone::Reset, "half closed: the kernel still acknowledges".to_owned()),
                (Face::Plain, Tone::Ink, "but nobody reads: no answer, no RST".to_owned()),
            ],
            // With two clocks the answer leaves at once: its words belong to this dot.
            _ if self.trace.clocks == Clocks::Both => match self.segment(Role::Reset) {
                Some(reset) if reset.from == Side::Server && reset.ack.is_none() => {
                    self.refusal(incident, reset)
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// The server resets.
    fn resetting(&self, incident: &Incident, reset: &Segment) -> Vec<Line> {
        if reset.from == Side::Client {
            return plain(&reset.meaning);
        }
        let answered_on_arrival =
            self.trace.clocks == Clocks::Both && reset.ack.is_none() && self.segment(Role::Request).is_some();
        if answered_on_arrival && incident.cause != Cause::UnreadRequest {
            Vec::new()
        } else {
            self.refusal(incident, reset)
        }
    }

    /// Who answers with RST, and what that says about the application.
    fn refusal(&self, incident: &Incident, reset: &Segment) -> Vec<Line> {
        let (what, application) = match (incident.cause, reset.ack) {
            (Cause::CrossedFin | Cause::StaleReuse | Cause::AnnouncedClose, None) => {
                ("no socket any more: the kernel answers RST", "never saw the request")
            }
            (Cause::CrossedFin | Cause::StaleReuse, Some(_)) => {
                ("closes at once: RST, ACK", "never saw the request")
            }
            (Cause::UnreadRequest, _) => {
                ("closes with the request unread: RST, ACK", "never read the request")
            }
            (Cause::ResetIdle, _) => ("resets the idle connection", "never saw the request"),
            _ => return vec![strong(Tone::Reset, reset.meaning.clone())],
        };
        let mut lines = vec![strong(Tone::Reset, what.to_owned())];
        if incident.retry_safe == RetrySafe::Yes {
            lines.extend(plain(&format!("the application {application}")));
        }
        lines
    }

    /// The instant at which the client learns that there will be no answer.
    fn outcome_at(&self) -> Option<(usize, End)> {
        let incident = self.incident?;
        let roles = match incident.cause {
            Cause::DiscardedRequest => [Role::RequestAck, Role::Fin],
            _ => [Role::Reset, Role::Fin],
        };
        roles
            .iter()
            .filter_map(|&role| self.index(role))
            .find(|&index| self.trace.segments[index].from == Side::Server)
            .map(|index| (index, End::Received))
    }

    /// What the client learns and the user sees.
    fn outcome_lines(&self, segment: &Segment) -> Vec<Line> {
        let retried = self.incident.is_some_and(|incident| incident.retried == Retried::Yes);
        let mut lines = Vec::new();
        if segment.kind == SegmentKind::Reset {
            lines.extend(plain(match self.cause() {
                Some(Cause::Refused) => "RST arrives: no connection",
                Some(Cause::TruncatedResponse) => "RST arrives: the rest is lost",
                Some(Cause::ResponseReset) => "RST arrives: the response may be erased",
                _ => "RST arrives: the request is lost",
            }));
        }
        if retried {
            lines.extend(plain("sent again on another connection"));
        }
        let tone = if retried { Tone::Response } else { Tone::Reset };
        lines.extend(self.outcome.user_saw.as_ref().map(|saw| strong(tone, format!("{saw} to the user"))));
        lines
    }

    /// The median time between the two ends.
    fn typical_flight_ns(&self) -> Option<i64> {
        let mut flights: Vec<i64> = self
            .trace
            .segments
            .iter()
            .filter_map(|segment| Some(segment.received_ns?.saturating_sub(segment.sent_ns)))
            .filter(|&flight| flight >= 0 && self.trace.clocks == Clocks::Both)
            .collect();
        flights.sort_unstable();
        flights.get(flights.len() / 2).copied()
    }

    /// Names of both ends.
    fn names(&self) -> [&'a str; 2] {
        [&self.trace.lanes[0].name, &self.trace.lanes[1].name]
    }

    /// Name of one end.
    pub fn name(&self, side: Side) -> &'a str {
        self.names()[lane(side)]
    }
}

/// Below, a close belongs to the response before it and no idle timer has run.
const SHORTEST_IDLE_NS: i64 = 10_000_000;

/// Index of a side's lane: the client is drawn left.
pub const fn lane(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}

/// The sequence number that the FIN itself occupies (RFC 9293 section 3.4): behind any payload it carries.
fn fin_number(fin: &Segment) -> u32 {
    fin.seq.wrapping_add(fin.len)
}

/// A request as the subject of a sentence: its request line where it has one.
fn subject(segment: &Segment) -> &str {
    if segment.label.contains(" /") || segment.label.contains(" *") { &segment.label } else { "the request" }
}

/// Whether a segment holds nothing but HTTP/2 frames that manage the connection (RFC 9113 section 6) and ask for nothing.
fn manages(segment: &Segment) -> bool {
    const FRAMES: [&str; 4] = ["SETTINGS", "WINDOW_UPDATE", "PING", "PRIORITY"];
    segment.label.split(" + ").all(|name| FRAMES.iter().any(|frame| name.starts_with(frame)))
}

fn plain(words: &str) -> Vec<Line> {
    if words.is_empty() { Vec::new() } else { vec![(Face::Plain, Tone::Ink, words.to_owned())] }
}

fn strong(tone: Tone, words: String) -> Line {
    (Face::Strong, tone, words)
}

fn mono(words: String) -> Line {
    (Face::Mono, Tone::Muted, words)
}
