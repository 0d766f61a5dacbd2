//! `finrace reproduce`: a scenario in the lab, judged by its captures, told with tables and a ladder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;

use crate::destination::{self, Destination};
use crate::lab::scenario::{self, Overrides, Scenario, library, parse_duration};
use crate::lab::{self, LabError, Outcome, loopback};
#[cfg(target_os = "linux")]
use crate::lab::{experiment, isolation, tun};
use crate::render;

use super::output::{self, Color, Format};
use super::run_report::RunReport;
use super::{Exit, servers_folder};

/// The scenario that runs when none is named: on the wire, and on loopback, where nothing can cross.
const DEFAULT_ON_WIRE: &str = "crossed-fin";
const DEFAULT_ON_LOOPBACK: &str = "unread-request";

/// Files of a run that not every run makes.
const RESULTS: [&str; 8] = [
    "edge.pcapng",
    "origin.pcapng",
    "loopback.pcapng",
    "ladder.svg",
    "ladder.png",
    "attempts.svg",
    "attempts.png",
    "report.json",
];

/// Arguments of `reproduce`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of a built-in scenario (`finrace scenarios` lists them) or a file
    #[arg(value_name = "SCENARIO", conflicts_with_all = ["proxy", "backend"])]
    scenario: Option<String>,
    /// Ask of this proxy, instead of a scenario, whether it can lose a request (`finrace scenarios` lists them)
    #[arg(long, value_name = "NAME")]
    proxy: Option<String>,
    /// In front of this server; with only one of the two, the other is a toy
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// HTTP method of the requests
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Send both requests of an attempt over one client connection, as a browser does
    #[arg(long)]
    same_client: bool,
    /// Number of attempts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeat: Option<u32>,
    /// Run directory for captures, tables and pictures
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How long the proxy keeps idle connections
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    proxy_idle: Option<Duration>,
    /// How long the backend keeps idle connections
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    backend_idle: Option<Duration>,
    /// One-way delay of the wire
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    delay: Option<Duration>,
    /// IP version between proxy and backend
    #[arg(long, value_enum, value_name = "VERSION")]
    family: Option<Family>,
    /// Which lab to use
    #[arg(long, value_enum, default_value_t = Lab::Auto)]
    lab: Lab,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Which lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Lab {
    /// The wire where namespaces and TUN can be had, else loopback
    Auto,
    /// Two hosts in network namespaces and a wire between them (Linux)
    Wire,
    /// The loopback device: toys only, nothing crosses in flight
    Loopback,
}

/// IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Family {
    /// 192.0.2.0/24
    Ipv4,
    /// 2001:db8::/32
    Ipv6,
}

/// Runs a scenario. The exit code says whether its expectation held.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    // Usage errors first: they need no lab.
    let on_wire = scenario(args, DEFAULT_ON_WIRE)?;
    let ground = Ground::enter(args.lab)?;
    let scenario = match (&ground, &args.scenario) {
        (Ground::Loopback, None) => scenario(args, DEFAULT_ON_LOOPBACK)?,
        _ => on_wire,
    };
    if let (Ground::Loopback, Err(reason)) = (&ground, scenario.loopback_support()) {
        bail!("{reason}");
    }
    let folder = run_directory(args.out.as_deref(), &scenario.name)?;
    write(&folder.join("scenario.toml"), scenario.to_toml().as_bytes())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(ground.run(&scenario, &folder))?;
    let run_report = RunReport::new(&scenario, &folder, ground.name(), &outcome)?;
    let text = match args.format {
        Format::Table => run_report.page(output::text_options(color)),
        other => output::structured(&run_report.report, other),
    };
    output::print(text.as_bytes())?;
    for error in run_report.unwritten() {
        output::complain(&format!("{error:#}"));
    }
    Ok(match (run_report.held(), run_report.unwritten()) {
        (false, _) => Exit::Found,
        (true, []) => Exit::Clean,
        (true, _) => Exit::Trouble,
    })
}

fn scenario(args: &Args, default: &str) -> anyhow::Result<Scenario> {
    let name = args.scenario.as_deref().unwrap_or(default);
    let is_file = name.ends_with(".toml") || name.contains('/');
    let scenario = match (&args.proxy, &args.backend) {
        (None, None) if is_file => Scenario::load(Path::new(name))?,
        (None, None) => Scenario::builtin(name)?,
        (proxy, backend) => {
            let toy = library::TOY;
            Scenario::pair(proxy.as_deref().unwrap_or(toy), backend.as_deref().unwrap_or(toy))?
        }
    };
    let overrides = Overrides {
        proxy_idle: args.proxy_idle,
        backend_idle: args.backend_idle,
        delay: args.delay,
        attempts: args.repeat,
        method: args.method.clone(),
        same_client: args.same_client,
        family: args.family.map(|family| match family {
            Family::Ipv4 => scenario::Family::Ipv4,
            Family::Ipv6 => scenario::Family::Ipv6,
        }),
    };
    Ok(scenario.with_overrides(&overrides)?)
}

/// Where a run takes place.
pub(super) enum Ground {
    #[cfg(target_os = "linux")]
    Wire(isolation::Entered),
    Loopback,
}

impl Ground {
    /// Enters the lab asked for. For the wire, the process splits here: what follows runs in the inner half.
    #[cfg(target_os = "linux")]
    pub(super) fn enter(lab: Lab) -> anyhow::Result<Ground> {
        if lab == Lab::Loopback {
            return Ok(Ground::Loopback);
        }
        match tun::usable().map_err(anyhow::Error::from).and_then(|()| Ok(isolation::rehearse()?)) {
            Ok(()) => Ok(Ground::Wire(isolation::enter()?)),
            Err(error) if lab == Lab::Wire => Err(error),
            Err(error) => {
                output::complain(&format!(
                    "{error:#}. Using the loopback device instead; `finrace doctor` says what the wire lacks here"
                ));
                Ok(Ground::Loopback)
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn enter(lab: Lab) -> anyhow::Result<Ground> {
        match lab {
            Lab::Wire => bail!("the wire lab needs Linux: use --lab loopback"),
            Lab::Auto | Lab::Loopback => Ok(Ground::Loopback),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            #[cfg(target_os = "linux")]
            Ground::Wire(_) => "wire",
            Ground::Loopback => "loopback",
        }
    }

    async fn run(&self, scenario: &Scenario, folder: &Path) -> Result<Outcome, LabError> {
        match self {
            #[cfg(target_os = "linux")]
            Ground::Wire(entered) => experiment::run(scenario, folder, &servers_folder(), entered.stop).await,
            Ground::Loopback => {
                let stopped = async {
                    // Without a handler Ctrl-C ends the program at once, which is no worse than no orderly end.
                    if tokio::signal::ctrl_c().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                };
                loopback::run(scenario, folder, stopped).await
            }
        }
    }
}

/// The folder for a run's files: the one asked for, or a new one named by time and scenario.
pub(super) fn run_directory(asked: Option<&Path>, scenario: &str) -> anyhow::Result<PathBuf> {
    let folder = match asked {
        Some(folder) => folder.to_owned(),
        None => {
            let stamp = render::units::file_stamp(lab::events::now_ns());
            PathBuf::from("finrace-runs").join(format!("{stamp}-{scenario}"))
        }
    };
    destination::run_folder(&folder).with_context(|| {
        format!("cannot use the run directory {}: name another with --out", folder.display())
    })?;
    // What an earlier run left in the same folder must not be taken for this one's.
    for stale in RESULTS {
        let _ = fs::remove_file(folder.join(stale));
    }
    // Real programs are told absolute paths.
    fs::canonicalize(&folder).with_context(|| format!("cannot find the run directory {}", folder.display()))
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    Ok(Destination::of_our_own(path).write(bytes)?)
}
