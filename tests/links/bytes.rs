//! Headers as bytes. Nothing of what is under test builds the tests.

use super::pcap::Packet;

const UDP: u8 = 17;

/// One part after the other.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// An Ethernet frame with the addresses of the two hosts, or of the two ends of a tunnel.
pub fn ethernet(packet: &Packet, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&addresses(packet), &ethertype.to_be_bytes(), payload])
}

/// Destination and source, of those kept for documentation (RFC 9542 section 2.1.4): Wireshark finds the frame in an MPLS
/// pseudo-wire by vendors it knows.
pub fn addresses(packet: &Packet) -> [u8; 12] {
    let (to, from) = if packet.from_client { (2, 1) } else { (1, 2) };
    [0, 0, 0x5e, 0, 0x53, to, 0, 0, 0x5e, 0, 0x53, from]
}

/// An Ethernet frame around the packet as it is.
pub fn plain(packet: &Packet) -> Vec<u8> {
    ethernet(packet, packet.ethertype(), &packet.ip)
}

/// LLC and SNAP with an EtherType.
pub fn snap(packet: &Packet) -> Vec<u8> {
    join(&[&[0xaa, 0xaa, 0x03, 0, 0, 0], &packet.ethertype().to_be_bytes(), &packet.ip])
}

/// IPv4 between the ends of a tunnel, in an Ethernet frame.
pub fn over_ipv4(packet: &Packet, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(packet, 0x0800, &ipv4(packet, protocol, payload))
}

/// IPv4 between the ends of a tunnel.
pub fn ipv4(packet: &Packet, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (from, to) = if packet.from_client { (1, 2) } else { (2, 1) };
    let total_len = (20 + payload.len() as u16).to_be_bytes();
    let mut header = vec![0x45, 0, total_len[0], total_len[1], 0, 7, 0, 0, 64, protocol, 0, 0];
    header.extend([198, 51, 100, from, 198, 51, 100, to]);
    with_checksum(&mut header);
    join(&[&header, payload])
}

/// IPv6 between the ends of a tunnel, in an Ethernet frame.
pub fn over_ipv6(packet: &Packet, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let (from, to) = if packet.from_client { (0x11, 0x12) } else { (0x12, 0x11) };
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((payload.len() as u16).to_be_bytes());
    header.extend([next_header, 64]);
    for last in [from, to] {
        header.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    ethernet(packet, 0x86dd, &join(&[&header, payload]))
}

/// UDP over IPv4 to the port of a tunnel, without a checksum.
pub fn over_udp(packet: &Packet, port: u16, payload: &[u8]) -> Vec<u8> {
    over_ipv4(packet, UDP, &udp(port, payload))
}

/// UDP to a port, without a checksum.
pub fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    const ANY_PORT: u16 = 54_321;
    let len = 8 + payload.len() as u16;
    join(&[&ANY_PORT.to_be_bytes(), &port.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload])
}

/// Computes the checksum of an IPv4 header again (RFC 1071).
pub fn with_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let sum = !((folded & 0xffff) + (folded >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}
