//! Where was this captured? RunReport by who seems to answer at once.

use crate::connection::Connection;
use crate::report::{Side, Vantage};

/// Below this, both ends answer at once and the place cannot be told (loopback, one rack).
const SHORTEST_TRIP_NS: i64 = 50_000;
/// The far end answers at least this many times later than the near one.
const CONTRAST: i64 = 4;

/// At the client, the SYN+ACK takes a round trip and the client's ACK follows at once; at the server it is the other way
/// round; in between, both take a part. For words and pictures only, never for a verdict.
pub fn vantage(connection: &Connection) -> Vantage {
    let syn = connection.half(Side::Client).syn.filter(|_| connection.half(Side::Client).syn_repeats == 0);
    let (Some(syn), Some(answer), Some(ack)) =
        (syn, connection.half(Side::Server).syn, connection.established)
    else {
        return Vantage::Unknown;
    };
    let server_took = answer.time_ns - syn.time_ns;
    let client_took = ack.time_ns - answer.time_ns;
    if server_took.max(client_took) < SHORTEST_TRIP_NS {
        Vantage::Unknown
    } else if server_took > client_took.saturating_mul(CONTRAST) {
        Vantage::Client
    } else if client_took > server_took.saturating_mul(CONTRAST) {
        Vantage::Server
    } else {
        Vantage::Between
    }
}
