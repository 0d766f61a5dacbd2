//! A command as a whole process: wall time, processor time, peak memory.

use std::process::{Command, Stdio};
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

/// The word that makes this program a measuring one, as which it calls itself: the system counts peak memory over all
/// children of a process, so that each run needs a parent of its own.
pub const MEASURE: &str = "--measure";

/// Runs the command once, through a process of its own that measures it.
pub fn run(command: &[String]) -> anyhow::Result<Cost> {
    let program = std::env::current_exe()?;
    let output = Command::new(program).arg(MEASURE).args(command).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<u64> =
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().context("a measurement")?;
    let [wall, cpu, peak_kib] = numbers[..] else {
        anyhow::bail!("{command:?} could not be measured: {text}")
    };
    Ok(Cost { wall: Duration::from_micros(wall), cpu: Duration::from_micros(cpu), peak_kib })
}

/// Prints how many instructions a command takes for each of so many packets: the same in every run, whatever else the machine
/// does.
pub fn instructions(command: &[&str], packets: u64) -> anyhow::Result<()> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(command);
    let output = valgrind.output().context("starting valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    let count = text.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse::<u64>().ok());
    let count = count.with_context(|| format!("valgrind did not count: {text}"))?;
    println!("{count} instructions, {} for each of {packets} packets", count / packets);
    Ok(())
}

/// What the measuring process does.
pub fn measure(command: &[String]) -> anyhow::Result<()> {
    let began = Instant::now();
    let status =
        Command::new(&command[0]).args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let wall = began.elapsed();
    // finrace ends with 1 when it found incidents, and with 3 where it could not tell.
    anyhow::ensure!(matches!(status.code(), Some(0 | 1 | 3)), "{command:?} ended with {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = (usage.user_time() + usage.system_time()).num_microseconds();
    println!("{} {cpu} {}", wall.as_micros(), usage.max_rss());
    Ok(())
}
