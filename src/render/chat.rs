//! A report as one chat message: plain text, no line wider than 72 columns, short enough to be sent as it is.

use super::columns::shortened;
use super::report_text::{closed_first, frames, idle, show};
use super::retry::remark;
use super::units::{counted, date, duration, time_of_day};
use super::visible::visible;
use super::wrap::{columns, wrap};
use crate::report::{Cause, Confidence, Incident, Report, RetrySafe, Risk, Server, Verdict};

/// What survives a paste into a window on a telephone.
const WIDTH: i32 = 72;
/// Incidents listed; the others are counted. With these limits a message stays below 2000 letters, the least that common
/// chats take.
const LISTED: usize = 3;
/// Servers listed.
const SERVERS: usize = 2;
/// Letters of a request.
const WIDEST_REQUEST: i32 = 36;
/// Letters of a file name.
const WIDEST_NAME: i32 = 60;
/// Letters of a sentence that only this capture could write.
const LONGEST: i32 = 330;

/// Writes the message, a line feed after each line.
pub fn message(report: &Report) -> String {
    let mut message = Message(String::new());
    let summary = &report.summary;
    message.line(&verdict(report));
    message.line(&source(report));
    if !summary.conclusive {
        let why = summary.notes.first().map_or("", String::as_str);
        message.line(&format!("INCONCLUSIVE: these captures could not have shown every lost request. {why}"));
    }
    for incident in report.incidents.iter().take(LISTED) {
        message.line(&line(report, incident));
    }
    if let Some(more) = report.incidents.len().checked_sub(LISTED).filter(|&more| more > 0) {
        message.line(&format!("and {more} more"));
    }
    let at_risk: Vec<_> = report.servers.iter().filter(|server| server.verdict == Verdict::AtRisk).collect();
    for server in at_risk.iter().take(SERVERS) {
        message.line(&format!("{} AT RISK: {}", server.server, risk(server)));
    }
    if let Some(more) = at_risk.len().checked_sub(SERVERS).filter(|&more| more > 0) {
        message.line(&format!("and {more} more at risk"));
    }
    if let Some(first) = told(report) {
        message.line(&format!("What happened: {}", short(&first.what_happened)));
        if let Some(proof) = first.evidence.first() {
            let how = match first.confidence {
                Confidence::Certain => "Why this is sure",
                Confidence::Likely => "Why this is likely",
                Confidence::Inconclusive => "What is missing",
            };
            message.line(&format!("{how}: {}", short(proof)));
        }
        message.line(&format!("What to change: {}", short(&first.advice)));
        message.line(match first.retry_safe {
            RetrySafe::Yes => "The application never processed it: sending it again is safe.",
            RetrySafe::No => "The application may have processed it: do not send it again blindly.",
            RetrySafe::Unknown => "Whether the application processed it cannot be told.",
        });
        if let Some(which) = show(report, first) {
            message.whole(&format!("finrace show {which}"));
            message.whole(&format!("Wireshark: tcp.stream eq {}", first.stream));
        }
    } else if let Some(server) = at_risk.first() {
        message.line(&format!("What to change: {}", short(&server.advice)));
    }
    message.0
}

/// Why a server is at risk, in a few words.
fn risk(server: &Server) -> String {
    match server.risks.first() {
        Some(Risk::AfterAnswer) => "closes right after answers".to_owned(),
        Some(Risk::PathForgets) => server.verdict_words().trim_start_matches("AT RISK: ").to_owned(),
        _ => {
            let reuse = server.reused().map_or_else(String::new, |(longest, _)| {
                format!(", connections reused after up to {} idle", duration(longest))
            });
            format!("closes idle connections after {}{reuse}", closed_first(server))
        }
    }
}

/// The incident whose story is told: the first one of the race, else the first.
fn told(report: &Report) -> Option<&Incident> {
    report.incidents.iter().find(|incident| incident.race).or(report.incidents.first())
}

/// `finrace: 3 of 118 204 requests lost (crossed-fin 2, unread-request 1)`.
fn verdict(report: &Report) -> String {
    let summary = &report.summary;
    let requests = counted(summary.requests, "request");
    if report.incidents.is_empty() {
        return match (summary.filtered_out, summary.conclusive) {
            (1.., _) => {
                format!("finrace: no lost request matches the filter, {} left out", summary.filtered_out)
            }
            (0, true) => format!("finrace: no request lost, {requests} looked at"),
            (0, false) => format!("finrace: cannot tell whether requests were lost, {requests} looked at"),
        };
    }
    let causes: Vec<String> =
        summary.by_cause.iter().map(|(cause, number): (&Cause, &u64)| format!("{cause} {number}")).collect();
    let race = report.incidents.iter().filter(|incident| incident.race).count();
    let race = match (race, report.incidents.len()) {
        (0, _) => ", none to the keep-alive race".to_owned(),
        (race, all) if race == all => " to the keep-alive race".to_owned(),
        (race, _) => format!(", {race} to the keep-alive race"),
    };
    let connecting = |incident: &Incident| matches!(incident.cause, Cause::Refused | Cause::ConnectTimeout);
    let lost = match report.incidents.iter().any(connecting) {
        true => format!("{} beside {requests}", counted(summary.incidents, "failure")),
        false => format!("{} of {requests} lost", summary.incidents),
    };
    format!("finrace: {lost}{race} ({})", causes.join(", "))
}

/// Which captures, from when to when.
fn source(report: &Report) -> String {
    let name = match report.captures.as_slice() {
        [] => "no capture".to_owned(),
        [only] if only.file == "-" => "a pipe".to_owned(),
        [only] => shortened(&only.file, WIDEST_NAME),
        [first, ..] => {
            let more = report.captures.len() - 1;
            format!("{} and {more} more", shortened(&first.file, WIDEST_NAME))
        }
    };
    let first = report.captures.iter().filter_map(|capture| capture.first_ns).min();
    let last = report.captures.iter().filter_map(|capture| capture.last_ns).max();
    match (first, last) {
        (Some(first), Some(last)) => {
            let until = if date(first) == date(last) { String::new() } else { format!("{} ", date(last)) };
            format!("{name}, {} {} to {until}{} UTC", date(first), second(first), second(last))
        }
        _ => name,
    }
}

/// The time of day without its fraction.
fn second(ns: i64) -> String {
    time_of_day(ns).chars().take(8).collect()
}

/// One incident in one line, or two.
fn line(report: &Report, incident: &Incident) -> String {
    let mut facts = vec![
        format!("#{} {} UTC {}", incident.id, time_of_day(incident.time_ns), incident.cause),
        shortened(&incident.request.label(), WIDEST_REQUEST),
        format!("to {}", incident.server),
    ];
    facts.extend(match (incident.request.bytes, idle(incident).as_str()) {
        (0, _) => None,
        (_, "first") => Some("first on its connection".to_owned()),
        (_, "unknown") => Some("idle time unknown".to_owned()),
        (_, known) => Some(format!("after {known} idle")),
    });
    facts.push(format!("frames: {}", frames(report, incident)));
    facts.extend(remark(incident));
    facts.join(", ")
}

/// A sentence cut where a message would become too long.
fn short(sentence: &str) -> String {
    shortened(sentence, LONGEST)
}

/// Lines so far.
struct Message(String);

impl Message {
    /// A sentence, its further lines set in.
    fn line(&mut self, sentence: &str) {
        for (index, line) in wrap(&harmless(sentence), WIDTH - 2, columns).iter().enumerate() {
            self.0 += if index == 0 { "" } else { "  " };
            self.0 += line;
            self.0.push('\n');
        }
    }

    /// A command: left out where it would be broken.
    fn whole(&mut self, command: &str) {
        if columns(command) <= WIDTH {
            self.0 += &harmless(command);
            self.0.push('\n');
        }
    }
}

/// Text that calls nobody: chats send a message to everybody for `@channel` and `<!here>`, which a path may hold.
fn harmless(text: &str) -> String {
    let text = visible(text);
    let next = text.chars().skip(1).chain(std::iter::once(' '));
    let calls = |letter, next| matches!(letter, '@' | '`') || (letter == '<' && next != ' ');
    text.chars().zip(next).map(|(letter, next)| if calls(letter, next) { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    #[test]
    fn the_message_says_what_why_and_what_to_do() {
        insta::assert_snapshot!("chat", message(&fixtures::report()));
        insta::assert_snapshot!("chat_healthy", message(&fixtures::healthy_report()));
    }

    #[test]
    fn it_fits_whatever_the_capture_holds() {
        let mut report = fixtures::report();
        let mut incident = report.incidents[0].clone();
        incident.request.path = Some(format!("/@channel<!here>`{}", "long/".repeat(200)));
        incident.what_happened = "One sentence and another one. ".repeat(60);
        incident.advice = incident.what_happened.clone();
        report.captures[0].file = "f".repeat(300);
        report.incidents = vec![incident; 500];
        report.servers = vec![report.servers[0].clone(); 90];
        let text = message(&report);
        assert!(text.chars().count() < 2_000, "{} letters: {text}", text.chars().count());
        for line in text.lines() {
            assert!(columns(line) <= WIDTH, "{line}");
        }
        assert!(!text.contains(['@', '`']) && !text.contains("<!"), "{text}");
    }

    #[test]
    fn an_inconclusive_capture_is_no_pass() {
        let mut report = fixtures::healthy_report();
        report.summary.conclusive = false;
        report.summary.notes = vec!["Only one direction was captured.".to_owned()];
        let text = message(&report);
        assert!(text.starts_with("finrace: cannot tell whether requests were lost"), "{text}");
        assert!(text.contains("INCONCLUSIVE") && text.contains("Only one direction"), "{text}");
    }
}
