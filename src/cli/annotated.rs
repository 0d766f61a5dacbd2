//! `--annotate`: copies of the captures for Wireshark.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::analysis;
use crate::capture::Interrupt;
use crate::destination::{Destination, DestinationError, Destinations};
use crate::report::Report;

use super::output;

/// Endings that a capture's name loses before it gets the new one.
const ENDINGS: [&str; 8] = ["gz", "zst", "lz4", "xz", "pcapng", "pcap", "cap", "dmp"];

/// Where the annotated copies go.
pub enum Copies {
    /// The copy of the only capture.
    File(Destination),
    /// A copy of each capture, by its name.
    Folder(PathBuf),
}

impl Copies {
    /// Complains before the analysis of what would fail after it.
    ///
    /// # Errors
    /// A capture cannot be read a second time, or nothing can be written there.
    pub fn prepare(
        files: &[PathBuf],
        output: &Path,
        destinations: &mut Destinations,
    ) -> anyhow::Result<Copies> {
        let is_pipe = |file: &&PathBuf| {
            file.as_os_str() == "-" || fs::metadata(file).is_ok_and(|it| !it.is_file() && !it.is_dir())
        };
        if let Some(pipe) = files.iter().find(is_pipe) {
            bail!(
                "--annotate reads each capture twice and cannot do that with the pipe {}: save it to a file first",
                pipe.display()
            );
        }
        if output.as_os_str() == "-" {
            return Err(DestinationError::StandardOutput("an annotated copy").into());
        }
        if files.len() == 1 && !output.is_dir() {
            return Ok(Copies::File(destinations.claim(output)?));
        }
        if output.exists() && !output.is_dir() {
            bail!(
                "{} is a file, and there are {} captures to annotate: name a directory",
                output.display(),
                files.len()
            );
        }
        fs::create_dir_all(output)
            .with_context(|| format!("cannot make the directory {}: name another one", output.display()))?;
        Ok(Copies::Folder(output.to_owned()))
    }

    /// Writes the annotated copies, and says on standard error which.
    ///
    /// # Errors
    /// A capture cannot be read again, or a copy cannot be written.
    pub fn write(
        &self,
        report: &Report,
        files: &[PathBuf],
        destinations: &mut Destinations,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        if interrupt.is_raised() {
            output::complain("interrupted: no annotated copy was written");
            return Ok(());
        }
        let mut taken = BTreeSet::new();
        for (index, capture) in (0..).zip(&report.captures) {
            let Some(path) = files.iter().find(|file| file.display().to_string() == capture.file) else {
                continue;
            };
            let claimed;
            let target = match self {
                Copies::File(target) => target,
                Copies::Folder(folder) => {
                    claimed = destinations.claim(&folder.join(free_name(path, &mut taken)))?;
                    &claimed
                }
            };
            let copied = analysis::annotate(report, index, path, target, interrupt)?;
            let uncommented = match copied.uncommented.as_slice() {
                [] => String::new(),
                frames => {
                    let frames: Vec<String> = frames.iter().map(u64::to_string).collect();
                    format!(
                        "; the blocks of frames {} have no room for comments, see the comment of the section",
                        frames.join(", ")
                    )
                }
            };
            output::complain(&format!(
                "wrote {}{uncommented}: in Wireshark, the display filter frame.comment finds the packets with comments",
                target.path().display()
            ));
        }
        Ok(())
    }
}

/// `edge.pcap.gz` as `edge.annotated.pcapng`, and with a number where that name is taken.
pub(super) fn free_name(path: &Path, taken: &mut BTreeSet<PathBuf>) -> PathBuf {
    let mut stem = path.file_name().map_or_else(|| "capture".into(), OsStr::to_os_string);
    while let (Some(shorter), Some(ending)) = (Path::new(&stem).file_stem(), Path::new(&stem).extension()) {
        if !ending.to_str().is_some_and(|ending| ENDINGS.contains(&ending)) {
            break;
        }
        stem = shorter.to_os_string();
    }
    let named = |number: usize| {
        let mut name = stem.clone();
        if number > 1 {
            name.push(format!("-{number}"));
        }
        name.push(".annotated.pcapng");
        PathBuf::from(name)
    };
    let mut number = 1;
    while !taken.insert(named(number)) {
        number += 1;
    }
    named(number)
}
