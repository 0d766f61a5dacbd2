//! A report as JSON: one document, or one object a line.

use serde::Serialize;

use crate::report::{Incident, Report};

/// The report as one pretty-printed document with a closing line end.
pub fn pretty(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("a report is plain data with string keys");
    text.push('\n');
    text
}

/// The report as newline-delimited JSON: each line one object whose `type` says what it is, in the order `capture`,
/// `incident`, `server`, `connection`, and `summary` last, so that a reader who saw it knows that nothing is missing.
pub fn lines(report: &Report) -> String {
    let mut lines = Lines(Vec::new());
    for capture in &report.captures {
        lines.push("capture", capture);
    }
    for incident in &report.incidents {
        lines.push("incident", incident);
    }
    lines.rest(report);
    lines.text()
}

/// One incident as its line of [`lines`], for whoever cannot wait for the others.
pub fn incident_line(incident: &Incident) -> String {
    let mut lines = Lines(Vec::new());
    lines.push("incident", incident);
    lines.text()
}

/// The lines of a report whose incidents were written before, each by [`incident_line`]: `capture`, `server`,
/// `connection`, and `summary` last.
pub fn lines_after_incidents(report: &Report) -> String {
    let mut lines = Lines(Vec::new());
    for capture in &report.captures {
        lines.push("capture", capture);
    }
    lines.rest(report);
    lines.text()
}

/// The last line carries the version of the layout.
#[derive(Serialize)]
struct Versioned<'a> {
    schema: u32,
    #[serde(flatten)]
    summary: &'a crate::report::Summary,
}

/// One line: the object's own fields behind its type.
#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    body: &'a T,
}

struct Lines(Vec<u8>);

impl Lines {
    fn push<T: Serialize>(&mut self, kind: &'static str, body: &T) {
        serde_json::to_writer(&mut self.0, &Line { kind, body })
            .expect("writing to memory does not fail, and a report is plain data with string keys");
        self.0.push(b'\n');
    }

    fn rest(&mut self, report: &Report) {
        for server in &report.servers {
            self.push("server", server);
        }
        for connection in report.connections.iter().flatten() {
            self.push("connection", connection);
        }
        self.push("summary", &Versioned { schema: report.schema, summary: &report.summary });
    }

    fn text(self) -> String {
        String::from_utf8(self.0).expect("JSON is UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    #[test]
    fn the_document_follows_the_schema_of_the_types() {
        let schema: serde_json::Value = serde_json::from_str(&crate::report::json_schema()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&pretty(&fixtures::report())).unwrap();
        let errors: Vec<String> = jsonschema::validator_for(&schema)
            .unwrap()
            .iter_errors(&document)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new());
    }

    #[test]
    fn lines_written_one_by_one_are_the_same_lines() {
        let report = fixtures::report();
        let mut one_by_one: Vec<String> = report.incidents.iter().map(incident_line).collect();
        one_by_one.push(lines_after_incidents(&report));
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&one_by_one.concat()), sorted(&lines(&report)));
    }

    #[test]
    fn every_line_is_one_typed_object_and_the_summary_is_last() {
        let text = lines(&fixtures::report());
        let kinds: Vec<String> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(
            kinds,
            [
                "capture", "incident", "incident", "incident", "incident", "server", "server", "server",
                "summary"
            ]
        );
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((&last["schema"], &last["requests"]), (&1.into(), &118_204.into()));
    }
}
