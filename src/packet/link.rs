//! Link headers: what lies between the start of a record and its IP packet.
//!
//! The numbers are those of the tcpdump registry (<https://www.tcpdump.org/linktypes.html>).

use super::Skip;

/// The IP version a link header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    V4,
    V6,
}

const NULL: u16 = 0;
const ETHERNET: u16 = 1;
/// The registry's number, and those that BSD systems use within programs.
const RAW: [u16; 3] = [101, 12, 14];
const LOOP: u16 = 108;
const LINUX_SLL: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const LINUX_SLL2: u16 = 276;

/// Finds the IP packet in a record: its version, and the length of all that is before it.
///
/// A header that was not captured whole is [`Skip::CutBeforeTcpHeader`].
pub(super) fn network(link: u16, data: &[u8]) -> Result<(Network, usize), Skip> {
    match link {
        // Two addresses of six bytes, then the type.
        ETHERNET => behind_ethertype(data, 12),
        // The type is the last field of the sixteen bytes.
        LINUX_SLL => behind_ethertype(data, 14),
        LINUX_SLL2 => {
            const HEADER_LEN: usize = 20;
            // The type comes first here; behind the header follows a VLAN tag or the packet.
            Ok(match ethertype(data, 0)? {
                EtherType::Network(network) => (network, HEADER_LEN),
                EtherType::Vlan => behind_vlan_tags(data, HEADER_LEN)?,
            })
        }
        NULL | LOOP => address_family(data),
        IPV4 => Ok((Network::V4, 0)),
        IPV6 => Ok((Network::V6, 0)),
        _ if RAW.contains(&link) => match data.first().ok_or(Skip::CutBeforeTcpHeader)? >> 4 {
            4 => Ok((Network::V4, 0)),
            6 => Ok((Network::V6, 0)),
            _ => Err(Skip::NotIp),
        },
        _ => Err(Skip::UnknownLinkType),
    }
}

/// What an EtherType field announces, as far as it matters here.
enum EtherType {
    Network(Network),
    Vlan,
}

/// The EtherType at `at`.
fn ethertype(data: &[u8], at: usize) -> Result<EtherType, Skip> {
    let field = data.get(at..at + 2).ok_or(Skip::CutBeforeTcpHeader)?;
    match u16::from_be_bytes([field[0], field[1]]) {
        0x0800 => Ok(EtherType::Network(Network::V4)),
        0x86dd => Ok(EtherType::Network(Network::V6)),
        // IEEE 802.1Q, 802.1ad, and the number used for stacked tags before 802.1ad.
        0x8100 | 0x88a8 | 0x9100 => Ok(EtherType::Vlan),
        _ => Err(Skip::NotIp),
    }
}

/// For headers that end with an EtherType, at `at`.
fn behind_ethertype(data: &[u8], at: usize) -> Result<(Network, usize), Skip> {
    match ethertype(data, at)? {
        EtherType::Network(network) => Ok((network, at + 2)),
        EtherType::Vlan => behind_vlan_tags(data, at + 2),
    }
}

/// Passes over VLAN tags, however many: each is two bytes of tag and the EtherType of what follows (IEEE 802.1Q).
fn behind_vlan_tags(data: &[u8], mut at: usize) -> Result<(Network, usize), Skip> {
    loop {
        match ethertype(data, at + 2)? {
            EtherType::Network(network) => return Ok((network, at + 4)),
            EtherType::Vlan => at += 4,
        }
    }
}

/// The address family of NULL and LOOP: four bytes in the byte order of whichever machine captured, with the numbers of
/// its system for IPv6.
fn address_family(data: &[u8]) -> Result<(Network, usize), Skip> {
    let field = data.first_chunk().ok_or(Skip::CutBeforeTcpHeader)?;
    let little = u32::from_le_bytes(*field);
    // The numbers are small: in the wrong byte order they look huge.
    let family = if little > 0xffff { little.swap_bytes() } else { little };
    match family {
        2 => Ok((Network::V4, field.len())),
        // Linux; NetBSD, OpenBSD and Npcap; FreeBSD; macOS.
        10 | 24 | 28 | 30 => Ok((Network::V6, field.len())),
        _ => Err(Skip::NotIp),
    }
}
