//! Other addresses for the same hosts: keyed, one to one, and prefix-preserving.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sha2::{Digest, Sha256};

use crate::packet::rewrite::Names;

/// What the other names depend on: the same key gives the same names, so that the captures of both ends can still be laid side by
/// side. Whoever has the key can undo them.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// A key that nobody knows, and that is gone with the process.
    pub fn random() -> Key {
        Key(rand::random())
    }

    /// The key that a text stands for.
    pub fn from_text(text: &str) -> Key {
        Key(Sha256::digest(text).into())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Ranges that mean something by themselves, left-aligned, with the bits that tell them: what is inside stays inside, and
/// what is outside stays outside (IANA IPv4 special-purpose address registry).
const SPECIAL_V4: [(u32, u8); 12] = [
    (0x0000_0000, 32), // this host
    (0x0a00_0000, 8),  // private (RFC 1918)
    (0x6440_0000, 10), // shared by carriers (RFC 6598)
    (0x7f00_0000, 8),  // loopback
    (0xa9fe_0000, 16), // link-local
    (0xac10_0000, 12), // private
    (0xc000_0200, 24), // documentation
    (0xc0a8_0000, 16), // private
    (0xc612_0000, 15), // benchmarks
    (0xe000_0000, 4),  // multicast
    (0xf000_0000, 4),  // reserved
    (0xffff_ffff, 32), // broadcast
];

/// The same for IPv6, by their first 128 bits.
const SPECIAL_V6: [(u128, u8); 6] = [
    (0, 128),
    (1, 128),            // loopback
    (0xffff << 32, 96),  // IPv4 (RFC 4291)
    (0xfc00 << 112, 7),  // unique local
    (0xfe80 << 112, 10), // link-local
    (0xff00 << 112, 8),  // multicast
];

/// Broadcast and none.
const SPECIAL_MAC: [(u64, u8); 2] = [(0, 48), (0xffff_ffff_ffff, 48)];
/// Ports that only administrators may open, and those that systems give to clients (from 32768 on): the analysis looks at it
/// where a capture has no handshake.
const SPECIAL_PORTS: [(u16, u8); 2] = [(0, 6), (0x8000, 1)];

/// Names remembered; computing one takes a hash a bit.
const REMEMBERED: usize = 4_096;

/// The other names of one key.
pub(super) struct OtherNames {
    key: Key,
    ips: RefCell<BTreeMap<IpAddr, IpAddr>>,
    macs: RefCell<BTreeMap<[u8; 6], [u8; 6]>>,
    ports: RefCell<BTreeMap<u16, u16>>,
    clocks: RefCell<BTreeMap<IpAddr, u32>>,
}

impl OtherNames {
    pub fn new(key: Key) -> OtherNames {
        OtherNames {
            key,
            ips: RefCell::default(),
            macs: RefCell::default(),
            ports: RefCell::default(),
            clocks: RefCell::default(),
        }
    }

    fn hash(&self, kind: &[u8; 4], len: u8, value: u128) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.key.0);
        hash.update(kind);
        hash.update([len]);
        hash.update(value.to_be_bytes());
        hash.finalize().into()
    }

    /// Turns each bit by what the bits before it hash to (the scheme of Crypto-PAn: Xu, Fan, Ammar, Moon 2002): two values
    /// with a common prefix of n bits have other ones with a common prefix of n bits. Along the prefixes of special ranges no bit
    /// turns. `value` and the ranges are left-aligned in 128 bits.
    fn turned(
        &self,
        kind: &[u8; 4],
        value: u128,
        bits: u8,
        special: &[(u128, u8)],
        kept_bits: &[u8],
    ) -> u128 {
        let mut out = value;
        for at in 0..bits {
            let prefix = if at == 0 { 0 } else { value & (u128::MAX << (128 - u32::from(at))) };
            let on_the_way = special
                .iter()
                .any(|(range, len)| at < *len && (at == 0 || (range ^ value) >> (128 - u32::from(at)) == 0));
            if !on_the_way && !kept_bits.contains(&at) && self.hash(kind, at, prefix)[0] & 1 == 1 {
                out ^= 1 << (127 - at);
            }
        }
        out
    }
}

/// Looks a name up, or computes and remembers it.
fn remembered<T: Ord + Copy, U: Copy>(
    names: &RefCell<BTreeMap<T, U>>,
    name: T,
    other: impl FnOnce() -> U,
) -> U {
    if let Some(known) = names.borrow().get(&name) {
        return *known;
    }
    let other = other();
    let mut names = names.borrow_mut();
    if names.len() == REMEMBERED {
        names.clear();
    }
    names.insert(name, other);
    other
}

impl Names for OtherNames {
    fn ip(&self, ip: IpAddr) -> IpAddr {
        remembered(&self.ips, ip, || match ip {
            IpAddr::V4(ip) => {
                let special = SPECIAL_V4.map(|(range, len)| (u128::from(range) << 96, len));
                let turned = self.turned(b"IPv4", u128::from(ip.to_bits()) << 96, 32, &special, &[]);
                Ipv4Addr::from_bits((turned >> 96) as u32).into()
            }
            IpAddr::V6(ip) => {
                let turned = self.turned(b"IPv6", ip.to_bits(), 128, &SPECIAL_V6, &[]);
                Ipv6Addr::from_bits(turned).into()
            }
        })
    }

    fn mac(&self, mac: [u8; 6]) -> [u8; 6] {
        /// Locally administered, and for a group (IEEE 802).
        const KEPT_BITS: [u8; 2] = [6, 7];
        remembered(&self.macs, mac, || {
            let [a, b, c, d, e, f] = mac;
            let value = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
            let special = SPECIAL_MAC.map(|(range, len)| (u128::from(range) << 80, len));
            let turned = self.turned(b"MAC ", u128::from(value) << 80, 48, &special, &KEPT_BITS);
            let [_, _, a, b, c, d, e, f] = ((turned >> 80) as u64).to_be_bytes();
            [a, b, c, d, e, f]
        })
    }

    fn port(&self, port: u16) -> u16 {
        remembered(&self.ports, port, || {
            let special = SPECIAL_PORTS.map(|(range, len)| (u128::from(range) << 112, len));
            (self.turned(b"port", u128::from(port) << 112, 16, &special, &[]) >> 112) as u16
        })
    }

    fn clock(&self, ip: IpAddr) -> u32 {
        remembered(&self.clocks, ip, || {
            let (len, value) = match ip {
                IpAddr::V4(ip) => (4, u128::from(ip.to_bits())),
                IpAddr::V6(ip) => (6, ip.to_bits()),
            };
            let [a, b, c, d, ..] = self.hash(b"time", len, value);
            u32::from_be_bytes([a, b, c, d])
        })
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
