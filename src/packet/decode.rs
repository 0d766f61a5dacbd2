//! One captured record to one TCP segment.

use super::cursor::Cursor;
use super::fragments::Fragments;
use super::layer::{self, Context, Found, Layer};
use super::{Segment, Skip, ip, tcp, tunnel};

/// Finds the TCP segment in a record, by that record alone: fragments are refused. [`Decoder`] joins them.
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
        Found::Tcp(ip) => segment(&ip, &cursor, &context),
        Found::Fragment(fragment) => Err(lone_fragment(&fragment, cursor.rest())),
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

    /// Finds the TCP segment in a record, or in the datagram that the record completes; see [`decode`]. `time_ns` is the
    /// record's time, any monotonic count of nanoseconds.
    ///
    /// # Errors
    /// [`Skip`] says why there is no TCP segment that can be read.
    pub fn decode<'a>(
        &'a mut self,
        link: u16,
        data: &'a [u8],
        wire_len: u32,
        time_ns: i64,
    ) -> Result<Segment<'a>, Skip> {
        let mut cursor = Cursor::new(data, wire_len as usize);
        let mut context = Context::default();
        match layer::follow(Layer::Link(link), &mut cursor, &mut context)? {
            Found::Tcp(ip) => segment(&ip, &cursor, &context),
            Found::Fragment(fragment) => self.join(fragment, cursor.rest(), context, time_ns),
        }
    }

    /// Fragments returned as [`Skip::Fragment`] so far of which nothing was lost: their datagram became whole later, or
    /// turned out not to carry TCP. They are [`Skip::FragmentJoined`] rather.
    pub fn fragments_joined(&self) -> u64 {
        self.fragments.joined()
    }

    /// Joins fragments, those in a tunnel within joined ones too.
    fn join(
        &mut self,
        mut fragment: ip::Fragment,
        bytes: &[u8],
        mut context: Context,
        time_ns: i64,
    ) -> Result<Segment<'_>, Skip> {
        self.joined = self.add(&fragment, bytes, time_ns)?;
        let (ip, place) = loop {
            let mut cursor = Cursor::new(&self.joined, 0);
            let layer = Layer::Protocol(fragment.key.protocol);
            match layer::follow(layer, &mut cursor, &mut context)? {
                Found::Tcp(ip) => break (ip, cursor.place()),
                Found::Fragment(inner) => {
                    let place = cursor.place();
                    let outer = std::mem::take(&mut self.joined);
                    fragment = inner;
                    self.joined = self.add(&fragment, place.of(&outer).rest(), time_ns)?;
                }
            }
        };
        segment(&ip, &place.of(&self.joined), &context)
    }

    fn add(&mut self, fragment: &ip::Fragment, bytes: &[u8], time_ns: i64) -> Result<Vec<u8>, Skip> {
        if !tunnel::may_carry_tcp(fragment.key.protocol, None) {
            return Err(lone_fragment(fragment, bytes));
        }
        self.fragments.add(fragment.key, fragment.offset, fragment.more, bytes, time_ns)
    }
}

fn segment<'a>(ip: &ip::Header, cursor: &Cursor<'a>, context: &Context) -> Result<Segment<'a>, Skip> {
    tcp::segment(ip, context.vni, cursor).map_err(|skip| match skip {
        Skip::CutBeforeTcpHeader => layer::cut(context.tunnel),
        skip => skip,
    })
}

/// What a fragment is without the others.
fn lone_fragment(fragment: &ip::Fragment, bytes: &[u8]) -> Skip {
    let start = (fragment.offset == 0).then_some(bytes);
    if tunnel::may_carry_tcp(fragment.key.protocol, start) {
        Skip::Fragment
    } else if tunnel::is_encrypted(fragment.key.protocol) {
        Skip::Encrypted
    } else {
        Skip::NotTcp
    }
}
