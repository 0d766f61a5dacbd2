//! The table of incidents: the first rows as they stand, and all of them as data for the script.

use std::collections::BTreeMap;

use serde::Serialize;

use super::escape::{self, text};
use super::{Drawings, overview};
use crate::render::report_text::{frames, idle};
use crate::render::retry::remark;
use crate::render::units::{count, time_of_day};
use crate::report::{Confidence, Incident, Report};

/// Rows that a page without JavaScript shows.
const STATIC_ROWS: usize = 100;

/// The section; nothing without incidents.
pub fn section(report: &Report, drawings: &Drawings) -> String {
    if report.incidents.is_empty() {
        return String::new();
    }
    let mut section = String::from(include_str!("incidents.html"));
    let left_out = match &drawings.left_out {
        Some(reason) => {
            format!("<p class=\"warning\">Not every incident has its ladder here: {}</p>\n", text(reason))
        }
        None => String::new(),
    };
    let mut rows = String::new();
    for incident in report.incidents.iter().take(STATIC_ROWS) {
        rows += &row(report, incident);
    }
    let more = report.incidents.len().saturating_sub(STATIC_ROWS);
    let rest = if more > 0 {
        let files: Vec<&str> =
            report.captures.iter().map(|capture| overview::spoken(&capture.file)).collect();
        format!(
            "<noscript><p>{} more: without JavaScript this page shows the first {STATIC_ROWS}. \
             <code>finrace analyze {}</code> lists all.</p></noscript>\n",
            count(more as u64),
            text(&files.join(" "))
        )
    } else {
        String::new()
    };
    for (name, part) in [("<!-- rest -->", rest), ("<!-- left out -->", left_out), ("<!-- rows -->", rows)] {
        section = section.replacen(name, &part, 1);
    }
    section
}

fn row(report: &Report, incident: &Incident) -> String {
    format!(
        "<tr class=\"row\" id=\"incident-{id}\"><td class=\"number\">{id}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td class=\"number\">{}</td><td>{}</td></tr>\n",
        time_of_day(incident.time_ns),
        text(&incident.server),
        text(&incident.request.label()),
        incident.cause.token(),
        text(&idle(incident)),
        text(&proof(report, incident)),
        id = incident.id
    )
}

/// The frames, and what weakens or softens the verdict.
fn proof(report: &Report, incident: &Incident) -> String {
    let sure = match incident.confidence {
        Confidence::Certain => "",
        Confidence::Likely => "likely",
        Confidence::Inconclusive => "not certain",
    };
    let retried = remark(incident).unwrap_or_default();
    let frames = frames(report, incident);
    let parts = [frames.as_str(), sure, &retried];
    let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    said.join("; ")
}

/// What alike requests have in common: method and path with the parts that hold a digit left open (`GET /items/*`).
pub fn shape(incident: &Incident) -> String {
    match (&incident.request.method, &incident.request.path) {
        (Some(method), Some(path)) => {
            let parts: Vec<&str> = path
                .split('/')
                .map(|part| if part.contains(|letter: char| letter.is_ascii_digit()) { "*" } else { part })
                .collect();
            format!("{method} {}", parts.join("/"))
        }
        _ => format!("request ({})", incident.request.protocol),
    }
}

/// The rows for the script: words that repeat are in lists, rows name them by index.
#[derive(Serialize)]
struct Data<'a> {
    causes: Vec<&'a str>,
    servers: Vec<String>,
    requests: Vec<String>,
    shapes: Vec<String>,
    rows: Vec<Row>,
}

/// Id, time, its distance from the first in ns, cause, server, request, shape, client and stream, idle, its length in ns,
/// frames and remarks, race, block, place in it.
type Row = (u32, String, i64, usize, usize, usize, usize, String, String, i64, String, u8, usize, usize);

/// Words in the order in which they were met.
#[derive(Default)]
struct Words<T> {
    known: BTreeMap<T, usize>,
    words: Vec<T>,
}

impl<T: Ord + Clone> Words<T> {
    fn index(&mut self, word: T) -> usize {
        let next = self.words.len();
        let index = *self.known.entry(word.clone()).or_insert(next);
        if index == next {
            self.words.push(word);
        }
        index
    }
}

/// The element that holds the rows; nothing without incidents.
pub fn data(report: &Report, places: &[(usize, usize)]) -> String {
    let Some(first_ns) = report.incidents.iter().map(|incident| incident.time_ns).min() else {
        return String::new();
    };
    let (mut causes, mut servers, mut requests, mut shapes) =
        (Words::default(), Words::default(), Words::default(), Words::default());
    let mut rows = Vec::with_capacity(report.incidents.len());
    for (incident, &(block, place)) in report.incidents.iter().zip(places) {
        let shown = |text: &str| crate::render::visible(text).into_owned();
        rows.push((
            incident.id,
            time_of_day(incident.time_ns),
            incident.time_ns.saturating_sub(first_ns),
            causes.index(incident.cause.token()),
            servers.index(shown(&incident.server)),
            requests.index(shown(&incident.request.label())),
            shapes.index(shown(&shape(incident))),
            shown(&format!("{} stream {}", incident.client, incident.stream)),
            idle(incident),
            incident.idle_ns.unwrap_or(-1),
            shown(&proof(report, incident)),
            u8::from(incident.race),
            block,
            place,
        ));
    }
    let data = Data {
        causes: causes.words,
        servers: servers.words,
        requests: requests.words,
        shapes: shapes.words,
        rows,
    };
    format!("<script type=\"application/json\" id=\"data\">{}</script>\n", escape::json(&data))
}
