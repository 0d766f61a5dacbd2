//! Packets to frames, frames to capture files, and back. Plain bytes: nothing of what is under test builds the tests.

use finrace::report::Side;

use super::wire::Packet;

/// 2026-01-05 12:00:00 UTC: any fixed time, so that the files come out the same.
const EPOCH_US: i64 = 1_767_614_400_000_000;
const ETHERNET: u32 = 1;
/// Frames shorter than this are padded by the sending card, so that only the receiver's capture shows the padding.
const SHORTEST_FRAME: usize = 60;
const SNAPLEN: usize = 262_144;
const MAXIMUM_SEGMENT_SIZE: [u8; 4] = [2, 4, 0x05, 0xb4];

/// One record of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// µs since 1970.
    pub time_us: i64,
    pub wire_len: usize,
    pub data: Vec<u8>,
}

/// The capture taken at one side: its own packets when they are sent, the peer's when they arrive.
pub fn capture(packets: &[Packet], at: Side, ipv6: bool) -> Vec<Record> {
    let mut seen = Vec::new();
    for (order, packet) in packets.iter().enumerate() {
        let here = packet.from == at;
        let time_us = if here { Some(packet.sent_us) } else { packet.arrives_us };
        let Some(time_us) = time_us.filter(|_| !packet.unseen[at as usize]) else { continue };
        let mut data = frame(packet, at, ipv6);
        if !here && data.len() < SHORTEST_FRAME {
            data.resize(SHORTEST_FRAME, 0);
        }
        let record = Record { time_us: EPOCH_US + time_us, wire_len: data.len(), data };
        // What arrives at a moment comes before the answer sent at the same moment.
        seen.push((time_us, here, order, record.clone()));
        if packet.dup {
            seen.push((time_us, here, order, record));
        }
    }
    seen.sort_by_key(|(time_us, here, order, _)| (*time_us, *here, *order));
    seen.into_iter().map(|(.., record)| record).collect()
}

/// A classic capture file: little-endian, microseconds.
pub fn to_pcap(records: &[Record]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend([2, 0, 4, 0]);
    file.extend([0; 8]);
    file.extend((SNAPLEN as u32).to_le_bytes());
    file.extend(ETHERNET.to_le_bytes());
    for record in records {
        let fields = [
            record.time_us.div_euclid(1_000_000) as u32,
            record.time_us.rem_euclid(1_000_000) as u32,
            record.data.len() as u32,
            record.wire_len as u32,
        ];
        file.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        file.extend(&record.data);
    }
    file
}

/// The records of a file that [`to_pcap`] wrote.
pub fn from_pcap(file: &[u8]) -> Vec<Record> {
    let mut rest = &file[24..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let field = |at: usize| u32::from_le_bytes(rest[4 * at..4 * at + 4].try_into().expect("four bytes"));
        let len = field(2) as usize;
        records.push(Record {
            time_us: i64::from(field(0)) * 1_000_000 + i64::from(field(1)),
            wire_len: field(3) as usize,
            data: rest[16..16 + len].to_vec(),
        });
        rest = &rest[16 + len..];
    }
    records
}

/// Ethernet, IP and TCP around the payload.
fn frame(packet: &Packet, at: Side, ipv6: bool) -> Vec<u8> {
    let (own, peer) = (packet.from as usize, packet.from.peer() as usize);
    let prefix: &[u8] =
        if ipv6 { &[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] } else { &[192, 0, 2] };
    let hosts = packet.hosts.map(|last| [prefix, &[last]].concat());
    let (src, dst) = (&hosts[own][..], &hosts[peer][..]);
    let mut tcp = Vec::new();
    tcp.extend(packet.ports[own].to_be_bytes());
    tcp.extend(packet.ports[peer].to_be_bytes());
    tcp.extend(packet.seq.to_be_bytes());
    tcp.extend(packet.ack.to_be_bytes());
    let options: &[u8] = if packet.flags.syn() { &MAXIMUM_SEGMENT_SIZE } else { &[] };
    tcp.extend([((20 + options.len()) / 4 * 16) as u8, packet.flags.0]);
    tcp.extend(packet.window.to_be_bytes());
    tcp.extend([0; 4]);
    tcp.extend(options);
    tcp.extend(&packet.payload);
    let pseudo = [src, dst, &[0, 6], &(tcp.len() as u16).to_be_bytes()].concat();
    let sum = checksum(&[&pseudo[..], &tcp].concat());
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    let ethertype: [u8; 2] = if ipv6 { [0x86, 0xdd] } else { [0x08, 0x00] };
    let mut frame = [[0x02, 0, 0, 0, 0, peer as u8], [0x02, 0, 0, 0, 0, own as u8]].concat();
    frame.extend(ethertype);
    frame.extend(if ipv6 { ipv6_header(packet, at, tcp.len()) } else { ipv4_header(packet, at, tcp.len()) });
    frame.extend(src);
    frame.extend(dst);
    if !ipv6 {
        let sum = checksum(&frame[14..]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    frame.extend(tcp);
    frame
}

/// The IPv4 header up to the addresses, its checksum still zero.
fn ipv4_header(packet: &Packet, at: Side, tcp_len: usize) -> Vec<u8> {
    const DO_NOT_FRAGMENT: [u8; 2] = [0x40, 0];
    let mut header = vec![0x45, 0];
    header.extend((20 + tcp_len as u16).to_be_bytes());
    header.extend(packet.ip_id.to_be_bytes());
    header.extend(DO_NOT_FRAGMENT);
    header.extend([packet.ttls[at as usize], 6, 0, 0]);
    header
}

/// The IPv6 header up to the addresses.
fn ipv6_header(packet: &Packet, at: Side, tcp_len: usize) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((tcp_len as u16).to_be_bytes());
    header.extend([6, packet.ttls[at as usize]]);
    header
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
