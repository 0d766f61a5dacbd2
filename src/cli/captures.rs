//! The captures that a command is given.

use std::path::{Path, PathBuf};

use crate::analysis::Input;
use crate::capture::Interrupt;

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
