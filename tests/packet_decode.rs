//! From link headers down to the TCP segment: every link type, cut packets, odd lengths.

use finrace::packet::{Decoder, Flags, Segment, Skip, Tunnel, decode};
use proptest::prelude::*;

const NULL: u16 = 0;
const ETHERNET: u16 = 1;
const RAW: u16 = 101;
const LOOP: u16 = 108;
const LINUX_SLL: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const LINUX_SLL2: u16 = 276;

/// 192.0.2.1:50000 to 192.0.2.2:8080, PSH+ACK, timestamps, "GET"; 55 bytes.
#[rustfmt::skip]
const V4: [u8; 55] = [
    0x45, 0x00, 0x00, 0x37,  0x12, 0x34, 0x40, 0x00,  // version 4, total length 55, identification, do not fragment
    0x3f, 0x06, 0x00, 0x00,                           // TTL 63, TCP, checksum left to the hardware
    192, 0, 2, 1,            192, 0, 2, 2,
    0xc3, 0x50, 0x1f, 0x90,                           // ports
    0x11, 0x22, 0x33, 0x44,  0x55, 0x66, 0x77, 0x88,  // sequence and acknowledgement numbers
    0x80, 0x18, 0x01, 0xf5,  0x00, 0x00, 0x00, 0x00,  // 32 bytes of header, PSH ACK, window 501
    0x01, 0x01, 0x08, 0x0a,  0x00, 0x00, 0x00, 0x07,  // two no-operations, timestamps: value 7
    0x00, 0x00, 0x00, 0x09,                           // echo 9
    b'G', b'E', b'T',
];

/// [2001:db8::1]:50000 to [2001:db8::2]:8080, FIN+ACK, no options, no payload; 60 bytes.
#[rustfmt::skip]
const V6: [u8; 60] = [
    0x60, 0x00, 0x00, 0x00,  0x00, 0x14, 0x06, 0x40,  // version 6, payload length 20, TCP, hop limit 64
    0x20, 0x01, 0x0d, 0xb8,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 1,
    0x20, 0x01, 0x0d, 0xb8,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 2,
    0xc3, 0x50, 0x1f, 0x90,
    0x00, 0x00, 0x00, 0x01,  0x00, 0x00, 0x00, 0x02,
    0x50, 0x11, 0x00, 0x40,  0x00, 0x00, 0x00, 0x00,  // 20 bytes of header, FIN ACK, window 64
];

/// Two Ethernet addresses.
const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Decodes a packet of which all was captured.
fn whole(link: u16, data: &[u8]) -> Result<Segment<'_>, Skip> {
    decode(link, data, data.len() as u32)
}

/// A packet behind a link header.
fn behind(header: &[u8], packet: &[u8]) -> Vec<u8> {
    [header, packet].concat()
}

/// The packet with some bytes replaced.
fn with<const N: usize>(mut packet: [u8; N], at: usize, bytes: &[u8]) -> [u8; N] {
    packet[at..at + bytes.len()].copy_from_slice(bytes);
    packet
}

fn expect_v4(link: u16, data: &[u8]) {
    let segment = whole(link, data).expect("a segment");
    assert_eq!(
        (segment.src.to_string(), segment.dst.to_string()),
        ("192.0.2.1:50000".into(), "192.0.2.2:8080".into())
    );
    assert_eq!((segment.seq, segment.ack), (0x1122_3344, 0x5566_7788));
    assert_eq!(segment.flags, Flags(Flags::PSH | Flags::ACK));
    assert_eq!((segment.window, segment.ttl, segment.ip_id), (501, 63, Some(0x1234)));
    assert_eq!((segment.payload_len, segment.payload), (3, &b"GET"[..]));
    assert_eq!(segment.timestamps, Some((7, 9)));
}

fn expect_v6(link: u16, data: &[u8]) {
    let segment = whole(link, data).expect("a segment");
    assert_eq!(
        (segment.src.to_string(), segment.dst.to_string()),
        ("[2001:db8::1]:50000".into(), "[2001:db8::2]:8080".into())
    );
    assert_eq!((segment.seq, segment.ack), (1, 2));
    assert_eq!(segment.flags, Flags(Flags::FIN | Flags::ACK));
    assert_eq!((segment.window, segment.ttl, segment.ip_id), (64, 64, None));
    assert_eq!((segment.payload_len, segment.payload), (0, &b""[..]));
    assert_eq!(segment.timestamps, None);
}

#[test]
fn ip_without_a_link_header() {
    for link in [RAW, 12, 14] {
        expect_v4(link, &V4);
        expect_v6(link, &V6);
    }
    expect_v4(IPV4, &V4);
    expect_v6(IPV6, &V6);
}

#[test]
fn ethernet() {
    expect_v4(ETHERNET, &behind(&[&MACS[..], &[0x08, 0x00]].concat(), &V4));
    expect_v6(ETHERNET, &behind(&[&MACS[..], &[0x86, 0xdd]].concat(), &V6));
}

#[test]
fn ethernet_with_one_two_and_three_vlan_tags() {
    let tags = [
        &[0x81, 0x00, 0x00, 0x0a][..],
        &[0x88, 0xa8, 0x00, 0x0a, 0x81, 0x00, 0x00, 0x14],
        &[0x91, 0x00, 0x00, 0x0a, 0x81, 0x00, 0x00, 0x14, 0x81, 0x00, 0x00, 0x1e],
    ];
    for tags in tags {
        expect_v4(ETHERNET, &behind(&[&MACS[..], tags, &[0x08, 0x00]].concat(), &V4));
        expect_v6(ETHERNET, &behind(&[&MACS[..], tags, &[0x86, 0xdd]].concat(), &V6));
    }
}

#[test]
fn loopback_in_both_byte_orders_with_the_address_families_of_all_systems() {
    for link in [NULL, LOOP] {
        expect_v4(link, &behind(&2_u32.to_le_bytes(), &V4));
        expect_v4(link, &behind(&2_u32.to_be_bytes(), &V4));
        for family in [10_u32, 24, 28, 30] {
            expect_v6(link, &behind(&family.to_le_bytes(), &V6));
            expect_v6(link, &behind(&family.to_be_bytes(), &V6));
        }
    }
}

#[test]
fn linux_cooked_version_1() {
    #[rustfmt::skip]
    let header = |protocol: [u8; 2]| [
        0x00, 0x04, 0x00, 0x01, 0x00, 0x06,              // sent by us, Ethernet, address of six bytes
        2, 0, 0, 0, 0, 1, 0, 0, protocol[0], protocol[1],
    ];
    expect_v4(LINUX_SLL, &behind(&header([0x08, 0x00]), &V4));
    expect_v6(LINUX_SLL, &behind(&header([0x86, 0xdd]), &V6));
    let tagged = [&header([0x81, 0x00])[..], &[0x00, 0x0a, 0x08, 0x00]].concat();
    expect_v4(LINUX_SLL, &behind(&tagged, &V4));
}

#[test]
fn linux_cooked_version_2() {
    #[rustfmt::skip]
    let header = |protocol: [u8; 2]| [
        protocol[0], protocol[1], 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,  // interface 3
        0x00, 0x01, 0x04, 0x06, 2, 0, 0, 0, 0, 1, 0, 0,
    ];
    expect_v4(LINUX_SLL2, &behind(&header([0x08, 0x00]), &V4));
    expect_v6(LINUX_SLL2, &behind(&header([0x86, 0xdd]), &V6));
    let tagged = [&header([0x81, 0x00])[..], &[0x00, 0x0a, 0x86, 0xdd]].concat();
    expect_v6(LINUX_SLL2, &behind(&tagged, &V6));
}

#[test]
fn ethernet_padding_is_no_payload() {
    let mut frame = behind(&[&MACS[..], &[0x86, 0xdd]].concat(), &V6);
    frame.extend([0xff; 6]);
    expect_v6(ETHERNET, &frame);
    let mut frame = behind(&[&MACS[..], &[0x08, 0x00]].concat(), &V4);
    frame.extend([0xff; 6]);
    expect_v4(ETHERNET, &frame);
}

#[test]
fn ip_options_and_extension_headers_are_passed_over() {
    let mut v4 = with(V4, 0, &[0x46, 0x00, 0x00, 0x3b]).to_vec();
    v4.splice(20..20, [1, 1, 1, 0]);
    expect_v4(RAW, &v4);

    const HOP_BY_HOP: u8 = 0;
    const DESTINATION_OPTIONS: u8 = 60;
    const ATOMIC_FRAGMENT: u8 = 44;
    const TCP: u8 = 6;
    let mut v6 = with(V6, 4, &[0x00, 0x2c, HOP_BY_HOP]).to_vec();
    #[rustfmt::skip]
    v6.splice(40..40, [
        ATOMIC_FRAGMENT, 0, 1, 4, 0, 0, 0, 0,
        DESTINATION_OPTIONS, 0, 0, 0, 0, 0, 0, 7,
        TCP, 0, 1, 4, 0, 0, 0, 0,
    ]);
    expect_v6(RAW, &v6);
}

/// RFC 8200 section 8.1: the checksum of TCP too is that of the final destination.
#[test]
fn the_end_of_a_source_route_is_the_receiver() {
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    let mut v4 = with(with(V4, 0, &[0x47, 0x00, 0x00, 0x3f]), 16, &[192, 0, 2, 99]).to_vec();
    v4.splice(20..20, [LOOSE_SOURCE_ROUTE, 7, 4, 192, 0, 2, 2, 0]);
    expect_v4(RAW, &v4);
    let end: [u8; 16] = V6[24..40].try_into().unwrap();
    let hop = with(end, 15, &[0x99]);
    for (kind, addresses) in [(0, [hop, end]), (2, [end, end]), (4, [end, hop])] {
        let mut v6 = with(with(V6, 4, &[0x00, 0x3c, 43]), 39, &[0x99]).to_vec();
        v6.splice(40..40, [&[6, 4, kind, 1, 1, 0, 0, 0], &addresses.concat()[..]].concat());
        expect_v6(RAW, &v6);
    }
}

#[test]
fn a_snap_length_shortens_the_captured_payload_but_not_its_length() {
    let request = [&with(V4, 2, &[0x05, 0xdc])[..], &[b'x'; 1_000]].concat(); // total length 1500
    let segment = decode(RAW, &request[..54], 1_500).unwrap();
    assert_eq!((segment.payload_len, segment.payload), (1_448, &b"GE"[..]));
    // Even where the capturing program forgot that there was more.
    let segment = decode(RAW, &request[..54], 54).unwrap();
    assert_eq!((segment.payload_len, segment.payload), (1_448, &b"GE"[..]));
}

#[test]
fn options_are_read_as_far_as_they_were_captured() {
    for len in 40..=V4.len() {
        let segment = decode(RAW, &V4[..len], V4.len() as u32).unwrap();
        assert_eq!(segment.timestamps, (len >= 52).then_some((7, 9)), "{len} bytes");
        assert_eq!((segment.payload_len, segment.payload), (3, &V4[len.min(52)..len]), "{len} bytes");
    }
}

#[test]
fn timestamps_are_found_behind_options_of_unknown_kind() {
    let mut packet = with(V4, 2, &[0x00, 0x3b]).to_vec();
    packet[32] = 0x90; // 36 bytes of header
    packet.splice(40..42, [254, 4, 0, 0, 1, 1]);
    assert_eq!(whole(RAW, &packet).unwrap().timestamps, Some((7, 9)));
}

#[test]
fn options_that_lead_nowhere_are_no_timestamps() {
    for options in [[0, 1], [254, 0], [254, 1], [254, 200], [8, 9]] {
        let segment = with(V4, 40, &options);
        assert_eq!(whole(RAW, &segment).unwrap().timestamps, None, "{options:?}");
    }
}

#[test]
fn an_ip_length_of_zero_means_what_the_wire_had() {
    let v4 = with(V4, 2, &[0, 0]);
    let frame = behind(&[&MACS[..], &[0x08, 0x00]].concat(), &v4);
    let segment = decode(ETHERNET, &frame, 14 + 52 + 20_000).unwrap();
    assert_eq!((segment.payload_len, segment.payload), (20_000, &b"GET"[..]));
    let v6 = with(V6, 4, &[0, 0]);
    assert_eq!(decode(RAW, &v6, 60 + 70_000).unwrap().payload_len, 70_000);
}

#[test]
fn a_wire_length_below_what_was_captured_is_not_believed() {
    assert_eq!(decode(RAW, &with(V4, 2, &[0, 0]), 0).unwrap().payload_len, 3);
}

#[test]
fn a_segment_needs_its_header_up_to_the_window() {
    for (packet, shortest) in [(&V4[..], 36), (&V6[..], 56)] {
        let frame =
            behind(&[&MACS[..], if shortest == 36 { &[0x08, 0x00] } else { &[0x86, 0xdd] }].concat(), packet);
        for len in 0..14 + shortest {
            assert_eq!(decode(ETHERNET, &frame[..len], 90), Err(Skip::CutBeforeTcpHeader), "{len} bytes");
        }
        assert!(decode(ETHERNET, &frame[..14 + shortest], 90).is_ok());
    }
    for link in [NULL, LOOP, LINUX_SLL, LINUX_SLL2, RAW, IPV4, IPV6] {
        assert_eq!(decode(link, &[], 90), Err(Skip::CutBeforeTcpHeader), "link type {link}");
    }
}

#[test]
fn other_protocols_are_named_by_their_layer() {
    let arp = behind(&MACS, &[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    assert_eq!(whole(ETHERNET, &arp), Err(Skip::NotIp));
    assert_eq!(whole(NULL, &behind(&7_u32.to_le_bytes(), &V4)), Err(Skip::NotIp));
    assert_eq!(whole(RAW, &[0x10; 40]), Err(Skip::NotIp));
    let udp = 17;
    assert_eq!(whole(RAW, &with(V4, 9, &[udp])), Err(Skip::NotTcp));
    assert_eq!(whole(RAW, &with(V6, 6, &[udp])), Err(Skip::NotTcp));
    assert_eq!(whole(147, &V4), Err(Skip::UnknownLinkType));
    assert_eq!(whole(u16::MAX, &V4), Err(Skip::NotAPacket));
}

#[test]
fn fragments_of_what_may_hold_tcp_are_fragments_and_others_are_not_tcp() {
    let (first, last) = ([0x20, 0x00], [0x00, 0x10]);
    for offset in [first, last] {
        assert_eq!(whole(RAW, &with(V4, 6, &offset)), Err(Skip::Fragment));
        let icmp = 1;
        assert_eq!(whole(RAW, &with(with(V4, 6, &offset), 9, &[icmp])), Err(Skip::NotTcp));
    }
    // The first one shows the ports of UDP, by which tunnels are known; without them it may be one.
    let udp = 17;
    assert_eq!(whole(RAW, &with(with(V4, 6, &first), 9, &[udp])), Err(Skip::NotTcp));
    assert_eq!(whole(RAW, &with(with(V4, 6, &last), 9, &[udp])), Err(Skip::Fragment));

    let mut v6 = with(V6, 4, &[0x00, 0x1c, 44]).to_vec();
    v6.splice(40..40, [6, 0, 0x00, 0x01, 0, 0, 0, 7]);
    assert_eq!(whole(RAW, &v6), Err(Skip::Fragment));
}

#[test]
fn headers_that_contradict_themselves_are_malformed() {
    let header_of_four_bytes = with(V4, 0, &[0x41]);
    let shorter_than_its_header = with(V4, 2, &[0x00, 0x13]);
    for packet in [header_of_four_bytes, shorter_than_its_header] {
        assert_eq!(whole(RAW, &packet), Err(Skip::MalformedIp));
    }
    assert_eq!(whole(IPV4, &V6), Err(Skip::MalformedIp));
    assert_eq!(whole(IPV6, &V4), Err(Skip::MalformedIp));
    assert_eq!(whole(RAW, &V4[..19]), Err(Skip::MalformedIp), "whole, and yet shorter than an IP header");

    let no_room_for_a_header = with(V4, 2, &[0x00, 0x27]);
    let header_of_sixteen_bytes = with(V4, 32, &[0x40]);
    let header_beyond_the_packet = with(V4, 32, &[0xf0]);
    for packet in [no_room_for_a_header, header_of_sixteen_bytes, header_beyond_the_packet] {
        assert_eq!(whole(RAW, &packet), Err(Skip::MalformedTcp));
    }
    assert_eq!(whole(RAW, &with(V6, 4, &[0x00, 0x13])), Err(Skip::MalformedTcp));
}

#[test]
fn each_reason_has_a_token_of_its_own() {
    use Skip::*;
    let all = [
        (NotAPacket, "not-a-packet"),
        (UnknownLinkType, "unknown-link-type"),
        (NotIp, "not-ip"),
        (NotTcp, "not-tcp"),
        (Encrypted, "encrypted"),
        (Fragment, "fragment"),
        (FragmentJoined, "fragment-joined"),
        (Aggregate, "aggregate"),
        (TunnelTooDeep, "tunnel-too-deep"),
        (CutBeforeTcpHeader, "cut-before-tcp-header"),
        (CutInsideTunnel(Tunnel::Vxlan), "cut-inside-vxlan"),
        (CutInsideTunnel(Tunnel::Geneve), "cut-inside-geneve"),
        (CutInsideTunnel(Tunnel::Gre), "cut-inside-gre"),
        (CutInsideTunnel(Tunnel::Gtp), "cut-inside-gtp"),
        (CutInsideTunnel(Tunnel::Ip), "cut-inside-ip-in-ip"),
        (CutInsideTunnel(Tunnel::Other), "cut-inside-tunnel"),
        (MalformedLink, "malformed-link"),
        (MalformedIp, "malformed-ip"),
        (MalformedTcp, "malformed-tcp"),
    ];
    assert_eq!(all.map(|(skip, _)| skip.to_string()), all.map(|(_, token)| token));
}

/// Whatever came out must be consistent with what went in.
fn check(link: u16, data: &[u8], wire_len: u32) {
    if let Ok(segment) = decode(link, data, wire_len) {
        assert!(segment.payload.len() <= segment.payload_len as usize);
        let captured = data.as_ptr_range();
        assert!(captured.contains(&segment.payload.as_ptr()) || captured.end == segment.payload.as_ptr());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_with_any_link_type(
        link in prop_oneof![
            0_u16..300,
            any::<u16>(),
        ],
        data in prop::collection::vec(any::<u8>(), 0..200),
        wire_len in any::<u32>(),
    ) {
        check(link, &data, wire_len);
    }

    #[test]
    fn sequences_of_fragments_never_panic(
        // Few identifications and few offsets, so that fragments meet.
        fragments in prop::collection::vec(
            (0_u8..3, 0_u8..6, any::<bool>(), prop::collection::vec(any::<u8>(), 0..40), 0_i64..40), 0..40,
        ),
        protocol in prop::sample::select(vec![4_u8, 6, 17, 41, 47, 51, 50]),
    ) {
        let mut decoder = Decoder::new();
        for (id, offset, more, bytes, seconds) in &fragments {
            let header = with(V4, 0, &[0x45, 0, 0, 20 + bytes.len() as u8, 0, *id]);
            let header = with(with(header, 6, &[u8::from(*more) << 5, *offset]), 9, &[protocol]);
            let packet = [&header[..20], bytes].concat();
            if let Ok(segment) = decoder.decode(RAW, &packet, packet.len() as u32, seconds * 1_000_000_000) {
                prop_assert!(segment.payload.len() <= segment.payload_len as usize);
            }
        }
        prop_assert!(decoder.fragments_joined() < fragments.len().max(1) as u64);
    }

    #[test]
    fn a_decoder_finds_what_is_found_without_one_where_nothing_is_fragmented(
        records in prop::collection::vec((0_u16..300, prop::collection::vec(any::<u8>(), 0..200)), 0..8),
    ) {
        let mut decoder = Decoder::new();
        for (link, data) in &records {
            let alone = whole(*link, data);
            let joining = decoder.decode(*link, data, data.len() as u32, 0);
            prop_assert!(joining == alone || alone == Err(Skip::Fragment), "{joining:?} {alone:?}");
        }
    }

    #[test]
    fn mutated_and_cut_packets_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        version_6 in any::<bool>(),
        len in any::<prop::sample::Index>(),
        wire_len in any::<u32>(),
    ) {
        let mut packet = if version_6 { V6.to_vec() } else { V4.to_vec() };
        for (index, value) in changes {
            let at = index.index(packet.len());
            packet[at] = value;
        }
        check(RAW, &packet[..len.index(packet.len() + 1)], wire_len);
    }
}
