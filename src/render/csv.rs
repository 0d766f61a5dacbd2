//! The incidents as CSV (RFC 4180), one row each: for spreadsheets and shells.

use crate::report::{Incident, Report, Role};

use super::units::iso_time;
use super::visible::visible;

/// The columns, in order.
const HEADINGS: [&str; 39] = [
    "id",
    "cause",
    "confidence",
    "race",
    "capture",
    "stream",
    "client",
    "client_address",
    "client_port",
    "server",
    "server_address",
    "server_port",
    "time",
    "time_ns",
    "idle_ns",
    "idle_at_least_ns",
    "idle_at_close_ns",
    "first_request",
    "requests_before",
    "request",
    "method",
    "path",
    "protocol",
    "bytes",
    "previous_response_frame",
    "fin_frame",
    "fin_ack_frame",
    "request_frame",
    "request_ack_frame",
    "response_frame",
    "reset_frame",
    "resets",
    "ack_covers_fin",
    "fin_to_request_ns",
    "retry_safe",
    "retried",
    "vantage",
    "what_happened",
    "advice",
];

/// Ends a record (RFC 4180 section 2).
pub(super) const END: &str = "\r\n";

/// Writes a heading row and one row for each incident.
///
/// A text that a spreadsheet would run as a formula is led in by an apostrophe; numbers are written as they are.
pub fn incidents(report: &Report) -> String {
    let mut text = HEADINGS.join(",");
    text.push_str(END);
    for incident in &report.incidents {
        text += &row(report, incident).join(",");
        text.push_str(END);
    }
    text
}

fn row(report: &Report, incident: &Incident) -> [String; HEADINGS.len()] {
    let frame = |role| match (incident.frames.get(&role), incident.frames_elsewhere.get(&role)) {
        (Some(frame), _) => frame.to_string(),
        (None, Some(elsewhere)) => {
            field(&format!("{} in {}", elsewhere.frame, report.file_of(elsewhere.capture)))
        }
        (None, None) => String::new(),
    };
    let request = &incident.request;
    let [client, client_port] = parts(&incident.client);
    let [server, server_port] = parts(&incident.server);
    [
        incident.id.to_string(),
        incident.cause.to_string(),
        incident.confidence.to_string(),
        incident.race.to_string(),
        field(report.file_of(incident.capture)),
        incident.stream.to_string(),
        field(&incident.client),
        field(client),
        field(client_port),
        field(&incident.server),
        field(server),
        field(server_port),
        iso_time(incident.time_ns),
        incident.time_ns.to_string(),
        number(incident.idle_ns),
        number(incident.idle_at_least_ns),
        number(incident.idle_at_close_ns),
        incident.first_request.to_string(),
        incident.requests_before.to_string(),
        field(&request.label()),
        field(request.method.as_deref().unwrap_or("")),
        field(request.path.as_deref().unwrap_or("")),
        field(&request.protocol),
        request.bytes.to_string(),
        frame(Role::PreviousResponse),
        frame(Role::Fin),
        frame(Role::FinAck),
        frame(Role::Request),
        frame(Role::RequestAck),
        frame(Role::Response),
        frame(Role::Reset),
        incident.resets.to_string(),
        number(incident.ack_covers_fin),
        number(incident.fin_to_request_ns),
        incident.retry_safe.to_string(),
        incident.retried.to_string(),
        incident.vantage.to_string(),
        field(&incident.what_happened),
        field(&incident.advice),
    ]
}

/// Address and port of an end; IPv6 loses its brackets.
fn parts(end: &str) -> [&str; 2] {
    let (address, port) = end.rsplit_once(':').unwrap_or((end, ""));
    [address.trim_matches(['[', ']']), port]
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

    /// The fields of each record, read by the rules of RFC 4180.
    fn records(text: &str) -> Vec<Vec<String>> {
        let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
        let mut letters = text.chars().peekable();
        let mut quoted = false;
        while let Some(letter) = letters.next() {
            match (quoted, letter) {
                (true, '"') if letters.peek() == Some(&'"') => field.extend(letters.next()),
                (_, '"') => quoted = !quoted,
                (false, ',') => record.push(std::mem::take(&mut field)),
                (false, '\r') => {
                    assert_eq!(letters.next(), Some('\n'), "a record ends in CR LF");
                    record.push(std::mem::take(&mut field));
                    records.push(std::mem::take(&mut record));
                }
                (_, letter) => field.push(letter),
            }
        }
        assert!(field.is_empty() && record.is_empty(), "the last record is closed, too");
        records
    }

    #[test]
    fn a_value_stands_under_its_heading() {
        let mut report = fixtures::report();
        report.incidents[0].client = "[2001:db8::1]:40000".to_owned();
        let records = records(&incidents(&report));
        let value = |name: &str| {
            let column = records[0].iter().position(|heading| heading == name).expect("a heading");
            records[1][column].as_str()
        };
        assert_eq!((value("client_address"), value("client_port")), ("2001:db8::1", "40000"));
        assert_eq!((value("method"), value("path"), value("cause")), ("POST", "/", "crossed-fin"));
        assert_eq!((value("fin_frame"), value("request_frame"), value("race")), ("285", "288", "true"));
        assert_eq!(value("fin_to_request_ns"), "-4900000");
    }

    #[test]
    fn every_row_has_as_many_fields_as_the_heading() {
        let mut report = fixtures::report();
        for incident in &mut report.incidents {
            incident.request.path = Some("/a,b\"c\nd".to_owned());
        }
        let fields: Vec<usize> = records(&incidents(&report)).iter().map(Vec::len).collect();
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
