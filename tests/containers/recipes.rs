//! How each capture is made of the original.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use lzma_rust2::{XzOptions, XzWriter};

use super::build::{ETHERNET, KUZNETZOV, MICROSECONDS, NANOSECONDS, Order, RAW};
use super::original;

const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const ETHERNET_HEADER_LEN: usize = 14;

/// A capture and what is special about it.
pub struct Recipe {
    pub name: &'static str,
    /// The file, cut where a cut cannot be noticed: after records, blocks, and whole compressed streams.
    pub pieces: Vec<Vec<u8>>,
    /// The frame of each packet of the original.
    pub frames: Vec<u64>,
    /// What [`finrace::capture::ReaderSummary::format`] says.
    pub format: &'static str,
    /// Packets have times.
    pub timed: bool,
    /// tshark 4.0 opens it.
    pub tshark: bool,
}

impl Recipe {
    pub fn bytes(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// Where a cut leaves a file that is whole.
    pub fn boundaries(&self) -> Vec<usize> {
        let mut end = 0;
        let ends = self.pieces.iter().map(|piece| {
            end += piece.len();
            end
        });
        ends.collect()
    }

    fn not_by_tshark(self) -> Self {
        Recipe { tshark: false, ..self }
    }
}

/// A packet of the original.
struct Packet {
    time_us: u64,
    wire_len: u32,
    data: Vec<u8>,
}

fn packets() -> Vec<Packet> {
    let file = original();
    let mut rest = &file[24..];
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let field = |at: usize| u32::from_le_bytes(rest[4 * at..4 * at + 4].try_into().expect("four bytes"));
        let end = 16 + field(2) as usize;
        packets.push(Packet {
            time_us: u64::from(field(0)) * 1_000_000 + u64::from(field(1)),
            wire_len: field(3),
            data: rest[16..end].to_vec(),
        });
        rest = &rest[end..];
    }
    packets
}

fn recipe(name: &'static str, format: &'static str, pieces: Vec<Vec<u8>>) -> Recipe {
    let frames = (1..=packets().len() as u64).collect();
    Recipe { name, pieces, frames, format, timed: true, tshark: true }
}

pub fn all() -> Vec<Recipe> {
    [classic(), sections(), blocks(), compressed()].into_iter().flatten().collect()
}

/// The original as a classic capture: file header, then one piece a record.
fn pcap(order: Order, magic: u32) -> Vec<Vec<u8>> {
    let fraction = |us: u64| if magic == NANOSECONDS { us * 1_000 } else { us };
    let record = |packet: &Packet| {
        let (seconds, us) = (packet.time_us / 1_000_000, packet.time_us % 1_000_000);
        let mut record =
            order.pcap_record(seconds as u32, fraction(us) as u32, packet.wire_len, &packet.data);
        if magic == KUZNETZOV {
            let index_protocol_kind = [order.u32(2), [8, 0, 4, 0]].concat();
            record.splice(16..16, index_protocol_kind);
        }
        record
    };
    let header = order.pcap(magic, ETHERNET.into());
    std::iter::once(header).chain(packets().iter().map(record)).collect()
}

fn classic() -> Vec<Recipe> {
    let (little, big) = (Order::Little, Order::Big);
    vec![
        recipe("us-le.pcap", "pcap, little-endian, microseconds", pcap(little, MICROSECONDS)),
        recipe("us-be.pcap", "pcap, big-endian, microseconds", pcap(big, MICROSECONDS)),
        recipe("ns-le.pcap", "pcap, little-endian, nanoseconds", pcap(little, NANOSECONDS)),
        recipe("ns-be.pcap", "pcap, big-endian, nanoseconds", pcap(big, NANOSECONDS)),
        recipe(
            "kuznetzov-le.pcap",
            "pcap, little-endian, microseconds, Kuznetzov's record headers",
            pcap(little, KUZNETZOV),
        ),
        recipe(
            "kuznetzov-be.pcap",
            "pcap, big-endian, microseconds, Kuznetzov's record headers",
            pcap(big, KUZNETZOV),
        ),
    ]
}

/// The original as one pcapng section in microseconds: one piece a block.
fn pcapng(order: Order) -> Vec<Vec<u8>> {
    let mut pieces = vec![order.section(), order.interface(ETHERNET, 0, &[])];
    pieces.extend(packets().iter().map(|packet| enhanced(order, 0, packet.time_us, packet)));
    pieces
}

fn enhanced(order: Order, interface: u32, ticks: u64, packet: &Packet) -> Vec<u8> {
    order.enhanced(interface, ticks, packet.wire_len, &packet.data)
}

/// One clock that an interface can have: resolution, offset in seconds, and the ticks of a time in microseconds.
type Clock = (u8, Option<u64>, fn(u64) -> u64);

/// Where some clocks begin, so that their short ticks fit into 64 bits.
const OFFSET_S: u64 = 1_767_614_000;
const OFFSET_US: u64 = OFFSET_S * 1_000_000;

/// Ticks of 2^-`exponent` s, rounded up: the nanoseconds are then exact.
fn binary(us: u64, exponent: u32) -> u64 {
    (u128::from(us) << exponent).div_ceil(1_000_000) as u64
}

const CLOCKS: [Clock; 7] = [
    (6, None, |us| us),
    (9, None, |us| us * 1_000),
    (0x80 | 32, None, |us| binary(us, 32)),
    (7, Some(OFFSET_S), |us| (us - OFFSET_US) * 10),
    (12, Some(OFFSET_S), |us| (us - OFFSET_US) * 1_000_000),
    (0x80 | 50, Some(OFFSET_S), |us| binary(us - OFFSET_US, 50)),
    (6, Some((-1_000_i64) as u64), |us| us + 1_000_000_000),
];

fn sections() -> Vec<Recipe> {
    let (little, big) = (Order::Little, Order::Big);
    let mut clocks = vec![big.section()];
    for (resolution, offset, _) in CLOCKS {
        let offset = offset.map(|seconds| big.u64(seconds));
        let mut options: Vec<(u16, &[u8])> = vec![(2, b"a name")];
        let resolution = [resolution];
        options.push((IF_TSRESOL, &resolution));
        options.extend(offset.iter().map(|offset| (IF_TSOFFSET, &offset[..])));
        clocks.push(big.interface(ETHERNET, 0, &options));
    }
    // Every interface has its own link: of every second packet the Ethernet header is cut off.
    let mut links = vec![little.section(), little.interface(ETHERNET, 0, &[]), little.interface(RAW, 0, &[])];
    for (index, mut packet) in packets().into_iter().enumerate() {
        let clock = index % CLOCKS.len();
        clocks.push(enhanced(big, clock as u32, CLOCKS[clock].2(packet.time_us), &packet));
        if index % 2 == 1 {
            packet.data.drain(..ETHERNET_HEADER_LEN);
            packet.wire_len -= ETHERNET_HEADER_LEN as u32;
        }
        links.push(enhanced(little, index as u32 % 2, packet.time_us, &packet));
    }
    vec![
        recipe("le.pcapng", "pcapng, little-endian", pcapng(little)),
        recipe("be.pcapng", "pcapng, big-endian", pcapng(big)),
        recipe("sections.pcapng", "pcapng, big-endian", two_sections()),
        recipe("clocks.pcapng", "pcapng, big-endian", clocks),
        recipe("links.pcapng", "pcapng, little-endian", links),
    ]
}

/// A big-endian section that states its length, then a little-endian one that does not.
fn two_sections() -> Vec<Vec<u8>> {
    let (first, second) = (pcapng(Order::Big), pcapng(Order::Little));
    let half = first.len() / 2;
    let mut pieces = first[..half].to_vec();
    let section_len: usize = pieces[1..].iter().map(Vec::len).sum();
    pieces[0][16..24].copy_from_slice(&Order::Big.u64(section_len as u64));
    pieces.extend_from_slice(&second[..2]);
    pieces.extend_from_slice(&second[half..]);
    pieces
}

fn blocks() -> Vec<Recipe> {
    let (little, big) = (Order::Little, Order::Big);
    let mut simple = vec![little.section(), little.interface(ETHERNET, 0, &[])];
    let mut obsolete = vec![big.section(), big.interface(ETHERNET, 0, &[])];
    for packet in packets() {
        simple.push(little.simple(packet.wire_len, &packet.data));
        // The drops before the packet: none, or unknown.
        let drops = if packet.data.len() > 60 { 0xffff } else { 0 };
        obsolete.push(big.obsolete(0, drops, packet.time_us, packet.wire_len, &packet.data));
    }
    let simple = recipe("simple.pcapng", "pcapng, little-endian", simple);
    vec![
        Recipe { timed: false, ..simple },
        recipe("obsolete.pcapng", "pcapng, big-endian", obsolete),
        interleaved("between.pcapng", &passed_over(Order::Little), false),
        interleaved("numbered.pcapng", &numbered(Order::Little), true),
    ]
}

/// Blocks that Wireshark passes over.
fn passed_over(order: Order) -> Vec<Vec<u8>> {
    let name = [&order.u16(1)[..], &order.u16(11), &[192, 0, 2, 2], b"origin\0\0", &[0; 4]].concat();
    let secrets = [&order.u32(0x544c_534b)[..], &order.u32(4), b"none"].concat();
    let counters =
        [(4, &order.u64(11)[..]), (5, &order.u64(0)[..]), (1, b"received, dropped by the interface")];
    vec![
        order.block(4, &name),                     // name resolution
        order.statistics(0, &counters),            // interface statistics
        order.block(10, &secrets),                 // decryption secrets
        order.block(0x8000_0001, b"local use"),    // reserved for local use
        order.block(0x7777, &[0xff; 100]),         // not assigned
        order.block(0x201, &[0; 8]),               // Sysdig's list of machines
        order.interface(RAW, 0, &[(1, b"later")]), // an interface that captured nothing
    ]
}

/// Blocks that are no packets and have a frame number in Wireshark.
fn numbered(order: Order) -> Vec<Vec<u8>> {
    let enterprise = order.u32(32_473); // for documentation (RFC 5612)
    let event =
        [&order.u16(0)[..], &order.u64(1), &order.u64(1), &order.u32(26), &order.u16(1), &[0; 4]].concat();
    vec![
        order.block(9, b"__REALTIME_TIMESTAMP=1767614400000000\n"), // systemd journal entry
        order.block(0x0bad, &[&enterprise[..], b"to be copied"].concat()),
        order.block(0x4000_0bad, &[&enterprise[..], b"not to be copied"].concat()),
        order.block(0x204, &event), // Sysdig event
    ]
}

/// One of these blocks before each packet, in turn.
fn interleaved(name: &'static str, others: &[Vec<u8>], take_a_number: bool) -> Recipe {
    let mut pieces = pcapng(Order::Little);
    let packets = pieces.split_off(2);
    for (packet, other) in packets.into_iter().zip(others.iter().cycle()) {
        pieces.extend([other.clone(), packet]);
    }
    let mut recipe = recipe(name, "pcapng, little-endian", pieces);
    if take_a_number {
        recipe.frames.iter_mut().for_each(|frame| *frame *= 2);
    }
    recipe
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

pub fn zstd(plain: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.include_checksum(true).expect("a setting that exists");
    encoder.write_all(plain).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

pub fn lz4(plain: &[u8], block_size: BlockSize, block_mode: BlockMode) -> Vec<u8> {
    let info = FrameInfo::new()
        .block_size(block_size)
        .block_mode(block_mode)
        .block_checksums(true)
        .content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(plain).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

pub fn xz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = XzWriter::new(Vec::new(), XzOptions::with_preset(6)).expect("an encoder");
    encoder.write_all(plain).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// A frame without content for zstd and lz4 alike.
pub fn skippable(content: &[u8]) -> Vec<u8> {
    [&0x184d_2a53_u32.to_le_bytes()[..], &(content.len() as u32).to_le_bytes(), content].concat()
}

fn compressed() -> Vec<Recipe> {
    let (little, big) = (Order::Little, Order::Big);
    let classic = pcap(little, MICROSECONDS);
    let blocks = pcapng(big);
    let (in_gzip, in_zstd) =
        ("pcap, little-endian, microseconds, in gzip", "pcap, little-endian, microseconds, in zstd");
    let (in_lz4, in_xz) = ("pcapng, big-endian, in lz4", "pcapng, big-endian, in xz");
    let frame = |plain: &[u8]| lz4(plain, BlockSize::Max64KB, BlockMode::Linked);
    let small_frame = |plain: &[u8]| lz4(plain, BlockSize::Max256KB, BlockMode::Independent);
    let halves = |pieces: &[Vec<u8>]| {
        let (first, second) = pieces.split_at(pieces.len() / 2);
        [first.concat(), second.concat()]
    };
    let [first, second] = halves(&classic);
    let [first_blocks, second_blocks] = halves(&blocks);
    vec![
        recipe("us-le.pcap.gz", in_gzip, vec![gzip(&classic.concat())]),
        recipe("members.pcap.gz", in_gzip, vec![gzip(&first), gzip(b""), gzip(&second)]),
        recipe("us-le.pcap.zst", in_zstd, vec![zstd(&classic.concat())]),
        recipe(
            "frames.pcap.zst",
            in_zstd,
            vec![skippable(b"made by hand"), zstd(&first), skippable(b""), zstd(&second)],
        )
        .not_by_tshark(),
        recipe("be.pcapng.lz4", in_lz4, vec![frame(&blocks.concat())]),
        recipe(
            "frames.pcapng.lz4",
            in_lz4,
            vec![
                skippable(b""),
                small_frame(&first_blocks),
                skippable(b"made by hand"),
                frame(&second_blocks),
            ],
        )
        .not_by_tshark(),
        recipe("be.pcapng.xz", in_xz, vec![xz(&blocks.concat())]).not_by_tshark(),
        recipe("streams.pcapng.xz", in_xz, vec![xz(&first_blocks), vec![0; 4], xz(&second_blocks)])
            .not_by_tshark(),
        recipe(
            "us-le.pcap.zst.gz",
            "pcap, little-endian, microseconds, in gzip around zstd",
            vec![gzip(&zstd(&classic.concat()))],
        )
        .not_by_tshark(),
    ]
}
