//! Whether a message without an answer is a loss, a goodbye, or more than its bytes can tell.
//!
//! TCP says what became of the bytes, whatever the protocol: taken, refused, or met with silence. What they were for, only
//! the protocol says: see [`Message`](crate::connection::Message). Where neither settles it, the capture cannot tell, and
//! says so.

use crate::connection::{Meaning, Protocol, is_passive_reset};
use crate::report::{Cause, Confidence};

use super::rules::SHORTEST_WAIT_NS;
use super::{Case, Finding};

/// A client's first TLS application record this small is the end of its handshake (a TLS 1.3 Finished of 58 or 74
/// bytes), not a request.
const TLS_FINISHED: u32 = 80;
/// `GET / HTTP/1.1`, an empty Host field and the 22 bytes that TLS 1.3 adds; the control frames of HTTP/2 that say nothing
/// but goodbye are smaller (GOAWAY 39, PING 39, WINDOW_UPDATE 35, SETTINGS 31).
const SMALLEST_TLS_REQUEST: u32 = 26 + 22;
/// The longest goodbye of a protocol that finrace does not know, encrypted ones included: those that it knows take 124 bytes
/// at most (SMB 3, encrypted), and most of them less than 40.
const LONGEST_GOODBYE: u32 = 128;

/// What a finding comes to in the light of what the message may have been.
#[derive(Debug)]
pub(super) enum Weight {
    /// A loss.
    Told(Finding),
    /// A loss or a goodbye: the bytes do not say which.
    Unclear,
    /// Nothing that anybody misses.
    Nothing,
}

/// A message that looks like a request and is only a farewell, so that nothing was lost:
/// 1. the end of a TLS handshake, or anything in a TLS connection whose client offered HTTP/2;
/// 2. bytes on an HTTP connection that are no HTTP request;
/// 3. in other protocols, what is recognised as one;
/// 4. what is short, comes last and is unanswered by nature: see [`is_goodbye_by_nature`].
pub(super) fn is_goodbye(case: &Case<'_>) -> bool {
    let (connection, exchange) = (case.connection, case.exchange);
    if exchange.answered() {
        return false;
    }
    if speaks_otherwise(case) {
        return match exchange.message.meaning {
            Meaning::Farewell => true,
            Meaning::Unknown => is_goodbye_by_nature(case),
            Meaning::OneWay | Meaning::Request => false,
        };
    }
    match connection.protocol {
        // A burst of HTTP/2 inside TLS may be a farewell or a window update: it cannot be judged. Where the ClientHello was
        // cut before its ALPN extension, the size tells.
        Protocol::Tls => {
            connection.offers_http2
                || exchange.bytes() < SMALLEST_TLS_REQUEST
                || (connection.served == 0 && exchange.bytes() <= TLS_FINISHED)
        }
        // Only HEADERS frames begin an exchange: the farewells of HTTP/2 (GOAWAY, SETTINGS, PING) are none.
        // With frames missing, a response may have passed unseen.
        Protocol::Http2 => connection.http2_is_lost(),
        _ => !exchange.is_request,
    }
}

/// What a message of an unknown protocol is taken for, where others were answered before it and it is short:
/// 1. the client closed right behind it, and knew of no close of the server: it waited for nothing; or
/// 2. the server's FIN is the answer to it, as an LDAP server answers an unbind request.
fn is_goodbye_by_nature(case: &Case<'_>) -> bool {
    let answered_by_close = match (case.server.fin(), case.exchange.acked) {
        (Some(fin), Some(acked)) => fin.frame == acked.frame(),
        _ => false,
    };
    case.connection.served > 0
        && case.exchange.bytes() <= LONGEST_GOODBYE
        && (left_at_once(case) || answered_by_close)
}

/// The client closed without waiting for an answer: by itself, and within [`SHORTEST_WAIT_NS`].
fn left_at_once(case: &Case<'_>) -> bool {
    let Some(close) = case.client.fin() else { return false };
    let last_ns = case.connection.last_data_ns().unwrap_or(case.exchange.request.time_ns);
    closed_by_itself(case) && close.time_ns - last_ns < SHORTEST_WAIT_NS
}

/// The client's FIN acknowledges no FIN of the server. (A client that reads the end of the stream closes at once, whatever it
/// had asked.)
fn closed_by_itself(case: &Case<'_>) -> bool {
    case.client.fin().is_some_and(|close| case.server.fin_seq().is_none_or(|fin| !close.ack.after(fin)))
}

/// The connection speaks something else than HTTP and TLS, from the beginning or since an upgrade.
fn speaks_otherwise(case: &Case<'_>) -> bool {
    matches!(case.connection.protocol, Protocol::Data | Protocol::Unknown)
}

/// What a finding is worth in this protocol:
/// 1. HTTP: what its rule says;
/// 2. TLS: a server that closes without an answer may have been told goodbye: likely at most;
/// 3. other protocols, a message that asks for an answer: what its rule says, and no more than likely where the kernel took
///    the message, or the client knew that the server had closed;
/// 4. other protocols, any other message: a loss where a kernel refused it or met it with silence, and it is no short one
///    that may be a goodbye; unclear where the server took it and closed. A message that asks for no answer is not missed
///    then.
pub(super) fn weigh(case: &Case<'_>, mut finding: Finding) -> Weight {
    if !speaks_otherwise(case) {
        if case.connection.protocol == Protocol::Tls && finding.cause == Cause::DiedMidRequest {
            at_most_likely(&mut finding);
        }
        return Weight::Told(finding);
    }
    let message = case.exchange.message;
    if message.meaning == Meaning::Request {
        if let Some(protocol) = message.protocol() {
            finding
                .evidence
                .push(format!("its bytes are those of a {protocol} message that asks for an answer"));
        }
        // Whether its protocol answers at all, only an answer shows.
        if finding.cause == Cause::ProxyTimeout && case.connection.served == 0 {
            return Weight::Nothing;
        }
        if !matches!(finding.cause, Cause::CrossedFin | Cause::ResetIdle) {
            at_most_likely(&mut finding);
        }
        return Weight::Told(finding);
    }
    let one_way = message.meaning == Meaning::OneWay;
    let may_be_goodbye = !one_way && case.exchange.bytes() <= LONGEST_GOODBYE;
    match finding.cause {
        Cause::UnreadRequest | Cause::DiedMidRequest | Cause::Unknown if closed_by_itself(case) => {
            Weight::Nothing
        }
        Cause::CrossedFin if is_refused(case) && !left_at_once(case) => {
            if may_be_goodbye {
                at_most_likely(&mut finding);
            }
            Weight::Told(finding)
        }
        Cause::CrossedFin => Weight::Unclear,
        Cause::StaleReuse if !may_be_goodbye => {
            at_most_likely(&mut finding);
            Weight::Told(finding)
        }
        Cause::StateLost if is_refused(case) => Weight::Told(finding),
        Cause::ResetIdle | Cause::SilentDrop => Weight::Told(finding),
        Cause::DiedMidRequest | Cause::Unknown if one_way => Weight::Nothing,
        Cause::StaleReuse
        | Cause::StateLost
        | Cause::DiscardedRequest
        | Cause::UnreadRequest
        | Cause::DiedMidRequest
        | Cause::Unknown => Weight::Unclear,
        _ => Weight::Nothing,
    }
}

/// A kernel refused the message: it had no socket for it, or one whose process had closed it. (Windows answers in both cases
/// with a RST that carries the ACK flag.)
fn is_refused(case: &Case<'_>) -> bool {
    case.server.rst().is_some_and(|reset| is_passive_reset(reset.flags) || case.server.fin().is_some())
}

fn at_most_likely(finding: &mut Finding) {
    if finding.confidence == Confidence::Certain {
        finding.confidence = Confidence::Likely;
    }
}
