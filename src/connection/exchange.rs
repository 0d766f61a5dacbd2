//! One request and what became of it.

use super::http::Method;
use super::{Mark, Seq};

/// A request and its response, as far as they were captured.
///
/// A request is one HTTP request, or, where the payload cannot be read, one burst of client data.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The segment that holds the first byte of the request.
    pub request: Mark,
    /// Sequence number of the first byte of the request.
    pub start: Seq,
    /// One past the last byte of the request seen so far.
    pub end: Seq,
    /// Segments that carried new bytes of it.
    pub segments: u32,
    /// HTTP method, where readable.
    pub method: Option<Method>,
    /// HTTP path, printable ASCII without query; empty where unreadable.
    pub path: Vec<u8>,
    /// The request is complete, as far as HTTP framing can tell; always true for bursts.
    pub complete: bool,
    /// Time from the last byte of the previous exchange; none on the first request of a connection.
    pub idle_ns: Option<i64>,
    /// The first segment from the server that acknowledges at least the first byte.
    pub acked: Option<Mark>,
    /// Retransmissions of its bytes.
    pub retransmissions: u32,
    /// The last retransmission.
    pub last_retransmission: Option<Mark>,
    /// False where HTTP was expected and the bytes that were captured are no request.
    pub is_request: bool,
    /// HTTP/2 stream; 0 where the protocol has none.
    pub http2_stream: u32,
    /// The first segment of the response.
    pub response_first: Option<Mark>,
    /// The newest segment of the response.
    pub response_last: Option<Mark>,
    /// The response is complete, as far as HTTP framing can tell, though the request may not be.
    pub response_complete: bool,
    /// HTTP status.
    pub status: Option<u16>,
    /// Fingerprint of the first bytes, to recognise a retry on another connection.
    pub fingerprint: u64,
    /// The same bytes were sent again on another connection of the same client.
    pub retried: Option<Retry>,
}

/// Where a lost request was seen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Stream of the other connection.
    pub stream: u32,
    /// Frame of the repeated request.
    pub frame: u64,
}

impl Exchange {
    /// Bytes of the request seen so far.
    pub fn bytes(&self) -> u32 {
        self.end.since(self.start).max(0) as u32
    }

    /// Some byte of a response was captured.
    pub fn answered(&self) -> bool {
        self.response_first.is_some()
    }
}
