//! HTTP/2 frames without content (RFC 9113 section 4).

use crate::connection::http2::PREFACE;

const HEADER: usize = 9;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
/// A field of the static table in one byte: `:method: GET`, `:status: 200` (RFC 7541 appendix A).
const GET: u8 = 0x82;
const OK: u8 = 0x88;

/// Follows the frames of one direction.
#[derive(Debug, Default)]
pub(super) struct FrameFilter {
    /// Bytes of the preface that have passed, if it has one.
    preface: Option<usize>,
    head: Vec<u8>,
    /// Bytes of the frame's payload that have passed.
    at: usize,
    lost: bool,
}

impl FrameFilter {
    /// For the client's direction.
    pub fn after_preface() -> FrameFilter {
        FrameFilter { preface: Some(0), ..FrameFilter::default() }
    }

    /// Without a frame's beginning, nothing after it can be read.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// Frame headers as they were, the numbers of frames that are nothing but numbers, and for header blocks such as say
    /// nothing.
    pub fn filtered(&mut self, bytes: &[u8], of_client: bool) -> Vec<u8> {
        let field = if of_client { GET } else { OK };
        bytes.iter().map(|&byte| self.byte(byte, field)).collect()
    }

    fn byte(&mut self, byte: u8, field: u8) -> u8 {
        if self.lost {
            return 0;
        }
        if let Some(passed) = self.preface.filter(|passed| *passed < PREFACE.len()) {
            self.preface = Some(passed + 1);
            return if byte == PREFACE[passed] { byte } else { 0 };
        }
        if self.head.len() < HEADER {
            if !may_be_head(self.head.len(), byte) {
                self.lost = true;
                return 0;
            }
            self.head.push(byte);
            self.at = 0;
            if self.head.len() == HEADER && self.length() == 0 {
                self.head.clear();
            }
            return byte;
        }
        let out = self.content(byte, field);
        self.at += 1;
        if self.at == self.length() {
            self.head.clear();
        }
        out
    }

    fn length(&self) -> usize {
        usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2])
    }

    fn content(&self, byte: u8, field: u8) -> u8 {
        let (kind, flags) = (self.head[3], self.head[4]);
        let has = |flag: u8| usize::from(flags & flag != 0);
        match kind {
            GOAWAY if self.at < 8 => byte,
            RST_STREAM | WINDOW_UPDATE if self.at < 4 => byte,
            SETTINGS => byte,
            // Length of padding; stream and weight of the priority.
            HEADERS if self.at < has(PADDED) + 5 * has(PRIORITY) => 0,
            HEADERS | CONTINUATION => field,
            PUSH_PROMISE if self.at < has(PADDED) => 0,
            PUSH_PROMISE if self.at < has(PADDED) + 4 => byte,
            PUSH_PROMISE => field,
            _ => 0,
        }
    }
}

/// Whether a frame header may have this byte there: what is none, because the place was mistaken, is not to survive.
fn may_be_head(at: usize, byte: u8) -> bool {
    /// PRIORITY_UPDATE (RFC 9218); those up to CONTINUATION have all numbers.
    const PRIORITY_UPDATE: u8 = 0x10;
    match at {
        // Lengths below 128 KiB: the default limit is 16 KiB (RFC 9113 section 6.5.2).
        0 => byte <= 1,
        3 => byte <= CONTINUATION || byte == PRIORITY_UPDATE,
        // Reserved.
        5 => byte & 0x80 == 0,
        _ => true,
    }
}
