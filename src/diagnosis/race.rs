//! The keep-alive race in its four forms.

use crate::connection::is_passive_reset;
use crate::report::{Cause, Confidence, RetrySafe, Role};

use super::timers::ServerTimers;
use super::{Case, Finding, RACE_GAP_NS, duration, relative};

/// Longest time between the kernel's acknowledgement of a request and the RST of a process that closed without
/// reading it: longer than any turn of an event loop, shorter than most work that fails. Both segments come from the
/// server, so the time is the same at every capture point.
pub(super) const UNREAD_WINDOW_NS: i64 = 100_000_000;

/// `crossed-fin`:
/// 1. the server sent a FIN;
/// 2. the FIN acknowledges no byte of the request: its sender had not received any;
/// 3. the request does not acknowledge the FIN: its sender had not received that either, so they crossed in flight;
/// 4. there is no response.
///
/// The server's kernel answers data for a closed socket with RST (RFC 9293 section 3.10.7.1, RFC 1122 section
/// 4.2.2.13). Without that RST in the capture the crossing is still proven, the outcome only likely.
pub(super) fn crossed_fin(case: &Case<'_>) -> Option<Finding> {
    let (fin, fin_seq) = (case.server.fin()?, case.server.fin_seq()?);
    if !case.fin_left_before_request_arrived() || case.ack_covers_fin()? {
        return None;
    }
    let answered_by_reset = case.refused_by_reset();
    let confidence = if answered_by_reset { Confidence::Certain } else { Confidence::Likely };
    let mut finding = case.finding(Cause::CrossedFin, confidence, RetrySafe::Yes);
    finding.evidence.push(format!(
        "the request acknowledges {}, the FIN is number {}: its sender had not received the FIN (crossed in flight)",
        relative(case.server, case.exchange.request.ack),
        relative(case.server, fin_seq),
    ));
    finding.evidence.push(format!(
        "the FIN acknowledges {}, the request begins at {}: the server had received nothing of it",
        relative(case.client, fin.ack),
        relative(case.client, case.exchange.start),
    ));
    match case.server.rst() {
        Some(reset) if is_passive_reset(reset.flags) && reset.seq == case.exchange.request.ack => finding.evidence.push(
            "the RST carries the request's own acknowledgement number and no ACK flag: a kernel without a socket".into(),
        ),
        Some(_) if answered_by_reset => finding.evidence.push("the server answered with RST".into()),
        Some(_) => finding.counter_evidence.push("the server’s RST acknowledges the client’s own FIN: it may answer only that".into()),
        None => finding.counter_evidence.push("the server's answer to the request is not in the capture".into()),
    }
    finding.counter_evidence.push("no byte of a response follows".into());
    Some(finding)
}

/// `discarded-request`:
/// 1. to 3. as [`crossed_fin`];
/// 4. the server acknowledges bytes of the request after its FIN: its socket still reads (half-closed);
/// 5. there is no response, and none can come: the FIN ended the server's stream (RFC 9293 section 3.6).
///
/// Apache's lingering close does this (measured); a search for RST misses it.
pub(super) fn discarded_request(case: &Case<'_>) -> Option<Finding> {
    case.server.fin()?;
    let acked = case.exchange.acked?;
    if !case.fin_left_before_request_arrived() || case.ack_covers_fin()? {
        return None;
    }
    let mut finding = case.finding(Cause::DiscardedRequest, Confidence::Certain, RetrySafe::Unknown);
    finding.evidence.push(format!(
        "the request acknowledges {}, the FIN is number {}: they crossed in flight",
        relative(case.server, case.exchange.request.ack),
        case.server.fin_seq().map_or(0, |seq| relative(case.server, seq)),
    ));
    finding.evidence.push(format!(
        "the server acknowledged the request (frame {}) after it had ended its own stream: it read and discarded it",
        acked.frame()
    ));
    finding.counter_evidence.push("no RST at that moment: a search for RST does not find this".into());
    Some(finding)
}

/// `stale-reuse`:
/// 1. the server sent a FIN;
/// 2. the request acknowledges it: the sender's kernel already held the FIN when the request was sent;
/// 3. there is no response.
///
/// Below [`RACE_GAP_NS`] between the client's acknowledgement of the FIN and the request, the application had no
/// chance to notice: the race, seen one hop later. Far above, the client's pool ignores a readable FIN.
pub(super) fn stale_reuse(case: &Case<'_>) -> Option<Finding> {
    let fin_seq = case.server.fin_seq()?;
    if !case.ack_covers_fin()? || !case.fin_left_before_request_arrived() {
        return None;
    }
    let discarded = case.exchange.acked.is_some() && !case.refused_by_reset();
    let retry_safe = if discarded { RetrySafe::Unknown } else { RetrySafe::Yes };
    let mut finding = case.finding(Cause::StaleReuse, Confidence::Certain, retry_safe);
    finding.evidence.push(format!(
        "the request acknowledges {}, the FIN is number {}: its sender's kernel already held the FIN",
        relative(case.server, case.exchange.request.ack),
        relative(case.server, fin_seq),
    ));
    let gap = finding.stale_for_ns.unwrap_or(0);
    finding.evidence.push(if gap <= RACE_GAP_NS {
        "it left within a few milliseconds of the FIN's arrival: the application had no chance to notice"
            .into()
    } else {
        format!("the client had known of the FIN for {} and still used the connection", duration(gap))
    });
    if discarded {
        finding.evidence.push("the server acknowledged and discarded it: its socket was half-closed".into());
    } else if !case.refused_by_reset() {
        finding.confidence = Confidence::Likely;
        finding.counter_evidence.push("the server's answer to the request is not in the capture".into());
    }
    finding.counter_evidence.push("no byte of a response follows".into());
    Some(finding)
}

/// `unread-request`:
/// 1. the server sent a RST with the ACK flag (an active reset) and no FIN;
/// 2. the RST acknowledges bytes of the request: the server's kernel had taken it;
/// 3. no more than [`UNREAD_WINDOW_NS`] passed between that kernel's own acknowledgement and the RST;
/// 4. there is no response.
///
/// Linux sends RST instead of FIN when a process closes a socket with unread data (RFC 2525 section 2.17, measured).
pub(super) fn unread_request(case: &Case<'_>) -> Option<Finding> {
    let reset = case.server.rst()?;
    if case.server.fin().is_some() || is_passive_reset(reset.flags) || !reset.ack.after(case.exchange.start) {
        return None;
    }
    let held_ns = case.exchange.acked.map_or(0, |acked| reset.time_ns - acked.time_ns);
    if held_ns > UNREAD_WINDOW_NS {
        return None;
    }
    let confidence = if held_ns <= UNREAD_WINDOW_NS / 10 { Confidence::Certain } else { Confidence::Likely };
    let mut finding = case.finding(Cause::UnreadRequest, confidence, RetrySafe::Yes);
    finding.evidence.push(format!(
        "the RST acknowledges {}, the request begins at {}: the server's kernel had taken it",
        relative(case.client, reset.ack),
        relative(case.client, case.exchange.start),
    ));
    finding
        .evidence
        .push("RST with ACK and no FIN: the process closed the socket with the request unread".into());
    if case.exchange.bytes() > case.exchange.request.len {
        // With several segments, the process may have read the first ones.
        finding.retry_safe = RetrySafe::Unknown;
    }
    finding.counter_evidence.push("no FIN of the server, and no byte of a response".into());
    Some(finding)
}

/// `discarded-request`, of a request that arrived just before the FIN; told by the server's timer, so only once all of its
/// connections are known:
/// 1. the server's FIN acknowledges the request, and is the first to do so or comes within 10 ms
///    of the kernel's own acknowledgement;
/// 2. the connection had been idle for as long as the server lets others be: it closed because of that;
/// 3. there is no RST: it closed in two steps, as Apache httpd does, and threw away what it read in between.
///
/// Without the second this is `died-mid-request`: a server that reads a request and hangs up (nginx `return 444`) looks the
/// same.
pub fn discarded_by_timer(finding: &mut Finding, timers: &ServerTimers) -> bool {
    let marks = [Role::PreviousResponse, Role::RequestAck, Role::Fin].map(|role| finding.moment(role));
    let [Some(answered), Some(acked), Some(fin)] = marks else { return false };
    let Some(timer_ns) = timers.server_close.timer_ns() else { return false };
    let idle_ns = fin.time_ns.saturating_sub(answered.time_ns);
    let by_timer = (idle_ns - timer_ns).abs() <= timer_ns / 50;
    let at_once = fin.time_ns.saturating_sub(acked.time_ns) <= UNREAD_WINDOW_NS / 10;
    if finding.cause != Cause::DiedMidRequest
        || finding.moment(Role::Reset).is_some()
        || !by_timer
        || !at_once
    {
        return false;
    }
    finding.cause = Cause::DiscardedRequest;
    finding.confidence = Confidence::Likely;
    finding.retry_safe = RetrySafe::Unknown;
    finding.evidence = vec![
        format!(
            "the server closed after {} idle, as it does with idle connections ({}): its timer, not the request, made it close",
            duration(idle_ns),
            duration(timer_ns)
        ),
        match fin.time_ns.saturating_sub(acked.time_ns) {
            0 => "the FIN is the first to acknowledge the request: it arrived when the close was decided"
                .into(),
            held_ns => format!(
                "its kernel had acknowledged the request {} before the FIN: it arrived when the close was decided",
                duration(held_ns)
            ),
        },
    ];
    finding.counter_evidence =
        vec!["no byte of a response, and no RST: a search for RST does not find this".into()];
    true
}
