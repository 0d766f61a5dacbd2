//! Ethernet, and the EtherTypes that other links and tunnels borrowed from it.

use crate::packet::Skip;
use crate::packet::cursor::Cursor;
use crate::packet::layer::Layer;

use super::ppp;

const ADDRESSES_LEN: usize = 12;
/// Values up to this are the length of what follows (IEEE 802.3).
const MAX_LENGTH: u16 = 1500;

/// EtherTypes (IEEE registry).
pub(in crate::packet) mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const TRANSPARENT_BRIDGING: u16 = 0x6558;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const PPP: u16 = 0x880b;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const PROVIDER_VLAN: u16 = 0x88a8;
    pub const FABRIC_PATH: u16 = 0x8903;
    pub const MACSEC: u16 = 0x88e5;
    pub const BACKBONE: u16 = 0x88e7;
    pub const VN_TAG: u16 = 0x8926;
    pub const E_TAG: u16 = 0x893f;
    /// Used for stacked tags before IEEE 802.1ad.
    pub const VLAN_BEFORE_802_1AD: u16 = 0x9100;
}

/// Two addresses, then an EtherType, or a length and LLC.
pub(in crate::packet) fn header(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(ADDRESSES_LEN)?;
    match cursor.u16()? {
        length @ 0..=MAX_LENGTH => {
            cursor.limit(usize::from(length).min(cursor.wire_len()));
            Ok(Layer::Llc)
        }
        ethertype => Ok(Layer::EtherType(ethertype)),
    }
}

/// What an EtherType names: IP, another link, or a tag with an EtherType of its own.
pub(in crate::packet) fn behind_ethertype(number: u16, cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    match number {
        ethertype::IPV4 => Ok(Layer::Ipv4),
        ethertype::IPV6 => Ok(Layer::Ipv6),
        // Two bytes of tag (IEEE 802.1Q).
        ethertype::VLAN | ethertype::PROVIDER_VLAN | ethertype::VLAN_BEFORE_802_1AD => tag(2, cursor),
        ethertype::VN_TAG => tag(4, cursor),
        ethertype::E_TAG => tag(6, cursor),
        ethertype::MACSEC => macsec(cursor),
        // The tag of a service instance, then the customer's frame from its addresses on (IEEE 802.1ah).
        ethertype::BACKBONE => {
            cursor.skip(4)?;
            Ok(Layer::Ethernet)
        }
        // Its tag, then the frame it was put before (Cisco's variant of TRILL).
        ethertype::FABRIC_PATH => {
            cursor.skip(2)?;
            Ok(Layer::Ethernet)
        }
        ethertype::TRANSPARENT_BRIDGING => Ok(Layer::Ethernet),
        ethertype::MPLS | ethertype::MPLS_MULTICAST => Ok(Layer::Mpls),
        ethertype::PPPOE_SESSION => ppp::over_ethernet(cursor),
        ethertype::PPP => Ok(Layer::Ppp),
        _ => Err(Skip::NotIp),
    }
}

/// A tag, and the EtherType, or the length, of what it was put before.
fn tag(len: usize, cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    cursor.skip(len)?;
    match cursor.u16()? {
        0..=MAX_LENGTH => Ok(Layer::Llc),
        ethertype => Ok(Layer::EtherType(ethertype)),
    }
}

/// MACsec (IEEE 802.1AE clause 9): readable only where it protects integrity alone.
fn macsec(cursor: &mut Cursor<'_>) -> Result<Layer, Skip> {
    const CHANNEL_IDENTIFIER: u8 = 0x20;
    const ENCRYPTED_OR_CHANGED: u8 = 0x0c;
    let control = cursor.u8()?;
    if control & ENCRYPTED_OR_CHANGED != 0 {
        return Err(Skip::Encrypted);
    }
    // Short length and packet number.
    tag(5 + if control & CHANNEL_IDENTIFIER != 0 { 8 } else { 0 }, cursor)
}

/// Whether an Ethernet frame seems to begin `ahead`: by the EtherType it would have there.
pub(super) fn is_likely(ahead: usize, cursor: &Cursor<'_>) -> bool {
    use ethertype::{IPV4, IPV6, MPLS, PPPOE_SESSION, PROVIDER_VLAN, VLAN};
    const ARP: u16 = 0x0806;
    let ethertype = cursor.peek_u16(ahead + ADDRESSES_LEN);
    matches!(ethertype, Ok(IPV4 | IPV6 | ARP | VLAN | PROVIDER_VLAN | MPLS | PPPOE_SESSION))
}
