//! Writing pcapng (draft-ietf-opsawg-pcapng, whose section numbers are given here).

use std::io::{self, ErrorKind, Write};

use super::LinkType;
use super::step::MAX_PACKET;

/// One capture interface as its description block states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Name, such as `tun0`.
    pub name: String,
    /// What each of its packets starts with.
    pub link: LinkType,
    /// The most bytes kept of a packet; 0 for no limit.
    pub snaplen: u32,
}

/// Writes one pcapng section, little-endian, times in nanoseconds.
///
/// Each call hands over whole blocks in one write, so that what has been written is always a readable capture.
/// Nothing is buffered here; wrap the output in a [`std::io::BufWriter`] where single writes are dear.
pub struct PcapngWriter<W: Write> {
    out: W,
    interfaces: usize,
    /// The block under construction, kept for its storage.
    block: Vec<u8>,
}

/// The longest value an option can have, its length field having 16 bits (3.5).
const MAX_OPTION_LEN: usize = u16::MAX as usize;

impl<W: Write> PcapngWriter<W> {
    /// Writes the section header and a description of each interface; packets name one by its place in `interfaces`.
    ///
    /// # Errors
    /// If writing fails.
    pub fn new(out: W, interfaces: &[Interface]) -> io::Result<Self> {
        let mut writer = Self { out, interfaces: interfaces.len(), block: Vec::new() };
        writer.section_header();
        for interface in interfaces {
            writer.interface_description(interface);
        }
        writer.hand_over()?;
        Ok(writer)
    }

    /// Writes one packet: `data` is what was captured of its `wire_len` bytes, `time_ns` counts from 1970. A comment is
    /// shown by Wireshark beside the packet; one longer than 65 535 bytes is cut.
    ///
    /// # Errors
    /// If writing fails, or if the interface was not described, the time is before 1970, or the data is longer than any packet
    /// (16 MiB, what [`super::Reader`] accepts).
    pub fn packet(
        &mut self,
        interface: u32,
        time_ns: i64,
        wire_len: u32,
        data: &[u8],
        comment: Option<&str>,
    ) -> io::Result<()> {
        const ENHANCED_PACKET: u32 = 6;
        const OPT_COMMENT: u16 = 1;
        let ticks = self.check(interface, time_ns)?;
        let captured = data.len() as u32;
        if data.len() > MAX_PACKET as usize {
            return Err(invalid(format!(
                "a packet of {} bytes is too long (limit {MAX_PACKET})",
                data.len()
            )));
        }
        let start = self.start_block(ENHANCED_PACKET);
        self.put_u32(interface);
        self.put_ticks(ticks);
        self.put_u32(captured);
        self.put_u32(wire_len);
        self.put_padded(data);
        if let Some(comment) = comment {
            self.put_option(OPT_COMMENT, option_text(comment));
            self.end_options();
        }
        self.end_block(start);
        self.hand_over()
    }

    /// Writes an interface's counters: packets received and packets dropped by the kernel, since capturing began (4.6).
    ///
    /// # Errors
    /// If writing fails, or if the interface was not described or the time is before 1970.
    pub fn statistics(
        &mut self,
        interface: u32,
        time_ns: i64,
        received: u64,
        dropped: u64,
    ) -> io::Result<()> {
        const INTERFACE_STATISTICS: u32 = 5;
        const ISB_IFRECV: u16 = 4;
        const ISB_IFDROP: u16 = 5;
        let ticks = self.check(interface, time_ns)?;
        let start = self.start_block(INTERFACE_STATISTICS);
        self.put_u32(interface);
        self.put_ticks(ticks);
        self.put_option(ISB_IFRECV, &received.to_le_bytes());
        self.put_option(ISB_IFDROP, &dropped.to_le_bytes());
        self.end_options();
        self.end_block(start);
        self.hand_over()
    }

    /// Flushes the output.
    ///
    /// # Errors
    /// If that fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Gives the output back; it holds a complete capture.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Section Header Block (4.1) of unknown length, as a stream needs it.
    fn section_header(&mut self) {
        const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
        const LENGTH_UNKNOWN: u64 = u64::MAX;
        const SHB_USERAPPL: u16 = 4;
        let start = self.start_block(super::pcapng::SECTION_HEADER);
        self.put_u32(BYTE_ORDER_MAGIC);
        self.put_u16(1); // major version
        self.put_u16(0); // minor version
        self.block.extend(LENGTH_UNKNOWN.to_le_bytes());
        self.put_option(SHB_USERAPPL, concat!("finrace ", env!("CARGO_PKG_VERSION")).as_bytes());
        self.end_options();
        self.end_block(start);
    }

    /// Interface Description Block (4.2).
    fn interface_description(&mut self, interface: &Interface) {
        const INTERFACE_DESCRIPTION: u32 = 1;
        const IF_NAME: u16 = 2;
        const IF_TSRESOL: u16 = 9;
        const NANOSECONDS: u8 = 9;
        let start = self.start_block(INTERFACE_DESCRIPTION);
        self.put_u16(interface.link.0);
        self.put_u16(0); // reserved
        self.put_u32(interface.snaplen);
        self.put_option(IF_NAME, option_text(&interface.name));
        self.put_option(IF_TSRESOL, &[NANOSECONDS]);
        self.end_options();
        self.end_block(start);
    }

    /// The time in ticks, if pcapng can hold it and the interface exists.
    fn check(&self, interface: u32, time_ns: i64) -> io::Result<u64> {
        if interface as usize >= self.interfaces {
            return Err(invalid(format!("interface {interface} was not described")));
        }
        u64::try_from(time_ns).map_err(|_| invalid("pcapng has no times before 1970".to_owned()))
    }

    /// Begins a block and returns where, for [`PcapngWriter::end_block`].
    fn start_block(&mut self, kind: u32) -> usize {
        let start = self.block.len();
        self.put_u32(kind);
        self.put_u32(0); // the length, known at the end
        start
    }

    /// Sets the length at both ends of the block.
    fn end_block(&mut self, start: usize) {
        let len = (self.block.len() + 4 - start) as u32;
        self.block[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
        self.put_u32(len);
    }

    /// Writes the blocks built since the last time, in one piece.
    fn hand_over(&mut self) -> io::Result<()> {
        let result = self.out.write_all(&self.block);
        self.block.clear();
        result
    }

    fn put_u16(&mut self, value: u16) {
        self.block.extend(value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.block.extend(value.to_le_bytes());
    }

    /// Upper half first, whatever the byte order (4.3).
    fn put_ticks(&mut self, ticks: u64) {
        self.put_u32((ticks >> 32) as u32);
        self.put_u32(ticks as u32);
    }

    fn put_option(&mut self, code: u16, value: &[u8]) {
        self.put_u16(code);
        self.put_u16(value.len() as u16);
        self.put_padded(value);
    }

    fn end_options(&mut self) {
        self.put_u32(0);
    }

    /// Everything in a block starts at a multiple of four bytes (3.1).
    fn put_padded(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }
}

/// The text, cut at a character if it is longer than an option can be.
pub(super) fn option_text(text: &str) -> &[u8] {
    let mut len = text.len().min(MAX_OPTION_LEN);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    &text.as_bytes()[..len]
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, reason)
}
