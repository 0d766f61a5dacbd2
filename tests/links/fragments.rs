//! The packet with odd IP headers, and in pieces.

use super::bytes::{addresses, ethernet, join, over_udp, plain, with_checksum};
use super::pcap::Packet;

const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const TCP: u8 = 6;
/// A multiple of eight that takes the TCP header itself apart.
const PIECE_LEN: usize = 16;

/// Changes the IPv4 header, and its checksum with it.
fn with_ipv4(packet: &Packet, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut ip = packet.ip.clone();
    change(&mut ip);
    let header_len = usize::from(ip[0] & 0x0f) * 4;
    with_checksum(&mut ip[..header_len]);
    ethernet(packet, 0x0800, &ip)
}

pub fn ipv4_options(packet: &Packet) -> Vec<u8> {
    with_ipv4(packet, |ip| {
        // Router alert and no-operations.
        ip.splice(IPV4_HEADER_LEN..IPV4_HEADER_LEN, [0x94, 4, 0, 0, 1, 1, 1, 0]);
        ip[0] = 0x47;
        let total_len = (ip.len() as u16).to_be_bytes();
        ip[2..4].copy_from_slice(&total_len);
    })
}

pub fn ipv4_length_zero(packet: &Packet) -> Vec<u8> {
    with_ipv4(packet, |ip| ip[2..4].fill(0))
}

pub fn ipv6_length_zero(packet: &Packet) -> Vec<u8> {
    let mut ip = packet.ip.clone();
    ip[4..6].fill(0);
    ethernet(packet, 0x86dd, &ip)
}

pub fn padded(packet: &Packet) -> Vec<u8> {
    join(&[&plain(packet), &[0xee; 18]])
}

pub fn wrong_checksums(packet: &Packet) -> Vec<u8> {
    let mut ip = packet.ip.clone();
    ip[10..12].copy_from_slice(&[0xde, 0xad]);
    ip[IPV4_HEADER_LEN + 16..IPV4_HEADER_LEN + 18].copy_from_slice(&[0xbe, 0xef]);
    ethernet(packet, 0x0800, &ip)
}

/// Puts extension headers, of which the first has this number, between IPv6 and what followed.
fn with_extensions(packet: &Packet, first: u8, headers: &[u8]) -> Vec<u8> {
    let mut ip = packet.ip.clone();
    ip[6] = first;
    ip.splice(IPV6_HEADER_LEN..IPV6_HEADER_LEN, headers.iter().copied());
    let payload_len = ((ip.len() - IPV6_HEADER_LEN) as u16).to_be_bytes();
    ip[4..6].copy_from_slice(&payload_len);
    ip
}

pub fn ipv6_extensions(packet: &Packet) -> Vec<u8> {
    #[rustfmt::skip]
    let headers = [
        43, 0, 1, 4, 0, 0, 0, 0,  // hop by hop, padding
        60, 0, 0, 0, 0, 0, 0, 0,  // routing, no segments left
        51, 0, 1, 4, 0, 0, 0, 0,  // destination options, padding
        TCP, 4, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // authentication
    ];
    ethernet(packet, 0x86dd, &with_extensions(packet, 0, &headers))
}

pub fn ipv6_atomic_fragment(packet: &Packet) -> Vec<u8> {
    ethernet(packet, 0x86dd, &with_extensions(packet, 44, &[TCP, 0, 0, 0, 0, 0, 0, 9]))
}

/// The pieces of an IPv4 packet, as IP packets.
pub fn ipv4_pieces(ip: &[u8], piece_len: usize) -> Vec<Vec<u8>> {
    let (header, payload) = ip.split_at(IPV4_HEADER_LEN);
    let count = payload.len().div_ceil(piece_len);
    let pieces = payload.chunks(piece_len).enumerate().map(|(index, piece)| {
        let mut header = header.to_vec();
        let more = u16::from(index + 1 < count) << 13;
        let offset = more | (index * piece_len / 8) as u16;
        header[2..4].copy_from_slice(&((IPV4_HEADER_LEN + piece.len()) as u16).to_be_bytes());
        header[6..8].copy_from_slice(&offset.to_be_bytes());
        with_checksum(&mut header);
        join(&[&header, piece])
    });
    pieces.collect()
}

/// The pieces of a packet, each in an Ethernet frame.
fn ipv4_frames(packet: &Packet) -> Vec<Vec<u8>> {
    ipv4_pieces(&packet.ip, PIECE_LEN).iter().map(|piece| ethernet(packet, 0x0800, piece)).collect()
}

pub fn ipv4(packet: &Packet) -> Vec<Vec<u8>> {
    ipv4_frames(packet)
}

pub fn ipv4_reversed(packet: &Packet) -> Vec<Vec<u8>> {
    ipv4_frames(packet).into_iter().rev().collect()
}

/// All but the last twice, as a mirror may show them.
pub fn ipv4_doubled(packet: &Packet) -> Vec<Vec<u8>> {
    let mut frames = ipv4_frames(packet);
    let last = frames.pop();
    let twice = frames.into_iter().flat_map(|frame| [frame.clone(), frame]);
    twice.chain(last).collect()
}

pub fn ipv4_padded(packet: &Packet) -> Vec<Vec<u8>> {
    ipv4_frames(packet).into_iter().map(|frame| join(&[&frame, &[0xee; 10]])).collect()
}

fn ipv6_frames(packet: &Packet) -> Vec<Vec<u8>> {
    let payload = &packet.ip[IPV6_HEADER_LEN..];
    let count = payload.len().div_ceil(PIECE_LEN);
    // Unlike IPv4's, no identification of a sender repeats: sequence number and flags serve for one.
    let id = [payload[7], payload[13], payload[11], u8::from(packet.from_client)];
    let pieces = payload.chunks(PIECE_LEN).enumerate().map(|(index, piece)| {
        let offset = ((index * PIECE_LEN) as u16 | u16::from(index + 1 < count)).to_be_bytes();
        // Hop by hop options belong to every fragment, the destination's come first in the datagram.
        let mut headers = vec![44, 0, 1, 4, 0, 0, 0, 0, TCP, 0, offset[0], offset[1]];
        headers.extend(id);
        let mut ip = packet.ip[..IPV6_HEADER_LEN].to_vec();
        ip[6] = 0;
        ip[4..6].copy_from_slice(&((headers.len() + piece.len()) as u16).to_be_bytes());
        ethernet(packet, 0x86dd, &join(&[&ip, &headers, piece]))
    });
    pieces.collect()
}

pub fn ipv6(packet: &Packet) -> Vec<Vec<u8>> {
    ipv6_frames(packet)
}

pub fn ipv6_reversed(packet: &Packet) -> Vec<Vec<u8>> {
    ipv6_frames(packet).into_iter().rev().collect()
}

/// Each piece in a VXLAN packet of its own.
pub fn within_vxlan(packet: &Packet) -> Vec<Vec<u8>> {
    let wrap = |frame: Vec<u8>| over_udp(packet, 4789, &join(&[&[8, 0, 0, 0, 0, 0x12, 0x34, 0], &frame]));
    ipv4_frames(packet).into_iter().map(wrap).collect()
}

/// The VXLAN packet in pieces, identified as the packet within it is.
pub fn of_vxlan(packet: &Packet) -> Vec<Vec<u8>> {
    let mut outer = super::tunnels::vxlan(packet).split_off(14);
    outer[4..6].copy_from_slice(&packet.ip[4..6]);
    let frame = |piece: &Vec<u8>| join(&[&addresses(packet), &[0x08, 0x00], piece]);
    ipv4_pieces(&outer, 40).iter().map(frame).collect()
}

/// Both: pieces within VXLAN packets that are in pieces themselves.
pub fn of_vxlan_and_within(packet: &Packet) -> Vec<Vec<u8>> {
    let outer_pieces = |(index, frame): (usize, Vec<u8>)| {
        let mut outer = frame[14..].to_vec();
        outer[4] = packet.ip[4] | 0x80;
        outer[5] = packet.ip[5].wrapping_mul(8).wrapping_add(index as u8);
        ipv4_pieces(&outer, 48)
    };
    within_vxlan(packet)
        .into_iter()
        .enumerate()
        .flat_map(outer_pieces)
        .map(|piece| ethernet(packet, 0x0800, &piece))
        .collect()
}
