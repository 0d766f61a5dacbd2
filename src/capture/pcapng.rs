//! pcapng: sections of blocks (draft-ietf-opsawg-pcapng, whose section numbers are given here).

use std::io;

use super::LinkType;
use super::byte_order::ByteOrder;
use super::clock::Clock;
use super::step::{Found, MAX_PACKET, Step, Stop};
use super::window::Window;

/// Type of the Section Header Block; it reads the same in both byte orders (4.1).
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
/// Bytes of a section header up to and including the byte-order magic.
pub(super) const SECTION_START_LEN: usize = 12;

pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
pub(super) const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
pub(super) const ENHANCED_PACKET: u32 = 6;

/// Blocks that are no packets and yet frames to Wireshark, so that they take a frame number (measured with 4.0): systemd
/// journal entries, custom blocks that may and may not be copied, Sysdig events in three versions.
const FRAMES_WITHOUT_PACKET: [u32; 6] = [9, 0x0bad, 0x4000_0bad, 0x204, 0x216, 0x221];

pub(super) const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Block type and block length before the body.
pub(super) const HEAD_LEN: usize = 8;
/// Block length once more, after the body.
pub(super) const TAIL_LEN: usize = 4;

/// The largest block read whole: a packet and its options.
const MAX_BLOCK: u32 = MAX_PACKET + (1 << 20);

const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;
/// The drop count of an obsolete packet block whose writer did not know it (appendix A).
const DROPS_UNKNOWN: u16 = 0xffff;

/// Interfaces remembered per section; the largest number seen in a real capture is a few hundred.
const MAX_INTERFACES: usize = 65_536;

/// The state of reading: what the current section has described so far.
pub(super) struct Pcapng {
    order: ByteOrder,
    format: String,
    interfaces: Vec<Interface>,
    /// Number of interfaces that earlier sections described.
    first_interface: u32,
    link_types: Vec<LinkType>,
    dropped_in_earlier_sections: Option<u64>,
}

struct Interface {
    link: LinkType,
    snaplen: u32,
    clock: Clock,
    /// Packets dropped since the interface was opened, by its latest statistics.
    dropped: Option<u64>,
    /// Packets dropped before single packets, as obsolete packet blocks tell.
    dropped_between: Option<u64>,
}

/// The head of a block.
struct Block {
    kind: u32,
    len: u32,
}

impl Pcapng {
    /// Starts at the first section header, of which `start` has [`SECTION_START_LEN`] bytes. None without a byte-order
    /// magic.
    pub(super) fn recognise(start: &[u8]) -> Option<Self> {
        let order = byte_order(start)?;
        Some(Self {
            order,
            format: format!("pcapng, {}", order.name()),
            interfaces: Vec::new(),
            first_interface: 0,
            link_types: Vec::new(),
            dropped_in_earlier_sections: None,
        })
    }

    /// In words; the byte order is that of the first section.
    pub(super) fn format(&self) -> String {
        self.format.clone()
    }

    /// Byte order of the section being read.
    pub(super) fn order(&self) -> ByteOrder {
        self.order
    }

    /// Link types described so far, each once.
    pub(super) fn link_types(&self) -> &[LinkType] {
        &self.link_types
    }

    /// Sum over the interfaces of all sections, none if no statistics have been met.
    pub(super) fn dropped_by_kernel(&self) -> Option<u64> {
        self.interfaces
            .iter()
            // A file that tells both tells the same drops twice.
            .filter_map(|interface| interface.dropped.max(interface.dropped_between))
            .chain(self.dropped_in_earlier_sections)
            .reduce(u64::saturating_add)
    }

    /// Reads one block.
    pub(super) fn step(&mut self, window: &mut Window) -> io::Result<Step> {
        let present = window.fill(SECTION_START_LEN)?;
        if present == 0 {
            return Ok(Step::End);
        }
        if present < SECTION_START_LEN {
            return Ok(cut(present as u64, SECTION_START_LEN as u64));
        }
        let start = window.available();
        let is_section = self.order.u32(start, 0) == SECTION_HEADER;
        if is_section {
            match byte_order(start) {
                Some(order) => self.start_section(order),
                None => return Ok(Step::Stop(Stop::NoByteOrder)),
            }
        }
        let block = Block { kind: self.order.u32(start, 0), len: self.order.u32(start, 4) };
        if (block.len as usize) < HEAD_LEN + TAIL_LEN || !block.len.is_multiple_of(4) {
            return Ok(Step::Stop(Stop::BlockLength { claimed: block.len }));
        }
        match block.kind {
            INTERFACE_DESCRIPTION
            | OBSOLETE_PACKET
            | SIMPLE_PACKET
            | INTERFACE_STATISTICS
            | ENHANCED_PACKET => self.read_block(window, &block),
            _ => self.skip_block(window, &block),
        }
    }

    /// Forgets the interfaces of the section before, as a new section numbers its own from 0 (4.1).
    fn start_section(&mut self, order: ByteOrder) {
        self.order = order;
        self.dropped_in_earlier_sections = self.dropped_by_kernel();
        self.first_interface = self.first_interface.saturating_add(self.interfaces.len() as u32);
        self.interfaces.clear();
    }

    /// Passes over a block whose content is of no use here, however long, without keeping it. Some count as a frame all the
    /// same.
    fn skip_block(&self, window: &mut Window, block: &Block) -> io::Result<Step> {
        let before_tail = u64::from(block.len) - TAIL_LEN as u64;
        let skipped = window.skip(before_tail)?;
        let tail_present = if skipped == before_tail { window.fill(TAIL_LEN)?.min(TAIL_LEN) } else { 0 };
        if tail_present < TAIL_LEN {
            return Ok(cut(skipped + tail_present as u64, u64::from(block.len)));
        }
        let tail = self.order.u32(window.available(), 0);
        if tail != block.len {
            return Ok(Step::Stop(Stop::LengthsDiffer { head: block.len, tail }));
        }
        window.take(TAIL_LEN);
        if !FRAMES_WITHOUT_PACKET.contains(&block.kind) {
            return Ok(Step::Other);
        }
        Ok(Step::Record(Found {
            time_ns: None,
            link: LinkType::NOT_A_PACKET,
            interface: self.first_interface,
            wire_len: 0,
            data: 0..0,
        }))
    }

    /// Reads a block whole and acts on it.
    fn read_block(&mut self, window: &mut Window, block: &Block) -> io::Result<Step> {
        if block.len > MAX_BLOCK {
            return Ok(Step::Stop(Stop::TooLong { claimed: block.len }));
        }
        let len = block.len as usize;
        let present = window.fill(len)?;
        if present < len {
            return Ok(cut(present as u64, len as u64));
        }
        let bytes = &window.available()[..len];
        let tail = self.order.u32(bytes, len - TAIL_LEN);
        if tail != block.len {
            return Ok(Step::Stop(Stop::LengthsDiffer { head: block.len, tail }));
        }
        let body = &bytes[HEAD_LEN..len - TAIL_LEN];
        let result = match block.kind {
            INTERFACE_DESCRIPTION => self.describe_interface(block, body),
            INTERFACE_STATISTICS => self.count_drops(block, body),
            _ => self.packet(block, body),
        };
        let mut step = match result {
            Ok(step) => step,
            Err(stop) => return Ok(Step::Stop(stop)),
        };
        let taken = window.take(len);
        if let Step::Record(found) = &mut step {
            let body_start = taken.start + HEAD_LEN;
            found.data = body_start + found.data.start..body_start + found.data.end;
        }
        Ok(step)
    }

    /// Interface Description Block (4.2).
    fn describe_interface(&mut self, block: &Block, body: &[u8]) -> Result<Step, Stop> {
        let fixed = fixed_fields(block, body, 8)?;
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(Stop::TooManyInterfaces { limit: MAX_INTERFACES });
        }
        let link = LinkType(self.order.u16(fixed, 0));
        let snaplen = self.order.u32(fixed, 4);
        let mut clock = Clock::default();
        for (code, value) in self.options(&body[8..]) {
            match (code, value.len()) {
                (IF_TSRESOL, 1) => clock.set_resolution(value[0]),
                (IF_TSOFFSET, 8) => clock.set_offset(self.u64_option(value) as i64),
                _ => {}
            }
        }
        if !self.link_types.contains(&link) {
            self.link_types.push(link);
        }
        self.interfaces.push(Interface { link, snaplen, clock, dropped: None, dropped_between: None });
        Ok(Step::Other)
    }

    /// Interface Statistics Block (4.6): its counters run since the interface was opened, so the latest holds.
    fn count_drops(&mut self, block: &Block, body: &[u8]) -> Result<Step, Stop> {
        let fixed = fixed_fields(block, body, 12)?;
        let interface = self.order.u32(fixed, 0);
        // Writers put the kernel's number under either name, some under both: a sum could count it twice.
        let dropped = self
            .options(&body[12..])
            .filter(|(code, value)| matches!(*code, ISB_IFDROP | ISB_OSDROP) && value.len() == 8)
            .map(|(_, value)| self.u64_option(value))
            .max();
        let described =
            self.interfaces.get_mut(interface as usize).ok_or(Stop::UnknownInterface { interface })?;
        described.dropped = dropped.or(described.dropped);
        Ok(Step::Other)
    }

    /// Any of the three packet blocks; the range found is relative to `body`.
    fn packet(&mut self, block: &Block, body: &[u8]) -> Result<Step, Stop> {
        let mut drops = None;
        let (interface, ticks, captured, wire_len, data_at) = match block.kind {
            // 4.3
            ENHANCED_PACKET => {
                let fixed = fixed_fields(block, body, 20)?;
                let interface = self.order.u32(fixed, 0);
                (interface, Some(self.ticks(fixed)), self.order.u32(fixed, 12), self.order.u32(fixed, 16), 20)
            }
            // Appendix A: a 16-bit interface number, then a drop count.
            OBSOLETE_PACKET => {
                let fixed = fixed_fields(block, body, 20)?;
                let interface = u32::from(self.order.u16(fixed, 0));
                drops = Some(self.order.u16(fixed, 2)).filter(|drops| *drops != DROPS_UNKNOWN);
                (interface, Some(self.ticks(fixed)), self.order.u32(fixed, 12), self.order.u32(fixed, 16), 20)
            }
            // 4.4: no time, always the first interface, captured as far as its snap length (0: no limit).
            _ => {
                let wire_len = self.order.u32(fixed_fields(block, body, 4)?, 0);
                let snaplen = self.interfaces.first().map_or(0, |first| first.snaplen);
                let captured = if snaplen == 0 { wire_len } else { wire_len.min(snaplen) };
                (0, None, captured, wire_len, 4)
            }
        };
        let described =
            self.interfaces.get_mut(interface as usize).ok_or(Stop::UnknownInterface { interface })?;
        if captured as usize > body.len() - data_at {
            return Err(Stop::PacketBeyondBlock { claimed: captured, block_len: block.len });
        }
        if let Some(drops) = drops {
            let before = described.dropped_between.unwrap_or(0);
            described.dropped_between = Some(before.saturating_add(drops.into()));
        }
        Ok(Step::Record(Found {
            time_ns: ticks.map(|ticks| described.clock.ns(ticks)),
            link: described.link,
            interface: self.first_interface.saturating_add(interface),
            wire_len,
            data: data_at..data_at + captured as usize,
        }))
    }

    /// The time of a packet block: upper, then lower half, each in the section's byte order (4.3).
    fn ticks(&self, fixed: &[u8]) -> u64 {
        u64::from(self.order.u32(fixed, 4)) << 32 | u64::from(self.order.u32(fixed, 8))
    }

    fn u64_option(&self, value: &[u8]) -> u64 {
        value.first_chunk().map_or(0, |raw| self.order.u64(*raw))
    }

    /// The options at the end of a body, as code and value, up to the first that does not fit (3.5).
    fn options<'a>(&self, mut rest: &'a [u8]) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let order = self.order;
        std::iter::from_fn(move || {
            if rest.len() < 4 {
                return None;
            }
            let (code, len) = (order.u16(rest, 0), usize::from(order.u16(rest, 2)));
            let value = rest.get(4..4 + len)?;
            rest = rest.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
            const END_OF_OPTIONS: u16 = 0;
            (code != END_OF_OPTIONS).then_some((code, value))
        })
    }
}

/// The byte order that a section header's magic shows.
fn byte_order(start: &[u8]) -> Option<ByteOrder> {
    [ByteOrder::Little, ByteOrder::Big].into_iter().find(|order| order.u32(start, 8) == BYTE_ORDER_MAGIC)
}

/// The first `len` bytes of a body, or why the block cannot be what it says.
fn fixed_fields<'a>(block: &Block, body: &'a [u8], len: usize) -> Result<&'a [u8], Stop> {
    body.get(..len).ok_or(Stop::BlockTooShort { kind: block.kind, len: block.len })
}

fn cut(present: u64, needed: u64) -> Step {
    Step::Stop(Stop::Cut { unit: "block", present, needed })
}
