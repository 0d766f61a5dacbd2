//! Who is the client? Proven by a handshake or by the payload, otherwise suggested by what is known of the ports.

use std::collections::HashSet;

use crate::packet::{Endpoint, Flags, Segment};

use super::{Connection, http, tls};

/// Server endpoints remembered; beyond it, ports have to do.
const MAX_KNOWN_SERVERS: usize = 65_536;
/// Start of the range that IANA leaves to clients and that no common kernel's clients go below by default
/// (Linux 32768, the BSDs and macOS 49152).
const EPHEMERAL: u16 = 32_768;

/// What suggests that an endpoint is a server when a connection began before the capture.
#[derive(Debug, Default)]
pub struct RoleHints {
    /// Ports the user says are servers' ports.
    pub server_ports: Vec<u16>,
    known_servers: HashSet<Endpoint>,
}

impl RoleHints {
    /// Hints with the server ports that the user named.
    pub fn new(server_ports: Vec<u16>) -> RoleHints {
        RoleHints { server_ports, known_servers: HashSet::new() }
    }

    /// Remembers an endpoint that a handshake proved to be a server.
    pub fn learn(&mut self, server: Endpoint) {
        if self.known_servers.len() < MAX_KNOWN_SERVERS {
            self.known_servers.insert(server);
        }
    }

    /// How much speaks for this endpoint being a server.
    fn weight(&self, endpoint: Endpoint) -> u8 {
        if self.server_ports.contains(&endpoint.port) {
            4
        } else if self.known_servers.contains(&endpoint) {
            3
        } else if endpoint.port < 1024 {
            2
        } else {
            u8::from(endpoint.port < EPHEMERAL)
        }
    }
}

impl Connection {
    /// While nothing has proven who is the client: decides it as soon as something tells, and never changes a decision that payload relied on.
    pub(super) fn settle_roles(&mut self, segment: &Segment<'_>, sender: usize, hints: &RoleHints) {
        if let Some(client) = second_is_client(segment, sender == 1)
            && (self.client_is_second.is_none_or(|guess| guess == client) || self.last_data.get().is_none())
        {
            self.client_is_second = Some(client);
            self.roles_proven = true;
            return;
        }
        let matters = segment.payload_len > 0 || segment.flags.fin() || segment.flags.rst();
        if self.client_is_second.is_none() && matters {
            let [first, second] = self.ends.map(|end| hints.weight(end));
            self.client_is_second = Some(match first.cmp(&second) {
                std::cmp::Ordering::Greater => true,
                std::cmp::Ordering::Less => false,
                // Nothing tells them apart: servers have the lower port more often than not.
                std::cmp::Ordering::Equal => self.ends[0].port < self.ends[1].port,
            });
        }
    }
}

/// Whether the second end is proven to be the client, by a segment that the second one sent, or the first.
fn second_is_client(segment: &Segment<'_>, second_sent: bool) -> Option<bool> {
    match (segment.flags.syn(), segment.flags.ack()) {
        (true, false) => return Some(second_sent),
        (true, true) => return Some(!second_sent),
        _ => {}
    }
    let payload = segment.payload;
    if http::starts_request(payload) || tls::is_client_hello(payload) {
        Some(second_sent)
    } else if http::starts_response(payload) || tls::is_server_hello(payload) {
        Some(!second_sent)
    } else {
        None
    }
}

/// Whether the segment is a SYN+ACK, whose sender is a server for sure.
pub(super) fn proves_server(flags: Flags) -> bool {
    flags.syn() && flags.ack()
}
