//! The verdict, the servers and the captures of a report.

use std::fmt::Write;

use super::Drawings;
use super::document::{Headline, HeadlineTone};
use super::drawing;
use super::escape::text;
use crate::render::report_text::{closed_first, reused, vantage};
use crate::render::units::{count, counted, duration, iso_time};
use crate::render::{idle_chart, report_text};
use crate::report::{Capture, Report, Server, Trace, Vantage, Verdict};

/// Servers whose idle times are drawn.
const MAX_PICTURES: usize = 12;

/// The verdict.
pub fn headline(report: &Report) -> Headline {
    let race = report.incidents.iter().filter(|incident| incident.race).count() as u64;
    let others = report.incidents.len() as u64 - race;
    let at_risk = report.servers.iter().filter(|server| server.verdict == Verdict::AtRisk).count() as u64;
    let summary = &report.summary;
    let (tone, sentence) = match (race, others) {
        (0, 0) if summary.filtered_out > 0 => {
            (HeadlineTone::Warning, "No lost request matches the filter".to_owned())
        }
        (0, 0) if !summary.conclusive => (
            HeadlineTone::Warning,
            "Inconclusive: these captures could not have shown every lost request".to_owned(),
        ),
        (0, 0) if at_risk > 0 => (
            HeadlineTone::Warning,
            format!(
                "No request was lost, but {} {} at risk",
                counted(at_risk, "server"),
                if at_risk == 1 { "is" } else { "are" }
            ),
        ),
        (0, 0) => (HeadlineTone::Good, "No request was lost".to_owned()),
        (0, others) => (
            HeadlineTone::Bad,
            format!(
                "{}, none of {} the keep-alive race",
                counted(others, "failure"),
                if others == 1 { "it" } else { "them" }
            ),
        ),
        (race, 0) => (HeadlineTone::Bad, format!("{} lost to the keep-alive race", counted(race, "request"))),
        (race, others) => (
            HeadlineTone::Bad,
            format!(
                "{} lost to the keep-alive race, and {}",
                counted(race, "request"),
                counted(others, "other failure")
            ),
        ),
    };
    let about = match report.captures.as_slice() {
        [] => "finrace".to_owned(),
        [one] => spoken(&one.file).to_owned(),
        [first, more @ ..] => format!("{} and {} more", spoken(&first.file), more.len()),
    };
    Headline { tone, text: sentence, about }
}

/// What was read, and what to know before believing it.
pub fn lead(report: &Report) -> String {
    let summary = &report.summary;
    let mut lead = format!(
        "<p class=\"lead\">{} on {}",
        counted(summary.requests, "request"),
        counted(summary.connections, "connection")
    );
    let first = report.captures.iter().filter_map(|capture| capture.first_ns).min();
    let last = report.captures.iter().filter_map(|capture| capture.last_ns).max();
    if let (Some(first), Some(last)) = (first, last) {
        let _ = write!(lead, ", {} to {} UTC", whole_seconds(first), whole_seconds(last));
    }
    lead += ".</p>\n";
    if !summary.conclusive && !report.incidents.is_empty() {
        lead += "<p class=\"warning\"><strong>Inconclusive:</strong> these captures could not have shown every lost \
                 request. There may be more.</p>\n";
    }
    if summary.filtered_out > 0 {
        let left_out = counted(summary.filtered_out, "incident");
        let _ = writeln!(lead, "<p class=\"warning\"><strong>Filtered:</strong> {left_out} left out.</p>");
    }
    if !summary.notes.is_empty() {
        lead += "<ul class=\"notes\">\n";
        for note in &summary.notes {
            let _ = writeln!(lead, "<li>{}</li>", text(note));
        }
        lead += "</ul>\n";
    }
    lead
}

/// `2025-11-22 14:12:41`.
fn whole_seconds(epoch_ns: i64) -> String {
    iso_time(epoch_ns).get(..19).unwrap_or_default().replace('T', " ")
}

/// What a page of a connection without incident is called.
pub fn connection_headline(trace: &Trace) -> Headline {
    let [client, server] = &trace.lanes;
    Headline {
        tone: HeadlineTone::Good,
        text: format!("Stream {}: {} → {}", trace.stream, client.address, server.address),
        about: "no incident".to_owned(),
    }
}

/// Where a story comes from.
pub fn source(report: &Report, trace: &Trace) -> String {
    let files: Vec<String> = match trace.files.as_slice() {
        [] => report.captures.iter().map(|capture| text(spoken(&capture.file))).collect(),
        several => several.iter().map(|file| text(file)).collect(),
    };
    format!("<p class=\"lead\">From {}.</p>\n", files.join(", "))
}

/// Whose timer is the shorter one, incidents or not.
pub fn servers(report: &Report) -> String {
    if report.servers.is_empty() {
        return String::new();
    }
    let mut section = String::from(
        "<section aria-labelledby=\"servers\">\n<h2 id=\"servers\">Servers and their idle timers</h2>\n\
         <p>A server that closes idle connections sooner than its client stops using them can lose a request.</p>\n\
         <div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">server</th><th scope=\"col\">closed first, after idle</th>\
         <th scope=\"col\" class=\"number\">client reused up to</th><th scope=\"col\">verdict</th></tr></thead>\n<tbody>\n",
    );
    // Those at risk first, otherwise in the order of the report.
    let (at_risk, others): (Vec<&Server>, Vec<&Server>) =
        report.servers.iter().partition(|server| server.verdict == Verdict::AtRisk);
    let in_order: Vec<&Server> = at_risk.into_iter().chain(others).collect();
    for server in &in_order {
        let class = match server.verdict {
            Verdict::AtRisk => "bad",
            Verdict::Safe => "good",
            Verdict::Unknown => "muted",
        };
        let verdict = server.verdict_words();
        let _ = writeln!(
            section,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"number\">{}</td><td class=\"{class}\">{verdict}</td></tr>",
            text(&server.server),
            text(&closed_first(server)),
            text(&reused(server))
        );
    }
    section += "</tbody>\n</table></div>\n";
    section += &timers(report);
    section += &idle_times(&in_order);
    section + "</section>\n"
}

/// The idle times of the first servers as pictures.
fn idle_times(servers: &[&Server]) -> String {
    let mut pictures = String::new();
    let drawn = servers.iter().filter_map(|server| Some((*server, drawing::idle_times(server)?)));
    for (index, (server, picture)) in drawn.take(MAX_PICTURES).enumerate() {
        let open = if index == 0 { " open" } else { "" };
        let name = text(&server.server);
        let _ = writeln!(
            pictures,
            "<details{open}>\n<summary>Idle times of {name}</summary>\n<figure>\n{picture}</figure>\n</details>"
        );
    }
    if servers.len() > MAX_PICTURES {
        pictures += "<p class=\"muted\">The idle times of the others: <code>finrace timeouts</code>.</p>\n";
    }
    pictures
}

/// Which products the timers look like, and what to change where nothing has been lost yet; each sentence once.
fn timers(report: &Report) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut tell = |heading: &str, sentence: &str| {
        let line = format!("<p><strong>{heading}</strong> {}</p>\n", text(sentence));
        if !told.contains(&line) {
            told.push(line);
        }
    };
    for close in report.servers.iter().filter_map(|server| server.server_idle_close.as_ref()) {
        if let Some(sentence) = idle_chart::looks_like(close) {
            tell("Which timer:", &format!("the server’s {sentence}"));
        }
    }
    if report.incidents.is_empty() {
        for server in report.servers.iter().filter(|server| server.verdict == Verdict::AtRisk) {
            tell("What to change:", &server.advice);
        }
    }
    told.concat()
}

/// When connections were busy and closed, a picture for each trace.
pub fn timelines(drawings: &Drawings) -> String {
    let pictures: Vec<String> = drawings.timelines.iter().filter_map(drawing::timeline).collect();
    if pictures.is_empty() {
        return String::new();
    }
    let mut section = String::from(
        "<section aria-labelledby=\"timeline\">\n<h2 id=\"timeline\">The connections in time</h2>\n",
    );
    for (timeline, picture) in drawings.timelines.iter().zip(pictures) {
        let files: Vec<String> = timeline.files.iter().map(|file| text(spoken(file))).collect();
        let _ = writeln!(
            section,
            "<details open>\n<summary>{}</summary>\n<figure>\n{picture}</figure>\n</details>",
            files.join(", ")
        );
    }
    section + "</section>\n"
}

/// What was read, and what of it could not be.
pub fn captures(report: &Report) -> String {
    let mut section = String::from(
        "<section aria-labelledby=\"captures\">\n<h2 id=\"captures\">What the verdict rests on</h2>\n\
         <div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">capture</th><th scope=\"col\">taken</th>\
         <th scope=\"col\" class=\"number\">packets</th><th scope=\"col\">from, UTC</th><th scope=\"col\" class=\"number\">for</th>\
         <th scope=\"col\">not read</th></tr></thead>\n<tbody>\n",
    );
    for (index, capture) in report.captures.iter().enumerate() {
        let place = match vantage(report, index) {
            Vantage::Client => "at the client",
            Vantage::Server => "at the server",
            Vantage::Between => "between client and server",
            Vantage::Unknown => "place not known",
        };
        let length = match (capture.first_ns, capture.last_ns) {
            (Some(first), Some(last)) => duration(last.saturating_sub(first)),
            _ => "–".to_owned(),
        };
        let _ = writeln!(
            section,
            "<tr><th scope=\"row\">{}<br><small>{}</small></th><td>{place}</td><td class=\"number\">{}</td><td>{}</td>\
             <td class=\"number\">{length}</td><td>{}</td></tr>",
            text(spoken(&capture.file)),
            text(&capture.format),
            count(capture.packets),
            capture.first_ns.map_or_else(|| "–".to_owned(), whole_seconds),
            unread(capture)
        );
    }
    section += "</tbody>\n</table></div>\n";
    section + "</section>\n"
}

/// Each reason not to take a capture at face value.
fn unread(capture: &Capture) -> String {
    let skipped =
        capture.skipped.iter().map(|(reason, number)| format!("{} {}", count(*number), text(reason)));
    let mut reasons: Vec<String> = skipped.collect();
    if let Some(dropped) = capture.dropped_by_kernel.filter(|dropped| *dropped > 0) {
        let dropped = counted(dropped, "packet");
        reasons.push(format!(
            "<strong class=\"bad\">the capturing kernel dropped {dropped}: some are missing here</strong>"
        ));
    }
    if let Some(reason) = &capture.truncated {
        reasons.push(format!("<strong class=\"bad\">the capture ends early: {}</strong>", text(reason)));
    }
    if reasons.is_empty() { "nothing".to_owned() } else { reasons.join("; ") }
}

/// The name of a capture in a sentence.
pub fn spoken(file: &str) -> &str {
    if file == "-" { "standard input" } else { file }
}

/// The command that draws an incident, where it can be read again.
pub fn command(report: &Report, incident: &crate::report::Incident) -> Option<String> {
    report_text::show(report, incident).map(|which| format!("finrace show {which}"))
}
