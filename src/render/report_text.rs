//! The answer of `finrace analyze` in words: what was read, what was lost, of what, which timers cause it, what to do.

use std::collections::BTreeSet;

use super::columns::{Cell, Columns, Edge, shortened};
use super::idle_chart;
use super::page::Page;
use super::retry::remark;
use super::style::{TextOptions, Tone};
use super::units::{count, counted, duration, time_of_day};
use super::visible::quoted;
use crate::report::{
    Capture, Cause, Confidence, IdleClose, Incident, Report, Role, Root, Server, Vantage, Verdict,
};

/// Writes the whole answer, a line end after each line.
///
/// Verdict before everything else that is not needed to judge it; servers even when nothing failed.
pub fn report_text(report: &Report, options: TextOptions) -> String {
    let mut page = Page::new(options);
    for (index, capture) in report.captures.iter().enumerate() {
        page.capture(capture, vantage(report, index));
    }
    let summary = &report.summary;
    let (requests, connections) =
        (counted(summary.requests, "request"), counted(summary.connections, "connection"));
    page.paragraph(&format!("{requests} on {connections}"), Tone::Ink, false, 0);
    if !summary.conclusive {
        page.blank();
        page.paragraph(
            "INCONCLUSIVE: these captures could not have shown every lost request.",
            Tone::Fin,
            true,
            0,
        );
    }
    for note in &summary.notes {
        page.paragraph(note, Tone::Ink, false, 0);
    }
    page.blank();
    page.incidents(report);
    page.servers(&report.servers);
    page.explanations(report);
    page.text
}

/// Writes only what the captures show of idle timers, and what to change.
pub fn timeouts(report: &Report, options: TextOptions) -> String {
    let mut page = Page::new(options);
    page.servers(&report.servers);
    for server in &report.servers {
        page.idle_chart(server);
    }
    if report.servers.is_empty() {
        page.paragraph(
            "No idle connection was reused or closed in these captures: capture for longer.",
            Tone::Ink,
            false,
            0,
        );
    }
    page.advice(&report.servers);
    page.text
}

/// Where a capture was taken, if all its incidents that tell agree.
pub(super) fn vantage(report: &Report, capture: usize) -> Vantage {
    let mut told = report
        .incidents
        .iter()
        .filter(|incident| usize::try_from(incident.capture) == Ok(capture))
        .map(|incident| incident.vantage)
        .filter(|&vantage| vantage != Vantage::Unknown);
    match told.next() {
        Some(first) if told.all(|other| other == first) => first,
        _ => Vantage::Unknown,
    }
}

/// The frames that prove an incident, in the order of the capture: `FIN 285, request 288, RST 289`; with the name of the
/// file where that is not the request's: `FIN 12 in ring1.pcap`.
pub(super) fn frames(report: &Report, incident: &Incident) -> String {
    let here = incident.frames.iter().map(|(role, &frame)| (incident.capture, frame, *role));
    let elsewhere = incident.frames_elsewhere.iter().map(|(role, found)| (found.capture, found.frame, *role));
    let mut named: Vec<(u32, u64, &str)> = here
        .chain(elsewhere)
        .filter_map(|(capture, frame, role)| Some((capture, frame, name(role, incident.cause)?)))
        .collect();
    named.sort_unstable();
    let described = named.iter().map(|&(capture, frame, name)| {
        let frame = format!("{name} {}", count(frame));
        if capture == incident.capture { frame } else { format!("{frame} in {}", report.file_of(capture)) }
    });
    let mut text = described.collect::<Vec<_>>().join(", ");
    if incident.resets > 1 {
        text += &format!(" and {} more", incident.resets - 1);
    }
    text
}

/// What a frame is called in the list of those that prove an incident; none for those that need not be there.
fn name(role: Role, cause: Cause) -> Option<&'static str> {
    Some(match role {
        Role::Syn if matches!(cause, Cause::Refused | Cause::ConnectTimeout) => "SYN",
        Role::PreviousResponse if cause == Cause::AnnouncedClose => "announced by",
        Role::Fin => "FIN",
        Role::FinAck if cause == Cause::StaleReuse => "FIN’s ACK",
        Role::Request => "request",
        Role::RequestAck if cause != Cause::CrossedFin => "its ACK",
        Role::Response => "response",
        Role::Reset => "RST",
        Role::ClientReset => "client’s RST",
        _ => return None,
    })
}

/// The idle time before the request, if it was not the first and the time is known.
pub(super) fn idle(incident: &Incident) -> String {
    let unknown = if incident.first_request { "first" } else { "unknown" };
    match (incident.idle_ns, incident.idle_at_least_ns) {
        (Some(idle), _) => duration(idle),
        (None, Some(idle)) => at_least(idle),
        (None, None) => unknown.to_owned(),
    }
}

/// The longest idle time after which the client used a connection again.
pub(super) fn reused(server: &Server) -> String {
    match server.reused() {
        Some((longest, true)) => at_least(longest),
        Some((longest, false)) => duration(longest),
        None => "never".to_owned(),
    }
}

/// A time that began before the capture.
pub(super) fn at_least(ns: i64) -> String {
    format!("at least {}", duration(ns))
}

/// Files of one trace that a command names one by one at most.
const MAX_NAMED: usize = 4;

/// The arguments of `show` for an incident; none where it came in by a pipe and cannot be read again.
///
/// Numbers count over all captures: they stand when all are named. Otherwise the incident is named by its stream, which
/// counts in the first file named.
pub(super) fn show(report: &Report, incident: &Incident) -> Option<String> {
    let trace = report.trace_of(incident.capture);
    let (files, which) = if trace.len() == report.captures.len() && trace.len() <= MAX_NAMED {
        (trace, incident.id.to_string())
    } else {
        let mut files = vec![incident.capture];
        let elsewhere: BTreeSet<u32> =
            incident.frames_elsewhere.values().map(|found| found.capture).collect();
        files.extend(elsewhere);
        (files, format!("{} --stream", incident.stream))
    };
    let names: Vec<&str> = files.iter().map(|capture| report.file_of(*capture)).collect();
    if names.iter().any(|name| matches!(*name, "" | "-")) {
        return None;
    }
    let names: Vec<String> = names.into_iter().map(quoted).collect();
    Some(format!("{} {which}", names.join(" ")))
}

impl Page {
    /// One line for a capture, and one for each reason not to take it at face value.
    fn capture(&mut self, capture: &Capture, vantage: Vantage) {
        let mut facts = vec![capture.format.clone(), counted(capture.packets, "packet")];
        if let (Some(first), Some(last)) = (capture.first_ns, capture.last_ns) {
            facts.push(duration(last.saturating_sub(first)));
        }
        match vantage {
            Vantage::Client => facts.push("taken at the client".to_owned()),
            Vantage::Server => facts.push("taken at the server".to_owned()),
            Vantage::Between => facts.push("taken between client and server".to_owned()),
            Vantage::Unknown => {}
        }
        let skipped: Vec<String> =
            capture.skipped.iter().map(|(reason, number)| format!("{} {reason}", count(*number))).collect();
        let skipped = if skipped.is_empty() {
            "nothing skipped".to_owned()
        } else {
            format!("skipped: {}", skipped.join(", "))
        };
        let name = if capture.file == "-" { "standard input" } else { &capture.file };
        self.paragraph(&format!("{name}: {}; {skipped}", facts.join(", ")), Tone::Ink, false, 0);
        if let Some(reason) = &capture.truncated {
            self.paragraph(&format!("the capture ends early: {reason}"), Tone::Fin, true, 2);
        }
        if let Some(dropped) = capture.dropped_by_kernel.filter(|&dropped| dropped > 0) {
            let sentence =
                format!("the capturing kernel dropped {}: some are missing here", counted(dropped, "packet"));
            self.paragraph(&sentence, Tone::Fin, true, 2);
        }
    }

    /// The race first, then its look-alikes.
    fn incidents(&mut self, report: &Report) {
        let (race, others): (Vec<&Incident>, Vec<&Incident>) =
            report.incidents.iter().partition(|incident| incident.race);
        match (report.incidents.len(), report.summary.filtered_out) {
            (0, 0) if report.summary.conclusive => {
                self.paragraph("No request was lost.", Tone::Response, true, 0)
            }
            (_, 0) => {}
            (shown, hidden) => {
                let which = if shown == 0 { "No lost request matches the filter" } else { "Filtered" };
                self.paragraph(
                    &format!("{which}: {} left out.", counted(hidden, "incident")),
                    Tone::Fin,
                    true,
                    0,
                );
            }
        }
        if !race.is_empty() {
            let headline = format!("{} lost to the keep-alive race", counted(race.len() as u64, "request"));
            self.paragraph(&headline, Tone::Reset, true, 0);
            self.rows(report, &race);
        }
        if !others.is_empty() {
            let other = if race.is_empty() { "" } else { "other " };
            let noun = format!("{other}failure");
            self.paragraph(&counted(others.len() as u64, &noun), Tone::Fin, true, 0);
            self.rows(report, &others);
        }
        self.blank();
    }

    fn rows(&mut self, report: &Report, incidents: &[&Incident]) {
        let headings = vec![
            ("#", Edge::Right),
            ("time UTC", Edge::Left),
            ("server", Edge::Left),
            ("request", Edge::Left),
            ("cause", Edge::Left),
            ("idle", Edge::Right),
            ("frames", Edge::Left),
        ];
        let rows = incidents.iter().map(|incident| {
            let retried = remark(incident).unwrap_or_default();
            let remarks = [
                match incident.confidence {
                    Confidence::Certain => "",
                    Confidence::Likely => "likely",
                    Confidence::Inconclusive => "not certain",
                },
                retried.as_str(),
            ];
            let frames = frames(report, incident);
            let last: Vec<&str> =
                [frames.as_str()].into_iter().chain(remarks).filter(|it| !it.is_empty()).collect();
            vec![
                Cell::plain(incident.id.to_string()),
                Cell::toned(time_of_day(incident.time_ns), Tone::Muted),
                Cell::plain(&incident.server),
                Cell::toned(shortened(&incident.request.label(), 32), Tone::Request),
                Cell::toned(incident.cause.token(), Tone::Reset),
                Cell::plain(idle(incident)),
                Cell::plain(last.join("; ")),
            ]
        });
        self.text += &Columns { headings, rows: rows.collect(), indent: 2 }.text(self.options);
    }

    /// Whose timer is the shorter one, incidents or not.
    fn servers(&mut self, servers: &[Server]) {
        if servers.is_empty() {
            return;
        }
        self.paragraph("Servers", Tone::Ink, true, 0);
        let headings = vec![
            ("server", Edge::Left),
            ("closed first, after idle", Edge::Left),
            ("reused up to", Edge::Right),
            ("verdict", Edge::Left),
        ];
        let rows = servers.iter().map(|server| {
            let tone = match server.verdict {
                Verdict::AtRisk => Tone::Reset,
                Verdict::Safe => Tone::Response,
                Verdict::Unknown => Tone::Muted,
            };
            let verdict = Cell::toned(server.verdict_words(), tone);
            vec![
                Cell::plain(&server.server),
                Cell::plain(closed_first(server)),
                Cell::plain(reused(server)),
                if server.verdict == Verdict::Unknown { verdict } else { verdict.strong() },
            ]
        });
        self.text += &Columns { headings, rows: rows.collect(), indent: 2 }.text(self.options);
        self.blank();
    }

    /// What happened, what to change and how to see it, once for each cause; without a loss, what to change before one.
    fn explanations(&mut self, report: &Report) {
        let mut told: Vec<(Option<Cause>, Root)> = Vec::new();
        let (race, others): (Vec<&Incident>, Vec<&Incident>) =
            report.incidents.iter().partition(|incident| incident.race);
        for incident in race.into_iter().chain(others) {
            // The forms of the race have one explanation and one cure, if they have one root.
            let kind = (Some(incident.cause).filter(|_| !incident.race), incident.root);
            if told.contains(&kind) {
                continue;
            }
            if !told.is_empty() {
                self.blank();
            }
            told.push(kind);
            self.explained("What happened", &format!("{} (#{})", incident.what_happened, incident.id));
            self.explained("What to change", &incident.advice);
            if let Some(which) = show(report, incident) {
                self.command("Show it", &format!("finrace show {which} -o race.svg"));
                let within = match report.captures.len() {
                    1 => String::new(),
                    _ => format!(" of {}", report.file_of(incident.capture)),
                };
                self.command("", &format!("in Wireshark: tcp.stream eq {}{within}", incident.stream));
            }
        }
        if report.incidents.is_empty() {
            let mut named: Vec<String> = Vec::new();
            for close in report.servers.iter().filter_map(|server| server.server_idle_close.as_ref()) {
                let sentence = idle_chart::looks_like(close).filter(|sentence| !named.contains(sentence));
                if let Some(sentence) = sentence {
                    self.explained("Which timer", &format!("The server’s {sentence}"));
                    named.push(sentence);
                }
            }
            self.advice(&report.servers);
        }
    }

    /// What to change about the servers at risk, each piece of advice once.
    fn advice(&mut self, servers: &[Server]) {
        let mut told: Vec<&str> = Vec::new();
        for server in servers.iter().filter(|server| server.verdict == Verdict::AtRisk) {
            if !told.contains(&server.advice.as_str()) {
                told.push(&server.advice);
                self.explained("What to change", &server.advice);
            }
        }
    }
}

/// `5.001 s (97 of 104, ±0.8 ms)`: how often, out of how many connections, and how far from the usual value at most.
pub(super) fn closed_first(server: &Server) -> String {
    match (&server.server_idle_close, &server.client_idle_close) {
        (Some(close), _) => {
            let (count, all, spread) =
                (count(close.count), count(server.connections), duration(spread(close)));
            format!("{} ({count} of {all}, ±{spread})", duration(close.mode_ns))
        }
        (None, _) if server.closed_at_least_ns.is_some() => {
            at_least(server.closed_at_least_ns.unwrap_or_default())
        }
        (None, Some(client)) => format!("never (client closed, {})", duration(client.mode_ns)),
        (None, None) => "never seen".to_owned(),
    }
}

fn spread(close: &IdleClose) -> i64 {
    close.max_ns.saturating_sub(close.mode_ns).max(close.mode_ns.saturating_sub(close.min_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;
    use crate::render::wrap::columns;

    fn text(report: &Report, width: u16) -> String {
        report_text(report, TextOptions { width, color: false, unicode: true })
    }

    #[test]
    fn the_answer_reads_verdict_first() {
        insta::assert_snapshot!("analyze_120", text(&fixtures::report(), 120));
        insta::assert_snapshot!("analyze_80", text(&fixtures::report(), 80));
    }

    #[test]
    fn a_healthy_capture_says_so_and_still_names_the_mismatch() {
        insta::assert_snapshot!("analyze_healthy", text(&fixtures::healthy_report(), 100));
    }

    #[test]
    fn an_inconclusive_capture_never_claims_that_nothing_was_lost() {
        let mut report = fixtures::healthy_report();
        report.summary.conclusive = false;
        report.summary.notes = vec!["Only one direction was captured.".to_owned()];
        let text = text(&report, 100);
        assert!(text.contains("INCONCLUSIVE") && text.contains("Only one direction was captured."), "{text}");
        assert!(!text.contains("No request was lost"), "{text}");
    }

    #[test]
    fn a_cut_capture_and_dropped_packets_are_shown() {
        let mut report = fixtures::report();
        report.captures[0].truncated = Some("inside record 1 204 119".to_owned());
        report.captures[0].dropped_by_kernel = Some(17);
        let text = text(&report, 100);
        assert!(text.contains("the capture ends early: inside record 1 204 119"), "{text}");
        assert!(text.contains("dropped 17 packets"), "{text}");
        assert!(text.contains("412 not TCP"), "{text}");
    }

    #[test]
    fn a_capture_from_a_pipe_cannot_be_shown_again() {
        let mut report = fixtures::report();
        report.captures[0].file = "-".to_owned();
        assert!(!text(&report, 100).contains("finrace show"));
        report.captures[0].file = "it's here.pcap".to_owned();
        assert!(text(&report, 100).contains(r"finrace show 'it'\''s here.pcap' 1"));
    }

    #[test]
    fn of_several_captures_an_incident_is_shown_by_its_stream() {
        let mut report = fixtures::report();
        report.captures.push(report.captures[0].clone());
        let stream = report.incidents[0].stream;
        assert!(
            text(&report, 100).contains(&format!("finrace show server.pcap {stream} --stream -o race.svg"))
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [72, 80, 100, 120, 200] {
            for line in text(&fixtures::report(), width).lines() {
                assert!(columns(line) <= i32::from(width), "{width}: {line}");
            }
        }
    }
}
