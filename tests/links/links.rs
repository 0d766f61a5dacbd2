//! The packet behind every link header.

use super::bytes::{addresses, ethernet, join, plain, snap};
use super::pcap::Packet;

pub fn as_it_is(packet: &Packet) -> Vec<u8> {
    packet.ip.clone()
}

/// The packet behind a header.
fn behind(header: &[u8], packet: &Packet) -> Vec<u8> {
    join(&[header, &packet.ip])
}

/// The packet behind a header that ends with its EtherType.
fn behind_with_ethertype(header: &[u8], packet: &Packet) -> Vec<u8> {
    join(&[header, &packet.ethertype().to_be_bytes(), &packet.ip])
}

pub fn vlan(packet: &Packet) -> Vec<u8> {
    behind_with_ethertype(&join(&[&addresses(packet), &[0x81, 0x00, 0x00, 0x0a]]), packet)
}

pub fn qinq(packet: &Packet) -> Vec<u8> {
    let tags = [0x88, 0xa8, 0x00, 0x0a, 0x81, 0x00, 0x00, 0x14];
    behind_with_ethertype(&join(&[&addresses(packet), &tags]), packet)
}

pub fn ethernet_snap(packet: &Packet) -> Vec<u8> {
    let payload = snap(packet);
    join(&[&addresses(packet), &(payload.len() as u16).to_be_bytes(), &payload])
}

pub fn ethernet_llc_ip(packet: &Packet) -> Vec<u8> {
    let payload = behind(&[0x06, 0x06, 0x03], packet);
    join(&[&addresses(packet), &(payload.len() as u16).to_be_bytes(), &payload])
}

pub fn backbone(packet: &Packet) -> Vec<u8> {
    // Service instance 10.
    ethernet(packet, 0x88e7, &join(&[&[0, 0, 0, 10], &plain(packet)]))
}

pub fn fabric_path(packet: &Packet) -> Vec<u8> {
    // Wireshark takes the last four bytes for a checksum.
    ethernet(packet, 0x8903, &join(&[&[0x00, 0x60], &plain(packet), &[0x5a; 4]]))
}

pub fn vn_tag(packet: &Packet) -> Vec<u8> {
    ethernet(packet, 0x8926, &behind_with_ethertype(&[0, 0, 0, 1], packet))
}

pub fn macsec_integrity(packet: &Packet) -> Vec<u8> {
    // No encryption, association 0; packet number 1; sixteen bytes of integrity check at the end.
    let tagged = behind_with_ethertype(&[0, 0, 0, 0, 0, 1], packet);
    ethernet(packet, 0x88e5, &join(&[&tagged, &[0x5a; 16]]))
}

pub fn mpls(packet: &Packet) -> Vec<u8> {
    // Labels 16 and 17, the second the last.
    ethernet(packet, 0x8847, &behind(&[0, 1, 0, 64, 0, 1, 0x11, 64], packet))
}

pub fn mpls_pseudowire_bare(packet: &Packet) -> Vec<u8> {
    ethernet(packet, 0x8847, &join(&[&[0, 1, 1, 64], &plain(packet)]))
}

pub fn mpls_pseudowire(packet: &Packet) -> Vec<u8> {
    ethernet(packet, 0x8847, &join(&[&[0, 1, 1, 64], &[0, 0, 0, 1], &plain(packet)]))
}

/// Session 1 of PPPoE.
pub fn pppoe(packet: &Packet) -> Vec<u8> {
    let len = (packet.ip.len() as u16 + 2).to_be_bytes();
    behind(&[0x11, 0, 0, 1, len[0], len[1], 0x00, 0x21], packet)
}

pub fn ethernet_pppoe(packet: &Packet) -> Vec<u8> {
    ethernet(packet, 0x8864, &pppoe(packet))
}

pub fn ppp(packet: &Packet) -> Vec<u8> {
    behind(&[0xff, 0x03, 0x00, 0x21], packet)
}

pub fn ppp_compressed_fields(packet: &Packet) -> Vec<u8> {
    behind(&[0x21], packet)
}

pub fn ppp_mpls(packet: &Packet) -> Vec<u8> {
    behind(&[0xff, 0x03, 0x02, 0x81, 0, 1, 1, 64], packet)
}

pub fn ppp_with_direction(packet: &Packet) -> Vec<u8> {
    join(&[&[u8::from(packet.from_client)], &ppp(packet)])
}

pub fn cisco_hdlc(packet: &Packet) -> Vec<u8> {
    behind_with_ethertype(&[0x0f, 0x00], packet)
}

pub fn null(packet: &Packet) -> Vec<u8> {
    behind(&2_u32.to_le_bytes(), packet)
}

pub fn null_ipv6_of_macos(packet: &Packet) -> Vec<u8> {
    behind(&30_u32.to_le_bytes(), packet)
}

pub fn loopback(packet: &Packet) -> Vec<u8> {
    behind(&2_u32.to_be_bytes(), packet)
}

/// Sent or received, Ethernet, an address of six bytes; all but the protocol.
fn sll_header(packet: &Packet) -> [u8; 14] {
    [0, if packet.from_client { 4 } else { 0 }, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]
}

pub fn sll(packet: &Packet) -> Vec<u8> {
    behind_with_ethertype(&sll_header(packet), packet)
}

pub fn sll_vlan(packet: &Packet) -> Vec<u8> {
    behind_with_ethertype(&join(&[&sll_header(packet), &[0x81, 0x00, 0x00, 0x0a]]), packet)
}

/// Interface 3, Ethernet.
fn sll2_behind_protocol(packet: &Packet) -> [u8; 18] {
    [0, 0, 0, 0, 0, 3, 0, 1, if packet.from_client { 4 } else { 0 }, 6, 2, 0, 0, 0, 0, 1, 0, 0]
}

pub fn sll2(packet: &Packet) -> Vec<u8> {
    join(&[&packet.ethertype().to_be_bytes(), &sll2_behind_protocol(packet), &packet.ip])
}

pub fn sll2_vlan(packet: &Packet) -> Vec<u8> {
    let header = join(&[&[0x81, 0x00], &sll2_behind_protocol(packet), &[0x00, 0x0a]]);
    behind_with_ethertype(&header, packet)
}

/// A header of 108 bytes around Ethernet, from interface `en0`.
pub fn pktap(packet: &Packet) -> Vec<u8> {
    let mut header = vec![0; 108];
    header[0] = 108;
    header[4] = 1;
    header[8] = 1;
    header[12..15].copy_from_slice(b"en0");
    join(&[&header, &plain(packet)])
}

/// Fields of a packet's mark and prefix, then the packet; little-endian.
pub fn nflog(packet: &Packet) -> Vec<u8> {
    let fields = [8, 0, 1, 0, 8, 0, 1, 0, 5, 0, 10, 0, 0, 0, 0, 0];
    let len = (packet.ip.len() as u16 + 4).to_le_bytes();
    behind(&join(&[&[2, 0, 0, 0], &fields, &len, &[9, 0]]), packet)
}

/// As OpenBSD's `pflog0` gives it: 61 bytes and three of padding.
pub fn pflog(packet: &Packet) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..2].copy_from_slice(&[61, 2]);
    header[4..7].copy_from_slice(b"em0");
    behind(&header, packet)
}

pub fn enc(packet: &Packet) -> Vec<u8> {
    behind(&[2, 0, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 0], packet)
}

pub fn juniper_ether(packet: &Packet) -> Vec<u8> {
    // Magic number, extensions present, six bytes of them: the media type is Ethernet.
    join(&[&[0x4d, 0x47, 0x43, 0x80, 0, 6, 1, 1, 1, 2, 1, 1], &plain(packet)])
}

pub fn frame_relay(packet: &Packet) -> Vec<u8> {
    behind(&[0x18, 0x41, 0x03, 0xcc], packet)
}

pub fn frame_relay_cisco(packet: &Packet) -> Vec<u8> {
    behind_with_ethertype(&[0x18, 0x41], packet)
}

pub fn llc_snap(packet: &Packet) -> Vec<u8> {
    snap(packet)
}

pub fn sunatm(packet: &Packet) -> Vec<u8> {
    // Sent by the host or not, RFC 2684; virtual path 0, channel 32.
    join(&[&[if packet.from_client { 0x82 } else { 0x02 }, 0, 0, 32], &snap(packet)])
}

pub fn token_ring(packet: &Packet) -> Vec<u8> {
    join(&[&[0x10, 0x40], &addresses(packet), &snap(packet)])
}

pub fn token_ring_routed(packet: &Packet) -> Vec<u8> {
    let mut addresses = addresses(packet);
    addresses[6] |= 0x80;
    // A route of six bytes over two rings.
    join(&[&[0x10, 0x40], &addresses, &[0x06, 0x10, 0x00, 0x11, 0x00, 0x20], &snap(packet)])
}

pub fn fddi(packet: &Packet) -> Vec<u8> {
    join(&[&[0x57], &addresses(packet), &snap(packet)])
}

pub fn arcnet_linux(packet: &Packet) -> Vec<u8> {
    behind(&[1, 2, 0, 0, 240], packet)
}

pub fn arcnet_bsd(packet: &Packet) -> Vec<u8> {
    behind(&[1, 2, 212, 0, 0, 1], packet)
}

pub fn infiniband(packet: &Packet) -> Vec<u8> {
    join(&[&[0; 40], &packet.ethertype().to_be_bytes(), &[0, 0], &packet.ip])
}
