//! The incidents as CSV (RFC 4180), one row each: for spreadsheets and shells.

use crate::report::{Incident, Report, Role};

use super::units::iso_time;
use super::visible::visible;

/// The columns, in order.
const HEADINGS: [&str; 21] = [
    "id",
    "cause",
    "confidence",
    "capture",
    "stream",
    "client",
    "server",
    "time",
    "time_ns",
    "idle_ns",
    "request",
    "bytes",
    "fin_frame",
    "request_frame",
    "reset_frame",
    "resets",
    "ack_covers_fin",
    "fin_to_request_ns",
    "retry_safe",
    "retried",
    "vantage",
];

/// Writes a heading row and one row for each incident, each closed with a line feed.
///
/// A text that a spreadsheet would run as a formula is led in by an apostrophe; numbers are written as they are.
pub fn incidents(report: &Report) -> String {
    let mut text = HEADINGS.join(",");
    text.push('\n');
    for incident in &report.incidents {
        let capture = usize::try_from(incident.capture).ok().and_then(|index| report.captures.get(index));
        text += &row(report, incident, capture.map_or("", |capture| &capture.file)).join(",");
        text.push('\n');
    }
    text
}

fn row(report: &Report, incident: &Incident, file: &str) -> [String; 21] {
    let frame = |role| match (incident.frames.get(&role), incident.frames_elsewhere.get(&role)) {
        (Some(frame), _) => frame.to_string(),
        (None, Some(elsewhere)) => {
            field(&format!("{} in {}", elsewhere.frame, report.file_of(elsewhere.capture)))
        }
        (None, None) => String::new(),
    };
    [
        incident.id.to_string(),
        incident.cause.to_string(),
        incident.confidence.to_string(),
        field(file),
        incident.stream.to_string(),
        field(&incident.client),
        field(&incident.server),
        iso_time(incident.time_ns),
        incident.time_ns.to_string(),
        number(incident.idle_ns),
        field(&incident.request.label()),
        incident.request.bytes.to_string(),
        frame(Role::Fin),
        frame(Role::Request),
        frame(Role::Reset),
        incident.resets.to_string(),
        number(incident.ack_covers_fin),
        number(incident.fin_to_request_ns),
        incident.retry_safe.to_string(),
        incident.retried.to_string(),
        incident.vantage.to_string(),
    ]
}

fn number(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A text from outside as one field.
pub(super) fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    // A line end is no danger inside of quotes, and may be what tells two names apart.
    let text: Vec<_> = text.split('\n').map(visible).collect();
    let text = if formula { format!("'{}", text.join("\n")) } else { text.join("\n") };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    #[test]
    fn every_row_has_as_many_fields_as_the_heading() {
        let text = incidents(&fixtures::report());
        let fields: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(fields, [HEADINGS.len(); 5]);
    }

    #[test]
    fn a_text_cannot_become_a_formula_or_a_second_field() {
        assert_eq!(field("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(field("@SUM(1)"), "'@SUM(1)");
        assert_eq!(field("POST /a,b"), "\"POST /a,b\"");
        assert_eq!(field("two\nlines"), "\"two\nlines\"");
        assert_eq!(field("GET /"), "GET /");
        assert_eq!(field("\t=1+1"), "'\\t=1+1");
        assert_eq!(field("a\x1b[2Jb"), "a\\x1b[2Jb");
    }

    #[test]
    fn negative_numbers_stay_numbers() {
        let text = incidents(&fixtures::report());
        assert!(text.lines().nth(1).unwrap().contains(",-4900000,"), "{text}");
    }
}
