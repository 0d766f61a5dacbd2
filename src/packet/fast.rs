//! A short way to the TCP header of the packets that captures are made of: Ethernet (with VLAN tags), Linux cooked capture or
//! no link header, then IPv4 without options or IPv6 without extension headers, unfragmented and whole enough.
//!
//! Reason: the full decoder, which asks at each layer what may follow, takes four times as many instructions, a good part
//! of an analysis (`benches/layers`).
//! Proof: tests hold it to the full decoder, on every capture of the repository and on packets changed at random in every
//! header field.
//! Fallback: whatever is not exactly this, or might be malformed or cut, is none here and goes to the full decoder, which
//! alone knows reasons to refuse a packet.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::cursor::Cursor;
use super::ip::{self, Header};
use super::link::{ethernet::ethertype, linktype};
use super::{Segment, tcp};

/// The segment of a packet of the usual form; none says nothing of the packet.
#[inline]
pub(super) fn segment(link: u16, data: &[u8]) -> Option<Segment<'_>> {
    let ip_at = network_layer(link, data)?;
    let bytes = data.get(ip_at..)?;
    let (header, header_len, total_len) = match bytes.first()? >> 4 {
        4 => v4(bytes)?,
        6 => v6(bytes)?,
        _ => return None,
    };
    // The length in the IP header is believed over that of the record, as the full decoder does.
    let mut cursor = Cursor::new(bytes, 0);
    cursor.limit(total_len);
    cursor.skip(header_len).ok()?;
    tcp::segment(&header, 0, &cursor).ok()
}

/// Where the IP header begins, if an EtherType or the link type says that one follows.
#[inline]
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

/// Of an IPv4 header: what it says, its length, and the packet's (RFC 791 section 3.1).
#[inline]
fn v4(bytes: &[u8]) -> Option<(Header, usize, usize)> {
    const LEN: usize = 20;
    const VERSION_AND_LEN: u8 = 0x45;
    /// More fragments, or an offset.
    const FRAGMENT: u16 = 0x3fff;
    let header: &[u8; LEN] = bytes.first_chunk()?;
    let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let total_len = usize::from(u16_at(2));
    let usual = header[0] == VERSION_AND_LEN && header[9] == ip::TCP && u16_at(6) & FRAGMENT == 0;
    if !usual || total_len < LEN {
        return None;
    }
    let address =
        |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into();
    let fields = Header { src: address(12), dst: address(16), ttl: header[8], id: Some(u16_at(4)) };
    Some((fields, LEN, total_len))
}

/// The same of an IPv6 header (RFC 8200 section 3).
#[inline]
fn v6(bytes: &[u8]) -> Option<(Header, usize, usize)> {
    const LEN: usize = 40;
    let header: &[u8; LEN] = bytes.first_chunk()?;
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // A length of 0 has a meaning of its own: a jumbo payload, or segmentation offload.
    if header[6] != ip::TCP || payload_len == 0 {
        return None;
    }
    let (_, addresses) = header.split_first_chunk::<8>()?;
    let (src, dst) = addresses.split_first_chunk::<16>()?;
    let dst: &[u8; 16] = dst.first_chunk()?;
    let fields = Header {
        src: Ipv6Addr::from(*src).into(),
        dst: Ipv6Addr::from(*dst).into(),
        ttl: header[7],
        id: None,
    };
    Some((fields, LEN, LEN + payload_len))
}
