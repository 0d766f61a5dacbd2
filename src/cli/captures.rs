//! The captures that a command is given.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::analysis::{Input, TraceFile};
use crate::capture::Interrupt;
use crate::report::Report;

use super::output;

/// Arguments of every command that analyzes captures.
#[derive(Debug, clap::Args)]
pub struct Captures {
    /// Capture files (pcap or pcapng, also in gzip, zstd, lz4 or xz), those of one ring being one trace; - reads one from a
    /// pipe
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Port of a server, for connections whose beginning was not captured (repeatable)
    #[arg(long, value_name = "PORT")]
    pub server_port: Vec<u16>,
}

/// Captures ready to be read.
pub struct Found {
    /// Those that can be read.
    pub inputs: Vec<Input>,
    /// Some cannot; each was complained of.
    pub unreadable: bool,
}

impl Captures {
    /// What was given, to be read as files.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Looks at each capture: one bad file must not lose what the others show.
    pub fn find(&self, interrupt: &Interrupt) -> Found {
        let mut found = Found { inputs: Vec::new(), unreadable: false };
        let mut has_pipe = false;
        for file in &self.files {
            // There is one standard input, however often it is named.
            if file == Path::new("-") && std::mem::replace(&mut has_pipe, true) {
                continue;
            }
            match Input::look_at(file, interrupt) {
                Ok(input) => found.inputs.push(input),
                Err(error) => {
                    found.unreadable = true;
                    output::complain(&format!("{:#}", anyhow::Error::from(error)));
                }
            }
        }
        found
    }
}

/// Capture files, and the number of an incident or a stream behind them if there is one. A number alone is a file.
pub fn files_and_id(words: &[PathBuf]) -> (&[PathBuf], Option<u32>) {
    if let [files @ .., last] = words
        && !files.is_empty()
        && let Some(id) = last.to_str().and_then(|last| last.parse().ok())
    {
        (files, Some(id))
    } else {
        (words, None)
    }
}

/// Looks at captures that `command` reads more than once, which no pipe allows.
///
/// # Errors
/// One of them is a pipe or cannot be read.
pub fn read_again(files: &[PathBuf], command: &str, interrupt: &Interrupt) -> anyhow::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for file in files {
        let is_pipe =
            file.as_os_str() == "-" || fs::metadata(file).is_ok_and(|it| !it.is_file() && !it.is_dir());
        if is_pipe {
            bail!(
                "{command} reads the capture more than once and cannot do that with a pipe: save it to a file first"
            );
        }
        inputs.push(Input::look_at(file, interrupt)?);
    }
    Ok(inputs)
}

/// The files of the trace that a capture belongs to.
pub fn trace_files<'f>(report: &Report, files: &'f [PathBuf], capture: u32) -> Vec<TraceFile<'f>> {
    let file = |capture: u32| {
        let path = files.iter().find(|file| file.display().to_string() == report.file_of(capture))?;
        Some(TraceFile { path, capture })
    };
    report.trace_of(capture).into_iter().filter_map(file).collect()
}
