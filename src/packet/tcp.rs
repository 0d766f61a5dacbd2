//! The TCP header.

use super::cursor::Cursor;
use super::ip;
use super::{Endpoint, Flags, Segment, Skip};

/// The fields every TCP header has; options follow (RFC 9293 section 3.1).
pub(super) const HEADER_LEN: usize = 20;
/// Up to the window; checksum and urgent pointer behind it tell nothing here.
const NEEDED_LEN: usize = 16;

/// The TCP header (RFC 9293 section 3.1), its options as far as they were captured.
pub(super) fn segment<'a>(ip: &ip::Header, vni: u32, cursor: &Cursor<'a>) -> Result<Segment<'a>, Skip> {
    if cursor.wire_len() < HEADER_LEN {
        return Err(Skip::MalformedTcp);
    }
    let header = cursor.rest().first_chunk::<NEEDED_LEN>().ok_or(Skip::CutBeforeTcpHeader)?;
    let u16_at = |at| u16::from_be_bytes([header[at], header[at + 1]]);
    let u32_at = |at| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < HEADER_LEN || header_len > cursor.wire_len() {
        return Err(Skip::MalformedTcp);
    }
    let captured_len = cursor.rest().len();
    let (header_and_options, payload) = cursor.rest().split_at(captured_len.min(header_len));
    Ok(Segment {
        src: Endpoint::new(ip.src, u16_at(0)),
        dst: Endpoint::new(ip.dst, u16_at(2)),
        tunnel: vni,
        seq: u32_at(4),
        ack: u32_at(8),
        flags: Flags(header[13]),
        window: u16_at(14),
        payload_len: (cursor.wire_len() - header_len) as u32,
        payload,
        ttl: ip.ttl,
        ip_id: ip.id,
        timestamps: timestamps(header_and_options.get(HEADER_LEN..).unwrap_or_default()),
    })
}

/// The timestamps option (RFC 7323 section 3.2). Options of unknown kind are passed over by their length, as RFC 9293
/// section 3.1 demands; etherparse's iterator ends at the first of them.
#[inline(always)]
pub(super) fn timestamps(mut options: &[u8]) -> Option<(u32, u32)> {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const TIMESTAMPS: u8 = 8;
    loop {
        match *options {
            // As nearly all kernels place them (RFC 7323 appendix A).
            [NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10, a, b, c, d, e, f, g, h, ..]
            | [TIMESTAMPS, 10, a, b, c, d, e, f, g, h, ..] => {
                return Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
            }
            [] | [END, ..] => return None,
            [NO_OPERATION, ref rest @ ..] => options = rest,
            // The length counts kind and length themselves; anything below would not advance.
            [_, len, ..] if len >= 2 => options = options.get(usize::from(len)..)?,
            _ => return None,
        }
    }
}
