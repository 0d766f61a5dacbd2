//! TCP headers, and whole packets made of nothing but a segment.

use std::net::IpAddr;

use super::checksum::{pseudo_header, sum};
use super::{Names, endpoint, options};
use crate::packet::{Segment, ip};

const FIXED: usize = 20;

/// Writes a TCP header, of which at least ports, numbers, flags and window were captured; the checksum is left open.
pub(super) fn tcp_header(header: &[u8], out: &mut [u8], ip: &ip::Header, names: &dyn Names) {
    let port = |at: usize| names.port(u16::from_be_bytes([header[at], header[at + 1]])).to_be_bytes();
    out[..2].copy_from_slice(&port(0));
    out[2..4].copy_from_slice(&port(2));
    // Numbers, length and flags, window.
    out[4..16].copy_from_slice(&header[4..16]);
    if let (Some(urgent), Some(target)) = (header.get(18..FIXED), out.get_mut(18..FIXED)) {
        target.copy_from_slice(urgent);
    }
    if let (Some(kept), Some(target)) = (header.get(FIXED..), out.get_mut(FIXED..)) {
        options::write(kept, target, ip.src, ip.dst, names);
    }
}

/// A plain IP packet that holds the segment under other names, and the bytes that it has on the wire: for what
/// [`super::rewrite`] does not understand. Of the TCP options it has the timestamps. `payload` takes the place of the captured one.
pub fn rebuild(segment: &Segment<'_>, names: &dyn Names, payload: &[u8]) -> (Vec<u8>, u32) {
    const TIMESTAMPS: [u8; 4] = [1, 1, 8, 10];
    let (src, dst) = (endpoint(names, segment.src), endpoint(names, segment.dst));
    let tcp_len = FIXED + if segment.timestamps.is_some() { 12 } else { 0 };
    let mut tcp = Vec::with_capacity(tcp_len + payload.len());
    tcp.extend(src.port.to_be_bytes());
    tcp.extend(dst.port.to_be_bytes());
    tcp.extend(segment.seq.to_be_bytes());
    tcp.extend(segment.ack.to_be_bytes());
    tcp.extend([(tcp_len as u8 / 4) << 4, segment.flags.0]);
    tcp.extend(segment.window.to_be_bytes());
    tcp.extend([0; 4]);
    if let Some((value, echo)) = segment.timestamps {
        let (value, echo) = options::shifted(value, echo, segment.src.ip(), segment.dst.ip(), names);
        tcp.extend(TIMESTAMPS);
        tcp.extend(value.to_be_bytes());
        tcp.extend(echo.to_be_bytes());
    }
    tcp.extend_from_slice(payload);
    let tcp_wire_len = tcp_len + segment.payload_len as usize;
    let checksum = !sum(&tcp, pseudo_header(src.ip(), dst.ip(), ip::TCP, tcp_wire_len));
    tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
    let mut packet = ip_header(segment, (src.ip(), dst.ip()), tcp_wire_len);
    let wire_len = packet.len() + tcp_wire_len;
    packet.extend(tcp);
    (packet, wire_len as u32)
}

fn ip_header(segment: &Segment<'_>, ends: (IpAddr, IpAddr), tcp_wire_len: usize) -> Vec<u8> {
    match ends {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            const LEN: usize = 20;
            // What segmentation offload made longer than the field can say has length 0 there.
            let total = u16::try_from(LEN + tcp_wire_len).unwrap_or(0);
            let mut header = vec![0x45, 0];
            header.extend(total.to_be_bytes());
            header.extend(segment.ip_id.unwrap_or(0).to_be_bytes());
            header.extend([0, 0, segment.ttl, ip::TCP, 0, 0]);
            header.extend(src.octets());
            header.extend(dst.octets());
            let checksum = !sum(&header, 0);
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
            header
        }
        (src, dst) => {
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(u16::try_from(tcp_wire_len).unwrap_or(0).to_be_bytes());
            header.extend([ip::TCP, segment.ttl]);
            header.extend(octets(src));
            header.extend(octets(dst));
            header
        }
    }
}
