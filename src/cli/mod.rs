//! The command line: one file a subcommand. The only module that knows clap, standard output and the environment.

mod analyze;
mod annotated;
mod captures;
mod check;
mod ctrl_c;
#[cfg(feature = "live")]
mod doctor;
mod explain;
mod extract;
mod found;
mod odds;
#[cfg(all(feature = "live", target_os = "linux"))]
mod odds_check;
mod odds_from;
mod output;
mod page;
mod party;
mod picture;
mod postmortem;
#[cfg(feature = "live")]
mod probe;
#[cfg(feature = "live")]
mod probe_upstream;
mod progress;
mod quantity;
#[cfg(feature = "live")]
mod reproduce;
#[cfg(feature = "live")]
mod run_report;
#[cfg(feature = "live")]
mod scenarios;
mod show;
#[cfg(all(feature = "live", target_os = "linux"))]
mod soak;
#[cfg(all(feature = "live", target_os = "linux"))]
mod soak_report;
#[cfg(all(feature = "live", target_os = "linux"))]
mod sweep;
#[cfg(all(feature = "live", target_os = "linux"))]
mod sweep_progress;
#[cfg(all(feature = "live", target_os = "linux"))]
mod sweep_report;
mod timeouts;
#[cfg(feature = "live")]
mod truth_table;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// What a run amounts to, as the exit status says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nothing found, or the expectation held.
    Clean = 0,
    /// Incidents found, or the expectation failed.
    Found = 1,
    /// Usage error, or input that cannot be read.
    Trouble = 2,
    /// The capture could not have shown an incident: never a pass.
    Inconclusive = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Reproduce, prove and explain the TCP keep-alive race behind sporadic 502 Bad Gateway.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 nothing found (or the expectation held), 1 incidents found (or the expectation failed),\n\
                  2 usage error or unreadable input, 3 inconclusive (the capture could not have shown it).\n\
                  `finrace FILE...` is short for `finrace analyze FILE...`."
)]
struct Cli {
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = output::Color::Auto, value_name = "WHEN")]
    color: output::Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the race happen in the lab: tables, captures and pictures of it
    #[cfg(feature = "live")]
    Reproduce(reproduce::Args),
    /// Find the race window of a backend with natural traffic: where it is, how wide, how likely a loss in it is
    #[cfg(all(feature = "live", target_os = "linux"))]
    Sweep(sweep::Args),
    /// Say which requests died in a capture, of what, and what to change
    Analyze(analyze::Args),
    /// Show the idle timers that captures reveal, or those known of a product
    Timeouts(timeouts::Args),
    /// Measure after how long a live server, or a proxy, closes idle connections, and how
    #[cfg(feature = "live")]
    Probe(probe::Args),
    /// Say whether a proxy is safe in front of a server: whose idle timer is the shorter one
    Check(check::Args),
    /// Say what a log line, an exception or a status code means, and which causes it fits
    Explain(explain::Args),
    /// Say how many requests a day the race costs, and what each change would make of it
    Odds(odds::Args),
    /// Send natural traffic through proxy and pool in the lab, and hold the odds against what is lost
    #[cfg(all(feature = "live", target_os = "linux"))]
    Soak(soak::Args),
    /// Draw one incident or connection of a capture
    Show(show::Args),
    /// Write one connection of a capture to a capture of its own, anonymous if wanted
    Extract(extract::Args),
    /// List the built-in scenarios, or print one to start from
    #[cfg(feature = "live")]
    Scenarios(scenarios::Args),
    /// Say what works on this machine, and what to do about what does not
    #[cfg(feature = "live")]
    Doctor(doctor::Args),
    /// Hold the odds against soaks of several settings and write both, as Markdown
    #[cfg(all(feature = "live", target_os = "linux"))]
    #[command(hide = true)]
    OddsCheck(odds_check::Args),
    /// Run every proxy in front of every server and write what users see, as Markdown
    #[cfg(feature = "live")]
    #[command(hide = true)]
    TruthTable(truth_table::Args),
    /// Print the JSON schema of reports, or of another document
    #[command(hide = true)]
    Schema {
        /// Whose
        #[arg(value_enum, default_value_t = Document::Report)]
        of: Document,
    },
}

/// A JSON document with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Document {
    /// What `analyze` and `reproduce` print
    Report,
    /// What `sweep` prints
    Sweep,
    /// What `explain` prints
    Explanation,
}

/// Runs the program. Errors go to standard error in one line, causes included; a closed pipe is no error.
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(with_default_command(std::env::args_os().collect()));
    let color = cli.color;
    let result = match cli.command {
        #[cfg(feature = "live")]
        Command::Reproduce(args) => reproduce::run(&args, color),
        #[cfg(all(feature = "live", target_os = "linux"))]
        Command::Sweep(args) => sweep::run(&args, color),
        Command::Analyze(args) => analyze::run(&args, color),
        Command::Timeouts(args) => timeouts::run(&args, color),
        #[cfg(feature = "live")]
        Command::Probe(args) => probe::run(&args, color),
        Command::Check(args) => check::run(&args, color),
        Command::Explain(args) => explain::run(&args, color),
        Command::Odds(args) => odds::run(&args, color),
        #[cfg(all(feature = "live", target_os = "linux"))]
        Command::Soak(args) => soak::run(&args, color),
        Command::Show(args) => show::run(&args, color),
        Command::Extract(args) => extract::run(&args),
        #[cfg(feature = "live")]
        Command::Scenarios(args) => scenarios::run(&args),
        #[cfg(feature = "live")]
        Command::Doctor(args) => doctor::run(&args),
        #[cfg(feature = "live")]
        Command::TruthTable(args) => truth_table::run(&args),
        #[cfg(all(feature = "live", target_os = "linux"))]
        Command::OddsCheck(args) => odds_check::run(&args),
        Command::Schema { of } => {
            let schema = match of {
                Document::Report => crate::report::json_schema(),
                Document::Sweep => crate::report::sweep::sweep_json_schema(),
                Document::Explanation => crate::report::explanation::explanation_json_schema(),
            };
            output::print(schema.as_bytes()).map(|()| Exit::Clean)
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::complain(&format!("{error:#}"));
            if ctrl_c::was_pressed() { Exit::Inconclusive.into() } else { Exit::Trouble.into() }
        }
    }
}

/// Where the packages of real servers are installed: `$FINRACE_SERVERS`, or `servers` in the build folder that this
/// program was built into, or the user's own data folder.
#[cfg(feature = "live")]
fn servers_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("FINRACE_SERVERS") {
        return folder.into();
    }
    let built =
        std::env::current_exe().ok().and_then(|program| Some(program.parent()?.parent()?.join("servers")));
    let data = || {
        let home = std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
        home.unwrap_or_default().join("finrace/servers")
    };
    built.filter(|folder| folder.is_dir()).unwrap_or_else(data)
}

/// `finrace FILE...` means `finrace analyze FILE...`, when the first word is no command and names a file or a pipe.
fn with_default_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let Some(first) = args.get(1) else { return args };
    let command = Cli::command();
    let known = first == "help" || command.get_subcommands().any(|known| first == known.get_name());
    let is_option = first.to_string_lossy().starts_with('-') && first != "-";
    let looks_like_input =
        first == "-" || PathBuf::from(first).exists() || first.to_string_lossy().contains(['/', '.']);
    if !known && !is_option && looks_like_input {
        args.insert(1, "analyze".into());
    }
    args
}
