//! A sweep, judged by its captures and told: the map of the window, and the files beside it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::analysis::{self, Instants, Options};
use crate::capture::Reader;
use crate::destination::Destination;
use crate::lab::scenario::Scenario;
use crate::lab::sweep::{Attempt, Ending, Plan, Settings, Swept};
use crate::odds::map::{self, Fate, Sample};
use crate::odds::statistics::quantile;
use crate::render::{TextOptions, window};
use crate::report::sweep::{Lateness, SWEEP_SCHEMA_VERSION, Sweep, SweepAttempt, SweepCounts, SweepLimits};
use crate::report::{Cause, Party};

use super::run_report::{near, party};

/// Lost requests without a proven cause that are named one by one.
const NAMED: usize = 3;

/// A sweep with everything that is said about it.
pub struct SweepReport {
    sweep: Sweep,
    attempts: Vec<SweepAttempt>,
    folder: PathBuf,
    /// Name and meaning of each file of the run.
    files: Vec<(String, String)>,
    unwritten: Vec<anyhow::Error>,
}

/// What the packets say of one connection.
#[derive(Debug, Clone, Copy, Default)]
struct Proven {
    idle_ns: Option<i64>,
    response_ns: Option<i64>,
    timer_ns: Option<i64>,
    handshake_ns: Option<i64>,
    /// By the capture of the client's host and of the server's.
    causes: [Option<Cause>; 2],
}

impl SweepReport {
    /// Judges the captures of a sweep in the lab, and writes the map into its folder.
    ///
    /// # Errors
    /// When a capture of the run cannot be read, or a picture cannot be drawn.
    pub fn of_lab(
        scenario: &Scenario,
        lab: &str,
        settings: &Settings,
        folder: &Path,
        swept: &Swept,
    ) -> anyhow::Result<SweepReport> {
        let proven = proven(swept)?;
        let (name, idle) = (scenario.backend.name(), scenario.backend.idle_timeout());
        let backend = party(name, swept.version.as_deref(), idle);
        let mut report = SweepReport::new(backend, settings, folder, swept, Some(&proven));
        report.sweep.place = lab.to_owned();
        report.sweep.delay_ns = (lab == "wire").then(|| nanoseconds(scenario.wire.delay));
        report.write_files(swept)?;
        report.list("scenario.toml", "the scenario whose backend was swept");
        Ok(report)
    }

    /// Writes the map of a server that ran already into its folder.
    ///
    /// # Errors
    /// When no connection could be used, or a picture cannot be drawn.
    pub fn of_live(
        url: &str,
        settings: &Settings,
        folder: &Path,
        swept: &Swept,
    ) -> anyhow::Result<SweepReport> {
        let mut report = SweepReport::new(party(url, None, None), settings, folder, swept, None);
        let counts = &report.sweep.counts;
        if counts.connections > 0 && counts.unusable == counts.connections {
            let reason = report.attempts.first().map_or("", |attempt| &attempt.detail);
            anyhow::bail!("{url} left no connection to be used again: {reason}");
        }
        report.sweep.place = "live".to_owned();
        report.write_files(swept)?;
        Ok(report)
    }

    fn new(
        backend: Party,
        settings: &Settings,
        folder: &Path,
        swept: &Swept,
        proven: Option<&[Proven]>,
    ) -> SweepReport {
        let attempts: Vec<SweepAttempt> = swept
            .attempts
            .iter()
            .enumerate()
            .map(|(index, attempt)| judge(attempt, proven.and_then(|proven| proven.get(index))))
            .collect();
        let samples: Vec<Sample> = attempts.iter().filter_map(sample).collect();
        let closes_ns = closes(&attempts, settings.watched_first);
        let handshake = |(index, attempt): (usize, &Attempt)| match proven {
            Some(proven) => proven.get(index).and_then(|it| it.handshake_ns),
            None => attempt.handshake.map(nanoseconds),
        };
        let mut handshakes: Vec<i64> = swept.attempts.iter().enumerate().filter_map(handshake).collect();
        handshakes.sort_unstable();
        let rtt_ns = quantile(&handshakes, 0.5);
        let map = map::map(&samples, &closes_ns, rtt_ns, settings.seed);
        let mut by_cause: BTreeMap<Cause, u64> = BTreeMap::new();
        for cause in attempts.iter().filter_map(|attempt| attempt.cause) {
            *by_cause.entry(cause).or_default() += 1;
        }
        let precise = settings.precision.map(|wanted| {
            let wanted = nanoseconds(wanted);
            map.window.is_some_and(|it| {
                [it.opens, it.closes]
                    .iter()
                    .all(|edge| edge.high_ns - edge.at_ns <= wanted && edge.at_ns - edge.low_ns <= wanted)
            })
        });
        let sweep = Sweep {
            schema: SWEEP_SCHEMA_VERSION,
            backend,
            place: String::new(),
            delay_ns: None,
            rtt_ns,
            by_packets: proven.is_some(),
            seed: settings.seed,
            limits: SweepLimits {
                attempts: settings.attempts.into(),
                connections: settings.connections as u64,
                rate: settings.rate,
                time_ns: nanoseconds(settings.max_time),
                precision_ns: settings.precision.map(nanoseconds),
            },
            elapsed_ns: nanoseconds(swept.elapsed),
            side_by_side: swept.side_by_side as u64,
            interrupted: swept.interrupted,
            precise,
            complete: proven.is_some().then_some(swept.complete),
            notes: notes(swept, settings, &attempts),
            counts: counts(&attempts),
            by_cause,
            timer: map::timer(&closes_ns),
            lateness: lateness(swept),
            window: map.window,
            expected: map.expected,
            bins: map.bins,
        };
        SweepReport { sweep, attempts, folder: folder.to_owned(), files: Vec::new(), unwritten: Vec::new() }
    }

    /// Both edges are known, as well as was asked, and nobody ended the sweep.
    pub fn measured(&self) -> bool {
        let sweep = &self.sweep;
        sweep.window.is_some()
            && !sweep.interrupted
            && sweep.precise != Some(false)
            && sweep.complete != Some(false)
    }

    /// Why files are missing, each in a sentence; a full disk, say.
    pub fn unwritten(&self) -> &[anyhow::Error] {
        &self.unwritten
    }

    /// The whole answer as text.
    pub fn page(&self, options: TextOptions) -> String {
        window::text::page(&self.sweep, (&near(&self.folder), &self.files), options)
    }

    /// The whole answer as JSON.
    pub fn json(&self) -> String {
        window::json(&self.sweep)
    }

    /// The shares as CSV.
    pub fn csv(&self) -> String {
        window::csv::bins(&self.sweep)
    }

    fn write_files(&mut self, swept: &Swept) -> anyhow::Result<()> {
        for capture in &swept.captures {
            let host = match capture.path.file_stem().and_then(|stem| stem.to_str()) {
                Some("edge") => "as seen on the client's host",
                Some("origin") => "as seen on the backend's host",
                _ => "as seen on the loopback device",
            };
            let name = capture.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.list(&name, &format!("{} packets {host}", capture.packets));
        }
        if let Some(svg) = window::svg(&self.sweep).map_err(|error| anyhow::anyhow!("{error}"))? {
            let png = crate::render::ladder::png(&svg)?;
            self.write("window.svg", svg.as_bytes(), "the map of the window; light or dark as the viewer is");
            self.write("window.png", &png, "the same picture for a slide or a chat");
        }
        self.write(
            "window.csv",
            window::csv::bins(&self.sweep).as_bytes(),
            "the shares lost over idle times",
        );
        self.write(
            "attempts.csv",
            window::csv::attempts(&self.attempts).as_bytes(),
            "every connection: its idle time, what became of it, its cause",
        );
        self.write("sweep.json", window::json(&self.sweep).as_bytes(), "all of this for programs");
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8], what: &str) {
        let path = self.folder.join(name);
        let place =
            || format!("cannot write {}: make room there, or name another folder with --out", path.display());
        match Destination::of_our_own(&path).write(bytes).with_context(place) {
            Ok(()) => self.list(name, what),
            Err(error) => self.unwritten.push(error),
        }
    }

    fn list(&mut self, name: &str, what: &str) {
        self.files.push((name.to_owned(), what.to_owned()));
    }
}

/// What the captures say of each attempt, in their order. A port may be used by more than one connection of a sweep, one
/// after the other.
fn proven(swept: &Swept) -> anyhow::Result<Vec<Proven>> {
    let mut proven = vec![Proven::default(); swept.attempts.len()];
    for (side, capture) in swept.captures.iter().take(2).enumerate() {
        let reader = Reader::open(&capture.path)?;
        let report = analysis::analyze(vec![reader], &Options::default());
        let mut causes: HashMap<&str, Vec<(i64, Cause)>> = HashMap::new();
        for incident in &report.incidents {
            causes.entry(&incident.client).or_default().push((incident.time_ns, incident.cause));
        }
        let mut by_port: HashMap<SocketAddr, std::collections::VecDeque<Instants>> = HashMap::new();
        for instants in analysis::instants(&capture.path)? {
            let client = SocketAddr::new(instants.client.ip(), instants.client.port);
            by_port.entry(client).or_default().push_back(instants);
        }
        for (attempt, proven) in swept.attempts.iter().zip(&mut proven) {
            let Some(local) = attempt.local else { continue };
            let Some(instants) = by_port.get_mut(&local).and_then(|all| all.pop_front()) else { continue };
            let sent = instants.second_request_ns;
            // The incident of this connection, and not of another that had the same port.
            let cause = causes.get(local.to_string().as_str()).and_then(|all| {
                all.iter().find(|(time_ns, _)| sent == Some(*time_ns)).map(|(_, cause)| *cause)
            });
            proven.causes[side] = cause;
            if swept.captures.len() == 1 {
                // On loopback one capture is that of both ends.
                proven.causes[1] = cause;
            }
            // What the client did is told on its host, what the backend did on the other.
            if side == 0 {
                proven.idle_ns = instants.idle_ns();
                proven.response_ns = instants.response_ns;
                proven.handshake_ns = instants.handshake_ns();
            }
            if side == 1 || swept.captures.len() == 1 {
                proven.timer_ns = instants.timer_ns();
            }
        }
    }
    Ok(proven)
}

/// One attempt with what the packets say of it.
fn judge(attempt: &Attempt, proven: Option<&Proven>) -> SweepAttempt {
    let by_packets = proven.copied().unwrap_or_default();
    let planned_ns = match attempt.plan {
        Plan::Watch => None,
        Plan::Send(idle) => Some(nanoseconds(idle)),
    };
    let (fate, detail) = match &attempt.ending {
        Ending::Answered { status } => ("answered", status.to_string()),
        Ending::ClosedBefore { reset: false, .. } => ("closed-before", "FIN".to_owned()),
        Ending::ClosedBefore { reset: true, .. } => ("closed-before", "RST".to_owned()),
        Ending::Reset => ("lost", "connection reset".to_owned()),
        Ending::Eof => ("lost", "connection closed without an answer".to_owned()),
        Ending::CutOff => ("lost", "answer cut off".to_owned()),
        Ending::NoAnswer => ("lost", "no answer".to_owned()),
        Ending::StillOpen => ("still-open", String::new()),
        Ending::NotIdle { reason } => ("unusable", reason.clone()),
    };
    let detail = match attempt.retried {
        None => detail,
        Some(true) => format!("{detail}; sent again: answered"),
        Some(false) => format!("{detail}; sent again: not answered"),
    };
    let idle_ns = match (&attempt.ending, proven) {
        // What was not sent has no packet: the moment at which it would have been sent.
        (Ending::ClosedBefore { .. }, Some(proven)) => {
            planned_ns.and(attempt.due_ns.zip(proven.response_ns).map(|(due, response)| due - response))
        }
        (Ending::ClosedBefore { .. }, None) => planned_ns,
        (_, Some(proven)) => proven.idle_ns,
        (_, None) => attempt.idle.map(nanoseconds),
    };
    let timer_ns = match (&attempt.ending, attempt.plan, proven) {
        (Ending::ClosedBefore { .. }, Plan::Watch, Some(proven)) => proven.timer_ns,
        (Ending::ClosedBefore { after, .. }, Plan::Watch, None) => Some(nanoseconds(*after)),
        _ => None,
    };
    let cause = match by_packets.causes {
        [Some(at_client), Some(at_server)] => (at_client == at_server).then_some(at_client),
        _ => None,
    };
    SweepAttempt {
        number: attempt.number,
        client: attempt.local.map(|local| local.to_string()),
        planned_ns,
        idle_ns,
        late_ns: attempt.late.map(nanoseconds),
        fate: fate.to_owned(),
        detail,
        cause: cause.filter(|cause| attempt.ending.is_lost() && *cause != Cause::Unknown),
        timer_ns,
        retried: attempt.retried,
    }
}

/// The timer under the load of the sweep, where enough connections tell: a server that looks at its connections when
/// something happens closes them earlier when much does *(measured: Gunicorn, up to 0.1 s)*.
fn closes(attempts: &[SweepAttempt], watched_first: u32) -> Vec<i64> {
    const ENOUGH: usize = 20;
    let of = |attempts: &mut dyn Iterator<Item = &SweepAttempt>| -> Vec<i64> {
        attempts.filter_map(|attempt| attempt.timer_ns).collect()
    };
    let later = of(&mut attempts.iter().filter(|attempt| attempt.number > watched_first));
    if later.len() >= ENOUGH { later } else { of(&mut attempts.iter()) }
}

fn sample(attempt: &SweepAttempt) -> Option<Sample> {
    attempt.planned_ns?;
    let fate = match attempt.fate.as_str() {
        "answered" => Fate::Answered,
        "closed-before" => Fate::Closed,
        "lost" => Fate::Lost(attempt.cause),
        _ => return None,
    };
    Some(Sample { idle_ns: attempt.idle_ns?, fate })
}

fn counts(attempts: &[SweepAttempt]) -> SweepCounts {
    let of = |fate: &str, used: bool| {
        let counted = |it: &&SweepAttempt| it.fate == fate && it.planned_ns.is_some() == used;
        attempts.iter().filter(counted).count() as u64
    };
    SweepCounts {
        connections: attempts.len() as u64,
        watched: of("closed-before", false) + of("still-open", false),
        answered: of("answered", true),
        closed_before: of("closed-before", true),
        lost: of("lost", true),
        retried: attempts.iter().filter(|attempt| attempt.retried == Some(true)).count() as u64,
        proven: attempts.iter().filter(|attempt| attempt.cause.is_some()).count() as u64,
        unusable: of("unusable", true) + of("unusable", false),
    }
}

fn lateness(swept: &Swept) -> Option<Lateness> {
    let mut late: Vec<i64> =
        swept.attempts.iter().filter_map(|attempt| attempt.late.map(nanoseconds)).collect();
    late.sort_unstable();
    Some(Lateness {
        median_ns: quantile(&late, 0.5)?,
        p99_ns: quantile(&late, 0.99)?,
        max_ns: quantile(&late, 1.0)?,
    })
}

fn notes(swept: &Swept, settings: &Settings, attempts: &[SweepAttempt]) -> Vec<String> {
    let mut notes = swept.missing.clone();
    if swept.interrupted {
        notes.push("the sweep was interrupted: this is what had been found until then".to_owned());
    }
    if swept.out_of_time {
        let limit = crate::duration::format_duration(settings.max_time);
        notes.push(format!("the sweep ended because {limit} were over (--max-time)"));
    }
    let unproven: Vec<&SweepAttempt> =
        attempts.iter().filter(|attempt| attempt.fate == "lost" && attempt.cause.is_none()).collect();
    if !swept.captures.is_empty() && !unproven.is_empty() {
        let named: Vec<String> =
            unproven.iter().take(NAMED).filter_map(|attempt| attempt.client.clone()).collect();
        notes.push(format!(
            "the packets prove no cause of {} lost requests, the same at both ends; the first are those of {}",
            unproven.len(),
            named.join(", ")
        ));
    }
    let unusable: Vec<&SweepAttempt> = attempts.iter().filter(|attempt| attempt.fate == "unusable").collect();
    if let Some(first) = unusable.first() {
        notes.push(format!("{} connections could not be used; the first: {}", unusable.len(), first.detail));
    }
    if let Some(other) =
        attempts.iter().find(|attempt| attempt.fate == "answered" && !attempt.detail.starts_with('2'))
    {
        notes.push(format!("not every answer was a success: attempt {} got {}", other.number, other.detail));
    }
    notes
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
