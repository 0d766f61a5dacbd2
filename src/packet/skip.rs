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
    /// The IP packet carries something other than TCP, such as UDP, or ICMP (also where that quotes TCP).
    NotTcp,
    /// What it carries is encrypted: IPsec ESP, MACsec, or a protected frame of 802.11.
    Encrypted,
    /// A fragment of an IP packet whose other fragments are not in the capture, or are cut.
    Fragment,
    /// A fragment that a later one completed, and the segment was reported there; or that turned out to belong to
    /// something other than TCP. Nothing was lost.
    FragmentJoined,
    /// Several packets in one frame (A-MSDU of 802.11), which are not taken apart.
    Aggregate,
    /// Tunnels within tunnels, deeper than is followed.
    TunnelTooDeep,
    /// The capture kept less of the packet than the TCP header's fields up to the window.
    CutBeforeTcpHeader,
    /// The same, where a tunnel's headers used up what was kept.
    CutInsideTunnel(Tunnel),
    /// A link or tunnel header contradicts itself or its packet.
    MalformedLink,
    /// The IP header contradicts itself or the packet.
    MalformedIp,
    /// The TCP header contradicts itself or does not fit into the IP packet.
    MalformedTcp,
}

/// A way to carry packets inside IP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// VXLAN (RFC 7348) and VXLAN-GPE.
    Vxlan,
    /// GENEVE (RFC 8926).
    Geneve,
    /// GRE (RFC 2784), with what it carries: ERSPAN, NVGRE, PPTP.
    Gre,
    /// GTP-U of mobile networks (3GPP TS 29.281).
    Gtp,
    /// IP directly in IP (RFC 2003, RFC 2473, RFC 4213).
    Ip,
    /// Any other: L2TP, Teredo, LISP, EtherIP, MPLS in IP.
    Other,
}

impl Tunnel {
    /// Its name as one writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vxlan => "VXLAN",
            Self::Geneve => "GENEVE",
            Self::Gre => "GRE",
            Self::Gtp => "GTP-U",
            Self::Ip => "IP in IP",
            Self::Other => "a tunnel",
        }
    }
}

impl Skip {
    /// A stable token, as counted in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAPacket => "not-a-packet",
            Self::UnknownLinkType => "unknown-link-type",
            Self::NotIp => "not-ip",
            Self::NotTcp => "not-tcp",
            Self::Encrypted => "encrypted",
            Self::Fragment => "fragment",
            Self::FragmentJoined => "fragment-joined",
            Self::Aggregate => "aggregate",
            Self::TunnelTooDeep => "tunnel-too-deep",
            Self::CutBeforeTcpHeader => "cut-before-tcp-header",
            Self::CutInsideTunnel(Tunnel::Vxlan) => "cut-inside-vxlan",
            Self::CutInsideTunnel(Tunnel::Geneve) => "cut-inside-geneve",
            Self::CutInsideTunnel(Tunnel::Gre) => "cut-inside-gre",
            Self::CutInsideTunnel(Tunnel::Gtp) => "cut-inside-gtp",
            Self::CutInsideTunnel(Tunnel::Ip) => "cut-inside-ip-in-ip",
            Self::CutInsideTunnel(Tunnel::Other) => "cut-inside-tunnel",
            Self::MalformedLink => "malformed-link",
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
