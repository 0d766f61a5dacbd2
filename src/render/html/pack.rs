//! What the incidents open, compressed: the page of ten thousand must not hold ten thousand ladders in the clear.

use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::rows::shape;
use super::{Drawings, escape, incident};
use crate::report::Report;

/// Stories in one block: enough that like ones are written once, few enough that one is unpacked at once.
const IN_BLOCK: usize = 32;

/// Between two stories: a control character, which none of them can contain because they are escaped.
pub(super) const SEPARATOR: char = '\u{1e}';

/// Where the stories of a report lie.
#[derive(Debug, Default)]
pub struct Stories {
    /// Block and place in it of each incident, in the order of the report.
    pub places: Vec<(usize, usize)>,
    /// The blocks as elements that nothing runs or shows: base64 of a zlib stream (RFC 1950) each.
    pub blocks: String,
}

/// Writes the stories of all incidents, alike ones side by side.
pub fn stories(report: &Report, drawings: &Drawings) -> Stories {
    let mut order: Vec<usize> = (0..report.incidents.len()).collect();
    order.sort_by_cached_key(|&index| {
        let incident = &report.incidents[index];
        (incident.cause, shape(incident), incident.server.clone(), index)
    });
    let mut places = vec![(0, 0); report.incidents.len()];
    for (at, &index) in order.iter().enumerate() {
        places[index] = (at / IN_BLOCK, at % IN_BLOCK);
    }
    let blocks = in_order(order.chunks(IN_BLOCK).collect(), |members| {
        let mut plain = String::new();
        for (place, &index) in members.iter().enumerate() {
            let incident = &report.incidents[index];
            let trace = drawings.traces.get(index).and_then(Option::as_ref);
            if place > 0 {
                plain.push(SEPARATOR);
            }
            plain += &incident::story(report, incident, trace, drawings);
        }
        escape::base64(&compressed(plain.as_bytes()))
    });
    let mut stories = Stories { places, blocks: String::new() };
    for (number, block) in blocks.into_iter().enumerate() {
        let _ = writeln!(
            stories.blocks,
            "<script type=\"application/octet-stream\" id=\"block-{number}\">{block}</script>"
        );
    }
    stories
}

/// Makes something of each part, on all processors, and gives it in the order of the parts.
fn in_order<P: Copy + Sync, M: Send>(parts: Vec<P>, make: impl Fn(P) -> M + Sync) -> Vec<M> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(parts.len()).max(1);
    let every = |first: usize| parts.iter().skip(first).step_by(threads).copied();
    let made: Vec<Vec<M>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                let make = &make;
                scope.spawn(move || every(first).map(make).collect())
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut made: Vec<_> = made.into_iter().map(Vec::into_iter).collect();
    (0..parts.len()).filter_map(|at| made[at % threads].next()).collect()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// The blocks of a report, unpacked again.
#[cfg(test)]
pub fn opened(report: &Report, drawings: &Drawings) -> String {
    use std::io::Read;

    let blocks = stories(report, drawings).blocks;
    let texts = blocks.lines().map(|line| line.split_once('>').and_then(|(_, rest)| rest.split_once('<')));
    let mut opened = Vec::new();
    for (text, _) in texts.map(|text| text.expect("an element")) {
        let mut plain = String::new();
        let bytes = escape::tests::from_base64(text);
        flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut plain).expect("a zlib stream of text");
        opened.push(plain);
    }
    opened.join(&SEPARATOR.to_string())
}
