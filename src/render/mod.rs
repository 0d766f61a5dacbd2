//! A report or a trace to bytes: tables, JSON, CSV, Markdown, Mermaid, a postmortem, and the ladder as SVG, PNG and
//! terminal text.
//!
//! Nothing here knows a file, standard output or a terminal: width, colour and character set come in as options,
//! and what comes out is a `String` or bytes. The same input gives the same output, byte for byte.

pub mod chart;
pub mod chat;
pub mod check_text;
mod columns;
pub mod csv;
pub mod explain_text;
pub mod histogram;
pub mod html;
mod idle_chart;
pub mod json;
pub mod ladder;
pub mod markdown;
pub mod mermaid;
pub mod odds_text;
mod page;
mod plot;
pub mod postmortem;
#[cfg(feature = "live")]
pub mod probe_text;
#[cfg(feature = "live")]
pub mod probe_upstream_text;
pub mod product_data;
pub mod product_text;
pub mod report_text;
mod retry;
pub mod run_text;
pub mod sequence;
pub mod soak_text;
pub mod style;
pub mod table;
pub mod timeline;
pub mod units;
mod visible;
pub mod window;
mod wrap;

pub use ladder::png;
pub use style::{TextOptions, Theme};
pub use visible::{quoted, visible};

#[cfg(test)]
pub(crate) mod fixtures;
