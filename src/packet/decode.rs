//! One captured record to one TCP segment.

use std::net::IpAddr;

use etherparse::err::{ip_auth, ipv4, ipv6, ipv6_exts};
use etherparse::{LaxIpPayloadSlice, LaxIpv4Slice, LaxIpv6Slice, ip_number};

use super::link::{self, Network};
use super::{Endpoint, Flags, Segment, Skip};

/// The fields every TCP header has; options follow (RFC 9293 section 3.1).
const TCP_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
/// In place of a link type: a record that only takes a frame number.
const NOT_A_PACKET: u16 = u16::MAX;

/// What the IP layer says of a packet.
struct IpPacket<'a> {
    src: IpAddr,
    dst: IpAddr,
    ttl: u8,
    id: Option<u16>,
    /// Bytes behind the IP headers on the wire.
    payload_len: usize,
    /// Those that were captured, without padding of the link.
    payload: &'a [u8],
}

/// Finds the TCP segment in a record.
///
/// `link` is the record's `LINKTYPE_` number, `wire_len` the bytes it had on the wire. Checksums are not looked at: with
/// offload the capturing host's own are always wrong. The payload's length is the one the IP header gives, so neither
/// Ethernet padding nor a short snap length changes it; where that header has no length (segmentation offload writes 0)
/// it is what the wire had.
///
/// # Errors
/// [`Skip`] says why the record holds no TCP segment that can be read.
pub fn decode(link: u16, data: &[u8], wire_len: u32) -> Result<Segment<'_>, Skip> {
    if link == NOT_A_PACKET {
        return Err(Skip::NotAPacket);
    }
    let (network, link_len) = link::network(link, data)?;
    let captured = data.get(link_len..).ok_or(Skip::CutBeforeTcpHeader)?;
    // Some writers claim less than they captured.
    let wire_len = (wire_len as usize).max(data.len()) - link_len;
    let ip = match network {
        Network::V4 => ipv4_packet(captured, wire_len)?,
        Network::V6 => ipv6_packet(captured, wire_len)?,
    };
    segment(&ip)
}

/// IPv4 (RFC 791), with an authentication header if there is one.
fn ipv4_packet(captured: &[u8], wire_len: usize) -> Result<IpPacket<'_>, Skip> {
    let (packet, stopped) = LaxIpv4Slice::from_slice(captured).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(_) => too_short(captured, wire_len),
        ipv4::HeaderSliceError::Content(_) => Skip::MalformedIp,
    })?;
    let header = packet.header();
    let packet_len = match usize::from(header.total_len()) {
        0 => wire_len,
        total_len => total_len,
    };
    if packet_len < header.slice().len() {
        return Err(Skip::MalformedIp);
    }
    if let Some(error) = stopped {
        return Err(match error {
            ip_auth::HeaderSliceError::Len(_) => too_short(captured, packet_len),
            ip_auth::HeaderSliceError::Content(_) => Skip::MalformedIp,
        });
    }
    let extensions_len = packet.extensions().auth.map_or(0, |auth| auth.slice().len());
    let headers_len = header.slice().len() + extensions_len;
    let payload = packet.payload();
    require_whole_tcp(payload)?;
    Ok(IpPacket {
        src: header.source_addr().into(),
        dst: header.destination_addr().into(),
        ttl: header.ttl(),
        id: Some(header.identification()),
        payload_len: packet_len.checked_sub(headers_len).ok_or(Skip::MalformedIp)?,
        payload: payload.payload,
    })
}

/// IPv6 (RFC 8200), with its extension headers passed over.
fn ipv6_packet(captured: &[u8], wire_len: usize) -> Result<IpPacket<'_>, Skip> {
    let (packet, stopped) = LaxIpv6Slice::from_slice(captured).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(_) => too_short(captured, wire_len),
        ipv6::HeaderSliceError::Content(_) => Skip::MalformedIp,
    })?;
    let header = packet.header();
    let packet_len = match usize::from(header.payload_length()) {
        // A jumbogram (RFC 2675), or segmentation offload.
        0 => wire_len,
        payload_len => IPV6_HEADER_LEN + payload_len,
    };
    if let Some((error, _)) = stopped {
        return Err(match error {
            ipv6_exts::HeaderSliceError::Len(_) => too_short(captured, packet_len),
            ipv6_exts::HeaderSliceError::Content(_) => Skip::MalformedIp,
        });
    }
    let headers_len = IPV6_HEADER_LEN + packet.extensions().slice().len();
    let payload = packet.payload();
    require_whole_tcp(payload)?;
    Ok(IpPacket {
        src: header.source_addr().into(),
        dst: header.destination_addr().into(),
        ttl: header.hop_limit(),
        id: None,
        payload_len: packet_len.checked_sub(headers_len).ok_or(Skip::MalformedIp)?,
        payload: payload.payload,
    })
}

fn require_whole_tcp(payload: &LaxIpPayloadSlice<'_>) -> Result<(), Skip> {
    if payload.ip_number != ip_number::TCP {
        Err(Skip::NotTcp)
    } else if payload.fragmented {
        Err(Skip::Fragment)
    } else {
        Ok(())
    }
}

/// Why a header does not fit into the captured bytes: the capture kept too few of them, or there never were enough.
fn too_short(captured: &[u8], packet_len: usize) -> Skip {
    if captured.len() < packet_len { Skip::CutBeforeTcpHeader } else { Skip::MalformedIp }
}

/// The TCP header (RFC 9293 section 3.1), its options as far as they were captured.
fn segment<'a>(ip: &IpPacket<'a>) -> Result<Segment<'a>, Skip> {
    if ip.payload_len < TCP_HEADER_LEN {
        return Err(Skip::MalformedTcp);
    }
    let (header, behind) =
        ip.payload.split_first_chunk::<TCP_HEADER_LEN>().ok_or(Skip::CutBeforeTcpHeader)?;
    let u16_at = |at| u16::from_be_bytes([header[at], header[at + 1]]);
    let u32_at = |at| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < TCP_HEADER_LEN || header_len > ip.payload_len {
        return Err(Skip::MalformedTcp);
    }
    let (options, payload) = behind.split_at(behind.len().min(header_len - TCP_HEADER_LEN));
    Ok(Segment {
        src: Endpoint { ip: ip.src, port: u16_at(0) },
        dst: Endpoint { ip: ip.dst, port: u16_at(2) },
        tunnel: 0,
        seq: u32_at(4),
        ack: u32_at(8),
        flags: Flags(header[13]),
        window: u16_at(14),
        payload_len: (ip.payload_len - header_len) as u32,
        payload,
        ttl: ip.ttl,
        ip_id: ip.id,
        timestamps: timestamps(options),
    })
}

/// The timestamps option (RFC 7323 section 3.2). Options of unknown kind are passed over by their length, as RFC 9293
/// section 3.1 demands; etherparse's iterator ends at the first of them.
fn timestamps(mut options: &[u8]) -> Option<(u32, u32)> {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const TIMESTAMPS: u8 = 8;
    loop {
        match *options {
            [] | [END, ..] => return None,
            [NO_OPERATION, ref rest @ ..] => options = rest,
            [TIMESTAMPS, 10, a, b, c, d, e, f, g, h, ..] => {
                return Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
            }
            // The length counts kind and length themselves; anything below would not advance.
            [_, len, ..] if len >= 2 => options = options.get(usize::from(len)..)?,
            _ => return None,
        }
    }
}
