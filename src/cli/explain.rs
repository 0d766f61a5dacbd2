//! `finrace explain`: what a log line, an exception or a status code says of a connection that died.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;

use crate::capture::Interrupt;
use crate::messages::{self, Recogniser};
use crate::render::{TextOptions, explain_text};

use super::Exit;
use super::ctrl_c;
use super::output::{self, Color};

/// What is looked at of one line, bytes.
const LONGEST_LINE: usize = 64 * 1024;
/// Lines that wait to be looked at: a reader that is faster waits for them.
const LINES_AHEAD: usize = 64;
/// How often to look whether Ctrl-C was pressed while nothing comes.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n\n  \
        finrace explain 'upstream prematurely closed connection while reading response header from upstream'\n  \
        finrace explain SH--\n  \
        journalctl -u app | finrace explain -\n  \
        finrace explain /var/log/nginx/error.log\n\n\
        Exit codes: 0 something was recognised, 3 nothing was, 2 the text cannot be read.\n\
        A text proves no cause: capture, then `finrace analyze`.")]
pub struct Args {
    /// A log line, an error message, an exception, a code with its flags (words are joined); - reads from a pipe, and the
    /// name of a file reads that file
    #[arg(value_name = "TEXT", required_unless_present = "list")]
    text: Vec<OsString>,
    /// List every message that is known, as Markdown
    #[arg(long, conflicts_with = "text")]
    list: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = ExplainFormat::Table)]
    format: ExplainFormat,
}

/// How to print an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExplainFormat {
    /// For people
    Table,
    /// One JSON document (schema: `finrace schema explanation`)
    Json,
    /// Markdown
    Markdown,
    /// At most 72 columns, to be pasted into a chat
    Chat,
}

/// Explains.
///
/// # Errors
/// A file or standard input cannot be read.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    if args.list {
        output::print(explain_text::list(messages::all()).as_bytes())?;
        return Ok(Exit::Clean);
    }
    let mut recogniser = Recogniser::default();
    let files = args.text.iter().all(|word| Path::new(word).is_file());
    if args.text.len() == 1 && args.text[0] == "-" {
        if std::io::stdin().is_terminal() {
            output::complain("paste the text, then press Ctrl-D");
        }
        let interrupt = ctrl_c::interrupts_reading()?;
        read(std::io::stdin(), &interrupt, &mut recogniser).context("cannot read standard input")?;
    } else if files {
        let interrupt = ctrl_c::interrupts_reading()?;
        for file in &args.text {
            let name = Path::new(file).display();
            let opened = File::open(file).with_context(|| format!("cannot read {name}"))?;
            read(opened, &interrupt, &mut recogniser).with_context(|| format!("cannot read {name}"))?;
        }
    } else {
        let words: Vec<String> = args.text.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let text = words.join(" ");
        if text.trim().is_empty() {
            bail!("there is no text to explain: give a log line, or - to read from a pipe");
        }
        for line in text.lines() {
            let kept = &line.as_bytes()[..line.len().min(LONGEST_LINE)];
            recogniser.line(kept, kept.len() < line.len());
        }
    }
    let explanation = recogniser.explanation();
    let text = match args.format {
        ExplainFormat::Table => explain_text::table(&explanation, output::text_options(color)),
        ExplainFormat::Json => explain_text::json(&explanation),
        ExplainFormat::Markdown => explain_text::markdown(&explanation),
        ExplainFormat::Chat => {
            let options = TextOptions { width: TextOptions::NARROWEST, color: false, unicode: true };
            explain_text::table(&explanation, options)
        }
    };
    output::print(text.as_bytes())?;
    Ok(if explanation.messages.is_empty() { Exit::Inconclusive } else { Exit::Clean })
}

/// Reads lines in a thread of its own, so that Ctrl-C ends the waiting for a pipe that is silent.
fn read(
    source: impl Read + Send + 'static,
    interrupt: &Interrupt,
    recogniser: &mut Recogniser,
) -> std::io::Result<()> {
    let (give, take) = sync_channel(LINES_AHEAD);
    thread::spawn(move || {
        let mut source = BufReader::new(source);
        loop {
            let line = next_line(&mut source).transpose();
            let Some(line) = line else { return };
            let failed = line.is_err();
            // Nobody wants to know any more after an interrupt.
            if give.send(line).is_err() || failed {
                return;
            }
        }
    });
    loop {
        match take.recv_timeout(LOOK) {
            Ok(line) => {
                let (line, cut) = line?;
                recogniser.line(&line, cut);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if interrupt.is_raised() {
            return Ok(());
        }
    }
}

/// The next line without its end, and whether it was longer than what is kept of it. None at the end.
fn next_line(source: &mut impl BufRead) -> std::io::Result<Option<(Vec<u8>, bool)>> {
    let mut line = Vec::new();
    let (mut any, mut cut) = (false, false);
    loop {
        let here = match source.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            here => here?,
        };
        if here.is_empty() {
            return Ok(any.then_some((line, cut)));
        }
        any = true;
        let end = memchr::memchr2(b'\n', b'\r', here);
        let whole = &here[..end.unwrap_or(here.len())];
        let kept = whole.len().min(LONGEST_LINE - line.len());
        line.extend_from_slice(&whole[..kept]);
        cut |= kept < whole.len();
        let used = end.map_or(here.len(), |at| at + 1);
        source.consume(used);
        if end.is_some() {
            return Ok(Some((line, cut)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(Vec<u8>, bool)> {
        let mut source = BufReader::with_capacity(7, text);
        std::iter::from_fn(|| next_line(&mut source).unwrap()).collect()
    }

    #[test]
    fn lines_end_as_they_do_anywhere_and_long_ones_are_cut() {
        let is = |text: &str| (text.as_bytes().to_vec(), false);
        assert_eq!(
            lines(b"one\ntwo\rthree, longer than the buffer"),
            [is("one"), is("two"), is("three, longer than the buffer")]
        );
        assert_eq!(lines(b""), []);
        let long = vec![b'x'; LONGEST_LINE + 9];
        let [(kept, true)] = &lines(&long)[..] else { panic!("one line, cut") };
        assert_eq!(kept.len(), LONGEST_LINE);
    }
}
