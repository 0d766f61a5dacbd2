//! The packet in every tunnel.

use super::bytes::{ethernet, ipv4, join, over_ipv4, over_ipv6, over_udp, plain, udp};
use super::links;
use super::pcap::Packet;

/// The identifier of the virtual network in these captures.
pub const VNI: u32 = 0x00_12_34;

const GRE: u8 = 47;

fn vxlan_header() -> [u8; 8] {
    [0x08, 0, 0, 0, 0x00, 0x12, 0x34, 0]
}

pub fn vxlan(packet: &Packet) -> Vec<u8> {
    over_udp(packet, 4789, &join(&[&vxlan_header(), &plain(packet)]))
}

pub fn vxlan_vlan(packet: &Packet) -> Vec<u8> {
    over_udp(packet, 4789, &join(&[&vxlan_header(), &links::vlan(packet)]))
}

pub fn vxlan_port_of_linux(packet: &Packet) -> Vec<u8> {
    over_udp(packet, 8472, &join(&[&vxlan_header(), &plain(packet)]))
}

pub fn vxlan_over_ipv6(packet: &Packet) -> Vec<u8> {
    over_ipv6(packet, 17, &udp(4789, &join(&[&vxlan_header(), &plain(packet)])))
}

pub fn vxlan_gpe(packet: &Packet) -> Vec<u8> {
    over_udp(packet, 4790, &join(&[&[0x0c, 0, 0, 1, 0x00, 0x12, 0x34, 0], &packet.ip]))
}

/// With one option of four bytes.
pub fn geneve(packet: &Packet) -> Vec<u8> {
    let header = [0x02, 0, 0x65, 0x58, 0x00, 0x12, 0x34, 0, 0x01, 0x02, 0x03, 0x01, 1, 2, 3, 4];
    over_udp(packet, 6081, &join(&[&header, &plain(packet)]))
}

pub fn geneve_ip(packet: &Packet) -> Vec<u8> {
    over_udp(packet, 6081, &join(&[&[0, 0, 0x08, 0x00, 0x00, 0x12, 0x34, 0], &packet.ip]))
}

pub fn gre(packet: &Packet) -> Vec<u8> {
    over_ipv4(packet, GRE, &join(&[&[0, 0, 0x08, 0x00], &packet.ip]))
}

/// Checksum, key and sequence number; the checksum is wrong, as nobody looks at it.
pub fn gre_fields(packet: &Packet) -> Vec<u8> {
    let header = [0xb0, 0, 0x08, 0x00, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1];
    over_ipv4(packet, GRE, &join(&[&header, &packet.ip]))
}

pub fn nvgre(packet: &Packet) -> Vec<u8> {
    over_ipv4(packet, GRE, &join(&[&[0x20, 0, 0x65, 0x58, 0x00, 0x12, 0x34, 0], &plain(packet)]))
}

/// Version 1 of GRE, with a sequence number and an acknowledgement.
pub fn pptp(packet: &Packet) -> Vec<u8> {
    let frame = links::ppp(packet);
    let len = (frame.len() as u16).to_be_bytes();
    let header = [0x30, 0x81, 0x88, 0x0b, len[0], len[1], 0, 9, 0, 0, 0, 1, 0, 0, 0, 0];
    over_ipv4(packet, GRE, &join(&[&header, &frame]))
}

pub fn erspan_i(packet: &Packet) -> Vec<u8> {
    over_ipv4(packet, GRE, &join(&[&[0, 0, 0x88, 0xbe], &plain(packet)]))
}

pub fn erspan_ii(packet: &Packet) -> Vec<u8> {
    let header = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0x0a, 0x00, 0x01, 0, 0, 0, 0];
    over_ipv4(packet, GRE, &join(&[&header, &plain(packet)]))
}

/// With the platform's own eight bytes.
pub fn erspan_iii(packet: &Packet) -> Vec<u8> {
    let header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0x0a, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0, 1];
    over_ipv4(packet, GRE, &join(&[&header, &[0x0c, 0, 0, 0, 0, 0, 0, 0], &plain(packet)]))
}

/// Redirection to a web cache, with the four bytes of version 2.
pub fn wccp(packet: &Packet) -> Vec<u8> {
    over_ipv4(packet, GRE, &join(&[&[0, 0, 0x88, 0x3e, 0, 0, 0, 0], &packet.ip]))
}

pub fn ip_in_ip(packet: &Packet) -> Vec<u8> {
    over_ipv4(packet, 4, &packet.ip)
}

pub fn ipv6_in_ipv4(packet: &Packet) -> Vec<u8> {
    over_ipv4(packet, 41, &packet.ip)
}

pub fn ipv4_in_ipv6(packet: &Packet) -> Vec<u8> {
    over_ipv6(packet, 4, &packet.ip)
}

pub fn gtp(packet: &Packet) -> Vec<u8> {
    let len = (packet.ip.len() as u16).to_be_bytes();
    let tunnel = if packet.from_client { 1 } else { 2 };
    over_udp(packet, 2152, &join(&[&[0x30, 0xff, len[0], len[1], 0, 0, 0, tunnel], &packet.ip]))
}

/// With the container of a 5G session: the fields that are there if any is, and an extension header of four bytes.
pub fn gtp_extension(packet: &Packet) -> Vec<u8> {
    let len = (packet.ip.len() as u16 + 8).to_be_bytes();
    let header = [0x34, 0xff, len[0], len[1], 0, 0, 0, 1, 0, 0, 0, 0x85, 0x01, 0x10, 0x01, 0x00];
    over_udp(packet, 2152, &join(&[&header, &packet.ip]))
}

pub fn l2tp(packet: &Packet) -> Vec<u8> {
    let frame = links::ppp(packet);
    let len = (8 + frame.len() as u16).to_be_bytes();
    over_udp(packet, 1701, &join(&[&[0x40, 0x02, len[0], len[1], 0, 1, 0, 1], &frame]))
}

/// With an origin indication.
pub fn teredo(packet: &Packet) -> Vec<u8> {
    over_udp(packet, 3544, &join(&[&[0, 0, 0x12, 0x34, 1, 2, 3, 4], &packet.ip]))
}

pub fn lisp(packet: &Packet) -> Vec<u8> {
    over_udp(packet, 4341, &join(&[&[0x80, 0, 0, 1, 0, 0, 0, 0], &packet.ip]))
}

pub fn gre_in_udp(packet: &Packet) -> Vec<u8> {
    over_udp(packet, 4754, &join(&[&[0, 0, 0x08, 0x00], &packet.ip]))
}

pub fn mpls_in_udp(packet: &Packet) -> Vec<u8> {
    over_udp(packet, 6635, &join(&[&[0, 1, 1, 64], &packet.ip]))
}

pub fn mpls_in_ip(packet: &Packet) -> Vec<u8> {
    over_ipv4(packet, 137, &join(&[&[0, 1, 1, 64], &packet.ip]))
}

pub fn ether_ip(packet: &Packet) -> Vec<u8> {
    over_ipv4(packet, 97, &join(&[&[0x30, 0], &plain(packet)]))
}

/// An authentication header between IPv4 and a tunnelled packet.
pub fn authenticated(packet: &Packet) -> Vec<u8> {
    let header = [4, 4, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    over_ipv4(packet, 51, &join(&[&header, &packet.ip]))
}

/// A mirrored packet of an overlay network on an underlay that is tunnelled: GRE in IP, VXLAN, IP in IP.
pub fn nested(packet: &Packet) -> Vec<u8> {
    let inner = ethernet(packet, 0x0800, &ipv4(packet, 4, &packet.ip));
    let overlay = ipv4(packet, 17, &udp(4789, &join(&[&vxlan_header(), &inner])));
    over_ipv4(packet, GRE, &join(&[&[0, 0, 0x08, 0x00], &overlay]))
}

/// The packet in so many IPv4 headers, its own among them.
pub fn in_ip_headers(packet: &Packet, headers: usize) -> Vec<u8> {
    let mut ip = packet.ip.clone();
    for _ in 1..headers {
        ip = ipv4(packet, 4, &ip);
    }
    ethernet(packet, 0x0800, &ip)
}
