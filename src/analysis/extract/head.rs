//! The lines of a HTTP/1 message head, of which only what frames the message survives.
//!
//! Each function gives as many bytes as it gets, and each byte depends on those before it alone: the first part of a line that
//! was split over segments comes out the same whatever the rest is.

use crate::connection::http::METHODS;

/// Headers whose values matter (RFC 9112 sections 6.1, 6.2 and 9.1, RFC 9110 section 7.8, RFC 2068 section 19.7.1).
const HEADERS: [(&[u8], &[&[u8]]); 6] = [
    (b"content-length", &[]),
    (b"transfer-encoding", &[b"chunked", b"identity", b"gzip"]),
    (b"connection", &[b"close", b"keep-alive", b"upgrade"]),
    (b"upgrade", &[b"websocket", b"h2c"]),
    (b"expect", &[b"100-continue"]),
    (b"keep-alive", &[b"timeout=", b"max="]),
];

/// What stands for a byte of text that does not survive: line ends stay.
pub(super) fn filler(byte: u8) -> u8 {
    if matches!(byte, b'\r' | b'\n') { byte } else { b'x' }
}

/// `POST /xxxxxxx HTTP/1.1`; of a line of the PROXY protocol its first two words.
pub(super) fn request_line(line: &[u8]) -> Vec<u8> {
    const PROXY: [&[u8]; 3] = [b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"];
    let is_proxy = line.starts_with(b"PROXY ");
    let mut out = Vec::with_capacity(line.len());
    let mut words = line.split_inclusive(|byte| *byte == b' ');
    if is_proxy {
        let kept = PROXY.iter().map(|start| common(start, line)).max().unwrap_or(0);
        out.extend_from_slice(&line[..kept]);
        // The addresses and ports are valid ones of the same length, and nobody's.
        out.extend(line[kept..].iter().map(|&byte| match byte {
            b'.' | b':' | b' ' => byte,
            digit if digit.is_ascii_hexdigit() => b'1',
            other => filler(other),
        }));
        return out;
    }
    if let Some(method) = words.next() {
        let name = method.strip_suffix(b" ").unwrap_or(method);
        let kept = METHODS.iter().map(|known| common(known.as_bytes(), name)).max().unwrap_or(0);
        out.extend_from_slice(&name[..kept]);
        out.extend(name[kept..].iter().map(|&byte| filler(byte)));
        out.extend_from_slice(&method[name.len()..]);
    }
    if let Some(target) = words.next() {
        let (path, space) = target.split_at(target.strip_suffix(b" ").unwrap_or(target).len());
        out.extend(path.iter().enumerate().map(|(at, &byte)| match byte {
            b'/' if at == 0 => b'/',
            b'*' if at == 0 => b'*',
            other => filler(other),
        }));
        out.extend_from_slice(space);
    }
    let version = &line[out.len()..];
    out.extend(version_of(version));
    out
}

/// `HTTP/1.1 200 xx`.
pub(super) fn status_line(line: &[u8]) -> Vec<u8> {
    const VERSION: usize = 8;
    const CODE: std::ops::Range<usize> = 9..12;
    let (version, rest) = line.split_at(line.len().min(VERSION));
    let mut out = version_of(version);
    for (at, &byte) in (VERSION..).zip(rest) {
        let stays = at == VERSION && byte == b' ' || CODE.contains(&at) && byte.is_ascii_digit();
        let stays = stays || at == CODE.end && byte == b' ';
        out.push(if stays { byte } else { filler(byte) });
    }
    out
}

/// `HTTP/1.` and a digit.
fn version_of(text: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"HTTP/1.";
    let kept = common(NAME, text);
    let digit = usize::from(kept == NAME.len() && text.get(kept).is_some_and(u8::is_ascii_digit));
    let kept = kept + digit;
    text[..kept].iter().copied().chain(text[kept..].iter().map(|&byte| filler(byte))).collect()
}

/// The size in hexadecimal, without extensions (RFC 9112 section 7.1). Where the chunks are none, a word of hexadecimal digits
/// may stand there: no size has more than these.
pub(super) fn chunk_size(line: &[u8]) -> Vec<u8> {
    const DIGITS: usize = 8;
    let digits = line.iter().take(DIGITS).take_while(|byte| byte.is_ascii_hexdigit()).count();
    line[..digits].iter().copied().chain(line[digits..].iter().map(|&byte| filler(byte))).collect()
}

/// A header of the list with the values of the list; of others the colon.
pub(super) fn header_line(line: &[u8]) -> Vec<u8> {
    let name_len = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let (name, value) = line.split_at(name_len);
    let kept = HEADERS.iter().map(|(known, _)| common_but_for_case(known, name)).max().unwrap_or(0);
    let mut out: Vec<u8> =
        name[..kept].iter().copied().chain(name[kept..].iter().map(|&byte| filler(byte))).collect();
    let Some((colon, value)) = value.split_first() else { return out };
    out.push(*colon);
    let known = HEADERS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    match known {
        Some((_, [])) => number(value, &mut out),
        Some((_, tokens)) => list(value, tokens, &mut out),
        None => {
            let space = usize::from(value.first() == Some(&b' '));
            out.extend_from_slice(&value[..space]);
            out.extend(value[space..].iter().map(|&byte| filler(byte)));
        }
    }
    out
}

/// Digits, and space around them.
fn number(value: &[u8], out: &mut Vec<u8>) {
    out.extend(value.iter().map(|&byte| {
        if byte.is_ascii_digit() || matches!(byte, b' ' | b'\t') { byte } else { filler(byte) }
    }));
}

/// Tokens of the list, separated by commas.
fn list(value: &[u8], tokens: &[&[u8]], out: &mut Vec<u8>) {
    for item in value.split_inclusive(|byte| *byte == b',') {
        let start = item.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        out.extend_from_slice(&item[..start]);
        let token = &item[start..];
        let kept = tokens.iter().map(|known| common_but_for_case(known, token)).max().unwrap_or(0);
        out.extend_from_slice(&token[..kept]);
        // `timeout=5`: the number behind it.
        let digits = match token[..kept].last() {
            Some(b'=') => token[kept..].iter().take_while(|byte| byte.is_ascii_digit()).count(),
            _ => 0,
        };
        out.extend_from_slice(&token[kept..kept + digits]);
        out.extend(
            token[kept + digits..]
                .iter()
                .map(|&byte| if matches!(byte, b',' | b' ' | b'\t') { byte } else { filler(byte) }),
        );
    }
}

/// Bytes that both begin with.
fn common(known: &[u8], text: &[u8]) -> usize {
    known.iter().zip(text).take_while(|(one, other)| one == other).count()
}

fn common_but_for_case(known: &[u8], text: &[u8]) -> usize {
    known.iter().zip(text).take_while(|(one, other)| one.eq_ignore_ascii_case(other)).count()
}
