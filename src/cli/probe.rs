//! `finrace probe`: after how long a live server closes idle connections, and how; or a proxy those to its servers.

use std::io::IsTerminal;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::duration::{format_duration, parse_duration};
use crate::probe::{self, Options, Target};
use crate::render::probe_text;

use super::Exit;
use super::output::{self, Color};
use super::probe_upstream::UpstreamArgs;

/// How often the line on a terminal changes.
const TICK: Duration = Duration::from_millis(250);

/// Arguments of `probe`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --upstream, finrace is the backend: point the proxy's upstream to that address, then send requests \
                  through the proxy, several side by side, so that it opens several connections:\n\n  \
                  finrace probe --upstream 127.0.0.1:9000\n  \
                  for i in 1 2 3; do curl -s http://PROXY/ & done\n\n\
                  or let finrace send them:\n\n  \
                  finrace probe --upstream 127.0.0.1:9000 --via http://PROXY/ --test-retry\n\n\
                  Exit codes: 0 measured (or no connection is kept), 2 the server cannot be reached or does not \
                  answer, 3 nothing was closed within --max-wait."
)]
pub struct Args {
    /// The server: http://HOST:PORT/PATH, https://HOST/PATH or HOST:PORT
    #[arg(value_name = "URL|HOST:PORT", required_unless_present = "upstream", conflicts_with = "upstream")]
    target: Option<Target>,
    /// Method of the request; choose one that changes nothing
    #[arg(long, default_value = "GET", value_parser = method)]
    method: String,
    /// Path of the request, instead of the URL's
    #[arg(long, value_parser = path)]
    path: Option<String>,
    /// Connections that idle side by side
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    connections: u16,
    /// How long to wait for a close: the whole probe takes no longer, whatever the server does; with --upstream as long again
    /// for the first request
    #[arg(long, value_name = "DURATION", default_value = "2min", value_parser = parse_duration)]
    max_wait: Duration,
    /// Also wait for the close of a connection that carries no request: servers often wait a minute for the first one
    #[arg(long)]
    first_request: bool,
    /// Also send up to this many requests on one connection, to find a limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_requests: Option<u32>,
    #[command(flatten)]
    upstream: UpstreamArgs,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = ProbeFormat::Table)]
    format: ProbeFormat,
}

/// How to print a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProbeFormat {
    /// For people
    Table,
    /// One JSON document
    Json,
}

fn method(text: &str) -> Result<String, String> {
    let token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    if token {
        Ok(text.to_ascii_uppercase())
    } else {
        Err("a method is a word such as GET or HEAD".to_owned())
    }
}

fn path(text: &str) -> Result<String, String> {
    let whole = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
    if whole { Ok(text.to_owned()) } else { Err("a path begins with / and holds no blanks".to_owned()) }
}

/// Probes, with a line of progress on a terminal.
///
/// # Errors
/// The server cannot be reached, or does not answer.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let Some(mut target) = args.target.clone() else {
        return args.upstream.run(args.max_wait, args.format, color);
    };
    if let Some(path) = &args.path {
        target.path.clone_from(path);
    }
    let options = Options {
        target,
        method: args.method.clone(),
        connections: usize::from(args.connections),
        max_wait: args.max_wait,
        first_request: args.first_request,
        max_requests: args.max_requests,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let most = format_duration(options.max_wait);
    let progress =
        waiting(format!("waiting for {} to close idle connections, at most {most}", options.target));
    let measured = runtime.block_on(probe::run(&options));
    progress.finish_and_clear();
    let measured = measured?;
    let text = match args.format {
        ProbeFormat::Table => probe_text::table(&measured, output::text_options(color)),
        ProbeFormat::Json => probe_text::json(&measured),
    };
    output::print(text.as_bytes())?;
    let open = measured.samples.iter().any(|sample| !sample.ending.is_close());
    let measured_nothing = measured.response.keeps_alive && measured.samples.is_empty();
    Ok(if open || measured_nothing { Exit::Inconclusive } else { Exit::Clean })
}

/// A line on standard error that says what is waited for, on a terminal only.
pub(super) fn waiting(message: String) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let line = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {msg}: {elapsed} so far");
    line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    line.set_message(message);
    line.enable_steady_tick(TICK);
    line
}
