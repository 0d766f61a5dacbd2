//! What happened and what to change, once for each cause, each with one incident that shows it.

use std::fmt::Write;

use super::Drawings;
use super::escape::text;
use super::incident;
use crate::render::units::counted;
use crate::report::{Cause, Incident, Report};

/// The section; nothing without incidents. The race comes first.
pub fn section(report: &Report, drawings: &Drawings) -> String {
    if report.incidents.is_empty() {
        return String::new();
    }
    let mut section = String::from(
        "<section aria-labelledby=\"causes\">\n<h2 id=\"causes\">What happened, and what to change</h2>\n",
    );
    let mut told: Vec<(&str, Cause)> = Vec::new();
    for (first, number) in firsts(report) {
        let cause = first.cause;
        let _ = writeln!(
            section,
            "<article class=\"cause\">\n<h3>{} <span class=\"count\">{}</span></h3>\n<p>{}</p>",
            cause.token(),
            if first.race { counted(number, "request") } else { counted(number, "failure") },
            text(&first.what_happened)
        );
        match told.iter().find(|(advice, _)| *advice == first.advice) {
            Some((_, other)) => {
                let _ = writeln!(
                    section,
                    "<p><strong>What to change:</strong> the same as for {}.</p>",
                    other.token()
                );
            }
            None => {
                let _ = writeln!(section, "<p><strong>What to change:</strong> {}</p>", text(&first.advice));
                told.push((&first.advice, cause));
            }
        }
        let open = if told.len() == 1 && !section.contains("<details") { " open" } else { "" };
        let trace = report
            .incidents
            .iter()
            .position(|incident| incident.id == first.id)
            .and_then(|at| drawings.traces.get(at)?.as_ref());
        let _ = writeln!(
            section,
            "<details{open}>\n<summary>The packets of <a href=\"#incident-{id}\">#{id}</a> show it</summary>\n{}</details>\n\
             </article>",
            incident::proof(report, first, trace, drawings),
            id = first.id
        );
    }
    section + "</section>\n"
}

/// The first incident of each cause and how many there are of it: the race before its look-alikes, which stay in the
/// order of their first incidents.
fn firsts(report: &Report) -> Vec<(&Incident, u64)> {
    let mut firsts: Vec<(&Incident, u64)> = Vec::new();
    for race in [true, false] {
        for incident in report.incidents.iter().filter(|incident| incident.race == race) {
            match firsts
                .iter_mut()
                .find(|(first, _)| (first.cause, first.root) == (incident.cause, incident.root))
            {
                Some((_, number)) => *number += 1,
                None => firsts.push((incident, 1)),
            }
        }
    }
    firsts
}
