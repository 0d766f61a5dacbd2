//! `finrace odds`: how many requests a day the race costs, and what each change would make of it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;

use crate::duration::{format_duration, parse_duration};
use crate::odds::{
    self, Agreement, Arrivals, Assessed, ChangeKind, DAY, Fate, Plan, Policy, Responses, Setting, Size,
    Spread,
};
use crate::products::{Facing, Idle, IdleTimer};
use crate::render::odds_text;
use crate::report::{ODDS_SCHEMA, Odds, OddsChange, OddsTimer};

use super::Exit;
use super::output::{self, Color};
use super::party;
use super::quantity::{parse_rate, parse_share};

/// Requests simulated for each line unless told otherwise: at least, and at most, as long as that lets every timer fire
/// some ten times.
const REQUESTS: (u64, u64) = (2_000_000, 5_000_000);
/// Most requests to simulate for each line.
const MOST_REQUESTS: u64 = 1_000_000_000;

/// Arguments of `odds`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "PARTY is a product (aws-alb, express), a product with settings (nginx:keepalive_timeout=75s), an idle timeout \
                  (60s, never), or a configuration file, as for `finrace check`.\n\n\
                  Exit codes: 0 no more failures than --at-most, 1 more, 2 usage error or unreadable file, 3 a timer is not \
                  known, or nothing was lost in too short a simulation. The model, its formulas and where it fails: docs/model.md."
)]
pub struct Args {
    /// Requests that one pool sends to one server: 50/s, 3000/min, 5M/day
    #[arg(long, value_name = "RATE", value_parser = parse_rate, required_unless_present = "from")]
    rate: Option<f64>,
    /// The proxy or client that keeps connections and reuses them
    #[arg(long, value_name = "PARTY")]
    proxy: String,
    /// The server that answers
    #[arg(long, value_name = "PARTY")]
    backend: String,
    /// Time that a packet takes from proxy to server
    #[arg(long, value_name = "TIME", default_value = "500us", value_parser = parse_duration)]
    delay: Duration,
    /// Standard deviation of that time
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = parse_duration)]
    delay_spread: Duration,
    /// Standard deviation of the proxy's timer
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    proxy_spread: Option<Duration>,
    /// Standard deviation of the server's timer
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    backend_spread: Option<Duration>,
    /// The server's time for an answer, on average
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = parse_duration)]
    response_time: Duration,
    /// How that time is distributed
    #[arg(long, value_enum, default_value_t = Shape::Exponential, value_name = "SHAPE")]
    response_shape: Shape,
    /// Which idle connection the pool uses for the next request
    #[arg(long, value_enum, default_value_t = PoolPolicy::Lifo, value_name = "POLICY")]
    pool: PoolPolicy,
    /// Connections that the pool keeps open, whether it needs them or not [default: it opens one only when none is idle]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "max_idle")]
    connections: Option<u16>,
    /// Idle connections that the pool keeps at most
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..))]
    max_idle: u16,
    /// The pool does not look for a FIN before it uses a connection
    #[arg(long)]
    no_check: bool,
    /// How requests come
    #[arg(long, value_enum, default_value_t = Process::Poisson, value_name = "HOW")]
    arrivals: Process,
    /// Mean length of a burst, with --arrivals bursty
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    burst: Duration,
    /// Mean length of a pause between bursts
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_duration)]
    pause: Duration,
    /// Share of the requests that may be sent twice (GET, HEAD, PUT, DELETE)
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    idempotent: Option<f64>,
    /// Take the arrivals from a capture, at the proxy or at the server
    #[arg(long, value_name = "FILE", conflicts_with = "arrivals")]
    from: Option<PathBuf>,
    /// Which server's, where the capture holds several
    #[arg(long, value_name = "ADDRESS:PORT", requires = "from")]
    server: Option<String>,
    /// Requests to simulate for each line
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=MOST_REQUESTS))]
    requests: Option<u64>,
    /// Seed of the simulation: the same one gives the same numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Failures a day that are acceptable, for the exit code
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    at_most: f64,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = OddsFormat::Table)]
    format: OddsFormat,
}

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Process {
    /// Independently of each other
    Poisson,
    /// In bursts with pauses between them
    Bursty,
}

/// How the time for an answer is distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Short ones often, long ones seldom
    Exponential,
    /// Always the same
    Constant,
}

/// Which idle connection is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PoolPolicy {
    /// The one used last
    Lifo,
    /// The one idle longest
    Fifo,
    /// Any
    Random,
}

impl From<PoolPolicy> for Policy {
    fn from(policy: PoolPolicy) -> Policy {
        match policy {
            PoolPolicy::Lifo => Policy::Lifo,
            PoolPolicy::Fifo => Policy::Fifo,
            PoolPolicy::Random => Policy::Random,
        }
    }
}

/// How to print odds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OddsFormat {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// Comma-separated values, one line for each change
    Csv,
    /// A Markdown table
    Markdown,
}

/// Computes and prints.
///
/// # Errors
/// A party is none, a file cannot be read, or the numbers do not fit together.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let timer = |option: &str, text: &str, faces: Facing| -> anyhow::Result<(String, IdleTimer)> {
        if text.starts_with("http://") || text.starts_with("https://") {
            bail!("{option}: measure a live server with `finrace probe {text}` and give the time here");
        }
        let party = party::party(option, text, faces, Duration::ZERO)?;
        let timer = match faces {
            Facing::Upstream => party.upstream,
            Facing::Downstream | Facing::Through => party.downstream,
        };
        Ok((party.name, timer))
    };
    let (proxy_name, proxy) = timer("--proxy", &args.proxy, Facing::Upstream)?;
    let (server_name, server) = timer("--backend", &args.backend, Facing::Downstream)?;
    for (option, name, timer) in [("--proxy", &proxy_name, &proxy), ("--backend", &server_name, &server)] {
        match timer.idle {
            None => {
                output::complain(&format!(
                    "{option}: after how long {name} closes an idle connection is not known ({}): give the time instead",
                    timer.known_from
                ));
                return Ok(Exit::Inconclusive);
            }
            Some(Idle::NoKeepAlive) => {
                bail!(
                    "{option}: {name} keeps no connection after a response, so no request can meet its close"
                )
            }
            Some(_) => {}
        }
    }
    let Traffic { arrivals, idle, mut notes } = traffic(args)?;
    let setting = Setting {
        arrivals,
        policy: args.pool.into(),
        size: match args.connections {
            Some(number) => Size::Kept(usize::from(number)),
            None => Size::AsNeeded { max_idle: usize::from(args.max_idle) },
        },
        server: spread(&server, args.backend_spread),
        proxy: spread(&proxy, args.proxy_spread),
        delay: Spread { mean: args.delay.as_secs_f64(), deviation: args.delay_spread.as_secs_f64() },
        responses: match args.response_shape {
            Shape::Exponential => Responses::Exponential(args.response_time.as_secs_f64()),
            Shape::Constant => Responses::Constant(args.response_time.as_secs_f64()),
        },
        checks: !args.no_check,
        retried: 0.0,
    };
    setting.validate().context("the odds cannot be computed")?;
    for (name, timer) in [(&proxy_name, &proxy), (&server_name, &server)] {
        notes.extend(range(name, timer));
    }
    notes.extend(in_window(&setting, &idle));
    let plan = Plan { requests: args.requests.unwrap_or_else(|| enough(&setting)), seed: args.seed };
    let assessed = odds::assess_all(&setting, args.idempotent, plan);
    let mut odds = Odds {
        schema: ODDS_SCHEMA,
        rate_per_s: setting.arrivals.rate(),
        arrivals: arrivals_in_words(&setting, args),
        proxy: told(&proxy_name, &proxy, setting.proxy),
        server: told(&server_name, &server, setting.server),
        delay_ns: nanoseconds(setting.delay.mean),
        delay_spread_ns: nanoseconds(setting.delay.deviation),
        response_ns: nanoseconds(setting.responses.mean()),
        connections: assessed.first().and_then(|now| now.simulated).map(|simulated| simulated.connections),
        pool: String::new(),
        changes: assessed.iter().map(|it| line(it, &setting)).collect(),
        requests_simulated: assessed.first().and_then(|now| now.simulated).map_or(0, |it| it.requests),
        seed: args.seed,
        notes,
    };
    odds.pool = pool_in_words(&setting, odds.connections);
    if odds.changes.iter().any(|change| change.at_most) {
        odds.notes.push(
            "Sent again on a new connection, only those requests still fail that must not be sent twice (POST, PATCH): with \
             --idempotent SHARE the line says how many."
                .to_owned(),
        );
    }
    if odds.changes.len() == 1 {
        odds.notes.push(REMAINS.to_owned());
    }
    let text = match args.format {
        OddsFormat::Table => odds_text::table(&odds, output::text_options(color)),
        OddsFormat::Json => odds_text::json(&odds),
        OddsFormat::Csv => odds_text::csv(&odds),
        OddsFormat::Markdown => odds_text::markdown(&odds),
    };
    output::print(text.as_bytes())?;
    let (failing, error) =
        odds.changes.first().map_or((0.0, 0.0), |now| (now.failing_per_day, now.error_per_day));
    Ok(if failing > args.at_most {
        Exit::Found
    } else if failing == 0.0 && error > args.at_most {
        Exit::Inconclusive
    } else {
        Exit::Clean
    })
}

/// What the timers do not say.
const REMAINS: &str = "What remains are closes that no idle timer makes: restarts and deployments of the server, its limit on \
                       requests of a connection, and firewalls or load balancers between that forget idle connections.";

/// When requests come.
pub(super) struct Traffic {
    /// For the model.
    pub arrivals: Arrivals,
    /// How long connections of a capture had been idle when a request used them again, s.
    pub idle: Vec<f64>,
    /// What to know of it.
    pub notes: Vec<String>,
}

fn traffic(args: &Args) -> anyhow::Result<Traffic> {
    if let Some(file) = &args.from {
        return super::odds_from::traffic(file, args.server.as_deref(), args.rate);
    }
    let rate = args.rate.ok_or_else(|| anyhow!("--rate is missing"))?;
    let arrivals = match args.arrivals {
        Process::Poisson => Arrivals::Poisson { rate },
        Process::Bursty => {
            let (on, off) = (args.burst.as_secs_f64(), args.pause.as_secs_f64());
            Arrivals::Bursty { rate, on, off }
        }
    };
    Ok(Traffic { arrivals, idle: Vec::new(), notes: Vec::new() })
}

/// A timer as the model takes it. Between the earliest and the latest close every time is as likely.
fn spread(timer: &IdleTimer, deviation: Option<Duration>) -> Spread {
    let (mean, own) = match timer.idle {
        Some(Idle::Closes { after_ns, at_most_ns }) => {
            let (after, at_most) = (after_ns as f64 / 1e9, at_most_ns as f64 / 1e9);
            (f64::midpoint(after, at_most), (at_most - after) / 12f64.sqrt())
        }
        _ => (f64::INFINITY, 0.0),
    };
    Spread { mean, deviation: deviation.map_or(own, |given| given.as_secs_f64()) }
}

/// As many requests as let the shorter timer fire some ten times in each thirtieth of the simulation.
fn enough(setting: &Setting) -> u64 {
    let shorter = setting.server.mean.min(setting.proxy.mean);
    let wanted = 300.0 * shorter * setting.arrivals.rate();
    // Saturates where no timer ever fires.
    (wanted as u64).clamp(REQUESTS.0, REQUESTS.1)
}

fn told(name: &str, timer: &IdleTimer, spread: Spread) -> OddsTimer {
    // A time alone has no name.
    let name = if parse_duration(name).is_ok() || name == "never" { "" } else { name };
    OddsTimer {
        name: name.to_owned(),
        idle_ns: spread.mean.is_finite().then(|| nanoseconds(spread.mean)),
        spread_ns: nanoseconds(spread.deviation),
        known_from: timer.known_from.clone(),
    }
}

/// What is made of a timer of which only a range is known.
fn range(name: &str, timer: &IdleTimer) -> Option<String> {
    match timer.idle {
        Some(Idle::Closes { after_ns, at_most_ns }) if after_ns < at_most_ns => Some(format!(
            "{name} closes after {} to {}, depending on release and circumstances: all of it is taken as equally likely. A time \
             that was measured (`finrace probe`) gives a better answer.",
            odds_text::length(after_ns),
            odds_text::length(at_most_ns)
        )),
        _ => None,
    }
}

/// How many of the idle times that a capture shows lie where a request is lost.
fn in_window(setting: &Setting, idle: &[f64]) -> Option<String> {
    if idle.is_empty() {
        return None;
    }
    let fate = Fate::of(setting);
    let expected: f64 = idle.iter().map(|idle| fate.lost(*idle)).sum();
    Some(format!(
        "By the model, {} of these {} requests would have been lost after the idle times that the capture shows.",
        odds_text::amount(expected),
        odds_text::amount(idle.len() as f64)
    ))
}

pub(super) fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}

fn arrivals_in_words(setting: &Setting, args: &Args) -> String {
    let rate = setting.arrivals.rate();
    let how = match &setting.arrivals {
        Arrivals::Poisson { .. } => "independently of each other (Poisson)".to_owned(),
        Arrivals::Bursty { .. } => format!(
            "in bursts of {} on average, with pauses of {}",
            format_duration(args.burst),
            format_duration(args.pause)
        ),
        Arrivals::Observed { gaps } => {
            format!("as {} requests of the capture did", odds_text::amount(gaps.len() as f64 + 1.0))
        }
    };
    format!("{} a second, {} a day, {how}", odds_text::amount(rate), odds_text::amount(rate * DAY))
}

fn pool_in_words(setting: &Setting, connections: Option<f64>) -> String {
    let policy = match setting.policy {
        Policy::Lifo => "the one used last first",
        Policy::Fifo => "the one idle longest first",
        Policy::Random => "any of them next",
    };
    let looks = if setting.checks { "looks for a FIN before it sends" } else { "does not look for a FIN" };
    let size = match setting.size {
        Size::Kept(number) => format!("keeps {number} connections open"),
        Size::AsNeeded { .. } => {
            let held = connections
                .map_or(String::new(), |number| format!(", {} on average", odds_text::amount(number)));
            format!("opens a connection when none is idle{held}")
        }
    };
    format!("{size}; {policy}; {looks}")
}

/// One line of the answer.
fn line(assessed: &Assessed, before: &Setting) -> OddsChange {
    let (change, what) = change_in_words(assessed, before);
    let (failing, error) = assessed.failing();
    let a_day = assessed.change.setting.arrivals.rate() * DAY;
    let seen = 1.0 - assessed.change.setting.retried;
    let method = match (assessed.simulated, assessed.by_formula()) {
        (None, _) => "window",
        (Some(_), Some(_)) => "formula",
        (Some(_), None) => "simulation",
    };
    let formula_note = match assessed.closed {
        Err(why) => Some(why.sentence().to_owned()),
        Ok(closed) => closed.leaves_out.map(str::to_owned),
    };
    OddsChange {
        change: change.to_owned(),
        what,
        failing_per_day: failing * a_day,
        error_per_day: error * a_day,
        one_in: (failing > 0.0).then(|| 1.0 / failing),
        at_most: assessed.change.kind == ChangeKind::Retry(None),
        method: method.to_owned(),
        formula_per_day: assessed.closed.ok().map(|closed| closed.lost * seen * a_day),
        simulation_per_day: assessed.simulated.map(|simulated| simulated.lost * seen * a_day),
        simulation_error_per_day: assessed.simulated.map(|simulated| simulated.error * seen * a_day),
        agree: match assessed.agreement {
            Agreement::Agree => Some(true),
            Agreement::Differ => Some(false),
            Agreement::One => None,
        },
        formula_note,
    }
}

fn change_in_words(assessed: &Assessed, before: &Setting) -> (&'static str, String) {
    let time = |seconds: f64| odds_text::length(nanoseconds(seconds));
    match assessed.change.kind {
        ChangeKind::AsIs => ("as-is", "as it is".to_owned()),
        ChangeKind::ServerTimer(to) => ("server-timer", format!("server's timer {}", time(to))),
        ChangeKind::ProxyTimer(to) => ("proxy-timer", format!("proxy's timer {}", time(to))),
        ChangeKind::Check => ("check", "look for a FIN first".to_owned()),
        ChangeKind::Retry(Some(share)) => {
            ("retry", format!("send again ({} %)", odds_text::amount(share * 100.0)))
        }
        ChangeKind::Retry(None) => ("retry", "send again".to_owned()),
        ChangeKind::Pool(to) => match before.size {
            Size::Kept(from) => ("pool", format!("{to} connections, not {from}")),
            Size::AsNeeded { .. } => ("pool", format!("keep {to} idle at most")),
        },
        ChangeKind::LastUsedFirst => ("last-used-first", "last used first".to_owned()),
    }
}
