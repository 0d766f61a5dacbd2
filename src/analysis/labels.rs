//! Short names and plain words for single segments.

use crate::connection::http::{self, Event, Framer};
use crate::packet::Segment;
use crate::report::{Cause, Incident, Role, SegmentKind, Side};

/// What a segment does.
pub(super) fn kind(segment: &Segment<'_>, from: Side) -> SegmentKind {
    match (segment.flags, segment.payload_len, from) {
        (flags, ..) if flags.rst() => SegmentKind::Reset,
        (flags, ..) if flags.syn() => SegmentKind::Handshake,
        (_, 1.., Side::Client) => SegmentKind::Request,
        (_, 1.., Side::Server) => SegmentKind::Response,
        (flags, ..) if flags.fin() => SegmentKind::Fin,
        _ => SegmentKind::Ack,
    }
}

/// A name for an arrow: the request line without its query, the status, or the flags that matter.
/// Everything taken from the payload is printable ASCII.
pub(super) fn label(segment: &Segment<'_>) -> String {
    let flags = segment.flags;
    if flags.rst() {
        return "RST".to_owned();
    }
    if flags.syn() {
        return if flags.ack() { "SYN, ACK" } else { "SYN" }.to_owned();
    }
    if segment.payload_len == 0 {
        return if flags.fin() { "FIN" } else { "ACK" }.to_owned();
    }
    let name = payload_name(segment.payload);
    if flags.fin() { format!("{name} + FIN") } else { name }
}

fn payload_name(payload: &[u8]) -> String {
    if http::starts_response(payload) {
        let mut framer = Framer::responses();
        if let Some(status) = first_event(&mut framer, payload, |event| match event {
            Event::Response(status) => Some(status),
            _ => None,
        }) {
            return format!("{status}{}", reason(status));
        }
    }
    if http::starts_request(payload) {
        let mut framer = Framer::requests();
        if let Some(method) = first_event(&mut framer, payload, |event| match event {
            Event::Request(method) => Some(method),
            _ => None,
        }) {
            return format!("{} {}", method.name(), framer.path());
        }
    }
    "data".to_owned()
}

fn first_event<T>(framer: &mut Framer, payload: &[u8], wanted: impl Fn(Event) -> Option<T>) -> Option<T> {
    let mut rest = payload;
    while !rest.is_empty() {
        let (used, event) = framer.feed(rest, None);
        rest = &rest[used..];
        if let Some(found) = event.and_then(&wanted) {
            return Some(found);
        }
    }
    None
}

/// The standard reason phrase of the codes that turn up in these stories (RFC 9110 section 15), with a leading space.
fn reason(status: u16) -> &'static str {
    match status {
        200 => " OK",
        201 => " Created",
        204 => " No Content",
        301 => " Moved Permanently",
        302 => " Found",
        304 => " Not Modified",
        400 => " Bad Request",
        401 => " Unauthorized",
        403 => " Forbidden",
        404 => " Not Found",
        408 => " Request Timeout",
        500 => " Internal Server Error",
        502 => " Bad Gateway",
        503 => " Service Unavailable",
        504 => " Gateway Timeout",
        _ => "",
    }
}

/// What a segment means in the story of an incident, in plain words; empty when it needs none.
pub(super) fn meaning(
    role: Option<Role>,
    from: Side,
    kind: SegmentKind,
    incident: &Incident,
    seq: u32,
    ack: u32,
) -> String {
    let cause = incident.cause;
    match (role, from, kind) {
        (Some(Role::PreviousResponse), ..) => "the last answer; from here the connection is idle".to_owned(),
        (Some(Role::Fin), ..) => match cause {
            Cause::DiedMidRequest | Cause::TruncatedResponse => {
                "the server closes, without having answered".to_owned()
            }
            _ if is_at_a_close(cause) => {
                format!("the server closes the idle connection; its FIN is number {seq}")
            }
            _ => format!("the server closes; its FIN is number {seq}"),
        },
        (Some(Role::Request), ..) => match (cause, incident.ack_covers_fin) {
            (cause, Some(false)) if is_at_a_close(cause) => {
                format!("the lost request; it acknowledges {ack}: its sender has not seen the FIN")
            }
            (cause, Some(true)) if is_at_a_close(cause) => {
                format!("the lost request; it acknowledges {ack}: its sender already had the FIN")
            }
            _ => "the lost request".to_owned(),
        },
        (Some(Role::RequestAck), ..) => match cause {
            Cause::DiscardedRequest => {
                "received, and thrown away: the server's sending side is closed".to_owned()
            }
            _ => "the server's kernel has received the request".to_owned(),
        },
        (Some(Role::FinAck), ..) => "the client's kernel has received the FIN".to_owned(),
        (Some(Role::Reset), ..) => match cause {
            Cause::UnreadRequest => "the server's process closed with the request unread".to_owned(),
            Cause::ResetIdle => "the server resets the idle connection".to_owned(),
            Cause::Refused => "nothing listens on this port".to_owned(),
            Cause::StateLost => "the connection is unknown there".to_owned(),
            Cause::DiedMidRequest | Cause::TruncatedResponse => {
                "the server resets, without having answered".to_owned()
            }
            _ => "no socket any more: the server's kernel refuses the request".to_owned(),
        },
        (Some(Role::Syn), ..) => "the client tries to open the connection".to_owned(),
        (Some(Role::ClientFin), ..) => "the client closes too".to_owned(),
        (Some(Role::ClientReset), ..) => "the client resets".to_owned(),
        (None, Side::Client, SegmentKind::Handshake) => "the client opens the connection".to_owned(),
        (None, Side::Server, SegmentKind::Handshake) => "the server accepts".to_owned(),
        (None, _, SegmentKind::Reset) => "another RST for the same request".to_owned(),
        _ => String::new(),
    }
}

/// The request met a close: whether its sender knew of the FIN is what matters.
fn is_at_a_close(cause: Cause) -> bool {
    matches!(cause, Cause::CrossedFin | Cause::UnreadRequest | Cause::DiscardedRequest | Cause::StaleReuse)
}
