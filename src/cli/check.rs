//! `finrace check`: is this proxy safe in front of this server? For people, and for CI.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;

#[cfg(feature = "live")]
use crate::duration::format_duration;
use crate::duration::parse_duration;
#[cfg(feature = "live")]
use crate::products::Idle;
use crate::products::config::{self, Kind};
use crate::products::{self, Facing, PairVerdict, Party};
use crate::render::check_text;

use super::Exit;
use super::output::{self, Color};

/// Larger files are no configuration.
const LARGEST_FILE: u64 = 4 << 20;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each party is a product (aws-alb, express), a product with settings (nginx:keepalive_timeout=75s), an idle \
                  timeout (60s, never), a live server to probe (http://HOST:PORT/, as hop or backend), or a file: of nginx, \
                  HAProxy, Apache httpd, Gunicorn, Envoy (YAML) or Node.js. Where the name of a file does not tell, write \
                  nginx:FILE. A hop may have two timeouts, 75s/60s: the one to its clients and the one to its servers.\n\n\
                  Exit codes: 0 safe, 1 unsafe, 2 usage error or unreadable file, 3 a timer is not known."
)]
pub struct Args {
    /// The proxy or client that keeps connections and reuses them
    #[arg(long, value_name = "PARTY")]
    proxy: String,
    /// What stands between proxy and backend, in the order of a request (repeatable)
    #[arg(long, value_name = "PARTY")]
    hop: Vec<String>,
    /// The server that answers
    #[arg(long, value_name = "PARTY")]
    backend: String,
    /// The least margin that is safe: a round trip, and as far as both timers stray
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    margin: Duration,
    /// How long to wait for a live server to close an idle connection
    #[arg(long, value_name = "DURATION", default_value = "2min", value_parser = parse_duration)]
    max_wait: Duration,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = CheckFormat::Table)]
    format: CheckFormat,
}

/// How to print a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    /// For people
    Table,
    /// One JSON document
    Json,
}

/// Judges every two neighbours of the chain.
///
/// # Errors
/// A party is none, or its file cannot be read.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let mut parties = vec![party("--proxy", &args.proxy, Facing::Upstream, args.max_wait)?];
    for hop in &args.hop {
        parties.push(party("--hop", hop, Facing::Downstream, args.max_wait)?);
    }
    parties.push(party("--backend", &args.backend, Facing::Downstream, args.max_wait)?);
    let margin_ns = i64::try_from(args.margin.as_nanos()).context("the margin is too long")?;
    let pairs = products::chain(&parties, margin_ns);
    let verdict = pairs.iter().map(|pair| pair.verdict).max().unwrap_or(PairVerdict::Unknown);
    let text = match args.format {
        CheckFormat::Table => check_text::table(&parties, &pairs, verdict, output::text_options(color)),
        CheckFormat::Json => check_text::json(&parties, &pairs, verdict),
    };
    output::print(text.as_bytes())?;
    Ok(match verdict {
        PairVerdict::Safe => Exit::Clean,
        PairVerdict::Unsafe => Exit::Found,
        PairVerdict::Unknown => Exit::Inconclusive,
    })
}

/// What an argument stands for.
pub(super) fn party(option: &str, text: &str, faces: Facing, max_wait: Duration) -> anyhow::Result<Party> {
    if text.starts_with("http://") || text.starts_with("https://") {
        if faces == Facing::Upstream {
            bail!(
                "{option}: the idle timeout only of a server can be probed: give the proxy's name, file or timeout, \
                 which `finrace probe --upstream` measures"
            );
        }
        return live(text, max_wait).with_context(|| option.to_owned());
    }
    if let Some(party) = two_times(text) {
        return Ok(party);
    }
    let named = text.split_once(':').and_then(|(name, file)| Some((products::find(name)?, file)));
    if let Some((product, file)) = named.filter(|(_, file)| Path::new(file).is_file()) {
        let kind = Kind::of_product(product)
            .ok_or_else(|| anyhow!("{option}: no configuration file of {} can be read", product.name))?;
        return Ok(config::read(kind, file, &contents(option, file)?));
    }
    if Path::new(text).is_file() {
        let contents = contents(option, text)?;
        let kind = Kind::guess(text, &contents).ok_or_else(|| {
            anyhow!("{option}: {text} does not tell whose configuration it is: write nginx:{text}, or another product")
        })?;
        return Ok(config::read(kind, text, &contents));
    }
    if text.contains('/') && !text.contains('=') && products::find(text).is_none() {
        bail!("{option}: there is no file {text}");
    }
    Party::parse(text, faces).map_err(|error| anyhow!("{option}: {error}"))
}

/// A server that is asked itself.
#[cfg(feature = "live")]
fn live(url: &str, max_wait: Duration) -> anyhow::Result<Party> {
    use crate::probe::{self, Options, Target};

    let target: Target = url.parse().map_err(|error: String| anyhow!(error))?;
    let options = Options {
        target,
        method: "GET".to_owned(),
        connections: 3,
        max_wait,
        first_request: false,
        max_requests: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(probe::run(&options))?;
    let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
    let idle = match measured.idle_ns() {
        _ if !measured.response.keeps_alive => Some(Idle::NoKeepAlive),
        Some((least, most)) => Some(Idle::Closes { after_ns: signed(least), at_most_ns: signed(most) }),
        None => None,
    };
    let known_from = match idle {
        None => format!("open for longer than {}", format_duration(max_wait)),
        Some(Idle::NoKeepAlive) => "as its response says".to_owned(),
        Some(_) => format!("measured on {} connections", measured.samples.len()),
    };
    Ok(Party::measured(url, idle, known_from))
}

#[cfg(not(feature = "live"))]
fn live(url: &str, _max_wait: Duration) -> anyhow::Result<Party> {
    bail!("{url} cannot be probed: this finrace was built without the feature `live`")
}

/// `75s/60s`: to clients and to servers.
fn two_times(text: &str) -> Option<Party> {
    let (accepts, opens) = text.split_once('/')?;
    let (accepts, opens) = (Party::of_time(accepts).ok()?, Party::of_time(opens).ok()?);
    Some(Party {
        name: text.to_owned(),
        downstream: accepts.downstream,
        upstream: opens.upstream,
        through: None,
        warnings: Vec::new(),
    })
}

fn contents(option: &str, file: &str) -> anyhow::Result<String> {
    let size = fs::metadata(file).map(|about| about.len()).unwrap_or(0);
    if size > LARGEST_FILE {
        bail!("{option}: {file} is larger than {} MiB: that is no configuration", LARGEST_FILE >> 20);
    }
    let bytes = fs::read(file).with_context(|| format!("{option}: cannot read {file}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
