use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn names() -> OtherNames {
    OtherNames::new(Key::from_text("tests"))
}

fn common_v4(one: Ipv4Addr, other: Ipv4Addr) -> u32 {
    (one.to_bits() ^ other.to_bits()).leading_zeros()
}

fn v4(names: &OtherNames, ip: Ipv4Addr) -> Ipv4Addr {
    match names.ip(ip.into()) {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => panic!("{ip}"),
    }
}

proptest! {
    #[test]
    fn addresses_keep_their_common_prefix_and_no_more(one: u32, other: u32, cut in 0_u32..=32) {
        let (names, one) = (names(), Ipv4Addr::from_bits(one));
        // Random pairs share few bits: this one shares at least `cut`.
        let mask = u32::MAX.checked_shr(cut).unwrap_or(0);
        let other = Ipv4Addr::from_bits(one.to_bits() & !mask | other & mask);
        prop_assert_eq!(common_v4(one, other), common_v4(v4(&names, one), v4(&names, other)));
    }

    #[test]
    fn ipv6_addresses_keep_their_common_prefix_and_no_more(one: u128, other: u128, cut in 0_u32..=128) {
        let names = names();
        let mask = u128::MAX.checked_shr(cut).unwrap_or(0);
        let other = one & !mask | other & mask;
        let turned = |bits: u128| match names.ip(Ipv6Addr::from_bits(bits).into()) {
            IpAddr::V6(ip) => ip.to_bits(),
            IpAddr::V4(ip) => panic!("{ip}"),
        };
        prop_assert_eq!((one ^ other).leading_zeros(), (turned(one) ^ turned(other)).leading_zeros());
    }

    #[test]
    fn hardware_addresses_stay_what_they_are_for(mac: [u8; 6]) {
        prop_assert_eq!(names().mac(mac)[0] & 3, mac[0] & 3);
    }

    #[test]
    fn what_is_special_stays_special_and_nothing_becomes_so(ip: u32) {
        let (ip, other) = (Ipv4Addr::from_bits(ip), v4(&names(), Ipv4Addr::from_bits(ip)));
        for (range, len) in SPECIAL_V4 {
            let inside = |ip: Ipv4Addr| common_v4(ip, Ipv4Addr::from_bits(range)) >= u32::from(len);
            prop_assert_eq!(inside(ip), inside(other), "{} {}", ip, other);
        }
    }
}

#[test]
fn every_port_has_another_one_of_its_own() {
    let names = names();
    let others: BTreeSet<u16> = (0..=u16::MAX).map(|port| names.port(port)).collect();
    assert_eq!(others.len(), 65_536);
    for port in (0..=u16::MAX).step_by(97) {
        let other = names.port(port);
        assert_eq!((port < 1_024, port < 32_768), (other < 1_024, other < 32_768), "{port} {other}");
    }
}

#[test]
fn loopback_multicast_and_broadcast_stay_such() {
    let names = names();
    for ip in ["127.0.0.1", "224.0.0.1", "169.254.7.7", "10.1.2.3", "192.168.1.1"] {
        let ip: Ipv4Addr = ip.parse().expect("an address");
        let other = v4(&names, ip);
        assert_ne!(ip, other);
        assert_eq!(
            (ip.is_loopback(), ip.is_multicast(), ip.is_link_local(), ip.is_private()),
            (other.is_loopback(), other.is_multicast(), other.is_link_local(), other.is_private())
        );
    }
    for ip in ["0.0.0.0", "255.255.255.255", "::", "::1"] {
        let ip: IpAddr = ip.parse().expect("an address");
        assert_eq!(names.ip(ip), ip);
    }
    assert_eq!(names.mac([0xff; 6]), [0xff; 6]);
}

#[test]
fn another_key_gives_other_names_and_the_same_key_the_same() {
    let ip: IpAddr = "203.0.113.9".parse().expect("an address");
    let other = OtherNames::new(Key::from_text("another key"));
    assert_eq!(names().ip(ip), names().ip(ip));
    assert_ne!(names().ip(ip), other.ip(ip));
    assert_ne!(names().clock(ip), other.clock(ip));
}
