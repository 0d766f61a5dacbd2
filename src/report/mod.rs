//! The stable, serialisable result of an analysis: what every renderer draws and what `--format json` prints.
//!
//! Plain data, a leaf of the module tree: it knows neither how the facts were found nor how they are drawn.
//! Times are integer nanoseconds since the Unix epoch, durations integer nanoseconds, enums closed tokens.
//! Every string that came out of a capture is already reduced to printable ASCII by the layer that read it
//! (`connection::http`), so it can be shown on a terminal; markup still has to be escaped where markup is made.

pub mod explanation;
mod filter;
mod moment;
mod odds;
mod redact;
mod run;
mod schema;
mod soak;
pub mod sweep;
mod timeline;
mod trace;
mod words;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

pub use filter::{Around, Filter, Unlisted};
pub use moment::Moment;
pub use odds::{ODDS_SCHEMA, Odds, OddsChange, OddsTimer};
pub use redact::Redaction;
pub use run::{Attempt, Expectation, Party, ProductLog, Run};
pub use schema::{SCHEMA_VERSION, json_schema};
pub use soak::{SOAK_SCHEMA, Soak, SoakCause, SoakMeasured, SoakPrediction, SoakShare};
pub use timeline::{Timeline, TimelineClose, TimelineIncident, TimelineLane, TimelineSpan};
pub use trace::{Clocks, Lane, Segment, SegmentKind, Trace};
pub use words::{
    Cause, Confidence, Ending, Fit, PathLoss, Retried, RetrySafe, Risk, Role, Root, Side, Vantage, Verdict,
};

/// Everything one analysis found, in the order of first packets.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// Version of this layout; see [`SCHEMA_VERSION`].
    pub schema: u32,
    /// The experiment, when the captures come from the lab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// One entry per capture read, in the order read: rings and single files by the time of their first packet, pipes last.
    pub captures: Vec<Capture>,
    /// Counts over all captures.
    pub summary: Summary,
    /// Requests that did not get their response: capture by capture in order of time; from a pipe with `ndjson`, in the
    /// order in which they became certain.
    pub incidents: Vec<Incident>,
    /// What each server's idle timers look like, incidents or not.
    pub servers: Vec<Server>,
    /// Every connection; only when asked for, because healthy captures hold many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<Connection>>,
}

impl Report {
    /// Name of a capture as given by the user.
    pub fn file_of(&self, capture: u32) -> &str {
        usize::try_from(capture).ok().and_then(|index| self.captures.get(index)).map_or("", |it| &it.file)
    }

    /// The captures that are one trace with this one, in the order of their times.
    pub fn trace_of(&self, capture: u32) -> Vec<u32> {
        let before = |capture: &u32| self.captures.get(*capture as usize).and_then(|it| it.continues);
        let mut trace: Vec<u32> =
            std::iter::successors(Some(capture), before).take(self.captures.len()).collect();
        trace.reverse();
        for (index, later) in (0..).zip(&self.captures) {
            if later.continues.is_some() && later.continues == trace.last().copied() {
                trace.push(index);
            }
        }
        trace
    }
}

/// What was read, and what could not be.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Capture {
    /// Name as given by the user; `-` is standard input.
    pub file: String,
    /// `pcap` or `pcapng`, with byte order and time resolution, for example `pcap, little-endian, microseconds`.
    pub format: String,
    /// Names of the link types met, for example `ethernet`.
    pub link_types: Vec<String>,
    /// Records read.
    pub packets: u64,
    /// Records that hold no TCP segment finrace could read, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Packets the capturing kernel says it dropped (pcapng interface statistics), where recorded.
    pub dropped_by_kernel: Option<u64>,
    /// Why the file ends before its last record does, if it does.
    pub truncated: Option<String>,
    /// Index into [`Report::captures`] of the file that this one continues, where both are one trace (a rotated ring).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues: Option<u32>,
    /// Time of the first record.
    pub first_ns: Option<i64>,
    /// Time of the last record.
    pub last_ns: Option<i64>,
}

/// Counts, and whether the captures could have shown the race at all.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Summary {
    /// Records read.
    pub packets: u64,
    /// TCP segments among them.
    pub tcp_packets: u64,
    /// TCP connections.
    pub connections: u64,
    /// Requests seen (HTTP requests, or bursts of client data that expect an answer).
    pub requests: u64,
    /// Requests that died: the length of [`Report::incidents`], unless a note says that not all are listed.
    pub incidents: u64,
    /// Incidents left out because they do not match the filter.
    pub filtered_out: u64,
    /// Incidents by cause.
    pub by_cause: BTreeMap<Cause, u64>,
    /// False when the captures could not have shown an incident (one direction only, cut headers, RST-only filter).
    pub conclusive: bool,
    /// Sentences the reader needs before believing the numbers.
    pub notes: Vec<String>,
}

/// One request that did not get its response.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Incident {
    /// 1-based number, unique in this report.
    pub id: u32,
    /// Why it died.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// Index into [`Report::captures`] of the capture that holds the request, or the SYN where there was none.
    pub capture: u32,
    /// Wireshark's `tcp.stream` in that capture.
    pub stream: u32,
    /// The side that sent the request, `address:port`.
    pub client: String,
    /// The side that should have answered, `address:port`.
    pub server: String,
    /// When the request was captured.
    pub time_ns: i64,
    /// Time from the last byte of the previous exchange to the request; none on a first request, and where the previous
    /// exchange was not captured.
    pub idle_ns: Option<i64>,
    /// Where the previous exchange lies before the capture: the connection was idle for at least so long, as the capture
    /// shows; none where `idle_ns` tells the time itself.
    pub idle_at_least_ns: Option<i64>,
    /// Time from the last byte of the previous exchange to the server's close: what a timer of the server counts, where
    /// `idle_ns` is what one of the client does.
    pub idle_at_close_ns: Option<i64>,
    /// Time from the packet before the request, of either side and whatever it carried: devices on the path count from there.
    pub silence_ns: Option<i64>,
    /// What was done to the request on its path, for `state-lost` and `silent-drop`; none where that cannot be told.
    pub path_loss: Option<PathLoss>,
    /// Requests answered on this connection before.
    pub requests_before: u32,
    /// It is the first request of a connection that was captured from its beginning, or the attempt to connect.
    pub first_request: bool,
    /// Whether the request's acknowledgement number covers the server's FIN (DESIGN rule: no = crossed in flight).
    pub ack_covers_fin: Option<bool>,
    /// What the response before had announced; none where it could not be read (cut off, encrypted, not HTTP/1).
    pub announced: Option<Announced>,
    /// Time from the server's FIN to the request at the capture point; negative when the request was captured first.
    pub fin_to_request_ns: Option<i64>,
    /// What was asked.
    pub request: Request,
    /// The frames of that capture that prove the cause, by role; frame numbers are Wireshark's.
    pub frames: BTreeMap<Role, u64>,
    /// The same of other files of the trace, where it spans several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub frames_elsewhere: BTreeMap<Role, FrameIn>,
    /// RST segments that answered this one request.
    pub resets: u32,
    /// The proof in sentences, strongest first.
    pub evidence: Vec<String>,
    /// What would have spoken against the verdict, and was looked for.
    pub counter_evidence: Vec<String>,
    /// Can the server's application have processed the request?
    pub retry_safe: RetrySafe,
    /// Whether the request was sent again, and its user saw nothing of the loss.
    pub retried: Retried,
    /// The equal request that followed on another connection; of several tries, the last.
    pub retry: Option<Retry>,
    /// Where the capture was taken, as far as the packets tell.
    pub vantage: Vantage,
    /// Whether this is the keep-alive race: both sides acted within one trip of a packet, and a timer or a limit made the
    /// server close, not a restart.
    pub race: bool,
    /// What brought the close about.
    pub root: Root,
    /// What the usual proxies and clients write when this happens to them, by product.
    pub would_log: BTreeMap<String, String>,
    /// One plain sentence: what happened.
    pub what_happened: String,
    /// One plain sentence: what to change.
    pub advice: String,
}

/// An equal request on another connection, which followed a lost one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Retry {
    /// Index into [`Report::captures`] of the capture that holds it.
    pub capture: u32,
    /// Wireshark's `tcp.stream` in that capture.
    pub stream: u32,
    /// Its first frame.
    pub frame: u64,
    /// How long after its client could know of the loss it began; the wait for a handshake is left out.
    pub after_ns: i64,
    /// HTTP status of its answer; none where it had none, or none that could be read.
    pub status: Option<u16>,
}

/// A frame of another capture than the incident's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct FrameIn {
    /// Index into [`Report::captures`].
    pub capture: u32,
    /// Wireshark's frame number in it.
    pub frame: u64,
}

/// What the headers of a response say of the future of its connection (RFC 9112 section 9.6; RFC 2068 section 19.7.1.1 for
/// `Keep-Alive`, which binds nobody).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Announced {
    /// The connection ends with it: `Connection: close` (of the response, or of the request that it answers), HTTP/1.0 without
    /// keep-alive, or `Keep-Alive: max=0`.
    pub close: bool,
    /// `Keep-Alive: timeout`.
    pub timeout_ns: Option<i64>,
    /// `Keep-Alive: max`: requests that the connection takes still.
    pub max_requests: Option<u32>,
    /// The client sent the lost request when that timeout was over, by its own clock.
    pub overdue: bool,
}

/// The request as far as its bytes were readable.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Request {
    /// HTTP method; none where the payload is not HTTP.
    pub method: Option<String>,
    /// Path without its query.
    pub path: Option<String>,
    /// Bytes the client sent for it, as far as captured by sequence numbers.
    pub bytes: u64,
    /// What the bytes are: `http`, `tls` or `data`.
    pub protocol: String,
}

impl Request {
    /// `POST /orders`, or what is known when the bytes are not HTTP, or when there are none.
    pub fn label(&self) -> String {
        match (&self.method, &self.path) {
            (Some(method), Some(path)) => format!("{method} {path}"),
            _ if self.bytes == 0 => "connection attempt".to_owned(),
            _ if self.protocol == "http2" => format!("HTTP/2 request ({} B)", self.bytes),
            _ if self.protocol == "tls" => format!("request (encrypted, {} B)", self.bytes),
            _ => format!("request ({} B)", self.bytes),
        }
    }
}

/// The observed timers of one server.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Server {
    /// `address:port`.
    pub server: String,
    /// Connections seen.
    pub connections: u64,
    /// Idle times after which the server closed first.
    pub server_idle_close: Option<IdleClose>,
    /// Idle times after which the client closed first.
    pub client_idle_close: Option<IdleClose>,
    /// The longest idle time after which the client still sent another request.
    pub longest_reuse_ns: Option<i64>,
    /// The same of connections that were idle before the capture holds them: at least so long.
    pub reused_at_least_ns: Option<i64>,
    /// The longest silence before the server closed first, of connections that were idle before the capture holds them:
    /// it keeps idle connections for at least so long.
    pub closed_at_least_ns: Option<i64>,
    /// A path to it on which something forgot a connection: the one that forgets soonest.
    pub path_forgets: Option<PathForgets>,
    /// Whether requests can be lost: the pair can race, or something between the two forgets connections.
    pub verdict: Verdict,
    /// Why it is at risk; empty where it is not.
    pub risks: Vec<Risk>,
    /// What to change, with numbers.
    pub advice: String,
}

impl Server {
    /// The longest idle time after which the client was seen to send another request, and whether it may have been longer.
    pub fn reused(&self) -> Option<(i64, bool)> {
        let (exactly, at_least) = (self.longest_reuse_ns, self.reused_at_least_ns);
        exactly.max(at_least).map(|longest| (longest, at_least > exactly))
    }
}

/// How long something between a client and a server remembers a connection on which nothing passes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PathForgets {
    /// The longest silence that a connection survived on this path; none where none survived 0.1 s. Where it is not shorter
    /// than `gone_ns`, no idle timer explains the loss.
    pub survived_ns: Option<i64>,
    /// The shortest silence after which a connection was gone.
    pub gone_ns: i64,
    /// Requests lost to it.
    pub losses: u64,
    /// Devices whose default lies between the two. A likeness, never a proof.
    pub looks_like: Vec<LooksLike>,
}

impl PathForgets {
    /// Whether an idle timer can explain it.
    pub fn is_by_timer(&self) -> bool {
        self.survived_ns.is_none_or(|survived| survived < self.gone_ns)
    }
}

impl Server {
    /// The verdict in words.
    pub fn verdict_words(&self) -> &'static str {
        match (self.verdict, &self.path_forgets) {
            (Verdict::AtRisk, Some(forgets)) if forgets.is_by_timer() => "AT RISK: something between forgets",
            (Verdict::AtRisk, Some(_)) => "AT RISK: connections got lost",
            (Verdict::AtRisk, None) => "AT RISK",
            (Verdict::Safe, _) => "safe",
            (Verdict::Unknown, _) => "unknown",
        }
    }
}

/// Spread of the idle times before one side closed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct IdleClose {
    /// Closes observed.
    pub count: u64,
    /// The most frequent value (nearest observed).
    pub mode_ns: i64,
    /// Smallest.
    pub min_ns: i64,
    /// Largest.
    pub max_ns: i64,
    /// All of them, in order of idle time: at most 64 buckets, none of them empty.
    pub histogram: Vec<IdleBucket>,
    /// Products whose default this time looks like, the likeliest first; empty where there is no timer to be seen, or
    /// none that is known. A likeness, never a proof.
    pub looks_like: Vec<LooksLike>,
}

/// Closes after about the same idle time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct IdleBucket {
    /// The smallest idle time in it.
    pub from_ns: i64,
    /// The largest.
    pub to_ns: i64,
    /// Closes.
    pub count: u64,
}

/// A product that closes idle connections after the observed time when nothing is set.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LooksLike {
    /// Its name for `finrace timeouts NAME`.
    pub product: String,
    /// Its full name.
    pub name: String,
    /// The setting that changes the time; none where it has no such setting.
    pub setting: Option<String>,
    /// The idle time after which it closes by default.
    pub default_ns: i64,
    /// The releases, or the circumstances, that this holds for; none where it is all of them.
    pub versions: Option<String>,
}

/// The likeliest products for a sentence: `Uvicorn (timeout_keep_alive) or Apache httpd (KeepAliveTimeout)`.
pub fn likeness(looks_like: &[LooksLike]) -> Option<String> {
    /// More names say less.
    const NAMED: usize = 3;
    /// A longer word on releases does not fit into a sentence.
    const SHORT: usize = 24;
    let named: Vec<String> = looks_like
        .iter()
        .take(NAMED)
        .map(|it| {
            let versions = it.versions.as_ref().filter(|versions| versions.len() <= SHORT);
            let facts: Vec<&str> = it.setting.iter().chain(versions).map(String::as_str).collect();
            if facts.is_empty() { it.name.clone() } else { format!("{} ({})", it.name, facts.join(", ")) }
        })
        .collect();
    let (last, before) = named.split_last()?;
    Some(if before.is_empty() { last.clone() } else { format!("{} or {last}", before.join(", ")) })
}

/// One connection, incident or not.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Connection {
    /// Index into [`Report::captures`] of the capture that holds its first packet.
    pub capture: u32,
    /// Wireshark's `tcp.stream` in that capture.
    pub stream: u32,
    /// The side that sends requests.
    pub client: String,
    /// The side that answers.
    pub server: String,
    /// Where the capture was taken, as far as this connection tells.
    pub vantage: Vantage,
    /// Segments captured.
    pub packets: u64,
    /// Requests seen.
    pub requests: u32,
    /// How it ended.
    pub ending: Ending,
    /// Which side closed first, where one did.
    pub closed_first: Option<Side>,
    /// Idle time before that close.
    pub idle_before_close_ns: Option<i64>,
    /// Time of the first segment.
    pub first_ns: i64,
    /// Time of the last segment.
    pub last_ns: i64,
}
