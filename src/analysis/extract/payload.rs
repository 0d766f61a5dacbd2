//! Payload without content: as long as it was, and as far as a verdict looks at it the same.
//!
//! What survives is a closed list: methods, status codes, the lengths of HTTP bodies and chunks, whether a message closes
//! the connection, the headers of TLS records and of HTTP/2 frames, and the numbers in frames that end streams. All other bytes of a
//! HTTP head are `x`, of everything else zero. Each byte is decided by itself and those before it, from lists of
//! what is harmless: where the place in a message is mistaken, less survives, never more.

use std::collections::VecDeque;

use crate::connection::http::{self, Event, Framer, Method, Place};
use crate::connection::{Fresh, Half, Mark, http2, tls};
use crate::packet::{Endpoint, Segment};

use super::frames::FrameFilter;
use super::head;
use super::records::RecordFilter;

/// Requests whose method is remembered until their response.
const MAX_OUTSTANDING: usize = 4_096;
/// Bytes of a line that are looked at; what follows is `x`.
const LINE_LIMIT: usize = 256;

/// Follows both directions of one connection.
#[derive(Default)]
pub(super) struct Filter {
    first_sender: Option<Endpoint>,
    halves: [Half; 2],
    directions: [Direction; 2],
    shared: Shared,
}

/// What one direction has to know of the other.
#[derive(Default)]
struct Shared {
    /// Methods of the requests that wait for their response.
    methods: VecDeque<Method>,
    /// The connection has left HTTP (101, CONNECT).
    upgraded: bool,
    /// HTTP/2 began.
    http2: bool,
}

/// What is known of the bytes of one direction.
#[derive(Default)]
enum Direction {
    #[default]
    Unknown,
    Http(Box<HttpFilter>),
    Tls(RecordFilter),
    Http2(Box<FrameFilter>),
}

/// HTTP/1 in one direction.
struct HttpFilter {
    framer: Framer,
    is_request: bool,
    /// The line in hand, as it was.
    line: Vec<u8>,
    was_lost: bool,
}

impl Filter {
    /// What takes the place of the captured payload of a segment.
    pub fn payload(&mut self, segment: &Segment<'_>, frame: u64, time_ns: i64) -> Vec<u8> {
        let first = *self.first_sender.get_or_insert(segment.src);
        let sender = usize::from(segment.src != first);
        let fresh = self.halves[sender].accept(segment, Mark::of(segment, frame, time_ns));
        let payload = segment.payload;
        let Fresh::New { len, missing } = fresh else {
            // Sent again, or late: what begins a message is told from it alone.
            let mut alone = Shared::default();
            return Direction::Unknown.filtered(payload, 0, sender == 0, &mut alone);
        };
        let seen = ((segment.payload_len - len) as usize).min(payload.len());
        let new = &payload[seen..];
        let cut = u64::from(len).saturating_sub(new.len() as u64);
        let direction = &mut self.directions[sender];
        if missing > 0 {
            direction.lose(missing);
        }
        let mut out = vec![0; seen];
        out.extend(direction.filtered(new, cut, sender == 0, &mut self.shared));
        out
    }
}

impl Direction {
    /// Bytes before these are not in the capture.
    fn lose(&mut self, missing: u32) {
        match self {
            Direction::Unknown => {}
            Direction::Http(http) => {
                http.framer.lose();
                http.was_lost = true;
                http.line.clear();
            }
            Direction::Tls(records) => records.skip(u64::from(missing)),
            Direction::Http2(frames) => frames.lose(),
        }
    }

    /// The next bytes of the direction, and how many behind them the snap length cut off.
    fn filtered(&mut self, bytes: &[u8], cut: u64, first_sender: bool, shared: &mut Shared) -> Vec<u8> {
        if shared.upgraded {
            return vec![0; bytes.len()];
        }
        if matches!(self, Direction::Unknown) {
            *self = detect(bytes, shared);
        }
        match self {
            Direction::Unknown => vec![0; bytes.len()],
            Direction::Http(http) => http.filtered(bytes, cut, shared),
            Direction::Tls(records) => {
                let out = records.filtered(bytes);
                records.skip(cut);
                out
            }
            Direction::Http2(frames) => {
                let out = frames.filtered(bytes, first_sender);
                if cut > 0 {
                    frames.lose();
                }
                out
            }
        }
    }
}

fn detect(bytes: &[u8], shared: &mut Shared) -> Direction {
    if http2::starts(bytes) {
        shared.http2 = true;
        Direction::Http2(Box::new(FrameFilter::after_preface()))
    } else if shared.http2 {
        Direction::Http2(Box::default())
    } else if http::starts_request(bytes) {
        Direction::Http(Box::new(HttpFilter::new(true)))
    } else if http::starts_response(bytes) {
        Direction::Http(Box::new(HttpFilter::new(false)))
    } else if tls::records(bytes).is_some() {
        Direction::Tls(RecordFilter::default())
    } else {
        Direction::Unknown
    }
}

impl HttpFilter {
    fn new(is_request: bool) -> HttpFilter {
        let framer = if is_request { Framer::requests() } else { Framer::responses() };
        HttpFilter { framer, is_request, line: Vec::new(), was_lost: false }
    }

    fn filtered(&mut self, bytes: &[u8], cut: u64, shared: &mut Shared) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        self.framer.resynchronise(bytes);
        if self.was_lost && !self.framer.is_lost() {
            self.was_lost = false;
            // Which requests were answered meanwhile is not known; most often all but the last.
            if !self.is_request {
                shared.methods.drain(..shared.methods.len().saturating_sub(1));
            }
        }
        while out.len() < bytes.len() {
            let rest = &bytes[out.len()..];
            let place = self.framer.place();
            let part = match place {
                Place::Between | Place::Rest => rest,
                Place::Bytes(left) => &rest[..rest.len().min(usize::try_from(left).unwrap_or(usize::MAX))],
                Place::StartLine | Place::HeaderLine | Place::ChunkSize => {
                    let newline = rest.iter().position(|byte| *byte == b'\n');
                    &rest[..newline.map_or(rest.len(), |at| at + 1)]
                }
            };
            let answers = shared.methods.front().copied();
            let (used, event) = self.framer.feed(part, answers);
            let part = &part[..used];
            match place {
                Place::Between => self.between(part, &mut out),
                Place::Rest | Place::Bytes(_) => out.resize(out.len() + used, 0),
                Place::StartLine | Place::HeaderLine | Place::ChunkSize => self.line(place, part, &mut out),
            }
            let is_stuck = used == 0 && event.is_none();
            self.take_note(event, shared);
            if is_stuck {
                out.resize(bytes.len(), 0);
            }
        }
        let event = self.framer.skip(cut);
        self.take_note(event, shared);
        if cut > 0 {
            self.line.clear();
        }
        out
    }

    fn take_note(&self, event: Option<Event>, shared: &mut Shared) {
        match event {
            Some(Event::Request(method)) if shared.methods.len() < MAX_OUTSTANDING => {
                shared.methods.push_back(method);
            }
            Some(Event::End) if !self.is_request => {
                shared.methods.pop_front();
            }
            Some(Event::Upgraded) => shared.upgraded = true,
            _ => {}
        }
    }

    /// Line ends, or the first bytes of a PROXY header of version 2 (specification section 2.2): its signature, what it
    /// is, its length.
    fn between(&self, bytes: &[u8], out: &mut Vec<u8>) {
        const PROXY_HEAD: usize = 16;
        let is_proxy = http::starts_request(bytes) && bytes.first() == Some(&b'\r');
        out.extend(bytes.iter().enumerate().map(|(at, &byte)| match byte {
            byte if is_proxy && at < PROXY_HEAD => byte,
            b'\r' | b'\n' if !is_proxy => byte,
            _ => 0,
        }));
    }

    /// A line, or the part of it that this segment holds.
    fn line(&mut self, place: Place, part: &[u8], out: &mut Vec<u8>) {
        let before = self.line.len();
        self.line.extend_from_slice(&part[..part.len().min(LINE_LIMIT - before)]);
        let filtered = match place {
            Place::StartLine if self.is_request => head::request_line(&self.line),
            Place::StartLine => head::status_line(&self.line),
            Place::ChunkSize => head::chunk_size(&self.line),
            _ => head::header_line(&self.line),
        };
        out.extend_from_slice(&filtered[before..]);
        let looked_at = self.line.len() - before;
        out.extend(part[looked_at..].iter().map(|&byte| head::filler(byte)));
        if part.last() == Some(&b'\n') {
            self.line.clear();
        }
    }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
