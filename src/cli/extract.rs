//! `finrace extract`: one connection of a capture as a capture of its own.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::analysis::{self, ExtractRequest, Extracted, Key, Options};
use crate::destination::{DestinationError, Destinations};
use crate::report::{Incident, Report};

use super::Exit;
use super::captures::{files_and_id, read_again, trace_files};
use super::ctrl_c;
use super::output;
use super::progress::ProgressLine;

/// Arguments of `extract`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "finrace extract [OPTIONS] <FILE>... [ID] -w <OUT>")]
pub struct Args {
    /// Capture files, and last the number of an incident as `analyze` lists them (1 if left out)
    #[arg(required = true, value_name = "FILE")]
    words: Vec<PathBuf>,
    /// Write to this file, as pcapng
    #[arg(short, long, value_name = "OUT")]
    write: PathBuf,
    /// Replace the file even if finrace did not write it
    #[arg(long)]
    force: bool,
    /// The number is Wireshark's tcp.stream in the first file, of any connection
    #[arg(long)]
    stream: bool,
    /// Other addresses and ports, no payload, no names: for others to see
    #[arg(long)]
    anonymize: bool,
    /// A text that decides the other addresses: the same one for the captures of both ends keeps them comparable. Whoever
    /// knows it can undo them; without it they are others in every run
    #[arg(long, value_name = "TEXT", requires = "anonymize")]
    key: Option<String>,
    /// Port of a server, for connections whose beginning was not captured (repeatable)
    #[arg(long, value_name = "PORT")]
    server_port: Vec<u16>,
}

/// Writes the extract, and says on standard error what it is.
///
/// # Errors
/// A capture cannot be read, the connection is not there, or its extract would not give the same verdict.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let (files, id) = files_and_id(&args.words);
    let id = id.unwrap_or(1);
    if args.write.as_os_str() == "-" {
        return Err(
            DestinationError::StandardOutput("an extract, which is read again before it is kept,").into()
        );
    }
    let output = Destinations::new(files.iter().map(PathBuf::as_path), args.force).claim(&args.write)?;
    let interrupt = ctrl_c::interrupts_reading()?;
    let inputs = read_again(files, "extract", &interrupt)?;
    let options = Options { server_ports: args.server_port.clone(), interrupt, ..Options::default() };
    let mut progress = ProgressLine::new();
    let report = analysis::analyze_inputs(inputs, &options, &mut progress);
    progress.clear();
    if options.interrupt.is_raised() {
        return Ok(Exit::Inconclusive);
    }
    let (capture, stream) = args.wanted(&report, files, id)?;
    let trace_files = trace_files(&report, files, capture);
    let anonymize = args.anonymize.then(|| args.key.as_deref().map_or_else(Key::random, Key::from_text));
    let request = ExtractRequest { report: &report, files: &trace_files, capture, stream, anonymize };
    let extracted = analysis::extract(&request, &output, &options)?;
    output::complain(&told(&extracted, &args.write));
    Ok(Exit::Clean)
}

impl Args {
    /// The connection that is asked for: its capture and its stream there.
    fn wanted(&self, report: &Report, files: &[PathBuf], id: u32) -> anyhow::Result<(u32, u32)> {
        if self.stream {
            let name = files.first().map(|file| file.display().to_string()).unwrap_or_default();
            let first = (0..).zip(&report.captures).find(|(_, capture)| capture.file == name);
            return Ok((first.map_or(0, |(index, _)| index), id));
        }
        let incident: Option<&Incident> = report.incidents.iter().find(|incident| incident.id == id);
        if let Some(incident) = incident {
            return Ok((incident.capture, incident.stream));
        }
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let names = names.join(" ");
        bail!(
            "there is no incident {id} in {names} ({} found); `finrace analyze {names}` lists them, --stream extracts any \
             connection",
            report.incidents.len()
        )
    }
}

/// What was written, in one line.
fn told(extracted: &Extracted, path: &Path) -> String {
    let packets = match extracted.packets {
        1 => "1 packet".to_owned(),
        packets => format!("{packets} packets"),
    };
    let mut text = format!("wrote {}: {packets}; ", path.display());
    text += &match extracted.verdicts.as_slice() {
        [] => "no request is lost in it, as in the whole capture".to_owned(),
        verdicts => format!("its verdict is that of the whole capture ({})", verdicts.join("; ")),
    };
    if extracted.rebuilt > 0 {
        text += &format!(
            ". Of {} the link or tunnel headers could not be made anonymous: they are plain IP packets now",
            if extracted.rebuilt == extracted.packets {
                "all".to_owned()
            } else {
                extracted.rebuilt.to_string()
            }
        );
    }
    if let Some(port) = extracted.server_port {
        text += &format!(". It needs a hint: analyze it with --server-port {port}");
    }
    if extracted.retry_left_out {
        text += ". That the request was sent again is seen on another connection, which is not in it";
    }
    text
}
