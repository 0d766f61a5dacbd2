//! What a run costs that has hardly anything to do.

use std::path::Path;
use std::process::Command;

use super::FINRACE;
use super::goals::{Bound, Goals};
use super::measure::{self, median};

/// Runs of each command: single ones differ by as much as they take.
const RUNS: usize = 50;

/// Wall times, and instructions where valgrind is installed.
pub fn measure(goals: &mut Goals) -> anyhow::Result<()> {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/crossed-fin/client.pcap");
    let capture = capture.display().to_string();
    let counts = Command::new("valgrind").arg("--version").output().is_ok();
    println!("| | wall ms, median of {RUNS} | cpu ms | peak MiB | million instructions |");
    println!("|---|---:|---:|---:|---:|");
    for (name, words, most_ms) in [
        ("finrace --version", vec![FINRACE, "--version"], 5.0),
        ("finrace analyze of a labelled capture", vec![FINRACE, "analyze", &capture], 20.0),
    ] {
        let command: Vec<String> = words.into_iter().map(str::to_owned).collect();
        measure::run(&command)?;
        let costs = (0..RUNS).map(|_| measure::run(&command)).collect::<Result<Vec<_>, _>>()?;
        let wall_ms = median(costs.iter().map(|cost| cost.wall)).as_secs_f64() * 1e3;
        let cpu_ms = median(costs.iter().map(|cost| cost.cpu)).as_secs_f64() * 1e3;
        let peak = costs.iter().map(measure::Cost::peak_mib).fold(0.0, f64::max);
        let millions = if counts {
            format!("{:.1}", measure::instructions(&command)? as f64 / 1e6)
        } else {
            "no valgrind".to_owned()
        };
        println!("| {name} | {wall_ms:.1} | {cpu_ms:.1} | {peak:.1} | {millions} |");
        goals.hold(format!("{name}, ms"), Bound::AtMost(most_ms), wall_ms);
    }
    Ok(())
}
