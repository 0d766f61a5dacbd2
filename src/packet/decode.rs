//! One captured record to one TCP segment.

use std::net::IpAddr;

use super::cursor::Cursor;
use super::fragments::Fragments;
use super::layer::{self, Context, End, Layer};
use super::{Segment, Skip, fast, tcp, tunnel};

/// Finds the TCP segment in a record, by that record alone and header by header: fragments are refused. [`Decoder`] joins
/// them, and is faster.
///
/// `link` is the record's `LINKTYPE_` number, `wire_len` the bytes it had on the wire. Checksums are not looked at: with
/// offload the capturing host's own are always wrong. The payload's length is the one the IP header gives, so neither
/// Ethernet padding nor a short snap length changes it; where that header has no length (segmentation offload writes 0)
/// it is what the wire had.
///
/// # Errors
/// [`Skip`] says why the record holds no TCP segment that can be read.
pub fn decode(link: u16, data: &[u8], wire_len: u32) -> Result<Segment<'_>, Skip> {
    let mut cursor = Cursor::new(data, wire_len as usize);
    let mut context = Context::default();
    match layer::follow(Layer::Link(link), &mut cursor, &mut context)? {
        End::Tcp => segment(&cursor, &context),
        End::Fragment => Err(lone_fragment(&context, cursor.rest())),
    }
}

/// Between which hosts, and of which protocol, a record carries a fragment; none where it carries none. What it takes to find
/// the other pieces of a datagram, for whoever wants the records themselves.
pub fn fragment_between(link: u16, data: &[u8], wire_len: u32) -> Option<(IpAddr, IpAddr, u8)> {
    let mut cursor = Cursor::new(data, wire_len as usize);
    let mut context = Context::default();
    match layer::follow(Layer::Link(link), &mut cursor, &mut context) {
        Ok(End::Fragment) => context.fragment.map(|it| (it.key.src, it.key.dst, it.key.protocol)),
        _ => None,
    }
}

/// Finds the TCP segments in the records of one capture, joining IP fragments.
///
/// A datagram is put together when all its fragments were captured whole, in whatever order and however often each; its
/// segment is reported with the fragment that completes it, as Wireshark does. Until then, and for ever if one is missing,
/// fragments are [`Skip::Fragment`]. At most 64 datagrams with 1 MiB are under way at the same time, for 30 s of trace time
/// each; then the oldest is given up. Packets that are not fragmented cost no allocation.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
    /// The datagram that the last record completed.
    joined: Vec<u8>,
}

impl Decoder {
    /// A decoder that has seen no fragment.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Finds the TCP segment in a record of the usual form, as [`Decoder::decode`] does; none says nothing of the record.
    #[inline(always)]
    pub fn decode_usual(link: u16, data: &[u8]) -> Option<Segment<'_>> {
        fast::segment(link, data)
    }

    /// Finds the TCP segment in a record, or in the datagram that the record completes; see [`decode`]. `time_ns` is the
    /// record's time, any monotonic count of nanoseconds.
    ///
    /// # Errors
    /// [`Skip`] says why there is no TCP segment that can be read.
    #[inline]
    pub fn decode<'a>(
        &'a mut self,
        link: u16,
        data: &'a [u8],
        wire_len: u32,
        time_ns: i64,
    ) -> Result<Segment<'a>, Skip> {
        if let Some(segment) = fast::segment(link, data) {
            return Ok(segment);
        }
        self.decode_odd(link, data, wire_len, time_ns)
    }

    /// The same for any packet.
    fn decode_odd<'a>(
        &'a mut self,
        link: u16,
        data: &'a [u8],
        wire_len: u32,
        time_ns: i64,
    ) -> Result<Segment<'a>, Skip> {
        let mut cursor = Cursor::new(data, wire_len as usize);
        let mut context = Context::default();
        match layer::follow(Layer::Link(link), &mut cursor, &mut context)? {
            End::Tcp => segment(&cursor, &context),
            End::Fragment => self.join(cursor.rest(), context, time_ns),
        }
    }

    /// Fragments returned as [`Skip::Fragment`] so far of which nothing was lost: their datagram became whole later, or
    /// turned out not to carry TCP. They are [`Skip::FragmentJoined`] rather.
    pub fn fragments_joined(&self) -> u64 {
        self.fragments.joined()
    }

    /// Joins fragments, those in a tunnel within joined ones too.
    fn join(&mut self, bytes: &[u8], mut context: Context, time_ns: i64) -> Result<Segment<'_>, Skip> {
        let mut protocol = self.add(bytes, &context, time_ns)?;
        let place = loop {
            let mut cursor = Cursor::new(&self.joined, 0);
            let end = layer::follow(Layer::Protocol(protocol), &mut cursor, &mut context)?;
            let place = cursor.place();
            match end {
                End::Tcp => break place,
                End::Fragment => {
                    let outer = std::mem::take(&mut self.joined);
                    protocol = self.add(place.of(&outer).rest(), &context, time_ns)?;
                }
            }
        };
        segment(&place.of(&self.joined), &context)
    }

    /// Takes in the fragment at hand; what it completes is in `joined` then, and of the protocol returned.
    fn add(&mut self, bytes: &[u8], context: &Context, time_ns: i64) -> Result<u8, Skip> {
        match context.fragment {
            Some(fragment) if tunnel::may_carry_tcp(fragment.key.protocol, None) => {
                self.joined = self.fragments.add(&fragment, bytes, time_ns)?;
                Ok(fragment.key.protocol)
            }
            _ => Err(lone_fragment(context, bytes)),
        }
    }
}

fn segment<'a>(cursor: &Cursor<'a>, context: &Context) -> Result<Segment<'a>, Skip> {
    let ip = context.ip.ok_or(Skip::NotIp)?;
    tcp::segment(&ip, context.vni, cursor).map_err(|skip| context.reason(skip))
}

/// What a fragment is without the others.
fn lone_fragment(context: &Context, bytes: &[u8]) -> Skip {
    let Some(fragment) = context.fragment else { return Skip::NotIp };
    let start = (fragment.offset == 0).then_some(bytes);
    if tunnel::may_carry_tcp(fragment.key.protocol, start) {
        Skip::Fragment
    } else if tunnel::is_encrypted(fragment.key.protocol) {
        Skip::Encrypted
    } else {
        Skip::NotTcp
    }
}
