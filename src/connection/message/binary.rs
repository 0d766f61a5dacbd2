//! Protocols of proxies and gateways, and what is spoken inside another one.

use super::{Meaning, be16, be24, be32, le16, walk};
use crate::connection::tls as records;

/// TLS that began inside of another protocol (STARTTLS, and the databases' own ways). Of an application record only its
/// size shows.
pub(super) fn tls(payload: &[u8], _len: usize) -> Option<Meaning> {
    Some(match records::records(payload)? {
        records::Records::Alert => Meaning::Farewell,
        records::Records::Handshake if records::is_client_hello(payload) => Meaning::Request,
        _ => Meaning::Unknown,
    })
}

/// HTTP/2 whose beginning was not captured (RFC 9113 section 4.1 and 6): only HEADERS, CONTINUATION and DATA belong to a
/// request.
pub(super) fn http2(payload: &[u8], len: usize) -> Option<Meaning> {
    const HEADER: usize = 9;
    const MAX_FRAME: usize = 1 << 14;
    walk(payload, len, |rest, _| {
        let size = be24(rest, 0).filter(|size| *size <= MAX_FRAME)?;
        let (kind, stream) = (*rest.get(3)?, be32(rest, 5).filter(|stream| *stream < 1 << 31)?);
        let of_connection = stream == 0;
        let meaning = match (kind, size) {
            (0 | 1 | 9, _) if stream % 2 == 1 => Meaning::Request,
            (2, 5) | (3, 4) if !of_connection => Meaning::Farewell,
            (4, _) if of_connection && size % 6 == 0 => Meaning::Farewell,
            (6, 8) if of_connection => Meaning::Farewell,
            (7, 8..) if of_connection => Meaning::Farewell,
            (8, 4) => Meaning::Farewell,
            _ => return None,
        };
        Some((HEADER + size, meaning))
    })
}

/// AJP 1.3 (Apache Tomcat Connectors, "AJPv13 Protocol Reference"): a pool of it ends without a word.
pub(super) fn ajp(payload: &[u8], len: usize) -> Option<Meaning> {
    const MAGIC: &[u8] = &[0x12, 0x34];
    walk(payload, len, |rest, _| {
        let size = be16(rest, 2).filter(|_| rest.starts_with(MAGIC))?;
        Some((4 + size, Meaning::Request))
    })
}

/// FastCGI (Open Market specification, section 3.3): a pool of it ends without a word.
pub(super) fn fastcgi(payload: &[u8], len: usize) -> Option<Meaning> {
    const ABORT: u8 = 2;
    walk(payload, len, |rest, _| {
        let [1, kind @ 1..=11, ..] = rest else { return None };
        let size = be16(rest, 4)? + usize::from(*rest.get(6)?);
        let meaning = if *kind == ABORT { Meaning::Farewell } else { Meaning::Request };
        (rest.get(7) == Some(&0)).then_some((8 + size, meaning))
    })
}

/// uwsgi (uWSGI documentation, "The uwsgi Protocol"): modifier, size, modifier, then names and values of a request.
pub(super) fn uwsgi(payload: &[u8], len: usize) -> Option<Meaning> {
    let [0, _, _, 0, name_len, 0, first, ..] = payload else { return None };
    let size = le16(payload, 1)?;
    let name = payload.get(6..).unwrap_or_default();
    let name = name.get(..usize::from(*name_len)).unwrap_or(name);
    let readable = name.iter().all(|byte| byte.is_ascii_graphic());
    (size > 6 && 4 + size <= len && *name_len > 0 && first.is_ascii_uppercase() && readable)
        .then_some(Meaning::Request)
}

/// WebSocket (RFC 6455 section 5.2): whole frames, masked as a client's are. Close, ping and pong are no loss; whether a
/// message is to be answered, its sender alone knows.
pub(super) fn websocket(payload: &[u8], len: usize) -> Option<Meaning> {
    walk(payload, len, |rest, left| {
        let [first, second, ..] = rest else { return None };
        if first & 0x70 != 0 && first & 0x70 != 0x40 || second & 0x80 == 0 {
            return None;
        }
        let (size, header) = match second & 0x7f {
            126 => (be16(rest, 2)?, 4),
            127 => (be32(rest, 6).filter(|_| be32(rest, 2) == Some(0))? as usize, 10),
            size => (usize::from(size), 2),
        };
        let meaning = match first & 0x8f {
            0x88..=0x8a if size <= 125 => Meaning::Farewell,
            0x00..=0x02 | 0x80..=0x82 => Meaning::OneWay,
            _ => return None,
        };
        let total = header + 4 + size;
        (total <= left || size > 125).then_some((total, meaning))
    })
}
