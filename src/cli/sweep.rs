//! `finrace sweep`: natural traffic that finds the race window of a backend.

use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;

use crate::lab::scenario::{self, Overrides, Scenario, format_duration, library, parse_duration};
use crate::lab::sweep::{self, Settings};
use crate::probe::Target;

use super::ctrl_c::interrupts_reading;
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
    /// Sweep this server (`finrace scenarios` lists them), or one of your own that runs already: http://HOST:PORT/PATH
    #[arg(long, value_name = "NAME|URL")]
    backend: Option<String>,
    /// Connections in all, at most [default: 2000, for a URL 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    attempts: Option<u32>,
    /// Connections at one time, at most [default: 2000, for a URL 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    connections: Option<u32>,
    /// New connections a second, at most [default: 300, for a URL 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: Option<u32>,
    /// End when both edges are known this well
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    precision: Option<Duration>,
    /// End after this time
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = parse_duration)]
    max_time: Duration,
    /// How long to wait for the backend to close a connection
    #[arg(long, value_name = "TIME", default_value = "2min", value_parser = parse_duration)]
    max_wait: Duration,
    /// Repeat the choices of an earlier sweep
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Send each lost request once more on a new connection, as proxies do with a GET, and count what is answered then
    #[arg(long)]
    retry: bool,
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
    /// Which lab to use
    #[arg(long, value_enum, default_value_t = Lab::Auto)]
    lab: Lab,
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
    let report = match args.backend.as_deref().filter(|backend| backend.contains("://")) {
        Some(url) => live(args, url)?,
        None => in_lab(args)?,
    };
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

/// What a sweep may do, unless the command line says otherwise.
fn settings(args: &Args, usual: &Usual) -> Settings {
    Settings {
        attempts: args.attempts.unwrap_or(usual.attempts),
        connections: args.connections.unwrap_or(usual.connections) as usize,
        rate: f64::from(args.rate.unwrap_or(usual.rate)),
        max_time: args.max_time,
        max_wait: args.max_wait,
        precision: args.precision,
        watched_first: usual.watched_first,
        seed: args.seed.unwrap_or_else(|| rand::random::<u32>().into()),
        retry: args.retry,
    }
}

fn in_lab(args: &Args) -> anyhow::Result<SweepReport> {
    // Usage errors first: they need no lab.
    let scenario = scenario(args)?;
    let ground = Ground::enter(args.lab)?;
    let settings = settings(args, &LAB);
    let folder = run_directory(args.out.as_deref(), &format!("sweep-{}", scenario.name))?;
    discard_stale(&folder);
    let written = folder.join("scenario.toml");
    super::reproduce::write(&written, scenario.to_toml().as_bytes())?;
    let line = WindowLine::new();
    let swept = match &ground {
        Ground::Wire(entered) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (folder, servers) = (&folder, servers_folder());
            runtime.block_on(sweep::wire::run(
                &scenario,
                &settings,
                (folder, &servers),
                entered.stop,
                line.observer(),
            ))
        }
        Ground::Loopback => {
            let stop = interrupts_reading()?;
            sweep::elsewhere::loopback(&scenario, &settings, &folder, stop, line.observer())
        }
    };
    line.clear();
    SweepReport::of_lab(&scenario, ground.name(), &settings, &folder, &swept?)
}

/// A server of the user's own: politely, and within limits that are said before.
fn live(args: &Args, url: &str) -> anyhow::Result<SweepReport> {
    let target: Target = url.parse().map_err(anyhow::Error::msg)?;
    if target.tls {
        bail!(
            "a sweep speaks no TLS: give the http:// address of the server behind its TLS, or measure its timer with \
             `finrace probe {target}`"
        );
    }
    if args.delay.is_some() || args.backend_idle.is_some() || args.family.is_some() {
        bail!("--delay, --backend-idle and --family are of the lab: a server that runs already has its own");
    }
    if args.retry {
        bail!(
            "--retry is of the lab: a server that runs already gets no more connections than are announced"
        );
    }
    let settings = settings(args, &LIVE);
    let host = format!("{}:{}", target.host, target.port);
    let server = host
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .with_context(|| format!("cannot find {host}: check the name"))?;
    let method = args.method.clone().unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase();
    if !matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS") {
        bail!(
            "{method} may change something at {target}: use GET, HEAD or OPTIONS for a server that runs already"
        );
    }
    output::complain(&announcement(&target, &method, &settings));
    let folder = run_directory(args.out.as_deref(), "sweep-live")?;
    discard_stale(&folder);
    let stop = interrupts_reading()?;
    let line = WindowLine::new();
    let requests = sweep::Requests::of(&method, &target.path, &host);
    let swept = sweep::elsewhere::live(&settings, requests, server, stop, line.observer());
    line.clear();
    SweepReport::of_live(&target.to_string(), &settings, &folder, &swept?)
}

/// What will be done to a server, before it is done.
fn announcement(target: &Target, method: &str, settings: &Settings) -> String {
    format!(
        "{target} will get at most {} connections, {} at one time and {} new ones a second, for at most {}; on each of \
         them at most two {method} requests, one after the other. Ctrl-C ends it and shows what was found",
        settings.attempts,
        settings.connections,
        settings.rate,
        format_duration(settings.max_time)
    )
}

/// What an earlier sweep left in the same folder must not be taken for this one's.
fn discard_stale(folder: &Path) {
    for stale in ["window.svg", "window.png", "window.csv", "attempts.csv", "sweep.json"] {
        let _ = std::fs::remove_file(folder.join(stale));
    }
}

/// Limits that hold unless others are asked for.
struct Usual {
    attempts: u32,
    connections: u32,
    rate: u32,
    /// Connections that are watched before the first is used: enough to see the spread of a timer.
    watched_first: u32,
}

const LAB: Usual = Usual { attempts: 2000, connections: 2000, rate: 300, watched_first: 24 };
const LIVE: Usual = Usual { attempts: 200, connections: 4, rate: 5, watched_first: 4 };

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
