//! PPP and what resembles it on serial lines.

use crate::packet::Skip;
use crate::packet::cursor::Cursor;
use crate::packet::layer::Layer;

/// The first byte of Cisco HDLC: unicast or broadcast, where PPP has 0xff.
const CISCO_ADDRESSES: [u8; 2] = [0x0f, 0x8f];

/// PPP as captured on a line, or Cisco HDLC in its place.
pub(super) fn serial(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    if CISCO_ADDRESSES.contains(&cursor.peek(0)?) { cisco_hdlc(cursor) } else { Ok(Layer::Ppp) }
}

/// A byte tells who sent it.
pub(super) fn with_direction(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(1)?;
    Ok(Layer::Ppp)
}

/// Address, control, EtherType.
pub(super) fn cisco_hdlc(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(2)?;
    Ok(Layer::EtherType(cursor.u16()?))
}

/// PPPoE (RFC 2516 section 4): only sessions carry packets.
pub(super) fn over_ethernet(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const SESSION_DATA: u8 = 0;
    let [_version_and_type, code] = cursor.take()?;
    if code != SESSION_DATA {
        return Err(Skip::NotIp);
    }
    // Session and length; the length of the IP header is the one that counts.
    cursor.skip(4)?;
    Ok(Layer::Ppp)
}

/// Address and control, where they were not left out, and the protocol in one byte or two (RFC 1661 section 2).
pub(in crate::packet) fn header(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const ADDRESS_AND_CONTROL: u16 = 0xff03;
    const IPV4: u16 = 0x0021;
    const ENCRYPTED: [u16; 2] = [0x0053, 0x0055];
    const IPV6: u16 = 0x0057;
    const MPLS: [u16; 2] = [0x0281, 0x0283];
    if cursor.peek_u16(0) == Ok(ADDRESS_AND_CONTROL) {
        cursor.skip(2)?;
    }
    // The first byte of two is even.
    let protocol = if cursor.peek(0)? & 1 == 0 { cursor.u16()? } else { u16::from(cursor.u8()?) };
    match protocol {
        IPV4 => Ok(Layer::Ipv4),
        IPV6 => Ok(Layer::Ipv6),
        _ if MPLS.contains(&protocol) => Ok(Layer::Mpls),
        _ if ENCRYPTED.contains(&protocol) => Err(Skip::Encrypted),
        _ => Err(Skip::NotIp),
    }
}
