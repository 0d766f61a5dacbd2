//! Packets under other names: the same segments between other addresses, with another payload of the same length.
//!
//! A packet is built anew from what is understood of it, and everything else is zero: what is not known here cannot leak.
//! Headers keep their place and their length, so that the packet is as long as it was. Where a header is none of those
//! understood (an exotic link, a fragment), [`rewrite`] gives up and [`rebuild`] makes a plain IP packet of the segment.

mod checksum;
mod headers;
mod options;
mod plain;

use std::net::IpAddr;

use super::cursor::Cursor;
use super::layer::{self, Context, Layer};
use super::{Endpoint, Segment, decode, ip};

pub use plain::rebuild;

/// The other names. The same name always gets the same other one, or else connections fall apart.
pub trait Names {
    /// Another address, of the same version.
    fn ip(&self, ip: IpAddr) -> IpAddr;
    /// Another hardware address.
    fn mac(&self, mac: [u8; 6]) -> [u8; 6];
    /// Another port.
    fn port(&self, port: u16) -> u16;
    /// What is added to the TCP timestamps (RFC 7323) of a host, by its original address.
    fn clock(&self, ip: IpAddr) -> u32;
}

/// The other name of one end.
fn endpoint(names: &dyn Names, end: Endpoint) -> Endpoint {
    Endpoint::new(names.ip(end.ip()), names.port(end.port))
}

/// A header that was passed over: its place, and the IP header at that moment.
struct Span {
    layer: Layer,
    start: usize,
    end: usize,
    ip: Option<ip::Header>,
    /// Where the layer that it belongs to ends, as far as it was captured.
    captured_end: usize,
    /// The capture kept all of that layer.
    whole: bool,
}

/// Writes a packet under other names; `payload` is to take the place of the captured payload, and of the same length.
/// None where a header is none of those understood.
///
/// TTL, flags, numbers, lengths, windows, IP identification and DSCP stay. Gone are padding, trailers, IP options,
/// identifiers of virtual networks, and TCP options other than MSS, window scale, SACK and timestamps. Checksums that were
/// right are right, wrong ones wrong by the same difference, and those that a network card would have filled in are such again.
pub fn rewrite(link: u16, data: &[u8], wire_len: u32, names: &dyn Names, payload: &[u8]) -> Option<Vec<u8>> {
    let original = decode(link, data, wire_len).ok()?;
    if original.payload.len() != payload.len() {
        return None;
    }
    let mut cursor = Cursor::new(data, wire_len as usize);
    let mut context = Context::default();
    let mut spans = Vec::new();
    let mut layer = Layer::Link(link);
    while layer != Layer::Tcp {
        let start = cursor.at();
        let next = layer::step(layer, &mut cursor, &mut context).ok()?;
        if next == Layer::Fragment {
            return None;
        }
        spans.push(Span {
            layer,
            start,
            end: cursor.at(),
            ip: context.ip,
            captured_end: cursor.at() + cursor.rest().len(),
            whole: !cursor.is_cut(),
        });
        layer = next;
    }
    let ip = context.ip?;
    let mut out = vec![0; data.len()];
    for (at, span) in spans.iter().enumerate() {
        // A routing header tells the true destination only behind the IP header.
        let routed = spans[at + 1..].iter().take_while(|later| !later.is_ip()).last();
        let ip = routed.and_then(|last| last.ip).or(span.ip);
        headers::write(span, ip, data, &mut out, names)?;
    }
    let tcp = cursor.at();
    let end = tcp + cursor.rest().len();
    let header_len = end - tcp - payload.len();
    plain::tcp_header(&data[tcp..tcp + header_len], &mut out[tcp..tcp + header_len], &ip, names);
    out[end - payload.len()..end].copy_from_slice(payload);
    checksum::tcp(data, &mut out, tcp..end, !cursor.is_cut(), (ip.src, ip.dst), names);
    // From the inside out: an outer checksum covers the inner ones.
    for span in spans.iter().rev() {
        checksum::of_header(span, data, &mut out, names);
    }
    is_as_intended(&original, link, &out, wire_len, names, payload).then_some(out)
}

/// Whether what was written is read as the same segment under the other names.
fn is_as_intended(
    original: &Segment<'_>,
    link: u16,
    out: &[u8],
    wire_len: u32,
    names: &dyn Names,
    payload: &[u8],
) -> bool {
    let shifted = |(value, echo)| options::shifted(value, echo, original.src.ip(), original.dst.ip(), names);
    let wanted = Segment {
        src: endpoint(names, original.src),
        dst: endpoint(names, original.dst),
        tunnel: 0,
        timestamps: original.timestamps.map(shifted),
        payload,
        ..*original
    };
    decode(link, out, wire_len).is_ok_and(|written| Segment { tunnel: 0, ..written } == wanted)
}

impl Span {
    fn is_ip(&self) -> bool {
        matches!(self.layer, Layer::Ipv4 | Layer::Ipv6)
    }
}
