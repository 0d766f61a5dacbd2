//! `finrace analyze`: verdicts on captures.

use std::borrow::Cow;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;

use crate::analysis::{self, DEFAULT_MAX_CONNECTIONS, Input, Observer, Options, Progress};
use crate::capture::Interrupt;
use crate::destination::{Destination, Destinations};
use crate::duration::parse_duration;
use crate::render;
use crate::report::{Around, Cause, Filter, Incident, Moment, Redaction, Report};

use super::Exit;
use super::annotated::Copies;
use super::captures::{Captures, Found};
use super::ctrl_c;
use super::output::{self, Color, Format, Reader};
use super::page;
use super::postmortem::Folder;
use super::progress::ProgressLine;

/// Arguments of `analyze`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    captures: Captures,
    /// How to print the result; a table if left out, or what the ending of --output says
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file instead: .html, .json, .ndjson, .csv, .md or .txt
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace files even if finrace did not write them
    #[arg(long)]
    force: bool,
    /// Write a copy for Wireshark, in which the deciding packets carry verdict and role as comments; of several captures,
    /// or into a directory that is there, each as NAME.annotated.pcapng
    #[arg(long, value_name = "FILE|DIR")]
    annotate: Option<PathBuf>,
    /// Name nobody: addresses become roles (proxy-1, backend-3), paths and file names numbers; ports stay
    #[arg(long)]
    redact: bool,
    /// List every connection, not only incidents (JSON)
    #[arg(long)]
    connections: bool,
    /// Show only this cause (repeatable); the exit code still tells of all
    #[arg(long, value_name = "CAUSE", help_heading = "Filter", hide_possible_values = true)]
    cause: Vec<Cause>,
    /// Show only this server: ADDRESS, ADDRESS:PORT or :PORT (repeatable)
    #[arg(long, value_name = "SERVER", help_heading = "Filter")]
    server: Vec<String>,
    /// Show only what happened around this UTC time: 2026-09-14T12:41:07Z, or 12:41:07 of any day
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
    let mut destinations = Destinations::new(args.captures.files().iter().map(PathBuf::as_path), args.force);
    let output = args.output().map(|path| destinations.claim(path)).transpose()?;
    let copies = args.annotate.as_deref();
    let copies =
        copies.map(|output| Copies::prepare(args.captures.files(), output, &mut destinations)).transpose()?;
    let postmortem = args.postmortem.as_deref().map(Folder::prepare).transpose()?;
    let format = args.format()?;
    let interrupt = ctrl_c::interrupts_reading()?;
    let Found { inputs, unreadable } = args.captures.find(&interrupt);
    if inputs.is_empty() {
        return Ok(if interrupt.is_raised() { Exit::Inconclusive } else { Exit::Trouble });
    }
    let live = format == Format::Ndjson && output.is_none() && inputs.iter().any(Input::is_pipe);
    let options = Options {
        threads: args.threads.map_or(Options::default().threads, NonZero::get),
        server_ports: args.captures.server_port.clone(),
        max_connections: args.max_connections,
        connections: args.connections,
        filter: args.filter(),
        live,
        interrupt,
    };
    let mut screen = Screen::new(args, &options);
    let report = analysis::analyze_inputs(inputs, &options, &mut screen);
    screen.progress.clear();
    std::mem::replace(&mut screen.written, Ok(()))?;
    let redaction = args.redact.then_some(&mut screen.redaction);
    if let Err(error) = tell(
        args,
        &report,
        format,
        Places { output, copies, destinations, postmortem },
        redaction,
        color,
        &options,
    ) {
        if !ctrl_c::was_pressed() {
            return Err(error);
        }
        output::complain(&format!("{error:#}"));
    }
    Ok(verdict(&report, unreadable, ctrl_c::was_pressed(), args.max_incidents))
}

/// Where the results of one run go.
struct Places {
    /// The report; standard output if none.
    output: Option<Destination>,
    copies: Option<Copies>,
    /// For what gets its name only then.
    destinations: Destinations,
    postmortem: Option<Folder>,
}

/// Prints the report and writes what was asked for beside it, some of which needs a second reading of the captures.
fn tell(
    args: &Args,
    report: &Report,
    format: Format,
    mut places: Places,
    mut redaction: Option<&mut Redaction>,
    color: Color,
    options: &Options,
) -> anyhow::Result<()> {
    let mut shown = Cow::Borrowed(report);
    if let Some(redaction) = &mut redaction {
        redaction.report(shown.to_mut());
    }
    let text = match format {
        Format::Table => {
            let color = if places.output.is_some() { Color::Never } else { color };
            render::report_text::report_text(&shown, output::text_options(color))
        }
        Format::Html => {
            let drawings = page::drawings(report, args.captures.files(), options, redaction.as_deref_mut());
            render::html::report(&shown, &drawings)
        }
        Format::Ndjson if options.live => render::json::lines_after_incidents(&shown),
        other => output::structured(&shown, other),
    };
    match &places.output {
        None => output::print(text.as_bytes())?,
        Some(output) => output.write(text.as_bytes())?,
    }
    // The copies have the packets anyway, and are told apart by the names of their files.
    if let Some(copies) = &places.copies {
        copies.write(report, args.captures.files(), &mut places.destinations, &options.interrupt)?;
    }
    if let Some(folder) = places.postmortem {
        folder.write(report, args.captures.files(), options, redaction)?;
    }
    Ok(())
}

/// What is shown while the analysis runs: how far it is, and in a live one each incident.
struct Screen<'a> {
    args: &'a Args,
    live: bool,
    interrupt: &'a Interrupt,
    progress: ProgressLine,
    redaction: Redaction,
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
            redaction: Redaction::default(),
            written: Ok(()),
        }
    }
}

impl Observer for Screen<'_> {
    fn progress(&mut self, progress: &Progress) {
        self.progress.progress(progress);
    }

    fn incident(&mut self, incident: &Incident) {
        if !self.live || self.written.is_err() {
            return;
        }
        let line = if self.args.redact {
            let mut incident = incident.clone();
            self.redaction.incident(&mut incident);
            render::json::incident_line(&incident)
        } else {
            render::json::incident_line(incident)
        };
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
    /// The format asked for, or that of the output's ending.
    fn format(&self) -> anyhow::Result<Format> {
        let (format, path) = match (self.format, self.output()) {
            (Some(format), _) => return Ok(format),
            (None, None) => return Ok(Format::Table),
            (None, Some(path)) => (path.extension().and_then(|extension| extension.to_str()), path),
        };
        Ok(match format {
            Some("html") => Format::Html,
            Some("json") => Format::Json,
            Some("ndjson") => Format::Ndjson,
            Some("csv") => Format::Csv,
            Some("md") => Format::Markdown,
            Some("txt") => Format::Table,
            _ => bail!(
                "{} must end in .html, .json, .ndjson, .csv, .md or .txt, or --format must say what to write",
                path.display()
            ),
        })
    }

    /// The file that the report goes to; `-` is standard output, as if nothing had been said.
    fn output(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| path.as_os_str() != "-")
    }

    fn filter(&self) -> Filter {
        let within_ns = u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX);
        Filter {
            causes: self.cause.clone(),
            servers: self.server.clone(),
            around: self.around.map(|moment| Around { moment, within_ns }),
        }
    }
}

/// The exit code of a report: incidents win over a file that could not be read, and inconclusive is never a pass. A filter
/// narrows what is shown and never what the exit code tells: a lost request that it leaves out is lost all the same.
fn verdict(report: &Report, unreadable: bool, interrupted: bool, max_incidents: u64) -> Exit {
    let broken = report.captures.iter().any(|capture| capture.truncated.is_some() && capture.packets == 0);
    if report.summary.incidents + report.summary.filtered_out > max_incidents {
        Exit::Found
    } else if unreadable || broken {
        Exit::Trouble
    } else if interrupted || !report.summary.conclusive {
        Exit::Inconclusive
    } else {
        Exit::Clean
    }
}
