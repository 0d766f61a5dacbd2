//! `finrace show`: one incident or connection, drawn.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::analysis::{self, Input, Options, TraceFile, TraceRequest};
use crate::render::{self, TextOptions, units};
use crate::report::{Incident, Trace};

use super::Exit;
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
    /// Write to this file; .svg and .png draw a picture, .md is a page with a diagram, .mmd Mermaid, .txt the ladder as text
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Colours of a picture; auto follows the viewer where the format can (SVG), and is light elsewhere
    #[arg(long, value_enum, default_value_t = Theme::Auto)]
    theme: Theme,
    /// Port of a server, for connections whose beginning was not captured (repeatable)
    #[arg(long, value_name = "PORT")]
    server_port: Vec<u16>,
}

/// Draws one incident.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let (files, id) = args.files_and_id();
    let interrupt = ctrl_c::interrupts_reading()?;
    let mut inputs = Vec::new();
    for file in files {
        let is_pipe =
            file.as_os_str() == "-" || fs::metadata(file).is_ok_and(|it| !it.is_file() && !it.is_dir());
        if is_pipe {
            bail!("show reads the capture twice and cannot do that with a pipe: save it to a file first");
        }
        inputs.push(Input::look_at(file, &interrupt)?);
    }
    let options = Options { server_ports: args.server_port.clone(), interrupt, ..Options::default() };
    let mut progress = ProgressLine::new();
    let report = analysis::analyze_inputs(inputs, &options, &mut progress);
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
    let (capture, stream) = match incident {
        Some(incident) => (incident.capture, incident.stream),
        None if args.stream => (first, id),
        None => bail!(
            "there is no incident {id} in {spoken} ({} found); `finrace analyze {spoken}` lists them, --stream shows any \
             connection",
            report.incidents.len()
        ),
    };
    let trace_captures = report.trace_of(capture);
    let trace_files: Vec<TraceFile<'_>> = trace_captures
        .iter()
        .filter_map(|&capture| {
            let path = files.iter().find(|file| file.display().to_string() == report.file_of(capture))?;
            Some(TraceFile { path, capture })
        })
        .collect();
    let request = TraceRequest {
        stream,
        capture,
        incident,
        names: ("client", "server"),
        products: (None, None),
        server_capture: args.server_end.as_deref(),
    };
    let Some(trace) = analysis::trace(&trace_files, &request, &options)? else {
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
    match &args.output {
        None => {
            let text = output::text_options(color);
            let mut page = render::table::segments(&trace, text);
            page.push('\n');
            page.push_str(&render::ladder::text(&trace, incident, &Default::default(), text));
            output::print(page.as_bytes())?;
        }
        Some(path) => picture::write(path, &drawn(path, &trace, incident, args.theme)?)?,
    }
    Ok(Exit::Clean)
}

impl Args {
    /// The files, and the number behind them. A number alone is a file.
    fn files_and_id(&self) -> (&[PathBuf], u32) {
        if let [files @ .., last] = self.words.as_slice()
            && !files.is_empty()
            && let Some(id) = last.to_str().and_then(|last| last.parse().ok())
        {
            (files, id)
        } else {
            (&self.words, 1)
        }
    }
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

fn drawn(path: &Path, trace: &Trace, incident: Option<&Incident>, theme: Theme) -> anyhow::Result<Vec<u8>> {
    let outcome = Default::default();
    let svg = || render::ladder::themed_svg(&render::ladder::layout(trace, incident, &outcome), theme.into());
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg" | "png") => picture::form(path, svg()),
        Some("txt") => {
            let options = TextOptions { width: FILE_COLUMNS, ..TextOptions::default() };
            Ok(render::ladder::text(trace, incident, &outcome, options).into_bytes())
        }
        Some("md") => Ok(render::markdown::story(trace, incident).into_bytes()),
        Some("mmd") => Ok(render::mermaid::sequence(trace, incident).into_bytes()),
        _ => {
            bail!("{} must end in .svg, .png, .md, .mmd or .txt: the ending chooses the form", path.display())
        }
    }
}
