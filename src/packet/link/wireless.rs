//! IEEE 802.11, and the headers with which radios describe a reception.

use crate::packet::Skip;
use crate::packet::cursor::Cursor;
use crate::packet::layer::Layer;

use super::linktype;

/// The MAC header of a data frame (IEEE 802.11-2020 section 9.2).
pub(in crate::packet) fn ieee80211(padded: bool, cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const VERSION_AND_TYPE: u8 = 0x0f;
    const DATA: u8 = 0x08;
    const SUBTYPE_WITHOUT_DATA: u8 = 0x40;
    const SUBTYPE_QOS: u8 = 0x80;
    const TO_AND_FROM_DS: u8 = 0x03;
    const MORE_FRAGMENTS: u8 = 0x04;
    const PROTECTED: u8 = 0x40;
    const HT_CONTROL: u8 = 0x80;
    const FRAGMENT_NUMBER: u8 = 0x0f;
    const AGGREGATE: u8 = 0x80;

    let start = cursor.at();
    let [kind, flags] = cursor.take()?;
    if kind & VERSION_AND_TYPE != DATA || kind & SUBTYPE_WITHOUT_DATA != 0 {
        return Err(Skip::NotIp);
    }
    // Duration and three addresses.
    cursor.skip(2 + 18)?;
    let [fragment_number, _] = cursor.take()?;
    if flags & TO_AND_FROM_DS == TO_AND_FROM_DS {
        cursor.skip(6)?;
    }
    let mut aggregate = false;
    if kind & SUBTYPE_QOS != 0 {
        let [control, _] = cursor.take()?;
        aggregate = control & AGGREGATE != 0;
        if flags & HT_CONTROL != 0 {
            cursor.skip(4)?;
        }
    }
    if padded {
        cursor.skip((cursor.at() - start).next_multiple_of(4) - (cursor.at() - start))?;
    }
    if flags & PROTECTED != 0 {
        return Err(Skip::Encrypted);
    }
    if flags & MORE_FRAGMENTS != 0 || fragment_number & FRAGMENT_NUMBER != 0 {
        return Err(Skip::Fragment);
    }
    if aggregate { only_one(cursor) } else { Ok(Layer::Llc) }
}

/// An A-MSDU (section 9.3.2.2): each packet in it has two addresses and a length, and all but the last are padded.
fn only_one(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const CHECKSUM_LEN: usize = 4;
    cursor.skip(12)?;
    let len = usize::from(cursor.u16()?);
    if cursor.wire_len() > len.next_multiple_of(4) + CHECKSUM_LEN {
        return Err(Skip::Aggregate);
    }
    cursor.limit(len.min(cursor.wire_len()));
    Ok(Layer::Llc)
}

/// Radiotap (<https://www.radiotap.org>): little-endian; only the length and one of the flags matter.
pub(super) fn radiotap(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    let start = cursor.at();
    cursor.skip(2)?;
    let header_len = usize::from(u16::from_le_bytes(cursor.take()?));
    let padded = is_padded(*cursor)?;
    let read = cursor.at() - start;
    cursor.skip(header_len.checked_sub(read).ok_or(Skip::MalformedLink)?)?;
    Ok(Layer::Ieee80211 { padded })
}

/// The flag of padding behind the MAC header. The fields before it: words that tell which fields there are, and a time.
fn is_padded(mut cursor: Cursor<'_>) -> Result<bool, Skip> {
    const TIME: u32 = 1;
    const FLAGS: u32 = 1 << 1;
    const ANOTHER_WORD: u32 = 1 << 31;
    const DATA_PAD: u8 = 0x20;
    /// Fields are aligned from the start of the header, of which version, padding and length were read.
    const READ: usize = 4;
    let first = u32::from_le_bytes(cursor.take()?);
    let mut words = 1;
    let mut present = first;
    while present & ANOTHER_WORD != 0 {
        present = u32::from_le_bytes(cursor.take()?);
        words += 1;
    }
    if first & FLAGS == 0 {
        return Ok(false);
    }
    if first & TIME != 0 {
        let at = READ + 4 * words;
        cursor.skip(at.next_multiple_of(8) - at + 8)?;
    }
    Ok(cursor.u8()? & DATA_PAD != 0)
}

/// Per-packet information: version, flags, length and link type; little-endian.
pub(super) fn ppi(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const FIELDS_LEN: usize = 8;
    cursor.skip(2)?;
    let header_len = usize::from(u16::from_le_bytes(cursor.take()?));
    let link = u32::from_le_bytes(cursor.take()?);
    cursor.skip(header_len.checked_sub(FIELDS_LEN).ok_or(Skip::MalformedLink)?)?;
    Ok(Layer::Link(u16::try_from(link).map_err(|_| Skip::UnknownLinkType)?))
}

/// Prism, or AVS in its place: a message code and the length of the header, in the byte order of the capturing machine.
pub(super) fn prism(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const AVS_MAGIC: u16 = 0x8021;
    if cursor.peek_u16(0)? == AVS_MAGIC {
        return avs(cursor);
    }
    cursor.skip(4)?;
    let field = cursor.take()?;
    // Some hundred bytes: in the wrong byte order it looks huge.
    let len = u32::from_le_bytes(field).min(u32::from_be_bytes(field)) as usize;
    cursor.skip(len.checked_sub(8).ok_or(Skip::MalformedLink)?)?;
    Ok(Layer::Link(linktype::IEEE802_11))
}

/// AVS: a magic number and the length of the header, big-endian.
pub(super) fn avs(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(4)?;
    let len = cursor.u32()? as usize;
    cursor.skip(len.checked_sub(8).ok_or(Skip::MalformedLink)?)?;
    Ok(Layer::Link(linktype::IEEE802_11))
}
