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
    let first_bits = cursor.peek(0)? >> 4;
    if first_bits == 4 {
        return Ok(Layer::Ipv4);
    }
    if first_bits == 6 {
        return Ok(Layer::Ipv6);
    }
    if ethernet::is_likely(0, cursor) {
        return Ok(Layer::Ethernet);
    }
    if first_bits == 0 {
        cursor.skip(CONTROL_WORD_LEN)?;
        return Ok(Layer::Ethernet);
    }
    Err(Skip::NotIp)
}
