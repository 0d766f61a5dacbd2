//! IPv4 and IPv6 headers, read with etherparse.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::err::{ip_auth, ipv4, ipv6};
use etherparse::{
    IpAuthHeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice,
};

use super::Skip;
use super::cursor::Cursor;
use super::fragments::Key;
use super::layer::{Context, Layer};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const AUTHENTICATION: u8 = 51;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

/// What an IP header says of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub src: IpAddr,
    pub dst: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Identification; none in IPv6.
    pub id: Option<u16>,
}

impl Header {
    pub fn is_v6(&self) -> bool {
        self.src.is_ipv6()
    }
}

/// A fragment; the cursor is at its first byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment {
    pub key: Key,
    /// Bytes of the datagram before this fragment.
    pub offset: usize,
    pub more: bool,
}

/// Tells the two versions apart where the link does not.
pub(super) fn version(cursor: &Cursor<'_>) -> Result<Layer, Skip> {
    match cursor.peek(0)? >> 4 {
        4 => Ok(Layer::Ipv4),
        6 => Ok(Layer::Ipv6),
        _ => Err(Skip::NotIp),
    }
}

/// IPv4 (RFC 791). Checksums are not looked at: with offload those of the capturing host are always wrong.
pub(super) fn v4(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    let header = Ipv4HeaderSlice::from_slice(cursor.rest()).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(_) => cursor.too_short(Skip::MalformedIp),
        ipv4::HeaderSliceError::Content(_) => Skip::MalformedIp,
    })?;
    let header_len = header.slice().len();
    match usize::from(header.total_len()) {
        // Segmentation offload: as long as what the wire had.
        0 => {}
        total_len if total_len < header_len => return Err(Skip::MalformedIp),
        total_len => cursor.limit(total_len),
    }
    let src = header.source_addr().into();
    let dst = source_route_end(header.options()).unwrap_or_else(|| header.destination_addr()).into();
    context.enter_ip(Header { src, dst, ttl: header.ttl(), id: Some(header.identification()) })?;
    cursor.skip(header_len)?;
    let protocol = header.protocol().0;
    if !header.is_fragmenting_payload() {
        return Ok(Layer::Protocol(protocol));
    }
    let key = Key { src, dst, id: u32::from(header.identification()), protocol, vni: context.vni };
    let offset = usize::from(header.fragments_offset().byte_offset());
    fragment(Fragment { key, offset, more: header.more_fragments() }, cursor, context)
}

/// Where a source route that is not at its end leads (RFC 791 section 3.1): the address of the connection, and not that of
/// the next hop, which the header has.
fn source_route_end(mut options: &[u8]) -> Option<Ipv4Addr> {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE: u8 = 131;
    const STRICT: u8 = 137;
    loop {
        match *options {
            [] | [END, ..] => return None,
            [NO_OPERATION, ref rest @ ..] => options = rest,
            [LOOSE | STRICT, len, pointer, ..] if pointer < len => {
                let route = options.get(3..usize::from(len))?;
                return route.last_chunk::<4>().map(|address| Ipv4Addr::from(*address));
            }
            // The length counts kind and length themselves; anything below would not advance.
            [_, len, ..] if len >= 2 => options = options.get(usize::from(len)..)?,
            _ => return None,
        }
    }
}

/// IPv6 (RFC 8200).
pub(super) fn v6(cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    let header = Ipv6HeaderSlice::from_slice(cursor.rest()).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(_) => cursor.too_short(Skip::MalformedIp),
        ipv6::HeaderSliceError::Content(_) => Skip::MalformedIp,
    })?;
    let (src, dst) = (header.source_addr().into(), header.destination_addr().into());
    context.enter_ip(Header { src, dst, ttl: header.hop_limit(), id: None })?;
    cursor.skip(header.slice().len())?;
    match usize::from(header.payload_length()) {
        // A jumbogram (RFC 2675), or segmentation offload.
        0 => {}
        payload_len => cursor.limit(payload_len),
    }
    Ok(Layer::Protocol(header.next_header().0))
}

/// Whether a protocol number is that of an extension header (RFC 8200 section 4, and the registry's later ones).
pub(super) const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6 | AUTHENTICATION
    )
}

/// Passes over an extension header, in whatever order they come; the authentication header (RFC 4302) also in IPv4.
pub(super) fn extension(number: u8, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    let too_short = cursor.too_short(Skip::MalformedIp);
    let (len, next) = match number {
        AUTHENTICATION => {
            let header = IpAuthHeaderSlice::from_slice(cursor.rest()).map_err(|error| match error {
                ip_auth::HeaderSliceError::Len(_) => too_short,
                ip_auth::HeaderSliceError::Content(_) => Skip::MalformedIp,
            })?;
            (header.slice().len(), header.next_header())
        }
        FRAGMENT => {
            let header = Ipv6FragmentHeaderSlice::from_slice(cursor.rest()).map_err(|_| too_short)?;
            if header.is_fragmenting_payload() {
                cursor.skip(header.slice().len())?;
                return v6_fragment(&header, cursor, context);
            }
            // An atomic fragment (RFC 6946) is the whole packet.
            (header.slice().len(), header.next_header())
        }
        _ => {
            let header = Ipv6RawExtHeaderSlice::from_slice(cursor.rest()).map_err(|_| too_short)?;
            if number == ROUTING
                && let (Some(ip), Some(end)) = (&mut context.ip, route_end(header.slice()))
            {
                ip.dst = end.into();
            }
            (header.slice().len(), header.next_header())
        }
    };
    cursor.skip(len)?;
    Ok(Layer::Protocol(next.0))
}

/// Where a routing header that is not at its end leads: the address of the connection (RFC 8200 section 8.1).
fn route_end(header: &[u8]) -> Option<Ipv6Addr> {
    /// RFC 2460 section 4.4: the addresses in the order of the way.
    const SOURCE_ROUTE: u8 = 0;
    /// RFC 6275 section 6.4: one address.
    const MOBILE: u8 = 2;
    /// RFC 8754 section 2: the end comes first.
    const SEGMENTS: u8 = 4;
    let (fields, addresses) = header.split_at_checked(8)?;
    let [_, _, kind, segments_left, ..] = *fields else { return None };
    if segments_left == 0 {
        return None;
    }
    let end: &[u8; 16] = match kind {
        SOURCE_ROUTE => addresses.last_chunk()?,
        MOBILE | SEGMENTS => addresses.first_chunk()?,
        _ => return None,
    };
    Some(Ipv6Addr::from(*end))
}

fn v6_fragment(
    header: &Ipv6FragmentHeaderSlice<'_>,
    cursor: &Cursor<'_>,
    context: &mut Context,
) -> Result<Layer, Skip> {
    let Some(ip) = context.ip else { return Err(Skip::NotIp) };
    let key = Key {
        src: ip.src,
        dst: ip.dst,
        id: header.identification(),
        protocol: header.next_header().0,
        vni: context.vni,
    };
    let offset = usize::from(header.fragment_offset().byte_offset());
    fragment(Fragment { key, offset, more: header.more_fragments() }, cursor, context)
}

/// What becomes of a fragment: one that was cut can never be joined, but the first of a datagram still shows the headers
/// (Wireshark reads it too).
fn fragment(fragment: Fragment, cursor: &Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    if !cursor.is_cut() {
        context.fragment = Some(fragment);
        return Ok(Layer::Fragment);
    }
    if fragment.offset == 0 { Ok(Layer::Protocol(fragment.key.protocol)) } else { Err(Skip::Fragment) }
}
