//! `finrace show`: one incident or connection, drawn.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::analysis::{self, Options, TraceRequest};
use crate::capture::Reader;
use crate::render::{self, TextOptions};
use crate::report::{Incident, Trace};

use super::Exit;
use super::output::{self, Color};

/// Columns of a ladder written to a text file: it survives a paste into chat.
const FILE_COLUMNS: u16 = 72;

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The capture
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Number of an incident, as `analyze` lists them, or `stream N` as N with --stream
    #[arg(value_name = "ID", default_value_t = 1)]
    id: u32,
    /// ID is Wireshark's tcp.stream, of any connection
    #[arg(long)]
    stream: bool,
    /// Write to this file; .svg and .png draw a picture, .txt the ladder as text
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Colours of a picture; auto follows the viewer where the format can (SVG), and is light elsewhere
    #[arg(long, value_enum, default_value_t = Theme::Auto)]
    theme: Theme,
    /// Port of a server, for connections whose beginning was not captured (repeatable)
    #[arg(long, value_name = "PORT")]
    server_port: Vec<u16>,
}

/// Colours of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Theme {
    Auto,
    Light,
    Dark,
}

impl From<Theme> for render::Theme {
    fn from(theme: Theme) -> render::Theme {
        match theme {
            Theme::Auto => render::Theme::Auto,
            Theme::Light => render::Theme::Light,
            Theme::Dark => render::Theme::Dark,
        }
    }
}

/// Draws one incident.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    if args.file.as_os_str() == "-" {
        bail!("show reads the capture twice and cannot do that with a pipe: save it to a file first");
    }
    let options = Options { server_ports: args.server_port.clone(), ..Options::default() };
    let report = analysis::analyze(vec![Reader::open(&args.file)?], &options);
    let by_id =
        |incident: &&Incident| if args.stream { incident.stream == args.id } else { incident.id == args.id };
    let incident = report.incidents.iter().find(by_id);
    let stream = match incident {
        Some(incident) => incident.stream,
        None if args.stream => args.id,
        None => bail!(
            "there is no incident {} in {} ({} found); `finrace analyze {}` lists them, --stream shows any connection",
            args.id,
            args.file.display(),
            report.incidents.len(),
            args.file.display()
        ),
    };
    let request = TraceRequest {
        stream,
        incident,
        names: ("client", "server"),
        products: (None, None),
        server_capture: None,
    };
    let Some(trace) = analysis::trace(&args.file, &request, &options)? else {
        let file = args.file.display();
        match report.summary.connections.checked_sub(1) {
            Some(0) => bail!("there is no stream {stream} in {file}: its only stream is 0"),
            Some(last) => bail!("there is no stream {stream} in {file}: its streams are 0 to {last}"),
            None => {
                bail!("there is no TCP connection in {file}: `finrace analyze {file}` says what it holds")
            }
        }
    };
    match &args.output {
        None => {
            let text = output::text_options(color);
            let mut page = render::table::segments(&trace, text);
            page.push('\n');
            page.push_str(&render::ladder::text(&trace, incident, &Default::default(), text));
            output::print(page.as_bytes())?;
        }
        Some(path) => fs::write(path, drawn(path, &trace, incident, args.theme)?)
            .with_context(|| format!("cannot write {}: name another file with -o", path.display()))?,
    }
    Ok(Exit::Clean)
}

fn drawn(path: &Path, trace: &Trace, incident: Option<&Incident>, theme: Theme) -> anyhow::Result<Vec<u8>> {
    let outcome = Default::default();
    let svg = || render::ladder::themed_svg(&render::ladder::layout(trace, incident, &outcome), theme.into());
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Ok(svg().into_bytes()),
        Some("png") => Ok(render::ladder::png(&svg())?),
        Some("txt") => {
            let options = TextOptions { width: FILE_COLUMNS, ..TextOptions::default() };
            Ok(render::ladder::text(trace, incident, &outcome, options).into_bytes())
        }
        _ => bail!("{} must end in .svg, .png or .txt: the ending chooses the form", path.display()),
    }
}
