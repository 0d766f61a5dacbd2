//! What the charts have in common: a sheet with a headline, shapes drawn by plotters, and words laid over them.
//!
//! plotters draws axes and shapes only. Words are laid out here, measured with the widths of the embedded font, so that
//! none overlaps another or leaves the sheet; a chart and a ladder are one family, and both rasterise with
//! [`super::ladder::png()`].

use std::error::Error;
use std::fmt::Write;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::ladder::{Align, Face, Metrics, Words, escape, style_sheet};
use super::style::{Theme, Tone};
use super::visible::visible;
use super::wrap::wrap;

/// Width of every chart in pixels, that of a ladder.
pub(super) const WIDTH: i32 = 1080;
/// Free space at the edges.
pub(super) const MARGIN: i32 = 40;
/// The words are measured as in a ladder.
pub(super) const METRICS: Metrics = Metrics::PICTURE;

/// What shapes are drawn on.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What the drawing library may refuse, which no report should bring about.
pub type Trouble = Box<dyn Error>;

/// A chart in the making.
#[derive(Debug)]
pub(super) struct Sheet {
    title: String,
    description: String,
    /// Below the headline.
    pub top: i32,
    /// Height of the whole.
    pub height: i32,
    /// All words of the chart.
    pub words: Vec<Words>,
    /// Words that stand on a patch of the page's colour, because lines run below them.
    pub patched: Vec<Words>,
    /// Areas that hold shapes which no word may cover: left, top, right, bottom.
    pub shapes: Vec<[i32; 4]>,
}

impl Sheet {
    /// Writes the headline and the lines below it.
    pub fn new(title: &str, subtitle: &str, description: &str) -> Sheet {
        let mut sheet = Sheet {
            title: visible(title).into_owned(),
            description: visible(description).into_owned(),
            top: 24,
            height: 0,
            words: Vec::new(),
            patched: Vec::new(),
            shapes: Vec::new(),
        };
        for (face, tone, text) in [(Face::Title, Tone::Ink, title), (Face::Subtitle, Tone::Muted, subtitle)] {
            sheet.top = sheet.paragraph(sheet.top, face, tone, text);
        }
        sheet.top += 14;
        sheet
    }

    /// Writes a paragraph over the whole width; returns what is below it.
    pub fn paragraph(&mut self, mut y: i32, face: Face, tone: Tone, text: &str) -> i32 {
        for line in wrap(&visible(text), WIDTH - 2 * MARGIN, |part| METRICS.measure(face, part)) {
            self.words.push(words([MARGIN, y], Align::Left, face, tone, &line));
            y += METRICS.line(face);
        }
        y
    }

    /// Writes one line.
    pub fn word(&mut self, at: [i32; 2], align: Align, face: Face, tone: Tone, text: &str) {
        self.words.push(words(at, align, face, tone, &visible(text)));
    }

    /// Writes one line on a patch of the page's colour.
    pub fn patch(&mut self, at: [i32; 2], align: Align, face: Face, tone: Tone, text: &str) {
        self.patched.push(words(at, align, face, tone, &visible(text)));
    }

    /// Writes one line if it touches no other and stays on the sheet; whether it did.
    pub fn word_if_free(&mut self, at: [i32; 2], align: Align, face: Face, tone: Tone, text: &str) -> bool {
        let new = words(at, align, face, tone, &visible(text));
        let free = self.is_free(new.area(&METRICS));
        if free {
            self.words.push(new);
        }
        free
    }

    /// Writes one line on a patch of the page's colour if it touches no other and stays on the sheet.
    pub fn patch_if_free(&mut self, at: [i32; 2], align: Align, face: Face, tone: Tone, text: &str) {
        let new = words(at, align, face, tone, &visible(text));
        if self.is_free(new.area(&METRICS)) {
            self.patched.push(new);
        }
    }

    /// Whether an area is inside the margins and holds no words yet.
    pub fn is_free(&self, [left, top, right, bottom]: [i32; 4]) -> bool {
        let inside = left >= 8 && right <= WIDTH - 8;
        inside
            && !self.shapes.iter().any(|[l, t, r, b]| left < *r && *l < right && top < *b && *t < bottom)
            && !self.words.iter().chain(&self.patched).any(|words| {
                let [l, t, r, b] = words.area(&METRICS);
                left < r + 4 && l < right + 4 && top < b && t < bottom
            })
    }

    /// Draws shapes, then the words over them.
    pub fn finish(
        self,
        theme: Theme,
        draw: impl FnOnce(&Area<'_>) -> Result<(), Trouble>,
    ) -> Result<String, Trouble> {
        #[cfg(test)]
        self.check();
        let size = (WIDTH.unsigned_abs(), self.height.unsigned_abs());
        let mut shapes = String::new();
        {
            let area = SVGBackend::with_string(&mut shapes, size).into_drawing_area();
            area.fill(&WHITE)?;
            draw(&area)?;
            area.present()?;
        }
        Ok(self.svg(theme, &shapes))
    }

    /// What must hold for every chart that a test draws: no two words touch, and none leaves the sheet.
    #[cfg(test)]
    fn check(&self) {
        let all: Vec<&Words> = self.patched.iter().chain(&self.words).collect();
        for (index, words) in all.iter().enumerate() {
            let [left, top, right, bottom] = words.area(&METRICS);
            let inside = left >= 0 && top >= 0 && right <= WIDTH && bottom <= self.height;
            assert!(inside, "{words:?} leaves the sheet of {} pixels", self.height);
            for other in &all[index + 1..] {
                let [l, t, r, b] = other.area(&METRICS);
                assert!(left >= r || l >= right || top >= b || t >= bottom, "{words:?} touches {other:?}");
            }
        }
    }

    fn svg(&self, theme: Theme, shapes: &str) -> String {
        let (width, height) = (WIDTH, self.height);
        // Between the tags that plotters wrote around its shapes.
        let inner = shapes.split_once('>').map_or(shapes, |(_, rest)| rest).trim();
        let inner = inner.strip_suffix("</svg>").unwrap_or(inner).trim();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" class=\"finrace\" role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n<style>\n{}{}</style>\n\
             {inner}\n",
            escape(&self.title),
            escape(&self.description),
            style_sheet(theme),
            shape_colours(theme),
        );
        for words in &self.patched {
            let [left, top, right, bottom] = words.area(&METRICS);
            // Writing to a string cannot fail.
            let _ = writeln!(
                svg,
                r#"<rect x="{}" y="{top}" width="{}" height="{}" class="page"/>"#,
                left - 3,
                right - left + 6,
                bottom - top
            );
        }
        for words in self.patched.iter().chain(&self.words) {
            let anchor = match words.align {
                Align::Left => "",
                Align::Middle => " middle",
                Align::Right => " end",
            };
            let _ = writeln!(
                svg,
                r#"<text x="{}" y="{}" class="{} f-{}{anchor}">{}</text>"#,
                words.x,
                words.y + METRICS.ascent(words.face),
                words.face.name(),
                words.tone.name(),
                escape(&words.text)
            );
        }
        svg + "</svg>\n"
    }
}

fn words([x, y]: [i32; 2], align: Align, face: Face, tone: Tone, text: &str) -> Words {
    Words { x, y, align, face, tone, text: text.to_owned(), segment: None }
}

/// A colour of the one table of colours, as drawn on a light page; [`shape_colours`] turns it for a dark one.
pub(super) fn color(tone: Tone) -> RGBColor {
    let code = tone.light().trim_start_matches('#');
    let channel =
        |at: usize| code.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
    RGBColor(channel(0), channel(2), channel(4))
}

/// plotters writes colours as attributes, which any rule of a style sheet overrides.
pub(super) fn shape_colours(theme: Theme) -> String {
    let mut rules = String::new();
    let dark_page = "#0f141b";
    for (light, dark) in
        Tone::ALL.iter().map(|tone| (tone.light(), tone.dark())).chain([("#ffffff", dark_page)])
    {
        let light = light.to_uppercase();
        for what in ["fill", "stroke"] {
            let _ = writeln!(rules, ".finrace [{what}=\"{light}\"]{{{what}:{dark}}}");
        }
    }
    match theme {
        Theme::Light => String::new(),
        Theme::Dark => rules,
        Theme::Auto => format!("@media (prefers-color-scheme:dark){{\n{rules}}}\n"),
    }
}

/// Round numbers from `from` to `to`, at most `most` of them: multiples of 1, 2 or 5 times a power of ten.
pub(super) fn ticks(from: f64, to: f64, most: usize) -> Vec<f64> {
    let span = to - from;
    if span <= 0.0 || !span.is_finite() || most == 0 {
        return Vec::new();
    }
    let rough = span / most as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(power * 10.0);
    let first = (from / step - 1e-9).ceil();
    (0..=most).map(|it| (first + it as f64) * step).take_while(|tick| *tick <= to + step * 1e-9).collect()
}

/// Units of time with their length in nanoseconds, and the shortest axis that they are written on.
const UNITS: [(&str, i64, i64); 6] = [
    ("days", 86_400_000_000_000, 5 * 86_400_000_000_000),
    ("h", 3_600_000_000_000, 5 * 3_600_000_000_000),
    ("min", 60_000_000_000, 5 * 60_000_000_000),
    ("s", 1_000_000_000, 3_000_000_000),
    ("ms", 1_000_000, 3_000_000),
    ("µs", 1_000, 3_000),
];

/// Round times between two, at most `most`, each with its words; all in the same unit.
pub(super) fn time_ticks(from_ns: i64, to_ns: i64, most: usize) -> Vec<(i64, String)> {
    let span = to_ns.saturating_sub(from_ns);
    let (unit, length, _) = UNITS.into_iter().find(|(.., least)| span >= *least).unwrap_or(("ns", 1, 0));
    let length = length as f64;
    ticks(from_ns as f64 / length, to_ns as f64 / length, most)
        .into_iter()
        .map(|tick| {
            let sign = if tick < -1e-9 { "−" } else { "" };
            let size = tick.abs();
            let digits = usize::from((size - size.round()).abs() > 1e-6);
            ((tick * length).round() as i64, format!("{sign}{size:.digits$} {unit}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_on_an_axis_share_a_unit() {
        let written =
            |from, to, most| time_ticks(from, to, most).into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(written(-50_000_000, 50_000_000, 4), ["−50 ms", "0 ms", "50 ms"]);
        assert_eq!(
            written(0, 4_000_000_000, 8),
            ["0 s", "0.5 s", "1 s", "1.5 s", "2 s", "2.5 s", "3 s", "3.5 s", "4 s"]
        );
        assert_eq!(written(0, 900_000_000_000, 3), ["0 min", "5 min", "10 min", "15 min"]);
        assert_eq!(written(0, 2_000, 2), ["0 ns", "1000 ns", "2000 ns"]);
        assert_eq!(written(0, 0, 2), Vec::<String>::new());
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(0.0, 61.0, 7), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        assert_eq!(ticks(-3.0, 3.0, 4), [-2.0, 0.0, 2.0]);
        assert_eq!(ticks(0.0, 1.0, 2), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(2.0, 2.0, 5), Vec::<f64>::new());
        for to in 1..200 {
            assert!(ticks(0.0, f64::from(to) * 0.37, 6).len() <= 7, "{to}");
        }
    }
}
