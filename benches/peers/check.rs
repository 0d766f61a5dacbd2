//! Nothing is measured before it is known to be right: a fast wrong answer is none.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use super::FINRACE;

/// Of finrace's report, what is known of a capture in advance.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Summary {
    pub packets: u64,
    pub connections: u64,
    pub requests: u64,
    pub incidents: u64,
    pub by_cause: BTreeMap<String, u64>,
}

impl Summary {
    /// Reads it from a report in JSON.
    pub fn of(report: &[u8]) -> anyhow::Result<Summary> {
        #[derive(Deserialize)]
        struct Report {
            summary: Summary,
        }
        Ok(serde_json::from_slice::<Report>(report).context("finrace's report")?.summary)
    }
}

/// Two threads must report, byte for byte, what one does, as a table and as JSON. Returns the summary.
pub fn same_with_one_thread_and_two(capture: &Path) -> anyhow::Result<Summary> {
    let report = |threads: &str, format: &str| -> anyhow::Result<Vec<u8>> {
        let mut finrace = Command::new(FINRACE);
        finrace.args(["analyze", "--threads", threads, "--format", format]).arg(capture);
        let output = finrace.output()?;
        anyhow::ensure!(
            matches!(output.status.code(), Some(0 | 1 | 3)),
            "finrace ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    };
    for format in ["table", "ndjson"] {
        anyhow::ensure!(
            report("1", format)? == report("2", format)?,
            "the report of {} in {format} is another with two threads than with one",
            capture.display()
        );
    }
    let json = report("2", "json")?;
    anyhow::ensure!(json == report("1", "json")?, "the reports in JSON differ");
    Summary::of(&json)
}

/// Of each cause as many incidents must have been found as were put in, told `times` over.
pub fn found(summary: &Summary, injected: &BTreeMap<String, u64>, times: u64) -> anyhow::Result<()> {
    let expected: BTreeMap<_, _> =
        injected.iter().map(|(cause, count)| (cause.clone(), count * times)).collect();
    let found = &summary.by_cause;
    anyhow::ensure!(*found == expected, "put in: {expected:?}\nfound: {found:?}");
    Ok(())
}
