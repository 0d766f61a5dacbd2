//! What a captured packet starts with.

/// A `LINKTYPE_` number of the tcpdump registry (<https://www.tcpdump.org/linktypes.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the capturing machine's byte order.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// IPv4 or IPv6 without a link header.
    pub const RAW: Self = Self(101);
    /// The number some systems use for [`LinkType::RAW`] inside the program, found in files of writers that did not map it.
    pub const RAW_BSD: Self = Self(12);
    /// As [`LinkType::RAW_BSD`], on OpenBSD.
    pub const RAW_OPENBSD: Self = Self(14);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1, as `tcpdump -i any` writes on older systems.
    pub const LINUX_SLL: Self = Self(113);
    /// Linux cooked capture, version 2: also says which interface.
    pub const LINUX_SLL2: Self = Self(276);
    /// IPv4 without a link header.
    pub const IPV4: Self = Self(228);
    /// IPv6 without a link header.
    pub const IPV6: Self = Self(229);
    /// No packet at all: a block of a pcapng file that Wireshark counts as a frame, such as a custom block. The registry
    /// does not give this number to anything.
    pub const NOT_A_PACKET: Self = Self(u16::MAX);

    /// A stable lower-case name, such as `ethernet`; `linktype-` and the number for those that have no name here.
    pub fn name(self) -> String {
        let name = match self {
            Self::NULL => "null",
            Self::ETHERNET => "ethernet",
            Self::RAW | Self::RAW_BSD | Self::RAW_OPENBSD => "raw-ip",
            Self::LOOP => "loop",
            Self::LINUX_SLL => "linux-sll",
            Self::LINUX_SLL2 => "linux-sll2",
            Self::IPV4 => "ipv4",
            Self::IPV6 => "ipv6",
            Self(6) => "token-ring",
            Self(7) => "arcnet-bsd",
            Self(8) => "slip",
            Self(9) => "ppp",
            Self(10) => "fddi",
            Self(50) => "ppp-hdlc",
            Self(51) => "pppoe",
            Self(100) => "atm-rfc1483",
            Self(104) => "cisco-hdlc",
            Self(105) => "ieee-802-11",
            Self(107) => "frame-relay",
            Self(109) => "enc",
            Self(117) => "pflog",
            Self(119) => "prism",
            Self(123) => "sunatm",
            Self(127) => "radiotap",
            Self(129) => "arcnet-linux",
            Self(163) => "avs",
            Self(178) => "juniper-ethernet",
            Self(192) => "ppi",
            Self(204) => "ppp-with-direction",
            Self(239) => "nflog",
            Self(242) => "ip-over-infiniband",
            Self(258) => "pktap",
            Self(number) => return format!("linktype-{number}"),
        };
        name.to_owned()
    }
}
