//! Each layer by itself, on the traffic of `make bench`: `cargo bench --bench layers`.
//!
//! Times are of the machine that ran it; the ratio of two layers on one machine says more than either.

#[path = "../peers/frame.rs"]
mod frame;
#[path = "../peers/generate.rs"]
mod generate;
#[path = "../peers/injected.rs"]
mod injected;
#[path = "../peers/random.rs"]
mod random;
#[path = "../peers/traffic.rs"]
mod traffic;

use std::fs;
use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use finrace::analysis::{self, Options};
use finrace::capture::{Batch, Reader};
use finrace::connection::{Connection, RoleHints, Table};
use finrace::diagnosis::{self, Circumstances};
use finrace::packet::{Decoder, decode};

const PACKETS: u64 = 100_000;
const SEED: u64 = 502;

fn main() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    fs::create_dir_all(&folder)?;
    let path = folder.join("layers.pcap");
    let made = generate::generate(&path, PACKETS, SEED)?;
    println!("{} packets, {} connections, {} causes", made.packets, made.connections, made.causes.len());
    let layers = Layers { capture: fs::read(path)?.into(), packets: made.packets };
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    layers.reader(&mut criterion);
    layers.decoder(&mut criterion);
    layers.table(&mut criterion);
    layers.rules(&mut criterion);
    layers.analysis(&mut criterion);
    criterion.final_summary();
    Ok(())
}

struct Layers {
    capture: Arc<[u8]>,
    packets: u64,
}

impl Layers {
    fn open(&self) -> Reader {
        Reader::from_read("memory", Box::new(Cursor::new(Arc::clone(&self.capture)))).expect("a capture")
    }

    /// Calls `take` with all records.
    fn batches(&self, mut take: impl FnMut(&Batch)) {
        let (mut reader, mut batch) = (self.open(), Batch::new());
        loop {
            reader.next_batch(&mut batch).expect("readable");
            if batch.is_empty() {
                return;
            }
            take(&batch);
        }
    }

    fn throughput(&self) -> Throughput {
        Throughput::ElementsAndBytes { elements: self.packets, bytes: self.capture.len() as u64 }
    }

    /// The copy of the input that each run starts with is part of it, as the kernel's is of reading a file.
    fn reader(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("reader");
        group.throughput(self.throughput());
        group.bench_function("batches", |bencher| {
            bencher.iter(|| self.batches(|batch| _ = black_box(batch.len())))
        });
        group.bench_function("one by one", |bencher| {
            bencher.iter(|| {
                let mut reader = self.open();
                while let Some(record) = reader.next().expect("readable") {
                    black_box(record.data.len());
                }
            });
        });
        group.finish();
    }

    /// With what the reader takes.
    fn decoder(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("reader and decoder");
        group.throughput(self.throughput());
        group.bench_function("short way", |bencher| {
            let mut decoder = Decoder::new();
            bencher.iter(|| {
                self.batches(|batch| {
                    for record in batch.records() {
                        _ = black_box(decoder.decode(
                            record.link.0,
                            record.data,
                            record.wire_len,
                            record.time_ns,
                        ));
                    }
                });
            });
        });
        group.bench_function("header by header", |bencher| {
            bencher.iter(|| {
                self.batches(|batch| {
                    for record in batch.records() {
                        _ = black_box(decode(record.link.0, record.data, record.wire_len));
                    }
                });
            });
        });
        group.finish();
    }

    /// Everything up to the connections.
    fn connections(&self, take: &mut impl FnMut(Connection)) {
        let (mut decoder, mut frame) = (Decoder::new(), 0);
        let mut table = Table::new(RoleHints::default(), 1_000_000);
        self.batches(|batch| {
            for record in batch.records() {
                frame += 1;
                let decoded = decoder.decode(record.link.0, record.data, record.wire_len, record.time_ns);
                if let Ok(segment) = decoded {
                    table.ingest(&segment, frame, record.time_ns, take);
                }
            }
        });
        table.finish_all(take);
    }

    /// With what reader and decoder take.
    fn table(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("reader, decoder and connections");
        group.throughput(self.throughput());
        group.bench_function("table", |bencher| {
            bencher.iter(|| self.connections(&mut |connection| _ = black_box(connection.packets())));
        });
        group.finish();
    }

    /// By connections, each read before.
    fn rules(&self, criterion: &mut Criterion) {
        let mut connections = Vec::new();
        self.connections(&mut |connection| connections.push(connection));
        let mut group = criterion.benchmark_group("rules");
        group.throughput(Throughput::Elements(connections.len() as u64));
        group.bench_function("judge", |bencher| {
            bencher.iter(|| {
                for connection in &connections {
                    black_box(diagnosis::judge(connection, Circumstances::default()));
                }
            });
        });
        group.finish();
    }

    fn analysis(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("analysis");
        group.throughput(self.throughput());
        for threads in [1, 2] {
            group.bench_with_input(BenchmarkId::new("threads", threads), &threads, |bencher, &threads| {
                let options = Options { threads, ..Options::default() };
                bencher.iter(|| black_box(analysis::analyze(vec![self.open()], &options)));
            });
        }
        group.finish();
    }
}
