//! Wide area links.

use crate::packet::Skip;
use crate::packet::cursor::Cursor;
use crate::packet::layer::Layer;

use super::llc;

/// SLIP (RFC 1055): a direction and fifteen bytes for headers compressed by RFC 1144, which are not expanded.
pub(super) fn slip(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(16)?;
    Ok(Layer::Ip)
}

/// Frame Relay (RFC 2427): an address, whose last byte is odd, then a network layer protocol identifier.
pub(super) fn frame_relay(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const UNNUMBERED_INFORMATION: u8 = 0x03;
    const PADDING: u8 = 0x00;
    const SNAP: u8 = 0x80;
    const IPV6: u8 = 0x8e;
    const IPV4: u8 = 0xcc;
    while cursor.u8()? & 1 == 0 {}
    if cursor.peek(0)? != UNNUMBERED_INFORMATION {
        // Cisco's own encapsulation.
        return Ok(Layer::EtherType(cursor.u16()?));
    }
    cursor.skip(1)?;
    if cursor.peek(0)? == PADDING {
        cursor.skip(1)?;
    }
    match cursor.u8()? {
        IPV4 => Ok(Layer::Ipv4),
        IPV6 => Ok(Layer::Ipv6),
        SNAP => llc::snap(cursor),
        _ => Err(Skip::NotIp),
    }
}

/// ATM as Sun captures it: kind of traffic and circuit, before what RFC 2684 prescribes.
pub(super) fn sunatm(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const TRAFFIC: u8 = 0x0f;
    const RFC2684_LLC: u8 = 2;
    let kind = cursor.u8()? & TRAFFIC;
    cursor.skip(3)?;
    if kind == RFC2684_LLC { Ok(Layer::Llc) } else { Err(Skip::NotIp) }
}
