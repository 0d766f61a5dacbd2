//! Streams of a trace of several files: each file counts them anew, as Wireshark does when it opens one of them.

use std::collections::BTreeMap;

use crate::capture::CaptureError;
use crate::connection::{Connection, RoleHints, Table};

use super::Options;
use super::trace::{TraceFile, TraceRequest, each_segment};

/// The stream index over the whole trace of what has another index in one of its files.
pub(super) fn stream_of_trace(
    files: &[TraceFile<'_>],
    request: &TraceRequest<'_>,
    options: &Options,
) -> Result<Option<u32>, CaptureError> {
    Ok(streams_of_trace(files, &[(request.capture, request.stream)], options)?.pop().flatten())
}

/// The stream index over the whole trace of each connection that has another one in one of its files: given are capture
/// and stream, in that order.
pub(super) fn streams_of_trace(
    files: &[TraceFile<'_>],
    known: &[(u32, u32)],
    options: &Options,
) -> Result<Vec<Option<u32>>, CaptureError> {
    let position = |capture: u32| (0..).zip(files).find(|(_, file)| file.capture == capture);
    let mut streams: Vec<Option<u32>> = known
        .iter()
        .map(|(capture, stream)| position(*capture).filter(|(at, _)| *at == 0).map(|_| *stream))
        .collect();
    if streams.iter().all(Option::is_some) {
        return Ok(streams);
    }
    let mut wanted: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    for (index, (capture, stream)) in known.iter().enumerate() {
        if let Some((at, _)) = position(*capture) {
            wanted.entry((at, *stream)).or_default().push(index);
        }
    }
    // Each connection is handed over once, and has its index in every file then.
    let mut look = |connection: Connection| {
        for at in (0..).take(files.len()) {
            let Some(stream) = connection.stream_in(at) else { continue };
            for index in wanted.get(&(at, stream)).into_iter().flatten() {
                streams[*index] = Some(connection.stream);
            }
        }
    };
    let mut table = Table::new(RoleHints::new(options.server_ports.clone()), options.max_connections);
    let mut begun = 0;
    each_segment(files, &options.interrupt, |at, segment| {
        for _ in begun..at.file {
            table.begin_file();
        }
        begun = at.file;
        table.ingest(segment, at.number, at.time_ns, &mut look);
    })?;
    table.finish_all(&mut look);
    Ok(streams)
}
