//! A ladder as plain data: where everything stands, in the units of its [`Metrics`].

use super::metrics::Metrics;
use crate::render::style::Tone;
use crate::report::{Clocks, SegmentKind, Side};

/// A ladder diagram, laid out: every back end draws this and decides nothing but the strokes.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    /// The medium it was laid out for.
    pub metrics: Metrics,
    /// Whose clocks the times are.
    pub clocks: Clocks,
    /// The headline as one string, for a title element.
    pub title: String,
    /// The story in sentences, for those who cannot see the picture.
    pub description: String,
    /// Height of the whole drawing.
    pub height: i32,
    /// The two ends, client first.
    pub lanes: [LaneDrawing; 2],
    /// Where the life lines begin and end.
    pub lane_span: [i32; 2],
    /// Segments, in the order of the trace.
    pub arrows: Vec<Arrow>,
    /// Instants marked with a dot on a life line.
    pub dots: Vec<Dot>,
    /// Quiet times left out.
    pub folds: Vec<Fold>,
    /// What is pointed at.
    pub marks: Vec<Mark>,
    /// Lines of words outside the lanes and in the foot: nothing here overlaps anything.
    pub words: Vec<Words>,
    /// The box behind the foot: top and height.
    pub foot: Option<[i32; 2]>,
}

/// The heading of one life line.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneDrawing {
    /// Where the life line stands.
    pub x: i32,
    /// Top, width and height of the box around name and address.
    pub top: i32,
    /// Width of that box.
    pub width: i32,
    /// Its height.
    pub height: i32,
    /// False when nothing was captured at this end, so that its instants are inferred.
    pub observed: bool,
}

/// One segment on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrow {
    /// Index in [`crate::report::Trace::segments`].
    pub segment: usize,
    /// Its frame in the first capture, 0 where that does not have it; in the other one; and the file, all as in the trace.
    pub frame: u64,
    /// See `frame`.
    pub peer_frame: Option<u64>,
    /// See `frame`.
    pub file: u32,
    /// The sender.
    pub from: Side,
    /// What it does.
    pub kind: SegmentKind,
    /// Where it leaves.
    pub y_sent: i32,
    /// Where it arrives; none when it was not seen to arrive.
    pub y_received: Option<i32>,
    /// The side on which its half of the arrow is inferred, and dashed.
    pub inferred_at: Option<Side>,
    /// Its name; empty when there was no room for it.
    pub label: String,
    /// The same without sizes, for where there is less room.
    pub short_label: String,
    /// Where on the arrow the label stands: percent of the way from sender to receiver.
    pub label_at: i32,
    /// The label stands under the line instead of over it.
    pub label_below: bool,
}

/// An instant on a life line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dot {
    /// Whose life line.
    pub side: Side,
    /// When.
    pub y: i32,
    /// Colour.
    pub tone: Tone,
}

/// Quiet time left out of the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// Top of the pill.
    pub y: i32,
    /// How long, and what kind of quiet: `5.996 s idle`.
    pub label: String,
}

/// Something the picture points at.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// Two arrows cross here.
    Crossing {
        /// Their indexes in [`Ladder::arrows`].
        between: [usize; 2],
        /// Where.
        x: i32,
        /// Where.
        y: i32,
        /// Words, and the top left corner they are given if there is room for them.
        label: String,
        /// See `label`.
        label_at: Option<[i32; 2]>,
    },
    /// The crossing cannot be seen from where the capture was taken, only concluded.
    InferredCrossing {
        /// From what is above it (first) to the later of the two arrows (second).
        y: [i32; 2],
        /// What was concluded and from what, a line each.
        lines: Vec<String>,
    },
    /// From the first y, at the server, to the second, at the client: whatever the client sends is already lost.
    LostWindow {
        /// When the server closed, and when the client could know.
        y: [i32; 2],
        /// Words, and their top left corner if there is room for them.
        label: String,
        /// See `label`.
        label_at: Option<[i32; 2]>,
    },
    /// A bracket beside the client's life line.
    Bracket {
        /// From where to where.
        y: [i32; 2],
        /// Colour.
        tone: Tone,
    },
}

/// One line of words.
#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// Left edge, right edge or middle, by `align`.
    pub x: i32,
    /// Top of the line.
    pub y: i32,
    /// What `x` is.
    pub align: Align,
    /// Size and weight.
    pub face: Face,
    /// Colour.
    pub tone: Tone,
    /// The words.
    pub text: String,
    /// Index of the segment that they are about, if they are about one.
    pub segment: Option<usize>,
}

impl Words {
    /// The area the words may cover: left, top, right, bottom.
    pub fn area(&self, metrics: &Metrics) -> [i32; 4] {
        let width = metrics.measure(self.face, &self.text);
        let left = match self.align {
            Align::Left => self.x,
            Align::Right => self.x - width,
            Align::Middle => self.x - width / 2,
        };
        [left, self.y, left + width, self.y + metrics.line(self.face)]
    }
}

/// Which point of a line its x is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// The left edge.
    Left,
    /// The middle.
    Middle,
    /// The right edge.
    Right,
}

/// Size and weight of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Face {
    /// The headline.
    Title,
    /// Under the headline.
    Subtitle,
    /// Name of a lane.
    Heading,
    /// Address of a lane, in a fixed-width font.
    Address,
    /// A time, in a fixed-width font.
    Time,
    /// A sentence.
    Plain,
    /// A sentence that matters, and labels of arrows.
    Strong,
    /// Sequence and acknowledgement numbers, in a fixed-width font.
    Mono,
    /// The foot.
    Foot,
}

impl Face {
    /// Every face.
    pub const ALL: [Face; 9] = [
        Face::Title,
        Face::Subtitle,
        Face::Heading,
        Face::Address,
        Face::Time,
        Face::Plain,
        Face::Strong,
        Face::Mono,
        Face::Foot,
    ];

    /// Font size in tenths of a pixel.
    pub const fn size_tenths(self) -> i64 {
        match self {
            Face::Title => 210,
            Face::Subtitle => 135,
            Face::Heading => 140,
            Face::Address | Face::Mono => 110,
            Face::Time => 120,
            Face::Plain | Face::Strong => 125,
            Face::Foot => 130,
        }
    }
    /// Whether the font has a fixed width.
    pub const fn is_mono(self) -> bool {
        matches!(self, Face::Address | Face::Time | Face::Mono)
    }
    /// Whether it is written semibold.
    pub const fn is_strong(self) -> bool {
        matches!(self, Face::Title | Face::Heading | Face::Strong)
    }
    /// Name, for a CSS class.
    pub const fn name(self) -> &'static str {
        match self {
            Face::Title => "title",
            Face::Subtitle => "subtitle",
            Face::Heading => "heading",
            Face::Address => "address",
            Face::Time => "time",
            Face::Plain => "plain",
            Face::Strong => "strong",
            Face::Mono => "mono",
            Face::Foot => "foot",
        }
    }
}
