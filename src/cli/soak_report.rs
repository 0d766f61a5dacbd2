//! A soak judged by its captures, and held against the model.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;

use crate::analysis::{self, Asked, Heard, Options};
use crate::capture::Reader;
use crate::lab::scenario::{Backend, Proxy, Retry, Scenario};
use crate::lab::soak::Soaked;
use crate::odds::{
    Arrivals, History, Plan, Policy, Responses, Samples, Setting, Size, Spread, closed_form,
    mean_and_deviation, replay, simulate, statistics::wilson,
};
use crate::packet::Endpoint;
use crate::report::{Cause, Report, SOAK_SCHEMA, Soak, SoakCause, SoakMeasured, SoakPrediction, SoakShare};

use super::odds::nanoseconds;
use super::run_report::{disagreements, party};

/// Causes that an idle timer makes, with the pool's share in them.
const OF_TIMERS: [Cause; 4] =
    [Cause::CrossedFin, Cause::UnreadRequest, Cause::DiscardedRequest, Cause::StaleReuse];
/// Requests that the model simulates.
const SIMULATED: u64 = 1_000_000;
/// How often the model meets the arrivals of the captures.
const REPLAYS: u32 = 20;
/// A machine is too busy for a soak when a packet's way is longer, or strays by more, than these shares of what it was set
/// to: the window is as wide as two ways.
const LATE: f64 = 0.25;
const STRAYS: f64 = 0.5;
/// Shorter ways than this, s, are not told apart from the machine's own speed.
const SHORTEST_WAY: f64 = 0.002;
/// Standard errors that may lie between model and measurement.
const AGREES_WITHIN: f64 = 3.0;

/// What a soak was told to do.
pub struct Given<'a> {
    pub scenario: &'a Scenario,
    pub arrivals: &'a Arrivals,
    pub policy: Policy,
    pub pools: u16,
    pub seed: u64,
    /// Ask the model.
    pub odds: bool,
    /// When requests were due, in words.
    pub words: String,
}

/// Judges the captures of a soak.
///
/// # Errors
/// When one of them cannot be read.
pub fn judge(given: &Given<'_>, soaked: &Soaked) -> anyhow::Result<Soak> {
    let Given { scenario, arrivals, policy, pools, seed, odds, words } = given;
    let [at_proxy, at_backend] = soaked.captures.as_slice() else {
        anyhow::bail!("the soak left no capture");
    };
    let open = |path: &std::path::Path| Reader::open(path).with_context(|| path.display().to_string());
    let report_of = |path| anyhow::Ok(analysis::analyze(vec![open(path)?], &Options::default()));
    let (report, other) = (report_of(&at_proxy.path)?, report_of(&at_backend.path)?);
    let traffic = Traffic {
        proxy: analysis::asked(open(&at_proxy.path)?, &[]),
        backend: analysis::asked(open(&at_backend.path)?, &[]),
    };
    let differing = disagreements(&report, &other).len().div_ceil(2);
    let requests = traffic.proxy.requests.len() as u64;
    let causes = causes(&report, requests);
    let of_timers = causes.iter().filter(|found| OF_TIMERS.contains(&found.cause));
    let lost = share(of_timers.map(|found| found.share.count).sum(), requests);
    let history = traffic.history();
    let measured = measured(&history, requests, soaked.elapsed.as_secs_f64(), *pools);
    let followed = report.incidents.iter().filter(|incident| incident.retry.is_some()).count();
    let mut notes = Vec::new();
    if differing > 0 {
        notes.push(format!(
            "The captures of both ends judge {differing} requests differently: they were held for so long that one end's times \
             fit another cause. The causes told are those of the proxy's capture."
        ));
    }
    if soaked.withheld > 0 {
        notes.push(format!(
            "{} requests that were due were not sent, because too many were under way: the machine is too slow for this rate.",
            soaked.withheld
        ));
    }
    let quiet = is_quiet(&measured, scenario.wire.delay.as_secs_f64());
    if !quiet {
        notes.push(
            "The machine was too busy: packets took longer, or strayed more, than the wire was set to. What differs here says \
             nothing of the model; run the soak again when the machine has less to do."
                .to_owned(),
        );
    }
    let mut predictions = Vec::new();
    if *odds && requests > 0 {
        let settings = setting(scenario, (*arrivals).clone(), *policy);
        match settings {
            Some(settings) => {
                let pools_lost = traffic.lost_by_pool(&report);
                let error = standard_error(&lost, requests, &pools_lost);
                predictions.push(by_settings(&settings, (&lost, error), *seed));
                if let Ok(closed) = closed_form(&settings) {
                    predictions.push(prediction("formula", (closed.lost, 0.0), (&lost, error)));
                    notes.extend(closed.leaves_out.map(|what| format!("The formula is a guess: {what}.")));
                }
                if followed == 0 {
                    predictions.push(by_packets(&settings, (&traffic, &history), (&lost, error), *seed));
                    let agree = |from: &str| predictions.iter().any(|it| it.from == from && it.agree);
                    if agree("packets") && !agree("settings") {
                        notes.push(
                            "Timers, delays or arrivals were not as they were set, which a busy machine does: with those that the \
                             packets show, the model agrees."
                                .to_owned(),
                        );
                    }
                } else {
                    notes.push(
                        "Lost requests were sent again, or equal ones followed, so that the packets do not tell which arrivals were users': the model \
                         was asked by the settings only."
                            .to_owned(),
                    );
                }
            }
            None => notes.push(
                "The scenario does not say after how long proxy and backend close idle connections: the model was not asked."
                    .to_owned(),
            ),
        }
    }
    Ok(Soak {
        schema: SOAK_SCHEMA,
        scenario: scenario.name.clone(),
        proxy: party(scenario.proxy.name(), soaked.versions.0.as_deref(), scenario.proxy.idle_timeout()),
        backend: party(
            scenario.backend.name(),
            soaked.versions.1.as_deref(),
            scenario.backend.idle_timeout(),
        ),
        delay_ns: nanoseconds(scenario.wire.delay.as_secs_f64()),
        pools: u32::from(*pools),
        pool: pool_in_words(scenario, *policy, *pools),
        arrivals: words.clone(),
        seed: *seed,
        elapsed_ns: nanoseconds(soaked.elapsed.as_secs_f64()),
        interrupted: soaked.interrupted,
        complete: soaked.complete,
        missing: soaked.missing.clone(),
        packets: at_proxy.packets,
        requests,
        answers: soaked.answers.clone(),
        causes,
        lost,
        measured,
        quiet,
        predictions,
        notes,
    })
}

fn is_quiet(measured: &SoakMeasured, delay: f64) -> bool {
    let set_ns = delay.max(SHORTEST_WAY) * 1e9;
    let within = |ns: Option<i64>, most: f64| ns.is_none_or(|ns| ns as f64 <= most * set_ns);
    within(measured.delay_ns, 1.0 + LATE) && within(measured.delay_spread_ns, STRAYS)
}

fn pool_in_words(scenario: &Scenario, policy: Policy, pools: u16) -> String {
    let which = match policy {
        Policy::Lifo => "uses the last connection first",
        Policy::Fifo => "uses the longest idle connection first",
        Policy::Random => "uses any idle connection",
    };
    let looks = match &scenario.proxy {
        Proxy::Toy(toy) if !toy.check_before_reuse => ", and does not look for a FIN",
        _ => "",
    };
    if pools == 1 {
        format!("its pool {which}{looks}")
    } else {
        format!("each of {pools} pools {which}{looks}")
    }
}

fn causes(report: &Report, requests: u64) -> Vec<SoakCause> {
    let mut counts: BTreeMap<Cause, u64> = BTreeMap::new();
    for incident in &report.incidents {
        *counts.entry(incident.cause).or_default() += 1;
    }
    counts.into_iter().map(|(cause, count)| SoakCause { cause, share: share(count, requests) }).collect()
}

fn share(count: u64, requests: u64) -> SoakShare {
    let (low, high) = wilson(count, requests);
    SoakShare { count, share: count as f64 / requests.max(1) as f64, low, high }
}

/// The setting as it was meant; none where a timer is not known.
fn setting(scenario: &Scenario, arrivals: Arrivals, policy: Policy) -> Option<Setting> {
    let (checks, max_idle, retry) = match &scenario.proxy {
        Proxy::Toy(toy) => (toy.check_before_reuse, toy.max_idle, toy.retry),
        Proxy::Program(_) => (true, 1024, Retry::Never),
    };
    let response = match &scenario.backend {
        Backend::Toy(toy) => toy.response_delay.as_secs_f64(),
        Backend::Program(_) => 0.0,
    };
    Some(Setting {
        arrivals,
        policy,
        size: Size::AsNeeded { max_idle: max_idle.max(1) },
        server: Spread::exactly(scenario.backend.idle_timeout()?.as_secs_f64()),
        proxy: Spread::exactly(scenario.proxy.idle_timeout()?.as_secs_f64()),
        delay: Spread::exactly(scenario.wire.delay.as_secs_f64()),
        responses: Responses::Constant(response),
        checks,
        retried: if retry.allows(&scenario.traffic.method) { 1.0 } else { 0.0 },
    })
}

/// The standard error of the measured share: that of independent requests, or that between pools where it is larger, as
/// losses that come in clusters make it.
fn standard_error(lost: &SoakShare, requests: u64, pools: &[f64]) -> f64 {
    let (low, high) = (lost.low, lost.high);
    let independent = (high - low) / 4.0;
    let (_, deviation) = mean_and_deviation(pools);
    let between = if pools.len() < 8 {
        0.0
    } else {
        // Of the sum over all pools, relative to all requests.
        deviation * (pools.len() as f64).sqrt() / requests as f64
    };
    independent.max(between)
}

fn prediction(
    from: &str,
    (share, error): (f64, f64),
    (lost, measured_error): (&SoakShare, f64),
) -> SoakPrediction {
    let both = (error.powi(2) + measured_error.powi(2)).sqrt();
    let apart = if both > 0.0 { (share - lost.share).abs() / both } else { 0.0 };
    SoakPrediction { from: from.to_owned(), share, error, apart, agree: apart <= AGREES_WITHIN }
}

fn by_settings(setting: &Setting, measured: (&SoakShare, f64), seed: u64) -> SoakPrediction {
    let simulated = simulate(setting, Plan { requests: SIMULATED, seed });
    prediction("settings", (simulated.lost, simulated.error / 2.0), measured)
}

/// The model meets the arrivals that the packets show, with the timers and delays that they show.
fn by_packets(
    setting: &Setting,
    (traffic, history): (&Traffic, &History),
    measured: (&SoakShare, f64),
    seed: u64,
) -> SoakPrediction {
    let (mut lost, mut variance) = (0.0, 0.0);
    let pools = traffic.arrivals();
    for (number, arrivals) in pools.iter().enumerate() {
        let replayed = replay(
            setting,
            history,
            arrivals,
            seed.wrapping_add(number as u64 * u64::from(REPLAYS)),
            REPLAYS,
        );
        lost += replayed.lost;
        variance += replayed.deviation.powi(2);
    }
    let requests = traffic.proxy.requests.len().max(1) as f64;
    prediction("packets", (lost / requests, variance.sqrt() / requests), measured)
}

/// What both ends' captures show of the requests.
struct Traffic {
    proxy: Heard,
    backend: Heard,
}

impl Traffic {
    /// Times of arrival in each pool, s from the first of all, in order: a pool is known by its backend's port.
    fn arrivals(&self) -> Vec<Vec<f64>> {
        let first = self.first_ns();
        let mut pools: BTreeMap<Endpoint, Vec<f64>> = BTreeMap::new();
        for asked in &self.proxy.requests {
            pools.entry(asked.server).or_default().push((asked.came_ns() - first) as f64 / 1e9);
        }
        pools.values_mut().for_each(|times| times.sort_by(f64::total_cmp));
        pools.into_values().collect()
    }

    /// Where the moments of the model begin.
    fn first_ns(&self) -> i64 {
        self.proxy.requests.iter().map(Asked::came_ns).min().unwrap_or(0)
    }

    /// Requests lost to timers, by pool.
    fn lost_by_pool(&self, report: &Report) -> Vec<f64> {
        let mut pools: BTreeMap<String, f64> =
            self.proxy.requests.iter().map(|asked| (asked.server.to_string(), 0.0)).collect();
        for incident in report.incidents.iter().filter(|incident| OF_TIMERS.contains(&incident.cause)) {
            *pools.entry(incident.server.clone()).or_default() += 1.0;
        }
        pools.into_values().collect()
    }

    fn history(&self) -> History {
        // The same connection at both ends; the same number of requests, or some were not captured.
        let mut there: HashMap<(Endpoint, Endpoint), Vec<&Asked>> = HashMap::new();
        for asked in &self.backend.requests {
            there.entry((asked.client, asked.server)).or_default().push(asked);
        }
        let mut here: BTreeMap<(Endpoint, Endpoint), Vec<&Asked>> = BTreeMap::new();
        for asked in &self.proxy.requests {
            here.entry((asked.client, asked.server)).or_default().push(asked);
        }
        let first = self.first_ns();
        let moment = |time_ns: i64| (time_ns - first) as f64 / 1e9;
        let (mut delays, mut responses) = (Vec::new(), Vec::new());
        for (ends, here) in &here {
            let Some(there) = there.get(ends).filter(|there| there.len() == here.len()) else { continue };
            for (sent, received) in here.iter().zip(there) {
                delays.push((moment(sent.sent_ns), (received.sent_ns - sent.sent_ns) as f64 / 1e9));
                let answered = received.answered_after_ns.map(|ns| ns as f64 / 1e9);
                responses.extend(answered.map(|answered| (moment(sent.sent_ns), answered)));
            }
        }
        let timers = self.backend.ends.iter();
        let timers =
            timers.map(|end| (moment(end.time_ns - end.idle_ns), end.idle_ns as f64 / 1e9)).collect();
        History {
            timers: Samples::new(timers),
            delays: Samples::new(delays),
            responses: Samples::new(responses),
        }
    }
}

fn measured(history: &History, requests: u64, seconds: f64, pools: u16) -> SoakMeasured {
    let spread = |samples: &Samples| {
        let values = samples.values();
        let (mean, deviation) = mean_and_deviation(&values);
        (!values.is_empty()).then(|| (nanoseconds(mean), nanoseconds(deviation)))
    };
    let (timer, delay) = (spread(&history.timers), spread(&history.delays));
    SoakMeasured {
        timer_ns: timer.map(|(mean, _)| mean),
        timer_spread_ns: timer.map(|(_, deviation)| deviation),
        timers: history.timers.values().len() as u64,
        delay_ns: delay.map(|(mean, _)| mean),
        delay_spread_ns: delay.map(|(_, deviation)| deviation),
        response_ns: spread(&history.responses).map(|(mean, _)| mean),
        rate_per_s: requests as f64 / seconds.max(1e-9) / f64::from(pools),
    }
}
