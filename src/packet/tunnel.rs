//! Tunnels: packets inside IP packets.
//!
//! The identifier of a virtual network is kept ([`Context::vni`]) where both directions of a connection carry the same
//! one, in VXLAN and GENEVE. GTP-U's TEID and GRE's key may differ by direction and would split a connection in two.

use super::cursor::Cursor;
use super::layer::{Context, Layer};
use super::{Skip, Tunnel, ip};

/// IP protocol numbers (IANA registry).
mod protocol {
    pub const IPV4: u8 = 4;
    pub const IPV6: u8 = 41;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const ETHERIP: u8 = 97;
    pub const MPLS: u8 = 137;
}

/// UDP ports: IANA registry, and 8472, on which Linux spoke VXLAN before there was a number for it.
mod port {
    pub const L2TP: u16 = 1701;
    pub const GTP_U: u16 = 2152;
    pub const TEREDO: u16 = 3544;
    pub const LISP: u16 = 4341;
    pub const IPSEC_NAT_T: u16 = 4500;
    pub const GRE_IN_UDP: u16 = 4754;
    pub const VXLAN: u16 = 4789;
    pub const VXLAN_GPE: u16 = 4790;
    pub const AYIYA: u16 = 5072;
    pub const GENEVE: u16 = 6081;
    pub const MPLS_IN_UDP: u16 = 6635;
    pub const VXLAN_LINUX: u16 = 8472;
}

/// EtherTypes that GRE alone uses.
mod gre_protocol {
    pub const WCCP: u16 = 0x883e;
    pub const ERSPAN_III: u16 = 0x22eb;
    pub const ERSPAN: u16 = 0x88be;
    /// Aruba's access points, by queue: frames of 802.11.
    pub const ARUBA_FIRST: u16 = 0x8200;
    pub const ARUBA_LAST: u16 = 0x82ff;
}

/// What lies behind an IP header that is not TCP's.
pub(super) fn behind_ip(number: u8, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    let (tunnel, layer) = match number {
        ip::UDP => return udp(cursor, context),
        protocol::GRE => return gre(cursor, context),
        protocol::ESP => return Err(Skip::Encrypted),
        protocol::IPV4 => (Tunnel::Ip, Layer::Ipv4),
        protocol::IPV6 => (Tunnel::Ip, Layer::Ipv6),
        protocol::MPLS => (Tunnel::Other, Layer::Mpls),
        protocol::ETHERIP => {
            // Version and reserved bits (RFC 3378).
            cursor.skip(2)?;
            (Tunnel::Other, Layer::Ethernet)
        }
        _ => return Err(Skip::NotTcp),
    };
    context.enter(tunnel);
    Ok(layer)
}

/// Whether what a protocol carries may lead to TCP; `start` are its first bytes, if they are known.
pub(super) fn may_carry_tcp(number: u8, start: Option<&[u8]>) -> bool {
    match number {
        ip::TCP | protocol::IPV4 | protocol::IPV6 | protocol::GRE | protocol::MPLS | protocol::ETHERIP => {
            true
        }
        ip::UDP => match start {
            Some(&[a, b, c, d, ..]) => udp_tunnel([a, b, c, d]).is_some(),
            _ => true,
        },
        _ => ip::is_extension(number),
    }
}

/// Whether a protocol hides what it carries.
pub(super) const fn is_encrypted(number: u8) -> bool {
    number == protocol::ESP
}

type Header = fn(&mut Cursor<'_>, &mut Context) -> Result<Layer, Skip>;

/// The tunnel that one of the two ports of UDP is known for.
fn udp_tunnel([a, b, c, d]: [u8; 4]) -> Option<Header> {
    let by_port = |port| -> Option<Header> {
        Some(match port {
            port::VXLAN | port::VXLAN_LINUX => vxlan,
            port::VXLAN_GPE => vxlan_gpe,
            port::GENEVE => geneve,
            port::GTP_U => gtp,
            port::GRE_IN_UDP => gre,
            port::L2TP => l2tp,
            port::TEREDO => teredo,
            port::LISP => lisp,
            port::AYIYA => ayiya,
            port::MPLS_IN_UDP => mpls,
            port::IPSEC_NAT_T => ipsec_nat_t,
            _ => return None,
        })
    };
    by_port(u16::from_be_bytes([c, d])).or_else(|| by_port(u16::from_be_bytes([a, b])))
}

/// UDP (RFC 768): a tunnel if one of its ports is known for one.
fn udp(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    let ports = cursor.take()?;
    let tunnel = udp_tunnel(ports).ok_or(Skip::NotTcp)?;
    // Length and checksum; the length of the IP header holds also where offload left none here.
    cursor.skip(4)?;
    tunnel(cursor, context)
}

/// VXLAN (RFC 7348 section 5). Without the I flag there is no VNI, and it is something else on that port.
fn vxlan(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    const VNI_VALID: u8 = 0x08;
    context.enter(Tunnel::Vxlan);
    let [flags, _, _, _] = cursor.take()?;
    if flags & VNI_VALID == 0 {
        return Err(Skip::NotTcp);
    }
    context.vni = vni(cursor)?;
    Ok(Layer::Ethernet)
}

/// VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe): VXLAN that may name what follows.
fn vxlan_gpe(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    const NEXT_PROTOCOL: u8 = 0x04;
    context.enter(Tunnel::Vxlan);
    let [flags, _, _, next] = cursor.take()?;
    context.vni = vni(cursor)?;
    match next {
        _ if flags & NEXT_PROTOCOL == 0 => Ok(Layer::Ethernet),
        1 => Ok(Layer::Ipv4),
        2 => Ok(Layer::Ipv6),
        3 => Ok(Layer::Ethernet),
        5 => Ok(Layer::Mpls),
        _ => Err(Skip::NotTcp),
    }
}

/// GENEVE (RFC 8926 section 3.4).
fn geneve(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    const OPTIONS_LEN: u8 = 0x3f;
    context.enter(Tunnel::Geneve);
    let [version_and_len, _] = cursor.take()?;
    let ethertype = cursor.u16()?;
    context.vni = vni(cursor)?;
    cursor.skip(usize::from(version_and_len & OPTIONS_LEN) * 4)?;
    Ok(Layer::EtherType(ethertype))
}

/// A virtual network identifier of 24 bits, and the reserved byte behind it.
fn vni(cursor: &mut Cursor<'_>) -> Result<u32, Skip> {
    Ok(cursor.u32()? >> 8)
}

/// GRE version 0 (RFC 2784, RFC 2890, routing as in RFC 1701) and version 1 (PPTP, RFC 2637 section 4.1).
fn gre(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGEMENT: u16 = 0x0080;
    const VERSION: u16 = 0x0007;
    context.enter(Tunnel::Gre);
    let flags = cursor.u16()?;
    let has = |flag| flags & flag != 0;
    let protocol = cursor.u16()?;
    if flags & VERSION == 1 {
        let payload_len = cursor.u16()?;
        // The call identifier, which is not the same in both directions.
        cursor.skip(2 + 4 * usize::from(has(SEQUENCE)) + 4 * usize::from(has(ACKNOWLEDGEMENT)))?;
        // An acknowledgement alone carries nothing.
        return if payload_len == 0 { Err(Skip::NotTcp) } else { Ok(Layer::EtherType(protocol)) };
    }
    if has(CHECKSUM) || has(ROUTING) {
        cursor.skip(4)?;
    }
    cursor.skip(4 * usize::from(has(KEY)) + 4 * usize::from(has(SEQUENCE)))?;
    if has(ROUTING) {
        source_routes(cursor)?;
    }
    match protocol {
        gre_protocol::ERSPAN if has(SEQUENCE) => erspan_ii(cursor),
        // Type I has no header of its own.
        gre_protocol::ERSPAN => Ok(Layer::Ethernet),
        gre_protocol::ERSPAN_III => erspan_iii(cursor),
        gre_protocol::ARUBA_FIRST..=gre_protocol::ARUBA_LAST => Ok(Layer::Ieee80211 { padded: false }),
        gre_protocol::WCCP => wccp(cursor),
        ethertype => Ok(Layer::EtherType(ethertype)),
    }
}

/// Source route entries of RFC 1701: family, offset, length, route; the last has length and family 0.
fn source_routes(cursor: &mut Cursor<'_>) -> Result<(), Skip> {
    loop {
        let [family_high, family_low, _, len] = cursor.take()?;
        if (family_high, family_low, len) == (0, 0, 0) {
            return Ok(());
        }
        cursor.skip(usize::from(len))?;
    }
}

/// ERSPAN type II (draft-foschiano-erspan section 4.2).
fn erspan_ii(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(8)?;
    Ok(Layer::Ethernet)
}

/// ERSPAN type III (draft-foschiano-erspan section 4.3): twelve bytes, and eight more if its last bit says so.
fn erspan_iii(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const FRAME_TYPE_IP: u16 = 2;
    cursor.skip(10)?;
    let last = cursor.u16()?;
    if last & 1 != 0 {
        cursor.skip(8)?;
    }
    Ok(if last >> 10 & 0x1f == FRAME_TYPE_IP { Layer::Ip } else { Layer::Ethernet })
}

/// WCCP redirection (draft-wilson-wrec-wccp-v2 section 4.15): version 2 puts four bytes of its own before the packet.
fn wccp(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    if cursor.peek(0)? >> 4 != 4 {
        cursor.skip(4)?;
    }
    Ok(Layer::Ipv4)
}

/// GTP-U version 1 (3GPP TS 29.281 section 5): G-PDU messages carry a packet, with extension headers before it.
fn gtp(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    const VERSION_AND_TYPE: u8 = 0xf0;
    const GTP_V1: u8 = 0x30;
    const OPTIONAL_FIELDS: u8 = 0x07;
    const G_PDU: u8 = 255;
    context.enter(Tunnel::Gtp);
    let [flags, message] = cursor.take()?;
    if flags & VERSION_AND_TYPE != GTP_V1 || message != G_PDU {
        return Err(Skip::NotTcp);
    }
    // Length, which the IP header gives too, and the tunnel's identifier.
    cursor.skip(6)?;
    if flags & OPTIONAL_FIELDS != 0 {
        cursor.skip(3)?;
        let mut next = cursor.u8()?;
        while next != 0 {
            // In units of four bytes, with the length itself and the type of the next.
            let len = usize::from(cursor.u8()?) * 4;
            cursor.skip(len.checked_sub(2).ok_or(Skip::MalformedLink)?)?;
            next = cursor.u8()?;
        }
    }
    Ok(Layer::Ip)
}

/// L2TP version 2 (RFC 2661 section 3.1): data messages carry PPP.
fn l2tp(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    const VERSION: u16 = 0x000f;
    context.enter(Tunnel::Other);
    let flags = cursor.u16()?;
    if flags & CONTROL != 0 || flags & VERSION != 2 {
        return Err(Skip::NotTcp);
    }
    let has = |flag| usize::from(flags & flag != 0);
    // Tunnel and session identifiers, between the fields that may be left out.
    cursor.skip(2 * has(LENGTH) + 4 + 4 * has(SEQUENCE))?;
    if flags & OFFSET != 0 {
        let padding = cursor.u16()?;
        cursor.skip(usize::from(padding))?;
    }
    Ok(Layer::Ppp)
}

/// Teredo (RFC 4380 section 5.1.1): IPv6, with authentication and origin indications before it.
fn teredo(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    const ORIGIN: u16 = 0x0000;
    const AUTHENTICATION: u16 = 0x0001;
    context.enter(Tunnel::Other);
    loop {
        match cursor.peek_u16(0)? {
            ORIGIN => cursor.skip(8)?,
            AUTHENTICATION => {
                let variable = usize::from(cursor.peek(2)?) + usize::from(cursor.peek(3)?);
                // Four bytes up to here, nonce and confirmation behind.
                cursor.skip(4 + variable + 9)?;
            }
            other if other >> 12 == 6 => return Ok(Layer::Ipv6),
            _ => return Err(Skip::NotTcp),
        }
    }
}

/// LISP (RFC 9300 section 5.1).
fn lisp(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    context.enter(Tunnel::Other);
    cursor.skip(8)?;
    version_or_not_tcp(cursor)
}

/// AYIYA (draft-massar-v6ops-ayiya section 3): lengths of identity and signature, then the protocol that follows.
fn ayiya(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    context.enter(Tunnel::Other);
    let [identity, signature, _, next] = cursor.take()?;
    let identity_len = 1_usize << (identity >> 4);
    let signature_len = usize::from(signature >> 4) * 4;
    // The time it was sent comes first.
    cursor.skip(4 + identity_len + signature_len)?;
    Ok(Layer::Protocol(next))
}

/// MPLS in UDP (RFC 7510).
fn mpls(_: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    context.enter(Tunnel::Other);
    Ok(Layer::Mpls)
}

/// ESP in UDP (RFC 3948): four zero bytes mark a key exchange, a single 0xff keeps a translation alive.
fn ipsec_nat_t(cursor: &mut Cursor<'_>, _: &mut Context) -> Result<Layer, Skip> {
    Err(if cursor.u32() == Ok(0) || cursor.wire_len() == 1 { Skip::NotTcp } else { Skip::Encrypted })
}

fn version_or_not_tcp(cursor: &Cursor<'_>) -> Result<Layer, Skip> {
    ip::version(cursor).map_err(|skip| if skip == Skip::NotIp { Skip::NotTcp } else { skip })
}
