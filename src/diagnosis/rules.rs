//! The other ways a request dies: look-alikes of the race, each with a name of its own.

use crate::connection::{Connection, Protocol, is_passive_reset};
use crate::report::{Cause, Confidence, RetrySafe, Role, Side};

use super::race::UNREAD_WINDOW_NS;
use super::{Case, Finding, Place, duration, relative};

/// SYN retransmissions without any answer that make a failed connect: Linux sends them after 1, 3 and 7 s.
const CONNECT_RETRANSMISSIONS: u32 = 2;
/// A client that closes sooner after its request did not wait for the answer; nobody configures a shorter timeout.
pub(super) const SHORTEST_WAIT_NS: i64 = 100_000_000;

/// `refused` and `connect-timeout`:
/// 1. the client's SYN was captured and no SYN of the server;
/// 2. the server answered it with RST (RFC 9293 section 3.10.7.1), or
/// 3. nothing came back and the SYN was sent at least three times.
pub(super) fn never_opened(connection: &Connection) -> Option<Finding> {
    let (client, server) = (connection.half(Side::Client), connection.half(Side::Server));
    let syn = client.syn().filter(|_| server.syn().is_none() && client.bytes == 0)?;
    let mut finding = Finding {
        cause: Cause::Refused,
        confidence: Confidence::Certain,
        exchange: None,
        requests_before: 0,
        place: Place::First,
        frames: vec![(Role::Syn, syn.into())],
        idle_ns: None,
        idle_at_least_ns: None,
        packets_missing: false,
        announced: None,
        ack_covers_fin: None,
        stale_for_ns: None,
        evidence: Vec::new(),
        counter_evidence: Vec::new(),
        retry_safe: RetrySafe::Yes,
        silence_ns: None,
        path_loss: None,
        from_stranger: false,
    };
    match server.rst() {
        Some(reset) if reset.ack == syn.seq.plus(1) => {
            finding.frames.push((Role::Reset, reset.into()));
            finding.evidence.push("the SYN was answered by RST: nothing listens on that port".into());
            Some(finding)
        }
        None if !server.seen() && client.syn_repeats() >= CONNECT_RETRANSMISSIONS => {
            finding.cause = Cause::ConnectTimeout;
            finding.confidence = Confidence::Likely;
            finding
                .evidence
                .push(format!("the SYN was sent {} times and never answered", client.syn_repeats() + 1));
            Some(finding)
        }
        _ => None,
    }
}

/// `goaway`:
/// 1. the server sent GOAWAY on an HTTP/2 connection;
/// 2. the request is on a stream above the last one that it accepts.
///
/// By protocol such a request was not processed and may be sent again (RFC 9113 section 6.8).
pub(super) fn goaway(case: &Case<'_>) -> Option<Finding> {
    let (announced, last) = case.connection.goaway()?;
    if case.exchange.http2_stream <= last {
        return None;
    }
    let mut finding = case.finding(Cause::Goaway, Confidence::Certain, RetrySafe::Yes);
    finding.frames.push((Role::Goaway, announced.into()));
    finding.evidence.push(format!(
        "GOAWAY (frame {}) accepts streams up to {last}, the request is on stream {}",
        announced.frame, case.exchange.http2_stream
    ));
    finding.counter_evidence.push("no response on that stream".into());
    Some(finding)
}

/// `unsolicited-response`:
/// 1. the server sent a response while no request was outstanding (a 408, say);
/// 2. the request does not acknowledge it: they crossed;
/// 3. the server closed.
pub(super) fn unsolicited_response(case: &Case<'_>) -> Option<Finding> {
    let (response, status) = case.connection.unsolicited()?;
    let crossed = !case.exchange.request.ack.after(response.seq) && !response.ack.after(case.exchange.start);
    if !crossed || !case.server.has_ended() {
        return None;
    }
    let mut finding = case.finding(Cause::UnsolicitedResponse, Confidence::Certain, RetrySafe::Yes);
    finding.frames.push((Role::Response, response.into()));
    let name = status.map_or("a response".to_owned(), |status| format!("a {status} response"));
    finding.evidence.push(format!(
        "the server sent {name} that nobody had asked for (frame {}), then closed",
        response.frame
    ));
    finding.evidence.push(
        "the request does not acknowledge it: they crossed, and the client may take it as its answer".into(),
    );
    Some(finding)
}

/// `died-mid-request` with FIN:
/// 1. the server's FIN acknowledges bytes of the request;
/// 2. there is no response.
///
/// A close with unread data would have been a RST, so the process had read what had arrived: it worked on it.
pub(super) fn died_mid_request_with_fin(case: &Case<'_>) -> Option<Finding> {
    let fin = case.server.fin().filter(|fin| fin.ack.after(case.exchange.start))?;
    if case.connection.closed_first() == Some(Side::Client) {
        return None;
    }
    let mut finding = case.finding(Cause::DiedMidRequest, Confidence::Certain, RetrySafe::No);
    finding.evidence.push(format!(
        "the server's FIN acknowledges {} and the request begins at {}: the server had it and closed without answering",
        relative(case.client, fin.ack),
        relative(case.client, case.exchange.start),
    ));
    finding.counter_evidence.push(
        "no byte of a response; the FIN was sent after the request arrived, so it is not the race".into(),
    );
    Some(finding)
}

/// `died-mid-request` of a request that came in parts:
/// 1. what the client sent follows at once on a request that the server had answered before it had all of it, or with what
///    may have been an interim response (100 Continue), and nobody can read which;
/// 2. the server's FIN acknowledges nothing of it.
///
/// So it is rather the rest of that request than the next one, which would have come after a pause.
pub(super) fn died_before_the_rest(case: &Case<'_>) -> Option<Finding> {
    let exchange = case.exchange;
    let fin = case.server.fin().filter(|fin| exchange.continues && !fin.ack.after(exchange.start))?;
    let mut finding = case.finding(Cause::DiedMidRequest, Confidence::Likely, RetrySafe::No);
    finding.evidence.push(format!(
        "the client was still sending when the server closed: the FIN acknowledges {}, and the request goes on from {}",
        relative(case.client, fin.ack),
        relative(case.client, exchange.start),
    ));
    finding.counter_evidence.push(
        "the server had sent something before it had the whole request; whether that was its answer cannot be read".into(),
    );
    Some(finding)
}

/// `died-mid-request` with RST:
/// 1. the server sent a RST and no FIN, after its kernel had acknowledged bytes of the request;
/// 2. an active RST acknowledges them, too, and came more than [`UNREAD_WINDOW_NS`] later: the process was at work, not about
///    to close. One that acknowledges nothing does not tell what was read.
pub(super) fn died_mid_request_with_reset(case: &Case<'_>) -> Option<Finding> {
    let reset = case.server.rst().filter(|_| case.server.fin().is_none())?;
    let acked = case.exchange.acked?;
    let worked_on = match is_passive_reset(reset.flags) {
        true => reset.time_ns >= acked.time_ns,
        false => reset.ack.after(case.exchange.start) && reset.time_ns - acked.time_ns > UNREAD_WINDOW_NS,
    };
    if !worked_on {
        return None;
    }
    let mut finding = case.finding(Cause::DiedMidRequest, Confidence::Likely, RetrySafe::No);
    finding.evidence.push(format!(
        "the server acknowledged the request, and reset the connection {} later without a byte of response",
        duration(reset.time_ns - acked.time_ns)
    ));
    Some(finding)
}

/// `stale-reuse` whose FIN the capture missed:
/// 1. a kernel without a socket answered RST, and no FIN was captured;
/// 2. the request acknowledges exactly one number more than the server's last byte: only a FIN takes that number.
pub(super) fn fin_missed_by_capture(case: &Case<'_>) -> Option<Finding> {
    case.server.rst().filter(|reset| is_passive_reset(reset.flags) && case.server.fin().is_none())?;
    if case.server.bytes == 0 || case.exchange.request.ack != case.server.next.plus(1) {
        return None;
    }
    let mut finding = case.finding(Cause::StaleReuse, Confidence::Likely, RetrySafe::Yes);
    finding.evidence.push(
        "the request acknowledges one number more than the server's last byte: the server's FIN, which the capture missed"
            .into(),
    );
    Some(finding)
}

/// `proxy-timeout`:
/// 1. the client closed or reset first, while its request was unanswered;
/// 2. it had waited for at least [`SHORTEST_WAIT_NS`]. (One that closes at once did not want the answer: no incident.)
pub(super) fn client_gave_up(case: &Case<'_>) -> Option<Finding> {
    let close = case
        .client
        .fin()
        .or(case.client.rst())
        .filter(|_| case.connection.closed_first() == Some(Side::Client))?;
    let waited = close.time_ns - case.exchange.request.time_ns;
    if waited < SHORTEST_WAIT_NS {
        return None;
    }
    let encrypted = case.connection.protocol == Protocol::Tls;
    let is_certain = case.exchange.acked.is_some() && !encrypted;
    let confidence = if is_certain { Confidence::Certain } else { Confidence::Likely };
    let mut finding = case.finding(Cause::ProxyTimeout, confidence, RetrySafe::No);
    finding
        .evidence
        .push(format!("the client closed first, after waiting {} for a response", duration(waited)));
    if encrypted {
        finding.evidence.push("inside TLS: whether these bytes expect an answer cannot be told".into());
    }
    if case.exchange.acked.is_none() {
        finding.evidence.push("the server never acknowledged the request: it may not have arrived".into());
    }
    finding.counter_evidence.push("the server had not closed: it is not the race".into());
    if let Some(reset) = case.reset().filter(|_| case.client.fin().is_some()) {
        let after = reset.mark.time_ns - close.time_ns;
        finding.counter_evidence.push(format!(
            "the RST (frame {}) came {} after the client had closed: it took no part",
            reset.mark.frame,
            duration(after.max(0))
        ));
        finding.counter_evidence.extend(case.evidence_of(case.sender_of(reset)));
    }
    Some(finding)
}

/// `unknown`: the server closed, the request has no response, and no rule above explains it. Never a guess.
pub(super) fn unexplained(case: &Case<'_>) -> Option<Finding> {
    let server_ended = case.server.has_ended();
    if !server_ended || case.connection.closed_first() == Some(Side::Client) {
        return None;
    }
    let mut finding = case.finding(Cause::Unknown, Confidence::Inconclusive, RetrySafe::Unknown);
    finding
        .evidence
        .push(format!("{} has no response in this capture, and no rule explains why", case.label()));
    Some(finding)
}

/// `truncated-response`:
/// 1. HTTP framing says that the response began and is not complete;
/// 2. the server closed or reset first.
pub(super) fn truncated_response(case: &Case<'_>) -> Option<Finding> {
    if case.index > 0 || case.connection.response_is_whole() != Some(false) || !server_ended_first(case) {
        return None;
    }
    let mut finding = case.finding(Cause::TruncatedResponse, Confidence::Certain, RetrySafe::No);
    finding
        .evidence
        .push("the server closed before the end that the response's own headers announced".into());
    Some(finding)
}

/// `client-abort` while a response is under way:
/// 1. HTTP framing says that the response began and is not complete;
/// 2. the client closed or reset first.
pub(super) fn aborted_response(case: &Case<'_>) -> Option<Finding> {
    if case.index > 0
        || case.connection.response_is_whole() != Some(false)
        || case.connection.closed_first() != Some(Side::Client)
    {
        return None;
    }
    let mut finding = case.finding(Cause::ClientAbort, Confidence::Certain, RetrySafe::No);
    finding.evidence.push("the client closed while the response was still under way".into());
    Some(finding)
}

/// `response-reset`:
/// 1. HTTP framing says that the response is complete and the request is not: the server answered without reading all of
///    the body;
/// 2. the server sent RST, which makes the client's kernel drop what its process has not read yet.
///
/// RFC 9112 section 9.6 describes it and the two-step close that avoids it.
pub(super) fn response_reset(case: &Case<'_>) -> Option<Finding> {
    let exchange = case.exchange;
    case.server.rst().filter(|_| exchange.response_complete && !exchange.complete)?;
    let mut finding = case.finding(Cause::ResponseReset, Confidence::Likely, RetrySafe::No);
    let status =
        exchange.status.map_or("a response".to_owned(), |status| format!("a complete {status} response"));
    finding.evidence.push(format!("the server sent {status} before it had the whole request"));
    finding.evidence.push("the RST behind it erases what the client has not read yet".into());
    finding.counter_evidence.push("whether the client read the response in time, packets cannot tell".into());
    Some(finding)
}

fn server_ended_first(case: &Case<'_>) -> bool {
    case.connection.closed_first() == Some(Side::Server)
}
