//! One connection around one incident, segment by segment: what packet tables and ladders draw.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Role, Side};

/// The segments of one connection that tell its story.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trace {
    /// The two ends: client first (drawn left).
    pub lanes: [Lane; 2],
    /// Whose clocks the times are.
    pub clocks: Clocks,
    /// Wireshark's `tcp.stream`.
    pub stream: u32,
    /// Time zero of the story: the server's FIN, or what took its place, at the server where known.
    pub zero_ns: i64,
    /// Segments in the order of the earliest known time.
    pub segments: Vec<Segment>,
    /// Names of the files that the segments lie in, where there are several (a rotated ring).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Segments of this connection left out because they add nothing (counted, never silent).
    pub omitted: u64,
}

/// One end of the connection.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Lane {
    /// Who this is to the reader: `proxy`, `backend`, or `client`, `server`.
    pub name: String,
    /// What runs there, where known: `nginx 1.22.1`.
    pub product: Option<String>,
    /// `address:port`.
    pub address: String,
}

/// Which times a trace knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Clocks {
    /// Captured at both ends by one clock: send and receive time of each segment.
    Both,
    /// One capture point: the one time of each segment is when it passed there.
    One,
}

/// What a segment does, for its colour and its arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentKind {
    /// SYN or SYN+ACK.
    Handshake,
    /// Client data.
    Request,
    /// Server data.
    Response,
    /// Nothing but an acknowledgement.
    Ack,
    /// FIN of either side.
    Fin,
    /// RST of either side.
    Reset,
}

/// One segment, or several alike folded into one (`count` > 1).
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Segment {
    /// Wireshark's frame number in the first capture that has it; 0 where that does not have it.
    pub frame: u64,
    /// Which of [`Trace::files`] that is.
    pub file: u32,
    /// Frame number in the other capture, where there are two.
    pub peer_frame: Option<u64>,
    /// The sender.
    pub from: Side,
    /// When it left the sender (two clocks), or passed the capture point (one clock).
    pub sent_ns: i64,
    /// When it reached the receiver; none when it was not seen there or there is one clock.
    pub received_ns: Option<i64>,
    /// What it does.
    pub kind: SegmentKind,
    /// Flags in the manner of a packet list: `FIN, ACK`.
    pub flags: String,
    /// Sequence number relative to the connection's first, as Wireshark shows it.
    pub seq: u32,
    /// Relative acknowledgement number; none without the ACK flag.
    pub ack: Option<u32>,
    /// Payload bytes.
    pub len: u32,
    /// What it proves, if it is evidence.
    pub role: Option<Role>,
    /// Short name for an arrow: `POST /orders`, `200 OK`, `FIN`, `RST`.
    pub label: String,
    /// What it means in plain words; empty when it needs none.
    pub meaning: String,
    /// Segments folded into this one (a storm of RSTs, a long body).
    pub count: u32,
}
