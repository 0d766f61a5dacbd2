//! Standard output and standard error: results on the one, everything else on the other.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use clap::ValueEnum;

use crate::render::{self, TextOptions};
use crate::report::Report;

/// Narrowest and widest text: 72 columns survive a paste into chat, more than 160 tire the eye.
const WIDTHS: std::ops::RangeInclusive<u16> = 72..=160;
/// Width when nothing tells: wide enough for the packet table in a file or a pipe.
const DEFAULT_WIDTH: u16 = 120;

/// How to print a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON document (schema: `finrace schema`)
    Json,
    /// One JSON object a line
    Ndjson,
    /// Incidents as comma-separated values (RFC 4180)
    Csv,
    /// Incidents, servers, what happened and what to change as Markdown
    Markdown,
    /// One message of at most 72 columns
    Chat,
}

/// A report in a format for programs; a table is none and comes out as Markdown.
pub fn structured(report: &Report, format: Format) -> String {
    match format {
        Format::Json => render::json::pretty(report),
        Format::Ndjson => render::json::lines(report),
        Format::Csv => render::csv::incidents(report),
        Format::Table | Format::Markdown => render::markdown::incidents(report),
        Format::Chat => render::chat::message(report),
    }
}

/// How text for standard output is written.
pub fn text_options(color: Color) -> TextOptions {
    TextOptions { width: width(), color: color.on_stdout(), unicode: speaks_utf8() }
}

/// Whether the locale can show more than ASCII. Without any locale (a container, a cron job) UTF-8 is the better guess.
fn speaks_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_none_or(|locale| {
        let locale = locale.to_ascii_uppercase();
        locale.contains("UTF-8") || locale.contains("UTF8") || locale == "C" || locale == "POSIX"
    })
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Whether standard output gets colour.
    pub fn on_stdout(self) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
                    || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                io::stdout().is_terminal() && !unwanted
            }
        }
    }
}

/// Columns to write to: the terminal's, or `COLUMNS`, within reason.
pub fn width() -> u16 {
    let of_terminal = || terminal_size::terminal_size().map(|(columns, _)| columns.0);
    let of_environment = || std::env::var("COLUMNS").ok()?.parse().ok();
    let columns: u16 = of_terminal().or_else(of_environment).unwrap_or(DEFAULT_WIDTH);
    columns.clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// Who reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Somebody, as far as can be told.
    Listening,
    /// Nobody any more, as after `head`: that is no error.
    Gone,
}

/// Writes to standard output, and at once.
///
/// # Errors
/// When standard output cannot be written for another reason than that its reader has gone.
pub fn write(bytes: &[u8]) -> anyhow::Result<Reader> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::Listening),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error)
            .context("cannot write the result to standard output: make room there, or send it elsewhere"),
    }
}

/// Writes a result to standard output. A reader that has gone wanted no more: that is no error.
///
/// # Errors
/// As [`write()`].
pub fn print(bytes: &[u8]) -> anyhow::Result<()> {
    write(bytes).map(|_| ())
}

/// Writes one line to standard error. A standard error that is gone cannot be told about.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "finrace: {}", render::visible(text));
}
