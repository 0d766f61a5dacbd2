//! What is pasted into issues, wikis and postmortems: GitHub Flavored Markdown.
//!
//! What comes from a capture or the command line stands in code spans: there GitHub reads neither markup nor names of
//! people (`@name`) nor numbers of issues (`#1`).

use super::columns::shortened;
use super::mermaid;
use super::report_text::{closed_first, frames, idle, reused};
use super::retry;
use super::units::{count, counted, iso_time, relative};
use super::visible::visible;
use crate::report::{Clocks, Incident, Report, RetrySafe, Segment, Server, Side, Trace, Vantage, Verdict};

/// Letters of a request in a table.
const WIDEST_REQUEST: i32 = 80;

/// Writes a headline, a table of the incidents with what happened and what to change, and one of the servers' timers;
/// without incidents a sentence that says so.
pub fn incidents(report: &Report) -> String {
    let summary = &report.summary;
    let read =
        format!("{} on {}", counted(summary.requests, "request"), counted(summary.connections, "connection"));
    let mut text = match (summary.conclusive, summary.incidents) {
        (_, 0) if summary.filtered_out > 0 => format!(
            "**No lost request matches the filter**, {} left out ({read}).\n",
            counted(summary.filtered_out, "incident")
        ),
        (false, 0) => {
            format!("**Inconclusive:** these captures could not have shown every lost request ({read}).\n")
        }
        (true, 0) => format!("**No request was lost** ({read}).\n"),
        (_, lost) => format!("**{} lost their response** ({read}).\n", counted(lost, "request"))
            .replace("**1 request lost their", "**1 request lost its"),
    };
    if !report.incidents.is_empty() {
        text += "\n| # | time UTC | server | request | cause | idle | frames | retried |\n";
        text += "|--:|---|---|---|---|--:|---|---|\n";
        for incident in &report.incidents {
            text += &row(report, incident);
        }
    }
    for note in &summary.notes {
        text += &format!("\n> {}\n", escape(note));
    }
    text += &explanations(&report.incidents);
    text += &servers(&report.servers);
    text
}

fn row(report: &Report, incident: &Incident) -> String {
    format!(
        "| {} | {} | {} | {} | `{}` | {} | {} | {} |\n",
        incident.id,
        iso_time(incident.time_ns),
        code(&incident.server),
        code(&shortened(&incident.request.label(), WIDEST_REQUEST)),
        incident.cause,
        idle(incident),
        escape(&frames(report, incident)),
        retry::word(incident.retried)
    )
}

/// What happened and what to change, once for each pair of sentences that differ in more than numbers: each cause.
fn explanations(incidents: &[Incident]) -> String {
    let mut text = String::new();
    let mut told = Vec::new();
    for incident in incidents {
        if told.contains(&(incident.cause, incident.root)) {
            continue;
        }
        told.push((incident.cause, incident.root));
        text += &format!(
            "\n**{}** (no. {}): {}\n\n**What to change:** {}\n",
            incident.cause,
            incident.id,
            escape(&incident.what_happened),
            escape(&incident.advice)
        );
    }
    text
}

/// The observed timers as a table; nothing without servers.
pub(super) fn servers(servers: &[Server]) -> String {
    if servers.is_empty() {
        return String::new();
    }
    let mut text =
        "\n| server | closed first, after idle | reused up to | verdict |\n|---|---|--:|---|\n".to_owned();
    for server in servers {
        let verdict = match server.verdict {
            Verdict::AtRisk if server.path_forgets.is_some() => "**at risk**: something between forgets",
            Verdict::AtRisk => "**at risk**",
            Verdict::Safe => "safe",
            Verdict::Unknown => "unknown",
        };
        text += &format!(
            "| {} | {} | {} | {verdict} |\n",
            code(&server.server),
            escape(&closed_first(server)),
            reused(server)
        );
    }
    text
}

/// One incident or connection as a page of its own: the verdict, a Mermaid diagram, the packets, the proof, the cure.
pub fn story(trace: &Trace, incident: Option<&Incident>) -> String {
    let title = super::ladder::layout(trace, incident, &Default::default()).title;
    let mut text = format!("## {}\n\n", escape(&title));
    if let Some(incident) = incident {
        text += &format!("{}\n\n", escape(&incident.what_happened));
        text += &facts(trace, incident);
        text.push('\n');
    }
    text += &diagram(trace, incident);
    text.push('\n');
    text += &packets(trace);
    let Some(incident) = incident else { return text };
    text += &format!("\n**{}**\n\n{}", heading(incident), list(&incident.evidence));
    if !incident.counter_evidence.is_empty() {
        text += &format!("\n**Looked for, and not against it**\n\n{}", list(&incident.counter_evidence));
    }
    text += &format!("\n**What to change**\n\n{}\n", escape(&incident.advice));
    if !incident.would_log.is_empty() {
        text += &format!(
            "\n<details><summary>What proxies and clients log</summary>\n\n{}\n</details>\n",
            logs(incident)
        );
    }
    text
}

/// What the evidence amounts to, as a heading.
pub(super) fn heading(incident: &Incident) -> &'static str {
    match incident.confidence {
        crate::report::Confidence::Certain => "Why this is sure",
        crate::report::Confidence::Likely => "Why this is likely",
        crate::report::Confidence::Inconclusive => "What is missing",
    }
}

/// The facts of an incident as a table of two columns.
fn facts(trace: &Trace, incident: &Incident) -> String {
    let vantage = match (trace.clocks, incident.vantage) {
        (Clocks::Both, _) => ", captured at both ends",
        (_, Vantage::Client) => ", captured at the client",
        (_, Vantage::Server) => ", captured at the server",
        (_, Vantage::Between) => ", captured between the two",
        (_, Vantage::Unknown) => "",
    };
    let rows = [
        ("verdict", format!("`{}`, {}", incident.cause, incident.confidence)),
        ("when (UTC)", iso_time(incident.time_ns)),
        ("request", format!("{}, {} B", code(&incident.request.label()), count(incident.request.bytes))),
        ("from → to", format!("{} → {}", code(&incident.client), code(&incident.server))),
        ("idle before it", idle(incident)),
        ("sent again", retry::fact(incident)),
        ("processed by the application", processed(incident.retry_safe).to_owned()),
        ("in Wireshark", format!("`tcp.stream eq {}`{vantage}", trace.stream)),
    ];
    let mut text = "| | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        text += &format!("| {name} | {value} |\n");
    }
    text
}

/// Whether the work may have been done although no answer came.
pub(super) const fn processed(retry_safe: RetrySafe) -> &'static str {
    match retry_safe {
        RetrySafe::Yes => "no: any request may be sent again",
        RetrySafe::No => "perhaps: only what may be done twice may be sent again",
        RetrySafe::Unknown => "not told by the packets: only what may be done twice may be sent again",
    }
}

/// The diagram in a fence that GitHub draws.
pub(super) fn diagram(trace: &Trace, incident: Option<&Incident>) -> String {
    format!("```mermaid\n{}```\n", mermaid::sequence(trace, incident))
}

/// The segments as a table; those that prove the verdict are bold.
fn packets(trace: &Trace) -> String {
    let [client, server] = [&trace.lanes[0].name, &trace.lanes[1].name].map(|name| escape(name));
    let mut text = "| frame | time | from → to | flags | seq | ack | len | what it means |\n".to_owned();
    text += "|--:|--:|---|---|--:|--:|--:|---|\n";
    for segment in &trace.segments {
        let way = match segment.from {
            Side::Client => format!("{client} → {server}"),
            Side::Server => format!("{server} → {client}"),
        };
        let frame = super::table::frames(trace, segment);
        let frame = if segment.role.is_some() { format!("**{frame}**") } else { frame };
        text += &format!(
            "| {frame} | {} | {way} | {} | {} | {} | {} | {} |\n",
            relative(segment.sent_ns.saturating_sub(trace.zero_ns)),
            flags(segment),
            segment.seq,
            segment.ack.map_or_else(String::new, |ack| ack.to_string()),
            segment.len,
            meaning(segment)
        );
    }
    for (number, file) in (1..).zip(&trace.files) {
        text += &format!("\n{number}: {}\n", code(file));
    }
    if trace.omitted > 0 {
        text += &format!("\n{} left out: they add nothing.\n", counted(trace.omitted, "segment"));
    }
    text
}

fn flags(segment: &Segment) -> String {
    if segment.count > 1 { format!("{} ×{}", segment.flags, segment.count) } else { segment.flags.clone() }
}

fn meaning(segment: &Segment) -> String {
    if !segment.meaning.is_empty() {
        escape(&segment.meaning)
    } else if segment.len > 0 {
        code(&segment.label)
    } else {
        String::new()
    }
}

/// What products write about it, a row each.
pub(super) fn logs(incident: &Incident) -> String {
    let mut text = "| product | writes |\n|---|---|\n".to_owned();
    for (product, line) in &incident.would_log {
        text += &format!("| {product} | {} |\n", code(line));
    }
    text
}

/// Sentences as a list.
pub(super) fn list(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| format!("- {}\n", escape(sentence))).collect()
}

/// Text that stays in its cell and is not read as markup.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in visible(text).chars() {
        match letter {
            // At the beginning these make a list or a heading.
            '-' | '+' | '=' if escaped.is_empty() => escaped.extend(['\\', letter]),
            '$' | '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '~' | '#' | '!' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text from outside as a code span, also in a cell. Where backticks cannot hold it, the element that they stand for
/// does, each sign in it as an entity: inside of either GitHub links neither `@name` nor `#1`.
pub(super) fn code(text: &str) -> String {
    let text = visible(text);
    let bare = !text.is_empty() && !text.starts_with(' ') && !text.ends_with([' ', '\\']);
    if bare && !text.contains(['`', '|']) {
        return format!("`{text}`");
    }
    let mut escaped = String::from("<code>");
    for letter in text.chars() {
        match letter {
            ' ' | '/' | '.' | ',' | '-' | ':' => escaped.push(letter),
            sign if sign.is_ascii_punctuation() => escaped.push_str(&format!("&#{};", u32::from(sign))),
            other => escaped.push(other),
        }
    }
    escaped + "</code>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    #[test]
    fn each_incident_is_one_row_of_eight_cells() {
        let mut report = fixtures::report();
        report.incidents[0].request.path = Some("/a|b\n<script>`@all".to_owned());
        report.servers.clear();
        let text = incidents(&report);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 2 + report.incidents.len());
        for row in rows {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 9, "{row}");
        }
        let hostile = "<code>POST /a&#124;b&#92;n&#60;script&#62;&#96;&#64;all</code>";
        assert!(text.contains(hostile), "{text}");
    }

    #[test]
    fn code_spans_cannot_be_left() {
        assert_eq!(code("POST /orders"), "`POST /orders`");
        assert_eq!(code("a`b"), "<code>a&#96;b</code>");
        assert_eq!(code("@all #1"), "`@all #1`");
        assert_eq!(code("</code>|"), "<code>&#60;/code&#62;&#124;</code>");
        assert_eq!(code(""), "<code></code>");
    }

    #[test]
    fn a_healthy_capture_says_so() {
        let text = incidents(&fixtures::healthy_report());
        assert!(
            text.starts_with("**No request was lost** (118 204 requests on 2 311 connections).\n"),
            "{text}"
        );
        assert!(text.contains("| `10.0.2.7:3000` | 5.001 s"), "{text}");
    }

    #[test]
    fn an_incident_is_a_page_with_a_diagram_and_its_proof() {
        let (trace, incident) = fixtures::crossed_fin();
        insta::assert_snapshot!("markdown_crossed_fin", story(&trace, Some(&incident)));
    }
}
