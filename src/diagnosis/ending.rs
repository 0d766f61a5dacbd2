//! How a connection ended, incident or not.

use crate::connection::{Connection, Protocol};
use crate::report::{Ending, Side};

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
    if server_ended && said_goodbye {
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
