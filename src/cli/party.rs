//! What an argument stands for: a product, a time, a configuration file, a live server.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

#[cfg(feature = "live")]
use crate::duration::format_duration;
#[cfg(feature = "live")]
use crate::products::Idle;
use crate::products::config::{self, Kind, Part, Said, Version};
use crate::products::{self, Facing, Party, Product};

/// A middlebox is seen from within, every other hop by its clients first.
pub(super) fn hop_faces(text: &str) -> Facing {
    let name = text.split_once(':').map_or(text, |(name, _)| name);
    match products::find_facing(name, Facing::Through) {
        Some(_) => Facing::Through,
        None => Facing::Downstream,
    }
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
    let at = |error: String| anyhow!("{option}: {error}");
    if let Some((said, file)) = named_file(text).map_err(at)? {
        return one(config_parts(file, said).map_err(at)?, file, faces).map_err(at);
    }
    if Path::new(text).exists() {
        return one(config_parts(text, Said::default()).map_err(at)?, text, faces).map_err(at);
    }
    if text.contains('/') && !text.contains('=') && products::find_facing(text, faces).is_none() {
        bail!("{option}: there is no file {text}");
    }
    Party::parse(text, faces).map_err(at)
}

/// `nginx:FILE` and `nginx@1.24:FILE`: whose file it is, and which release reads it.
fn named_file(text: &str) -> Result<Option<(Said, &str)>, String> {
    let Some((name, file)) = text.split_once(':') else {
        return match text.split_once('@') {
            Some((name, version)) if products::find(name).is_some() && version.parse::<Version>().is_ok() => {
                Err(format!("which release it is matters with a file only: write {text}:FILE"))
            }
            _ => Ok(None),
        };
    };
    let (name, version) = name.split_once('@').map_or((name, None), |(name, version)| (name, Some(version)));
    let Some(product) = products::find(name).filter(|_| Path::new(file).exists()) else {
        return match version {
            Some(_) if products::find(name).is_some() => Err(format!("there is no file {file}")),
            _ => Ok(None),
        };
    };
    let version = version.map(str::parse::<Version>).transpose()?;
    Ok(Some((Said { kind: Some(kind_of(product)?), version }, file)))
}

fn kind_of(product: &Product) -> Result<Kind, String> {
    Kind::of_product(product).ok_or_else(|| {
        format!("no configuration file of {} can be read; known are {}", product.name, config::KNOWN)
    })
}

/// The parties that a file configures.
pub(super) fn config_parts(file: &str, said: Said) -> Result<Vec<Part>, String> {
    if Path::new(file).is_dir() {
        return Err(format!("{file} is a directory: give it without an option, and what is in it is found"));
    }
    config::read(file, &config::text_of(Path::new(file))?, said)
}

/// The one party of a file that can stand there.
fn one(mut parts: Vec<Part>, file: &str, faces: Facing) -> Result<Party, String> {
    let single = parts.len() == 1;
    let stands = |part: &Part| match faces {
        // A file that sets nothing for servers still belongs to something that may be a proxy.
        Facing::Upstream => part.opens || (single && part.party.upstream.idle.is_some()),
        Facing::Downstream | Facing::Through => part.accepts,
    };
    let all = names(&parts);
    parts.retain(stands);
    if faces == Facing::Downstream && parts.iter().any(|part| !part.opens) {
        parts.retain(|part| !part.opens);
    }
    let what = if faces == Facing::Upstream { "opens connections to servers" } else { "accepts connections" };
    match parts.len() {
        1 => Ok(parts.remove(0).party),
        0 => Err(format!("{file}: nothing in it {what} as far as is known here: {all}")),
        _ => Err(format!(
            "{file}: {} of what is in it can stand there: {}; give one of them alone",
            parts.len(),
            names(&parts)
        )),
    }
}

pub(super) fn names(parts: &[Part]) -> String {
    parts.iter().map(|part| part.party.name.as_str()).collect::<Vec<_>>().join(", ")
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
