//! How a connection ended, incident or not.

use crate::connection::{Connection, Protocol};
use crate::report::{Ending, Side};

use super::Case;

/// A client's first TLS application record this small is the end of its handshake (a TLS 1.3 Finished of 58 or 74
/// bytes), not a request.
const TLS_FINISHED: u32 = 80;
/// `GET / HTTP/1.1`, an empty Host field and the 22 bytes that TLS 1.3 adds; the control frames of HTTP/2 that say nothing
/// but goodbye are smaller (GOAWAY 39, PING 39, WINDOW_UPDATE 35, SETTINGS 31).
const SMALLEST_TLS_REQUEST: u32 = 26 + 22;

/// Names the ending of a connection; `said_goodbye` tells whether the client's last words needed no answer.
pub fn ending(connection: &Connection, said_goodbye: bool) -> Ending {
    let (client, server) = (connection.half(Side::Client), connection.half(Side::Server));
    let no_data = client.bytes == 0 && server.bytes == 0;
    if client.syn().is_some() && server.syn().is_none() && client.bytes == 0 {
        if server.rst().is_some() {
            return Ending::Refused;
        }
        if !server.seen() {
            return Ending::NoAnswer;
        }
    }
    let (client_ended, server_ended) = (client.has_ended(), server.has_ended());
    if !client_ended && !server_ended {
        return Ending::Open;
    }
    if no_data && connection.has_handshake() && connection.closed_first() == Some(Side::Client) {
        return Ending::Probe;
    }
    if connection.has_alert() && connection.protocol == Protocol::Tls {
        return Ending::TlsClose;
    }
    if server.fin().is_some() && said_goodbye {
        return Ending::Goodbye;
    }
    match connection.closed_first() {
        Some(Side::Client) if client.fin().is_some() => Ending::ClientFin,
        Some(Side::Client) => Ending::ClientReset,
        Some(Side::Server) if server.fin().is_some() => Ending::ServerFin,
        Some(Side::Server) => Ending::ServerReset,
        None => Ending::BothFin,
    }
}

/// Data that looks like a request and is only a farewell, so that nothing was lost:
/// 1. the end of a TLS handshake, or anything in a TLS connection whose client offered HTTP/2;
/// 2. bytes on an HTTP connection that are no HTTP request, or come after HTTP was left (an upgrade, CONNECT);
/// 3. data of another protocol, by a client that knew of the server's FIN or closed by itself without waiting for
///    anything (`QUIT`, an SSH disconnect), or to which the server's FIN is the immediate answer (an LDAP unbind), or in
///    a protocol where nothing was ever answered or the server speaks first.
pub(super) fn is_goodbye(case: &Case<'_>) -> bool {
    let connection = case.connection;
    if case.exchange.answered() {
        return false;
    }
    match connection.protocol {
        // A burst of HTTP/2 inside TLS may be a farewell or a window update: it cannot be judged. Where the ClientHello was
        // cut before its ALPN extension, the size tells.
        Protocol::Tls => {
            connection.offers_http2
                || case.exchange.bytes() < SMALLEST_TLS_REQUEST
                || (connection.served == 0 && case.exchange.bytes() <= TLS_FINISHED)
        }
        Protocol::Http => !case.exchange.is_request || connection.is_upgraded(),
        // Only HEADERS frames begin an exchange: the farewells of HTTP/2 (GOAWAY, SETTINGS, PING) are none.
        // With frames missing, a response may have passed unseen.
        Protocol::Http2 => connection.http2_is_lost(),
        Protocol::Data | Protocol::Unknown => {
            let knew_of_fin = case.ack_covers_fin() == Some(true);
            let closed_by_itself = match (case.client.fin(), case.server.fin_seq()) {
                (Some(close), Some(fin)) => !close.ack.after(fin),
                (Some(_), None) => true,
                (None, _) => false,
            };
            let answered_by_close = match (case.server.fin(), case.exchange.acked) {
                (Some(fin), Some(acked)) => fin.frame == acked.frame(),
                _ => false,
            };
            connection.server_speaks_first
                || connection.served == 0
                || knew_of_fin
                || closed_by_itself
                || answered_by_close
        }
    }
}
