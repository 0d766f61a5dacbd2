//! Classic pcap: one file header, then records (draft-ietf-opsawg-pcap).

use std::io;

use super::LinkType;
use super::byte_order::ByteOrder;
use super::step::{Found, MAX_PACKET, Step, Stop};
use super::window::Window;

/// Length of the file header.
pub(super) const FILE_HEADER_LEN: usize = 24;

const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Alexey Kuznetzov's libpcap of early Linux distributions: eight more bytes in each record header.
const MAGIC_KUZNETZOV: u32 = 0xa1b2_cd34;

/// What the file header says about all records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Classic {
    order: ByteOrder,
    magic: u32,
    link: LinkType,
    snaplen: u32,
    /// Bytes of the frame check sequence behind each packet; none where the header does not say.
    fcs_len: Option<u8>,
}

/// A classic file as one interface of a pcapng file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Described {
    pub(super) link: LinkType,
    pub(super) snaplen: u32,
    pub(super) fcs_len: Option<u8>,
    /// Fractions in which its times are.
    pub(super) per_second: u64,
}

impl Classic {
    /// The byte order and magic number of a classic file, or none if it is not one.
    pub(super) fn recognise(first: [u8; 4]) -> Option<(ByteOrder, u32)> {
        [ByteOrder::Little, ByteOrder::Big]
            .into_iter()
            .map(|order| (order, order.u32(&first, 0)))
            .find(|(_, magic)| matches!(*magic, MAGIC_MICROSECONDS | MAGIC_NANOSECONDS | MAGIC_KUZNETZOV))
    }

    /// Reads the file header, of which `header` has all [`FILE_HEADER_LEN`] bytes.
    pub(super) fn new((order, magic): (ByteOrder, u32), header: &[u8]) -> Self {
        // The upper half of the field tells of frame check sequences, and in damaged files of nothing.
        let link = LinkType(order.u32(header, 20) as u16);
        // The f bit, and the length in units of two bytes (draft-ietf-opsawg-pcap, section 4).
        let upper = (order.u32(header, 20) >> 16) as u16;
        let fcs_len = (upper & 0x0400 != 0).then_some((upper >> 12) as u8 * 2);
        Self { order, magic, link, snaplen: order.u32(header, 16), fcs_len }
    }

    /// What a pcapng file says of the same packets.
    pub(super) fn described(&self) -> Described {
        let per_second = if self.magic == MAGIC_NANOSECONDS { 1_000_000_000 } else { 1_000_000 };
        Described { link: self.link, snaplen: self.snaplen, fcs_len: self.fcs_len, per_second }
    }

    /// The fields of a record header: time in fractions of a second, bytes captured, bytes on the wire.
    pub(super) fn record_fields(&self, header: &[u8]) -> (u64, u32, u32) {
        let per_second = self.described().per_second;
        let ticks = u64::from(self.order.u32(header, 0)) * per_second + u64::from(self.order.u32(header, 4));
        (ticks, self.order.u32(header, 8), self.order.u32(header, 12))
    }

    /// Link type of all records.
    pub(super) fn link(&self) -> LinkType {
        self.link
    }

    /// In words, for example `pcap, little-endian, microseconds`.
    pub(super) fn format(&self) -> String {
        let detail = match self.magic {
            MAGIC_NANOSECONDS => "nanoseconds",
            MAGIC_KUZNETZOV => "microseconds, Kuznetzov's record headers",
            _ => "microseconds",
        };
        format!("pcap, {}, {detail}", self.order.name())
    }

    /// The record that begins at a place in `bytes`, if they hold it whole: as [`Classic::step`] finds it, which tells what else
    /// there is.
    #[inline]
    pub(super) fn whole(&self, bytes: &[u8], at: usize) -> Option<Found> {
        if self.magic == MAGIC_KUZNETZOV {
            return None;
        }
        let header = bytes.get(at..)?.first_chunk::<16>()?;
        let [seconds, fraction, captured, wire_len] = self.order.u32s(header);
        let start = at + header.len();
        let data = start..start + captured as usize;
        if captured > MAX_PACKET || data.end > bytes.len() {
            return None;
        }
        let time_ns = Some(self.time_ns(seconds, fraction));
        Some(Found { time_ns, link: self.link, interface: 0, wire_len, data })
    }

    /// Nanoseconds since 1970. At most 2^32 seconds and 2^32 microseconds: below 2^62.
    #[inline]
    fn time_ns(&self, seconds: u32, fraction: u32) -> i64 {
        let ns_per_fraction = if self.magic == MAGIC_NANOSECONDS { 1 } else { 1_000 };
        i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * ns_per_fraction
    }

    /// Reads the next record.
    pub(super) fn step(&self, window: &mut Window) -> io::Result<Step> {
        let header_len: u32 = if self.magic == MAGIC_KUZNETZOV { 24 } else { 16 };
        let present = window.fill(header_len as usize)?;
        if present == 0 {
            return Ok(Step::End);
        }
        if present < header_len as usize {
            return Ok(cut(present, header_len as usize));
        }
        let header = window.available();
        let time_ns = self.time_ns(self.order.u32(header, 0), self.order.u32(header, 4));
        let captured = self.order.u32(header, 8);
        let wire_len = self.order.u32(header, 12);
        if captured > MAX_PACKET {
            return Ok(Step::Stop(Stop::TooLong { claimed: captured }));
        }
        let needed = (header_len + captured) as usize;
        let present = window.fill(needed)?;
        if present < needed {
            return Ok(cut(present, needed));
        }
        let record = window.take(needed);
        let data = record.start + header_len as usize..record.end;
        Ok(Step::Record(Found { time_ns: Some(time_ns), link: self.link, interface: 0, wire_len, data }))
    }
}

fn cut(present: usize, needed: usize) -> Step {
    Step::Stop(Stop::Cut { unit: "record", present: present as u64, needed: needed as u64 })
}
