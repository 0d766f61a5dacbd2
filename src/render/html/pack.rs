//! What the incidents open, compressed: the page of ten thousand must not hold ten thousand ladders in the clear.

use std::fmt::Write as _;
use std::io::Write as _;

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
    let mut stories = Stories { places: vec![(0, 0); report.incidents.len()], blocks: String::new() };
    for (block, members) in order.chunks(IN_BLOCK).enumerate() {
        let mut plain = String::new();
        for (place, &index) in members.iter().enumerate() {
            stories.places[index] = (block, place);
            let incident = &report.incidents[index];
            let trace = drawings.traces.get(index).and_then(Option::as_ref);
            if place > 0 {
                plain.push(SEPARATOR);
            }
            plain += &incident::story(report, incident, trace, drawings);
        }
        let _ = writeln!(
            stories.blocks,
            "<script type=\"application/octet-stream\" id=\"block-{block}\">{}</script>",
            escape::base64(&compressed(plain.as_bytes()))
        );
    }
    stories
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
