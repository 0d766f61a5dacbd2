//! Neither reading and decoding nor the whole analysis takes memory per packet.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Cursor, Write};

use finrace::analysis::{self, Options};
use finrace::capture::{Interface, Interrupt, LinkType, PcapngWriter, Reader};
use finrace::packet::decode;
use flate2::Compression;
use flate2::write::GzEncoder;

/// The system's allocator, counting per thread, because the test harness allocates beside the test.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `alloc` above, that is, from the system's allocator, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A SYN from 192.0.2.1:50000 to 192.0.2.2:8080.
#[rustfmt::skip]
const SYN: [u8; 40] = [
    0x45, 0x00, 0x00, 0x28, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
    0xc3, 0x50, 0x1f, 0x90, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0,
];

const PACKETS: u32 = 20_000;

/// A capture of packets whose lengths differ, so that they lie across the ends of the buffer in every way.
fn capture() -> Vec<u8> {
    let interface = Interface { name: "tun0".into(), link: LinkType::RAW, snaplen: 0 };
    let mut writer = PcapngWriter::new(Vec::new(), &[interface]).expect("writing to memory");
    for number in 0..PACKETS {
        let packet = [&SYN[..], &[0; 97][..number as usize % 97]].concat();
        writer.packet(0, number.into(), packet.len() as u32, &packet, None).expect("writing to memory");
    }
    writer.into_inner()
}

/// Packets read and decoded, and allocations on the way in this thread, after the first.
fn read(mut reader: Reader) -> (u32, u64) {
    // The description of the interface is kept, once.
    assert!(reader.next().expect("no input error").is_some());
    let before = ALLOCATIONS.get();
    let mut segments = 1;
    while let Some(record) = reader.next().expect("no input error") {
        assert!(decode(record.link.0, record.data, record.wire_len).is_ok());
        segments += 1;
    }
    (segments, ALLOCATIONS.get() - before)
}

#[test]
fn twenty_thousand_packets_are_read_and_decoded_without_an_allocation() {
    let reader = Reader::from_read("memory", Box::new(Cursor::new(capture()))).unwrap();
    assert_eq!(read(reader), (PACKETS, 0));
}

#[test]
fn nor_does_it_take_one_where_the_capture_is_compressed_or_comes_by_a_pipe() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&capture()).unwrap();
    let compressed = Cursor::new(gzip.finish().unwrap());
    let reader = Reader::from_read("compressed", Box::new(compressed.clone())).unwrap();
    assert_eq!(read(reader), (PACKETS, 0));
    let reader = Reader::from_pipe("pipe", Box::new(compressed), &Interrupt::default()).unwrap();
    assert_eq!(read(reader), (PACKETS, 0));
}

/// A packet of 192.0.2.1:50000, or of its server, with PSH and ACK.
fn sent(from_client: bool, id: u16, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = [&SYN[..], payload].concat();
    let len = packet.len() as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    if !from_client {
        let (first, second) = packet[12..20].split_at_mut(4);
        first.swap_with_slice(second);
        packet[20..24].rotate_left(2);
    }
    packet[24..28].copy_from_slice(&seq.to_be_bytes());
    packet[28..32].copy_from_slice(&ack.to_be_bytes());
    packet[33] = 0x18;
    packet
}

/// A capture of a kept-alive connection with so many requests, each with its response and a bare acknowledgement.
fn exchanges(count: u32) -> Vec<u8> {
    let interface = Interface { name: "tun0".into(), link: LinkType::RAW, snaplen: 0 };
    let mut writer = PcapngWriter::new(Vec::new(), &[interface]).expect("writing to memory");
    let request = b"GET /orders/17 HTTP/1.1\r\nHost: shop.example\r\nCookie: a=b\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine";
    let (mut client, mut server) = (2, 1_000);
    for number in 0..count {
        let id = number as u16 | 1;
        let asked = client + request.len() as u32;
        let answered = server + response.len() as u32;
        let packets = [
            sent(true, id, client, server, request),
            sent(false, id, server, asked, response),
            sent(true, id.wrapping_add(1), asked, answered, &[]),
        ];
        for (step, packet) in (0..).zip(packets) {
            let time_ns = (i64::from(number) * 3 + step) * 1_000_000;
            writer.packet(0, time_ns, packet.len() as u32, &packet, None).expect("writing to memory");
        }
        (client, server) = (asked, answered);
    }
    writer.into_inner()
}

/// Allocations of an analysis in this thread.
fn analyzed(count: u32) -> u64 {
    let reader = Reader::from_read("memory", Box::new(Cursor::new(exchanges(count)))).expect("a capture");
    let before = ALLOCATIONS.get();
    let report = analysis::analyze(vec![reader], &Options { threads: 1, ..Options::default() });
    let allocations = ALLOCATIONS.get() - before;
    assert_eq!((report.summary.requests, report.summary.incidents), (count.into(), 0));
    assert_eq!(report.summary.tcp_packets, u64::from(count) * 3);
    allocations
}

#[test]
fn the_analysis_of_sixty_thousand_packets_takes_no_more_allocations_than_that_of_half_of_them() {
    let (half, all) = (analyzed(10_000), analyzed(20_000));
    assert!(
        all <= half + 8,
        "{half} allocations, {all} for twice as many: more than a few buffers that grow"
    );
}
