//! The rtnetlink requests (rtnetlink(7)) that set up a host's devices, written by hand: no `ip` program, no
//! `/proc/sys` (read-only in containers).

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// `IFLA_INET6_ADDR_GEN_MODE` and its value "none" (linux/if_link.h).
const INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;

/// `IFA_FLAGS`, the attribute for address flags beyond the eighth bit, and one of them (linux/if_addr.h).
const IFA_FLAGS: u16 = 8;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;

/// A device by its index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link(pub(super) u32);

/// A socket to the kernel's routing tables, in the network namespace of the thread that opened it.
pub(super) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Keeps the kernel from giving the device an IPv6 link-local address, from which it would send router solicitations
    /// and multicast reports. A kernel without IPv6 has nothing to be kept from.
    pub(super) fn stay_silent(&mut self, link: Link) -> io::Result<()> {
        let mode = attribute(INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]);
        let inet6 = attribute(libc::AF_INET6 as u16 | libc::NLA_F_NESTED as u16, &mode);
        let mut body = link_header(link, 0);
        body.extend(attribute(libc::IFLA_AF_SPEC | libc::NLA_F_NESTED as u16, &inet6));
        match self.request(libc::RTM_SETLINK, 0, &body) {
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => Ok(()),
            result => result,
        }
    }

    /// Sets the size of the largest packet and the length of the send queue, in packets.
    pub(super) fn set_size(&mut self, link: Link, mtu: u32, queue: u32) -> io::Result<()> {
        let mut body = link_header(link, 0);
        body.extend(attribute(libc::IFLA_MTU, &mtu.to_ne_bytes()));
        body.extend(attribute(libc::IFLA_TXQLEN, &queue.to_ne_bytes()));
        self.request(libc::RTM_SETLINK, 0, &body)
    }

    pub(super) fn set_up(&mut self, link: Link) -> io::Result<()> {
        self.request(libc::RTM_SETLINK, 0, &link_header(link, libc::IFF_UP as u32))
    }

    /// Gives the device an address and no route.
    pub(super) fn add_address(&mut self, link: Link, address: IpAddr) -> io::Result<()> {
        let (family, address) = family_and_bytes(address);
        // ifaddrmsg: family, prefix length, flags, scope, device.
        let prefix = (address.len() * 8) as u8;
        let mut body = vec![family, prefix, 0, libc::RT_SCOPE_UNIVERSE];
        body.extend(link.0.to_ne_bytes());
        body.extend(attribute(IFA_FLAGS, &(libc::IFA_F_NODAD | IFA_F_NOPREFIXROUTE).to_ne_bytes()));
        body.extend(attribute(libc::IFA_LOCAL, &address));
        body.extend(attribute(libc::IFA_ADDRESS, &address));
        self.request(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body)
    }

    /// Sends what is for one address to the device, which must be up.
    pub(super) fn add_route(&mut self, link: Link, to: IpAddr) -> io::Result<()> {
        let (family, to) = family_and_bytes(to);
        let prefix = (to.len() * 8) as u8;
        // rtmsg: family, destination and source prefix lengths, TOS, table, who made it, scope, type, flags.
        let mut body = vec![family, prefix, 0, 0];
        body.extend([libc::RT_TABLE_MAIN, libc::RTPROT_STATIC, libc::RT_SCOPE_LINK, libc::RTN_UNICAST]);
        body.extend(0_u32.to_ne_bytes());
        body.extend(attribute(libc::RTA_DST, &to));
        body.extend(attribute(libc::RTA_OIF, &link.0.to_ne_bytes()));
        self.request(libc::RTM_NEWROUTE, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body)
    }

    /// Sends one request and waits for the kernel's answer to it.
    fn request(&mut self, kind: u16, flags: i32, body: &[u8]) -> io::Result<()> {
        self.sequence += 1;
        let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags;
        // nlmsghdr: length, type, flags, sequence number, port (0: the kernel fills it in).
        let mut message = Vec::with_capacity(16 + body.len());
        message.extend((16 + body.len() as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags as u16).to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend(0_u32.to_ne_bytes());
        message.extend(body);
        sendto(self.socket.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;

        let mut answer = [0_u8; 4096];
        let length = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        acknowledged(&answer[..length])
    }
}

fn family_and_bytes(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (libc::AF_INET as u8, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6 as u8, address.octets().to_vec()),
    }
}

/// Reads an NLMSG_ERROR message: its number is 0 for success, else a negated error number.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
    let code =
        answer.get(16..).and_then(|rest| rest.first_chunk::<4>()).map(|bytes| i32::from_ne_bytes(*bytes));
    match (kind, code) {
        (Some(kind), Some(0)) if i32::from(kind) == libc::NLMSG_ERROR => Ok(()),
        (Some(kind), Some(code)) if i32::from(kind) == libc::NLMSG_ERROR => {
            Err(io::Error::from_raw_os_error(code.saturating_neg()))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is not an acknowledgement")),
    }
}

/// ifinfomsg: family, padding, type, index, flags, which flags to change.
fn link_header(link: Link, flags: u32) -> Vec<u8> {
    let mut header = vec![0_u8; 4];
    header.extend(link.0.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header
}

/// rtattr: length (header included), type, value, padding to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut attribute = Vec::with_capacity(4 + value.len().next_multiple_of(4));
    attribute.extend((4 + value.len() as u16).to_ne_bytes());
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}
