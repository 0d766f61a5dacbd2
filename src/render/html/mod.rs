//! A report as one page of HTML: opens from disk, asks the network for nothing, and reads without JavaScript, too.
//!
//! Everything that a reader sees is written here, in Rust, and escaped in one place (`escape`); the script sorts, filters
//! and unfolds it, and puts nothing into the page that was not part of it. The drawings are those of
//! [`ladder`](super::ladder): what an incident opens lies in the page compressed, some dozens of incidents together, and is
//! unpacked when it is asked for.

mod cause;
mod document;
mod drawing;
mod escape;
mod filters;
mod incident;
mod overview;
mod pack;
mod rows;

use crate::report::{Incident, Report, Timeline, Trace};

use document::Document;

/// What is drawn beside the words of a report.
#[derive(Debug, Clone, Default)]
pub struct Drawings {
    /// The segments of each incident, in the order of [`Report::incidents`]; none where there are none to be had.
    pub traces: Vec<Option<Trace>>,
    /// When the connections of each trace were busy and closed.
    pub timelines: Vec<Timeline>,
    /// Why not every incident has a ladder, in one sentence.
    pub left_out: Option<String>,
}

/// Writes the page of a report.
pub fn report(report: &Report, drawings: &Drawings) -> String {
    let mut document = Document::new(overview::headline(report));
    document.lead = overview::lead(report);
    document.causes = cause::section(report, drawings);
    document.servers = overview::servers(report);
    let stories = pack::stories(report, drawings);
    document.incidents = rows::section(report, drawings);
    document.captures =
        overview::timelines(drawings) + &overview::captures(report) + &filters::section(report);
    document.data = rows::data(report, &stories.places);
    document.stories = stories.blocks;
    document.written()
}

/// Writes the page of one incident, or of one connection without any.
pub fn story(report: &Report, incident: Option<&Incident>, trace: &Trace) -> String {
    let mut document = Document::new(match incident {
        Some(incident) => incident::headline(incident),
        None => overview::connection_headline(trace),
    });
    document.lead = overview::source(report, trace);
    document.causes = incident::alone(report, incident, trace);
    document.captures = overview::captures(report);
    document.written()
}

#[cfg(test)]
mod tests;
