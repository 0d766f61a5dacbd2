//! Could this capture have shown a lost request at all? Inconclusive is never a pass.

use std::collections::BTreeMap;

use crate::connection::Connection;
use crate::packet::{Flags, Segment, Skip, Tunnel};
use crate::report::Side;

/// The most server ports remembered for the advice.
const MAX_PORTS: usize = 256;

/// Counts that tell what a capture could have shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Quality {
    seen: Seen,
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

/// What the packets alone tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    skipped: BTreeMap<Skip, u64>,
    // The longest record that ended before its TCP header: the snap length, as far as it can be seen.
    cut_at: usize,
    segments: u64,
    control: u64,
    resets: u64,
}

impl Seen {
    /// Counts a record without a TCP segment, of which `captured` bytes were kept.
    pub fn skip(&mut self, reason: Skip, captured: usize) {
        *self.skipped.entry(reason).or_default() += 1;
        if matches!(reason, Skip::CutBeforeTcpHeader | Skip::CutInsideTunnel(_)) {
            self.cut_at = self.cut_at.max(captured);
        }
    }

    /// Counts a segment.
    pub fn segment(&mut self, segment: &Segment<'_>) {
        self.segments += 1;
        self.resets += u64::from(segment.flags.rst());
        self.control += u64::from(segment.flags.0 & (Flags::SYN | Flags::FIN | Flags::RST) != 0);
    }
}

impl Quality {
    /// Takes in the packets of a file.
    pub fn add(&mut self, file: &Seen) {
        for (reason, count) in &file.skipped {
            *self.seen.skipped.entry(*reason).or_default() += count;
        }
        self.seen.cut_at = self.seen.cut_at.max(file.cut_at);
        self.seen.segments += file.segments;
        self.seen.control += file.control;
        self.seen.resets += file.resets;
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

    /// Why a capture without any TCP segment has none, by what was passed over.
    fn nothing_read(&self, link_types: &[&str], recapture: &str) -> String {
        let cut_inside = self.seen.skipped.iter().find_map(|(reason, count)| match reason {
            Skip::CutInsideTunnel(tunnel) => Some((*tunnel, *count)),
            _ => None,
        });
        if let Some((tunnel, cut)) = cut_inside {
            return format!(
                "{cut} packets are {}, and their inner TCP headers were cut off (snap length {}): nothing can be told. \
                 Capture again: tcpdump -i any -s 320 -w capture.pcap{}",
                tunnel.name(),
                self.seen.cut_at,
                tunnel_filter(tunnel)
            );
        }
        if let Some(cut) = self.seen.skipped.get(&Skip::CutBeforeTcpHeader) {
            return format!(
                "{cut} packets were cut before their TCP header (snap length too small): nothing can be told. Capture \
                 again: {recapture}"
            );
        }
        if self.seen.skipped.contains_key(&Skip::UnknownLinkType) {
            return format!(
                "finrace does not read packets of its link type ({}). Capture again where they are Ethernet or IP: \
                 {recapture}",
                link_types.join(", ")
            );
        }
        if let Some(encrypted) = self.seen.skipped.get(&Skip::Encrypted) {
            return format!(
                "{encrypted} packets are encrypted (IPsec, MACsec or protected 802.11), and no TCP segment is in the \
                 clear. Capture again where that encryption has ended: {recapture}"
            );
        }
        format!("there is no TCP segment in it. Capture the traffic of the failing hop: {recapture}")
    }

    /// How many packets were cut before their TCP header, where others were not and bytes are missing; and the capture
    /// that keeps enough of them.
    fn cut(&self) -> Option<(u64, String)> {
        let mut cut = 0;
        let mut filter = None;
        for (reason, count) in &self.seen.skipped {
            match reason {
                Skip::CutBeforeTcpHeader => cut += count,
                Skip::CutInsideTunnel(tunnel) => {
                    cut += count;
                    filter = Some(tunnel_filter(*tunnel));
                }
                _ => {}
            }
        }
        let again = match filter {
            Some(filter) => format!("tcpdump -i any -s 320 -w capture.pcap{filter}"),
            None => self.recapture(""),
        };
        (cut > 0 && self.missing > 0).then_some((cut, again))
    }

    /// Why a capture of these link types could not have shown a lost request, or not every one; none when it could.
    pub fn objection(&self, link_types: &[&str], dropped_by_kernel: u64) -> Option<String> {
        let recapture = self.recapture("");
        if self.seen.segments == 0 {
            return Some(self.nothing_read(link_types, &recapture));
        }
        if self.seen.resets == self.seen.segments {
            return Some(format!(
                "it holds RST segments only (a filter on flags): which request met them cannot be told. Capture again \
                 without that filter: {recapture}"
            ));
        }
        if self.seen.control == self.seen.segments && self.hollow > 0 {
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
        if let Some((cut, more)) = self.cut() {
            return Some(format!(
                "{cut} packets were cut before their TCP header (snap length {}), and {} bytes of the connections are \
                 missing: a lost request may be among them. Capture again: {more}",
                self.seen.cut_at, self.missing
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

/// The filter of tcpdump that selects the packets of a tunnel, as the last argument of its command.
fn tunnel_filter(tunnel: Tunnel) -> &'static str {
    match tunnel {
        Tunnel::Vxlan => " 'udp port 4789 or udp port 4790 or udp port 8472'",
        Tunnel::Geneve => " 'udp port 6081'",
        Tunnel::Gre => " 'ip proto 47'",
        Tunnel::Gtp => " 'udp port 2152'",
        Tunnel::Ip => " 'ip proto 4 or ip proto 41'",
        Tunnel::Other => "",
    }
}
