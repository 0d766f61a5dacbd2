//! The first pass: records of files and pipes through decoder and table into the builder.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::capture::{CaptureError, Reader};
use crate::connection::{Connection, RoleHints, Table};
use crate::packet::{Decoder, Skip};
use crate::report;

use super::builder::Builder;
use super::family::Name;
use super::files::Files;
use super::front::{Decoded, Front};
use super::input::{Group, Listed, Plan};
use super::notes;
use super::quality::Quality;
use super::{Options, describe};

/// Records, about, between two looks at the clock by whoever shows progress.
const PROGRESS_EVERY: u64 = 4_096;
/// A live pipe that is silent for so long is quiet.
const QUIET: Duration = Duration::from_secs(1);
/// Traces open at the same time: those of overlapping files, each of which a later file may continue. Beyond it, the one
/// that ended first is closed.
const MAX_OPEN: usize = 16;
/// A file may begin this much before its predecessor ends: packets are written slightly out of order.
const REORDERED_NS: i64 = 100_000_000;

/// A trace: one file, or the files of a ring.
struct Trace {
    decoder: Decoder,
    table: Table,
    quality: Quality,
    files: Files,
    /// Frames of all its files so far.
    frames: u64,
    /// The file read last; none where it came by a pipe.
    last: Option<Name>,
    last_file: String,
    /// Latest time of a record.
    ended_ns: Option<i64>,
    names: Vec<String>,
}

/// The first pass over all captures.
pub(super) struct Pass<'p, 'o> {
    options: &'p Options,
    builder: Builder<'o>,
    open: Vec<Trace>,
    traces: u32,
    /// Bytes of the files that are done.
    bytes_done: u64,
    bytes_total: Option<u64>,
    packets: u64,
    /// When progress was told last, in units of [`PROGRESS_EVERY`].
    progress_at: u64,
    ended: Vec<Connection>,
    unread: usize,
}

impl<'p, 'o> Pass<'p, 'o> {
    pub fn new(options: &'p Options, builder: Builder<'o>) -> Pass<'p, 'o> {
        Pass {
            options,
            builder,
            open: Vec::new(),
            traces: 0,
            bytes_done: 0,
            bytes_total: None,
            packets: 0,
            progress_at: 0,
            ended: Vec::new(),
            unread: 0,
        }
    }

    /// Reads everything and reports.
    pub fn run(mut self, plan: Plan) -> report::Report {
        self.bytes_total = plan.bytes;
        for path in &plan.repeated {
            self.builder.note(format!("{} was given more than once and analyzed once", path.display()));
        }
        for group in plan.groups {
            self.group(group);
        }
        for reader in plan.open {
            if self.is_interrupted() {
                self.unread += 1;
                continue;
            }
            let mut trace = self.trace();
            self.file(reader, &mut trace, None);
            self.close(trace);
        }
        if self.is_interrupted() {
            self.builder.inconclusive();
            self.builder.note(match self.unread {
                0 => "interrupted: this is what was found until then".to_owned(),
                unread => {
                    format!("interrupted: this is what was found until then; {unread} captures were not read")
                }
            });
        }
        self.builder.finish()
    }

    fn is_interrupted(&self) -> bool {
        self.options.interrupt.is_raised()
    }

    /// Reads files that may be one ring: each continues the trace that it fits to, or begins one.
    fn group(&mut self, group: Group) {
        for file in &group {
            if self.is_interrupted() {
                self.unread += 1;
                continue;
            }
            let reader = match Reader::open_with(&file.path, &self.options.interrupt) {
                Ok(reader) => reader,
                Err(error) => {
                    self.vanished(file, &error);
                    continue;
                }
            };
            let mut trace = match self.continued_by(file) {
                Some(mut trace) => {
                    self.look_for_gap(&mut trace, file, &group);
                    trace.table.begin_file();
                    trace
                }
                None => self.trace(),
            };
            let continues = trace.files.newest();
            self.file(reader, &mut trace, continues);
            trace.last = Some(file.name.clone());
            self.open.push(trace);
            if self.open.len() > MAX_OPEN
                && let Some(at) = (0..self.open.len()).min_by_key(|at| self.open[*at].ended_ns)
            {
                let trace = self.open.remove(at);
                self.close(trace);
            }
        }
        for trace in std::mem::take(&mut self.open) {
            self.close(trace);
        }
    }

    /// The open trace that a file continues: its last file is of the same ring by the names and ended before this one
    /// begins. Of several, the one whose name is most alike.
    fn continued_by(&mut self, file: &Listed) -> Option<Trace> {
        // A file without records, as rotation by time leaves behind a silent hour, fits everywhere.
        let begins = file.first_ns.unwrap_or(i64::MAX);
        let fits = |trace: &&Trace| {
            trace.last.as_ref().is_some_and(|last| last.is_kin(&file.name))
                && trace.ended_ns.is_some_and(|ended| ended <= begins.saturating_add(REORDERED_NS))
        };
        let alike = |trace: &Trace| trace.last.as_ref().map(|last| last.common_prefix(&file.name));
        let best = self.open.iter().filter(fits).map(alike).max()?;
        let at = self.open.iter().position(|trace| fits(&trace) && alike(trace) == best)?;
        Some(self.open.remove(at))
    }

    /// Notes a file that is missing before this one.
    fn look_for_gap(&mut self, trace: &mut Trace, file: &Listed, group: &[Listed]) {
        let (Some(last), Some(ended), Some(begins)) = (&trace.last, trace.ended_ns, file.first_ns) else {
            return;
        };
        let Some(skipped) = last.skipped(&file.name, group.iter().map(|listed| &listed.name)) else { return };
        let what = if skipped.files() == 1 { "a file is" } else { "files are" };
        self.builder.note(format!(
            "between {} (until {}) and {} (from {}) {what} missing ({}): connections that were open then may have lost packets",
            trace.last_file,
            notes::time_of_day(ended),
            file.path.display(),
            notes::time_of_day(begins),
            skipped.words()
        ));
        trace.files.gap(ended, begins);
    }

    fn trace(&mut self) -> Trace {
        let number = self.traces;
        self.traces += 1;
        Trace {
            decoder: Decoder::new(),
            table: Table::new(
                RoleHints::new(self.options.server_ports.clone()),
                self.options.max_connections,
            ),
            quality: Quality::default(),
            files: Files::of_trace(number),
            frames: 0,
            last: None,
            last_file: String::new(),
            ended_ns: None,
            names: Vec::new(),
        }
    }

    /// Reads one capture into a trace.
    fn file(&mut self, reader: Reader, trace: &mut Trace, continues: Option<u32>) {
        trace.files.begin(self.builder.captures(), trace.frames);
        let joined = trace.decoder.fragments_joined();
        let Trace { decoder, table, quality, files, frames: before, .. } = &mut *trace;
        let before = *before;
        let mut front = Front::new(reader, decoder, table.digester());
        let mut back = Back { pass: self, table, quality, files, before };
        if back.pass.options.live {
            let mut decoded = Decoded::default();
            loop {
                if !front.is_ready_within(QUIET) {
                    // Nobody knows when trace time goes on: what is closed is told now.
                    back.settle(i64::MAX);
                }
                front.next_alone(&mut decoded);
                if decoded.is_empty() {
                    break;
                }
                back.take(&decoded);
            }
        } else if back.pass.options.threads > 1 {
            front.run_beside(|decoded| back.take(decoded));
        } else {
            front.run_in_step(|decoded| back.take(decoded));
        }
        let Front { reader, frames: frame, clock, seen, mut skipped, failure, .. } = front;
        trace.quality.add(&seen);
        let summary = reader.summary();
        self.bytes_done += reader.bytes_read();
        self.packets += frame;
        trace.frames += frame;
        trace.files.dropped |= summary.dropped_by_kernel.is_some_and(|dropped| dropped > 0);
        trace.ended_ns = trace.ended_ns.max(summary.last_ns);
        trace.last_file.clone_from(&summary.name);
        trace.names.push(summary.name.clone());
        if let Some(hint) = clock.hint() {
            self.builder.note(format!("{}: {hint}", summary.name));
        }
        let passed_over: u64 = skipped.values().sum();
        tell_joined(&mut skipped, trace.decoder.fragments_joined() - joined);
        let described = report::Capture {
            file: summary.name,
            format: summary.format,
            link_types: summary.link_types.into_iter().map(|link| link.name()).collect(),
            packets: summary.packets,
            skipped: skipped.iter().map(|(reason, count)| (reason.as_str().to_owned(), *count)).collect(),
            dropped_by_kernel: summary.dropped_by_kernel,
            truncated: failure.or(summary.truncated),
            continues,
            first_ns: summary.first_ns,
            last_ns: summary.last_ns,
        };
        self.builder.capture(described, frame - passed_over);
    }

    /// A file that was there when it was looked at.
    fn vanished(&mut self, file: &Listed, error: &CaptureError) {
        self.builder.inconclusive();
        self.builder.capture(
            report::Capture {
                file: file.path.display().to_string(),
                format: "unknown".to_owned(),
                link_types: Vec::new(),
                packets: 0,
                skipped: BTreeMap::new(),
                dropped_by_kernel: None,
                truncated: Some(describe(error)),
                continues: None,
                first_ns: None,
                last_ns: None,
            },
            0,
        );
    }

    /// Judges what is left of a trace.
    fn close(&mut self, mut trace: Trace) {
        trace.table.finish_all(&mut |connection| {
            self.builder.connection(&trace.files, &connection);
            trace.quality.connection(&connection);
        });
        self.builder.retries(&trace.files, trace.table.retries());
        if trace.names.len() > 1 {
            let names: Vec<&str> = trace.names.iter().map(String::as_str).collect();
            self.builder.note(format!("{} are one trace, in the order of their times", notes::names(&names)));
        }
        self.builder.trace(&trace.files, &trace.quality, trace.table.counts(), self.options.max_connections);
    }
}

/// The back half of the pass, on one file: segments into the table, what leaves it into the builder.
struct Back<'b, 'p, 'o> {
    pass: &'b mut Pass<'p, 'o>,
    table: &'b mut Table,
    quality: &'b mut Quality,
    files: &'b Files,
    /// Frames of the trace before the file.
    before: u64,
}

impl Back<'_, '_, '_> {
    fn take(&mut self, decoded: &Decoded) {
        let Pass { builder, ended, options, .. } = &mut *self.pass;
        if options.live
            && let Some(first_ns) = decoded.first_ns
        {
            // Before the segment: it may come so late that the table lets closed connections go.
            self.table.settle(first_ns, &mut |connection, retries| {
                builder.settled(self.files, connection, retries);
            });
        }
        decoded.each(self.table, self.before, |table, located| {
            table.ingest_located(located, &mut |connection| ended.push(connection));
            for connection in ended.drain(..) {
                if options.live {
                    builder.ended(self.files, &connection, table.retries());
                }
                builder.connection(self.files, &connection);
                self.quality.connection(&connection);
            }
        });
        let packets = self.pass.packets + decoded.frames;
        if packets / PROGRESS_EVERY != self.pass.progress_at {
            self.pass.progress_at = packets / PROGRESS_EVERY;
            let bytes = self.pass.bytes_done + decoded.bytes_read;
            self.pass.builder.progress(bytes, self.pass.bytes_total, packets);
        }
    }

    fn settle(&mut self, now_ns: i64) {
        let (builder, files) = (&mut self.pass.builder, self.files);
        self.table.settle(now_ns, &mut |connection, retries| builder.settled(files, connection, retries));
    }
}

/// Of the fragments passed over, those that a later one completed are no loss. (Some may lie in the file before.)
fn tell_joined(skipped: &mut BTreeMap<Skip, u64>, joined: u64) {
    let alone = skipped.get(&Skip::Fragment).copied().unwrap_or(0);
    let joined = joined.min(alone);
    if joined > 0 {
        skipped.insert(Skip::Fragment, alone - joined);
        skipped.insert(Skip::FragmentJoined, joined);
        skipped.retain(|_, count| *count > 0);
    }
}
