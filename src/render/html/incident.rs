//! One incident: what happened, the packets that prove it, the ladder, and how to check it.

use std::fmt::Write;

use super::document::{Headline, HeadlineTone};
use super::drawing;
use super::escape::text;
use super::filters::{self, copied};
use super::{Drawings, overview};
use crate::render::report_text::at_least;
use crate::render::retry;
use crate::render::table;
use crate::render::units::{count, counted, duration, iso_time, relative};
use crate::report::{Confidence, Incident, Report, RetrySafe, Segment, Side, Trace};

/// The headline of a page of its own.
pub fn headline(incident: &Incident) -> Headline {
    Headline {
        tone: HeadlineTone::Bad,
        text: format!("{}: {}", incident.cause.token(), incident.request.label()),
        about: format!("{}, {}", incident.server, iso_time(incident.time_ns)),
    }
}

/// Everything about an incident, for its row in the table.
pub fn story(report: &Report, incident: &Incident, trace: Option<&Trace>, drawings: &Drawings) -> String {
    format!(
        "<h3>#{} {} <span class=\"cause-name\">{}</span></h3>\n{}{}",
        incident.id,
        text(&incident.request.label()),
        incident.cause.token(),
        words(incident),
        proof(report, incident, trace, drawings)
    )
}

/// A page of one incident, or of a connection without any.
pub fn alone(report: &Report, incident: Option<&Incident>, trace: &Trace) -> String {
    let drawings = Drawings::default();
    let story = match incident {
        Some(incident) => words(incident) + &proof(report, incident, Some(trace), &drawings),
        None => {
            let ladder = drawing::ladder(trace, None);
            format!("<div class=\"story\">\n{}{}</div>\n", packets(trace), figure(&ladder))
        }
    };
    format!("<section>\n{story}</section>\n")
}

fn words(incident: &Incident) -> String {
    format!(
        "<p>{}</p>\n<p><strong>What to change:</strong> {}</p>\n",
        text(&incident.what_happened),
        text(&incident.advice)
    )
}

/// Facts, evidence, packets, ladder and filters.
pub fn proof(report: &Report, incident: &Incident, trace: Option<&Trace>, drawings: &Drawings) -> String {
    let mut proof = String::from("<div class=\"story\">\n");
    proof += &facts(incident);
    if let Some(trace) = trace {
        let ladder = drawing::ladder(trace, Some(incident));
        proof += &packets(trace);
        proof += &figure(&ladder);
    } else if let Some(reason) = &drawings.left_out {
        let _ = write!(proof, "<p class=\"warning\">No ladder here: {}", text(reason));
        if let Some(command) = overview::command(report, incident) {
            let _ = write!(proof, " This draws it: {}", copied(&command));
        }
        proof += "</p>\n";
    }
    proof += &list("Evidence", &incident.evidence);
    proof += &list("What would have spoken against it, and was looked for", &incident.counter_evidence);
    proof += &filters::of_incident(report, incident);
    if !incident.would_log.is_empty() {
        proof += "<details>\n<summary>What logs say of it</summary>\n<dl class=\"logs\">\n";
        for (product, line) in &incident.would_log {
            let _ = writeln!(proof, "<dt>{}</dt><dd><code>{}</code></dd>", text(product), text(line));
        }
        proof += "</dl>\n</details>\n";
    }
    proof + "</div>\n"
}

fn facts(incident: &Incident) -> String {
    let mut facts: Vec<(&str, String)> = vec![
        ("sent", format!("{} UTC", iso_time(incident.time_ns).replace('T', " ").trim_end_matches('Z'))),
        ("from → to", format!("{} → {}", incident.client, incident.server)),
    ];
    let idle = match (incident.idle_ns, incident.idle_at_least_ns, incident.first_request) {
        (Some(idle_ns), ..) => {
            format!(
                "for {}, after {}",
                duration(idle_ns),
                counted(incident.requests_before.into(), "answered request")
            )
        }
        (None, Some(idle_ns), _) => format!("for {}: it began before the capture", at_least(idle_ns)),
        (None, None, true) => "the first request of its connection".to_owned(),
        (None, None, false) => "for how long was not captured".to_owned(),
    };
    facts.push(("idle before", idle));
    if let Some(covers) = incident.ack_covers_fin {
        let sentence = match covers {
            false => "not acknowledged by the request: its sender had not received it",
            true => "acknowledged by the request: its sender’s kernel already had it",
        };
        facts.push(("the server’s FIN", sentence.to_owned()));
    }
    let sure = match incident.confidence {
        Confidence::Certain => "certain: the packets prove it",
        Confidence::Likely => "likely: the packets fit, and something that would prove it is missing",
        Confidence::Inconclusive => "not certain: the capture cannot tell",
    };
    facts.push(("how sure", sure.to_owned()));
    let safe = match incident.retry_safe {
        RetrySafe::Yes => "safe: the application cannot have processed the request",
        RetrySafe::No => "only if the request is idempotent: the application may have processed it",
        RetrySafe::Unknown => "the packets do not tell whether the application processed the request",
    };
    facts.push(("sent again", retry::fact(incident)));
    facts.push(("a retry is", safe.to_owned()));
    if incident.resets > 1 {
        facts.push(("resets", format!("{} RSTs for this one request", count(incident.resets.into()))));
    }
    let facts: Vec<String> = facts
        .iter()
        .map(|(name, fact)| format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", text(fact)))
        .collect();
    format!("<dl class=\"facts\">\n{}</dl>\n", facts.concat())
}

fn list(heading: &str, sentences: &[String]) -> String {
    if sentences.is_empty() {
        return String::new();
    }
    let items: Vec<String> =
        sentences.iter().map(|sentence| format!("<li>{}</li>\n", text(sentence))).collect();
    format!("<h4>{heading}</h4>\n<ul>\n{}</ul>\n", items.concat())
}

fn figure(ladder: &str) -> String {
    format!("<figure>\n{ladder}</figure>\n")
}

/// The packet list of a trace. Each row and its arrow in the ladder carry the same `data-segment`.
fn packets(trace: &Trace) -> String {
    let mut table = String::from(
        "<div class=\"packets wide\"><table>\n<caption>Packets: point at one, or move with the arrow keys, to see it in the \
         ladder</caption>\n<thead><tr><th scope=\"col\" class=\"number\">frame</th><th scope=\"col\" class=\"number\">time</th>\
         <th scope=\"col\">from → to</th><th scope=\"col\">flags</th><th scope=\"col\" class=\"number\">seq</th>\
         <th scope=\"col\" class=\"number\">ack</th><th scope=\"col\" class=\"number\">len</th>\
         <th scope=\"col\">what it means</th></tr></thead>\n<tbody>\n",
    );
    for (index, segment) in trace.segments.iter().enumerate() {
        table += &packet(trace, segment, index);
    }
    table += "</tbody>\n</table>";
    if trace.omitted > 0 {
        let _ = write!(
            table,
            "<p class=\"muted\">{} left out: they add nothing.</p>",
            counted(trace.omitted, "segment")
        );
    }
    for (number, file) in (1..).zip(&trace.files) {
        let _ = write!(table, "<p class=\"muted\">{number}: {}</p>", text(file));
    }
    table + "</div>\n"
}

fn packet(trace: &Trace, segment: &Segment, index: usize) -> String {
    let [client, server] = [&trace.lanes[0].name, &trace.lanes[1].name];
    let (from, to) = match segment.from {
        Side::Client => (client, server),
        Side::Server => (server, client),
    };
    let meaning = match segment.meaning.as_str() {
        "" if segment.label == segment.flags => "",
        "" => &segment.label,
        meaning => meaning,
    };
    let times = if segment.count > 1 { format!(" ×{}", segment.count) } else { String::new() };
    format!(
        "<tr data-segment=\"{index}\" tabindex=\"{}\"{}><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{} → {}</td>\
         <td>{}{times}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td></tr>\n",
        if index == 0 { "0" } else { "-1" },
        if segment.role.is_some() { " class=\"evidence\"" } else { "" },
        text(&table::frames(trace, segment)),
        relative(segment.sent_ns.saturating_sub(trace.zero_ns)),
        text(from),
        text(to),
        text(&segment.flags),
        segment.seq,
        segment.ack.map_or_else(String::new, |ack| ack.to_string()),
        segment.len,
        text(meaning)
    )
}
