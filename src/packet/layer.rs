//! From header to header: which layer comes next, until the TCP header, a fragment, or a reason to stop.

use super::cursor::Cursor;
use super::{Skip, Tunnel, ip, link, tunnel};

/// IP headers within one record at most. A mirrored packet of an overlay network on a tunnelled underlay has four.
const MAX_IP_HEADERS: u8 = 8;

/// What a header announces to follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// The header of a link type, by its `LINKTYPE_` number.
    Link(u16),
    Ethernet,
    /// What an EtherType names; the cursor is behind that field.
    EtherType(u16),
    /// IEEE 802.2.
    Llc,
    Ieee80211 {
        /// The header is padded to four bytes in front of the payload, as some drivers do.
        padded: bool,
    },
    /// PPP, from its protocol field or its address and control fields on.
    Ppp,
    Mpls,
    /// IPv4 or IPv6, by the version field.
    Ip,
    Ipv4,
    Ipv6,
    /// What the IP header, or an extension header, names as the protocol behind it.
    Protocol(u8),
    /// The end of the way: a TCP segment, between the addresses of [`Context::ip`].
    Tcp,
    /// The end for now: [`Context::fragment`].
    Fragment,
}

/// What the headers so far have said.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Context {
    /// The innermost IP header.
    pub ip: Option<ip::Header>,
    /// A fragment that was captured whole, of a packet with that header.
    pub fragment: Option<ip::Fragment>,
    ip_headers: u8,
    /// The innermost tunnel.
    pub tunnel: Option<Tunnel>,
    /// The innermost identifier of a virtual network.
    pub vni: u32,
}

impl Context {
    /// Takes note of another IP header.
    pub fn enter_ip(&mut self, header: ip::Header) -> Result<(), Skip> {
        if self.ip_headers == MAX_IP_HEADERS {
            return Err(Skip::TunnelTooDeep);
        }
        self.ip_headers += 1;
        self.ip = Some(header);
        Ok(())
    }

    /// Takes note of a tunnel.
    pub fn enter(&mut self, tunnel: Tunnel) {
        self.tunnel = Some(tunnel);
    }

    /// The reason for passing over a packet, with the tunnel if the capture kept too little because of one.
    pub fn reason(&self, skip: Skip) -> Skip {
        match (skip, self.tunnel) {
            (Skip::CutBeforeTcpHeader, Some(tunnel)) => Skip::CutInsideTunnel(tunnel),
            _ => skip,
        }
    }
}

/// Where the headers led.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Tcp,
    Fragment,
}

/// Follows the headers; the cursor is left behind the last of them.
///
/// Ends for any input: every layer passes over at least one byte before it names itself again.
pub(super) fn follow(mut layer: Layer, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<End, Skip> {
    loop {
        match layer {
            Layer::Tcp => return Ok(End::Tcp),
            Layer::Fragment => return Ok(End::Fragment),
            header => layer = step(header, cursor, context)?,
        }
    }
}

/// Passes over one header and says what it announces. The two ends of the way announce themselves.
#[inline]
pub(super) fn step(layer: Layer, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    let next = match layer {
        Layer::Link(number) => link::open(number, cursor),
        Layer::Ethernet => link::ethernet::header(cursor),
        Layer::EtherType(number) => link::ethernet::behind_ethertype(number, cursor),
        Layer::Llc => link::llc::header(cursor),
        Layer::Ieee80211 { padded } => link::wireless::ieee80211(padded, cursor),
        Layer::Ppp => link::ppp::header(cursor),
        Layer::Mpls => link::mpls::labels(cursor),
        Layer::Ip => ip::version(cursor),
        Layer::Ipv4 => ip::v4(cursor, context),
        Layer::Ipv6 => ip::v6(cursor, context),
        Layer::Protocol(number) => protocol(number, cursor, context),
        Layer::Tcp | Layer::Fragment => Ok(layer),
    };
    next.map_err(|skip| context.reason(skip))
}

/// What lies behind an IP header, by its protocol number.
fn protocol(number: u8, cursor: &mut Cursor<'_>, context: &mut Context) -> Result<Layer, Skip> {
    if number == ip::TCP {
        return Ok(Layer::Tcp);
    }
    let is_v6 = context.ip.is_some_and(|header| header.is_v6());
    if ip::is_extension(number) && (is_v6 || number == ip::AUTHENTICATION) {
        return ip::extension(number, cursor, context);
    }
    tunnel::behind_ip(number, cursor, context)
}
