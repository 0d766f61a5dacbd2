//! The arrivals of a capture, for `finrace odds --from`.

use std::path::Path;

use anyhow::{Context, bail};

use crate::analysis::{self, Asked};
use crate::capture::Reader;
use crate::odds::Arrivals;
use crate::render::odds_text::amount;

use super::ctrl_c;
use super::odds::Traffic;

/// Fewer requests are no pattern.
const FEWEST: usize = 20;

/// The arrivals at the server asked for, or at the only one. With a rate, their gaps are stretched to it.
///
/// # Errors
/// The capture cannot be read, or does not hold what was asked for.
pub fn traffic(file: &Path, server: Option<&str>, rate: Option<f64>) -> anyhow::Result<Traffic> {
    let interrupt = ctrl_c::interrupts_reading()?;
    let reader = Reader::open_with(file, &interrupt)?;
    let heard = analysis::asked(reader, &[]);
    if interrupt.is_raised() {
        bail!("the reading of {} was interrupted", file.display());
    }
    let mut servers: Vec<(String, Vec<&Asked>)> = Vec::new();
    for asked in &heard.requests {
        let name = asked.server.to_string();
        match servers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, requests)) => requests.push(asked),
            None => servers.push((name, vec![asked])),
        }
    }
    let names = || servers.iter().map(|(name, requests)| format!("{name} ({})", requests.len()));
    let (name, requests) = match (server, servers.as_slice()) {
        (_, []) => bail!("{} holds no request", file.display()),
        (Some(wanted), _) => servers.iter().find(|(name, _)| name == wanted).with_context(|| {
            format!(
                "{} holds no request to {wanted}; there are requests to {}",
                file.display(),
                names().take(MOST_NAMED).collect::<Vec<_>>().join(", ")
            )
        })?,
        (None, [only]) => only,
        (None, several) => bail!(
            "{} holds requests to {} servers: choose one with --server, of {}",
            file.display(),
            several.len(),
            names().take(MOST_NAMED).collect::<Vec<_>>().join(", ")
        ),
    };
    if requests.len() < FEWEST {
        bail!("{} holds {} requests to {name}: too few for a pattern", file.display(), requests.len());
    }
    let mut times: Vec<i64> = requests.iter().map(|asked| asked.came_ns()).collect();
    times.sort_unstable();
    let mut gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect();
    let seconds: f64 = gaps.iter().sum();
    if seconds <= 0.0 {
        bail!("all requests to {name} have the same time in {}", file.display());
    }
    let mut notes = Vec::new();
    if let Some(rate) = rate {
        let stretch = gaps.len() as f64 / seconds / rate;
        gaps.iter_mut().for_each(|gap| *gap *= stretch);
        notes.push(format!(
            "The times between requests were stretched by {} to come to the rate given.",
            amount(stretch)
        ));
    }
    let idle: Vec<f64> =
        requests.iter().filter_map(|asked| asked.idle_ns).map(|ns| ns as f64 / 1e9).collect();
    let longest = idle.iter().copied().fold(0.0, f64::max);
    if !idle.is_empty() {
        notes.push(format!(
            "In the capture, {} of {} requests to {name} used a connection again, after at most {} s of idleness.",
            amount(idle.len() as f64),
            amount(requests.len() as f64),
            amount(longest)
        ));
    }
    if heard.incomplete {
        notes.push(
            "The capture holds more connections or requests than are kept: the first ones count.".to_owned(),
        );
    }
    Ok(Traffic { arrivals: Arrivals::Observed { gaps: gaps.into() }, idle, notes })
}

/// Servers named in a message.
const MOST_NAMED: usize = 6;
