//! Display filters for Wireshark, to be copied: a sceptic checks the packets, not this page.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::escape::text;
use super::overview::spoken;
use crate::report::{Incident, Report};

/// Streams in one filter at most: longer ones cannot be read any more.
const MAX_STREAMS: usize = 50;

/// Something to copy, with its button.
pub fn copied(words: &str) -> String {
    let words = text(words);
    format!(
        "<span class=\"copied\"><code>{words}</code><button type=\"button\" class=\"copy needs-script\" \
         aria-label=\"Copy {words}\">Copy</button></span>"
    )
}

/// The filters of one incident.
pub fn of_incident(report: &Report, incident: &Incident) -> String {
    let opened = match report.captures.len() {
        1 => String::new(),
        _ => format!("<p>Open {}.</p>\n", text(spoken(report.file_of(incident.capture)))),
    };
    let frames: BTreeSet<u64> = incident.frames.values().copied().collect();
    let frames: Vec<String> = frames.iter().map(|frame| format!("frame.number == {frame}")).collect();
    let mut filters = format!(
        "<h4>Check it in Wireshark</h4>\n{opened}\n<dl class=\"filters\">\n<dt>the whole connection</dt><dd>{}</dd>\n",
        copied(&format!("tcp.stream eq {}", incident.stream))
    );
    if !frames.is_empty() {
        let _ =
            writeln!(filters, "<dt>the frames that prove it</dt><dd>{}</dd>", copied(&frames.join(" || ")));
    }
    for found in incident.frames_elsewhere.values().collect::<BTreeSet<_>>() {
        let _ = writeln!(
            filters,
            "<dt>and{}</dt><dd>{}</dd>",
            self::within(report, found.capture),
            copied(&format!("frame.number == {}", found.frame))
        );
    }
    filters + "</dl>\n"
}

/// The filters of all incidents, a line for each capture.
pub fn section(report: &Report) -> String {
    if report.incidents.is_empty() {
        return String::new();
    }
    let mut section = String::from(
        "<section aria-labelledby=\"wireshark\">\n<h2 id=\"wireshark\">Check it in Wireshark</h2>\n\
         <p>Frame numbers and stream indexes on this page are Wireshark’s. Open the capture and paste a filter; these show \
         the connections that lost a request:</p>\n\
         <dl class=\"filters\">\n",
    );
    for (index, capture) in (0..).zip(&report.captures) {
        let mut streams: Vec<u32> = Vec::new();
        for incident in report.incidents.iter().filter(|incident| incident.capture == index) {
            if streams.last() != Some(&incident.stream) {
                streams.push(incident.stream);
            }
        }
        streams.sort_unstable();
        streams.dedup();
        if streams.is_empty() {
            continue;
        }
        let more = streams.len().saturating_sub(MAX_STREAMS);
        streams.truncate(MAX_STREAMS);
        let streams: Vec<String> = streams.iter().map(|stream| format!("tcp.stream eq {stream}")).collect();
        let _ = writeln!(
            section,
            "<dt>{}{}</dt><dd>{}</dd>",
            text(spoken(&capture.file)),
            if more > 0 {
                format!(" (the first {MAX_STREAMS}; {more} more are in the table)")
            } else {
                String::new()
            },
            copied(&streams.join(" || "))
        );
    }
    section + "</dl>\n</section>\n"
}

/// ` (file)`, where there are several.
fn within(report: &Report, capture: u32) -> String {
    match report.captures.len() {
        1 => String::new(),
        _ => format!(" in {}", text(spoken(report.file_of(capture)))),
    }
}
