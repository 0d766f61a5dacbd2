//! Headers that a capturing system puts before packets in place of a link's, or around it.

use crate::packet::Skip;
use crate::packet::cursor::Cursor;
use crate::packet::layer::Layer;

use super::{address_family, linktype};

/// NULL and LOOP: an address family, in the byte order of whichever machine captured.
pub(super) fn null(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    let field = cursor.take()?;
    let little = u32::from_le_bytes(field);
    // The numbers are small: in the wrong byte order they look huge.
    address_family(if little > 0xffff { little.swap_bytes() } else { little })
}

/// Linux cooked capture, version 1: the protocol is the last field of the sixteen bytes.
pub(super) fn linux_sll(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(14)?;
    let protocol = cursor.u16()?;
    cooked_protocol(protocol)
}

/// Linux cooked capture, version 2: the protocol comes first.
pub(super) fn linux_sll2(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    let protocol = cursor.u16()?;
    cursor.skip(18)?;
    cooked_protocol(protocol)
}

/// An EtherType, or one of the numbers Linux has for links without (`linux/if_ether.h`).
fn cooked_protocol(protocol: u16) -> Result<Layer, Skip> {
    const ETH_P_802_2: u16 = 0x0004;
    match protocol {
        ETH_P_802_2 => Ok(Layer::Llc),
        ethertype => Ok(Layer::EtherType(ethertype)),
    }
}

/// PKTAP of macOS: length of the header, record type, link type of what follows; little-endian.
pub(super) fn pktap(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const FIELDS_LEN: usize = 12;
    let header_len = u32::from_le_bytes(cursor.take()?) as usize;
    cursor.skip(4)?;
    let link = u32::from_le_bytes(cursor.take()?);
    cursor.skip(header_len.checked_sub(FIELDS_LEN).ok_or(Skip::MalformedLink)?)?;
    Ok(Layer::Link(u16::try_from(link).map_err(|_| Skip::UnknownLinkType)?))
}

/// Linux's NFLOG: an address family, then fields of length, type and value, of which one is the packet.
pub(super) fn nflog(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const FIELD_HEADER_LEN: usize = 4;
    const PAYLOAD: u16 = 9;
    let [family, _version, _, _] = cursor.take()?;
    loop {
        let [a, b, c, d] = cursor.take()?;
        // In the byte order of the capturing machine. Types are small: in the wrong order they look huge.
        let from_bytes = if c >= d { u16::from_le_bytes } else { u16::from_be_bytes };
        let (len, field) = (usize::from(from_bytes([a, b])), from_bytes([c, d]));
        let value_len = len.checked_sub(FIELD_HEADER_LEN).ok_or(Skip::MalformedLink)?;
        if field == PAYLOAD {
            cursor.limit(value_len.min(cursor.wire_len()));
            return address_family(u32::from(family));
        }
        cursor.skip(value_len.next_multiple_of(4))?;
    }
}

/// The packet filter log of BSD systems: its own length, which leaves out the padding, then an address family.
pub(super) fn pflog(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    let [len, family] = cursor.take()?;
    cursor.skip(usize::from(len).next_multiple_of(4).checked_sub(2).ok_or(Skip::MalformedLink)?)?;
    address_family(u32::from(family))
}

/// The inside of OpenBSD's IPsec: address family, security parameter index, flags.
pub(super) fn enc(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(12)?;
    Ok(Layer::Ip)
}

/// Juniper's Ethernet: a magic number, flags, and extensions with a length of their own.
pub(super) fn juniper_ether(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const MAGIC: [u8; 3] = [0x4d, 0x47, 0x43];
    const NO_LINK_HEADER: u8 = 0x02;
    const EXTENSIONS: u8 = 0x80;
    if cursor.take()? != MAGIC {
        return Err(Skip::MalformedLink);
    }
    let flags = cursor.u8()?;
    if flags & EXTENSIONS != 0 {
        let len = cursor.u16()?;
        cursor.skip(usize::from(len))?;
    }
    if flags & NO_LINK_HEADER != 0 {
        // The number of the protocol, which the packet tells too.
        cursor.skip(4)?;
        return Ok(Layer::Ip);
    }
    Ok(Layer::Link(linktype::ETHERNET))
}
