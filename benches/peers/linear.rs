//! Whether twice the packets take twice the time.

use std::path::Path;
use std::time::Duration;

use super::FINRACE;
use super::generate;
use super::goals::{Bound, Goals};
use super::measure::{self, Cost};

/// What part of the capture of the other modes each is.
const PARTS: [(u64, &str); 3] = [(4, "1×"), (2, "2×"), (1, "4×")];

/// The least times of a packet in a quarter, in half and in the whole of so many packets, in alternation.
pub fn measure(folder: &Path, packets: u64, seed: u64, runs: usize, goals: &mut Goals) -> anyhow::Result<()> {
    let mut sizes = Vec::new();
    for (part, name) in PARTS {
        let path = folder.join(format!("{}-{seed}.pcap", packets / part));
        let made = generate::generate(&path, packets / part, seed)?;
        let command = [FINRACE, "analyze", &path.display().to_string()].map(str::to_owned);
        measure::run(&command)?;
        sizes.push((name, made.packets, command, Vec::<Cost>::new()));
    }
    for _ in 0..runs {
        for (_, _, command, costs) in &mut sizes {
            costs.push(measure::run(command)?);
        }
    }
    println!("| least of the runs | packets | wall ns a packet | / 1× | cpu ns a packet | / 1× | peak MiB |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut first = None;
    for (name, packets, _, costs) in &sizes {
        let a_packet = |of: fn(&Cost) -> Duration| {
            // The least: whatever else runs only adds to a time, and the sizes are compared by some percent.
            costs.iter().map(of).min().unwrap_or_default().as_secs_f64() * 1e9 / *packets as f64
        };
        let (wall, cpu) = (a_packet(|cost| cost.wall), a_packet(|cost| cost.cpu));
        let (first_wall, first_cpu) = *first.get_or_insert((wall, cpu));
        let peak = costs.iter().map(Cost::peak_mib).fold(0.0, f64::max);
        let (wall_ratio, cpu_ratio) = (wall / first_wall, cpu / first_cpu);
        println!(
            "| {name} | {packets} | {wall:.1} | {wall_ratio:.3} | {cpu:.1} | {cpu_ratio:.3} | {peak:.1} |"
        );
        if *name != "1×" {
            goals.hold(format!("cpu of a packet, {name} / 1×"), Bound::AtMost(1.05), cpu_ratio);
        }
    }
    Ok(())
}
