//! When the connections of a capture were busy, idle and closed: what a timeline draws.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Cause, Side};

/// The connections of one trace on one axis of time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Timeline {
    /// Names of the files of the trace.
    pub files: Vec<String>,
    /// Time of the first segment of the trace.
    pub first_ns: i64,
    /// Time of the last.
    pub last_ns: i64,
    /// Connections, those with incidents first, otherwise in the order of first packets.
    pub lanes: Vec<TimelineLane>,
    /// Connections of the trace that have no lane (counted, never silent).
    pub connections_left_out: u64,
    /// Incidents on them.
    pub incidents_left_out: u64,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TimelineLane {
    /// Index in [`Timeline::files`] of the first file that holds it.
    pub file: u32,
    /// Wireshark's `tcp.stream` in that file.
    pub stream: u32,
    /// The side that sends requests.
    pub client: String,
    /// The side that answers.
    pub server: String,
    /// Time of the first segment.
    pub first_ns: i64,
    /// Time of the last.
    pub last_ns: i64,
    /// From each request's first byte to the last byte of its response, as far as the capture shows; neighbours are joined
    /// where there are very many.
    pub exchanges: Vec<TimelineSpan>,
    /// FINs and RSTs, one of each side and kind.
    pub closes: Vec<TimelineClose>,
    /// Lost requests.
    pub incidents: Vec<TimelineIncident>,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TimelineSpan {
    /// Its beginning.
    pub from_ns: i64,
    /// Its end.
    pub to_ns: i64,
}

/// One side ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TimelineClose {
    /// Which side.
    pub side: Side,
    /// By RST rather than FIN.
    pub reset: bool,
    /// When.
    pub time_ns: i64,
}

/// A lost request.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TimelineIncident {
    /// Its number in the report.
    pub id: u32,
    /// Why it died.
    pub cause: Cause,
    /// When it was captured.
    pub time_ns: i64,
    /// What was asked, without the query.
    pub request: String,
}
