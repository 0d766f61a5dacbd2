//! The incidents as a Markdown table, to paste into an issue or a postmortem.

use crate::report::{Incident, Report};

use super::report_text::{frames, idle};
use super::units::{counted, iso_time};
use super::visible::visible;

/// Writes a headline and a table (GitHub Flavored Markdown); without incidents a sentence that says so.
pub fn incidents(report: &Report) -> String {
    let summary = &report.summary;
    let read =
        format!("{} on {}", counted(summary.requests, "request"), counted(summary.connections, "connection"));
    let mut text = match (summary.conclusive, summary.incidents) {
        (false, 0) => {
            format!("**Inconclusive:** these captures could not have shown a lost request ({read}).\n")
        }
        (true, 0) => format!("**No request was lost** ({read}).\n"),
        (_, lost) => format!("**{} lost their response** ({read}).\n", counted(lost, "request")),
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
    text
}

fn row(report: &Report, incident: &Incident) -> String {
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
        incident.id,
        iso_time(incident.time_ns),
        escape(&incident.server),
        escape(&incident.request.label()),
        incident.cause,
        idle(incident),
        escape(&frames(report, incident)),
        if incident.retried { "yes" } else { "no" }
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    #[test]
    fn each_incident_is_one_row_of_eight_cells() {
        let mut report = fixtures::report();
        report.incidents[0].request.path = Some("/a|b\n<script>".to_owned());
        let text = incidents(&report);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 2 + report.incidents.len());
        for row in rows {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 9, "{row}");
        }
        assert!(text.contains("POST /a\\|b\\\\n\\<script\\>"), "{text}");
    }

    #[test]
    fn a_healthy_capture_says_so() {
        assert_eq!(
            incidents(&fixtures::healthy_report()),
            "**No request was lost** (118 204 requests on 2 311 connections).\n"
        );
    }
}
