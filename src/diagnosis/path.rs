//! Requests that were lost on their way: to something that forgot the connection, refused it or dropped its packets, or to a
//! RST that was on its way already.

use crate::connection::{REORDERED_NS, Reset, is_passive_reset};
use crate::report::{Cause, Confidence, PathLoss, RetrySafe, Role, Side};

use super::sender::Sender;
use super::{Case, Finding, duration, relative};

/// Retransmissions that make a silence a loss: two are common on a lossy path, three with doubling gaps are not.
const SILENT_RETRANSMISSIONS: u32 = 3;
/// No table forgets a connection sooner: the shortest timers that are known can be set to a minute, and one of a few seconds
/// would break every kept connection.
pub(super) const SHORTEST_MEMORY_NS: i64 = 10_000_000_000;

/// `state-lost`, told by the IP layer:
/// 1. a RST without any FIN answers the request;
/// 2. its time to live is not that of the server's other packets, so that somebody in the path sent it (a hint only: some
///    systems send a RST with another time to live than data).
///
/// If it also came in less than half of the least round trip, and crossed fewer routers, that is certain.
pub(super) fn reset_by_stranger(case: &Case<'_>) -> Option<Finding> {
    let reset = case.reset().filter(|_| case.server.fin().is_none())?;
    let sender = case.sender_of(reset);
    if case.came_before_request(reset) || !sender.is_stranger() {
        return None;
    }
    let confidence = if sender.is_nearer_for_sure() { Confidence::Certain } else { Confidence::Likely };
    let mut finding = case.lost_on_path(confidence);
    finding.from_stranger = true;
    finding.evidence.splice(0..0, case.evidence_of(sender));
    finding.counter_evidence.push("no FIN of the server before".into());
    Some(finding)
}

/// `state-lost`, told by the server itself:
/// 1. it went on with new bytes of its answer after a RST that carries its address, so it had not sent that RST;
/// 2. the client's kernel had taken the RST for the server's: it answered those bytes with RST.
pub(super) fn reset_denied_by_server(case: &Case<'_>) -> Option<Finding> {
    let denied = case.server.denied_reset()?;
    let refused = case.client.rst().filter(|reset| is_passive_reset(reset.flags))?;
    let answered_since =
        case.exchange.response_last().is_some_and(|last| last.time_ns >= denied.mark.time_ns);
    if case.came_before_request(denied) || refused.time_ns < denied.mark.time_ns || !answered_since {
        return None;
    }
    let mut finding = case.lost_on_path(Confidence::Certain);
    finding.from_stranger = true;
    finding.frames.retain(|(role, _)| *role != Role::Reset);
    finding.frames.push((Role::Reset, denied.mark.into()));
    finding.evidence.insert(
        0,
        format!(
            "the server went on with its answer after the RST (frame {}), which it cannot have sent, and the client’s kernel \
             refused that answer",
            denied.mark.frame
        ),
    );
    finding.evidence.extend(case.evidence_of(case.sender_of(denied)));
    Some(finding)
}

/// `state-lost`, as the server's side sees it:
/// 1. while the request was unanswered and the server had not closed, a RST arrived that carries the client's address;
/// 2. its time to live is not that of the client's other packets: somebody in the path sent it.
pub(super) fn reset_in_clients_name(case: &Case<'_>) -> Option<Finding> {
    let reset = case.client.reset().filter(|_| case.client.fin().is_none() && !case.server.has_ended())?;
    if !case.client_reset_is_strangers() || case.came_before_request(reset) {
        return None;
    }
    let mut finding = case.lost_on_path(Confidence::Likely);
    finding.from_stranger = true;
    let sender = Sender::of(reset, case.client, 0, None);
    finding.evidence.splice(0..0, sender.evidence("the client", case.connection.endpoint(Side::Client)));
    finding.counter_evidence.push("neither end had closed before".into());
    Some(finding)
}

/// `reset-idle`:
/// 1. the server sent a RST and no FIN;
/// 2. the RST was sent before the request arrived: it acknowledges no byte of it, and no less than the server did otherwise, so
///    that it is the server's own; or, where it acknowledges nothing at all,
///    it passed the capture point before the request did, or came too fast for an answer and another one followed when the
///    answer was due. The server reset an idle connection, and the request crossed the RST or followed it.
pub(super) fn reset_idle(case: &Case<'_>) -> Option<Finding> {
    let reset = case.reset().filter(|_| case.server.fin().is_none())?;
    let sender = case.sender_of(reset);
    let mark = reset.mark;
    let mut finding = if is_passive_reset(mark.flags) {
        let why = case.why_sent_before(reset)?;
        let mut finding = case.finding(Cause::ResetIdle, Confidence::Likely, RetrySafe::Yes);
        finding.evidence.push(why);
        finding
    } else if !mark.ack.after(case.exchange.start)
        && !case.server.acked().is_some_and(|acked| mark.ack.before(acked))
    {
        let mut finding = case.finding(Cause::ResetIdle, Confidence::Certain, RetrySafe::Yes);
        finding.evidence.push(format!(
            "the RST acknowledges {}, the request begins at {}: the connection was reset while idle",
            relative(case.client, mark.ack),
            relative(case.client, case.exchange.start),
        ));
        finding
    } else {
        return None;
    };
    if sender.is_stranger() {
        finding.from_stranger = true;
        finding.evidence.extend(case.evidence_of(sender));
    }
    finding.counter_evidence.push("no FIN of the server, and no acknowledgement of the request".into());
    Some(finding)
}

/// `state-lost`:
/// 1. a kernel without a socket answered RST (no ACK flag, the request's own acknowledgement number);
/// 2. nobody had acknowledged the request;
/// 3. there is no FIN of the server anywhere, and no number missing where one could have been.
///
/// A NAT, a firewall or a load balancer forgot the connection or refused the request, or the server rebooted.
pub(super) fn state_lost(case: &Case<'_>) -> Option<Finding> {
    let reset =
        case.reset().filter(|reset| is_passive_reset(reset.mark.flags) && case.server.fin().is_none())?;
    if reset.mark.seq != case.exchange.request.ack
        || case.exchange.acked.is_some()
        || case.server.packets <= u64::from(case.server.rsts())
    {
        return None;
    }
    let mut finding = case.lost_on_path(Confidence::Likely);
    finding.retry_safe = RetrySafe::Yes;
    finding
        .evidence
        .insert(0, "the peer answered RST as to an unknown connection, and it never sent a FIN".into());
    finding.evidence.extend(case.evidence_of(case.sender_of(reset)));
    finding
        .counter_evidence
        .push("no FIN of the server, and no gap in its sequence numbers that could hide one".into());
    Some(finding)
}

/// `silent-drop`:
/// 1. the request was retransmitted at least three times;
/// 2. the server never acknowledged it and sent nothing more.
pub(super) fn silent_drop(case: &Case<'_>) -> Option<Finding> {
    let exchange = case.exchange;
    if exchange.retransmissions() < SILENT_RETRANSMISSIONS
        || exchange.acked.is_some()
        || case.server.rst().is_some()
    {
        return None;
    }
    let mut finding = case.finding(Cause::SilentDrop, Confidence::Likely, RetrySafe::Unknown);
    finding.path_loss = (exchange.silence_ns() >= SHORTEST_MEMORY_NS).then_some(PathLoss::Forgot);
    finding.evidence.push(format!(
        "{} was sent {} times and never acknowledged",
        case.label(),
        exchange.retransmissions() + 1
    ));
    finding.evidence.extend(case.silence());
    finding
        .counter_evidence
        .push("no FIN or RST of the server: something in the path dropped the packets".into());
    Some(finding)
}

impl Case<'_> {
    /// `state-lost`, with what was done to the request.
    fn lost_on_path(&self, confidence: Confidence) -> Finding {
        let loss = match (self.exchange.acked, self.exchange.silence_ns()) {
            (Some(_), _) => PathLoss::Cut,
            (None, SHORTEST_MEMORY_NS..) => PathLoss::Forgot,
            (None, _) => PathLoss::Refused,
        };
        let retry_safe = if loss == PathLoss::Cut { RetrySafe::No } else { RetrySafe::Unknown };
        let mut finding = self.finding(Cause::StateLost, confidence, retry_safe);
        finding.path_loss = Some(loss);
        if loss == PathLoss::Forgot {
            finding.evidence.extend(self.silence());
        }
        finding
    }

    /// How long nothing had passed, where that is long.
    fn silence(&self) -> Option<String> {
        let silence_ns = self.exchange.silence_ns();
        let probed = self.exchange.idle_ns().is_some_and(|idle| silence_ns < idle - idle / 10);
        match self.exchange.idle_ns() {
            _ if silence_ns < SHORTEST_MEMORY_NS => None,
            Some(idle) if probed => Some(format!(
                "the last packet before it, a probe or an acknowledgement, was {} old, the last data {}",
                duration(silence_ns),
                duration(idle)
            )),
            _ => Some(format!("nothing had passed on the connection for {}", duration(silence_ns))),
        }
    }

    /// The server's RST: the first that it did not deny.
    pub(super) fn reset(&self) -> Option<Reset> {
        match self.server.denied_reset() {
            Some(denied) => self.server.last_reset().filter(|last| *last != denied),
            None => self.server.reset(),
        }
    }

    /// Who sent a RST that carries the server's address.
    pub(super) fn sender_of(&self, reset: Reset) -> Sender {
        let answer_ns = reset.mark.time_ns - self.exchange.request.time_ns;
        Sender::of(reset, self.server, answer_ns, self.connection.round_trip_ns())
    }

    /// What tells that sender from the server.
    pub(super) fn evidence_of(&self, sender: Sender) -> Vec<String> {
        sender.evidence("the server", self.connection.endpoint(Side::Server))
    }

    /// A RST passed the capture point before the request did, so that it answers something else.
    pub(super) fn came_before_request(&self, reset: Reset) -> bool {
        self.exchange.request.time_ns - reset.mark.time_ns > REORDERED_NS
    }

    /// Why a RST that acknowledges nothing was sent before the request arrived, if it was.
    fn why_sent_before(&self, reset: Reset) -> Option<String> {
        let before_another = self.connection.exchanges.iter().take(self.index).any(|it| !it.answered());
        if before_another || self.exchange.acked.is_some() {
            return None;
        }
        let request = self.exchange.request;
        if self.came_before_request(reset) {
            return Some(format!(
                "the RST (frame {}) passed here {} before the request: it does not answer it, the connection had been reset \
                 while idle",
                reset.mark.frame,
                duration(request.time_ns - reset.mark.time_ns)
            ));
        }
        let trip_ns = self.connection.round_trip_ns()?;
        let last = self.server.last_reset()?;
        // A quarter for what the measured trip is longer than the least one.
        let due = last.mark.time_ns - request.time_ns >= trip_ns - trip_ns / 4;
        let sender = self.sender_of(reset);
        (sender.is_too_fast() && !sender.is_stranger() && due).then(|| {
            format!(
                "the RST (frame {}) came {} after the request, too soon for an answer, and the answer followed (frame {}): the \
                 first was on its way already, the connection had been reset while idle",
                reset.mark.frame,
                duration(reset.mark.time_ns - request.time_ns),
                last.mark.frame
            )
        })
    }

    /// The client had closed first, and what the server sent later answers that close:
    /// 1. the client sent a FIN, and the server none;
    /// 2. the server's RST, if there is one, acknowledges that FIN; or it acknowledges nothing, and came after the FIN though
    ///    the server had acknowledged the request long before.
    pub(super) fn client_left_first(&self) -> bool {
        let (Some(fin), Some(fin_seq), None) = (self.client.fin(), self.client.fin_seq(), self.server.fin())
        else {
            return false;
        };
        match self.server.rst() {
            None => true,
            Some(reset) if is_passive_reset(reset.flags) => {
                self.exchange.acked.is_some() && reset.time_ns - fin.time_ns > -REORDERED_NS
            }
            Some(reset) => reset.ack.after(fin_seq),
        }
    }

    /// The client's kernel resets in the client's name what a stranger did: the RST that carries the client's address arrived
    /// with a time to live that none of its other packets has.
    pub(super) fn client_reset_is_strangers(&self) -> bool {
        self.client.reset().is_some_and(|reset| self.client.is_strange_ttl(reset.ttl))
    }

    /// The server's RST refuses this request: it does not acknowledge the client's FIN, which would answer that.
    pub(super) fn refused_by_reset(&self) -> bool {
        self.server.rst().is_some_and(|reset| {
            is_passive_reset(reset.flags) || !self.client.fin_seq().is_some_and(|fin| reset.ack.after(fin))
        })
    }
}
