//! Aligned columns of text in a given width; the last column takes what is left and wraps.

use std::borrow::Cow;

use super::style::{TextOptions, Tone};
use super::visible::visible;
use super::wrap::{columns, wrap};

/// Blank columns between two columns of text.
const GAP: i32 = 2;
/// Narrower than this, the last column is unreadable beside the others and moves to lines of its own.
const NARROWEST_LAST: i32 = 30;
/// A column of words is not cut shorter than this.
const NARROWEST: i32 = 8;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Its text.
    pub text: String,
    /// Its colour.
    pub tone: Tone,
    /// Whether it is written bold.
    pub strong: bool,
}

impl Cell {
    /// A cell in the terminal's own colour.
    pub fn plain(text: impl Into<String>) -> Cell {
        Cell::toned(text, Tone::Ink)
    }
    /// A cell in colour.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Cell {
        let text: String = text.into();
        let text = match visible(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(shown) => shown,
        };
        Cell { text, tone, strong: false }
    }
    /// The same in bold.
    pub fn strong(self) -> Cell {
        Cell { strong: true, ..self }
    }
}

/// Which edge the texts of a column share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The left edge: words.
    Left,
    /// The right edge: numbers.
    Right,
}

/// Rows under headings.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// Heading and alignment of each column.
    pub headings: Vec<(&'static str, Edge)>,
    /// One cell a column.
    pub rows: Vec<Vec<Cell>>,
    /// Blank columns before each line.
    pub indent: i32,
}

impl Columns {
    /// Lines with their line ends; nothing when there are no rows.
    pub fn text(&self, options: TextOptions) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let shape = self.shape(options.columns());
        let mut headings: Vec<Cell> =
            self.headings.iter().map(|(text, _)| Cell::toned(*text, Tone::Muted)).collect();
        if let (false, Some(last)) = (shape.last_inside, headings.last_mut()) {
            last.text.clear();
        }
        let mut text = String::new();
        let named = headings.iter().any(|heading| !heading.text.is_empty());
        for row in named.then_some(&headings).into_iter().chain(&self.rows) {
            self.row(row, &shape, options, &mut text);
        }
        text
    }

    /// Fits the columns before the last into `total`: first the gaps give way, then the widest column of words.
    fn shape(&self, total: i32) -> Shape {
        let mut widths = self.widths();
        let last = widths.pop().unwrap_or(0);
        let taken =
            |widths: &[i32], gap: i32| self.indent + widths.iter().map(|width| width + gap).sum::<i32>();
        let gap = if taken(&widths, GAP) > total { 1 } else { GAP };
        while taken(&widths, gap) > total {
            let words = widths.iter_mut().zip(&self.headings).filter(|(_, (_, edge))| *edge == Edge::Left);
            match words.map(|(width, _)| width).max_by_key(|width| **width) {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        let left = taken(&widths, gap);
        let room = total - left;
        Shape { widths, gap, left, last_inside: room >= NARROWEST_LAST || last <= room }
    }

    /// The widest text of each column.
    fn widths(&self) -> Vec<i32> {
        let of = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| columns(&cell.text));
            cells.chain([columns(self.headings[index].0)]).max().unwrap_or(0)
        };
        (0..self.headings.len()).map(of).collect()
    }

    fn row(&self, row: &[Cell], shape: &Shape, options: TextOptions, text: &mut String) {
        let Some((last, before)) = row.split_last() else { return };
        let mut line = blanks(self.indent);
        for ((cell, &width), (_, edge)) in before.iter().zip(&shape.widths).zip(&self.headings) {
            let shown = shortened(&cell.text, width);
            let padding = blanks(width - columns(&shown));
            let painted = options.paint(&shown, cell.tone, cell.strong);
            match edge {
                Edge::Left => line += &format!("{painted}{padding}"),
                Edge::Right => line += &format!("{padding}{painted}"),
            }
            line += &blanks(shape.gap);
        }
        let below = self.indent + GAP * 2;
        let start = if shape.last_inside { shape.left } else { below };
        let mut parts = wrap(&last.text, options.columns() - start, columns).into_iter();
        if shape.last_inside
            && let Some(first) = parts.next()
        {
            line += &options.paint(&first, last.tone, last.strong);
        }
        text.push_str(line.trim_end());
        text.push('\n');
        for part in parts {
            *text += &blanks(start);
            *text += &options.paint(&part, last.tone, last.strong);
            text.push('\n');
        }
    }
}

/// Where the columns stand.
struct Shape {
    /// Width of each column but the last.
    widths: Vec<i32>,
    gap: i32,
    /// Where the last column begins.
    left: i32,
    /// The last column stands beside the others, not below.
    last_inside: bool,
}

/// `text` in at most `width` columns, its end cut off where it is longer.
pub fn shortened(text: &str, width: i32) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut kept = text.to_owned();
    while columns(&kept) >= width && kept.pop().is_some() {}
    format!("{kept}…")
}

/// That many blanks; none for a negative number.
pub fn blanks(count: i32) -> String {
    " ".repeat(usize::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(width: u16) -> TextOptions {
        TextOptions { width, color: false, unicode: true }
    }

    fn example() -> Columns {
        Columns {
            headings: vec![("no", Edge::Right), ("name", Edge::Left), ("what it means", Edge::Left)],
            rows: vec![vec![
                Cell::plain("12"),
                Cell::plain("a long name for a segment, longer than most"),
                Cell::plain("the request met a socket that was gone"),
            ]],
            indent: 2,
        }
    }

    #[test]
    fn the_last_column_wraps_under_itself() {
        let text = example().text(options(90));
        assert_eq!(
            text,
            "  no  name                                         what it means\n  \
               12  a long name for a segment, longer than most  the request met a socket that was gone\n"
        );
    }

    #[test]
    fn without_room_the_last_column_moves_below() {
        let text = example().text(options(72));
        assert!(text.ends_with("longer than most\n      the request met a socket that was gone\n"), "{text}");
    }

    #[test]
    fn too_wide_a_column_of_words_is_cut() {
        let mut example = example();
        example.rows[0][1].text = "x".repeat(100);
        let text = example.text(options(72));
        assert!(text.lines().all(|line| columns(line) <= 72) && text.contains("x…"), "{text}");
    }

    #[test]
    fn no_rows_write_nothing() {
        assert_eq!(Columns { rows: Vec::new(), ..example() }.text(options(80)), "");
    }
}
