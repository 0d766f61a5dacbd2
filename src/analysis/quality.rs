//! Could this capture have shown a lost request at all? Inconclusive is never a pass.

use std::collections::BTreeMap;

use crate::connection::Connection;
use crate::packet::{Flags, Segment, Skip};
use crate::report::Side;

/// The most server ports remembered for the advice.
const MAX_PORTS: usize = 256;

/// Counts that tell what a capture could have shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Quality {
    skipped: BTreeMap<Skip, u64>,
    segments: u64,
    control: u64,
    resets: u64,
    connections: u64,
    one_way: u64,
    // Connections that may carry HTTP/2 inside TLS.
    hidden_http2: u64,
    // Bytes that the numbers prove were sent and the capture does not hold.
    missing: u64,
    // Connections by server port, for the command that would capture them.
    server_ports: BTreeMap<u16, u64>,
    // Connections whose numbers tell of bytes between SYN and FIN or RST that were not captured.
    hollow: u64,
}

impl Quality {
    /// Counts a record without a TCP segment.
    pub fn skip(&mut self, reason: Skip) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    /// Counts a segment.
    pub fn segment(&mut self, segment: &Segment<'_>) {
        self.segments += 1;
        self.resets += u64::from(segment.flags.rst());
        self.control += u64::from(segment.flags.0 & (Flags::SYN | Flags::FIN | Flags::RST) != 0);
    }

    /// Counts a connection.
    pub fn connection(&mut self, connection: &Connection) {
        let halves = [Side::Client, Side::Server].map(|side| connection.half(side));
        self.hollow += u64::from(halves.iter().any(|half| half.packets > 0 && half.is_hollow()));
        let port = connection.endpoint(Side::Server).port;
        if self.server_ports.len() < MAX_PORTS || self.server_ports.contains_key(&port) {
            *self.server_ports.entry(port).or_default() += 1;
        }
        self.hidden_http2 += u64::from(connection.offers_http2);
        let [client, server] = halves;
        self.missing += client.unseen(server) + server.unseen(client);
        // An attempt to connect that nothing answers has one direction by nature.
        if connection.packets() > 1 && halves[0].bytes + halves[1].bytes > 0 {
            self.connections += 1;
            self.one_way += u64::from(!connection.both_directions());
        }
    }

    /// The capture that shows everything a verdict needs: headers are enough, both directions, no filter on flags; on the
    /// port that most connections went to.
    fn recapture(&self, options: &str) -> String {
        let busiest =
            self.server_ports.iter().max_by_key(|(port, count)| (**count, std::cmp::Reverse(**port)));
        let port = busiest.map_or_else(|| "PORT".to_owned(), |(port, _)| port.to_string());
        format!("tcpdump -i any -s 256 {options}-w capture.pcap 'tcp port {port}'")
    }

    /// Why a capture of these link types could not have shown a lost request, or not every one; none when it could.
    pub fn objection(&self, link_types: &[&str], dropped_by_kernel: u64) -> Option<String> {
        let recapture = self.recapture("");
        let cut = self.skipped.get(&Skip::CutBeforeTcpHeader).copied().unwrap_or(0);
        if self.segments == 0 && cut > 0 {
            return Some(format!(
                "{cut} packets were cut before their TCP header (snap length too small): nothing can be told. Capture \
                 again: {recapture}"
            ));
        }
        if self.segments == 0 && self.skipped.contains_key(&Skip::UnknownLinkType) {
            return Some(format!(
                "finrace does not read packets of its link type ({}). Capture again where they are Ethernet or IP: \
                 {recapture}",
                link_types.join(", ")
            ));
        }
        if self.segments == 0 {
            return Some(format!(
                "there is no TCP segment in it. Capture the traffic of the failing hop: {recapture}"
            ));
        }
        if self.resets == self.segments {
            return Some(format!(
                "it holds RST segments only (a filter on flags): which request met them cannot be told. Capture again \
                 without that filter: {recapture}"
            ));
        }
        if self.control == self.segments && self.hollow > 0 {
            return Some(format!(
                "it holds only SYN, FIN and RST segments (a filter on flags): requests cannot be seen. Capture again \
                 without that filter: {recapture}"
            ));
        }
        if self.connections > 0 && self.one_way == self.connections {
            return Some(format!(
                "it holds one direction only: responses cannot be seen. Capture where both directions pass, without \
                 `src` or `dst` in the filter: {recapture}"
            ));
        }
        if dropped_by_kernel > 0 && self.missing > 0 {
            return Some(format!(
                "the capturing kernel dropped {dropped_by_kernel} packets, and {} bytes of the connections are missing: a \
                 lost request may be among them. Capture again with a larger buffer: {}",
                self.missing,
                self.recapture("-B 65536 ")
            ));
        }
        if self.hidden_http2 > 0 {
            let (noun, verb) =
                if self.hidden_http2 == 1 { ("connection", "offers") } else { ("connections", "offer") };
            return Some(format!(
                "{} TLS {noun} {verb} HTTP/2, whose requests cannot be told apart inside TLS. Capture behind the point \
                 where TLS ends: {recapture}",
                self.hidden_http2
            ));
        }
        None
    }
}
