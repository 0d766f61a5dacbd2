//! One connection of a capture as a small capture of its own, as it is or without anybody's names and content.
//!
//! It lives here because it joins what nobody else may: it finds the connection as the analysis numbers it, copies records, and
//! then analyzes what it wrote. An extract whose verdict is not that of the whole capture does not leave this module.

mod frames;
mod head;
mod key;
mod payload;
mod records;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::IpAddr;

use thiserror::Error;

use crate::capture::{
    self, CaptureError, CopyError, Edit, Interface, LinkType, PcapngWriter, Reader, Record,
};
use crate::connection::{RoleHints, Table};
use crate::destination::{Destination, DestinationError};
use crate::packet::rewrite::{self, Names};
use crate::packet::{Decoder, Endpoint, Segment, Skip, fragment_between};
use crate::report::Report;

use super::streams::stream_of_trace;
use super::{Options, TraceFile, TraceRequest};

use key::OtherNames;
use payload::Filter;
use verdict::Expected;

pub use key::Key;

/// Fragments remembered until it is known whose they are.
const MAX_FRAGMENTS: usize = 100_000;
/// Interfaces of an anonymised extract at most: as many as a reader accepts.
const MAX_INTERFACES: usize = 65_000;

/// Which connection, and how.
#[derive(Debug)]
pub struct ExtractRequest<'r> {
    /// What the analysis of all files says.
    pub report: &'r Report,
    /// The files of the trace that the connection is in, in the order of their times.
    pub files: &'r [TraceFile<'r>],
    /// Index in the report of the file that `stream` counts in.
    pub capture: u32,
    /// Wireshark's `tcp.stream` there.
    pub stream: u32,
    /// Without names and content, under the names that this key gives.
    pub anonymize: Option<Key>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// Packets of it.
    pub packets: u64,
    /// Packets among them that could not keep their link and tunnel headers, and are plain IP packets now.
    pub rebuilt: u64,
    /// The verdicts, those of the whole capture: `crossed-fin, certain`.
    pub verdicts: Vec<String>,
    /// An analysis of the extract has to be told this port of the server: `--server-port`.
    pub server_port: Option<u16>,
    /// Some lost request of it was sent again on another connection, which is not in the extract.
    pub retry_left_out: bool,
}

/// An extract that could not be made.
#[derive(Debug, Error)]
pub enum ExtractError {
    /// A capture cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The copy failed.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The connection is not there.
    #[error("there is no stream {0}")]
    NoSuchStream(u32),
    /// The file cannot be written.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The user wants no more.
    #[error("interrupted: the extract was not written")]
    Interrupted,
    /// The extract says something else than the whole capture; it was not kept.
    #[error("the extract was not kept, because it would not say the same: {0}")]
    OtherVerdict(String),
}

/// Writes one connection to a pcapng file, which appears when it is whole and its verdict is found to be the same.
///
/// # Errors
/// [`ExtractError`]; nothing is at `output` then that was not there before.
pub fn extract(
    request: &ExtractRequest<'_>,
    output: &Destination,
    options: &Options,
) -> Result<Extracted, ExtractError> {
    let scan = Scan::of(request, options);
    if options.interrupt.is_raised() {
        return Err(ExtractError::Interrupted);
    }
    let scan = scan?;
    let mut staged = output.stage()?;
    let failed = |source| ExtractError::from(output.failed(source));
    let mut written = match &request.anonymize {
        None => copied(request, &scan, options, staged.file())?,
        Some(key) => {
            let names = OtherNames::new(key.clone());
            anonymized(request, &scan, options, &names, staged.file(), &failed)?
        }
    };
    staged.file().flush().map_err(failed)?;
    if options.interrupt.is_raised() {
        return Err(ExtractError::Interrupted);
    }
    let extracted = verdict::checked(request, &mut written, staged.path(), options)?;
    // A comparison that was interrupted compared nothing.
    if options.interrupt.is_raised() {
        return Err(ExtractError::Interrupted);
    }
    staged.keep()?;
    Ok(extracted)
}

/// What has been written, for the comparison.
struct Written {
    packets: u64,
    rebuilt: u64,
    /// The server's port there, by which an analysis may have to be told the server.
    server_port: u16,
    expected: Vec<Expected>,
}

/// Follows the records of a trace to the connection that is wanted.
struct Walk {
    stream: u32,
    decoder: Decoder,
    table: Table,
    number: u64,
    /// The connection, once it is over.
    server: Option<Endpoint>,
}

impl Walk {
    fn new(stream: u32, options: &Options) -> Walk {
        Walk {
            stream,
            decoder: Decoder::new(),
            table: Table::new(RoleHints::new(options.server_ports.clone()), options.max_connections),
            number: 0,
            server: None,
        }
    }

    /// The segment of a record, if it is one of the connection.
    fn step<'a>(&'a mut self, record: &Record<'a>) -> Result<Option<Segment<'a>>, Skip> {
        self.number += 1;
        let segment = self.decoder.decode(record.link.0, record.data, record.wire_len, record.time_ns)?;
        let (wanted, server) = (self.stream, &mut self.server);
        let stream = self.table.ingest(&segment, self.number, record.time_ns, &mut |connection| {
            if connection.stream == wanted {
                *server = Some(connection.endpoint(crate::report::Side::Server));
            }
        });
        Ok((stream == wanted).then_some(segment))
    }

    fn server(mut self) -> Option<Endpoint> {
        let (wanted, server) = (self.stream, &mut self.server);
        self.table.finish_all(&mut |connection| {
            if connection.stream == wanted {
                *server = Some(connection.endpoint(crate::report::Side::Server));
            }
        });
        self.server
    }
}

/// What has to be known before anything is written.
struct Scan {
    /// The connection's index over the whole trace.
    stream: u32,
    server: Endpoint,
    /// Incidents of the report on this connection.
    incidents: Vec<usize>,
    /// Fragments that belong to it, by position of the file and frame.
    fragments: BTreeSet<(usize, u64)>,
    /// Interfaces that captured it, by position of the file and number, and what their packets begin with.
    interfaces: BTreeMap<(usize, u32), LinkType>,
}

impl Scan {
    fn of(request: &ExtractRequest<'_>, options: &Options) -> Result<Scan, ExtractError> {
        let missing = || ExtractError::NoSuchStream(request.stream);
        let traced = TraceRequest {
            stream: request.stream,
            capture: request.capture,
            incident: None,
            names: ("client", "server"),
            products: (None, None),
            server_capture: None,
        };
        let stream = stream_of_trace(request.files, &traced, options)?.ok_or_else(missing)?;
        let mut starts: BTreeMap<(u32, u64), Vec<usize>> = BTreeMap::new();
        for (index, incident) in request.report.incidents.iter().enumerate() {
            for frame in incident.frames.values() {
                starts.entry((incident.capture, *frame)).or_default().push(index);
            }
        }
        let mut incidents = BTreeSet::new();
        let mut fragments = BTreeSet::new();
        let mut alone: BTreeMap<(IpAddr, IpAddr, u8), Vec<(usize, u64)>> = BTreeMap::new();
        let mut kept_alone = 0;
        let mut interfaces = BTreeMap::new();
        let mut walk = Walk::new(stream, options);
        let mut found = false;
        for (position, file) in request.files.iter().enumerate() {
            let mut reader = Reader::open_with(file.path, &options.interrupt)?;
            let mut frame = 0;
            while let Some(record) = reader.next()? {
                frame += 1;
                let between = || fragment_between(record.link.0, record.data, record.wire_len);
                match walk.step(&record) {
                    Ok(Some(_)) => {
                        found = true;
                        incidents.extend(starts.get(&(file.capture, frame)).into_iter().flatten().copied());
                        if interfaces.len() < MAX_INTERFACES {
                            interfaces.insert((position, record.interface), record.link);
                        }
                        if let Some(pieces) = between().and_then(|between| alone.remove(&between)) {
                            kept_alone -= pieces.len();
                            fragments.extend(pieces);
                        }
                    }
                    Err(Skip::Fragment) if kept_alone < MAX_FRAGMENTS => {
                        if let Some(between) = between() {
                            kept_alone += 1;
                            alone.entry(between).or_default().push((position, frame));
                        }
                    }
                    _ => {}
                }
            }
        }
        let server = walk.server().filter(|_| found).ok_or_else(missing)?;
        let incidents = incidents.into_iter().collect();
        Ok(Scan { stream, server, incidents, fragments, interfaces })
    }

    /// What the extract has to say, once it is known where its frames are.
    fn expected(&self, request: &ExtractRequest<'_>) -> Vec<Expected> {
        self.incidents.iter().map(|&at| Expected::of(&request.report.incidents[at])).collect()
    }
}

/// Writes the records as they are: a section for each file.
fn copied(
    request: &ExtractRequest<'_>,
    scan: &Scan,
    options: &Options,
    out: &mut dyn Write,
) -> Result<Written, ExtractError> {
    let mut expected = scan.expected(request);
    let mut walk = Walk::new(scan.stream, options);
    let mut packets = 0;
    let holds = |position: usize| scan.interfaces.keys().any(|(file, _)| *file == position);
    for (position, file) in request.files.iter().enumerate() {
        let comment =
            format!("finrace {}: stream {} of another capture", env!("CARGO_PKG_VERSION"), scan.stream);
        let mut edit = |frame: u64, record: &Record<'_>| {
            let wanted = matches!(walk.step(record), Ok(Some(_)));
            if !wanted && !scan.fragments.contains(&(position, frame)) {
                return Edit::LeaveOut;
            }
            packets += 1;
            expected.iter_mut().for_each(|expected| expected.moved(file.capture, frame, packets));
            Edit::Keep(Vec::new())
        };
        // A file without packets of it would only be another section.
        let target: &mut dyn Write = if holds(position) { out } else { &mut io::sink() };
        capture::copy(file.path, &options.interrupt, Some(&comment), target, &mut edit)?;
    }
    Ok(Written { packets, rebuilt: 0, server_port: scan.server.port, expected })
}

/// Writes the records under other names and without content, into one section that says nothing else.
fn anonymized(
    request: &ExtractRequest<'_>,
    scan: &Scan,
    options: &Options,
    names: &OtherNames,
    out: &mut dyn Write,
    failed: &dyn Fn(io::Error) -> ExtractError,
) -> Result<Written, ExtractError> {
    const PLAIN: LinkType = LinkType(101);
    let mut expected = scan.expected(request);
    let places: BTreeMap<(usize, u32), u32> = scan.interfaces.keys().copied().zip(0..).collect();
    let interface = |link| Interface { name: String::new(), link, snaplen: 0 };
    let mut interfaces: Vec<Interface> = scan.interfaces.values().map(|link| interface(*link)).collect();
    let plain = interfaces.len() as u32;
    interfaces.push(interface(PLAIN));
    let mut writer = PcapngWriter::new(out, &interfaces).map_err(failed)?;
    let mut walk = Walk::new(scan.stream, options);
    let mut filter = Filter::default();
    let (mut packets, mut rebuilt, mut last_ns) = (0, 0, 0);
    let mut dropped: Option<u64> = None;
    for (position, file) in request.files.iter().enumerate() {
        let mut reader = Reader::open_with(file.path, &options.interrupt)?;
        let mut frame = 0;
        while let Some(record) = reader.next()? {
            frame += 1;
            let Ok(Some(segment)) = walk.step(&record) else { continue };
            packets += 1;
            last_ns = record.time_ns;
            expected.iter_mut().for_each(|expected| expected.moved(file.capture, frame, packets));
            let payload = filter.payload(&segment, packets, record.time_ns);
            let rewritten = rewrite::rewrite(record.link.0, record.data, record.wire_len, names, &payload);
            let place = places.get(&(position, record.interface)).copied();
            match (rewritten, place) {
                (Some(data), Some(place)) => {
                    writer.packet(place, record.time_ns, record.wire_len, &data, None)
                }
                _ => {
                    rebuilt += 1;
                    let (data, wire_len) = rewrite::rebuild(&segment, names, &payload);
                    writer.packet(plain, record.time_ns, wire_len, &data, None)
                }
            }
            .map_err(failed)?;
        }
        let of_file = reader.summary().dropped_by_kernel;
        dropped = dropped.into_iter().chain(of_file).reduce(u64::saturating_add);
    }
    if let Some(dropped) = dropped {
        writer.statistics(0, last_ns, packets, dropped).map_err(failed)?;
    }
    Ok(Written { packets, rebuilt, server_port: names.port(scan.server.port), expected })
}
