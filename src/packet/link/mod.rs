//! Link headers: what lies between the start of a record and its IP packet.
//!
//! Numbers and names are those of the tcpdump registry (<https://www.tcpdump.org/linktypes.html>).

use super::Skip;
use super::cursor::Cursor;
use super::layer::Layer;

mod capturing;
pub(super) mod ethernet;
mod lan;
pub(super) mod llc;
pub(super) mod mpls;
pub(super) mod ppp;
mod wan;
pub(super) mod wireless;

/// `LINKTYPE_` numbers.
pub(super) mod linktype {
    pub const NULL: u16 = 0;
    pub const ETHERNET: u16 = 1;
    pub const IEEE802_5: u16 = 6;
    pub const ARCNET_BSD: u16 = 7;
    pub const SLIP: u16 = 8;
    pub const PPP: u16 = 9;
    pub const FDDI: u16 = 10;
    /// The numbers that BSD systems use for RAW within programs.
    pub const RAW_BSD: u16 = 12;
    pub const RAW_OPENBSD: u16 = 14;
    pub const PPP_HDLC: u16 = 50;
    pub const PPP_ETHER: u16 = 51;
    pub const ATM_RFC1483: u16 = 100;
    pub const RAW: u16 = 101;
    pub const C_HDLC: u16 = 104;
    pub const IEEE802_11: u16 = 105;
    pub const FRELAY: u16 = 107;
    pub const LOOP: u16 = 108;
    pub const ENC: u16 = 109;
    pub const LINUX_SLL: u16 = 113;
    pub const PFLOG: u16 = 117;
    pub const IEEE802_11_PRISM: u16 = 119;
    pub const SUNATM: u16 = 123;
    pub const IEEE802_11_RADIOTAP: u16 = 127;
    pub const ARCNET_LINUX: u16 = 129;
    pub const IEEE802_11_AVS: u16 = 163;
    pub const JUNIPER_ETHER: u16 = 178;
    pub const PPI: u16 = 192;
    pub const PPP_WITH_DIR: u16 = 204;
    pub const IPV4: u16 = 228;
    pub const IPV6: u16 = 229;
    pub const NFLOG: u16 = 239;
    pub const IPOIB: u16 = 242;
    pub const PKTAP: u16 = 258;
    pub const LINUX_SLL2: u16 = 276;
    /// In place of a link type: a record that only takes a frame number. The registry does not give it to anything.
    pub const NOT_A_PACKET: u16 = u16::MAX;
}

/// Passes over the header of a link type.
pub(super) fn open(link: u16, cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    match link {
        linktype::ETHERNET => Ok(Layer::Ethernet),
        linktype::RAW | linktype::RAW_BSD | linktype::RAW_OPENBSD => Ok(Layer::Ip),
        linktype::IPV4 => Ok(Layer::Ipv4),
        linktype::IPV6 => Ok(Layer::Ipv6),

        linktype::NULL | linktype::LOOP => capturing::null(cursor),
        linktype::LINUX_SLL => capturing::linux_sll(cursor),
        linktype::LINUX_SLL2 => capturing::linux_sll2(cursor),
        linktype::PKTAP => capturing::pktap(cursor),
        linktype::NFLOG => capturing::nflog(cursor),
        linktype::PFLOG => capturing::pflog(cursor),
        linktype::ENC => capturing::enc(cursor),
        linktype::JUNIPER_ETHER => capturing::juniper_ether(cursor),

        linktype::IEEE802_11 => Ok(Layer::Ieee80211 { padded: false }),
        linktype::IEEE802_11_RADIOTAP => wireless::radiotap(cursor),
        linktype::IEEE802_11_PRISM => wireless::prism(cursor),
        linktype::IEEE802_11_AVS => wireless::avs(cursor),
        linktype::PPI => wireless::ppi(cursor),

        linktype::PPP | linktype::PPP_HDLC => ppp::serial(cursor),
        linktype::PPP_WITH_DIR => ppp::with_direction(cursor),
        linktype::PPP_ETHER => ppp::over_ethernet(cursor),
        linktype::C_HDLC => ppp::cisco_hdlc(cursor),

        linktype::SLIP => wan::slip(cursor),
        linktype::FRELAY => wan::frame_relay(cursor),
        linktype::ATM_RFC1483 => Ok(Layer::Llc),
        linktype::SUNATM => wan::sunatm(cursor),

        linktype::IEEE802_5 => lan::token_ring(cursor),
        linktype::FDDI => lan::fddi(cursor),
        linktype::ARCNET_BSD => lan::arcnet_bsd(cursor),
        linktype::ARCNET_LINUX => lan::arcnet_linux(cursor),
        linktype::IPOIB => lan::infiniband(cursor),
        linktype::NOT_A_PACKET => Err(Skip::NotAPacket),
        _ => Err(Skip::UnknownLinkType),
    }
}

/// What an address family of a BSD system announces: with the numbers of all of them, and Linux's.
fn address_family(family: u32) -> Result<Layer, Skip> {
    match family {
        2 => Ok(Layer::Ipv4),
        // Linux; NetBSD, OpenBSD and Npcap; FreeBSD; macOS.
        10 | 24 | 28 | 30 => Ok(Layer::Ipv6),
        _ => Err(Skip::NotIp),
    }
}
