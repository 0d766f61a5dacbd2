//! Sizes of the two media: a picture measured in pixels, a terminal measured in cells. One layout serves both.

use super::model::Face;
use crate::render::wrap::columns;

/// Everything the layout has to know about a medium. Lengths are pixels or cells, y grows downwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// Whether lengths are cells of a terminal rather than pixels.
    pub cells: bool,
    /// Width of the whole drawing.
    pub width: i32,
    /// Free space at the left, right and bottom edges.
    pub margin: i32,
    /// Where the two life lines stand.
    pub lane_x: [i32; 2],
    /// From a life line to the words beside it.
    pub note_offset: i32,
    /// From the top of a note to the instant it belongs to.
    pub note_rise: i32,
    /// Between two notes on one side.
    pub note_gap: i32,
    /// Between any two instants.
    pub step: i32,
    /// Between two segments in the same direction, so that their labels fit.
    pub same_direction: i32,
    /// How far an ordinary segment sinks on its way.
    pub drop: i32,
    /// How far the segments of the story sink: far enough to see them cross.
    pub story_drop: i32,
    /// How far the answer to them sinks.
    pub answer_drop: i32,
    /// Around the words of an inference between two horizontal arrows: across in all, and down in all.
    pub inference_padding: [i32; 2],
    /// Before a fold, height of its pill, after it.
    pub fold: [i32; 3],
    /// Height of the lane's heading without its second and third line.
    pub heading: i32,
    /// From the heading to the first instant, and from the last to the end of the lanes.
    pub body_gap: i32,
    /// Padding inside the foot.
    pub foot_padding: i32,
}

impl Metrics {
    /// A picture 1080 pixels wide.
    pub const PICTURE: Metrics = Metrics {
        cells: false,
        width: 1080,
        margin: 40,
        lane_x: [340, 700],
        note_offset: 24,
        note_rise: 16,
        note_gap: 8,
        step: 8,
        same_direction: 32,
        drop: 28,
        story_drop: 130,
        answer_drop: 84,
        inference_padding: [60, 70],
        fold: [28, 30, 30],
        heading: 32,
        body_gap: 32,
        foot_padding: 14,
    };

    /// A terminal of `width` columns.
    pub fn terminal(width: i32) -> Metrics {
        let width = width.min(132);
        let between = (width * 38 / 100).clamp(28, 48);
        let left = (width - between) * 47 / 100;
        Metrics {
            cells: true,
            width,
            margin: 0,
            lane_x: [left, left + between],
            note_offset: 2,
            note_rise: 0,
            note_gap: 0,
            step: 1,
            same_direction: 1,
            drop: 1,
            story_drop: 5,
            answer_drop: 2,
            inference_padding: [4, 1],
            fold: [1, 1, 1],
            heading: 1,
            body_gap: 1,
            foot_padding: 0,
        }
    }

    /// Height of one line.
    pub fn line(&self, face: Face) -> i32 {
        match face {
            _ if self.cells => 1,
            Face::Title => 28,
            Face::Subtitle | Face::Foot => 20,
            Face::Address | Face::Mono => 16,
            Face::Heading | Face::Time | Face::Plain | Face::Strong => 17,
        }
    }

    /// From the top of a line to its baseline.
    pub fn ascent(&self, face: Face) -> i32 {
        if self.cells { 0 } else { self.line(face) - 5 }
    }

    /// Width of a line, never less than it is in Inter or DejaVu Sans Mono, with a little to spare for other fonts.
    pub fn measure(&self, face: Face, text: &str) -> i32 {
        if self.cells {
            return columns(text);
        }
        let thousandths: i32 = match face {
            Face::Address | Face::Time | Face::Mono => 602 * columns(text),
            _ => text.chars().map(advance).sum(),
        };
        let spare = match face {
            Face::Title | Face::Heading | Face::Strong => 109,
            Face::Foot => 112,
            Face::Subtitle | Face::Plain => 104,
            Face::Address | Face::Time | Face::Mono => 100,
        };
        if thousandths == 0 {
            return 0;
        }
        // Tenths of a pixel, thousandths of an em, hundredths of spare.
        i32::try_from((i64::from(thousandths) * face.size_tenths() * spare) / 1_000_000 + 1)
            .unwrap_or(i32::MAX)
    }

    /// Width free for words on each side of the lanes.
    pub fn note_width(&self, side: usize) -> i32 {
        match side {
            0 => self.lane_x[0] - self.note_offset - self.margin + i32::from(self.cells),
            _ => self.width - self.margin - self.lane_x[1] - self.note_offset,
        }
    }
}

/// Advance widths of Inter Regular for U+0020 to U+007E in thousandths of an em.
const ADVANCES: [u16; 95] = [
    281, 288, 466, 633, 642, 982, 644, 300, 365, 365, 501, 662, 288, 460, 288, 360, 631, 407, 610, 618, 646,
    593, 620, 566, 619, 620, 288, 302, 662, 662, 662, 511, 966, 690, 654, 730, 722, 601, 590, 746, 743, 269,
    571, 672, 565, 903, 753, 765, 639, 765, 644, 642, 646, 744, 690, 985, 682, 679, 629, 365, 360, 365, 471,
    456, 323, 562, 612, 571, 612, 583, 370, 613, 591, 242, 242, 549, 242, 876, 591, 600, 612, 612, 376, 528,
    327, 591, 562, 818, 546, 562, 552, 426, 333, 426, 662,
];

/// Advance of one character; anything outside ASCII counts as wide as the widest sign used, a whole em.
fn advance(letter: char) -> i32 {
    match letter {
        ' '..='~' => i32::from(ADVANCES[letter as usize - 32]),
        '·' | '’' => 300,
        '−' | '±' | '×' => 662,
        _ => 1_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_terminal_width_leaves_room_for_words_on_both_sides() {
        for width in 72..200 {
            let metrics = Metrics::terminal(width);
            assert!(metrics.note_width(0) >= 17 && metrics.note_width(1) >= 18, "{width}: {metrics:?}");
            assert!(metrics.lane_x[1] < metrics.width);
        }
    }

    #[test]
    fn wider_text_measures_wider() {
        let picture = Metrics::PICTURE;
        assert!(picture.measure(Face::Plain, "WWWW") > picture.measure(Face::Plain, "iiii"));
        assert_eq!(picture.measure(Face::Plain, ""), 0);
    }
}
