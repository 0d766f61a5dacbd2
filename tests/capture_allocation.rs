//! Reading and decoding take no memory per packet.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Cursor, Write};

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
