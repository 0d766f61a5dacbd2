//! Places for the words that stand between the lanes of a picture, where arrows are in the way.
//!
//! Every label tries a fixed list of places and takes the first that touches nothing; where there is none it is left
//! out, because words across a line are worse than none. Labels of the story choose first.

use super::layout::clip;
use super::metrics::Metrics;
use super::model::{Arrow, Face, Ladder, Mark};
use crate::report::{SegmentKind, Side};

/// A rectangle at an angle; one without height is a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slab {
    /// Middle.
    pub centre: [f64; 2],
    /// Half of width and height.
    pub half: [f64; 2],
    /// Unit vector along the width.
    pub along: [f64; 2],
}

impl Slab {
    /// The line from `a` to `b`.
    pub fn line(a: [f64; 2], b: [f64; 2]) -> Slab {
        let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
        let length = dx.hypot(dy).max(f64::EPSILON);
        Slab {
            centre: [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0],
            half: [length / 2.0, 0.0],
            along: [dx / length, dy / length],
        }
    }

    /// An upright rectangle.
    pub fn upright(left: f64, top: f64, width: f64, height: f64) -> Slab {
        Slab {
            centre: [left + width / 2.0, top + height / 2.0],
            half: [width / 2.0, height / 2.0],
            along: [1.0, 0.0],
        }
    }

    /// The four corners.
    pub fn corners(&self) -> [[f64; 2]; 4] {
        let ([cx, cy], [w, h], [ux, uy]) = (self.centre, self.half, self.along);
        [(w, h), (w, -h), (-w, h), (-w, -h)].map(|(w, h)| [cx + ux * w - uy * h, cy + uy * w + ux * h])
    }

    /// Whether two slabs share a point: no axis separates them.
    pub fn touches(&self, other: &Slab) -> bool {
        [self.along, across(self.along), other.along, across(other.along)].into_iter().all(|axis| {
            let reach = |slab: &Slab| {
                let dots = slab.corners().map(|corner| corner[0] * axis[0] + corner[1] * axis[1]);
                [
                    dots.iter().copied().fold(f64::INFINITY, f64::min),
                    dots.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                ]
            };
            let ([a_low, a_high], [b_low, b_high]) = (reach(self), reach(other));
            a_low <= b_high && b_low <= a_high
        })
    }
}

fn across([x, y]: [f64; 2]) -> [f64; 2] {
    [-y, x]
}

/// From an arrow's line to the middle of its label.
const LABEL_DISTANCE: f64 = 11.0;
/// Height a label takes, with a little air.
const LABEL_HEIGHT: f64 = 16.0;
/// The widest label on an arrow.
const LABEL_WIDTH: i32 = 230;
/// Radius of the ring around a crossing.
pub const RING: i32 = 15;

/// The line of an arrow, from sender to receiver, as drawn between the dots; a segment not seen to arrive ends on the way.
pub fn line(arrow: &Arrow, metrics: &Metrics) -> [[f64; 2]; 2] {
    const DOT: f64 = 6.0;
    let [left, right] = metrics.lane_x.map(f64::from);
    let (start, end) = match arrow.from {
        Side::Client => (left + DOT, right - DOT),
        Side::Server => (right - DOT, left + DOT),
    };
    match arrow.y_received {
        Some(y) => [[start, f64::from(arrow.y_sent)], [end, f64::from(y)]],
        None => {
            let y = f64::from(arrow.y_sent + metrics.drop / 2);
            [[start, f64::from(arrow.y_sent)], [start + (end - start) * 0.6, y]]
        }
    }
}

/// Where an arrow's label stands, and how it is turned.
pub fn label_slab(arrow: &Arrow, metrics: &Metrics) -> Slab {
    let [a, b] = line(arrow, metrics);
    let width = f64::from(metrics.measure(Face::Strong, &arrow.label));
    let share = f64::from(arrow.label_at) / 100.0;
    // Text runs from left to right whichever way the arrow points.
    let mut along = Slab::line(a, b).along;
    if along[0] < 0.0 {
        along = along.map(|it| -it);
    }
    let up = if arrow.label_below { -LABEL_DISTANCE } else { LABEL_DISTANCE };
    let centre = [a[0] + (b[0] - a[0]) * share + along[1] * up, a[1] + (b[1] - a[1]) * share - along[0] * up];
    Slab { centre, half: [width / 2.0, LABEL_HEIGHT / 2.0], along }
}

/// Finds a place for every label.
pub fn place(ladder: &mut Ladder) {
    let metrics = ladder.metrics;
    let lines: Vec<Slab> =
        ladder.arrows.iter().map(|arrow| line(arrow, &metrics)).map(|[a, b]| Slab::line(a, b)).collect();
    let mut taken = obstacles(ladder);
    for mark in &mut ladder.marks {
        if let Mark::Crossing { x, y, label, label_at, .. } = mark {
            *label_at = crossing_label([*x, *y], label, &metrics, &lines, &taken);
            taken.extend(label_at.map(|at| words(at, label, &metrics)));
        }
    }
    let mut order: Vec<usize> = (0..ladder.arrows.len()).collect();
    order.sort_by_key(|&index| match ladder.arrows[index].kind {
        SegmentKind::Fin | SegmentKind::Reset => 0,
        SegmentKind::Request | SegmentKind::Response => 1,
        SegmentKind::Handshake => 2,
        SegmentKind::Ack => 3,
    });
    for index in order {
        let arrow = &mut ladder.arrows[index];
        arrow.label = clip(&arrow.label, LABEL_WIDTH, &metrics, Face::Strong);
        let full = arrow.label.clone();
        let short = clip(&arrow.short_label, LABEL_WIDTH, &metrics, Face::Strong);
        // Where there is no room for the size, there may be for the name.
        let placed = [full, short].into_iter().any(|label| {
            arrow.label = label;
            place_label(arrow, index, &metrics, &lines, &taken)
        });
        if placed {
            taken.push(label_slab(arrow, &metrics));
        } else {
            arrow.label.clear();
        }
    }
    for mark in &mut ladder.marks {
        if let Mark::LostWindow { y, label, label_at } = mark {
            let spots = [6, 12, 20].map(|down| [metrics.lane_x[0] + 12, y[0] + down]);
            *label_at = spots.into_iter().find(|&at| free(&words(at, label, &metrics), &lines, &taken));
        }
    }
}

/// What is fixed between the lanes: folds, rings, inferences.
fn obstacles(ladder: &Ladder) -> Vec<Slab> {
    let metrics = &ladder.metrics;
    let [left, right] = metrics.lane_x.map(f64::from);
    let mut taken = Vec::new();
    for mark in &ladder.marks {
        match mark {
            Mark::Crossing { x, y, .. } => {
                let size = f64::from(2 * RING);
                taken.push(Slab::upright(f64::from(x - RING), f64::from(y - RING), size, size));
            }
            Mark::InferredCrossing { y, lines } => {
                let slab = inference(*y, lines, metrics);
                let [top, bottom] = y.map(|y| [slab.centre[0], f64::from(y)]);
                taken.extend([slab, Slab::line(top, bottom)]);
            }
            Mark::LostWindow { .. } | Mark::Bracket { .. } => {}
        }
    }
    taken.extend(
        ladder
            .folds
            .iter()
            .map(|fold| Slab::upright(left, f64::from(fold.y), right - left, f64::from(metrics.fold[1]))),
    );
    taken
}

/// The box of an inference, half-way between the two arrows it is about.
pub fn inference(y: [i32; 2], lines: &[String], metrics: &Metrics) -> Slab {
    let middle = f64::from(metrics.lane_x[0] + metrics.lane_x[1]) / 2.0;
    let widest = lines.iter().map(|it| metrics.measure(Face::Strong, it)).max().unwrap_or(0);
    let (width, height) =
        (f64::from(widest) + 28.0, 10.0 + 17.0 * f64::from(u32::try_from(lines.len()).unwrap_or(0)));
    Slab::upright(middle - width / 2.0, f64::from(y[0] + y[1]) / 2.0 - height / 2.0 + 3.0, width, height)
}

/// The area of an upright line of words with its top left corner at `at`.
pub fn words(at: [i32; 2], text: &str, metrics: &Metrics) -> Slab {
    let [left, top] = at.map(f64::from);
    Slab::upright(left, top, f64::from(metrics.measure(Face::Strong, text)), LABEL_HEIGHT)
}

fn free(slab: &Slab, lines: &[Slab], taken: &[Slab]) -> bool {
    !lines.iter().chain(taken).any(|other| slab.touches(other))
}

/// Beside the ring, where the two lines open; else over or under it.
fn crossing_label(
    [x, y]: [i32; 2],
    label: &str,
    metrics: &Metrics,
    lines: &[Slab],
    taken: &[Slab],
) -> Option<[i32; 2]> {
    let width = metrics.measure(Face::Strong, label);
    let [left, right] = [metrics.lane_x[0] + 10, metrics.lane_x[1] - 10 - width];
    let spots = [48, 60, 75, 90, 110].into_iter().flat_map(|far| {
        let beside = [[x + far, y - 8], [x - far - width, y - 8]];
        let over = [[x - width / 2, y - far / 2 - 10], [x - width / 2, y + far / 2 - 4]];
        beside.into_iter().chain(over)
    });
    spots
        .filter(|at| (left..=right).contains(&at[0]))
        .find(|&at| free(&words(at, label, metrics), lines, taken))
}

/// Moves the label of one arrow along it until it is free; false where it never is.
fn place_label(arrow: &mut Arrow, own: usize, metrics: &Metrics, lines: &[Slab], taken: &[Slab]) -> bool {
    const PLACES: [i32; 21] =
        [50, 46, 54, 42, 58, 38, 62, 34, 66, 31, 69, 28, 72, 24, 76, 20, 80, 16, 84, 12, 88];
    let [left, right] = metrics.lane_x.map(f64::from);
    for below in [false, true] {
        for label_at in PLACES {
            (arrow.label_at, arrow.label_below) = (label_at, below);
            let slab = label_slab(arrow, metrics);
            let inside =
                slab.corners().iter().all(|corner| corner[0] > left + 4.0 && corner[0] < right - 4.0);
            let clear = lines.iter().enumerate().all(|(index, line)| index == own || !slab.touches(line));
            if inside && clear && !taken.iter().any(|other| slab.touches(other)) {
                return true;
            }
        }
    }
    false
}
