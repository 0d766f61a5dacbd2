//! `finrace timeouts`: the idle timers that captures reveal, whether or not anything broke.

use crate::analysis::{self, Options};
use crate::render;
use crate::report::Verdict;

use super::Exit;
use super::captures::{Captures, Found};
use super::ctrl_c;
use super::output::{self, Color, Format};
use super::progress::ProgressLine;

/// Arguments of `timeouts`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    captures: Captures,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Prints the observed timers. Exit code 1 when a pair is at risk, 3 when nothing could be observed.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let interrupt = ctrl_c::interrupts_reading()?;
    let Found { inputs, unreadable } = args.captures.find(&interrupt);
    if inputs.is_empty() {
        return Ok(if interrupt.is_raised() { Exit::Inconclusive } else { Exit::Trouble });
    }
    let options = Options {
        server_ports: args.captures.server_port.clone(),
        interrupt: interrupt.clone(),
        ..Options::default()
    };
    let mut progress = ProgressLine::new();
    let report = analysis::analyze_inputs(inputs, &options, &mut progress);
    progress.clear();
    let text = match args.format {
        Format::Table => render::report_text::timeouts(&report, output::text_options(color)),
        other => output::structured(&report, other),
    };
    output::print(text.as_bytes())?;
    Ok(if report.servers.iter().any(|server| server.verdict == Verdict::AtRisk) {
        Exit::Found
    } else if unreadable {
        Exit::Trouble
    } else if report.servers.is_empty() || interrupt.is_raised() {
        Exit::Inconclusive
    } else {
        Exit::Clean
    })
}
