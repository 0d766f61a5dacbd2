//! `finrace analyze`: verdicts on captures.

use std::path::PathBuf;

use anyhow::bail;

use crate::analysis::{self, DEFAULT_MAX_CONNECTIONS, Options};
use crate::capture::Reader;
use crate::render;
use crate::report::Report;

use super::Exit;
use super::output::{self, Color, Format};

/// Arguments of `analyze`.
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
    /// List every connection, not only incidents (JSON)
    #[arg(long)]
    connections: bool,
    /// Connections kept in memory at the same time
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_CONNECTIONS)]
    max_connections: usize,
}

/// Analyzes, prints, and says by the exit code what was found.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let options = Options {
        server_ports: args.server_port.clone(),
        max_connections: args.max_connections,
        connections: args.connections,
    };
    let mut readers = Vec::new();
    let mut unreadable = 0;
    for file in &args.files {
        match Reader::open(file) {
            Ok(reader) => readers.push(reader),
            // One bad file must not lose what the others show.
            Err(error) => {
                unreadable += 1;
                output::complain(&format!("{:#}", anyhow::Error::from(error)));
            }
        }
    }
    if readers.is_empty() {
        if unreadable > 1 {
            bail!("none of the {unreadable} files could be read");
        }
        return Ok(Exit::Trouble);
    }
    let report = analysis::analyze(readers, &options);
    let text = match args.format {
        Format::Table => render::report_text::report_text(&report, output::text_options(color)),
        other => output::structured(&report, other),
    };
    output::print(text.as_bytes())?;
    Ok(verdict(&report, unreadable > 0))
}

/// The exit code of a report: incidents win over a file that could not be read, and inconclusive is never a pass.
fn verdict(report: &Report, unreadable: bool) -> Exit {
    let broken = report.captures.iter().any(|capture| capture.truncated.is_some() && capture.packets == 0);
    if report.summary.incidents > 0 {
        Exit::Found
    } else if unreadable || broken {
        Exit::Trouble
    } else if !report.summary.conclusive {
        Exit::Inconclusive
    } else {
        Exit::Clean
    }
}
