//! `finrace soak`: natural traffic through proxy and pool in the lab, beside what `odds` expects of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use crate::duration::{format_duration, parse_duration};
use crate::lab::scenario::{Backend, Overrides, Proxy, Reuse, Scenario, SendWhen, library};
use crate::lab::soak::Crowd;
use crate::odds::{Arrivals, arrival_times};
use crate::render::{odds_text::amount, soak_text};
use crate::report::Soak;

use super::odds::{PoolPolicy, Process};
use super::output::{self, Color};
use super::quantity::parse_rate;
use super::reproduce::{Ground, Lab, run_directory};
use super::soak_report::{Given, judge};
use super::{Exit, servers_folder};

/// Most requests of a soak: some two million packets at each end.
const MOST_REQUESTS: f64 = 200_000.0;
/// Most pools side by side.
const MOST_POOLS: u16 = 64;

/// How long the backend of the toys keeps idle connections: short, so that much is lost in little time.
const TOY_IDLE: Duration = Duration::from_millis(100);

/// Arguments of `soak`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without SCENARIO finrace's own proxy and backend take part, and the backend closes idle connections after \
                  100 ms. Of a scenario proxy, backend and wire count; what its wire holds or loses does not: nothing is forced.\n\n\
                  Exit codes: 0 the model lost as many of the same requests (or --no-odds), 1 it did not, 2 usage error, 3 the captures \
                  are not complete, or the machine was too busy."
)]
pub struct Args {
    /// Name of a built-in scenario (`finrace scenarios` lists them) or a file
    #[arg(value_name = "SCENARIO", conflicts_with_all = ["proxy", "backend"])]
    scenario: Option<String>,
    /// This proxy, instead of a scenario
    #[arg(long, value_name = "NAME")]
    proxy: Option<String>,
    /// In front of this server; with only one of the two, the other is a toy
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Requests that each pool sends: 20/s
    #[arg(long, value_name = "RATE", default_value = "20/s", value_parser = parse_rate)]
    rate: f64,
    /// How long requests come
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    length: Duration,
    /// Pools side by side, each with a port of the backend for itself; a real proxy has one
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_POOLS)))]
    pools: u16,
    /// How requests come
    #[arg(long, value_enum, default_value_t = Process::Poisson, value_name = "HOW")]
    arrivals: Process,
    /// Mean length of a burst, with --arrivals bursty
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    burst: Duration,
    /// Mean length of a pause between bursts
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_duration)]
    pause: Duration,
    /// Which idle connection a pool uses for the next request; of a real proxy, what the model is to assume
    #[arg(long, value_enum, default_value_t = PoolPolicy::Lifo, value_name = "POLICY")]
    pool: PoolPolicy,
    /// Idle connections that a pool of the toy proxy keeps at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    max_idle: Option<u16>,
    /// The pool does not look for a FIN before it uses a connection
    #[arg(long)]
    no_check: bool,
    /// The toy backend's time for an answer
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    response_time: Option<Duration>,
    /// How long the proxy keeps idle connections
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    proxy_idle: Option<Duration>,
    /// How long the backend keeps idle connections
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    backend_idle: Option<Duration>,
    /// One-way delay of the wire
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    delay: Option<Duration>,
    /// Seed of the arrivals: the same one makes requests due at the same moments
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// All users ask for the same page with the same bytes, so that a retry looks like anybody's request
    #[arg(long)]
    alike: bool,
    /// Do not ask the model
    #[arg(long)]
    no_odds: bool,
    /// Run directory for captures and tables
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = SoakFormat::Table)]
    format: SoakFormat,
}

/// How to print a soak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SoakFormat {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// Comma-separated values
    Csv,
}

/// Runs and judges a soak.
///
/// # Errors
/// The scenario cannot be used, the lab cannot be had, or a capture cannot be read.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    // Usage errors first: they need no lab.
    let scenario = scenario(args)?;
    let pools = match scenario.proxy {
        Proxy::Toy(_) => args.pools,
        Proxy::Program(_) => 1,
    };
    if matches!(scenario.backend, Backend::Program(_)) && pools > 1 {
        bail!("{} has one port: use --pools 1", scenario.backend.name());
    }
    let seconds = args.length.as_secs_f64();
    let expected = args.rate * seconds * f64::from(pools);
    if expected > MOST_REQUESTS {
        bail!(
            "about {} requests are too many for one soak: lower --rate, --for or --pools, to {} at most",
            amount(expected),
            amount(MOST_REQUESTS)
        );
    }
    let arrivals = match args.arrivals {
        Process::Poisson => Arrivals::Poisson { rate: args.rate },
        Process::Bursty => Arrivals::Bursty {
            rate: args.rate,
            on: args.burst.as_secs_f64().max(1e-3),
            off: args.pause.as_secs_f64(),
        },
    };
    let due: Vec<Vec<Duration>> = (0..u64::from(pools))
        .map(|pool| {
            // Pools next to each other must not be due at the same moments.
            let seed = args.seed.wrapping_mul(1_000).wrapping_add(pool);
            let times = arrival_times(&arrivals, seconds, MOST_REQUESTS as usize, seed);
            times.into_iter().map(Duration::from_secs_f64).collect()
        })
        .collect();
    let total: usize = due.iter().map(Vec::len).sum();
    let crowd = Crowd { due, alike: args.alike };

    let ground = Ground::enter(Lab::Wire)?;
    let folder = run_directory(args.out.as_deref(), "soak")?;
    super::reproduce::write(&folder.join("scenario.toml"), scenario.to_toml().as_bytes())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sent = Arc::new(AtomicU64::new(0));
    let soaked = runtime.block_on(async {
        let progress = tokio::spawn(show_progress(sent.clone(), total as u64));
        let soaked = soak(&ground, &scenario, crowd, (&folder, &servers_folder()), sent).await;
        progress.abort();
        soaked
    })?;
    let given = Given {
        scenario: &scenario,
        arrivals: &arrivals,
        policy: args.pool.into(),
        pools,
        seed: args.seed,
        odds: !args.no_odds,
        words: words(args, pools),
    };
    let judged = judge(&given, &soaked)?;
    super::reproduce::write(&folder.join("soak.json"), soak_text::json(&judged).as_bytes())?;
    let text = match args.format {
        SoakFormat::Table => {
            let page = soak_text::table(&judged, output::text_options(color));
            format!("{page}\nThe captures are in {}.\n", super::run_report::near(&folder))
        }
        SoakFormat::Json => soak_text::json(&judged),
        SoakFormat::Csv => soak_text::csv(&judged),
    };
    output::print(text.as_bytes())?;
    Ok(if !judged.complete || judged.requests == 0 {
        Exit::Inconclusive
    } else if agrees(&judged) {
        Exit::Clean
    } else if judged.quiet {
        Exit::Found
    } else {
        Exit::Inconclusive
    })
}

/// Whether the model lost as many of the requests that really came, or, where that could not be asked, of those that
/// were meant to.
fn agrees(soak: &Soak) -> bool {
    let by = |from: &str| soak.predictions.iter().find(|it| it.from == from);
    by("packets").or_else(|| by("settings")).is_none_or(|prediction| prediction.agree)
}

async fn soak(
    ground: &Ground,
    scenario: &Scenario,
    crowd: Crowd,
    folders: (&Path, &Path),
    sent: Arc<AtomicU64>,
) -> anyhow::Result<crate::lab::soak::Soaked> {
    match ground {
        Ground::Wire(entered) => {
            Ok(crate::lab::soak::run(scenario, crowd, folders, entered.stop, sent).await?)
        }
        Ground::Loopback => bail!("a soak needs the wire: `finrace doctor` says what it lacks here"),
    }
}

/// The scenario with what the command line changes, and nothing forced.
fn scenario(args: &Args) -> anyhow::Result<Scenario> {
    let toy = library::TOY;
    let mut scenario = match (&args.scenario, &args.proxy, &args.backend) {
        (Some(name), ..) if name.ends_with(".toml") || name.contains('/') => Scenario::load(Path::new(name))?,
        (Some(name), ..) => Scenario::builtin(name)?,
        (None, proxy, backend) => {
            Scenario::pair(proxy.as_deref().unwrap_or(toy), backend.as_deref().unwrap_or(toy))?
        }
    };
    let of_toys = args.scenario.is_none() && matches!(scenario.backend, Backend::Toy(_));
    scenario = scenario.with_overrides(&Overrides {
        proxy_idle: args.proxy_idle,
        backend_idle: args.backend_idle.or(of_toys.then_some(TOY_IDLE)),
        delay: args.delay,
        ..Overrides::default()
    })?;
    scenario.wire.hold.clear();
    scenario.wire.drop.clear();
    scenario.traffic.send_when = SendWhen::Idle;
    match &mut scenario.proxy {
        Proxy::Toy(toy) => {
            toy.reuse = match args.pool {
                PoolPolicy::Lifo => Reuse::Lifo,
                PoolPolicy::Fifo => Reuse::Fifo,
                PoolPolicy::Random => Reuse::Random,
            };
            toy.check_before_reuse &= !args.no_check;
            toy.max_idle = args.max_idle.map_or(toy.max_idle, usize::from);
        }
        Proxy::Program(_) if args.no_check || args.max_idle.is_some() => {
            bail!("--no-check and --max-idle change only the toy proxy")
        }
        Proxy::Program(_) => {}
    }
    match (&mut scenario.backend, args.response_time) {
        (Backend::Toy(toy), Some(time)) => toy.response_delay = time,
        (Backend::Program(_), Some(_)) => bail!("--response-time changes only the toy backend"),
        (_, None) => {}
    }
    Ok(scenario)
}

/// When requests are due, in words.
fn words(args: &Args, pools: u16) -> String {
    let how = match args.arrivals {
        Process::Poisson => "independently of each other (Poisson)".to_owned(),
        Process::Bursty => format!(
            "in bursts of {} on average, with pauses of {}",
            format_duration(args.burst),
            format_duration(args.pause)
        ),
    };
    let each = if pools == 1 { "" } else { " to each pool" };
    format!("{} a second{each}, {how}", amount(args.rate))
}

/// How far it is, on a terminal's standard error, until it is aborted.
async fn show_progress(sent: Arc<AtomicU64>, due: u64) {
    let bar = ProgressBar::new(due);
    // The template is checked by every run on a terminal; without one, nothing is drawn.
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos} of {len} requests sent, {eta} left") {
        bar.set_style(style);
    }
    loop {
        bar.set_position(sent.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
