//! `finrace check`: is this proxy safe in front of this server? For people, and for CI.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;

use crate::duration::parse_duration;
use crate::products::{self, Facing, Pair, PairVerdict, Party};
use crate::render::check_text;

use super::Exit;
use super::found;
use super::output::{self, Color};
use super::party::{hop_faces, party};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each party is a product (aws-alb, express), a product with settings (nginx:keepalive_timeout=75s), an idle \
                  timeout (60s, 2m30s, never), a live server to probe (http://HOST:PORT/, as hop or backend), or a \
                  configuration file, recognised by what is in it; nginx:FILE says whose it is, and nginx@1.24:FILE of which \
                  release. A name means the side that matters: go as --proxy is its client, as --backend its server. A hop may \
                  have two timeouts, 75s/60s: the one to its clients and the one to its servers; or be a device that only \
                  forwards packets (aws-nlb, nat-gateway, azure-lb, kube-ipvs).\n\n\
                  Examples:\n  finrace check --proxy aws-alb --backend express\n  finrace check nginx.conf gunicorn.conf.py\n  \
                  finrace check deploy/\n  finrace check --proxy go --hop aws-nlb --backend app.js\n\n\
                  Exit codes: 0 safe, 1 unsafe, 2 usage error or unreadable file, 3 a timer is not known."
)]
pub struct Args {
    /// Configuration files, or a directory of them: which is the proxy and which the server is found out
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// The proxy or client that keeps connections and reuses them
    #[arg(long, value_name = "PARTY")]
    proxy: Option<String>,
    /// What stands between proxy and backend, in the order of a request (repeatable)
    #[arg(long, value_name = "PARTY")]
    hop: Vec<String>,
    /// The server that answers
    #[arg(long, value_name = "PARTY")]
    backend: Option<String>,
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
/// A party is none, its file cannot be read, or what was given makes no chain.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let margin_ns = i64::try_from(args.margin.as_nanos()).context("the margin is too long")?;
    let mut hops = Vec::new();
    for hop in &args.hop {
        hops.push(party("--hop", hop, hop_faces(hop), args.max_wait)?);
    }
    let given = |option, text: &Option<String>, faces| {
        text.as_ref().map(|text| party(option, text, faces, args.max_wait)).transpose()
    };
    let proxy = given("--proxy", &args.proxy, Facing::Upstream)?;
    let backend = given("--backend", &args.backend, Facing::Downstream)?;
    let (proxies, backends) = match (proxy, backend, args.files.is_empty()) {
        (Some(proxy), Some(backend), true) => (vec![proxy], vec![backend]),
        (Some(_), Some(_), false) => bail!("--proxy and --backend say both ends: leave the files out"),
        (None, None, true) => bail!(
            "give --proxy and --backend, two configuration files, or a directory: finrace check --proxy aws-alb --backend express"
        ),
        (Some(_), None, true) => bail!("--backend is missing: give the server that answers, or its file"),
        (None, Some(_), true) => bail!("--proxy is missing: give what keeps connections to it, or its file"),
        (proxy, backend, false) => found::ends(&args.files, proxy, backend)?,
    };
    let mut parties: Vec<Party> = Vec::new();
    let mut pairs: Vec<Pair> = Vec::new();
    for proxy in &proxies {
        for backend in &backends {
            let chain: Vec<Party> = [proxy].into_iter().chain(&hops).chain([backend]).cloned().collect();
            pairs.extend(products::chain(&chain, margin_ns).map_err(|error| anyhow!(error))?);
        }
    }
    parties.extend(proxies);
    parties.extend(hops);
    parties.extend(backends);
    pairs.dedup();
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
