//! Floods of connections: memory stays within the bound, and the report says what was given up.

mod generator;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use finrace::analysis::{Options, analyze};
use finrace::capture::Reader;
use finrace::connection::{RoleHints, Table, TableCounts};
use finrace::packet::decode;
use finrace::report::Report;

use generator::{Flood, Shape};

const MIB: usize = 1 << 20;

/// The system's allocator, counting the bytes in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn count(more: usize) {
    let now = IN_USE.fetch_add(more, Ordering::Relaxed) + more;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `memory` came from `alloc` or `realloc`, that is, from the system's allocator, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // The old block may be there until the new one is filled.
        count(new_size);
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as in `dealloc`, and the caller keeps the contract of `realloc`.
        unsafe { System.realloc(memory, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One flood at a time: memory is counted for all threads together.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The report of a flood, and the most memory in use meanwhile, in bytes. One thread has all of it, so that the batches that a
/// second one would have read ahead by chance do not count.
fn analyzed(shape: Shape, flows: u32, max_connections: usize) -> (Report, usize) {
    let before = IN_USE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let reader = Reader::from_read("flood", Box::new(Flood::new(shape, flows))).expect("a capture");
    let report = analyze(vec![reader], &Options { max_connections, threads: 1, ..Options::default() });
    (report, PEAK.load(Ordering::Relaxed) - before)
}

/// What a table did with a flood, and the most memory in use meanwhile, in bytes; nobody judges its connections.
fn tabled(shape: Shape, flows: u32, max_connections: usize) -> (TableCounts, usize) {
    let before = IN_USE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let mut reader = Reader::from_read("flood", Box::new(Flood::new(shape, flows))).expect("a capture");
    let mut table = Table::new(RoleHints::default(), max_connections);
    let mut frame = 0;
    while let Some(record) = reader.next().expect("a record") {
        frame += 1;
        let segment = decode(record.link.0, record.data, record.wire_len).expect("a segment");
        table.ingest(&segment, frame, record.time_ns, &mut drop);
    }
    (table.counts(), PEAK.load(Ordering::Relaxed) - before)
}

#[test]
fn a_flood_of_half_open_connections_is_bounded_and_says_what_it_gave_up() {
    let _alone = alone();
    for shape in [Shape::Syn, Shape::Answered] {
        let (report, peak) = analyzed(shape, 100_000, 10_000);
        assert_eq!(report.summary.connections, 100_000, "{shape:?}");
        assert_eq!(
            report.summary.notes.last().map(String::as_str),
            Some(
                "flood: 90,000 open connections were given up to stay within --max-connections 10000, those silent longest \
                 first; 90,000 of them had never completed their handshake"
            ),
            "{shape:?}"
        );
        assert!(peak < 10 * MIB, "{shape:?}: {peak} bytes");
    }
}

#[test]
fn refused_connections_make_room_without_being_missed() {
    let _alone = alone();
    let (counts, peak) = tabled(Shape::Refused, 100_000, 10_000);
    assert_eq!((counts.connections, counts.evicted), (100_000, 0), "a closed connection is no loss");
    assert!(peak < 8 * MIB, "{peak} bytes");
}

#[test]
fn memory_does_not_grow_with_the_connections_of_a_capture() {
    let _alone = alone();
    let (_, few) = tabled(Shape::Idle, 20_000, 2_000);
    let (counts, many) = tabled(Shape::Idle, 40_000, 2_000);
    assert_eq!((counts.evicted, counts.evicted_half_open), (38_000, 0));
    assert!(many < few + MIB / 4, "{few} bytes for 20,000 connections, {many} for 40,000");
}

/// `cargo test --release --test flood -- --ignored --nocapture` prints what it measures.
#[test]
#[ignore = "minutes without optimisation"]
fn five_million_half_open_connections_stay_under_500_mib() {
    let _alone = alone();
    for shape in [Shape::Syn, Shape::Answered] {
        let (report, peak) = analyzed(shape, 5_000_000, finrace::analysis::DEFAULT_MAX_CONNECTIONS);
        println!("{shape:?}: {} MiB; {:?}", peak / MIB, report.summary.notes);
        assert_eq!(report.summary.connections, 5_000_000, "{shape:?}");
        assert!(peak < 500 * MIB, "{shape:?}: {peak} bytes");
    }
    let resident = peak_resident();
    println!("peak resident memory of the process: {} MiB", resident / MIB);
    assert!(resident < 500 * MIB, "{resident} bytes");
}

/// The same command: what an open connection costs that has carried a request, or waits for a response.
#[test]
#[ignore = "minutes without optimisation"]
fn a_million_open_connections_take_what_they_are_said_to() {
    let _alone = alone();
    let (_, few) = tabled(Shape::Idle, 1_000, 1_000_000);
    for (shape, most) in [(Shape::Idle, 400), (Shape::Outstanding, 550)] {
        let (_, peak) = tabled(shape, 1_000_000, 1_000_000);
        let bytes = (peak - few) / 1_000_000;
        println!("{shape:?}: {bytes} bytes for a connection");
        assert!(bytes <= most, "{shape:?}: {bytes} bytes");
    }
}

/// The most memory that this process ever had, in bytes (Linux: `VmHWM` of proc_pid_status(5)).
fn peak_resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a kernel with memory accounting");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}
