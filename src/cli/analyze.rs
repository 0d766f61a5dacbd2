//! `finrace analyze`: verdicts on captures.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use crate::analysis::{self, DEFAULT_MAX_CONNECTIONS, Input, Observer, Options, Progress};
use crate::capture::Interrupt;
use crate::duration::parse_duration;
use crate::render;
use crate::report::{Cause, Filter, Incident, Report};

use super::Exit;
use super::annotated;
use super::captures::{Captures, Found};
use super::ctrl_c;
use super::moment::Moment;
use super::output::{self, Color, Format, Reader};
use super::postmortem::Folder;
use super::progress::ProgressLine;

/// Arguments of `analyze`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    captures: Captures,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write a copy for Wireshark, in which the deciding packets carry verdict and role as comments; of several captures,
    /// or into a directory that is there, each as NAME.annotated.pcapng
    #[arg(long, value_name = "FILE|DIR")]
    annotate: Option<PathBuf>,
    /// List every connection, not only incidents (JSON)
    #[arg(long)]
    connections: bool,
    /// Show only this cause (repeatable)
    #[arg(long, value_name = "CAUSE", help_heading = "Filter", hide_possible_values = true)]
    cause: Vec<Cause>,
    /// Show only this server: ADDRESS, ADDRESS:PORT or :PORT (repeatable)
    #[arg(long, value_name = "SERVER", help_heading = "Filter")]
    server: Vec<String>,
    /// Show only what happened around this UTC time: 2026-09-14T12:41:07Z, or 12:41:07 on the day of the capture
    #[arg(long, value_name = "TIME", value_parser = Moment::parse, help_heading = "Filter")]
    around: Option<Moment>,
    /// How far around, before and after
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "5s", requires = "around", help_heading = "Filter")]
    window: Duration,
    /// Exit with 0 as long as there are no more incidents than this
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Filter")]
    max_incidents: u64,
    /// Also write a postmortem into this folder, which must be empty or new: a Markdown page, its pictures
    #[arg(long, value_name = "DIR")]
    postmortem: Option<PathBuf>,
    /// Connections kept in memory at the same time
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_CONNECTIONS)]
    max_connections: usize,
    /// Threads that work at the same time; the result is the same with any number [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
}

/// Analyzes, prints, and says by the exit code what was found.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let postmortem = args.postmortem.as_deref().map(Folder::prepare).transpose()?;
    let interrupt = ctrl_c::interrupts_reading()?;
    let Found { inputs, unreadable } = args.captures.find(&interrupt);
    if inputs.is_empty() {
        return Ok(if interrupt.is_raised() { Exit::Inconclusive } else { Exit::Trouble });
    }
    if let Some(output) = &args.annotate {
        annotated::check(args.captures.files(), output)?;
    }
    let live = args.format == Format::Ndjson && inputs.iter().any(Input::is_pipe);
    let defaults = Options::default();
    let options = Options {
        threads: args.threads.map_or(defaults.threads, NonZero::get),
        server_ports: args.captures.server_port.clone(),
        max_connections: args.max_connections,
        connections: args.connections,
        live,
        interrupt,
        ..defaults
    };
    let mut screen = Screen::new(args, &options);
    let mut report = analysis::analyze_inputs(inputs, &options, &mut screen);
    screen.progress.clear();
    screen.written?;
    let filter =
        args.filter(report.captures.iter().filter_map(|capture| capture.first_ns).min().unwrap_or(0));
    report.narrow(&filter);
    if let Some(output) = &args.annotate {
        annotated::write(&report, args.captures.files(), output)?;
    }
    let text = match args.format {
        Format::Table => render::report_text::report_text(&report, output::text_options(color)),
        Format::Ndjson if live => render::json::lines_after_incidents(&report),
        other => output::structured(&report, other),
    };
    output::print(text.as_bytes())?;
    if let Some(folder) = postmortem {
        folder.write(&report, args.captures.files(), &options)?;
    }
    Ok(verdict(&report, unreadable, args.max_incidents))
}

/// What is shown while the analysis runs: how far it is, and in a live one each incident.
struct Screen<'a> {
    args: &'a Args,
    live: bool,
    interrupt: &'a Interrupt,
    progress: ProgressLine,
    filter: Filter,
    /// Whether the incidents told so far could be written.
    written: anyhow::Result<()>,
}

impl<'a> Screen<'a> {
    fn new(args: &'a Args, options: &'a Options) -> Screen<'a> {
        Screen {
            args,
            live: options.live,
            interrupt: &options.interrupt,
            progress: ProgressLine::new(),
            filter: Filter::default(),
            written: Ok(()),
        }
    }
}

impl Observer for Screen<'_> {
    fn begin(&mut self, first_ns: i64) {
        self.filter = self.args.filter(first_ns);
    }

    fn progress(&mut self, progress: &Progress) {
        self.progress.progress(progress);
    }

    fn incident(&mut self, incident: &Incident) {
        if !self.live || self.written.is_err() || !self.filter.keeps(incident) {
            return;
        }
        let line = render::json::incident_line(incident);
        match self.progress.aside(|| output::write(line.as_bytes())) {
            Ok(Reader::Listening) => {}
            // Nobody wants more, so there is nothing more to read.
            Ok(Reader::Gone) => self.interrupt.raise(),
            Err(error) => {
                self.written = Err(error);
                self.interrupt.raise();
            }
        }
    }
}

impl Args {
    fn filter(&self, first_ns: i64) -> Filter {
        let window = i64::try_from(self.window.as_nanos()).unwrap_or(i64::MAX);
        Filter {
            causes: self.cause.clone(),
            servers: self.server.clone(),
            between_ns: self.around.map(|moment| {
                let time = moment.on_day_of(first_ns);
                (time.saturating_sub(window), time.saturating_add(window))
            }),
        }
    }
}

/// The exit code of a report: incidents win over a file that could not be read, and inconclusive is never a pass.
fn verdict(report: &Report, unreadable: bool, max_incidents: u64) -> Exit {
    let broken = report.captures.iter().any(|capture| capture.truncated.is_some() && capture.packets == 0);
    if report.summary.incidents > max_incidents {
        Exit::Found
    } else if unreadable || broken {
        Exit::Trouble
    } else if !report.summary.conclusive {
        Exit::Inconclusive
    } else {
        Exit::Clean
    }
}
