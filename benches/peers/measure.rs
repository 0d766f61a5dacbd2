//! A command as a whole process: wall time, processor time, peak memory.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// What one run took.
#[derive(Clone, Copy)]
pub struct Cost {
    pub wall: Duration,
    pub cpu: Duration,
    pub peak_kib: u64,
}

impl Cost {
    pub fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

/// The word that makes this program a measuring one, as which it calls itself: the system counts peak memory over all
/// children of a process, so that each run needs a parent of its own.
pub const MEASURE: &str = "--measure";

/// Runs the command once, through a process of its own that measures it.
pub fn run(command: &[String]) -> anyhow::Result<Cost> {
    cost(measuring(command, Path::new("/dev/null"), Stdio::null())?, command)
}

/// The same for a command that reads what `feed` writes. Its output goes to a file.
pub fn run_fed(
    command: &[String],
    output: &Path,
    feed: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<Cost> {
    let mut child = measuring(command, output, Stdio::piped())?;
    let mut pipe = child.stdin.take().context("the pipe")?;
    let fed = feed(&mut pipe);
    drop(pipe);
    let cost = cost(child, command)?;
    fed.with_context(|| format!("writing to {command:?}"))?;
    Ok(cost)
}

fn measuring(command: &[String], output: &Path, input: Stdio) -> anyhow::Result<Child> {
    let mut measuring = Command::new(std::env::current_exe()?);
    measuring.arg(MEASURE).arg(output).args(command);
    Ok(measuring.stdin(input).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?)
}

fn cost(child: Child, command: &[String]) -> anyhow::Result<Cost> {
    let text = String::from_utf8(child.wait_with_output()?.stdout)?;
    let numbers: Vec<u64> =
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().context("a measurement")?;
    let [wall, cpu, peak_kib] = numbers[..] else {
        anyhow::bail!("{command:?} could not be measured: {text}")
    };
    Ok(Cost { wall: Duration::from_micros(wall), cpu: Duration::from_micros(cpu), peak_kib })
}

/// What the measuring process does: the first word is the file of the command's output, the others are the command.
pub fn measure(words: &[String]) -> anyhow::Result<()> {
    let [output, command @ ..] = words else { anyhow::bail!("{MEASURE} OUTPUT COMMAND...") };
    let output = File::create(output)?;
    let began = Instant::now();
    let status =
        Command::new(&command[0]).args(&command[1..]).stdout(output).stderr(Stdio::null()).status()?;
    let wall = began.elapsed();
    // finrace ends with 1 when it found incidents, and with 3 where it could not tell.
    anyhow::ensure!(matches!(status.code(), Some(0 | 1 | 3)), "{command:?} ended with {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = (usage.user_time() + usage.system_time()).num_microseconds();
    println!("{} {cpu} {}", wall.as_micros(), usage.max_rss());
    Ok(())
}

/// How many instructions a command takes, by valgrind: the same in every run, whatever else the machine does.
pub fn instructions(command: &[String]) -> anyhow::Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(command);
    let output = valgrind.output().context("starting valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    let count = text.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse::<u64>().ok());
    count.with_context(|| format!("valgrind did not count: {text}"))
}

/// The middle one of some times, of an even number the later of the two in the middle.
pub fn median(times: impl IntoIterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.into_iter().collect();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// One time as a multiple of another.
pub fn ratio(mine: Duration, theirs: Duration) -> f64 {
    mine.as_secs_f64() / theirs.as_secs_f64()
}
