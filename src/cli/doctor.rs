//! `finrace doctor`: what works on this machine, and what to do about what does not.

use std::fmt::Write;

use serde::Serialize;

use crate::doctor::{Check, Examination, Surroundings, examine};

use super::output;
use super::{Exit, servers_folder};

/// Columns of the text form, for what is not a command: commands stay on one line, to be pasted.
const WIDTH: usize = 100;
/// Where what follows a check's first line begins.
const INDENT: &str = "         ";

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

/// How to print an examination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people
    Table,
    /// One JSON document
    Json,
}

/// Examines this machine; exit code 0 when the race can be reproduced here, in either lab.
///
/// Must be called before the process starts a thread: see [`examine`].
///
/// # Errors
///
/// When the path of the running program cannot be found out, or standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let examination = examine(&Surroundings { program: std::env::current_exe()?, servers: servers_folder() });
    let text = match args.format {
        Form::Table => as_text(&examination),
        Form::Json => as_json(&examination)?,
    };
    output::print(text.as_bytes())?;
    Ok(if examination.can_reproduce() { Exit::Clean } else { Exit::Found })
}

fn as_json(examination: &Examination) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Versioned<'a> {
        schema: u32,
        #[serde(flatten)]
        examination: &'a Examination,
    }
    serde_json::to_string_pretty(&Versioned { schema: 1, examination }).map(|text| text + "\n")
}

fn as_text(examination: &Examination) -> String {
    let mut text = String::new();
    for check in &examination.checks {
        text += &check_as_text(check);
    }
    let yes_or_no = |works| if works { "yes" } else { "no" };
    let wire = yes_or_no(examination.wire_lab);
    let loopback = yes_or_no(examination.loopback_lab);
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "\n\
         wire lab      {wire:<7} two hosts and a wire between them: every cause, toy and real servers\n\
         loopback lab  {loopback:<7} the loopback device: toy servers only, not every cause\n\
         analyze       always  capture files need nothing of this machine\n"
    );
    text
}

fn check_as_text(check: &Check) -> String {
    let mut text = format!("{:<8} {:<26} {}\n", check.status.as_str(), check.name, check.found);
    for line in wrapped(&check.means, WIDTH - INDENT.len()) {
        text += &format!("{INDENT}{line}\n");
    }
    for (index, remedy) in check.remedies.iter().enumerate() {
        let word = if index == 0 { "do" } else { "or" };
        text += &format!("{INDENT}{word}: {remedy}\n");
    }
    text
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
