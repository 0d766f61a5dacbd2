//! `make bench`: finrace and the tools people would use instead, on the same capture, in alternation.

mod frame;
mod generate;
mod injected;
mod load;
mod machine;
mod measure;
mod random;
mod traffic;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use measure::Cost;

const FINRACE: &str = env!("CARGO_BIN_EXE_finrace");

/// Measures finrace beside its peers.
#[derive(Parser)]
struct Args {
    /// Packets of the capture that is made, about
    #[arg(long, default_value_t = 3_600_000)]
    packets: u64,
    /// Seed of that capture
    #[arg(long, default_value_t = 502)]
    seed: u64,
    /// Measure on this capture instead
    #[arg(long)]
    capture: Option<PathBuf>,
    /// Measure on a capture of so many requests from ab to nginx instead (both must be installed; tcpdump needs root)
    #[arg(long, value_name = "REQUESTS", conflicts_with = "capture")]
    load: Option<u64>,
    /// Measure it in gzip and zstd, too, beside the programs that unpack them
    #[arg(long)]
    packed: bool,
    /// Count instructions, with valgrind, on a capture of 200,000 packets, and do nothing else
    #[arg(long)]
    instructions: bool,
    /// Runs of each command
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Peers that take long too: tcptrace, tshark (one run each)
    #[arg(long)]
    slow: bool,
    /// cargo bench passes it
    #[arg(long, hide = true)]
    bench: bool,
}

struct Contestant {
    name: String,
    command: Vec<String>,
    costs: Vec<Cost>,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    if words.get(1).is_some_and(|word| word == measure::MEASURE) {
        return measure::measure(&words[2..]);
    }
    let args = Args::parse();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    fs::create_dir_all(&folder)?;
    if args.instructions {
        let path = folder.join("instructions.pcap");
        let made = generate::generate(&path, 200_000, args.seed)?;
        return measure::instructions(
            &[FINRACE, "analyze", "--threads=1", &path.display().to_string()],
            made.packets,
        );
    }
    let (capture, expected) = match (&args.capture, args.load) {
        (Some(capture), _) => (capture.clone(), None),
        (None, Some(requests)) => (load::capture(&folder, requests)?, None),
        (None, None) => {
            let path = folder.join(format!("{}-{}.pcap", args.packets, args.seed));
            let made = generate::generate(&path, args.packets, args.seed)?;
            let mib = fs::metadata(&path)?.len() >> 20;
            println!(
                "{}: {} packets, {mib} MiB, {} connections",
                path.display(),
                made.packets,
                made.connections
            );
            (path, Some(made.causes))
        }
    };
    if let Some(expected) = &expected {
        check(&capture, expected)?;
    }
    let mut contestants = contestants(&capture.display().to_string(), args.slow, args.packed)?;
    for contestant in &contestants {
        // Once unmeasured: the file into the page cache, the program too.
        measure::run(&contestant.command)?;
    }
    for run in 0..args.runs {
        for contestant in &mut contestants {
            if run == 0 || !is_slow(&contestant.name) {
                contestant.costs.push(measure::run(&contestant.command)?);
            }
        }
    }
    println!("\n{}\n", machine::described()?);
    print(&contestants);
    Ok(())
}

/// finrace must have found exactly what was put in: a fast wrong answer is none.
fn check(capture: &Path, expected: &BTreeMap<String, u64>) -> anyhow::Result<()> {
    let output = Command::new(FINRACE).args(["analyze", "--format", "json"]).arg(capture).output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).context("finrace's report")?;
    let found: BTreeMap<String, u64> = serde_json::from_value(report["summary"]["by_cause"].clone())?;
    anyhow::ensure!(&found == expected, "put in: {expected:?}\nfound: {found:?}");
    println!("found what was put in: {} incidents of {} causes", found.values().sum::<u64>(), found.len());
    Ok(())
}

fn contestants(capture: &str, slow: bool, packed: bool) -> anyhow::Result<Vec<Contestant>> {
    let piped = format!("cat {capture} | {FINRACE} analyze -");
    let mut commands = vec![
        ("finrace", vec![FINRACE, "analyze", capture]),
        ("finrace, one thread", vec![FINRACE, "analyze", "--threads=1", capture]),
        ("finrace, by a pipe", vec!["sh", "-c", &piped]),
        ("tcpdump", vec!["tcpdump", "-r", capture, "-w", "/dev/null"]),
        ("cat", vec!["cat", capture]),
        ("capinfos", vec!["capinfos", "-c", capture]),
    ];
    let (gzip, zstd) = (format!("{capture}.gz"), format!("{capture}.zst"));
    if packed {
        for (program, to) in [("gzip", &gzip), ("zstd", &zstd)] {
            let file = fs::File::create(to)?;
            let status = Command::new(program).args(["-c", capture]).stdout(file).status();
            anyhow::ensure!(status.is_ok_and(|status| status.success()), "{program} could not make {to}");
        }
        commands.extend([
            ("finrace, gzip", vec![FINRACE, "analyze", &gzip]),
            ("gzip", vec!["gzip", "-dc", &gzip]),
            ("finrace, zstd", vec![FINRACE, "analyze", &zstd]),
            ("zstd", vec!["zstd", "-dc", &zstd]),
        ]);
    }
    if slow {
        commands.push(("tcptrace", vec!["tcptrace", "-q", capture]));
        commands.push(("tshark", vec!["tshark", "-q", "-z", "conv,tcp", "-r", capture]));
    }
    let installed = |(name, command): &(&str, Vec<&str>)| {
        let there = Command::new(command[0]).arg("--version").output().is_ok();
        if !there {
            println!("{name}: not installed, left out");
        }
        there
    };
    Ok(commands
        .into_iter()
        .filter(installed)
        .map(|(name, command)| Contestant {
            name: name.to_owned(),
            command: command.into_iter().map(str::to_owned).collect(),
            costs: Vec::new(),
        })
        .collect())
}

fn is_slow(name: &str) -> bool {
    matches!(name, "tcptrace" | "tshark")
}

fn print(contestants: &[Contestant]) {
    let wall = |contestant: &Contestant| median(contestant, |cost| cost.wall);
    let cpu = |contestant: &Contestant| median(contestant, |cost| cost.cpu);
    let measure_of = contestants.iter().find(|it| it.name == "tcpdump").map(|it| (wall(it), cpu(it)));
    println!("| | wall s | cpu s | peak MiB | wall / tcpdump | cpu / tcpdump |");
    println!("|---|---:|---:|---:|---:|---:|");
    for contestant in contestants {
        let (wall, cpu) = (wall(contestant), cpu(contestant));
        let peak = contestant.costs.iter().map(|cost| cost.peak_kib).max().unwrap_or(0) as f64 / 1024.0;
        let ratio = |mine: Duration, theirs: Option<Duration>| {
            theirs.map_or(String::new(), |theirs| format!("{:.2}", mine.as_secs_f64() / theirs.as_secs_f64()))
        };
        println!(
            "| {} | {:.3} | {:.3} | {:.1} | {} | {} |",
            contestant.name,
            wall.as_secs_f64(),
            cpu.as_secs_f64(),
            peak,
            ratio(wall, measure_of.map(|it| it.0)),
            ratio(cpu, measure_of.map(|it| it.1)),
        );
    }
}

fn median(contestant: &Contestant, of: impl Fn(&Cost) -> Duration) -> Duration {
    let mut all: Vec<Duration> = contestant.costs.iter().map(of).collect();
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
