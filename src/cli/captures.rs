//! The captures that a command is given, and how to read them.

use std::path::PathBuf;

use crate::capture::Reader;

use super::output;

/// Arguments of every command that analyzes captures.
#[derive(Debug, clap::Args)]
pub struct Captures {
    /// Capture files (pcap or pcapng, also in gzip, zstd, lz4 or xz); - reads one from a pipe
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Port of a server, for connections whose beginning was not captured (repeatable)
    #[arg(long, value_name = "PORT")]
    pub server_port: Vec<u16>,
}

/// Captures ready to be read.
pub struct Opened {
    /// Those that could be opened.
    pub readers: Vec<Reader>,
    /// Some could not; each was complained of.
    pub unreadable: bool,
}

impl Captures {
    /// What was given, to be read as files.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Opens what can be opened: one bad file must not lose what the others show.
    pub fn open(&self) -> Opened {
        let mut opened = Opened { readers: Vec::new(), unreadable: false };
        for file in &self.files {
            match Reader::open(file) {
                Ok(reader) => opened.readers.push(reader),
                Err(error) => {
                    opened.unreadable = true;
                    output::complain(&format!("{:#}", anyhow::Error::from(error)));
                }
            }
        }
        opened
    }
}
