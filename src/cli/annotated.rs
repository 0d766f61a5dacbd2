//! `--annotate`: copies of the captures for Wireshark.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::analysis;
use crate::capture::Interrupt;
use crate::report::Report;

use super::output;

/// Endings that a capture's name loses before it gets the new one.
const ENDINGS: [&str; 8] = ["gz", "zst", "lz4", "xz", "pcapng", "pcap", "cap", "dmp"];

/// Complains before the analysis of what would fail after it.
///
/// # Errors
/// A capture cannot be read a second time.
pub fn check(files: &[PathBuf], output: &Path) -> anyhow::Result<()> {
    let is_pipe = |file: &&PathBuf| {
        file.as_os_str() == "-" || fs::metadata(file).is_ok_and(|it| !it.is_file() && !it.is_dir())
    };
    if let Some(pipe) = files.iter().find(is_pipe) {
        bail!(
            "--annotate reads each capture twice and cannot do that with the pipe {}: save it to a file first",
            pipe.display()
        );
    }
    if files.len() > 1 && output.exists() && !output.is_dir() {
        bail!(
            "{} is a file, and there are {} captures to annotate: name a directory",
            output.display(),
            files.len()
        );
    }
    Ok(())
}

/// Writes the annotated copies, and says on standard error which.
///
/// # Errors
/// A capture cannot be read again, or a copy cannot be written.
pub fn write(report: &Report, files: &[PathBuf], output: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
    if interrupt.is_raised() {
        output::complain("interrupted: no annotated copy was written");
        return Ok(());
    }

    let in_folder = files.len() > 1 || output.is_dir();
    if in_folder {
        fs::create_dir_all(output)
            .with_context(|| format!("cannot make the directory {}: name another one", output.display()))?;
    }
    let mut taken = BTreeSet::new();
    for (index, capture) in (0..).zip(&report.captures) {
        let Some(path) = files.iter().find(|file| file.display().to_string() == capture.file) else {
            continue;
        };
        let target = if in_folder { output.join(free_name(path, &mut taken)) } else { output.to_owned() };
        let copied = analysis::annotate(report, index, path, &target, interrupt)?;
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
            target.display()
        ));
    }
    Ok(())
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
