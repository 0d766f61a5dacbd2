//! `finrace timeouts`: the idle timers that captures reveal, whether or not anything broke.

use std::path::PathBuf;

use anyhow::Context;

use crate::analysis::{self, Options};
use crate::capture::Reader;
use crate::render;

use super::Exit;
use super::output::{self, Color, Format};

/// Arguments of `timeouts`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Capture files (pcap or pcapng); - reads one from a pipe
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Port of a server, for connections whose beginning was not captured (repeatable)
    #[arg(long, value_name = "PORT")]
    server_port: Vec<u16>,
}

/// Prints the observed timers. Exit code 1 when a pair is at risk, 3 when nothing could be observed.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let readers = args
        .files
        .iter()
        .map(|file| Reader::open(file).map_err(anyhow::Error::from))
        .collect::<Result<Vec<_>, _>>()
        .context("cannot look for timers")?;
    let options = Options { server_ports: args.server_port.clone(), ..Options::default() };
    let mut report = analysis::analyze(readers, &options);
    // The question is about timers; incidents are `analyze`'s answer.
    report.incidents.clear();
    let text = match args.format {
        Format::Table => render::report_text::timeouts(&report, output::text_options(color)),
        other => output::structured(&report, other),
    };
    output::print(text.as_bytes())?;
    use crate::report::Verdict;
    Ok(if report.servers.iter().any(|server| server.verdict == Verdict::AtRisk) {
        Exit::Found
    } else if report.servers.is_empty() {
        Exit::Inconclusive
    } else {
        Exit::Clean
    })
}
