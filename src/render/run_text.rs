//! What `finrace reproduce` says: what was set up, each attempt in a line, and around the ladder what it means.

use super::columns::{Cell, Columns, Edge};
use super::page::Page;
use super::style::{TextOptions, Tone};
use super::units::{counted, duration, relative, setting};
use crate::report::{Attempt, Incident, Party, Report, Run, Side};

/// The experiment: both timers, who gives up first, what the wire does, and every attempt.
pub fn before(run: &Run, options: TextOptions) -> String {
    let mut page = Page::new(options);
    page.explained(&run.scenario, &run.summary);
    page.blank();
    page.paragraph("Set-up", Tone::Ink, true, 0);
    page.text += &set_up(run).text(options);
    page.blank();
    page.paragraph("Attempts", Tone::Ink, true, 0);
    page.text += &attempts(run).text(options);
    page.paragraph(&totals(run), Tone::Ink, true, 0);
    page.blank();
    page.text
}

/// What it means: one sentence of cause, one of cure, the products' own words, and whether all of it can be believed.
pub fn after(
    run: &Run,
    incident: Option<&Incident>,
    (folder, files): (&str, &[(String, String)]),
    options: TextOptions,
) -> String {
    let mut page = Page::new(options);
    match incident {
        Some(incident) => {
            page.explained("What happened", &incident.what_happened);
            page.explained("What to change", &incident.advice);
        }
        None => page.explained("What happened", &nothing_lost(run)),
    }
    for log in &run.product_logs {
        for line in &log.lines {
            page.explained(&format!("{} logged", log.name), line);
        }
    }
    let held = if run.expectation.held { "held" } else { "FAILED" };
    page.explained("Expectation", &format!("{held}: {}", run.expectation.text));
    if run.complete {
        page.explained("Captures", "complete: they hold every packet that the hosts exchanged");
    } else {
        for lack in &run.missing {
            page.explained("INCOMPLETE", lack);
        }
    }
    if run.interrupted {
        page.explained("PARTIAL", "the run was interrupted; this is what had been found until then");
    }
    page.blank();
    page.command("Files in", folder);
    let rows =
        files.iter().map(|(name, what)| vec![Cell::plain(name), Cell::toned(what, Tone::Muted)]).collect();
    page.text +=
        &Columns { headings: vec![("", Edge::Left), ("", Edge::Left)], rows, indent: 2 }.text(options);
    page.text
}

fn set_up(run: &Run) -> Columns {
    let idle = |party: &Party, words: &str| match party.idle_timeout_ns {
        Some(timeout) => format!("{words} after {} idle", setting(timeout)),
        None => "idle timeout unknown".to_owned(),
    };
    let first = |me: &Party, other: &Party| match (me.idle_timeout_ns, other.idle_timeout_ns) {
        (Some(mine), Some(theirs)) if mine < theirs => " and so gives up first",
        _ => "",
    };
    let row = |role: &str, party: &Party, other: &Party| {
        vec![
            Cell::plain(role),
            Cell::plain(party.title()),
            Cell::plain(format!("{}{}", idle(party, "closes a connection"), first(party, other))),
        ]
    };
    let mut rows = vec![row("proxy", &run.proxy, &run.backend), row("backend", &run.backend, &run.proxy)];
    let mut link = match run.delay_ns {
        Some(delay) => vec![format!("{} each way", setting(delay))],
        None => vec!["the loopback device: nothing can cross in flight".to_owned()],
    };
    link.extend(run.wire_rules.iter().cloned());
    rows.push(vec![Cell::plain("between"), Cell::plain(&run.lab), Cell::plain(link.join("; "))]);
    Columns { headings: vec![("", Edge::Left), ("", Edge::Left), ("", Edge::Left)], rows, indent: 2 }
}

fn attempts(run: &Run) -> Columns {
    let headings = vec![
        ("#", Edge::Right),
        ("idle", Edge::Right),
        ("closed first", Edge::Left),
        ("FIN’s flight", Edge::Right),
        ("request left", Edge::Right),
        ("the user saw", Edge::Left),
        ("the packets say", Edge::Left),
    ];
    let rows = run.attempts.iter().map(|attempt| {
        let closer = match attempt.closed_first {
            Some(Side::Client) => "proxy",
            Some(Side::Server) => "backend",
            None => "nobody",
        };
        let (packets, tone) = packets_say(attempt);
        let seen =
            if attempt.status.is_some_and(|status| status < 400) { Tone::Response } else { Tone::Reset };
        vec![
            Cell::plain(attempt.number.to_string()),
            Cell::plain(duration(attempt.idle_ns)),
            Cell::plain(closer),
            Cell::plain(attempt.fin_flight_ns.map_or_else(String::new, duration)),
            Cell::plain(attempt.request_after_fin_ns.map_or_else(String::new, relative)),
            Cell::toned(&attempt.outcome, seen),
            Cell::toned(packets, tone),
        ]
    });
    Columns { headings, rows: rows.collect(), indent: 2 }
}

fn packets_say(attempt: &Attempt) -> (String, Tone) {
    let (mut text, tone) = match attempt.cause {
        Some(cause) => (cause.token().to_owned(), Tone::Reset),
        None => ("no request lost".to_owned(), Tone::Response),
    };
    if let Some(stream) = attempt.stream {
        text += &format!(", stream {stream}");
    }
    if attempt.retried {
        text += ", sent again by the proxy";
    }
    if let Some(note) = &attempt.note {
        text += &format!(" ({note})");
    }
    (text, tone)
}

/// `200 of 200 attempts: 502 Bad Gateway, crossed-fin; 4.310 s, 32 side by side`.
fn totals(run: &Run) -> String {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for attempt in &run.attempts {
        let cause = attempt.cause.map_or("no request lost", |cause| cause.token());
        let kind = format!("{}, {cause}", attempt.outcome);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    let all = run.attempts.len();
    let mut parts: Vec<String> =
        kinds.iter().map(|(kind, count)| format!("{count} of {all}: {kind}")).collect();
    if parts.is_empty() {
        parts.push("no attempt ended".to_owned());
    }
    let side_by_side =
        if run.side_by_side > 1 { format!(", {} side by side", run.side_by_side) } else { String::new() };
    format!(
        "{}; {} in {}{side_by_side}",
        parts.join("; "),
        counted(all as u64, "attempt"),
        duration(run.elapsed_ns)
    )
}

fn nothing_lost(run: &Run) -> String {
    let first = |side: Side| run.attempts.iter().filter(|attempt| attempt.closed_first == Some(side)).count();
    let (proxy, backend) = (first(Side::Client), first(Side::Server));
    if run.attempts.is_empty() {
        return "No attempt ended, so nothing can be said.".to_owned();
    }
    let closes = match (proxy, backend) {
        (0, 0) => "Neither side closed a connection while it was watched.".to_owned(),
        (_, 0) => "Whenever a connection was closed, the proxy closed it first.".to_owned(),
        (0, _) => "Whenever a connection was closed, the backend closed it first.".to_owned(),
        _ => format!("The proxy closed first {proxy} times, the backend {backend} times."),
    };
    format!("No request was lost. {closes}")
}

/// Everything `reproduce` prints for one run: `story` is the packet table and the ladder of what is shown.
pub fn page(
    report: &Report,
    incident: Option<&Incident>,
    story: &str,
    files: (&str, &[(String, String)]),
    options: TextOptions,
) -> String {
    let Some(run) = &report.run else { return String::new() };
    let mut text = before(run, options);
    text += story;
    text.push('\n');
    text += &after(run, incident, files, options);
    text
}
