//! What the usual proxies and clients write when a request dies this way, so that a log line leads to the packets.
//!
//! Sources: nginx 1.22, HAProxy 2.6 and Node 20 measured; the others from their documentation and public issues
//! (`docs/architecture.md` names them).

use std::collections::BTreeMap;

use crate::report::Cause;

/// How a client that reads sees the failure. On Linux, a reader that has received a FIN gets end-of-file even when a
/// RST follows; `ECONNRESET` means that the RST came without a FIN (measured).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    EndOfFile,
    Reset,
    Timeout,
    Refused,
    Other,
}

/// Log texts by product.
pub fn would_log(cause: Cause) -> BTreeMap<String, String> {
    let lines: &[(&str, &str)] = match seen(cause) {
        Seen::EndOfFile => &[
            ("nginx", "upstream prematurely closed connection while reading response header from upstream"),
            (
                "haproxy",
                "502 SH-- on a fresh client connection; nothing on a reused one (the client sees an empty reply)",
            ),
            ("envoy", "503 UC upstream_reset_before_response_started{connection_termination}"),
            ("aws-alb", "elb_status_code 502, target_status_code -, response_processing_time -1"),
            ("node", "ECONNRESET: socket hang up"),
            ("go", "EOF, or http: server closed idle connection"),
            ("python", "RemoteDisconnected('Remote end closed connection without response')"),
            ("java", "NoHttpResponseException: failed to respond"),
        ],
        Seen::Reset => &[
            (
                "nginx",
                "recv() failed (104: Connection reset by peer) while reading response header from upstream",
            ),
            (
                "haproxy",
                "502 SH-- on a fresh client connection; nothing on a reused one (the client sees an empty reply)",
            ),
            ("envoy", "503 UC upstream_reset_before_response_started{connection_termination}"),
            ("aws-alb", "elb_status_code 502, target_status_code -, response_processing_time -1"),
            ("node", "ECONNRESET: read ECONNRESET"),
            ("go", "read: connection reset by peer"),
            ("python", "ConnectionResetError(104, 'Connection reset by peer')"),
            ("java", "SocketException: Connection reset"),
        ],
        Seen::Timeout => &[
            (
                "nginx",
                "upstream timed out (110: Connection timed out) while reading response header from upstream",
            ),
            ("haproxy", "504 sH--"),
            ("envoy", "504 UT"),
            ("aws-alb", "elb_status_code 504"),
        ],
        Seen::Refused => &[
            ("nginx", "connect() failed (111: Connection refused) while connecting to upstream"),
            ("haproxy", "503 SC--"),
            ("envoy", "503 UF"),
            ("aws-alb", "elb_status_code 502"),
            ("node", "ECONNREFUSED"),
        ],
        Seen::Other => &[],
    };
    lines.iter().map(|(product, line)| ((*product).to_owned(), (*line).to_owned())).collect()
}

fn seen(cause: Cause) -> Seen {
    match cause {
        Cause::CrossedFin
        | Cause::DiscardedRequest
        | Cause::StaleReuse
        | Cause::AnnouncedClose
        | Cause::DiedMidRequest => Seen::EndOfFile,
        Cause::UnreadRequest | Cause::ResetIdle | Cause::StateLost => Seen::Reset,
        Cause::SilentDrop | Cause::ProxyTimeout | Cause::ConnectTimeout => Seen::Timeout,
        Cause::Refused => Seen::Refused,
        Cause::TruncatedResponse
        | Cause::ResponseReset
        | Cause::ClientAbort
        | Cause::UnsolicitedResponse
        | Cause::Goaway
        | Cause::Unknown => Seen::Other,
    }
}
