//! What cannot be read is refused for the right reason, and joining is bounded.

use finrace::analysis::{Options, analyze};
use finrace::capture::Reader;
use finrace::packet::{Decoder, Skip, Tunnel, decode};
use finrace::report::Report;

use super::bytes::{ethernet, join, over_ipv4, over_udp, plain};
use super::fragments::ipv4_pieces;
use super::pcap::{Packet, Record, file, packets, records};
use super::recipes::RECIPES;
use super::{radio, tunnels};

const ETHERNET: u16 = 1;
const RAW: u16 = 101;
const IEEE802_11: u16 = 105;
const SECOND: i64 = 1_000_000_000;

/// The longest packet of the original: a request with a body.
fn request() -> Packet {
    packets("crossed-fin").into_iter().max_by_key(|packet| packet.ip.len()).expect("packets")
}

fn skip(link: u16, data: &[u8]) -> Option<Skip> {
    decode(link, data, data.len() as u32).err()
}

/// Feeds a decoder with IP packets, a second apart from one to the next; what each of them gave.
fn decode_all(decoder: &mut Decoder, packets: &[Vec<u8>]) -> Vec<Result<Vec<u8>, Skip>> {
    let times = (0..).map(|second| second * SECOND);
    let decoded = packets.iter().zip(times).map(|(packet, time_ns)| {
        decoder.decode(RAW, packet, packet.len() as u32, time_ns).map(|segment| segment.payload.to_vec())
    });
    decoded.collect()
}

/// The bytes behind the TCP header, which has no options here.
fn payload(packet: &Packet) -> Vec<u8> {
    packet.ip[40..].to_vec()
}

/// The same fragment of another datagram.
fn of_datagram(mut piece: Vec<u8>, id: u16) -> Vec<u8> {
    piece[4..6].copy_from_slice(&id.to_be_bytes());
    piece
}

fn report_of(link: u16, records: Vec<Vec<u8>>) -> Report {
    let records: Vec<Record> = records.into_iter().map(|data| Record { time: (1, 0), data }).collect();
    let bytes = std::io::Cursor::new(file(link, &records));
    let reader = Reader::from_read("it", Box::new(bytes)).expect("a capture");
    analyze(vec![reader], &Options::default())
}

#[test]
fn what_is_encrypted_says_so() {
    let request = request();
    assert_eq!(skip(IEEE802_11, &radio::protected(&request)), Some(Skip::Encrypted));
    let esp = over_ipv4(&request, 50, &[0; 40]);
    assert_eq!(skip(ETHERNET, &esp), Some(Skip::Encrypted));
    let esp_in_udp = over_udp(&request, 4500, &[0x12; 40]);
    assert_eq!(skip(ETHERNET, &esp_in_udp), Some(Skip::Encrypted));
    let key_exchange = over_udp(&request, 4500, &[0; 40]);
    assert_eq!(skip(ETHERNET, &key_exchange), Some(Skip::NotTcp));
    let macsec = ethernet(&request, 0x88e5, &[0x0c; 40]);
    assert_eq!(skip(ETHERNET, &macsec), Some(Skip::Encrypted));
    let report = report_of(ETHERNET, vec![esp]);
    assert!(!report.summary.conclusive);
    assert!(report.summary.notes[0].contains("1 packets are encrypted"), "{:?}", report.summary.notes);
}

#[test]
fn frames_of_802_11_that_hold_more_or_less_than_a_packet_are_not_taken_for_one() {
    let request = request();
    let mut first = radio::subframe(&request);
    first.resize(first.len().next_multiple_of(4), 0);
    let two = join(&[&radio::aggregate_header(), &first, &radio::subframe(&request)]);
    assert_eq!(skip(IEEE802_11, &two), Some(Skip::Aggregate));
    assert_eq!(skip(IEEE802_11, &radio::fragment(&request)), Some(Skip::Fragment));
    let beacon = [0x80; 60];
    assert_eq!(skip(IEEE802_11, &beacon), Some(Skip::NotIp));
}

#[test]
fn tunnels_are_followed_eight_ip_headers_deep() {
    let request = request();
    let eight = tunnels::in_ip_headers(&request, 8);
    assert_eq!(skip(ETHERNET, &eight), None);
    let nine = tunnels::in_ip_headers(&request, 9);
    assert_eq!(skip(ETHERNET, &nine), Some(Skip::TunnelTooDeep));
}

#[test]
fn a_packet_cut_inside_a_tunnel_names_the_tunnel() {
    let request = request();
    for (frame, tunnel) in [
        (tunnels::vxlan(&request), Tunnel::Vxlan),
        (tunnels::geneve(&request), Tunnel::Geneve),
        (tunnels::erspan_iii(&request), Tunnel::Gre),
        (tunnels::gtp(&request), Tunnel::Gtp),
        (tunnels::ip_in_ip(&request), Tunnel::Ip),
        (tunnels::teredo(&packets("crossed-fin-ipv6")[6]), Tunnel::Other),
    ] {
        // The last bytes that are needed are those of the window; 20 bytes of TCP header are followed by the payload.
        let inner_tcp = decode(ETHERNET, &frame, frame.len() as u32).expect("a segment").payload.as_ptr()
            as usize
            - frame.as_ptr() as usize
            - 20;
        for len in [60, inner_tcp + 15] {
            let cut = decode(ETHERNET, &frame[..len], frame.len() as u32).err();
            assert_eq!(cut, Some(Skip::CutInsideTunnel(tunnel)), "{tunnel:?} at {len}");
        }
        assert!(decode(ETHERNET, &frame[..inner_tcp + 16], frame.len() as u32).is_ok(), "{tunnel:?}");
    }
}

#[test]
fn a_capture_of_vxlan_cut_at_96_bytes_says_how_to_capture_it() {
    let mut whole = file(ETHERNET, &[]);
    for packet in packets("crossed-fin") {
        let frame = tunnels::vxlan(&packet);
        for field in [1, 0, 96, frame.len() as u32] {
            whole.extend(field.to_le_bytes());
        }
        whole.extend(&frame[..96]);
    }
    let reader = Reader::from_read("it", Box::new(std::io::Cursor::new(whole))).expect("a capture");
    let report = analyze(vec![reader], &Options::default());
    assert!(!report.summary.conclusive);
    assert_eq!(
        report.summary.notes,
        [
            "it: 11 packets are VXLAN, and their inner TCP headers were cut off (snap length 96): nothing can be told. \
          Capture again: tcpdump -i any -s 320 -w capture.pcap 'udp port 4789 or udp port 4790 or udp port 8472'"
        ]
    );
}

#[test]
fn udp_on_the_port_of_a_tunnel_that_is_none_is_not_tcp() {
    let request = request();
    let without_vni = over_udp(&request, 4789, &join(&[&[0; 8], &plain(&request)]));
    assert_eq!(skip(ETHERNET, &without_vni), Some(Skip::NotTcp));
    let echo_of_gtp = over_udp(&request, 2152, &[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(skip(ETHERNET, &echo_of_gtp), Some(Skip::NotTcp));
    let control_of_l2tp = over_udp(&request, 1701, &[0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(skip(ETHERNET, &control_of_l2tp), Some(Skip::NotTcp));
}

#[test]
fn tcp_quoted_by_icmp_is_not_a_segment() {
    let request = request();
    let unreachable = over_ipv4(&request, 1, &join(&[&[3, 1, 0, 0, 0, 0, 0, 0], &request.ip]));
    assert_eq!(skip(ETHERNET, &unreachable), Some(Skip::NotTcp));
}

#[test]
fn fragments_of_which_one_is_missing_stay_fragments() {
    let mut pieces = ipv4_pieces(&request().ip, 24);
    pieces.remove(1);
    let mut decoder = Decoder::new();
    assert!(decode_all(&mut decoder, &pieces).iter().all(|result| *result == Err(Skip::Fragment)));
    assert_eq!(decoder.fragments_joined(), 0);
}

#[test]
fn fragments_are_waited_for_thirty_seconds() {
    let request = request();
    let [first, last] = &ipv4_pieces(&request.ip, 80)[..] else { panic!("two pieces") };
    for (late, expected) in [(30 * SECOND, Ok(payload(&request))), (30 * SECOND + 1, Err(Skip::Fragment))] {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(RAW, first, first.len() as u32, 0), Err(Skip::Fragment));
        let found = decoder.decode(RAW, last, last.len() as u32, late);
        assert_eq!(found.map(|segment| segment.payload.to_vec()), expected);
    }
}

#[test]
fn of_overlapping_fragments_the_bytes_captured_first_count() {
    let request = request();
    let [first, last] = &ipv4_pieces(&request.ip, 80)[..] else { panic!("two pieces") };
    // The first piece again with other bytes, and reaching into nothing new.
    let mut other = first.clone();
    other[60..].fill(b'x');
    let mut decoder = Decoder::new();
    let found = decode_all(&mut decoder, &[first.clone(), other.clone(), last.clone()]);
    assert_eq!(found[2], Ok(payload(&request)));
    assert_eq!(decoder.fragments_joined(), 2);
    // The other way round the others count.
    let found = decode_all(&mut Decoder::new(), &[other, first.clone(), last.clone()]);
    assert_ne!(found[2], Ok(payload(&request)));
}

#[test]
fn the_oldest_of_65_datagrams_is_given_up() {
    let request = request();
    let [first, last] = &ipv4_pieces(&request.ip, 80)[..] else { panic!("two pieces") };
    let mut decoder = Decoder::new();
    let mut decode = |piece: &Vec<u8>, id| {
        let piece = of_datagram(piece.clone(), id);
        decoder.decode(RAW, &piece, piece.len() as u32, 0).map(|segment| segment.payload.to_vec())
    };
    for id in 0..65 {
        assert_eq!(decode(first, id), Err(Skip::Fragment));
    }
    assert_eq!(decode(last, 1), Ok(payload(&request)), "the second is still there");
    assert_eq!(decode(last, 0), Err(Skip::Fragment), "the first is not");
}

#[test]
fn fragments_of_a_mebibyte_at_most_are_kept() {
    let request = request();
    let [first, last] = &ipv4_pieces(&request.ip, 80)[..] else { panic!("two pieces") };
    // Offset 65 424, more to come: each takes as much memory as a datagram of that length.
    let mut far = first.clone();
    far[6..8].copy_from_slice(&(0x2000_u16 | (65_424 / 8)).to_be_bytes());
    for (others, expected) in [(15, Ok(payload(&request))), (17, Err(Skip::Fragment))] {
        let mut decoder = Decoder::new();
        assert_eq!(decode_all(&mut decoder, std::slice::from_ref(first)), [Err(Skip::Fragment)]);
        for id in 1..=others {
            let far = of_datagram(far.clone(), 0x8000 | id);
            assert_eq!(decoder.decode(RAW, &far, far.len() as u32, 0), Err(Skip::Fragment));
        }
        let found = decoder.decode(RAW, last, last.len() as u32, 0);
        assert_eq!(found.map(|segment| segment.payload.to_vec()), expected, "{others} others");
    }
}

#[test]
fn a_fragment_behind_the_longest_datagram_is_malformed() {
    let mut piece = ipv4_pieces(&request().ip, 80).remove(0);
    piece[6..8].copy_from_slice(&0x3fff_u16.to_be_bytes());
    let found = Decoder::new().decode(RAW, &piece, piece.len() as u32, 0).map(|segment| segment.seq);
    assert_eq!(found, Err(Skip::MalformedIp));
}

#[test]
fn fragments_of_udp_count_for_nothing_once_the_first_shows_no_tunnel() {
    let request = request();
    let name_service = over_udp(&request, 53, &[0; 100]).split_off(14);
    let [first, second, third] = &ipv4_pieces(&name_service, 40)[..] else { panic!("three pieces") };
    let mut decoder = Decoder::new();
    let found = decode_all(&mut decoder, &[second.clone(), first.clone(), third.clone()]);
    assert_eq!(found, [Err(Skip::Fragment), Err(Skip::NotTcp), Err(Skip::NotTcp)]);
    assert_eq!(decoder.fragments_joined(), 1);
}

#[test]
fn the_first_fragment_of_a_cut_capture_still_shows_its_segment() {
    let request = request();
    let pieces = ipv4_pieces(&request.ip, 80);
    let mut decoder = Decoder::new();
    let segment = decoder.decode(RAW, &pieces[0][..60], pieces[0].len() as u32, 0).expect("a segment");
    assert_eq!((segment.payload_len, segment.payload), (60, &request.ip[40..60]));
    let rest = decoder.decode(RAW, &pieces[1][..30], pieces[1].len() as u32, 0).map(|segment| segment.seq);
    assert_eq!(rest, Err(Skip::Fragment));
}

#[test]
fn no_changed_byte_and_no_cut_makes_the_decoder_panic() {
    for recipe in RECIPES {
        let mut decoder = Decoder::new();
        let mut check = |data: &[u8], wire_len: usize| {
            if let Ok(segment) = decoder.decode(recipe.link, data, wire_len as u32, 0) {
                assert!(segment.payload.len() <= segment.payload_len as usize, "{}", recipe.name);
            }
        };
        for record in records(&recipe.make().file) {
            let mut data = record.data;
            for at in 0..data.len() {
                check(&data[..at], data.len());
                check(&data[..at], at);
                let byte = data[at];
                for changed in [0, 1, byte ^ 0x01, byte ^ 0x80, 0xff] {
                    data[at] = changed;
                    check(&data, data.len());
                }
                data[at] = byte;
            }
        }
    }
}
