//! HTTP/1.1 message framing (RFC 9112 section 6) over captured bytes, one direction at a time.
//!
//! It answers only "where does a message begin, what is it called, where does it end". Bytes come in any slices, heads
//! may be split over segments, bodies are never kept. When the capture does not hold the bytes needed to go on, the
//! framer is [`lost`](Framer::is_lost) until a segment begins with a recognisable message again.

mod announcement;
mod head;
mod method;
mod path;

pub use announcement::Announcement;
pub use head::Head;
pub(super) use head::{fingerprint, holds_fingerprint};
pub(crate) use method::METHODS;
pub use method::Method;

use head::Fields;
use path::keep_path;

/// Longest start line or header line looked at; the rest of a longer one is skipped, its meaning unknown.
const LINE_LIMIT: usize = 256;
/// Longest request line that is looked for where none is due; RFC 9112 section 3 asks for 8000 bytes at least.
const LONGEST_REQUEST_LINE: usize = 8192;
/// Length of `HTTP/1.1 200`.
const STATUS_END: usize = 12;
/// ` HTTP/1.1`.
const VERSION_LEN: usize = 9;
/// First bytes of a PROXY protocol v2 header (specification section 2.2).
const PROXY_V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Whether a payload begins with an HTTP/1 request.
pub fn starts_request(payload: &[u8]) -> bool {
    Method::at_start(payload).is_some() || payload.starts_with(b"PROXY TCP") || payload.starts_with(PROXY_V2)
}

/// Method and path of the request that a payload begins with, as far as its first line was captured.
pub fn request_line(payload: &[u8]) -> Option<(Method, Vec<u8>)> {
    let method = Method::at_start(payload)?;
    let line = payload.split(|&byte| matches!(byte, b'\r' | b'\n')).next()?;
    let mut path = Vec::new();
    keep_path(line[method.name().len() + 1..].split(|&byte| byte == b' ').next()?, &mut path);
    Some((method, path))
}

/// Whether a payload begins with an HTTP/1 response, as far as its status line was captured.
#[inline]
pub fn starts_response(payload: &[u8]) -> bool {
    payload.starts_with(b"HTTP/1.") && has_status(payload)
}

/// The status of the response that a payload begins with.
pub fn status(payload: &[u8]) -> Option<u16> {
    let line = payload.get(..STATUS_END).filter(|line| starts_response(line))?;
    Fields::of_status_line(line).map(|fields| fields.status)
}

/// Behind the version stand a space and a status code of three digits (RFC 9112 section 4), as far as they were captured.
fn has_status(line: &[u8]) -> bool {
    let fits = |(at, byte): (usize, &u8)| match at {
        0 | 2..=4 => byte.is_ascii_digit(),
        _ => *byte == b' ',
    };
    line.iter().skip(b"HTTP/1.".len()).take(5).enumerate().all(fits)
}

/// Whether a payload holds the whole first line of a request, with its version: text of another protocol, or of a body, may
/// well begin with the name of a method.
pub fn holds_request_line(payload: &[u8]) -> bool {
    let Some(method) = Method::at_start(payload) else { return false };
    let line = &payload[..payload.len().min(LONGEST_REQUEST_LINE)];
    let Some(end) = memchr::memchr(b'\n', line) else { return false };
    let line = line[method.name().len() + 1..end].trim_ascii_end();
    line.len() > VERSION_LEN
        && line[line.len() - VERSION_LEN..].starts_with(b" HTTP/1.")
        && line[line.len() - 1].is_ascii_digit()
}

/// Whether a request may begin with these bytes, of which more may follow.
fn may_start_request(bytes: &[u8]) -> bool {
    let begins = |name: &[u8]| bytes.iter().zip(name).all(|(byte, wanted)| byte == wanted);
    begins(PROXY_V2)
        || begins(b"PROXY ")
        || METHODS
            .iter()
            .any(|name| begins(name.as_bytes()) && bytes.get(name.len()).is_none_or(|behind| *behind == b' '))
}

/// Whether a response may begin with these bytes, of which more may follow.
fn may_start_response(bytes: &[u8]) -> bool {
    let version = b"HTTP/1.";
    bytes.iter().zip(version).all(|(byte, wanted)| byte == wanted) && has_status(bytes)
}

/// What the framer met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first byte of a message.
    Begin,
    /// The start line of a request: see [`Framer::path`] for its path.
    Request(Method),
    /// The status line of a final response, or of 101 Switching Protocols.
    Response(u16),
    /// An interim response (RFC 9110 section 15.2) is over; the final one is still to come.
    Interim,
    /// The message is complete.
    End,
    /// From here on the connection is no longer HTTP (CONNECT, 101): TCP only.
    Upgraded,
}

/// Where in a message the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before a message.
    Between,
    /// In the start line.
    StartLine,
    /// In a header line, or in a trailer, which frames nothing.
    HeaderLine,
    /// In the line with the size of a chunk.
    ChunkSize,
    /// In so many bytes that are no text.
    Bytes(u64),
    /// In the rest of the connection, or nobody knows where.
    Rest,
}

/// Which direction is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Skip { left: u64 },
    FirstLine,
    Header,
    Body { left: u64 },
    ChunkSize,
    ChunkData { left: u64 },
    Trailer,
    UntilClose,
    Lost,
}

/// Frames the messages of one direction.
#[derive(Debug, Clone)]
pub struct Framer {
    kind: Kind,
    state: State,
    line: Vec<u8>,
    path: Vec<u8>,
    fields: Fields,
}

impl Framer {
    /// Frames requests.
    pub fn requests() -> Framer {
        Framer::new(Kind::Request)
    }

    /// Frames responses.
    pub fn responses() -> Framer {
        Framer::new(Kind::Response)
    }

    fn new(kind: Kind) -> Framer {
        Framer { kind, state: State::Start, line: Vec::new(), path: Vec::new(), fields: Fields::default() }
    }

    /// The framer does not know where in a message it stands.
    pub fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// The message in hand ends only with the connection (RFC 9112 section 6.3, rule 8).
    pub fn ends_with_connection(&self) -> bool {
        self.state == State::UntilClose
    }

    /// A message has begun and is not over.
    pub fn in_message(&self) -> bool {
        !matches!(self.state, State::Start | State::Skip { .. } | State::Lost)
    }

    /// What the last message says of the connection's future.
    pub fn announced(&self) -> Announcement {
        self.fields.announced
    }

    /// Where the next byte stands.
    pub(crate) fn place(&self) -> Place {
        match self.state {
            State::Start => Place::Between,
            State::FirstLine => Place::StartLine,
            State::Header | State::Trailer => Place::HeaderLine,
            State::ChunkSize => Place::ChunkSize,
            State::Skip { left } | State::Body { left } | State::ChunkData { left } => Place::Bytes(left),
            State::UntilClose | State::Lost => Place::Rest,
        }
    }

    /// Path of the last request: printable ASCII, without query, fragment, scheme or authority.
    pub fn path(&self) -> &str {
        std::str::from_utf8(&self.path).unwrap_or_default()
    }

    /// Between two messages: nothing that was read so far matters to what comes, and a new framer would do as well.
    pub(super) fn is_fresh(&self) -> bool {
        self.state == State::Start && self.line.is_empty()
    }

    /// Bytes are missing from the capture: nothing is known until a message begins again.
    pub fn lose(&mut self) {
        if self.state != State::UntilClose {
            self.state = State::Lost;
        }
    }

    /// `len` bytes passed that the snap length cut off; the message may end with them.
    pub fn skip(&mut self, len: u64) -> Option<Event> {
        match &mut self.state {
            State::Body { left } if *left > len => *left -= len,
            State::Body { left } if *left == len => return Some(self.end()),
            State::UntilClose => {}
            _ if len == 0 => {}
            // What follows this status is not HTTP, whatever the rest of its head says.
            State::Header if self.fields.status == 101 => {
                self.state = State::UntilClose;
                return Some(Event::Upgraded);
            }
            _ => self.state = State::Lost,
        }
        None
    }

    /// What was taken for the length of the message in hand is wrong: the next byte begins another one.
    pub fn restart(&mut self) {
        self.state = State::Start;
        self.line.clear();
    }

    /// What was taken for the length of the message in hand is wrong, and where it ends nobody knows.
    pub fn give_up(&mut self) {
        self.state = State::Lost;
        self.line.clear();
    }

    /// At the start of a segment: a lost framer that sees a message begin can go on.
    pub fn resynchronise(&mut self, payload: &[u8]) {
        let begins = || match self.kind {
            Kind::Request => starts_request(payload),
            Kind::Response => starts_response(payload),
        };
        if self.is_lost() && begins() {
            self.restart();
        }
    }

    /// Reads on until something happens; returns the bytes used and what happened.
    /// `answers` is the method of the request that a response belongs to.
    pub fn feed(&mut self, bytes: &[u8], answers: Option<Method>) -> (usize, Option<Event>) {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            match &mut self.state {
                State::Lost | State::UntilClose => return (bytes.len(), None),
                State::Start => {
                    if rest[0] == b'\r' && rest.starts_with(PROXY_V2) {
                        let announced =
                            rest.get(14..16).map_or(0, |len| u64::from(u16::from_be_bytes([len[0], len[1]])));
                        self.state = State::Skip { left: 16 + announced };
                    } else if matches!(rest[0], b'\r' | b'\n') {
                        // RFC 9112 section 2.2: empty lines before a message are to be ignored.
                        used += 1;
                    } else if self.may_begin(rest) {
                        self.begin();
                        return (used, Some(Event::Begin));
                    } else {
                        self.give_up();
                    }
                }
                State::Skip { left } => {
                    let step = (*left).min(rest.len() as u64);
                    *left -= step;
                    used += step as usize;
                    if *left == 0 {
                        self.state = State::Start;
                    }
                }
                State::Body { left } | State::ChunkData { left } => {
                    let step = (*left).min(rest.len() as u64);
                    *left -= step;
                    used += step as usize;
                    if *left == 0 {
                        if matches!(self.state, State::Body { .. }) {
                            return (used, Some(self.end()));
                        }
                        self.state = State::ChunkSize;
                    }
                }
                State::FirstLine | State::Header | State::ChunkSize | State::Trailer => {
                    let Some(newline) = memchr::memchr(b'\n', rest) else {
                        self.keep(rest);
                        return (bytes.len(), None);
                    };
                    used += newline + 1;
                    if let Some(event) = self.line(&rest[..newline], answers) {
                        return (used, Some(event));
                    }
                }
            }
        }
        (used, None)
    }

    /// Passes over a head that was read ahead; between two messages only, and with no other bytes since. Returns where it ends,
    /// and what happened there. What [`Framer::feed`] tells of its first line is in the head.
    pub(super) fn pass(&mut self, head: &Head, answers: Option<Method>) -> (usize, Option<Event>) {
        self.fields = head.fields;
        self.state = State::Header;
        (head.end(), self.head_complete(answers))
    }

    fn may_begin(&self, bytes: &[u8]) -> bool {
        match self.kind {
            Kind::Request => may_start_request(bytes),
            Kind::Response => may_start_response(bytes),
        }
    }

    fn begin(&mut self) {
        self.state = State::FirstLine;
        self.line.clear();
        self.fields = Fields::default();
    }

    fn end(&mut self) -> Event {
        self.state = State::Start;
        Event::End
    }

    /// Keeps a part of a line whose end is still to come.
    fn keep(&mut self, part: &[u8]) {
        self.line.extend(part.iter().take(LINE_LIMIT - self.line.len()));
    }

    /// A line ends with `last`: mostly that is the whole of it, which is read where it lies.
    fn line(&mut self, last: &[u8], answers: Option<Method>) -> Option<Event> {
        if self.line.is_empty() {
            return self.line_complete(&last[..last.len().min(LINE_LIMIT)], answers);
        }
        self.keep(last);
        let line = std::mem::take(&mut self.line);
        let event = self.line_complete(&line, answers);
        self.line = line;
        self.line.clear();
        event
    }

    fn line_complete(&mut self, line: &[u8], answers: Option<Method>) -> Option<Event> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.state {
            State::FirstLine => self.first_line(line),
            State::Header if line.is_empty() => self.head_complete(answers),
            State::Header => {
                self.fields.header_line(line);
                None
            }
            State::ChunkSize if line.is_empty() => None,
            State::ChunkSize => {
                let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                let size = std::str::from_utf8(&line[..digits])
                    .ok()
                    .and_then(|hex| u64::from_str_radix(hex, 16).ok());
                self.state = match size {
                    Some(0) => State::Trailer,
                    Some(left) => State::ChunkData { left },
                    None => State::Lost,
                };
                None
            }
            State::Trailer if line.is_empty() => Some(self.end()),
            _ => None,
        }
    }

    fn first_line(&mut self, line: &[u8]) -> Option<Event> {
        match self.kind {
            Kind::Request if line.starts_with(b"PROXY ") => {
                self.state = State::Start;
                None
            }
            Kind::Request => match Method::at_start(line) {
                Some(method) => {
                    self.state = State::Header;
                    let target = line[method.name().len() + 1..].split(|&byte| byte == b' ').next();
                    keep_path(target.unwrap_or_default(), &mut self.path);
                    Some(Event::Request(method))
                }
                None => {
                    self.state = State::Lost;
                    None
                }
            },
            Kind::Response => match Fields::of_status_line(line) {
                Some(fields) => {
                    self.state = State::Header;
                    self.fields = fields;
                    fields.is_final().then_some(Event::Response(fields.status))
                }
                None => {
                    self.state = State::Lost;
                    None
                }
            },
        }
    }

    /// RFC 9112 section 6.3, in its order.
    fn head_complete(&mut self, answers: Option<Method>) -> Option<Event> {
        let answers = answers.map(Method::name);
        match self.kind {
            Kind::Response
                if self.fields.status == 101
                    || (answers == Some("CONNECT") && self.fields.status / 100 == 2) =>
            {
                self.state = State::UntilClose;
                return Some(Event::Upgraded);
            }
            Kind::Response if self.fields.status < 200 => {
                self.state = State::Start;
                return Some(Event::Interim);
            }
            Kind::Response if matches!(self.fields.status, 204 | 304) => return Some(self.end()),
            Kind::Response if answers == Some("HEAD") => return Some(self.end()),
            _ => {}
        }
        match (self.fields.chunked, self.fields.length, self.kind) {
            (true, ..) => self.state = State::ChunkSize,
            _ if self.fields.length_is_invalid => self.state = State::Lost,
            (false, Some(0), _) | (false, None, Kind::Request) => return Some(self.end()),
            (false, Some(left), _) => self.state = State::Body { left },
            (false, None, Kind::Response) => self.state = State::UntilClose,
        }
        None
    }
}

#[cfg(test)]
mod tests;
