//! From captures to a report: the one place that joins capture, packet, connection and diagnosis.
//!
//! One streaming pass finds the incidents ([`analyze`]); a second one, only for what is shown, reads the segments of
//! one connection again ([`trace()`]), or those of many ([`traces()`]).

mod annotate;
mod asked;
mod builder;
mod clock;
mod extract;
mod family;
mod files;
mod front;
mod hops;
mod incident;
mod input;
mod instants;
mod labels;
mod notes;
mod observer;
mod pass;
mod quality;
mod retried;
mod servers;
mod streams;
mod timeline;
mod trace;
mod traces;
mod vantage;

use std::thread;

use crate::capture::{CaptureError, Interrupt, Reader};
use crate::report::{Filter, Report};

use builder::Builder;
use input::Plan;
use pass::Pass;

pub use annotate::{AnnotateError, annotate};
pub use asked::{Asked, Heard, IdleEnd, asked};
pub use extract::{ExtractError, ExtractRequest, Extracted, Key, extract};
pub use input::Input;
pub use instants::{Instants, instants};
pub use observer::{Observer, Progress, Unobserved};
pub use timeline::timeline;
pub use trace::{TraceFile, TraceRequest, trace};
pub use traces::{MAX_TRACES, traces};

/// Connections kept at the same time unless told otherwise: about 200 bytes for a handshake, 800 for a connection that has
/// carried requests, 1100 while it waits for a response (`tests/flood`), and 40 for each of the last four million handed over.
pub const DEFAULT_MAX_CONNECTIONS: usize = 1_000_000;

/// What the user may decide about an analysis.
#[derive(Debug, Clone)]
pub struct Options {
    /// Ports that are servers' ports, for connections whose beginning was not captured.
    pub server_ports: Vec<u16>,
    /// Connections kept at the same time.
    pub max_connections: usize,
    /// List every connection in the report, not only incidents.
    pub connections: bool,
    /// Which incidents are listed and told; the others are counted. It acts before the bound of the list does.
    pub filter: Filter,
    /// Tell incidents as soon as they are certain, some seconds of trace time after their connection closed. Their numbers
    /// then count in the order in which they were told, and their words know only what had been seen until then.
    pub live: bool,
    /// Threads that work at the same time, at least 1. With two, one reads and decodes ahead of the other; more are no use yet.
    /// The report is the same with any number; a live analysis has one.
    pub threads: usize,
    /// Ends the reading when it is raised; what was found until then is reported.
    pub interrupt: Interrupt,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            server_ports: Vec::new(),
            max_connections: DEFAULT_MAX_CONNECTIONS,
            connections: false,
            filter: Filter::default(),
            live: false,
            threads: thread::available_parallelism().map_or(1, usize::from),
            interrupt: Interrupt::default(),
        }
    }
}

/// Analyzes captures that are open already, each on its own, and reports what all of them show.
///
/// Never fails: what stops the reading of a capture is part of the report, beside what had been found until then.
pub fn analyze(readers: Vec<Reader>, options: &Options) -> Report {
    analyze_inputs(readers.into_iter().map(Input::from).collect(), options, &mut Unobserved)
}

/// Analyzes captures and reports what all of them show.
///
/// Files of one ring are one trace: connections go on from file to file. Files belong together when their names differ
/// in a counter or a time only and one begins when the other has ended; files that overlap in time are traces of their
/// own. Rings and single files are read in the order of their first packets, then what is open already. Never fails, as
/// [`analyze`].
pub fn analyze_inputs(inputs: Vec<Input>, options: &Options, observer: &mut dyn Observer) -> Report {
    Pass::new(options, Builder::new(options.connections, options.filter.clone(), observer))
        .run(Plan::of(inputs))
}

/// An error and its causes in one line.
fn describe(error: &CaptureError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
