//! Bytes of one captured packet to one TCP segment.
//!
//! Odd input is data: whatever is not a readable TCP segment comes back as a [`Skip`] to be counted, never as a panic.
//! This module knows nothing of files or connections.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

mod cursor;
mod decode;
mod fast;
mod fragments;
mod ip;
mod layer;
mod link;
pub mod rewrite;
mod skip;
mod tcp;
mod tunnel;

pub use decode::{Decoder, decode, fragment_between};
pub use skip::{Skip, Tunnel};

/// One end of a TCP connection.
///
/// The address is kept as numbers: each packet brings two, which are compared, hashed and moved several times, and an
/// [`IpAddr`] costs a branch and a detour through memory for each of that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    // In this order IPv4 comes before IPv6, and ports count last.
    is_v6: bool,
    high: u64,
    low: u64,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// The end with an address and a port.
    pub fn new(ip: IpAddr, port: u16) -> Endpoint {
        match ip {
            IpAddr::V4(ip) => Endpoint::v4(ip.to_bits(), port),
            IpAddr::V6(ip) => Endpoint::v6(ip.to_bits(), port),
        }
    }

    /// The same of an IPv4 address as a number.
    #[inline]
    pub const fn v4(bits: u32, port: u16) -> Endpoint {
        Endpoint { is_v6: false, high: 0, low: bits as u64, port }
    }

    /// The same of an IPv6 address as a number.
    #[inline]
    pub const fn v6(bits: u128, port: u16) -> Endpoint {
        Endpoint { is_v6: true, high: (bits >> 64) as u64, low: bits as u64, port }
    }

    /// IPv4 or IPv6 address.
    pub fn ip(&self) -> IpAddr {
        match self.v4_bits() {
            Some(bits) => Ipv4Addr::from_bits(bits).into(),
            None => Ipv6Addr::from_bits(self.v6_bits()).into(),
        }
    }

    /// The IPv4 address as a number, if it is one.
    #[inline]
    pub fn v4_bits(&self) -> Option<u32> {
        (!self.is_v6).then_some(self.low as u32)
    }

    /// The address as a number of 128 bits.
    #[inline]
    pub fn v6_bits(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

impl fmt::Display for Endpoint {
    /// `192.0.2.1:80` or `[2001:db8::1]:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.ip(), self.port).fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The TCP control bits (RFC 9293 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;

    /// Whether all bits of `mask` are set.
    pub const fn has(self, mask: u8) -> bool {
        self.0 & mask == mask
    }
    /// FIN is set.
    pub const fn fin(self) -> bool {
        self.has(Self::FIN)
    }
    /// SYN is set.
    pub const fn syn(self) -> bool {
        self.has(Self::SYN)
    }
    /// RST is set.
    pub const fn rst(self) -> bool {
        self.has(Self::RST)
    }
    /// ACK is set.
    pub const fn ack(self) -> bool {
        self.has(Self::ACK)
    }
}

impl fmt::Display for Flags {
    /// `FIN, ACK`, in the order and words of Wireshark's packet list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u8, &str); 6] = [
            (Flags::FIN, "FIN"),
            (Flags::SYN, "SYN"),
            (Flags::RST, "RST"),
            (Flags::PSH, "PSH"),
            (Flags::ACK, "ACK"),
            (Flags::URG, "URG"),
        ];
        let mut first = true;
        for (bit, name) in NAMES {
            if self.has(bit) {
                if !first {
                    f.write_str(", ")?;
                }
                f.write_str(name)?;
                first = false;
            }
        }
        if first { f.write_str("none") } else { Ok(()) }
    }
}

/// One TCP segment, borrowed from the record that holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment<'a> {
    /// Sender.
    pub src: Endpoint,
    /// Receiver.
    pub dst: Endpoint,
    /// Identifier of the virtual network that a tunnel carried it in (VXLAN and GENEVE VNI), the innermost where there
    /// are several; 0 outside of one. The same addresses in two virtual networks are two connections. GTP-U's TEID and
    /// GRE's key are not taken for it: they may differ by direction, and one connection would look like two.
    pub tunnel: u32,
    /// Sequence number of the first byte (or of SYN).
    pub seq: u32,
    /// Acknowledgement number; meaningful only with the ACK flag.
    pub ack: u32,
    /// Control bits.
    pub flags: Flags,
    /// Window as sent, unscaled.
    pub window: u16,
    /// Payload bytes on the wire, whatever the snap length kept.
    pub payload_len: u32,
    /// The payload bytes that were captured.
    pub payload: &'a [u8],
    /// IP time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 identification; none in IPv6.
    pub ip_id: Option<u16>,
    /// TCP timestamps option: value and echo reply (RFC 7323).
    pub timestamps: Option<(u32, u32)>,
}
