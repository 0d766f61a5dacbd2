//! What an open connection costs, by a million of them.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::FINRACE;
use super::check::Summary;
use super::flood::{Flood, Shape};
use super::goals::{Bound, Goals};
use super::measure::{self, Cost};

/// Connections of the run that everything else is taken from.
const FEW: u32 = 1_000;
/// Bytes written at once.
const CHUNK_LEN: usize = 1 << 20;

/// Peak memory of finrace with so many connections open, beyond that with a few, for each of them.
pub fn measure(folder: &Path, connections: u32, goals: &mut Goals) -> anyhow::Result<()> {
    println!(
        "| each connection, still open | connections | packets | wall s | peak MiB | bytes a connection |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for (shape, name) in [
        (Shape::Idle, "a request and its response"),
        (Shape::Outstanding, "a request that waits for its response"),
    ] {
        let (_, few) = run(folder, shape, FEW)?;
        let (summary, cost) = run(folder, shape, connections)?;
        let bytes = (cost.peak_kib.saturating_sub(few.peak_kib) * 1024) as f64 / f64::from(connections - FEW);
        println!(
            "| {name} | {connections} | {} | {:.2} | {:.1} | {bytes:.0} |",
            summary.packets,
            cost.wall.as_secs_f64(),
            cost.peak_mib()
        );
        goals.hold(format!("bytes a connection with {name}"), Bound::AtMost(400.0), bytes);
    }
    Ok(())
}

fn run(folder: &Path, shape: Shape, connections: u32) -> anyhow::Result<(Summary, Cost)> {
    let most = connections.to_string();
    let command =
        [FINRACE, "analyze", "--format", "json", "--max-connections", &most, "-"].map(str::to_owned);
    let report = folder.join("stress.json");
    let mut flood = Flood::new(shape, connections);
    let mut chunk = vec![0; CHUNK_LEN];
    let cost = measure::run_fed(&command, &report, |pipe| {
        loop {
            match flood.read(&mut chunk)? {
                0 => return Ok(()),
                count => pipe.write_all(&chunk[..count])?,
            }
        }
    })?;
    let summary = Summary::of(&fs::read(&report)?)?;
    let expected = (u64::from(connections), u64::from(connections));
    anyhow::ensure!(
        (summary.connections, summary.requests) == expected,
        "{connections} connections with one request each were written, finrace counted {summary:?}"
    );
    Ok((summary, cost))
}
