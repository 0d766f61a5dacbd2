//! HTTP/2 frames in clear text (RFC 9113 section 4): which streams were opened and ended, and what GOAWAY accepts.
//!
//! Header blocks stay compressed: a request is known by its stream, not by its path.

use super::http;
use super::{Connection, Mark, Seq};

/// What an HTTP/2 client sends before its first frame (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEADER: usize = 9;
/// The longest frame looked into: GOAWAY's last stream id (RFC 9113 section 6.8).
const GOAWAY_ID: usize = 4;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const GOAWAY: u8 = 0x7;
const END_STREAM: u8 = 0x1;
/// The high bit of a stream identifier is reserved (RFC 9113 section 4.1).
const STREAM_BITS: u32 = 0x7fff_ffff;

/// What a frame says of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// HEADERS or DATA of a stream; the flag says that its sender is done with the stream.
    Message {
        /// The stream.
        stream: u32,
        /// The frame opens or continues a message head.
        headers: bool,
        /// END_STREAM.
        end: bool,
    },
    /// RST_STREAM: the sender gives the stream up.
    Reset {
        /// The stream.
        stream: u32,
    },
    /// GOAWAY: streams above the last one are not and will not be processed.
    GoAway {
        /// The last stream that may be processed.
        last: u32,
    },
}

/// Reads the frames of one direction from bytes in any slices; nothing but a frame header is kept.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    skip: u64,
    head: Vec<u8>,
    lost: bool,
}

impl Frames {
    /// For the client's direction, which begins with the preface.
    pub fn after_preface() -> Frames {
        Frames { skip: PREFACE.len() as u64, ..Frames::default() }
    }

    /// Bytes are missing from the capture: without a frame's beginning, nothing after it can be read.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Reads on until a frame says something; returns the bytes used and what it says.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, Option<Event>) {
        let mut used = 0;
        while used < bytes.len() && !self.lost {
            let rest = &bytes[used..];
            if self.skip > 0 {
                let step = self.skip.min(rest.len() as u64);
                self.skip -= step;
                used += step as usize;
                continue;
            }
            let wanted = self.wanted();
            let step = rest.len().min(wanted - self.head.len());
            self.head.extend_from_slice(&rest[..step]);
            used += step;
            if self.head.len() == self.wanted() {
                let event = self.frame();
                self.head.clear();
                if event.is_some() {
                    return (used, event);
                }
            }
        }
        (if self.lost { bytes.len() } else { used }, None)
    }

    /// Bytes of the frame in hand that are looked at.
    fn wanted(&self) -> usize {
        let goaway = self.head.get(3) == Some(&GOAWAY) && self.length() >= GOAWAY_ID;
        FRAME_HEADER + if goaway { GOAWAY_ID } else { 0 }
    }

    fn length(&self) -> usize {
        match self.head.as_slice() {
            [high, middle, low, ..] => {
                usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low)
            }
            _ => 0,
        }
    }

    fn frame(&mut self) -> Option<Event> {
        let number = |at: usize| -> u32 {
            let bytes = self.head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            u32::from_be_bytes(bytes) & STREAM_BITS
        };
        let (kind, flags, stream) = (self.head[3], self.head[4], number(5));
        self.skip = (self.length() + FRAME_HEADER).saturating_sub(self.head.len()) as u64;
        match kind {
            DATA | HEADERS => {
                Some(Event::Message { stream, headers: kind == HEADERS, end: flags & END_STREAM != 0 })
            }
            RST_STREAM => Some(Event::Reset { stream }),
            GOAWAY if self.head.len() > FRAME_HEADER => Some(Event::GoAway { last: number(FRAME_HEADER) }),
            _ => None,
        }
    }
}

/// The frames of both directions and what the server announced.
#[derive(Debug)]
pub(super) struct Streams {
    client: Frames,
    server: Frames,
    newest: u32,
}

impl Streams {
    pub fn new() -> Streams {
        Streams { client: Frames::after_preface(), server: Frames::default(), newest: 0 }
    }
}

impl Connection {
    /// Client data on an HTTP/2 connection: a HEADERS frame on a new stream is a request. Returns whether the data belongs
    /// to a stream; SETTINGS, PING, WINDOW_UPDATE and GOAWAY do not end an idle time.
    pub(super) fn http2_requests(
        &mut self,
        payload: &[u8],
        mark: Mark,
        first: Seq,
        len: u32,
        missing: u32,
    ) -> bool {
        let mut of_a_stream = false;
        let mut streams = self.rare().streams.take().unwrap_or_else(|| Box::new(Streams::new()));
        if missing > 0 {
            streams.client.lose();
        }
        let mut used = 0;
        while used < payload.len() {
            let at = first.plus(used as u32);
            let (step, event) = streams.client.feed(&payload[used..]);
            used += step;
            of_a_stream |= matches!(event, Some(Event::Message { .. }));
            match event {
                Some(Event::Message { stream, headers: true, .. }) if stream > streams.newest => {
                    streams.newest = stream;
                    self.begin_request(http::fingerprint(&payload[used - step..]), mark, at);
                    if let Some(request) = self.exchanges.back_mut() {
                        request.http2_stream = stream;
                        request.is_request = true;
                        request.complete = true;
                    }
                    self.extend_request(first.plus(used as u32));
                }
                // A stream that the client gave up expects no response.
                Some(Event::Reset { stream }) => {
                    if let Some(at) = self.stream_at(stream) {
                        self.exchanges.remove(at);
                    }
                }
                _ => {}
            }
        }
        if len as usize > payload.len() {
            streams.client.lose();
        }
        self.rare().streams = Some(streams);
        of_a_stream
    }

    /// Server data on an HTTP/2 connection: responses end their own streams, in any order. Returns whether the data belongs
    /// to a stream.
    pub(super) fn http2_responses(&mut self, payload: &[u8], mark: Mark, len: u32, missing: u32) -> bool {
        let mut streams = self.rare().streams.take().unwrap_or_else(|| Box::new(Streams::new()));
        let mut of_a_stream = false;
        if missing > 0 {
            streams.server.lose();
        }
        let mut used = 0;
        while used < payload.len() {
            let (step, event) = streams.server.feed(&payload[used..]);
            used += step;
            of_a_stream |= matches!(event, Some(Event::Message { .. }));
            match event {
                Some(Event::Message { stream, end, .. }) => {
                    if let Some(exchange) =
                        self.exchanges.iter_mut().find(|known| known.http2_stream == stream)
                    {
                        exchange.answer(mark);
                    }
                    if end {
                        self.end_stream(stream);
                    }
                }
                Some(Event::Reset { stream }) => self.end_stream(stream),
                Some(Event::GoAway { last }) => {
                    // The first one may announce the last possible stream and a second one the real last: the lowest holds.
                    let lowest = self.goaway().map_or(last, |(_, known)| known.min(last));
                    self.rare().goaway = Some((mark, lowest));
                }
                None => {}
            }
        }
        if len as usize > payload.len() {
            streams.server.lose();
        }
        self.rare().streams = Some(streams);
        of_a_stream
    }

    fn end_stream(&mut self, stream: u32) {
        let Some(at) = self.stream_at(stream) else { return };
        self.served += 1;
        self.previous_response = self.exchanges.get(at).and_then(|done| done.response_end());
        self.exchanges.remove(at);
    }

    /// The request on a stream; no two are on the same one.
    fn stream_at(&self, stream: u32) -> Option<usize> {
        self.exchanges.iter().position(|exchange| exchange.http2_stream == stream)
    }

    /// Whether frames were lost to the capture, so that a response may have passed unseen.
    pub fn http2_is_lost(&self) -> bool {
        self.rare
            .as_ref()
            .and_then(|rare| rare.streams.as_ref())
            .is_some_and(|streams| streams.client.lost || streams.server.lost)
    }
}

/// Whether a connection speaks HTTP/2 from its first client bytes on.
pub(crate) fn starts(payload: &[u8]) -> bool {
    !payload.is_empty()
        && payload.len() >= 14
        && payload.starts_with(&PREFACE[..payload.len().min(PREFACE.len())])
}

/// Whether a server's first bytes after an upgrade are its SETTINGS, by which HTTP/2 begins (RFC 9113 section 3.4).
pub(super) fn starts_with_settings(payload: &[u8]) -> bool {
    const SETTINGS: u8 = 0x4;
    const SETTING: u16 = 6;
    matches!(*payload, [0, high, low, SETTINGS, 0, 0, 0, 0, 0, ..] if u16::from_be_bytes([high, low]).is_multiple_of(SETTING))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let len = payload.len() as u32;
        let mut bytes = vec![(len >> 16) as u8, (len >> 8) as u8, len as u8, kind, flags];
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    fn events(frames: &mut Frames, bytes: &[u8]) -> Vec<Event> {
        let mut rest = bytes;
        let mut events = Vec::new();
        while !rest.is_empty() {
            let (used, event) = frames.feed(rest);
            rest = &rest[used..];
            events.extend(event);
        }
        events
    }

    fn conversation() -> Vec<u8> {
        [
            PREFACE.to_vec(),
            frame(0x4, 0, 0, &[0; 12]),
            frame(HEADERS, END_STREAM, 1, b"block"),
            frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0, b'd']),
            frame(DATA, END_STREAM, 3, &[]),
            frame(RST_STREAM, 0, 5, &[0; 4]),
        ]
        .concat()
    }

    #[test]
    fn frames_are_read_and_settings_passed_over() {
        let expected = [
            Event::Message { stream: 1, headers: true, end: true },
            Event::GoAway { last: 1 },
            Event::Message { stream: 3, headers: false, end: true },
            Event::Reset { stream: 5 },
        ];
        assert_eq!(events(&mut Frames::after_preface(), &conversation()), expected);
    }

    #[test]
    fn frames_cut_at_every_byte_read_the_same() {
        let bytes = conversation();
        let whole = events(&mut Frames::after_preface(), &bytes);
        for cut in 1..bytes.len() {
            let mut frames = Frames::after_preface();
            let mut parts = events(&mut frames, &bytes[..cut]);
            parts.extend(events(&mut frames, &bytes[cut..]));
            assert_eq!(parts, whole, "cut at {cut}");
        }
    }

    #[test]
    fn after_a_hole_nothing_is_guessed() {
        let mut frames = Frames::after_preface();
        frames.lose();
        assert_eq!(events(&mut frames, &conversation()), []);
    }
}
