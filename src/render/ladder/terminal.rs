//! A laid-out ladder in characters.
//!
//! An arrow leaves its sender level, then sinks a row a column (`╲`, `╱`) to the row in which it arrives, so that the
//! level part has room for its name and two segments that cross are seen to cross (`╳`).

use super::layout::clip;
use super::model::{Align, Arrow, Face, Ladder, Mark};
use crate::render::style::{TextOptions, Tone};
use crate::render::wrap::columns;
use crate::report::{SegmentKind, Side};

/// One character cell.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cell {
    sign: char,
    tone: Tone,
    strong: bool,
    /// What drew it: an arrow that meets the line of another arrow crosses it.
    ink: Ink,
}

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Blank,
    Lane,
    /// The line of the arrow with this index.
    Arrow(usize),
    Text,
}

const BLANK: Cell = Cell { sign: ' ', tone: Tone::Ink, strong: false, ink: Ink::Blank };

/// Writes a ladder laid out for a terminal, with a line end after each row.
pub fn text(ladder: &Ladder, options: TextOptions) -> String {
    let mut grid = Grid::new(ladder.metrics.width, ladder.height);
    lanes(ladder, &mut grid);
    for (index, arrow) in ladder.arrows.iter().enumerate() {
        line(index, arrow, ladder, &mut grid);
    }
    for words in &ladder.words {
        let strong = words.face.is_strong();
        let width = columns(&words.text);
        let left = match words.align {
            Align::Left => words.x,
            Align::Right => words.x - width + 1,
            Align::Middle => words.x - width / 2,
        };
        grid.write([left, words.y], &words.text, words.tone, strong);
    }
    folds(ladder, &mut grid);
    for (index, arrow) in ladder.arrows.iter().enumerate() {
        label(index, arrow, ladder, &mut grid);
    }
    marks(ladder, &mut grid);
    grid.text(options)
}

fn lanes(ladder: &Ladder, grid: &mut Grid) {
    let [top, bottom] = ladder.lane_span;
    for lane in &ladder.lanes {
        let sign = if lane.observed { '│' } else { '┆' };
        for y in top..=bottom {
            grid.set([lane.x, y], Cell { sign, tone: Tone::Line, strong: false, ink: Ink::Lane });
        }
    }
    for dot in &ladder.dots {
        let lane = &ladder.lanes[usize::from(dot.side == Side::Server)];
        let (x, sign) = (lane.x, if lane.observed { '●' } else { '○' });
        grid.set([x, dot.y], Cell { sign, tone: dot.tone, strong: false, ink: Ink::Lane });
    }
}

fn folds(ladder: &Ladder, grid: &mut Grid) {
    let [left, right] = ladder.metrics.lane_x;
    for fold in &ladder.folds {
        for x in [left, right] {
            grid.set([x, fold.y], Cell { sign: '≈', tone: Tone::Line, strong: false, ink: Ink::Lane });
        }
        let room = right - left - 2;
        let dressed = format!("· · · {} · · ·", fold.label);
        let label = if columns(&dressed) <= room { &dressed } else { &fold.label };
        let label = clip(label, room, &ladder.metrics, Face::Strong);
        grid.write([(left + right + 1 - columns(&label)) / 2, fold.y], &label, Tone::Ink, true);
    }
}

/// The line of an arrow: level, sinking, level again, head.
fn line(index: usize, arrow: &Arrow, ladder: &Ladder, grid: &mut Grid) {
    let [left, right] = ladder.metrics.lane_x;
    let tone = Tone::from(arrow.kind);
    let (start, end, forward) = match arrow.from {
        Side::Client => (left + 1, right - 1, 1),
        Side::Server => (right - 1, left + 1, -1),
    };
    let Some(y_received) = arrow.y_received else {
        let middle = start + forward * (right - left) * 4 / 5;
        level(index, [start, middle], arrow.y_sent, forward, tone, grid);
        grid.set([middle, arrow.y_sent], Cell { sign: '×', tone, strong: true, ink: Ink::Arrow(index) });
        return;
    };
    let rows = y_received - arrow.y_sent;
    // Rows that the width cannot take a column each are passed straight down.
    let sinking = rows.min((right - left) / 3);
    let knee = end - forward * (sinking + 1);
    level(index, [start, knee], arrow.y_sent, forward, tone, grid);
    let (mut x, mut y) = (knee, arrow.y_sent);
    let diagonal = if forward > 0 { '╲' } else { '╱' };
    for row in 0..rows {
        let straight = row < rows - sinking;
        let sign = if straight { '│' } else { diagonal };
        grid.draw([x, y], index, sign, tone);
        x += if straight { 0 } else { forward };
        y += 1;
    }
    level(index, [x, end], y, forward, tone, grid);
    let head = if forward > 0 { '▶' } else { '◀' };
    grid.draw([end, y], index, head, tone);
    if let Some(side) = arrow.inferred_at {
        dash(side, [left, right], arrow.y_sent, grid);
    }
}

/// A level stretch of an arrow, up to but without `to`.
fn level(index: usize, [from, to]: [i32; 2], y: i32, forward: i32, tone: Tone, grid: &mut Grid) {
    let mut x = from;
    while (to - x) * forward > 0 {
        grid.draw([x, y], index, '─', tone);
        x += forward;
    }
}

/// Dashes the half of a level arrow at which nothing was captured.
fn dash(side: Side, [left, right]: [i32; 2], y: i32, grid: &mut Grid) {
    let middle = (left + right) / 2;
    let half = if side == Side::Client { left + 1..middle } else { middle..right };
    for x in half {
        if let Some(cell) = grid.cell([x, y])
            && cell.sign == '─'
        {
            cell.sign = '╌';
        }
    }
}

/// Columns of a cut name that still tell what it was.
const SHORTEST_NAME: i32 = 6;

/// The name of an arrow, on the longest stretch of its line that no other line crosses.
fn label(index: usize, arrow: &Arrow, ladder: &Ladder, grid: &mut Grid) {
    let [left, right] = ladder.metrics.lane_x;
    let mut on_line = |x: i32| {
        grid.cell([x, arrow.y_sent])
            .is_some_and(|cell| cell.ink == Ink::Arrow(index) && matches!(cell.sign, '─' | '╌'))
    };
    let mut best = left..left;
    let mut from = left + 1;
    for x in left + 1..=right {
        if !on_line(x) {
            if x - from > best.end - best.start {
                best = from..x;
            }
            from = x + 1;
        }
    }
    let room = best.end - best.start;
    let fits = columns(&arrow.label) <= room - 4;
    let label = if fits { &arrow.label } else { &arrow.short_label };
    let label = clip(label, room - 4, &ladder.metrics, Face::Strong);
    // Less than this of a name tells nothing; what matters is said beside the lane as well.
    if columns(&label) < columns(&arrow.short_label).min(SHORTEST_NAME) {
        return;
    }
    let label = format!(" {label} ");
    let x = best.start + (room - columns(&label)) / 2;
    grid.write([x, arrow.y_sent], &label, Tone::from(arrow.kind), arrow.kind != SegmentKind::Ack);
}

fn marks(ladder: &Ladder, grid: &mut Grid) {
    let [left, right] = ladder.metrics.lane_x;
    for mark in &ladder.marks {
        match mark {
            Mark::Crossing { between, label, .. } => {
                let between =
                    |(pair, _): &&([usize; 2], _)| pair == between || [pair[1], pair[0]] == *between;
                let Some([x, y]) = grid.crossings.iter().find(between).map(|(_, at)| *at) else { continue };
                grid.write([x, y], "╳", Tone::Reset, true);
                for label in [label, "cross"] {
                    let width = columns(label);
                    let mut beside = [1, 2, 3, -1]
                        .into_iter()
                        .flat_map(|down| [[x + 3, y + down], [x - 2 - width, y + down]]);
                    if let Some(spot) = beside.find(|&spot| grid.is_free(spot, width, [left, right])) {
                        grid.write(spot, label, Tone::Reset, true);
                        break;
                    }
                }
            }
            Mark::InferredCrossing { y, lines } => {
                for (row, text) in (y[0] + 1..y[1]).zip(lines) {
                    let text = clip(text, right - left - 2, &ladder.metrics, Face::Plain);
                    let x = (left + right - columns(&text)) / 2 + 1;
                    grid.write([x, row], &text, Tone::Reset, false);
                }
            }
            Mark::LostWindow { .. } | Mark::Bracket { .. } => {}
        }
    }
}

/// The characters so far.
struct Grid {
    width: i32,
    cells: Vec<Cell>,
    /// Where the lines of two arrows meet.
    crossings: Vec<([usize; 2], [i32; 2])>,
}

impl Grid {
    fn new(width: i32, height: i32) -> Grid {
        let cells = usize::try_from(i64::from(width) * i64::from(height)).unwrap_or(0);
        Grid { width, cells: vec![BLANK; cells], crossings: Vec::new() }
    }

    /// The cell at a place, if it is inside.
    fn cell(&mut self, [x, y]: [i32; 2]) -> Option<&mut Cell> {
        let inside = (0..self.width).contains(&x) && y >= 0;
        let index = usize::try_from(i64::from(y) * i64::from(self.width) + i64::from(x)).ok()?;
        if inside { self.cells.get_mut(index) } else { None }
    }

    fn set(&mut self, at: [i32; 2], new: Cell) {
        if let Some(cell) = self.cell(at) {
            *cell = new;
        }
    }

    /// One cell of an arrow; where another arrow already is, the two cross.
    fn draw(&mut self, at: [i32; 2], index: usize, sign: char, tone: Tone) {
        let Some(cell) = self.cell(at) else { return };
        let before = cell.ink;
        *cell = Cell { sign, tone, strong: false, ink: Ink::Arrow(index) };
        if let Ink::Arrow(other) = before
            && other != index
        {
            cell.sign = '╳';
            self.crossings.push(([other, index], at));
        }
    }

    /// A line of words; letters that are not one cell wide are shown as `?`.
    fn write(&mut self, [x, y]: [i32; 2], text: &str, tone: Tone, strong: bool) {
        for (x, letter) in (x..).zip(text.chars()) {
            let sign = if columns(letter.encode_utf8(&mut [0; 4])) == 1 && !letter.is_control() {
                letter
            } else {
                '?'
            };
            self.set([x, y], Cell { sign, tone, strong, ink: Ink::Text });
        }
    }

    /// Whether a stretch of `width` cells between the lanes is blank.
    fn is_free(&mut self, [x, y]: [i32; 2], width: i32, [left, right]: [i32; 2]) -> bool {
        left + 1 < x
            && x + width < right
            && (x - 1..=x + width).all(|x| self.cell([x, y]).is_some_and(|cell| cell.ink == Ink::Blank))
    }

    fn text(&self, options: TextOptions) -> String {
        let mut text = String::new();
        for row in self.cells.chunks(usize::try_from(self.width).unwrap_or(1).max(1)) {
            let used = row.iter().rposition(|cell| cell.sign != ' ').map_or(0, |last| last + 1);
            for alike in row[..used].chunk_by(|a, b| (a.tone, a.strong) == (b.tone, b.strong)) {
                let signs: String = alike.iter().map(|cell| cell.sign).collect();
                text += &options.paint(&signs, alike[0].tone, alike[0].strong);
            }
            text.push('\n');
        }
        text
    }
}
