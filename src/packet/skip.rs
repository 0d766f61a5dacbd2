//! Why a record holds no TCP segment that can be read.

use std::fmt;

/// The reason a record was passed over, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// A block of a pcapng file that is no packet, though Wireshark counts it as a frame.
    NotAPacket,
    /// The link type of the record is not one of those decoded.
    UnknownLinkType,
    /// The link carries something other than IPv4 or IPv6, such as ARP.
    NotIp,
    /// The IP packet carries something other than TCP, such as UDP, or a tunnel.
    NotTcp,
    /// A fragment of an IP packet that carries TCP; fragments are not joined.
    Fragment,
    /// The capture kept less of the packet than the first 20 bytes of the TCP header.
    CutBeforeTcpHeader,
    /// The IP header contradicts itself or the packet.
    MalformedIp,
    /// The TCP header contradicts itself or does not fit into the IP packet.
    MalformedTcp,
}

impl Skip {
    /// A stable token, as counted in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAPacket => "not-a-packet",
            Self::UnknownLinkType => "unknown-link-type",
            Self::NotIp => "not-ip",
            Self::NotTcp => "not-tcp",
            Self::Fragment => "fragment",
            Self::CutBeforeTcpHeader => "cut-before-tcp-header",
            Self::MalformedIp => "malformed-ip",
            Self::MalformedTcp => "malformed-tcp",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
