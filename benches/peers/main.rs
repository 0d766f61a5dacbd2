//! `make bench`: finrace and the tools people would use instead, in the situations that its goals speak of. What it prints on
//! standard output is the Markdown that docs/performance.md holds; what it is doing meanwhile goes to standard error.

mod beside;
mod check;
#[path = "../../tests/flood/generator.rs"]
#[expect(dead_code, reason = "the shapes that only tests/flood sends")]
mod flood;
mod frame;
mod generate;
mod goals;
mod injected;
mod linear;
mod load;
mod machine;
mod measure;
mod random;
mod repeat;
mod startup;
mod stress;
mod traffic;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use generate::Made;
use goals::Goals;

const FINRACE: &str = env!("CARGO_BIN_EXE_finrace");

/// Measures finrace: everything, or what --only names.
#[derive(Parser)]
struct Args {
    /// Packets of the capture that is made, about
    #[arg(long, default_value_t = 3_600_000)]
    packets: u64,
    /// Seed of that capture
    #[arg(long, default_value_t = 502)]
    seed: u64,
    /// Measure on this capture and on no other
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// Measure only in these ways
    #[arg(long, value_enum, value_delimiter = ',', value_name = "MODE,...")]
    only: Vec<Mode>,
    /// Runs of each command; the table shows the medians
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Peers that take long too: tcptrace, tshark (one run each)
    #[arg(long)]
    slow: bool,
    /// Bytes that the repeated capture is to reach (K, M and G are powers of 1000)
    #[arg(long, default_value = "20G", value_parser = bytes)]
    repeat_to: u64,
    /// Connections that are open at the same time
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10_000..))]
    stress: u32,
    /// Requests of the capture of real programs
    #[arg(long, value_name = "REQUESTS", default_value_t = 300_000)]
    load: u64,
    /// cargo bench passes it
    #[arg(long, hide = true)]
    bench: bool,
}

/// A way of measuring, in the order of the page.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Beside tcpdump, cat and capinfos on the capture that is made
    Peers,
    /// The same on a capture of ab asking nginx (both must be installed; tcpdump needs root)
    Load,
    /// In gzip and zstd, beside the programs that unpack them
    Packed,
    /// A quarter of the packets, half of them, and all
    Linear,
    /// The capture streamed again and again as one trace
    Repeat,
    /// Connections that are all open
    Stress,
    /// finrace --version, and the analysis of some packets
    Startup,
    /// Instructions a packet, by valgrind, on 200,000 packets
    Instructions,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    if words.get(1).is_some_and(|word| word == measure::MEASURE) {
        return measure::measure(&words[2..]);
    }
    let args = Args::parse();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    fs::create_dir_all(&folder)?;
    println!("### {}", machine::described()?);
    let mut goals = Goals::default();
    match &args.capture {
        Some(capture) => given(&args, capture, &mut goals),
        None => made(&args, &folder, &mut goals),
    }
}

impl Args {
    fn wants(&self, mode: Mode) -> bool {
        self.only.is_empty() || self.only.contains(&mode)
    }
}

/// Measures on a capture of which nothing is known.
fn given(args: &Args, capture: &Path, goals: &mut Goals) -> anyhow::Result<()> {
    let summary = check::same_with_one_thread_and_two(capture)?;
    let (packets, incidents) = (summary.packets, summary.incidents);
    println!("\n{} packets, {incidents} incidents, from `{}`.", packets, capture.display());
    if args.wants(Mode::Peers) {
        println!("\n#### Beside its peers\n");
        beside::peers(capture, "the capture", args.runs, args.slow, goals)?;
    }
    if args.wants(Mode::Packed) {
        println!("\n#### Packed\n");
        beside::packed(capture, "the capture", args.runs, goals)?;
    }
    goals.print();
    Ok(())
}

/// Measures on the captures that are made for it. What fails does not keep the rest from being measured.
fn made(args: &Args, folder: &Path, goals: &mut Goals) -> anyhow::Result<()> {
    type Measure = fn(&Args, &Path, &mut Goals) -> anyhow::Result<()>;
    let measures: [(&[Mode], Measure); 6] = [
        (&[Mode::Peers, Mode::Packed, Mode::Repeat], seeded),
        (&[Mode::Load], real_load),
        (&[Mode::Linear], |args, folder, goals| {
            println!("\n#### Linear in packets\n");
            linear::measure(folder, args.packets, args.seed, args.runs, goals)
        }),
        (&[Mode::Stress], |args, folder, goals| {
            println!("\n#### Open connections\n");
            stress::measure(folder, args.stress, goals)
        }),
        (&[Mode::Startup], |_, _, goals| {
            println!("\n#### Start-up\n");
            startup::measure(goals)
        }),
        (&[Mode::Instructions], instructions),
    ];
    let mut failed = false;
    for (modes, measure) in measures {
        if modes.iter().any(|mode| args.wants(*mode))
            && let Err(error) = measure(args, folder, goals)
        {
            eprintln!("{error:#}");
            failed = true;
        }
    }
    goals.print();
    anyhow::ensure!(!failed, "not everything could be measured: what is missing was said above");
    Ok(())
}

/// Measures on the capture that the seed makes.
fn seeded(args: &Args, folder: &Path, goals: &mut Goals) -> anyhow::Result<()> {
    let capture = folder.join(format!("{}-{}.pcap", args.packets, args.seed));
    eprintln!("making {}", capture.display());
    let made = generate::generate(&capture, args.packets, args.seed)?;
    let summary = check::same_with_one_thread_and_two(&capture)?;
    check::found(&summary, &made.causes, 1)?;
    println!("\n{}", described(args, &capture, &made)?);
    if args.wants(Mode::Peers) {
        println!("\n#### Beside its peers\n");
        beside::peers(&capture, "made by the seed", args.runs, args.slow, goals)?;
    }
    if args.wants(Mode::Packed) {
        println!("\n#### Packed\n");
        beside::packed(&capture, "made by the seed", args.runs, goals)?;
    }
    if args.wants(Mode::Repeat) {
        println!("\n#### The capture again and again\n");
        repeat::measure(&capture, &made, args.repeat_to, goals)?;
    }
    Ok(())
}

fn described(args: &Args, capture: &Path, made: &Made) -> anyhow::Result<String> {
    let mib = fs::metadata(capture)?.len() >> 20;
    let incidents: u64 = made.causes.values().sum();
    Ok(format!(
        "Seed {}: {} packets, {mib} MiB, {} healthy connections; found were exactly the {incidents} incidents of {} causes \
         that were put in, and byte for byte the same with one thread as with two.",
        args.seed,
        made.packets,
        made.connections,
        made.causes.len()
    ))
}

/// Measures on a capture of real programs.
fn real_load(args: &Args, folder: &Path, goals: &mut Goals) -> anyhow::Result<()> {
    if let Some(reason) = load::lacking() {
        anyhow::bail!("no capture of real programs: {reason}");
    }
    println!("\n#### A capture of real programs: {} requests from ab to nginx\n", args.load);
    let capture = load::capture(folder, args.load)?;
    beside::peers(&capture, "real load", args.runs, args.slow, goals)
}

fn instructions(args: &Args, folder: &Path, _: &mut Goals) -> anyhow::Result<()> {
    let path = folder.join("instructions.pcap");
    let made = generate::generate(&path, 200_000, args.seed)?;
    let command = [FINRACE, "analyze", "--threads=1", &path.display().to_string()].map(str::to_owned);
    let count = measure::instructions(&command)?;
    println!("\n#### Instructions\n");
    println!("{} for each of {} packets, one thread.", count / made.packets, made.packets);
    Ok(())
}

/// A number of bytes: `500M`, `20G`.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'K')) => (&text[..at], 1_000),
        Some((at, 'M')) => (&text[..at], 1_000_000),
        Some((at, 'G')) => (&text[..at], 1_000_000_000),
        _ => (text, 1),
    };
    let number: u64 =
        digits.parse().map_err(|_| format!("`{text}` is no number of bytes: write 500M or 20G"))?;
    number.checked_mul(unit).ok_or_else(|| format!("`{text}` is too large"))
}
