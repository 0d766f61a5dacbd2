//! The measurements and their tables.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use finrace::analysis::instants;
use finrace::lab::events::now_ns;
use finrace::lab::isolation::{self, StopRequest};
use finrace::lab::recorder::Recording;
use finrace::lab::scenario::Scenario;
use finrace::lab::sweep::{self, Settings};
use finrace::lab::wire::{Fate, Side, WireLog};
use finrace::packet::Endpoint;

use super::loads::{self, Load, PROBE_PACKET};
use super::machine;
use super::rig::{Carried, Rig};
use super::spread::{Spread, median};

const PORT: u16 = 3000;
const BESIDE: u16 = 3001;

/// How long connections and their windows may grow before the measuring begins.
const WARM_UP: Duration = Duration::from_millis(500);

/// One-way delays of the wire.
const DELAYS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(5), Duration::from_millis(20)];

/// Bytes a millisecond of the transfer that goes on beside some of the measuring: 100 Mbit/s.
const MODERATE: usize = 12_500;

/// Measures the lab's wire.
#[derive(Parser)]
struct Args {
    /// Measure only this (may be given several times)
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Runs of each measurement
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds that each of them measures
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// cargo bench passes it
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A transfer in one direction
    Bulk,
    /// Small packets in both
    Small,
    /// The delay that packets really have
    Delay,
    /// When a sweep sends
    Driver,
}

struct Bench {
    runs: usize,
    seconds: Duration,
    folder: PathBuf,
    stop: StopRequest,
}

pub fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-wire");
    fs::create_dir_all(&folder)?;
    let described = machine::described()?;
    // Before any thread starts.
    let entered = isolation::enter()?;
    let seconds = Duration::try_from_secs_f64(args.seconds)?;
    let bench = Bench { runs: args.runs, seconds, folder, stop: entered.stop };
    let rig = Rig::start(Duration::ZERO, None)?;
    // When a packet has passed, its thread has asked for it.
    drop(rig.connect(PORT, 1)?);
    let priority = if rig.is_real_time()? { "with" } else { "without" };
    rig.stop()?;
    println!("{described}");
    println!(
        "medians of {} runs of {} s, maxima of all of them, {priority} real-time priority",
        args.runs, args.seconds
    );
    for part in [Part::Bulk, Part::Small, Part::Delay, Part::Driver] {
        if !args.only.is_empty() && !args.only.contains(&part) {
            continue;
        }
        match part {
            Part::Bulk => bench.bulk()?,
            Part::Small => bench.small()?,
            Part::Delay => bench.delay()?,
            Part::Driver => bench.driver()?,
        }
    }
    Ok(())
}

/// What came through in the time that was measured.
struct Flow {
    bits_per_second: f64,
    packets_per_second: f64,
    /// Processor time of the wire's thread for each packet.
    cpu_ns: f64,
    /// Whether the captures were, where there were any.
    complete: Option<bool>,
}

impl Bench {
    fn bulk(&self) -> anyhow::Result<()> {
        println!(
            "\nA transfer from origin to edge, one TCP connection, by the bytes that the receiver was given.\n"
        );
        println!("| delay | captures | Gbit/s | packets/s | µs of the wire's thread a packet |");
        println!("|---:|---|---:|---:|---:|");
        for delay in DELAYS {
            for captured in [false, true] {
                let flows = self.flows(delay, captured, |rig| loads::bulk(rig, PORT, None))?;
                let gigabits = median(flows.iter().map(|flow| flow.bits_per_second)) / 1e9;
                let (captures, rest) = (captures(&flows), rates(&flows));
                println!("| {} ms | {captures} | {gigabits:.2} | {rest} |", delay.as_millis());
            }
        }
        Ok(())
    }

    fn small(&self) -> anyhow::Result<()> {
        println!(
            "\nSmall packets to and fro: 64 connections with one message of 16 bytes under way on each, delay 0.\n"
        );
        println!("| captures | packets/s | µs of the wire's thread a packet |");
        println!("|---|---:|---:|");
        for captured in [false, true] {
            let flows = self.flows(Duration::ZERO, captured, |rig| loads::ring(rig, PORT))?;
            println!("| {} | {} |", captures(&flows), rates(&flows));
        }
        Ok(())
    }

    fn flows(
        &self,
        delay: Duration,
        captured: bool,
        load: impl Fn(&Rig) -> anyhow::Result<Load>,
    ) -> anyhow::Result<Vec<Flow>> {
        (0..self.runs).map(|_| self.flow(delay, captured, &load)).collect()
    }

    fn flow(
        &self,
        delay: Duration,
        captured: bool,
        load: impl Fn(&Rig) -> anyhow::Result<Load>,
    ) -> anyhow::Result<Flow> {
        self.is_to_go_on()?;
        let rig = Rig::start(delay, captured.then_some(&*self.folder))?;
        let load = load(&rig)?;
        thread::sleep(WARM_UP);
        let reading = || anyhow::Ok((load.received.load(Ordering::Relaxed), rig.wire_cpu_ns()?, now_ns()));
        let (began, before) = (Instant::now(), reading()?);
        thread::sleep(self.seconds);
        let (elapsed, after) = (began.elapsed(), reading()?);
        load.stop()?;
        let carried = rig.stop()?;
        let measured = before.2..after.2;
        let packets =
            carried.log.packets.iter().filter(|packet| measured.contains(&packet.arrived_ns)).count();
        anyhow::ensure!(packets > 0, "no packet came through");
        Ok(Flow {
            bits_per_second: (after.0 - before.0) as f64 * 8.0 / elapsed.as_secs_f64(),
            packets_per_second: packets as f64 / elapsed.as_secs_f64(),
            cpu_ns: (after.1 - before.1) as f64 / packets as f64,
            complete: carried.complete(),
        })
    }

    fn delay(&self) -> anyhow::Result<()> {
        type Beside = fn(&Rig) -> anyhow::Result<Option<Load>>;
        println!(
            "\nMore delay than asked for, µs: between the captures of both hosts, and inside the wire by its own log.\n"
        );
        println!("| beside | delay | packets | captures: median | p99 | max | log: median | p99 | max |");
        println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
        let besides: [(&str, Beside); 4] = [
            ("nothing", |_| Ok(None)),
            ("100 Mbit/s", |rig| loads::bulk(rig, BESIDE, Some(MODERATE)).map(Some)),
            ("a transfer at full speed", |rig| loads::bulk(rig, BESIDE, None).map(Some)),
            ("every processor busy", |_| loads::spin().map(Some)),
        ];
        for (name, beside) in besides {
            for delay in DELAYS {
                let (mut by_captures, mut by_log) = (Vec::new(), Vec::new());
                for _ in 0..self.runs {
                    self.is_to_go_on()?;
                    let rig = Rig::start(delay, Some(&self.folder))?;
                    let load = beside(&rig)?;
                    let probes = loads::probes(&rig, PORT)?;
                    thread::sleep(WARM_UP + self.seconds);
                    probes.stop()?;
                    load.map_or(Ok(()), Load::stop)?;
                    let Carried { log, recordings } = rig.stop()?;
                    by_log.push(Spread::of(late_by_log(&log, delay))?);
                    let recordings = recordings.as_ref().map(|both| late_by_captures(&log, both, delay));
                    by_captures.push(Spread::of(recordings.unwrap_or_default())?);
                }
                let (captures, log) = (Spread::of_runs(&by_captures), Spread::of_runs(&by_log));
                let millis = delay.as_millis();
                println!(
                    "| {name} | {millis} ms | {} | {} | {} |",
                    captures.count,
                    captures.cells(),
                    log.cells()
                );
            }
        }
        Ok(())
    }

    fn driver(&self) -> anyhow::Result<()> {
        println!(
            "\nFrom the time that a sweep's driver was to send a request to the capture of its packet, µs.\n"
        );
        println!("| beside | connections | requests | median | p99 | max |");
        println!("|---|---:|---:|---:|---:|---:|");
        for (name, is_busy) in [("nothing", false), ("every processor busy", true)] {
            let load = is_busy.then(loads::spin).transpose()?;
            let mut runs = Vec::new();
            let mut most = 0;
            for run in 0..self.runs {
                let (late, connections) = self.sweep(run as u64)?;
                runs.push(Spread::of(late)?);
                most = most.max(connections);
            }
            load.map_or(Ok(()), Load::stop)?;
            let spread = Spread::of_runs(&runs);
            println!("| {name} | {most} | {} | {} |", spread.count, spread.cells());
        }
        Ok(())
    }

    /// Ctrl-C only asks: a lab is taken down in order.
    fn is_to_go_on(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.stop.requested().is_none(), "interrupted");
        Ok(())
    }

    /// How late each second request of a sweep was, ns, and how many connections were open at one time.
    fn sweep(&self, seed: u64) -> anyhow::Result<(Vec<i64>, usize)> {
        let scenario = Scenario::builtin("crossed-fin")?;
        let settings = Settings {
            attempts: 2000,
            connections: 2000,
            rate: 300.0,
            max_time: Duration::from_secs(60),
            max_wait: Duration::from_secs(5),
            precision: None,
            watched_first: 20,
            seed,
            retry: false,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let folders = (&*self.folder, &*self.folder);
        let observer = Box::new(|_: &_| {});
        let swept = runtime.block_on(sweep::wire::run(&scenario, &settings, folders, self.stop, observer))?;
        anyhow::ensure!(!swept.interrupted, "interrupted");
        let mut seen: HashMap<Endpoint, Vec<i64>> = HashMap::new();
        for connection in instants(&swept.captures[0].path)? {
            seen.entry(connection.client).or_default().extend(connection.second_request_ns);
        }
        let late = swept.attempts.iter().filter(|attempt| attempt.idle.is_some()).filter_map(|attempt| {
            let (local, due_ns) = attempt.local.zip(attempt.due_ns)?;
            // A port may have carried more than one of them.
            let sent = seen.get(&endpoint(local))?.iter().min_by_key(|at| at.abs_diff(due_ns))?;
            Some(sent - due_ns)
        });
        Ok((late.collect(), swept.side_by_side))
    }
}

/// How much longer than asked each probe was inside the wire, ns.
fn late_by_log(log: &WireLog, delay: Duration) -> Vec<i64> {
    let probes = log.packets.iter().filter(|packet| packet.length == PROBE_PACKET);
    probes
        .filter_map(|packet| match packet.fate {
            Fate::Delivered { at_ns } => Some(at_ns - packet.arrived_ns - delay.as_nanos() as i64),
            _ => None,
        })
        .collect()
}

/// How much longer than asked each probe took from one host's capture to the other's, ns.
fn late_by_captures(log: &WireLog, [edge, origin]: &[Recording; 2], delay: Duration) -> Vec<i64> {
    let times = |recording: &Recording| -> HashMap<u64, i64> {
        let probes = recording.packets.iter().filter(|packet| packet.length == PROBE_PACKET);
        probes.map(|packet| (packet.hash, packet.time_ns)).collect()
    };
    let (at_edge, at_origin) = (times(edge), times(origin));
    let between = |hash| at_edge.get(hash).zip(at_origin.get(hash)).map(|(edge, origin)| origin - edge);
    let sent = log.packets.iter().filter(|packet| packet.length == PROBE_PACKET);
    sent.filter_map(|packet| {
        let took = between(&packet.hash)?;
        Some(if packet.from == Some(Side::Edge) { took } else { -took } - delay.as_nanos() as i64)
    })
    .collect()
}

/// Packets a second and µs a packet, as two cells of a table.
fn rates(flows: &[Flow]) -> String {
    let packets = median(flows.iter().map(|flow| flow.packets_per_second));
    let cpu_ns = median(flows.iter().map(|flow| flow.cpu_ns));
    format!("{packets:.0} | {:.1}", cpu_ns / 1e3)
}

/// Whether captures were made, and were complete.
fn captures(flows: &[Flow]) -> String {
    let complete: Vec<bool> = flows.iter().filter_map(|flow| flow.complete).collect();
    match complete.iter().filter(|complete| **complete).count() {
        _ if complete.is_empty() => "none".to_owned(),
        all if all == complete.len() => "complete".to_owned(),
        some => format!("complete in {some} of {} runs", complete.len()),
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::new(address.ip(), address.port())
}
