//! What a table needs above it, so that somebody else can judge its numbers.

use std::fs;
use std::process::Command;

use anyhow::Context;

/// Date, machine, kernel and commit in one line.
pub fn described() -> anyhow::Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let processors = std::thread::available_parallelism()?;
    let changed =
        if output("git", &["status", "--porcelain", "-uno"])?.is_empty() { "" } else { " with changes" };
    Ok(format!(
        "{}, {}, {processors} processors, Linux {}, commit {}{changed}",
        output("date", &["-u", "+%F"])?,
        model.unwrap_or("a processor that does not tell its name"),
        output("uname", &["-r"])?,
        output("git", &["rev-parse", "--short", "HEAD"])?,
    ))
}

fn output(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(args).output().with_context(|| format!("starting {program}"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
