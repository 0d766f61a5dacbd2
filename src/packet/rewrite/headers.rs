//! The headers before TCP, each built from the fields that are known to be harmless.

use super::{Names, Span};
use crate::packet::ip;
use crate::packet::layer::Layer;

/// `LINKTYPE_` numbers of the headers written here (<https://www.tcpdump.org/linktypes.html>).
mod linktype {
    pub const NULL: u16 = 0;
    pub const PPP: u16 = 9;
    pub const PPP_HDLC: u16 = 50;
    pub const C_HDLC: u16 = 104;
    pub const LOOP: u16 = 108;
    pub const LINUX_SLL: u16 = 113;
    pub const PPP_WITH_DIR: u16 = 204;
    pub const LINUX_SLL2: u16 = 276;
}

const VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const PPPOE_SESSION: u16 = 0x8864;
const GRE: u8 = 47;
const VXLAN: [u16; 2] = [4789, 8472];
const GENEVE: u16 = 6081;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Writes one header; `ip` is the IP header that holds behind all routing. None where it is none of those understood.
pub(super) fn write(
    span: &Span,
    ip: Option<ip::Header>,
    data: &[u8],
    out: &mut [u8],
    names: &dyn Names,
) -> Option<()> {
    let (header, out) = (&data[span.start..span.end], &mut out[span.start..span.end]);
    match span.layer {
        _ if header.is_empty() => {}
        Layer::Link(number) => link(number, header, out, names)?,
        Layer::Ethernet => {
            mac(&header[..6], &mut out[..6], names);
            mac(&header[6..12], &mut out[6..12], names);
            out[12..].copy_from_slice(&header[12..]);
        }
        Layer::EtherType(number) if VLAN.contains(&number) => {
            // Priority and drop eligibility; the network's number is zero, "no VLAN".
            out[0] = header[0] & 0xf0;
            out[2..].copy_from_slice(&header[2..]);
        }
        Layer::EtherType(PPPOE_SESSION) => pppoe(header, out),
        // Nothing but numbers of protocols.
        Layer::Llc | Layer::Ppp => out.copy_from_slice(header),
        Layer::Mpls => mpls(header, out),
        Layer::Ipv4 => v4(header, out, &ip?, names),
        Layer::Ipv6 => v6(header, out, &ip?, names),
        Layer::Protocol(ip::UDP) => udp(header, out, names)?,
        Layer::Protocol(GRE) => gre(header, out)?,
        Layer::Protocol(number) => extension(number, header, out)?,
        _ => return None,
    }
    Some(())
}

fn mac(address: &[u8], out: &mut [u8], names: &dyn Names) {
    if let Some(address) = address.first_chunk() {
        out.copy_from_slice(&names.mac(*address));
    }
}

fn link(number: u16, header: &[u8], out: &mut [u8], names: &dyn Names) -> Option<()> {
    match number {
        // An address family; a protocol; a direction.
        linktype::NULL
        | linktype::LOOP
        | linktype::PPP
        | linktype::PPP_HDLC
        | linktype::C_HDLC
        | linktype::PPP_WITH_DIR => out.copy_from_slice(header),
        linktype::LINUX_SLL => {
            // Direction, kind and length of the address; the address; the protocol.
            out[..6].copy_from_slice(&header[..6]);
            cooked_address(&header[4..6], &header[6..12], &mut out[6..12], names);
            out[14..].copy_from_slice(&header[14..]);
        }
        linktype::LINUX_SLL2 => {
            // Protocol; kind, direction, length of the address; the address. The interface's number is left out.
            out[..2].copy_from_slice(&header[..2]);
            out[8..12].copy_from_slice(&header[8..12]);
            cooked_address(&[0, header[11]], &header[12..18], &mut out[12..18], names);
        }
        _ => return None,
    }
    Some(())
}

fn cooked_address(len: &[u8], address: &[u8], out: &mut [u8], names: &dyn Names) {
    const MAC_LEN: [u8; 2] = [0, 6];
    if len == MAC_LEN {
        mac(address, out, names);
    }
}

/// Version, code and length; not the session (RFC 2516 section 4).
fn pppoe(header: &[u8], out: &mut [u8]) {
    out[..2].copy_from_slice(&header[..2]);
    out[4..].copy_from_slice(&header[4..]);
}

/// Each label becomes the first that means nothing by itself, the reserved ones stay (RFC 3032 section 2.1).
fn mpls(header: &[u8], out: &mut [u8]) {
    const FIRST_FREE: u32 = 16;
    const BOTTOM: u32 = 0x100;
    for (entry, target) in header.chunks_exact(4).zip(out.chunks_exact_mut(4)) {
        let entry = u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let label = (entry >> 12).min(FIRST_FREE);
        target.copy_from_slice(&(label << 12 | entry & 0xfff).to_be_bytes());
        // A control word may follow, which says nothing.
        if entry & BOTTOM != 0 {
            break;
        }
    }
}

/// All but addresses, checksum and options (RFC 791 section 3.1).
fn v4(header: &[u8], out: &mut [u8], ip: &ip::Header, names: &dyn Names) {
    const NO_OPERATION: u8 = 1;
    out[..10].copy_from_slice(&header[..10]);
    if let (std::net::IpAddr::V4(src), std::net::IpAddr::V4(dst)) = (names.ip(ip.src), names.ip(ip.dst)) {
        out[12..16].copy_from_slice(&src.octets());
        out[16..20].copy_from_slice(&dst.octets());
    }
    out[20..].fill(NO_OPERATION);
}

/// All but addresses and flow label (RFC 8200 section 3).
fn v6(header: &[u8], out: &mut [u8], ip: &ip::Header, names: &dyn Names) {
    out[0] = header[0];
    out[1] = header[1] & 0xf0;
    out[4..8].copy_from_slice(&header[4..8]);
    if let (std::net::IpAddr::V6(src), std::net::IpAddr::V6(dst)) = (names.ip(ip.src), names.ip(ip.dst)) {
        out[8..24].copy_from_slice(&src.octets());
        out[24..40].copy_from_slice(&dst.octets());
    }
}

/// Extension headers (RFC 8200 section 4): what follows and how long they are.
fn extension(number: u8, header: &[u8], out: &mut [u8]) -> Option<()> {
    /// Nobody's (RFC 3692): a route that is at its end, and says nothing.
    const ROUTING_FOR_EXPERIMENTS: u8 = 253;
    out[..2].copy_from_slice(&header[..2]);
    match number {
        FRAGMENT => out.copy_from_slice(header),
        ROUTING => out[2] = ROUTING_FOR_EXPERIMENTS,
        HOP_BY_HOP | DESTINATION_OPTIONS => padding(&mut out[2..]),
        ip::AUTHENTICATION => {
            // The first security parameter index that is not reserved (RFC 4302 section 2.4), then the number in sequence.
            out[4..8].copy_from_slice(&[0, 0, 1, 0]);
            out[8..12].copy_from_slice(&header[8..12]);
        }
        _ => return None,
    }
    Some(())
}

/// PadN options (RFC 8200 section 4.2).
fn padding(mut out: &mut [u8]) {
    const PAD_N: u8 = 1;
    while out.len() >= 2 {
        let len = (out.len() - 2).min(255);
        // A single byte left over would be another option.
        let len = if out.len() - 2 - len == 1 { len - 1 } else { len };
        out[0] = PAD_N;
        out[1] = len as u8;
        out = &mut out[2 + len..];
    }
}

/// UDP and the tunnel that it carries: VXLAN (RFC 7348) and GENEVE (RFC 8926), without the network's number.
fn udp(header: &[u8], out: &mut [u8], names: &dyn Names) -> Option<()> {
    const HEADER: usize = 8;
    const TUNNEL_HEADER: usize = 8;
    const GENEVE_OPTIONS_LEN: u8 = 0x3f;
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let known = |port: u16| VXLAN.contains(&port) || port == GENEVE;
    let (from, to) = (port(0), port(2));
    let tunnel = if known(to) { to } else { from };
    for (at, port) in [(0, from), (2, to)] {
        let port = if known(port) { port } else { names.port(port) };
        out[at..at + 2].copy_from_slice(&port.to_be_bytes());
    }
    out[4..6].copy_from_slice(&header[4..6]);
    let (inner, out) = (&header[HEADER..], &mut out[HEADER..]);
    if VXLAN.contains(&tunnel) && inner.len() == TUNNEL_HEADER {
        const VNI_VALID: u8 = 0x08;
        out[0] = inner[0] & VNI_VALID;
    } else if tunnel == GENEVE
        && inner
            .first()
            .is_some_and(|it| inner.len() == TUNNEL_HEADER + 4 * usize::from(it & GENEVE_OPTIONS_LEN))
    {
        // Version and length of the options; what follows.
        out[0] = inner[0];
        out[2..4].copy_from_slice(&inner[2..4]);
        geneve_options(&mut out[8..]);
    } else {
        return None;
    }
    Some(())
}

/// Options of the class that is left to experiments, without content (RFC 8926 section 3.5).
fn geneve_options(mut out: &mut [u8]) {
    const CLASS: [u8; 2] = [0xff, 0xff];
    const WORDS: usize = 31;
    while out.len() >= 4 {
        let words = (out.len() / 4 - 1).min(WORDS);
        out[..2].copy_from_slice(&CLASS);
        out[3] = words as u8;
        out = &mut out[4 + 4 * words..];
    }
}

/// GRE version 0 without checksum and routing (RFC 2784, RFC 2890): the key is zero, the number in sequence stays.
fn gre(header: &[u8], out: &mut [u8]) -> Option<()> {
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    let flags = u16::from_be_bytes([header[0], header[1]]);
    let has = |flag| usize::from(flags & flag != 0);
    if flags & !(KEY | SEQUENCE) != 0 || header.len() != 4 + 4 * has(KEY) + 4 * has(SEQUENCE) {
        return None;
    }
    out[..4].copy_from_slice(&header[..4]);
    let sequence = 4 + 4 * has(KEY);
    out[sequence..].copy_from_slice(&header[sequence..]);
    Some(())
}
