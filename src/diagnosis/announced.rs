//! What the server had said of the connection's future before a request was lost on it.

use crate::connection::Exchange;
use crate::report::{Announced, Cause, Confidence, RetrySafe};

use super::{Case, Finding, RACE_GAP_NS, duration};

/// Whether the client had received the whole response before, and the announcement in it, when it sent the request; a
/// request that was pipelined had not.
fn had_received_it(case: &Case<'_>) -> bool {
    let previous = case.connection.previous_response;
    let in_order = !case.connection.exchanges.iter().take(case.index).any(Exchange::answered);
    in_order && previous.is_some_and(|previous| !previous.seq.after(case.exchange.request.ack))
}

/// What the response before the request had announced; none where that could not be read.
pub(super) fn announcement(case: &Case<'_>) -> Option<Announced> {
    let connection = case.connection;
    let said = connection.announced.filter(|_| case.exchange.is_request)?;
    Some(Announced {
        close: said.closes().is_some(),
        timeout_ns: connection.announced_timeout_ns(),
        max_requests: said.max_requests().map(u32::from),
        overdue: connection.is_overdue(case.exchange.idle_ns()),
    })
}

/// `announced-close`, whatever became of the request:
/// 1. the last response said that the connection ends with it (`Connection: close`, HTTP/1.0 without keep-alive,
///    `Keep-Alive: max=0`), or the client itself had said so with the request before;
/// 2. the request acknowledges all of that response: its sender had received it. (A pipelined request that crossed it does
///    not, and keeps its cause.)
/// 3. there is no response.
///
/// RFC 9112 section 9.6: a client must not send a request on such a connection, and a server must not process one.
/// Within [`RACE_GAP_NS`] of the response's arrival a client that pipelines may not have read it yet.
pub(super) fn announced_close(case: &Case<'_>, finding: Finding) -> Finding {
    let unanswered = !matches!(
        finding.cause,
        Cause::TruncatedResponse
            | Cause::ClientAbort
            | Cause::ResponseReset
            | Cause::UnsolicitedResponse
            | Cause::Goaway
    );
    let connection = case.connection;
    let Some((said, word)) = connection.announced.and_then(|said| Some((said, said.closes()?))) else {
        return finding;
    };
    if !case.exchange.is_request || connection.is_upgraded() || !unanswered || !had_received_it(case) {
        return finding;
    }
    let known_for_ns = connection
        .previous_response
        .zip(connection.trip_to_client_ns())
        .map(|(last, trip)| (case.exchange.request.time_ns - last.at.time_ns - trip).max(0));
    let mut told = Finding { cause: Cause::AnnouncedClose, ..finding };
    let whole = match said.is_said_by_client() {
        false => format!("the response before says `{word}`: the connection ends with it"),
        true => format!("the client's own request before says `{word}`: the connection ends with its answer"),
    };
    told.evidence.insert(0, whole);
    let received = "the request acknowledges all of that response";
    let enough_time = known_for_ns.is_some_and(|ns| ns > RACE_GAP_NS);
    told.evidence.insert(
        1,
        match known_for_ns {
            Some(ns) => format!("{received}: its sender had it for {}", duration(ns)),
            None => format!("{received}: its sender had it"),
        },
    );
    if !enough_time {
        told.counter_evidence
            .push("a client that pipelines may have sent it before it read the announcement".into());
    }
    // This one is counted, too.
    let served_against = connection.used_after_close() > 1;
    if served_against {
        told.counter_evidence
            .push("requests after such an announcement had been answered here before".into());
    }
    if !enough_time || served_against || told.confidence != Confidence::Certain {
        told.confidence = Confidence::Likely;
    }
    if told.retry_safe == RetrySafe::No {
        // It must not be processed; whether the server keeps to that, packets cannot tell.
        told.retry_safe = RetrySafe::Unknown;
    }
    told
}
