//! Short names and plain words for single segments.

use crate::connection::http::{self, Event, Framer};
use crate::packet::Segment;
use crate::report::{Cause, Incident, Role, Root, SegmentKind, Side};

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
    tls(payload).unwrap_or_else(|| UNNAMED.to_owned())
}

/// What a payload is called that has no name: the rest of something, or nothing that is known.
pub(super) const UNNAMED: &str = "data";

/// Names of the TLS records that begin a payload (RFC 8446 section 5.1); none where it does not begin with a record.
fn tls(payload: &[u8]) -> Option<String> {
    const HEADER: usize = 5;
    /// RFC 5246 section 6.2.3: 2^14 bytes and 2048 of expansion.
    const MAX_RECORD: usize = (1 << 14) + 2048;
    let mut names: Vec<&str> = Vec::new();
    let mut rest = payload;
    let mut before = 0;
    while let [kind @ 20..=24, 3, 0..=4, high, low, body @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if len > MAX_RECORD {
            break;
        }
        let name = match (kind, body, len) {
            (20, ..) => "ChangeCipherSpec",
            // Not encrypted: two bytes, the second being the description (RFC 8446 section 6).
            (21, [_, 0, ..], 2) => "close_notify alert",
            (21, [_, _, ..], 2) => "alert",
            (21, ..) => "encrypted alert",
            (22, [1, ..], _) if before == 0 => "ClientHello",
            (22, [2, ..], _) if before == 0 => "ServerHello",
            (22, ..) => "handshake",
            // Behind a change-cipher-spec: the rest of the handshake (RFC 8446 appendix D.4).
            (23, ..) if before == 20 => "handshake",
            // What an encrypted alert of TLS 1.3 weighs, and no HTTP message can.
            (23, _, 19) => "encrypted alert",
            (23, ..) => "application data",
            _ => "heartbeat",
        };
        names.push(name);
        before = *kind;
        rest = rest.get(HEADER + len..).unwrap_or_default();
    }
    // A change-cipher-spec says something only where it is alone.
    if names.iter().any(|name| *name != "ChangeCipherSpec") {
        names.retain(|name| *name != "ChangeCipherSpec");
    }
    joined(names)
}

/// Names of the HTTP/2 frames that a payload consists of (RFC 9113 section 4.1); none where it does not.
pub(super) fn http2(payload: &[u8]) -> Option<String> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const HEADER: usize = 9;
    /// Unless the peer allows more, which few do (section 4.2).
    const MAX_FRAME: usize = 1 << 14;
    const NAMES: [&str; 10] = [
        "DATA",
        "HEADERS",
        "PRIORITY",
        "RST_STREAM",
        "SETTINGS",
        "PUSH_PROMISE",
        "PING",
        "GOAWAY",
        "WINDOW_UPDATE",
        "CONTINUATION",
    ];
    let mut names: Vec<String> = Vec::new();
    let mut rest = payload;
    if let Some(frames) = payload.strip_prefix(PREFACE) {
        names.push("HTTP/2 preface".to_owned());
        rest = frames;
    }
    let mut control = Vec::new();
    while let [a, b, c, kind, _, stream @ ..] = rest {
        let len = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
        if len > MAX_FRAME {
            break;
        }
        let stream = stream.first_chunk().map(|number| u32::from_be_bytes(*number) & 0x7fff_ffff)?;
        let name = NAMES.get(usize::from(*kind))?;
        let into = if is_http2_control(name) { &mut control } else { &mut names };
        into.push(if stream == 0 { (*name).to_owned() } else { format!("{name} {stream}") });
        rest = rest.get(HEADER + len..).unwrap_or_default();
    }
    // They say something only where nothing else does.
    let names = if names.is_empty() { control } else { names };
    joined(names.iter().map(String::as_str).collect())
}

/// Frames that manage the connection and ask for nothing.
fn is_http2_control(name: &str) -> bool {
    matches!(name, "SETTINGS" | "WINDOW_UPDATE" | "PING" | "PRIORITY")
}

/// Names in the order of their first appearance, as many as an arrow has room for.
fn joined(mut names: Vec<&str>) -> Option<String> {
    const MOST: usize = 2;
    names.dedup();
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let named = names.join(" + ");
    match (named.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(named),
        (false, more) => Some(format!("{named} + {more} more")),
    }
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
        100 => " Continue",
        101 => " Switching Protocols",
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

/// Below, nobody speaks of an idle time.
const SHORTEST_IDLE_NS: i64 = 10_000_000;

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
        (Some(Role::PreviousResponse), ..) if cause == Cause::AnnouncedClose => {
            "the last answer: with this exchange the connection is to close".to_owned()
        }
        (Some(Role::PreviousResponse), ..)
            if incident.idle_ns.is_some_and(|idle| idle < SHORTEST_IDLE_NS) =>
        {
            "the answer to the request before".to_owned()
        }
        (Some(Role::PreviousResponse), ..) => "the last answer; from here the connection is idle".to_owned(),
        (Some(Role::Fin), ..) => match cause {
            Cause::DiedMidRequest | Cause::TruncatedResponse => {
                "the server closes, without having answered".to_owned()
            }
            Cause::AnnouncedClose => format!("the server closes, as announced; its FIN is number {seq}"),
            _ if incident.root == Root::AfterAnswer => {
                format!("the server closes right after its answer; its FIN is number {seq}")
            }
            _ if is_at_a_close(cause) => {
                format!("the server closes the idle connection; its FIN is number {seq}")
            }
            _ => format!("the server closes; its FIN is number {seq}"),
        },
        (Some(Role::Request), ..) => match (cause, incident.ack_covers_fin) {
            (Cause::AnnouncedClose, _) => {
                "the lost request, sent on a connection that was to close".to_owned()
            }
            (cause, Some(false)) if is_at_a_close(cause) => {
                format!("the lost request; it acknowledges {ack}: its sender has not seen the FIN")
            }
            (cause, Some(true)) if is_at_a_close(cause) => {
                format!("the lost request; it acknowledges {ack}: its sender already had the FIN")
            }
            _ => "the lost request".to_owned(),
        },
        (Some(Role::RequestAck), _, SegmentKind::Response) => "the response begins".to_owned(),
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
        (Some(Role::ClientFin), ..) => match cause {
            Cause::ProxyTimeout => "the client gives up waiting and closes".to_owned(),
            Cause::ClientAbort => "the client goes away: it closes".to_owned(),
            _ => "the client closes".to_owned(),
        },
        (Some(Role::ClientReset), ..) => match cause {
            Cause::ProxyTimeout => "the client resets: nobody waits any more".to_owned(),
            Cause::ClientAbort => "the client goes away: it resets".to_owned(),
            _ => "the client resets".to_owned(),
        },
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

#[cfg(test)]
mod tests {
    use super::{http2, tls};

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 3, 3, len[0], len[1]], body].concat()
    }

    fn frame(kind: u8, stream: u8, len: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, len, kind, 0, 0, 0, 0, stream];
        frame.resize(frame.len() + usize::from(len), 0xff);
        frame
    }

    #[test]
    fn tls_records_have_their_names_as_far_as_they_can_be_seen() {
        let hello = record(22, &[2; 90]);
        let named = |records: &[&[u8]]| tls(&records.concat());
        assert_eq!(named(&[&record(22, &[1; 40])]).as_deref(), Some("ClientHello"));
        assert_eq!(
            named(&[&hello, &record(20, &[1]), &record(23, &[0; 700])]).as_deref(),
            Some("ServerHello + handshake")
        );
        assert_eq!(
            named(&[&record(20, &[1]), &record(23, &[0; 53]), &record(23, &[0; 90])]).as_deref(),
            Some("handshake + application data")
        );
        assert_eq!(named(&[&record(21, &[1, 0])]).as_deref(), Some("close_notify alert"));
        assert_eq!(named(&[&record(21, &[2, 40])]).as_deref(), Some("alert"));
        assert_eq!(named(&[&record(21, &[0; 26])]).as_deref(), Some("encrypted alert"));
        assert_eq!(named(&[&record(23, &[0; 19])]).as_deref(), Some("encrypted alert"));
        // Cut by the snap length.
        assert_eq!(named(&[&record(23, &[0; 900])[..60]]).as_deref(), Some("application data"));
        for other in [&b"SSH-2.0-x"[..], b"", &[23, 3], &[23, 3, 3, 0xff, 0xff, 1], &[23, 9, 9, 0, 1, 1]] {
            assert_eq!(tls(other), None, "{other:?}");
        }
    }

    #[test]
    fn http2_frames_have_their_names_and_those_that_manage_come_last() {
        let named = |frames: &[Vec<u8>]| http2(&frames.concat());
        assert_eq!(
            named(&[frame(4, 0, 0), frame(1, 3, 9), frame(0, 3, 5)]).as_deref(),
            Some("HEADERS 3 + DATA 3")
        );
        assert_eq!(named(&[frame(4, 0, 0), frame(8, 0, 4)]).as_deref(), Some("SETTINGS + WINDOW_UPDATE"));
        assert_eq!(named(&[frame(7, 0, 8)]).as_deref(), Some("GOAWAY"));
        assert_eq!(
            named(&[frame(1, 1, 9), frame(1, 3, 9), frame(1, 5, 9)]).as_deref(),
            Some("HEADERS 1 + HEADERS 3 + 1 more")
        );
        for other in [vec![0xff; 40], vec![0; 8], frame(77, 0, 4)] {
            assert_eq!(http2(&other), None, "{other:?}");
        }
    }
}
