//! `finrace sweep`: natural traffic that finds the race window of a backend.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use clap::ValueEnum;

use crate::lab::scenario::{self, Overrides, Scenario, library, parse_duration};
use crate::lab::sweep::{self, Settings};

use super::output::{self, Color};
use super::reproduce::{Family, Ground, Lab, run_directory};
use super::sweep_progress::WindowLine;
use super::sweep_report::SweepReport;
use super::{Exit, servers_folder};

/// The scenario whose backend is swept when none is named.
const DEFAULT: &str = "crossed-fin";

/// Arguments of `sweep`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "finrace plays the proxy's pool: it opens a connection, has one request answered, leaves the connection \
                  idle, looks whether the backend has closed it, and sends a second request if not. Nothing is held or \
                  forced. Many connections wait side by side, each for a time of its own.\n\n\
                  Exit codes: 0 both edges of the window measured, 2 the backend cannot be reached or does not \
                  answer, 3 not measured: nothing was closed, an edge was not met, or the sweep was ended early."
)]
pub struct Args {
    /// Sweep the backend of this scenario: a built-in one (`finrace scenarios` lists them) or a file
    #[arg(value_name = "SCENARIO", conflicts_with = "backend")]
    scenario: Option<String>,
    /// Sweep this server (`finrace scenarios` lists them)
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Connections in all, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(20..=1_000_000), default_value_t = 2000)]
    attempts: u32,
    /// Connections at one time, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000), default_value_t = 2000)]
    connections: u32,
    /// New connections a second, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), default_value_t = 250)]
    rate: u32,
    /// End when both edges are known this well
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    precision: Option<Duration>,
    /// End after this time
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = parse_duration)]
    max_time: Duration,
    /// How long to wait for the backend to close a connection
    #[arg(long, value_name = "TIME", default_value = "2min", value_parser = parse_duration)]
    max_wait: Duration,
    /// Repeat the choices of an earlier sweep
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// HTTP method of the requests
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// How long the backend keeps idle connections
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    backend_idle: Option<Duration>,
    /// One-way delay of the wire
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    delay: Option<Duration>,
    /// IP version between driver and backend
    #[arg(long, value_enum, value_name = "VERSION")]
    family: Option<Family>,
    /// Run directory for captures, tables and pictures
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = SweepFormat::Table)]
    format: SweepFormat,
}

/// How to print a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SweepFormat {
    /// For people
    Table,
    /// One JSON document (schema: `finrace schema sweep`)
    Json,
    /// The shares lost as comma-separated values
    Csv,
}

/// Sweeps. The exit code says whether both edges were measured.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    // Usage errors first: they need no lab.
    let scenario = scenario(args)?;
    let Ground::Wire(entered) = Ground::enter(Lab::Wire)? else { bail!("a sweep needs the wire") };
    let settings = Settings {
        attempts: args.attempts,
        connections: args.connections as usize,
        rate: f64::from(args.rate),
        max_time: args.max_time,
        max_wait: args.max_wait,
        precision: args.precision,
        watched_first: WATCHED_FIRST,
        seed: args.seed.unwrap_or_else(rand::random),
    };
    let folder = run_directory(args.out.as_deref(), &format!("sweep-{}", scenario.name))?;
    std::fs::write(folder.join("scenario.toml"), scenario.to_toml())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let line = WindowLine::new();
    let swept = runtime.block_on(sweep::wire::run(
        &scenario,
        &settings,
        (&folder, &servers_folder()),
        entered.stop,
        line.observer(),
    ));
    line.clear();
    let report = SweepReport::on_wire(&scenario, &settings, &folder, &swept?)?;
    let text = match args.format {
        SweepFormat::Table => report.page(output::text_options(color)),
        SweepFormat::Json => report.json(),
        SweepFormat::Csv => report.csv(),
    };
    output::print(text.as_bytes())?;
    for error in report.unwritten() {
        output::complain(&format!("{error:#}"));
    }
    Ok(match (report.measured(), report.unwritten()) {
        (false, _) => Exit::Inconclusive,
        (true, []) => Exit::Clean,
        (true, _) => Exit::Trouble,
    })
}

/// Connections that are watched before the first is used: enough to see the spread of a timer.
const WATCHED_FIRST: u32 = 24;

fn scenario(args: &Args) -> anyhow::Result<Scenario> {
    let name = args.scenario.as_deref().unwrap_or(DEFAULT);
    let is_file = name.ends_with(".toml") || name.contains('/');
    let mut scenario = match &args.backend {
        Some(backend) => Scenario::pair(library::TOY, backend)?,
        None if is_file => Scenario::load(Path::new(name))?,
        None => Scenario::builtin(name)?,
    };
    // Natural traffic: the wire takes its time and does nothing else.
    scenario.wire.hold.clear();
    scenario.wire.drop.clear();
    // The sweep chooses its own moments; this one needs nothing of the wire.
    scenario.traffic.send_when = scenario::SendWhen::FinDelivered;
    let overrides = Overrides {
        backend_idle: args.backend_idle,
        delay: args.delay,
        method: args.method.clone(),
        family: args.family.map(|family| match family {
            Family::Ipv4 => scenario::Family::Ipv4,
            Family::Ipv6 => scenario::Family::Ipv6,
        }),
        ..Overrides::default()
    };
    Ok(scenario.with_overrides(&overrides)?)
}
