//! Impact in numbers, and the course of events.

use std::fmt::Write;

use super::words::Kind;
use super::{Page, each_once, moment};
use crate::render::columns::shortened;
use crate::render::markdown::{code, escape, processed};
use crate::render::report_text::{frames, idle};
use crate::render::retry;
use crate::render::units::{count, counted, duration};
use crate::report::{Cause, Incident, Retried, RetrySafe, Role, Side};

/// Incidents listed one by one.
const LISTED: usize = 20;
/// Below, losses per hour say nothing.
const LEAST_FOR_A_RATE_NS: i64 = 600_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;

impl Page<'_> {
    pub(super) fn impact(&mut self) {
        let report = self.report();
        let incidents = &report.incidents;
        let lost = incidents.len() as u64;
        let requests = report.summary.requests;
        self.heading("Impact");
        self.text += "| | |\n|---|---|\n";
        self.fact(
            "requests in the captures",
            &format!("{} on {}", count(requests), counted(report.summary.connections, "connection")),
        );
        let attempts =
            incidents.iter().filter(|incident| Kind::of(incident).is_of_connecting()).count() as u64;
        if lost > attempts {
            let without = lost - attempts;
            self.fact(
                "without a complete answer",
                &format!("{}{}", count(without), share(without, requests)),
            );
        }
        if attempts > 0 {
            self.fact("attempts to connect that failed", &count(attempts));
        }
        if let Some(rate) = self.rate() {
            self.fact("that is", &rate);
        }
        self.fact("seen again on another connection", &sent_again(incidents));
        let times: Vec<i64> = incidents.iter().map(|incident| incident.time_ns).collect();
        if let (Some(&first), Some(&last)) = (times.iter().min(), times.iter().max()) {
            if first == last {
                self.fact("when", &format!("{} UTC", moment(first)));
            } else {
                self.fact("first, last", &format!("{}, {} UTC", moment(first), moment(last)));
            }
        }
        let clients = each_once(incidents.iter().map(|incident| host(&incident.client)));
        let servers = each_once(incidents.iter().map(|incident| incident.server.as_str()));
        self.fact(
            "affected",
            &format!(
                "{}, {}",
                counted(servers.len() as u64, "server"),
                counted(clients.len() as u64, "client")
            ),
        );
        for (words, wanted) in [
            ("not processed by the application", RetrySafe::Yes),
            ("perhaps processed", RetrySafe::No),
            ("processed or not: not told by the packets", RetrySafe::Unknown),
        ] {
            let number = incidents.iter().filter(|incident| incident.retry_safe == wanted).count() as u64;
            if number > 0 {
                let rule = processed(wanted).split_once(": ").map_or("", |(_, rule)| rule);
                self.fact(words, &format!("{}: {rule}", count(number)));
            }
        }
        self.text.push('\n');
        if self.groups.len() > 1 || servers.len() > 1 {
            self.by_cause_and_server();
        }
        self.would_log();
    }

    fn fact(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.text, "| {name} | {value} |");
    }

    /// Losses per hour, where the captures are long enough.
    fn rate(&self) -> Option<String> {
        let captures = &self.report().captures;
        let covered: i64 = captures
            .iter()
            .filter_map(|capture| Some(capture.last_ns?.saturating_sub(capture.first_ns?)))
            .fold(0, i64::saturating_add);
        if captures.len() > 1 || covered < LEAST_FOR_A_RATE_NS {
            return None;
        }
        let lost = self.report().incidents.len() as f64;
        Some(format!("{:.1} per hour over {}", lost * HOUR_NS as f64 / covered as f64, duration(covered)))
    }

    fn by_cause_and_server(&mut self) {
        const ROWS: usize = 40;
        let mut rows: Vec<(String, String, Vec<&Incident>)> = Vec::new();
        for group in self.groups {
            for server in group.servers() {
                let of_server: Vec<&Incident> =
                    group.incidents.iter().copied().filter(|incident| incident.server == server).collect();
                rows.push((code(group.kind.cause.token()), code(server), of_server));
            }
        }
        self.text += "| cause | server | requests | first (UTC) | last (UTC) | sent again |\n|---|---|--:|---|---|--:|\n";
        for (cause, server, incidents) in rows.iter().take(ROWS) {
            let times = incidents.iter().map(|incident| incident.time_ns);
            let _ = writeln!(
                self.text,
                "| {cause} | {server} | {} | {} | {} | {} |",
                count(incidents.len() as u64),
                moment(times.clone().min().unwrap_or(0)),
                moment(times.max().unwrap_or(0)),
                sent_again_in_short(incidents)
            );
        }
        self.text.push('\n');
        if let Some(more) = rows.len().checked_sub(ROWS).filter(|&more| more > 0) {
            self.paragraph(&format!(
                "{} more, in the order of their first loss, are left out.",
                count(more as u64)
            ));
        }
    }

    /// What to search the logs for.
    fn would_log(&mut self) {
        let mut lines: Vec<(&str, &str)> = Vec::new();
        for group in self.groups {
            for (product, line) in &group.example().would_log {
                if !lines.contains(&(product.as_str(), line.as_str())) {
                    lines.push((product, line));
                }
            }
        }
        if lines.is_empty() {
            return;
        }
        self.paragraph(
            "What such a loss looks like in the log of the client, to find the same events there (what this client was \
             is not in the packets):",
        );
        self.text += "| client | its log says |\n|---|---|\n";
        for (product, line) in lines {
            let _ = writeln!(self.text, "| {} | {} |", escape(product), code(line));
        }
        self.text.push('\n');
    }

    pub(super) fn timeline(&mut self) {
        self.heading("Timeline");
        let report = self.report();
        self.paragraph(
            "Each time is the one at which the packet passed the place of the capture: what comes from the far end was \
             sent a little earlier.",
        );
        // At one time: a capture begins before its packets, and ends after them.
        let mut events: Vec<(i64, u8, String)> = Vec::new();
        for capture in report.captures.iter().filter(|capture| capture.continues.is_none()) {
            events.extend(capture.first_ns.map(|ns| (ns, 0, format!("{} begins", code(&capture.file)))));
        }
        for capture in &report.captures {
            events.extend(capture.last_ns.map(|ns| (ns, 2, format!("{} ends", code(&capture.file)))));
        }
        let mut told = Vec::new();
        for (group, story) in self.told() {
            let example = group.example();
            let Some(trace) = &story.trace else { continue };
            told.push(example.id);
            for segment in trace.segments.iter().filter(|segment| segment.role.is_some()) {
                let who = match segment.from {
                    Side::Client => &trace.lanes[0].address,
                    Side::Server => &trace.lanes[1].address,
                };
                let what = match segment.role {
                    Some(Role::Request) => format!("lost request, {}", code(&example.request.label())),
                    Some(Role::PreviousResponse) => "answer to an earlier request".to_owned(),
                    Some(Role::Fin) => "close of the connection (FIN)".to_owned(),
                    Some(Role::ClientFin) => "close of the client's side (FIN)".to_owned(),
                    Some(Role::FinAck) => "the close is acknowledged".to_owned(),
                    Some(Role::RequestAck) => "the request is acknowledged".to_owned(),
                    Some(Role::Reset | Role::ClientReset) => "reset of the connection (RST)".to_owned(),
                    Some(Role::Response) => "first bytes of the answer".to_owned(),
                    Some(Role::Goaway) => "end of the connection announced (GOAWAY)".to_owned(),
                    Some(Role::Syn) => "attempt to connect (SYN)".to_owned(),
                    None => continue,
                };
                let frame = super::cause::frame(report, example, trace, segment);
                let number =
                    if report.incidents.len() > 1 { format!("no. {}: ", example.id) } else { String::new() };
                events.push((
                    segment.sent_ns,
                    1,
                    format!("{number}from {}: {what}, frame {frame}", code(who)),
                ));
            }
        }
        let others = report.incidents.iter().filter(|incident| !told.contains(&incident.id));
        for incident in others.clone().take(LISTED) {
            let lost = format!(
                "no. {}: {} to {} gets no answer ({})",
                incident.id,
                code(&incident.request.label()),
                code(&incident.server),
                code(incident.cause.token())
            );
            events.push((incident.time_ns, 1, lost));
        }
        events.sort_by_key(|(ns, kind, _)| (*ns, *kind));
        for picture in self.postmortem.charts.iter().filter(|it| it.file.starts_with(super::TIMELINE)) {
            self.picture(picture);
        }
        self.text += "| UTC | event |\n|---|---|\n";
        for (ns, _, what) in &events {
            let _ = writeln!(self.text, "| {} | {what} |", moment(*ns));
        }
        self.text.push('\n');
        if let Some(more) = others.count().checked_sub(LISTED).filter(|&more| more > 0) {
            self.paragraph(&format!(
                "{} more follow; `--format csv` lists all of them.",
                counted(more as u64, "lost request")
            ));
        }
        if report.incidents.len() > 1 {
            self.first_incidents();
        }
    }

    fn first_incidents(&mut self) {
        let report = self.report();
        let incidents = &report.incidents;
        let heading = match incidents.len() {
            some @ ..=LISTED => format!("All {some}"),
            all => format!("The first {LISTED} of {}", count(all as u64)),
        };
        self.paragraph(&format!("{heading}:"));
        self.text += "| no. | UTC | server | request | cause | idle before | frames | sent again |\n";
        self.text += "|--:|---|---|---|---|--:|---|---|\n";
        for incident in incidents.iter().take(LISTED) {
            let _ = writeln!(
                self.text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                incident.id,
                moment(incident.time_ns),
                code(&incident.server),
                code(&shortened(&incident.request.label(), 60)),
                code(incident.cause.token()),
                idle(incident),
                escape(&frames(report, incident)),
                retry::word(incident.retried)
            );
        }
        self.text.push('\n');
    }
}

/// ` (1 in 39 401, 0.0025 %)`.
fn share(lost: u64, requests: u64) -> String {
    if lost == 0 || requests < lost {
        return String::new();
    }
    if lost == requests {
        return " (all)".to_owned();
    }
    let percent = 100.0 * lost as f64 / requests as f64;
    let digits = if percent >= 1.0 {
        1
    } else if percent >= 0.01 {
        3
    } else {
        5
    };
    format!(" (1 in {}, {percent:.digits$} %)", count((requests + lost / 2) / lost))
}

fn number_of(incidents: &[Incident], retried: Retried) -> u64 {
    incidents.iter().filter(|incident| incident.retried == retried).count() as u64
}

/// Which of the lost requests were sent again, and for whom that was the end of it.
fn sent_again(incidents: &[Incident]) -> String {
    let lost = incidents.len() as u64;
    let every = |is_so: fn(&Incident) -> bool| incidents.iter().all(is_so);
    if number_of(incidents, Retried::Yes) == lost {
        return format!("{}: sent again by the client and answered, its user saw nothing", all(lost));
    }
    if every(|incident| incident.retry.is_none()) {
        if every(|incident| incident.cause == Cause::ClientAbort) {
            return "no: whoever had asked went away".to_owned();
        }
        if every(|incident| incident.request.protocol == "tls") {
            return "cannot be told: what is encrypted cannot be recognised".to_owned();
        }
    }
    if number_of(incidents, Retried::No) == lost {
        return match lost {
            1 => "no: as far as the packets tell, the failure reached whoever had asked".to_owned(),
            _ => "none: as far as the packets tell, the failures reached whoever had asked".to_owned(),
        };
    }
    let parts = [
        (Retried::Yes, "answered on another connection, the user saw nothing"),
        (Retried::Failed, "sent again in vain: the failure reached whoever had asked"),
        (
            Retried::Maybe,
            "followed by an equal request, a retry or somebody else’s: the failure may have reached whoever had asked",
        ),
        (Retried::No, "not seen again: as far as the packets tell, the failure reached whoever had asked"),
        (Retried::Unknown, "where the packets do not tell"),
    ];
    let parts = parts.iter().filter_map(|(retried, words)| match number_of(incidents, *retried) {
        0 => None,
        number => Some(format!("{} {words}", count(number))),
    });
    parts.collect::<Vec<_>>().join("; ")
}

/// `2`, or `2, 3 perhaps`: how many were sent again.
fn sent_again_in_short(incidents: &[&Incident]) -> String {
    let number = |wanted: &[Retried]| {
        count(incidents.iter().filter(|incident| wanted.contains(&incident.retried)).count() as u64)
    };
    let sure = number(&[Retried::Yes, Retried::Failed]);
    match number(&[Retried::Maybe]).as_str() {
        "0" => sure,
        perhaps => format!("{sure}, {perhaps} perhaps"),
    }
}

fn all(lost: u64) -> String {
    if lost == 1 { "yes".to_owned() } else { format!("all {}", count(lost)) }
}

/// The address of an end.
fn host(end: &str) -> &str {
    end.rsplit_once(':').map_or(end, |(host, _)| host)
}
