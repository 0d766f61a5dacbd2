//! Every variant of both containers, in both byte orders.

use finrace::capture::LinkType;

use super::build::{ETHERNET, KUZNETZOV, MICROSECONDS, NANOSECONDS, Order, RAW};
use super::{BOTH, Owned, read};

const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;

fn times(records: &[Owned]) -> Vec<i64> {
    records.iter().map(|record| record.time_ns).collect()
}

#[test]
fn a_classic_file_byte_by_byte() {
    #[rustfmt::skip]
    let capture = [
        0xd4, 0xc3, 0xb2, 0xa1,  0x02, 0x00, 0x04, 0x00,  // magic, version 2.4
        0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00,  // zone, accuracy
        0x00, 0x00, 0x04, 0x00,  0x71, 0x00, 0x00, 0x00,  // snap length 262144, LINUX_SLL
        0x01, 0x00, 0x00, 0x00,  0x02, 0x00, 0x00, 0x00,  // 1 s, 2 us
        0x03, 0x00, 0x00, 0x00,  0x3c, 0x00, 0x00, 0x00,  // 3 bytes of 60
        0xaa, 0xbb, 0xcc,
    ];
    let (records, summary) = read(&capture);
    let expected = Owned {
        time_ns: 1_000_002_000,
        link: LinkType::LINUX_SLL,
        interface: 0,
        wire_len: 60,
        data: vec![0xaa, 0xbb, 0xcc],
    };
    assert_eq!(records, [expected]);
    assert_eq!(summary.name, "test");
    assert_eq!(summary.format, "pcap, little-endian, microseconds");
    assert_eq!(summary.link_types, [LinkType::LINUX_SLL]);
    assert_eq!(summary.packets, 1);
    assert_eq!((summary.dropped_by_kernel, summary.truncated), (None, None));
    assert_eq!((summary.first_ns, summary.last_ns), (Some(1_000_002_000), Some(1_000_002_000)));
}

#[test]
fn a_big_endian_pcapng_file_byte_by_byte() {
    #[rustfmt::skip]
    let capture = [
        0x0a, 0x0d, 0x0d, 0x0a,  0x00, 0x00, 0x00, 0x1c,  // section header, 28 bytes
        0x1a, 0x2b, 0x3c, 0x4d,  0x00, 0x01, 0x00, 0x00,  // byte order, version 1.0
        0xff, 0xff, 0xff, 0xff,  0xff, 0xff, 0xff, 0xff,  // section of unknown length
        0x00, 0x00, 0x00, 0x1c,
        0x00, 0x00, 0x00, 0x01,  0x00, 0x00, 0x00, 0x20,  // interface description, 32 bytes
        0x00, 0x01, 0x00, 0x00,  0x00, 0x00, 0x00, 0x00,  // Ethernet, no snap length
        0x00, 0x09, 0x00, 0x01,  0x09, 0x00, 0x00, 0x00,  // if_tsresol 9: nanoseconds
        0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x20,  // end of options
        0x00, 0x00, 0x00, 0x06,  0x00, 0x00, 0x00, 0x24,  // enhanced packet, 36 bytes
        0x00, 0x00, 0x00, 0x00,  0x00, 0x00, 0x00, 0x01,  // interface 0, upper half of the time
        0x00, 0x00, 0x00, 0x02,  0x00, 0x00, 0x00, 0x02,  // lower half, 2 bytes captured
        0x00, 0x00, 0x00, 0x3c,  0xaa, 0xbb, 0x00, 0x00,  // of 60, padded
        0x00, 0x00, 0x00, 0x24,
    ];
    let (records, summary) = read(&capture);
    let time_ns = (1 << 32) + 2;
    let expected =
        Owned { time_ns, link: LinkType::ETHERNET, interface: 0, wire_len: 60, data: vec![0xaa, 0xbb] };
    assert_eq!(records, [expected]);
    assert_eq!(summary.format, "pcapng, big-endian");
    assert_eq!(summary.link_types, [LinkType::ETHERNET]);
    assert_eq!(summary.truncated, None);
}

#[test]
fn classic_files_in_both_byte_orders_and_resolutions() {
    for order in BOTH {
        let name = if order == Order::Little { "little-endian" } else { "big-endian" };
        for (magic, unit, ns) in
            [(MICROSECONDS, "microseconds", 999_999_000), (NANOSECONDS, "nanoseconds", 999_999)]
        {
            let capture =
                [order.pcap(magic, ETHERNET.into()), order.pcap_record(1_700_000_000, 999_999, 9, b"abc")]
                    .concat();
            let (records, summary) = read(&capture);
            assert_eq!(summary.format, format!("pcap, {name}, {unit}"));
            assert_eq!(times(&records), [1_700_000_000_000_000_000 + ns]);
            assert_eq!((records[0].wire_len, &records[0].data[..]), (9, &b"abc"[..]));
        }
    }
}

#[test]
fn the_longer_record_headers_of_kuznetzov() {
    for order in BOTH {
        let record = |data: &[u8]| {
            let mut record = order.pcap_record(1, 1, 40, data);
            let index_protocol_kind = [0, 0, 0, 2, 8, 0, 4, 0];
            record.splice(16..16, index_protocol_kind);
            record
        };
        let (records, summary) =
            read(&[order.pcap(KUZNETZOV, RAW.into()), record(b"abc"), record(b"de")].concat());
        let data: Vec<_> = records.iter().map(|record| &record.data[..]).collect();
        assert_eq!(data, [&b"abc"[..], b"de"]);
        assert_eq!(summary.truncated, None);
    }
}

#[test]
fn a_classic_file_counts_its_seconds_up_to_the_year_2106() {
    let order = Order::Little;
    let capture = [order.pcap(MICROSECONDS, 1), order.pcap_record(u32::MAX, u32::MAX, 0, b"")].concat();
    assert_eq!(times(&read(&capture).0), [4_294_967_295_000_000_000 + 4_294_967_295_000]);
}

#[test]
fn only_the_lower_half_of_the_link_field_is_the_link_type() {
    let order = Order::Big;
    let fcs_of_four_bytes = 0x4400_0000;
    let capture =
        [order.pcap(MICROSECONDS, fcs_of_four_bytes | 1), order.pcap_record(1, 0, 1, b"x")].concat();
    assert_eq!(read(&capture).0[0].link, LinkType::ETHERNET);
}

#[test]
fn all_three_packet_blocks_in_both_byte_orders() {
    for order in BOTH {
        let capture = [
            order.section(),
            order.interface(ETHERNET, 4, &[]),
            order.enhanced(0, 5_000_001, 60, b"enhanced"),
            order.simple(60, b"simp"),
            order.obsolete(0, 7, 7_000_002, 61, b"obsolete"),
        ]
        .concat();
        let (records, summary) = read(&capture);
        let seen: Vec<_> =
            records.iter().map(|record| (record.time_ns, record.wire_len, &record.data[..])).collect();
        assert_eq!(
            seen,
            [
                (5_000_001_000, 60, &b"enhanced"[..]),
                (5_000_001_000, 60, b"simp"), // no time of its own, and the snap length of the interface
                (7_000_002_000, 61, b"obsolete"),
            ]
        );
        assert_eq!((summary.first_ns, summary.last_ns), (Some(5_000_001_000), Some(7_000_002_000)));
        assert_eq!(summary.truncated, None);
    }
}

#[test]
fn a_simple_packet_is_as_long_as_the_wire_where_there_is_no_snap_length() {
    let order = Order::Little;
    let capture = [order.section(), order.interface(ETHERNET, 0, &[]), order.simple(5, b"whole")].concat();
    let (records, summary) = read(&capture);
    assert_eq!(records[0].data, b"whole");
    assert_eq!((summary.first_ns, summary.last_ns), (None, None));
}

#[test]
fn each_interface_has_its_own_link_type_and_clock() {
    for order in BOTH {
        let offset = order.u64(1_700_000_000);
        let before = order.u64(-10_i64 as u64);
        let capture = [
            order.section(),
            order.interface(ETHERNET, 0, &[]),
            order.interface(RAW, 0, &[(IF_TSRESOL, &[9])]),
            order.interface(RAW, 0, &[(2, b"name"), (IF_TSRESOL, &[0x80 | 10]), (IF_TSOFFSET, &offset)]),
            order.interface(ETHERNET, 0, &[(IF_TSOFFSET, &before)]),
            order.enhanced(3, 11_000_000, 1, b"3"),
            order.enhanced(2, 512, 1, b"2"),
            order.enhanced(1, 3, 1, b"1"),
            order.enhanced(0, 4, 1, b"0"),
        ]
        .concat();
        let (records, summary) = read(&capture);
        assert_eq!(times(&records), [1_000_000_000, 1_700_000_000_500_000_000, 3, 4_000]);
        let interfaces: Vec<_> = records.iter().map(|record| (record.interface, record.link)).collect();
        let (ethernet, raw) = (LinkType::ETHERNET, LinkType::RAW);
        assert_eq!(interfaces, [(3, ethernet), (2, raw), (1, raw), (0, ethernet)]);
        assert_eq!(summary.link_types, [ethernet, raw]);
        assert_eq!((summary.first_ns, summary.last_ns), (Some(3), Some(1_700_000_000_500_000_000)));
    }
}

#[test]
fn a_new_section_brings_its_own_byte_order_and_interfaces() {
    let (first, second) = (Order::Big, Order::Little);
    let capture = [
        first.section(),
        first.interface(ETHERNET, 0, &[]),
        first.interface(ETHERNET, 0, &[]),
        first.enhanced(1, 1, 1, b"a"),
        second.section(),
        second.interface(RAW, 0, &[(IF_TSRESOL, &[9])]),
        second.enhanced(0, 2, 1, b"b"),
    ]
    .concat();
    let (records, _) = read(&capture);
    let seen: Vec<_> =
        records.iter().map(|record| (record.interface, record.link.0, record.time_ns)).collect();
    assert_eq!(seen, [(1, ETHERNET, 1_000), (2, RAW, 2)]);
}

#[test]
fn blocks_that_hold_no_packet_are_passed_over_however_long() {
    const NAME_RESOLUTION: u32 = 4;
    const DECRYPTION_SECRETS: u32 = 10;
    const LOCAL_USE: u32 = 0x8000_0001;
    let order = Order::Little;
    let capture = [
        order.section(),
        order.block(LOCAL_USE, &vec![0xee; 20 << 20]),
        order.interface(ETHERNET, 0, &[(1, b"a comment")]),
        order.block(NAME_RESOLUTION, b"names"),
        order.enhanced(0, 1, 1, b"a"),
        order.block(LOCAL_USE, b""),
        order.block(DECRYPTION_SECRETS, b"TLSK\x04\0\0\0keys"),
    ]
    .concat();
    let (records, summary) = read(&capture);
    assert_eq!(records.len(), 1);
    assert_eq!(summary.truncated, None);
}

#[test]
fn blocks_that_wireshark_numbers_take_a_frame_number() {
    for order in BOTH {
        for kind in [9, 0x0bad, 0x4000_0bad, 0x204, 0x216, 0x221] {
            let capture = [
                order.section(),
                order.interface(ETHERNET, 0, &[]),
                order.enhanced(0, 7, 1, b"a"),
                order.block(kind, &[0; 64]),
                order.enhanced(0, 9, 1, b"b"),
            ]
            .concat();
            let (records, summary) = read(&capture);
            let not_a_packet = Owned {
                time_ns: 7_000,
                link: LinkType::NOT_A_PACKET,
                interface: 0,
                wire_len: 0,
                data: Vec::new(),
            };
            assert_eq!((records.len(), &records[1]), (3, &not_a_packet), "block {kind:#x}");
            assert_eq!((summary.packets, summary.link_types), (3, vec![LinkType::ETHERNET]));
        }
    }
}

#[test]
fn options_that_lie_about_their_lengths_are_passed_over() {
    for order in BOTH {
        let option = |code: u16, len: u16, value: &[u8]| [&order.u16(code), &order.u16(len), value].concat();
        let body = |options: &[u8]| [&order.u16(ETHERNET)[..], &[0, 0], &order.u32(0), options].concat();
        let nanoseconds = option(IF_TSRESOL, 1, &[9, 0, 0, 0]);
        let options = [
            // Longer than the block, of another length than the option has, without an end, cut in the middle.
            (option(IF_TSRESOL, 60_000, &[9, 0, 0, 0]), 5_000),
            (option(IF_TSRESOL, 4, &[9, 0, 0, 0]), 5_000),
            ([option(IF_TSOFFSET, 4, &[1, 1, 1, 1]), nanoseconds.clone()].concat(), 5),
            (nanoseconds.clone(), 5),
            ([nanoseconds.clone(), vec![9]].concat(), 5),
            ([option(0, 40, &[]), nanoseconds].concat(), 5_000),
        ];
        for (options, time_ns) in options {
            let capture =
                [order.section(), order.block(1, &body(&options)), order.enhanced(0, 5, 1, b"a")].concat();
            let (records, summary) = read(&capture);
            assert_eq!((times(&records), summary.truncated), (vec![time_ns], None), "{options:?}");
        }
    }
}

#[test]
fn the_length_that_a_section_states_changes_nothing() {
    for order in BOTH {
        let rest = [order.interface(ETHERNET, 0, &[]), order.enhanced(0, 1, 1, b"a")].concat();
        for stated in [rest.len() as u64, 0, 12, u64::MAX - 1] {
            let mut section = order.section();
            section[16..24].copy_from_slice(&order.u64(stated));
            let capture = [section.clone(), rest.clone(), section, rest.clone()].concat();
            let (records, summary) = read(&capture);
            assert_eq!((records.len(), summary.truncated), (2, None), "stated as {stated}");
        }
    }
}

#[test]
fn drops_between_obsolete_packets_count_where_they_are_known() {
    for order in BOTH {
        let unknown = order.obsolete(0, 0xffff, 3, 1, b"c");
        let packets = [
            order.section(),
            order.interface(ETHERNET, 0, &[]),
            order.obsolete(0, 7, 1, 1, b"a"),
            order.obsolete(0, 7, 2, 1, b"b"),
            unknown.clone(),
        ]
        .concat();
        assert_eq!(read(&packets).1.dropped_by_kernel, Some(14));
        let more = order.statistics(0, &[(ISB_IFDROP, &order.u64(20))]);
        assert_eq!(read(&[packets, more].concat()).1.dropped_by_kernel, Some(20), "the same drops");
        let none = [order.section(), order.interface(ETHERNET, 0, &[]), unknown].concat();
        assert_eq!(read(&none).1.dropped_by_kernel, None);
    }
}

#[test]
fn the_kernels_drops_are_the_latest_of_each_interface_over_all_sections() {
    for order in BOTH {
        let drops = |count: u64| order.u64(count);
        let capture = [
            order.section(),
            order.interface(ETHERNET, 0, &[]),
            order.interface(ETHERNET, 0, &[]),
            order.statistics(0, &[(ISB_IFRECV, &drops(1_000)), (ISB_IFDROP, &drops(3))]),
            order.statistics(1, &[(ISB_IFDROP, &drops(10))]),
            order.statistics(0, &[(ISB_IFDROP, &drops(5))]),
            order.section(),
            order.interface(ETHERNET, 0, &[]),
            order.statistics(0, &[(ISB_IFDROP, &drops(100))]),
        ]
        .concat();
        assert_eq!(read(&capture).1.dropped_by_kernel, Some(115));
    }
}

#[test]
fn statistics_without_a_drop_counter_say_nothing_about_drops() {
    let order = Order::Little;
    let received = order.u64(9);
    let capture =
        [order.section(), order.interface(ETHERNET, 0, &[]), order.statistics(0, &[(ISB_IFRECV, &received)])]
            .concat();
    assert_eq!(read(&capture).1.dropped_by_kernel, None);
}

#[test]
fn a_packet_larger_than_the_buffer_is_read_whole() {
    let large: Vec<u8> = (0..700_000_u32).map(|n| n as u8).collect();
    let order = Order::Little;
    let capture = [
        order.pcap(MICROSECONDS, 1),
        order.pcap_record(1, 0, 3, b"one"),
        order.pcap_record(2, 0, 700_000, &large),
        order.pcap_record(3, 0, 5, b"three"),
    ]
    .concat();
    let data: Vec<_> = read(&capture).0.into_iter().map(|record| record.data).collect();
    assert_eq!(data, [b"one".to_vec(), large, b"three".to_vec()]);
}

#[test]
fn captures_without_packets_are_captures() {
    for order in BOTH {
        for capture in [order.pcap(MICROSECONDS, 1), order.section()] {
            let (records, summary) = read(&capture);
            assert_eq!(records, []);
            assert_eq!((summary.packets, summary.truncated, summary.first_ns), (0, None, None));
        }
    }
}
