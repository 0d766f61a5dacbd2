//! From captures to a report: the one place that joins capture, packet, connection and diagnosis.
//!
//! One streaming pass finds the incidents ([`analyze`]); a second one, only for what is shown, reads the segments of
//! one connection again ([`trace()`]).

mod builder;
mod labels;
mod quality;
mod trace;
mod vantage;

use crate::capture::{CaptureError, Reader};
use crate::connection::{Connection, RoleHints, Table};
use crate::packet::{self, Skip};
use crate::report::{self, Report};

use builder::Builder;
use quality::Quality;

pub use trace::{TraceRequest, trace};

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
}

impl Default for Options {
    fn default() -> Self {
        Options { server_ports: Vec::new(), max_connections: DEFAULT_MAX_CONNECTIONS, connections: false }
    }
}

/// Analyzes captures, each on its own, and reports what all of them show.
///
/// Never fails: what stops the reading of a capture is part of the report, beside what had been found until then.
pub fn analyze(readers: Vec<Reader>, options: &Options) -> Report {
    let mut builder = Builder::new(options.connections);
    for (index, mut reader) in readers.into_iter().enumerate() {
        analyze_one(&mut reader, index as u32, options, &mut builder);
    }
    builder.finish()
}

fn analyze_one(reader: &mut Reader, capture: u32, options: &Options, builder: &mut Builder) {
    let mut table = Table::new(RoleHints::new(options.server_ports.clone()), options.max_connections);
    let mut quality = Quality::default();
    let mut ended: Vec<Connection> = Vec::new();
    let mut failure = None;
    let mut frame = 0;
    loop {
        let record = match reader.next() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(error) => {
                failure = Some(describe(&error));
                break;
            }
        };
        frame += 1;
        match packet::decode(record.link.0, record.data, record.wire_len) {
            Ok(segment) => {
                quality.segment(&segment);
                table.ingest(&segment, frame, record.time_ns, &mut |connection| ended.push(connection));
                for connection in ended.drain(..) {
                    builder.connection(capture, &connection);
                    quality.connection(&connection);
                }
            }
            Err(skip) => quality.skip(skip),
        }
    }
    let summary = reader.summary();
    builder.circumstances(summary.dropped_by_kernel.is_some_and(|dropped| dropped > 0));
    table.finish_all(&mut |connection| {
        builder.connection(capture, &connection);
        quality.connection(&connection);
    });
    let described = report::Capture {
        file: summary.name,
        format: summary.format,
        link_types: summary.link_types.into_iter().map(|link| link.name()).collect(),
        packets: summary.packets,
        skipped: quality.skipped(),
        dropped_by_kernel: summary.dropped_by_kernel,
        truncated: failure.or(summary.truncated),
        first_ns: summary.first_ns,
        last_ns: summary.last_ns,
    };
    builder.capture(described, &quality, table.counts(), options.max_connections);
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

/// Decodes a record for the second pass, dropping the reason where there is no segment.
fn segment_of<'a>(record: &crate::capture::Record<'a>) -> Result<packet::Segment<'a>, Skip> {
    packet::decode(record.link.0, record.data, record.wire_len)
}
