//! Heads of messages: what of them decides where a message ends.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use foldhash::fast::FixedState;

use super::announcement::Announcement;
use super::{LINE_LIMIT, Method, path, starts_response};

/// Bytes of a request that make its fingerprint.
const FINGERPRINT_BYTES: usize = 256;

/// What start line and header lines say of framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fields {
    /// Of a response.
    pub status: u16,
    /// Content-Length.
    pub length: Option<u64>,
    /// Transfer-Encoding ends with chunked.
    pub chunked: bool,
    /// What becomes of the connection.
    pub announced: Announcement,
    /// Content-Length is no number, or there are two that differ (RFC 9112 section 6.3, rule 5): each program believes what
    /// it likes.
    pub length_is_invalid: bool,
}

impl Fields {
    /// Of a response, by its first line.
    #[inline]
    pub fn of_status_line(line: &[u8]) -> Option<Fields> {
        let status = status_code(line)?;
        let announced = Announcement::of_version(line.starts_with(b"HTTP/1.0"));
        Some(Fields { status, announced, ..Fields::default() })
    }

    /// Of a response that is not an interim one, or leaves HTTP behind.
    pub fn is_final(&self) -> bool {
        self.status >= 200 || self.status == 101
    }

    /// Takes a header line into account.
    #[inline]
    pub fn header_line(&mut self, line: &[u8]) {
        // Of most lines the first letter tells that they do not matter here.
        if !matches!(line, [b'c' | b'C' | b't' | b'T' | b'k' | b'K', ..]) {
            return;
        }
        if let Some(value) = value_of(b"content-length", line) {
            let length = common_number(value);
            self.length_is_invalid |=
                length.is_none() || self.length.is_some_and(|known| length != Some(known));
            self.length = length;
        } else if let Some(value) = value_of(b"transfer-encoding", line) {
            self.chunked |= contains_token(value, b"chunked");
        } else if let Some(value) = value_of(b"connection", line) {
            self.announced.connection(value);
        } else if let Some(value) = value_of(b"keep-alive", line) {
            self.announced.keep_alive(value);
        }
    }
}

/// The whole head of a message, read in one go and before its connection is known: it is at the start of a payload.
///
/// Reason: most messages begin with a segment, which holds their head; reading it needs nothing of the connection, so that it
/// can be done ahead, in another thread.
/// Proof: a test holds it to [`Framer`](super::Framer) on heads changed at random.
/// Fallback: what is not quite simple (a head over several segments, a line that is too long, a path with odd bytes) is none
/// here and goes through [`Framer::feed`](super::Framer::feed).
#[derive(Debug, Clone)]
pub struct Head {
    pub(super) fields: Fields,
    end: u32,
    /// None of a response.
    request: Option<Request>,
}

#[derive(Debug, Clone)]
struct Request {
    method: Method,
    path: Range<u16>,
    fingerprint: u64,
}

impl Head {
    /// The head that a payload begins with.
    #[inline]
    pub fn read(payload: &[u8]) -> Option<Head> {
        // No method and no version begins with anything else.
        if !payload.first()?.is_ascii_uppercase() {
            return None;
        }
        let mut ends = memchr::memchr_iter(b'\n', payload);
        let mut start = ends.next()? + 1;
        let first = payload.get(..start - 1).filter(|line| line.len() <= LINE_LIMIT)?;
        let first = first.strip_suffix(b"\r").unwrap_or(first);
        let (mut fields, request) = if starts_response(first) {
            (Fields::of_status_line(first)?, None)
        } else {
            (Fields::default(), Some(Request::of(first, payload)?))
        };
        for end in ends {
            let line = &payload[start..end.min(start + LINE_LIMIT)];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            start = end + 1;
            if line.is_empty() {
                return Some(Head { fields, end: start as u32, request });
            }
            fields.header_line(line);
        }
        None
    }

    /// Where it ends: behind the empty line.
    pub fn end(&self) -> usize {
        self.end as usize
    }

    /// Method and path, of a request; `payload` is the one that it was read from.
    pub fn request<'p>(&self, payload: &'p [u8]) -> Option<(Method, &'p [u8])> {
        let Request { method, path, .. } = self.request.as_ref()?;
        Some((*method, payload.get(usize::from(path.start)..usize::from(path.end))?))
    }

    /// Status of a response, as [`Event::Response`](super::Event::Response) tells it: not that of an interim one.
    pub fn status(&self) -> Option<u16> {
        self.fields.is_final().then_some(self.fields.status)
    }

    /// Of a request: what the payload that begins with it is recognised by when it is sent again.
    pub fn fingerprint(&self) -> Option<u64> {
        self.request.as_ref().map(|request| request.fingerprint)
    }
}

impl Request {
    #[inline]
    fn of(line: &[u8], payload: &[u8]) -> Option<Request> {
        let method = Method::at_start(line)?;
        let start = method.name().len() + 1;
        let len = path::plain_len(&line[start..])?;
        // Both are at most the longest line.
        let path = start as u16..(start + len) as u16;
        Some(Request { method, path, fingerprint: fingerprint(payload) })
    }
}

/// Something by which the bytes that a request begins with are recognised: the same in every run.
pub(in crate::connection) fn fingerprint(payload: &[u8]) -> u64 {
    let first = &payload[..payload.len().min(FINGERPRINT_BYTES)];
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(first);
    hasher.write_usize(first.len());
    hasher.finish()
}

/// Whether all bytes that make the fingerprint of a payload of so many bytes were captured.
pub(in crate::connection) fn holds_fingerprint(payload: &[u8], len: u32) -> bool {
    payload.len() >= FINGERPRINT_BYTES.min(len as usize)
}

/// The value of a header line, if that is its name (in small letters here).
#[inline]
fn value_of<'l>(name: &[u8], line: &'l [u8]) -> Option<&'l [u8]> {
    // Where the colon must be is cheaper to ask than where it is.
    let is_it = line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name);
    is_it.then(|| line[name.len() + 1..].trim_ascii())
}

fn status_code(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    // Beyond the five classes are some that public servers do send, 999 for one.
    number(digits).filter(|status| *status >= 100).map(|status| status as u16)
}

/// A number, of digits only (RFC 9110 section 8.6).
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let add = |sum: u64, digit: &u8| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 { None } else { sum.checked_mul(10)?.checked_add(digit.into()) }
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// The number of which a list is made: some programs merge equal header lines (RFC 9110 section 8.6).
fn common_number(list: &[u8]) -> Option<u64> {
    let mut numbers = list.split(|&byte| byte == b',').map(|one| number(one.trim_ascii()));
    let first = numbers.next()??;
    numbers.all(|other| other == Some(first)).then_some(first)
}

pub(super) fn contains_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
}
