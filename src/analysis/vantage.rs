//! Where was this captured? Told by who seems to answer at once.

use crate::connection::Connection;
use crate::report::{Side, Vantage};

/// Below this, both ends answer at once and the place cannot be told (loopback, one rack).
const SHORTEST_TRIP_NS: i64 = 50_000;
/// The far end answers at least this many times later than the near one.
const CONTRAST: i64 = 4;
/// Without a handshake, the far end answers at least this many times later than the near one.
const ACK_CONTRAST: i64 = 20;

/// At the client, the SYN+ACK takes a round trip and the client's ACK follows at once; at the server it is the other way
/// round; in between, both take a part. Where the handshake was not captured, acknowledgements of data tell the same,
/// less often. For words and pictures only, never for a verdict.
pub fn vantage(connection: &Connection) -> Vantage {
    let syn =
        connection.half(Side::Client).syn().filter(|_| connection.half(Side::Client).syn_repeats() == 0);
    let (Some(syn), Some(answer), Some(ack_ns)) =
        (syn, connection.half(Side::Server).syn(), connection.established_ns())
    else {
        return from_acknowledgements(connection);
    };
    let server_took = answer.at.time_ns - syn.at.time_ns;
    let client_took = ack_ns - answer.at.time_ns;
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

/// The end that acknowledged data at once is near, if the other one never did; known only where
/// 1. the payload or the beginning proved which end is the client, and they are two hosts;
/// 2. both ends acknowledged data;
/// 3. the near end did so at least once within 50 µs, sooner than any network lets the far one;
/// 4. the far end always took many times as long.
///
/// A long time alone proves nothing: kernels delay acknowledgements (40 ms on Linux, 200 ms elsewhere) or send them with
/// the response. That is why the near end must have been immediate, and why "between" is never concluded.
fn from_acknowledgements(connection: &Connection) -> Vantage {
    let (client, server) = (connection.endpoint(Side::Client), connection.endpoint(Side::Server));
    if !connection.roles_proven || client.ip() == server.ip() {
        return Vantage::Unknown;
    }
    let took = |side: Side| connection.half(side.peer()).shortest_ack_ns();
    let (Some(client_took), Some(server_took)) = (took(Side::Client), took(Side::Server)) else {
        return Vantage::Unknown;
    };
    told_by(client_took, server_took)
}

/// How soon each end acknowledged at best, to the end that is near.
fn told_by(client_took_ns: i64, server_took_ns: i64) -> Vantage {
    let is_near = |near_ns: i64, far_ns: i64| {
        near_ns < SHORTEST_TRIP_NS && far_ns > (ACK_CONTRAST * near_ns).max(2 * SHORTEST_TRIP_NS)
    };
    if is_near(client_took_ns, server_took_ns) {
        Vantage::Client
    } else if is_near(server_took_ns, client_took_ns) {
        Vantage::Server
    } else {
        Vantage::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: i64 = 1_000;

    #[test]
    fn an_end_that_answers_at_once_is_near_when_the_other_never_does() {
        assert_eq!(told_by(8 * US, 20_000 * US), Vantage::Client);
        assert_eq!(told_by(20_000 * US, 8 * US), Vantage::Server);
        assert_eq!(told_by(0, 300 * US), Vantage::Client);
    }

    #[test]
    fn a_delayed_acknowledgement_tells_no_place() {
        // Seen at the server, 300 µs from the client: the server's kernel waits for its application.
        assert_eq!(told_by(300 * US, 40_000 * US), Vantage::Unknown);
        // Both at once: loopback.
        assert_eq!(told_by(8 * US, 12 * US), Vantage::Unknown);
        assert_eq!(told_by(0, 0), Vantage::Unknown);
        // Neither at once: in between, or both delayed.
        assert_eq!(told_by(2_000 * US, 40_000 * US), Vantage::Unknown);
    }
}
