//! `finrace show`: one incident or connection, drawn.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::analysis::{self, Options, TraceFile, TraceRequest};
use crate::destination::Destinations;
use crate::render::{self, TextOptions, units};
use crate::report::{Incident, Redaction, Report, Trace};

use super::Exit;
use super::captures::{files_and_id, read_again, trace_files};
use super::ctrl_c;
use super::output::{self, Color};
use super::picture::{self, Theme};
use super::progress::ProgressLine;

/// Columns of a ladder written to a text file: it survives a paste into chat.
const FILE_COLUMNS: u16 = 72;

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "finrace show [OPTIONS] <FILE>... [ID]")]
pub struct Args {
    /// Capture files, and last the number of an incident as `analyze` lists them (1 if left out)
    #[arg(required = true, value_name = "FILE")]
    words: Vec<PathBuf>,
    /// The number is Wireshark's tcp.stream in the first file, of any connection
    #[arg(long)]
    stream: bool,
    /// Capture of the same connection at the server's end, by the same clock: arrows then have both times
    #[arg(long, value_name = "FILE")]
    server_end: Option<PathBuf>,
    /// What to draw: packets between both ends, connections on an axis of time (around an incident if its number is given),
    /// or the bytes of one connection against time
    #[arg(long, value_enum, default_value_t = Chart::Ladder, requires_ifs = [("timeline", "output"), ("sequence", "output")])]
    chart: Chart,
    /// Write to this file; .svg and .png draw a picture, .html is a page, .md one with a Mermaid diagram, .mmd the diagram
    /// alone, .txt the ladder as text
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file even if finrace did not write it
    #[arg(long, requires = "output")]
    force: bool,
    /// Colours of a picture; auto follows the viewer where the format can (SVG), and is light elsewhere
    #[arg(long, value_enum, default_value_t = Theme::Auto)]
    theme: Theme,
    /// Name nobody: addresses become roles (proxy-1, backend-3), paths and file names numbers; ports stay
    #[arg(long)]
    redact: bool,
    /// Port of a server, for connections whose beginning was not captured (repeatable)
    #[arg(long, value_name = "PORT")]
    server_port: Vec<u16>,
}

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Chart {
    Ladder,
    Timeline,
    Sequence,
}

/// Draws one incident.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let (files, given) = files_and_id(&args.words);
    let id = given.unwrap_or(1);
    let mut destinations =
        Destinations::new(files.iter().chain(&args.server_end).map(PathBuf::as_path), args.force);
    let output = args.output.as_deref().map(|path| destinations.claim(path)).transpose()?;
    let interrupt = ctrl_c::interrupts_reading()?;
    let inputs = read_again(files, "show", &interrupt)?;
    let options = Options { server_ports: args.server_port.clone(), interrupt, ..Options::default() };
    let mut progress = ProgressLine::new();
    let mut report = analysis::analyze_inputs(inputs, &options, &mut progress);
    progress.clear();
    if options.interrupt.is_raised() {
        return Ok(Exit::Inconclusive);
    }
    let spoken = spoken(files);
    let capture_of = |file: &Path| {
        let name = file.display().to_string();
        (0..).zip(&report.captures).find(|(_, capture)| capture.file == name).map_or(0, |(index, _)| index)
    };
    let first = files.first().map_or(0, |file| capture_of(file));
    let wanted = |incident: &&Incident| match args.stream {
        true => (incident.capture, incident.stream) == (first, id),
        false => incident.id == id,
    };
    let incident = report.incidents.iter().find(wanted);
    if let (Chart::Timeline, Some(output)) = (args.chart, &output)
        && (incident.is_some() || given.is_none())
    {
        let around = incident.filter(|_| given.is_some());
        let timeline_files = trace_files(&report, files, around.map_or(first, |incident| incident.capture));
        let svg = timeline(&timeline_files, &report, around, args, &options)?;
        output.write(&picture::form(output.path(), svg)?)?;
        return Ok(Exit::Clean);
    }
    let (capture, stream) = match incident {
        Some(incident) => (incident.capture, incident.stream),
        None if args.stream => (first, id),
        None => bail!(
            "there is no incident {id} in {spoken} ({} found); `finrace analyze {spoken}` lists them, --stream shows any \
             connection",
            report.incidents.len()
        ),
    };
    let trace_files = trace_files(&report, files, capture);
    let request = TraceRequest {
        stream,
        capture,
        incident,
        names: ("client", "server"),
        products: (None, None),
        server_capture: args.server_end.as_deref(),
    };
    let Some(mut trace) = analysis::trace(&trace_files, &request, &options)? else {
        let file = report.file_of(capture);
        let several = report.captures.len() > 1;
        match report.summary.connections.checked_sub(1) {
            Some(_) if several => bail!("there is no stream {stream} in {file}"),
            Some(0) => bail!("there is no stream {stream} in {file}: its only stream is 0"),
            Some(last) => bail!("there is no stream {stream} in {file}: its streams are 0 to {last}"),
            None => {
                bail!("there is no TCP connection in {file}: `finrace analyze {file}` says what it holds")
            }
        }
    };
    if let Some(path) = &args.server_end {
        check_clocks(&trace, path)?;
    }
    let id = incident.map(|incident| incident.id);
    if args.redact {
        let mut redaction = Redaction::default();
        redaction.report(&mut report);
        redaction.trace(&mut trace);
    }
    let incident = report.incidents.iter().find(|incident| Some(incident.id) == id);
    match &output {
        None => {
            let text = output::text_options(color);
            let mut page = render::table::segments(&trace, text);
            page.push('\n');
            page.push_str(&render::ladder::text(&trace, incident, &Default::default(), text));
            output::print(page.as_bytes())?;
        }
        Some(output) if args.chart == Chart::Sequence => {
            let svg = render::sequence::sequence(&trace, incident, args.theme.into())
                .map_err(|error| picture::refused(error.as_ref()))?;
            output.write(&picture::form(output.path(), svg)?)?;
        }
        Some(output) => output.write(&drawn(output.path(), &report, &trace, incident, args.theme)?)?,
    }
    Ok(Exit::Clean)
}

/// Draws all connections of a trace, or what happened around one incident.
fn timeline(
    files: &[TraceFile<'_>],
    report: &Report,
    around: Option<&Incident>,
    args: &Args,
    options: &Options,
) -> anyhow::Result<String> {
    /// How much is shown on each side of a lost request: several times what the close and the request were apart.
    const TIMES: i64 = 8;
    const SHORTEST_NS: i64 = 50_000_000;
    const LONGEST_NS: i64 = 2_000_000_000;
    const UNKNOWN_NS: i64 = 250_000_000;
    let window = around.map(|incident| {
        let half_ns = incident.fin_to_request_ns.map_or(UNKNOWN_NS, |apart| {
            apart.saturating_abs().saturating_mul(TIMES).clamp(SHORTEST_NS, LONGEST_NS)
        });
        [incident.time_ns.saturating_sub(half_ns), incident.time_ns.saturating_add(half_ns)]
    });
    let mut timeline = analysis::timeline(files, report, window, options)?;
    if timeline.lanes.is_empty() {
        bail!("there is no TCP connection to draw in these captures: `finrace analyze` says what they hold");
    }
    if args.redact {
        let mut redaction = Redaction::default();
        // The same names as in the report.
        redaction.report(&mut report.clone());
        redaction.timeline(&mut timeline);
    }
    let zero_ns = around.map_or(timeline.first_ns, |incident| incident.time_ns);
    render::timeline::timeline(&timeline, window, zero_ns, args.theme.into())
        .map_err(|error| picture::refused(error.as_ref()))
}

/// Two captures make slanted arrows only where they hold the same packets and share a clock.
fn check_clocks(trace: &Trace, server_end: &Path) -> anyhow::Result<()> {
    let flights: Vec<i64> = trace
        .segments
        .iter()
        .filter_map(|segment| Some(segment.received_ns?.saturating_sub(segment.sent_ns)))
        .collect();
    let server_end = server_end.display();
    match flights.iter().min() {
        None => bail!("{server_end} holds no packet of this connection: leave --server-end out"),
        Some(shortest) if *shortest < 0 => bail!(
            "by these clocks packets arrive up to {} before they are sent: {server_end} has another clock, or is not the \
             server's end; leave --server-end out, or name the client's capture first",
            units::duration(-shortest)
        ),
        Some(_) => Ok(()),
    }
}

/// The files as an argument of another command.
fn spoken(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    names.join(" ")
}

fn drawn(
    path: &Path,
    report: &Report,
    trace: &Trace,
    incident: Option<&Incident>,
    theme: Theme,
) -> anyhow::Result<Vec<u8>> {
    let outcome = Default::default();
    let svg = || render::ladder::themed_svg(&render::ladder::layout(trace, incident, &outcome), theme.into());
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg" | "png") => picture::form(path, svg()),
        Some("txt") => {
            let options = TextOptions { width: FILE_COLUMNS, ..TextOptions::default() };
            Ok(render::ladder::text(trace, incident, &outcome, options).into_bytes())
        }
        Some("html") => Ok(render::html::story(report, incident, trace).into_bytes()),
        Some("md") => Ok(render::markdown::story(trace, incident).into_bytes()),
        Some("mmd") => Ok(render::mermaid::sequence(trace, incident).into_bytes()),
        _ => bail!(
            "{} must end in .svg, .png, .html, .md, .mmd or .txt: the ending chooses the form",
            path.display()
        ),
    }
}
