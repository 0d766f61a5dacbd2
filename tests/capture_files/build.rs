//! Captures built field by field, in either byte order.

/// Byte order of a file or section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

pub const ETHERNET: u16 = 1;
pub const RAW: u16 = 101;

pub const MICROSECONDS: u32 = 0xa1b2_c3d4;
pub const NANOSECONDS: u32 = 0xa1b2_3c4d;
pub const KUZNETZOV: u32 = 0xa1b2_cd34;

impl Order {
    pub fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// The file header of a classic capture.
    pub fn pcap(self, magic: u32, link: u32) -> Vec<u8> {
        let version = [self.u16(2), self.u16(4)].concat();
        let zone_and_accuracy = [0; 8];
        [&self.u32(magic)[..], &version, &zone_and_accuracy, &self.u32(262_144), &self.u32(link)].concat()
    }

    /// A classic record.
    pub fn pcap_record(self, seconds: u32, fraction: u32, wire_len: u32, data: &[u8]) -> Vec<u8> {
        let captured = data.len() as u32;
        [seconds, fraction, captured, wire_len]
            .map(|field| self.u32(field))
            .concat()
            .into_iter()
            .chain(data.to_vec())
            .collect()
    }

    /// A pcapng block around a body.
    pub fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let len = self.u32((12 + body.len() + padding.len()) as u32);
        [&self.u32(kind)[..], &len, body, &padding, &len].concat()
    }

    pub fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        self.block(0x0a0d_0d0a, &[&self.u32(0x1a2b_3c4d)[..], &version, &self.u64(u64::MAX)].concat())
    }

    pub fn options(self, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (code, value) in options.iter().chain([&(0, &[][..])]) {
            out.extend(self.u16(*code));
            out.extend(self.u16(value.len() as u16));
            out.extend_from_slice(value);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    pub fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let body = [&self.u16(link)[..], &[0, 0], &self.u32(snaplen), &self.options(options)].concat();
        self.block(1, &body)
    }

    fn ticks(self, ticks: u64) -> Vec<u8> {
        [self.u32((ticks >> 32) as u32), self.u32(ticks as u32)].concat()
    }

    fn padded(data: &[u8]) -> Vec<u8> {
        let mut data = data.to_vec();
        data.resize(data.len().next_multiple_of(4), 0);
        data
    }

    /// Enhanced Packet Block, with a comment after the packet.
    pub fn enhanced(self, interface: u32, ticks: u64, wire_len: u32, data: &[u8]) -> Vec<u8> {
        let lengths = [self.u32(data.len() as u32), self.u32(wire_len)].concat();
        let comment = self.options(&[(1, b"a comment")]);
        let body =
            [&self.u32(interface)[..], &self.ticks(ticks), &lengths, &Self::padded(data), &comment].concat();
        self.block(6, &body)
    }

    /// The Packet Block that Enhanced Packet Blocks replaced, with the number of packets lost before it.
    pub fn obsolete(self, interface: u16, drops: u16, ticks: u64, wire_len: u32, data: &[u8]) -> Vec<u8> {
        let lengths = [self.u32(data.len() as u32), self.u32(wire_len)].concat();
        let head = [self.u16(interface), self.u16(drops)].concat();
        self.block(2, &[&head[..], &self.ticks(ticks), &lengths, data].concat())
    }

    pub fn simple(self, wire_len: u32, data: &[u8]) -> Vec<u8> {
        self.block(3, &[&self.u32(wire_len)[..], data].concat())
    }

    pub fn statistics(self, interface: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        self.block(5, &[&self.u32(interface)[..], &self.ticks(0), &self.options(options)].concat())
    }
}
