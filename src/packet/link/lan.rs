//! Local networks other than Ethernet.

use crate::packet::Skip;
use crate::packet::cursor::Cursor;
use crate::packet::layer::Layer;

/// Token Ring (IEEE 802.5): two control bytes, addresses, and a route if the source address says so.
pub(super) fn token_ring(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const ROUTE_FOLLOWS: u8 = 0x80;
    const ROUTE_LEN: u8 = 0x1f;
    let routed = cursor.peek(8)? & ROUTE_FOLLOWS != 0;
    cursor.skip(14)?;
    if routed {
        let len = cursor.peek(0)? & ROUTE_LEN;
        cursor.skip(usize::from(len))?;
    }
    Ok(Layer::Llc)
}

/// FDDI (ISO 9314): frame control, addresses.
pub(super) fn fddi(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const FRAME_FORMAT: u8 = 0xf0;
    const LLC: u8 = 0x50;
    if cursor.u8()? & FRAME_FORMAT != LLC {
        return Err(Skip::NotIp);
    }
    cursor.skip(12)?;
    Ok(Layer::Llc)
}

/// ARCNET as BSD systems capture it: source and destination.
pub(super) fn arcnet_bsd(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(2)?;
    arcnet(cursor)
}

/// ARCNET as Linux captures it: source, destination, and an offset of the card's buffer.
pub(super) fn arcnet_linux(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(4)?;
    arcnet(cursor)
}

/// A protocol number; by RFC 1201 fields for splitting follow, by RFC 1051 nothing.
fn arcnet(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const IPV6_RFC1201: u8 = 196;
    const IP_RFC1201: u8 = 212;
    const IP_RFC1051: u8 = 240;
    match cursor.u8()? {
        IP_RFC1051 => Ok(Layer::Ipv4),
        IP_RFC1201 => rfc1201_unsplit(Layer::Ipv4, cursor),
        IPV6_RFC1201 => rfc1201_unsplit(Layer::Ipv6, cursor),
        _ => Err(Skip::NotIp),
    }
}

/// The split flag and sequence number of RFC 1201, behind padding in frames of an awkward length.
fn rfc1201_unsplit(layer: Layer, cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const EXCEPTION_FRAME: u8 = 0xff;
    let mut split_flag = cursor.u8()?;
    if split_flag == EXCEPTION_FRAME {
        cursor.skip(2)?;
        // The protocol again, and the flag proper.
        cursor.skip(1)?;
        split_flag = cursor.u8()?;
    }
    cursor.skip(2)?;
    if split_flag == 0 { Ok(layer) } else { Err(Skip::Fragment) }
}

/// IP over InfiniBand (RFC 4391): the global route header, then an EtherType and two reserved bytes.
pub(super) fn infiniband(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(40)?;
    let ethertype = cursor.u16()?;
    cursor.skip(2)?;
    Ok(Layer::EtherType(ethertype))
}
