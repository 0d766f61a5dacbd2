//! MPLS label stacks (RFC 3032).

use crate::packet::Skip;
use crate::packet::cursor::Cursor;
use crate::packet::layer::Layer;

use super::ethernet;

/// Passes over the labels. Nothing names what follows the last; by convention its first four bits tell (RFC 4928).
pub(in crate::packet) fn labels(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const BOTTOM_OF_STACK: u32 = 0x100;
    /// The control word of an Ethernet pseudo-wire (RFC 4448), which may be left out.
    const CONTROL_WORD_LEN: usize = 4;
    while cursor.u32()? & BOTTOM_OF_STACK == 0 {}
    match cursor.peek(0)? >> 4 {
        4 => Ok(Layer::Ipv4),
        6 => Ok(Layer::Ipv6),
        0 if ethernet::is_plausible(CONTROL_WORD_LEN, cursor) => {
            cursor.skip(CONTROL_WORD_LEN)?;
            Ok(Layer::Ethernet)
        }
        _ if ethernet::is_plausible(0, cursor) => Ok(Layer::Ethernet),
        _ => Err(Skip::NotIp),
    }
}
