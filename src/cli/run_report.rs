//! A lab run, judged by its captures and told: the report, the story of one attempt, the files beside them.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::analysis::{self, Options, TraceFile, TraceRequest};
use crate::capture::Reader;
use crate::destination::Destination;
use crate::lab::events::Connection;
use crate::lab::scenario::{Party as LabParty, Scenario};
use crate::lab::traffic::Attempt as LabAttempt;
use crate::lab::{Outcome, traffic};
use crate::render::ladder::{self, Outcome as Seen};
use crate::render::{self, TextOptions};
use crate::report::{Attempt, Expectation, Incident, Party, ProductLog, Report, Retried, Run, Side, Trace};

/// A run with everything that is said about it.
pub struct RunReport {
    /// Report on the proxy's capture, with the run in it.
    pub report: Report,
    folder: PathBuf,
    shown: Option<Shown>,
    /// Name and meaning of each file of the run.
    files: Vec<(String, String)>,
    unwritten: Vec<anyhow::Error>,
}

/// The attempt whose packets are shown.
struct Shown {
    trace: Trace,
    incident: Option<Incident>,
    seen: Seen,
}

impl RunReport {
    /// Judges the captures of a run and writes `report.json` and the pictures into its folder. What cannot be written
    /// ([`RunReport::unwritten`]) loses nothing of what was found.
    ///
    /// # Errors
    /// When a capture of the run cannot be read, or a picture cannot be drawn.
    pub fn new(
        scenario: &Scenario,
        folder: &Path,
        lab: &str,
        outcome: &Outcome,
    ) -> anyhow::Result<RunReport> {
        let options = Options { connections: true, ..Options::default() };
        let judged = |path: &Path| -> anyhow::Result<Report> {
            let reader = Reader::open(path)?;
            Ok(analysis::analyze(vec![reader], &options))
        };
        let [proxy_capture, others @ ..] = outcome.captures.as_slice() else {
            anyhow::bail!("the run left no capture");
        };
        let mut report = judged(&proxy_capture.path)?;
        let mut missing = outcome.missing.clone();
        let server_report = others.first().map(|other| judged(&other.path)).transpose()?;
        missing.extend(server_report.iter().flat_map(|server| disagreements(&report, server)));
        let attempts: Vec<Attempt> =
            outcome.attempts.iter().map(|attempt| judge(attempt, &report, server_report.as_ref())).collect();
        let run = Run {
            scenario: scenario.name.clone(),
            summary: scenario.summary.clone(),
            lab: lab.to_owned(),
            delay_ns: (lab == "wire").then(|| nanoseconds(scenario.wire.delay)),
            wire_rules: wire_rules(scenario),
            proxy: party(scenario.proxy.name(), outcome.versions.0.as_deref(), scenario.proxy.idle_timeout()),
            backend: party(
                scenario.backend.name(),
                outcome.versions.1.as_deref(),
                scenario.backend.idle_timeout(),
            ),
            side_by_side: outcome.side_by_side,
            elapsed_ns: nanoseconds(outcome.elapsed),
            complete: outcome.complete && missing.is_empty(),
            interrupted: outcome.interrupted,
            expectation: expectation(scenario, outcome, &attempts, missing.is_empty()),
            missing,
            product_logs: outcome.product_lines.iter().map(|lines| product_log(lines, folder)).collect(),
            attempts,
        };
        let server_capture = others.first().map(|capture| capture.path.as_path());
        let shown = show(scenario, &run, &report, &proxy_capture.path, server_capture)?;
        // A connection list of hundreds of attempts helps nobody: the attempts name their streams.
        report.connections = None;
        report.run = Some(run);
        let mut run_report =
            RunReport { report, folder: folder.to_owned(), shown, files: Vec::new(), unwritten: Vec::new() };
        run_report.write_files(outcome)?;
        Ok(run_report)
    }

    /// Whether the expectation held.
    pub fn held(&self) -> bool {
        self.report.run.as_ref().is_some_and(|run| run.expectation.held)
    }

    /// Why files are missing, each in a sentence; a full disk, say.
    pub fn unwritten(&self) -> &[anyhow::Error] {
        &self.unwritten
    }

    /// The whole answer as text.
    pub fn page(&self, options: TextOptions) -> String {
        let incident = self.shown.as_ref().and_then(|shown| shown.incident.as_ref());
        let story = self.shown.as_ref().map_or_else(String::new, |shown| {
            let table = render::table::segments(&shown.trace, options);
            format!("{table}\n{}", ladder::text(&shown.trace, incident, &shown.seen, options))
        });
        let folder = near(&self.folder);
        render::run_text::page(&self.report, incident, &story, (&folder, &self.files), options)
    }

    fn write_files(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        for capture in &outcome.captures {
            let dropped = match capture.dropped {
                0 => "none dropped by the kernel".to_owned(),
                dropped => format!("{dropped} DROPPED by the kernel"),
            };
            let host = match capture.path.file_stem().and_then(|stem| stem.to_str()) {
                Some("edge") => "as seen on the proxy's host",
                Some("origin") => "as seen on the backend's host",
                _ => "as seen on the loopback device",
            };
            self.list(&capture.path, format!("{} packets {host}, {dropped}", capture.packets));
        }
        self.list(
            &self.folder.join("events.jsonl"),
            "what proxy, backend, driver and wire did, a line each".to_owned(),
        );
        if let Some(shown) = &self.shown {
            let picture = ladder::layout(&shown.trace, shown.incident.as_ref(), &shown.seen);
            let svg = ladder::svg(&picture);
            let png = ladder::png(&svg)?;
            self.write("ladder.svg", svg.as_bytes(), "the ladder; light or dark as the viewer is");
            self.write("ladder.png", &png, "the same picture for a slide or a chat");
        }
        if let Some(run) = &self.report.run
            && let Some(svg) = render::chart::attempts(run).map_err(|error| anyhow::anyhow!("{error}"))?
        {
            let png = ladder::png(&svg)?;
            self.write("attempts.svg", svg.as_bytes(), "when each request left, and how long its FIN flew");
            self.write("attempts.png", &png, "the same picture for a slide or a chat");
        }
        let json = render::json::pretty(&self.report);
        self.write("report.json", json.as_bytes(), "all of this for programs");
        self.list(&self.folder.join("scenario.toml"), "the scenario as it was run".to_owned());
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8], what: &str) {
        let path = self.folder.join(name);
        let place =
            || format!("cannot write {}: make room there, or name another folder with --out", path.display());
        match Destination::of_our_own(&path).write(bytes).with_context(place) {
            Ok(()) => self.list(&path, what.to_owned()),
            Err(error) => self.unwritten.push(error),
        }
    }

    fn list(&mut self, path: &Path, what: String) {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        self.files.push((name.into_owned(), what));
    }
}

/// What the wire is told to do, in words.
fn wire_rules(scenario: &Scenario) -> Vec<String> {
    let holds = scenario.wire.hold.iter().map(|hold| {
        format!(
            "the wire holds the {}'s {} until a {} has passed",
            hold.from.token(),
            hold.packet.token(),
            hold.until.token()
        )
    });
    let losses = scenario.wire.drop.iter().map(|loss| {
        format!(
            "the wire loses {} {} of the {} on each connection",
            loss.count,
            loss.packet.token(),
            loss.from.token()
        )
    });
    holds.chain(losses).collect()
}

/// A path as short as it can be pasted: relative where it lies below the current folder.
pub(super) fn near(path: &Path) -> String {
    let relative =
        std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    relative.unwrap_or_else(|| path.to_owned()).display().to_string()
}

/// What the packets say of one attempt: an incident on the connection that carried its second request, or else how the
/// connection fared that the first request had left idle.
fn judge(attempt: &LabAttempt, report: &Report, server_report: Option<&Report>) -> Attempt {
    let ends = |connection: Connection| (connection.edge.to_string(), connection.origin.to_string());
    let incident = attempt.sent_on.or(attempt.connection).map(ends).and_then(|(client, server)| {
        report.incidents.iter().find(|incident| incident.client == client && incident.server == server)
    });
    let listed = attempt.connection.or(attempt.sent_on).map(ends).and_then(|(client, server)| {
        let connections = report.connections.as_deref().unwrap_or_default();
        connections.iter().find(|listed| listed.client == client && listed.server == server)
    });
    let meeting = incident.zip(server_report).and_then(|(incident, server)| meeting(incident, server));
    Attempt {
        number: attempt.number,
        outcome: seen(&attempt.outcome),
        status: attempt.outcome.status(),
        cause: incident.map(|incident| incident.cause),
        retried: attempt.retried
            || incident.is_some_and(|it| matches!(it.retried, Retried::Yes | Retried::Failed)),
        reused: attempt.sent_on.map(|sent_on| Some(sent_on) == attempt.connection),
        idle_ns: nanoseconds(attempt.idle),
        request_after_fin_ns: meeting.map(|(request_after_fin, _)| request_after_fin),
        fin_flight_ns: meeting.map(|(_, fin_flight)| fin_flight),
        closed_first: attempt
            .closed_first
            .map(side)
            .or_else(|| listed.and_then(|listed| listed.closed_first)),
        stream: incident.map(|incident| incident.stream).or_else(|| listed.map(|listed| listed.stream)),
        note: match &attempt.outcome {
            traffic::Outcome::NotSent { reason } => Some(reason.clone()),
            _ => None,
        },
    }
}

/// When the request left after the FIN had left, and how long the FIN was on its way: by the one clock of both captures.
fn meeting(at_client: &Incident, server_report: &Report) -> Option<(i64, i64)> {
    let at_server = server_report
        .incidents
        .iter()
        .find(|other| other.client == at_client.client && other.server == at_client.server)?;
    let fin_left = at_server.time_ns - at_server.fin_to_request_ns?;
    let fin_arrived = at_client.time_ns - at_client.fin_to_request_ns?;
    Some((at_client.time_ns - fin_left, fin_arrived - fin_left))
}

fn side(party: LabParty) -> Side {
    match party {
        LabParty::Proxy => Side::Client,
        LabParty::Backend => Side::Server,
    }
}

fn seen(outcome: &traffic::Outcome) -> String {
    match outcome {
        traffic::Outcome::Status { code, .. } => match *code {
            200 => "200 OK".to_owned(),
            502 => "502 Bad Gateway".to_owned(),
            503 => "503 Service Unavailable".to_owned(),
            504 => "504 Gateway Timeout".to_owned(),
            code => code.to_string(),
        },
        traffic::Outcome::NotSent { .. } => "nothing sent".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn party(name: &str, version: Option<&str>, idle: Option<std::time::Duration>) -> Party {
    Party {
        name: name.to_owned(),
        version: version.map(version_number),
        idle_timeout_ns: idle.map(nanoseconds),
    }
}

/// The number in what a program says of its version: `20.20.2` in `v20.20.2`, `1.22.1` in `nginx version: nginx/1.22.1`.
fn version_number(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '~' | '-');
    line.split(|c| !is_part(c))
        .map(|word| word.trim_start_matches(|c: char| !c.is_ascii_digit()))
        .find(|word| word.contains('.'))
        .unwrap_or(line)
        .to_owned()
}

fn product_log(lines: &crate::lab::ProductLines, folder: &Path) -> ProductLog {
    let file = lines.file.strip_prefix(folder).unwrap_or(&lines.file);
    ProductLog { name: lines.name.clone(), file: file.display().to_string(), lines: lines.lines.clone() }
}

/// Incidents that one end's capture shows and the other's does not, or judges otherwise: there must be none.
pub(super) fn disagreements(client: &Report, server: &Report) -> Vec<String> {
    let key = |incident: &Incident| (incident.client.clone(), incident.server.clone(), incident.cause);
    let (here, there): (Vec<_>, Vec<_>) =
        (client.incidents.iter().map(key).collect(), server.incidents.iter().map(key).collect());
    let mut differences = Vec::new();
    for (these, those, place) in [(&here, &there, "proxy"), (&there, &here, "backend")] {
        for (client, server, cause) in these.iter().filter(|this| !those.contains(this)) {
            differences.push(format!("only the capture at the {place} shows {cause} on {client} {server}"));
        }
    }
    differences
}

fn expectation(scenario: &Scenario, outcome: &Outcome, attempts: &[Attempt], sound: bool) -> Expectation {
    let expect = &scenario.expect;
    let cause = expect.cause.map_or("no request lost".to_owned(), |cause| cause.to_string());
    let retried = if expect.retried { ", sent again by the proxy" } else { "" };
    let met = |attempt: &&Attempt| {
        attempt.cause == expect.cause
            && attempt.status == Some(expect.status)
            && attempt.retried == expect.retried
    };
    let number = attempts.iter().filter(met).count();
    let wanted = scenario.traffic.attempts as usize;
    let mut text =
        format!("{cause}, the user sees {}{retried}: {number} of {wanted} attempts", expect.status);
    let mut held = number == wanted && outcome.complete && sound && !outcome.interrupted;
    if let Some(party) = expect.closes_first {
        // Not what the end of the run closes: only what was closed while its attempt lasted.
        let closed: Vec<LabParty> =
            outcome.attempts.iter().filter_map(|attempt| attempt.closed_first).collect();
        let by_it = closed.iter().filter(|closer| **closer == party).count();
        let (of, by) = (closed.len(), party.token());
        text += &format!("; the {by} closes first: {by_it} of {of} idle connections that were closed");
        held &= by_it == of && of > 0;
    }
    Expectation { text, held }
}

/// The name of a real program, for the picture; a toy is called what it is by its lane.
fn product(party: &Party) -> Option<String> {
    party.version.is_some().then(|| party.title())
}

/// The story to show: the first attempt that came out as expected, or else the first at all.
fn show(
    scenario: &Scenario,
    run: &Run,
    report: &Report,
    client_capture: &Path,
    server_capture: Option<&Path>,
) -> anyhow::Result<Option<Shown>> {
    let expected = run
        .attempts
        .iter()
        .find(|attempt| attempt.cause == scenario.expect.cause && attempt.stream.is_some());
    let Some((attempt, stream)) = expected
        .or_else(|| run.attempts.iter().find(|attempt| attempt.stream.is_some()))
        .and_then(|attempt| Some((attempt, attempt.stream?)))
    else {
        return Ok(None);
    };
    let incident = report.incidents.iter().find(|incident| incident.stream == stream);
    let request = TraceRequest {
        stream,
        capture: 0,
        incident,
        names: ("proxy", "backend"),
        products: (product(&run.proxy), product(&run.backend)),
        server_capture,
    };
    let file = TraceFile { path: client_capture, capture: 0 };
    let trace = analysis::trace(&[file], &request, &Options::default())?;
    let seen = Seen { user_saw: Some(attempt.outcome.clone()) };
    let incident = incident.map(|incident| Incident { advice: advice(run, incident), ..incident.clone() });
    Ok(trace.map(|trace| Shown { trace, incident, seen }))
}

/// In the lab both timers are known, so the cure can be said with them instead of with what the packets suggest.
fn advice(run: &Run, incident: &Incident) -> String {
    match (run.proxy.idle_timeout_ns, run.backend.idle_timeout_ns) {
        (Some(proxy), Some(backend)) if incident.race && backend <= proxy => format!(
            "The side that sends requests must give up first: raise the backend's idle timeout ({}) above the proxy's ({}), \
             or lower the proxy's below the backend's.",
            render::units::setting(backend),
            render::units::setting(proxy),
        ),
        _ => incident.advice.clone(),
    }
}

fn nanoseconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
