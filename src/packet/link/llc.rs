//! IEEE 802.2 logical link control, and its sub-network access protocol.

use crate::packet::Skip;
use crate::packet::cursor::Cursor;
use crate::packet::layer::Layer;

/// Service access points and control field, then for SNAP an organisation and a type (RFC 1042).
pub(in crate::packet) fn header(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const SNAP: [u8; 2] = [0xaa, 0xaa];
    const IP: [u8; 2] = [0x06, 0x06];
    const UNNUMBERED_INFORMATION: u8 = 0x03;
    let access_points: [u8; 2] = cursor.take()?;
    if cursor.u8()? != UNNUMBERED_INFORMATION {
        return Err(Skip::NotIp);
    }
    match access_points {
        SNAP => snap(cursor),
        IP => Ok(Layer::Ipv4),
        _ => Err(Skip::NotIp),
    }
}

/// Organisation and type.
pub(super) fn snap(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const ETHERNET: [u8; 3] = [0, 0, 0];
    /// IEEE 802.1H: what a bridge puts in place of the zeroes for some types.
    const BRIDGE_TUNNEL: [u8; 3] = [0x00, 0x00, 0xf8];
    /// Whole frames of a bridged network (RFC 2684 section 5.2), with their checksum or without.
    const BRIDGED: [u8; 3] = [0x00, 0x80, 0xc2];
    match (cursor.take()?, cursor.u16()?) {
        (ETHERNET | BRIDGE_TUNNEL, ethertype) => Ok(Layer::EtherType(ethertype)),
        (BRIDGED, 0x0001 | 0x0007) => {
            cursor.skip(2)?;
            Ok(Layer::Ethernet)
        }
        _ => Err(Skip::NotIp),
    }
}
