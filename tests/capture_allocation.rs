//! Reading and decoding take no memory per packet.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Cursor;

use finrace::capture::{Interface, LinkType, PcapngWriter, Reader};
use finrace::packet::decode;

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

#[test]
fn twenty_thousand_packets_are_read_and_decoded_without_an_allocation() {
    let interface = Interface { name: "tun0".into(), link: LinkType::RAW, snaplen: 0 };
    let mut writer = PcapngWriter::new(Vec::new(), &[interface]).unwrap();
    for number in 0..PACKETS {
        // Lengths that differ, so that packets lie across the ends of the buffer in every way.
        let packet = [&SYN[..], &[0; 97][..number as usize % 97]].concat();
        writer.packet(0, number.into(), packet.len() as u32, &packet, None).unwrap();
    }
    let mut reader = Reader::from_read("memory", Box::new(Cursor::new(writer.into_inner()))).unwrap();
    // The description of the interface is kept, once.
    assert!(reader.next().unwrap().is_some());

    let before = ALLOCATIONS.get();
    let mut segments = 1;
    while let Some(record) = reader.next().unwrap() {
        assert!(decode(record.link.0, record.data, record.wire_len).is_ok());
        segments += 1;
    }
    let allocated = ALLOCATIONS.get() - before;
    assert_eq!((segments, allocated), (PACKETS, 0));
}
