//! The ladder: one connection drawn between two life lines, time running down.
//!
//! One [`layout()`] decides where everything stands, in pixels or in terminal cells; [`svg()`], [`png()`] and [`text()`] only draw.
//! Slanted arrows stand for segments whose send and receive times are both known. With one capture point an arrow is
//! horizontal at its capture time, and whatever is concluded about the other end is dashed and called inferred.
//! The vertical scale keeps the order of all instants but not their distances: each gets the room its words need.

mod instants;
mod labels;
mod layout;
mod metrics;
mod model;
mod png;
mod story;
mod svg;
mod terminal;

pub(super) use layout::clip;
pub use metrics::Metrics;
pub use model::{Align, Arrow, Dot, Face, Fold, Ladder, LaneDrawing, Mark, Words};
pub use png::{PngError, png};
pub(super) use svg::escape;
pub use svg::{bare_svg, colours, style_sheet, svg, themed_svg};

use crate::render::style::TextOptions;
use crate::report::{Incident, Trace};

/// What the packets cannot tell but the caller may know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// What the user was finally given: `502 Bad Gateway`, or `200 OK` after a retry.
    pub user_saw: Option<String>,
}

/// Lays a ladder out for [`svg()`] and [`png()`].
pub fn layout(trace: &Trace, incident: Option<&Incident>, outcome: &Outcome) -> Ladder {
    layout::ladder(trace, incident, outcome, Metrics::PICTURE)
}

/// The headline of a ladder, for other pictures of the same trace.
pub(super) fn headline(trace: &Trace, incident: Option<&Incident>) -> String {
    story::Story { trace, incident, outcome: &Outcome::default() }.title()
}

/// Draws a ladder with characters.
pub fn text(trace: &Trace, incident: Option<&Incident>, outcome: &Outcome, options: TextOptions) -> String {
    let metrics = Metrics::terminal(options.columns());
    terminal::text(&layout::ladder(trace, incident, outcome, metrics), options)
}

#[cfg(test)]
mod labelled_tests;
#[cfg(test)]
mod tests;
