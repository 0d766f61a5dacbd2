//! What the page of a report needs of the capture files beside the report itself.

use std::fs;
use std::path::{Path, PathBuf};

use crate::analysis::{self, Options, TraceFile};
use crate::render::html::Drawings;
use crate::report::{Incident, Redaction, Report};

/// Traces whose connections are drawn on an axis of time: more pictures of that size are looked at by nobody.
const MAX_TIMELINES: usize = 4;

/// A ladder of each incident whose capture can be read again, and the axis of time, with the names that a `redaction` gives.
pub fn drawings(
    report: &Report,
    files: &[PathBuf],
    options: &Options,
    redaction: Option<&mut Redaction>,
) -> Drawings {
    let mut drawings = traced(report, files, options);
    if let Some(redaction) = redaction {
        drawings.traces.iter_mut().flatten().for_each(|trace| redaction.trace(trace));
        drawings.timelines.iter_mut().for_each(|timeline| redaction.timeline(timeline));
        drawings.left_out.iter_mut().for_each(|why| redaction.text(why));
    }
    drawings
}

fn traced(report: &Report, files: &[PathBuf], options: &Options) -> Drawings {
    let mut drawings = Drawings {
        traces: report.incidents.iter().map(|_| None).collect(),
        timelines: Vec::new(),
        left_out: None,
    };
    let mut left_out = |reason: String| {
        drawings.left_out.get_or_insert(reason);
    };
    // Files of one trace are read together, each trace once.
    let mut traces: Vec<(Vec<u32>, Vec<usize>)> = Vec::new();
    for (index, incident) in report.incidents.iter().enumerate() {
        let captures = report.trace_of(incident.capture);
        match traces.iter_mut().find(|(known, _)| *known == captures) {
            Some((_, incidents)) => incidents.push(index),
            None => traces.push((captures, vec![index])),
        }
    }
    for (captures, indexes) in traces {
        let paths: Option<Vec<TraceFile<'_>>> = captures
            .iter()
            .map(|&capture| {
                Some(TraceFile { path: readable_again(report.file_of(capture), files)?, capture })
            })
            .collect();
        let Some(paths) = paths else {
            left_out(
                "A pipe cannot be read a second time; save the capture to a file to have ladders.".to_owned(),
            );
            continue;
        };
        if indexes.len() > analysis::MAX_TRACES {
            left_out(format!("only the first {} of a capture are drawn.", analysis::MAX_TRACES));
        }
        let incidents: Vec<&Incident> = indexes.iter().map(|&index| &report.incidents[index]).collect();
        match analysis::traces(&paths, &incidents, options) {
            Ok(traced) => {
                for (index, trace) in indexes.into_iter().zip(traced) {
                    drawings.traces[index] = trace;
                }
                if drawings.timelines.len() < MAX_TIMELINES {
                    drawings.timelines.extend(analysis::timeline(&paths, report, None, options).ok());
                }
            }
            Err(error) => left_out(format!("{:#}.", anyhow::Error::from(error))),
        }
    }
    if drawings.traces.iter().any(Option::is_none) {
        drawings.left_out.get_or_insert(
            "their connections were given up for want of room (--max-connections).".to_owned(),
        );
    }
    drawings
}

/// The file that the report calls so, if it is one that can be read twice.
fn readable_again<'f>(name: &str, files: &'f [PathBuf]) -> Option<&'f Path> {
    let path = files.iter().find(|file| file.display().to_string() == name)?;
    fs::metadata(path).is_ok_and(|it| it.is_file()).then_some(path)
}
