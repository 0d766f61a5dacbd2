//! A short way to the TCP header of the packets that captures are made of: Ethernet (with VLAN tags), Linux cooked capture or
//! no link header, then IPv4 without options or IPv6 without extension headers, unfragmented and whole enough.
//!
//! Reason: the full decoder, which asks at each layer what may follow, takes four times as many instructions, a good part
//! of an analysis (`benches/layers`).
//! Proof: tests hold it to the full decoder, on every capture of the repository and on packets changed at random in every
//! header field.
//! Inlined always: a segment that is returned through memory is written and read again three times on its way to the batch.
//! Fallback: whatever is not exactly this, or might be malformed or cut, is none here and goes to the full decoder, which
//! alone knows reasons to refuse a packet.

use super::ip;
use super::link::{ethernet::ethertype, linktype};
use super::{Endpoint, Flags, Segment, tcp};

/// Of a TCP header what every segment needs: all before checksum and urgent pointer (RFC 9293 section 3.1).
const TCP_LEN: usize = 16;

/// The segment of a packet of the usual form; none says nothing of the packet.
#[inline(always)]
pub(super) fn segment(link: u16, data: &[u8]) -> Option<Segment<'_>> {
    let ip_at = network_layer(link, data)?;
    let bytes = data.get(ip_at..)?;
    match bytes.first()? >> 4 {
        4 => v4(bytes),
        6 => v6(bytes),
        _ => None,
    }
}

/// Where the IP header begins, if an EtherType or the link type says that one follows.
#[inline(always)]
fn network_layer(link: u16, data: &[u8]) -> Option<usize> {
    let u16_at = |at: usize| Some(u16::from_be_bytes(*data.get(at..)?.first_chunk()?));
    let (mut kind, mut at) = match link {
        linktype::ETHERNET => (u16_at(12)?, 14),
        linktype::LINUX_SLL => (u16_at(14)?, 16),
        linktype::LINUX_SLL2 => (u16_at(0)?, 20),
        linktype::RAW => return Some(0),
        _ => return None,
    };
    while matches!(kind, ethertype::VLAN | ethertype::PROVIDER_VLAN) {
        kind = u16_at(at + 2)?;
        at += 4;
    }
    // The version in the IP header must be the one announced.
    let version = data.get(at)? >> 4;
    matches!((kind, version), (ethertype::IPV4, 4) | (ethertype::IPV6, 6)).then_some(at)
}

/// With an IPv4 header (RFC 791 section 3.1).
#[inline(always)]
fn v4(bytes: &[u8]) -> Option<Segment<'_>> {
    const LEN: usize = 20;
    const VERSION_AND_LEN: u8 = 0x45;
    /// More fragments, or an offset.
    const FRAGMENT: u16 = 0x3fff;
    let headers: &[u8; LEN + TCP_LEN] = bytes.first_chunk()?;
    let (header, tcp) = headers.split_first_chunk::<LEN>()?;
    let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let usual = header[0] == VERSION_AND_LEN && header[9] == ip::TCP && u16_at(6) & FRAGMENT == 0;
    if !usual {
        return None;
    }
    let u32_at = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let ends = [Endpoint::v4(u32_at(12), 0), Endpoint::v4(u32_at(16), 0)];
    // The length in the IP header is believed over that of the record, as the full decoder does.
    let lens = (LEN, usize::from(u16_at(2)));
    let mut segment = behind(bytes, lens, tcp.first_chunk()?, ends)?;
    (segment.ttl, segment.ip_id) = (header[8], Some(u16_at(4)));
    Some(segment)
}

/// With an IPv6 header (RFC 8200 section 3).
#[inline]
fn v6(bytes: &[u8]) -> Option<Segment<'_>> {
    const LEN: usize = 40;
    let headers: &[u8; LEN + TCP_LEN] = bytes.first_chunk()?;
    let (header, tcp) = headers.split_first_chunk::<LEN>()?;
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // A length of 0 has a meaning of its own: a jumbo payload, or segmentation offload.
    if header[6] != ip::TCP || payload_len == 0 {
        return None;
    }
    let (_, addresses) = header.split_first_chunk::<8>()?;
    let (src, dst) = addresses.split_first_chunk::<16>()?;
    let dst: &[u8; 16] = dst.first_chunk()?;
    let end = |address: &[u8; 16]| Endpoint::v6(u128::from_be_bytes(*address), 0);
    let ends = [end(src), end(dst)];
    let mut segment = behind(bytes, (LEN, LEN + payload_len), tcp.first_chunk()?, ends)?;
    segment.ttl = header[7];
    Some(segment)
}

/// The segment behind an IP header, by the lengths of that and of the whole packet.
#[inline(always)]
fn behind<'a>(
    bytes: &'a [u8],
    (ip_len, total_len): (usize, usize),
    tcp: &[u8; TCP_LEN],
    [src, dst]: [Endpoint; 2],
) -> Option<Segment<'a>> {
    let u16_at = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    let u32_at = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
    let tcp_len = usize::from(tcp[12] >> 4) * 4;
    let payload_at = ip_len + tcp_len;
    let end = bytes.len().min(total_len);
    if tcp_len < tcp::HEADER_LEN || payload_at > end {
        return None;
    }
    let (headers, payload) = bytes[..end].split_at(payload_at);
    Some(Segment {
        src: Endpoint { port: u16_at(0), ..src },
        dst: Endpoint { port: u16_at(2), ..dst },
        tunnel: 0,
        seq: u32_at(4),
        ack: u32_at(8),
        flags: Flags(tcp[13]),
        window: u16_at(14),
        payload_len: (total_len - payload_at) as u32,
        payload,
        ttl: 0,
        ip_id: None,
        timestamps: tcp::timestamps(&headers[ip_len + tcp::HEADER_LEN..]),
    })
}
