//! A laid-out ladder as SVG: no scripts, nothing external, every number with the same decimals.

use std::fmt::Write;

use super::labels::{self, RING, Slab};
use super::model::{Align, Arrow, Face, Ladder, Mark, Words};
use super::story::lane;
use crate::render::style::{Theme, Tone};
use crate::render::visible::is_hidden;
use crate::report::{SegmentKind, Side};

/// Draws a ladder laid out by [`super::layout()`], light or dark as the viewer prefers.
pub fn svg(ladder: &Ladder) -> String {
    themed_svg(ladder, Theme::Auto)
}

/// Draws a ladder laid out by [`super::layout()`] in the colours of a theme.
///
/// No element has an id, and every rule of the style sheet is confined to pictures of finrace: any number of pictures
/// can stand in one HTML document. What belongs to a segment carries `data-segment` (its index in the trace), and
/// `data-frame`, `data-peer-frame` and `data-file` as the trace has them, so that a page can link it with a table row.
///
/// Colours are plain CSS classes, light by default with a `prefers-color-scheme: dark` block ([`Theme::Auto`]): resvg
/// knows neither custom properties nor media queries, skips the block and draws the light picture from the same bytes.
pub fn themed_svg(ladder: &Ladder, theme: Theme) -> String {
    drawing(ladder, Some(theme))
}

/// Draws a ladder without its style sheet, for a page that holds many and has [`style_sheet`] once.
pub fn bare_svg(ladder: &Ladder) -> String {
    drawing(ladder, None)
}

fn drawing(ladder: &Ladder, theme: Option<Theme>) -> String {
    let mut out = Canvas { text: String::with_capacity(16_384), ladder };
    out.open(theme);
    out.marks_below();
    out.lanes();
    out.folds();
    for arrow in &ladder.arrows {
        out.arrow(arrow);
    }
    out.dots();
    for arrow in &ladder.arrows {
        out.label(arrow);
    }
    out.marks_above();
    out.foot();
    for words in &ladder.words {
        out.words(words);
    }
    out.text.push_str("</svg>\n");
    out.text
}

/// The SVG so far.
struct Canvas<'a> {
    text: String,
    ladder: &'a Ladder,
}

impl Canvas<'_> {
    /// One element and its line end. Writing to a `String` cannot fail.
    fn put(&mut self, element: std::fmt::Arguments) {
        let _ = self.text.write_fmt(element);
        self.text.push('\n');
    }

    fn open(&mut self, theme: Option<Theme>) {
        let (width, height) = (self.ladder.metrics.width, self.ladder.height);
        self.put(format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" class="finrace" role="img">"#
        ));
        self.put(format_args!("<title>{}</title>", escape(&self.ladder.title)));
        self.put(format_args!("<desc>{}</desc>", escape(&self.ladder.description)));
        if let Some(theme) = theme {
            self.put(format_args!("<style>\n{}</style>", style_sheet(theme)));
        }
        self.put(format_args!(r#"<rect class="page" width="{width}" height="{height}"/>"#));
    }

    fn lanes(&mut self) {
        let [top, bottom] = self.ladder.lane_span;
        for lane in &self.ladder.lanes {
            let class = if lane.observed { "life" } else { "life dash" };
            let x = lane.x;
            let mut from = top;
            for fold in &self.ladder.folds {
                self.put(format_args!(
                    r#"<line x1="{x}" y1="{from}" x2="{x}" y2="{}" class="{class}"/>"#,
                    fold.y - 3
                ));
                from = fold.y + self.ladder.metrics.fold[1] + 3;
            }
            self.put(format_args!(r#"<line x1="{x}" y1="{from}" x2="{x}" y2="{bottom}" class="{class}"/>"#));
            self.put(format_args!(
                r#"<rect x="{}" y="{}" width="{}" height="{}" rx="8" class="box{}"/>"#,
                x - lane.width / 2,
                lane.top,
                lane.width,
                lane.height,
                if lane.observed { "" } else { " dash" }
            ));
        }
    }

    fn folds(&mut self) {
        let metrics = self.ladder.metrics;
        let middle = (metrics.lane_x[0] + metrics.lane_x[1]) / 2;
        for fold in &self.ladder.folds {
            let height = metrics.fold[1];
            for x in metrics.lane_x {
                let y = fold.y + 3;
                self.put(format_args!(r#"<path d="M{} {y}l18 6l-18 6l18 6l-18 6" class="zigzag"/>"#, x - 9));
            }
            let width = (metrics.measure(Face::Strong, &fold.label) + 40).max(160);
            self.put(format_args!(
                r#"<rect x="{}" y="{}" width="{width}" height="{height}" rx="{}" class="pill"/>"#,
                middle - width / 2,
                fold.y,
                height / 2
            ));
            self.put(format_args!(
                r#"<text x="{middle}" y="{}" class="strong f-ink middle">{}</text>"#,
                fold.y + height / 2 + 4,
                escape(&fold.label)
            ));
        }
    }

    /// What ties an element to a segment and its packets.
    fn tie(&self, segment: usize) -> String {
        let Some(arrow) = self.ladder.arrows.get(segment) else { return String::new() };
        let mut tie = format!(r#" data-segment="{segment}""#);
        for (name, number) in [
            ("frame", Some(arrow.frame).filter(|frame| *frame > 0)),
            ("peer-frame", arrow.peer_frame),
            ("file", Some(u64::from(arrow.file)).filter(|file| *file > 0)),
        ] {
            if let Some(number) = number {
                let _ = write!(tie, r#" data-{name}="{number}""#);
            }
        }
        tie
    }

    fn arrow(&mut self, arrow: &Arrow) {
        self.put(format_args!(r#"<g class="segment"{}>"#, self.tie(arrow.segment)));
        self.stroke(arrow);
        self.put(format_args!("</g>"));
    }

    fn stroke(&mut self, arrow: &Arrow) {
        let metrics = &self.ladder.metrics;
        let [a, b] = labels::line(arrow, metrics);
        let ack = arrow.kind == SegmentKind::Ack;
        let tone = if ack { Tone::Line } else { Tone::from(arrow.kind) }.name();
        let thin = if ack { " thin" } else { "" };
        let half = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
        let mut stroke = |[x1, y1]: [f64; 2], [x2, y2]: [f64; 2], dash: &str| {
            self.put(format_args!(
                r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="arrow s-{tone}{thin}{dash}"/>"#
            ));
        };
        match arrow.inferred_at {
            Some(side) if side == arrow.from => {
                stroke(a, half, " dash");
                stroke(half, b, "");
            }
            Some(_) => {
                stroke(a, half, "");
                stroke(half, b, " dash");
            }
            None => stroke(a, b, ""),
        }
        match arrow.y_received {
            Some(_) => self.arrow_head(a, b, tone),
            None => self.lost(b, tone),
        }
    }

    fn arrow_head(&mut self, a: [f64; 2], b: [f64; 2], tone: &str) {
        let Slab { along: [ux, uy], .. } = Slab::line(a, b);
        let (x, y) = (b[0] - ux * 11.0, b[1] - uy * 11.0);
        self.put(format_args!(
            r#"<polygon points="{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}" class="f-{tone}"/>"#,
            b[0],
            b[1],
            x - uy * 4.2,
            y + ux * 4.2,
            x + uy * 4.2,
            y - ux * 4.2
        ));
    }

    /// A segment that was not seen to arrive ends in a cross.
    fn lost(&mut self, [x, y]: [f64; 2], tone: &str) {
        self.put(format_args!(
            r#"<path d="M{:.1} {:.1}l10 10m0 -10l-10 10" class="arrow s-{tone}"/>"#,
            x - 5.0,
            y - 5.0
        ));
    }

    fn dots(&mut self) {
        for dot in &self.ladder.dots {
            let drawing = &self.ladder.lanes[lane(dot.side)];
            let (x, y, tone) = (drawing.x, dot.y, dot.tone.name());
            if drawing.observed {
                self.put(format_args!(r#"<circle cx="{x}" cy="{y}" r="4.5" class="f-{tone}"/>"#));
            } else {
                self.put(format_args!(r#"<circle cx="{x}" cy="{y}" r="4" class="hollow s-{tone}"/>"#));
            }
        }
    }

    fn label(&mut self, arrow: &Arrow) {
        if arrow.label.is_empty() {
            return;
        }
        let Slab { centre: [x, y], along, .. } = labels::label_slab(arrow, &self.ladder.metrics);
        let turn = along[1].atan2(along[0]).to_degrees();
        // From the middle of the line of text down to its baseline.
        let (x, y) = (x - along[1] * 4.0, y + along[0] * 4.0);
        let face = if arrow.kind == SegmentKind::Ack { "plain" } else { "strong" };
        // A turn that rounds to nothing must not be written as minus nothing.
        let turn = if turn.abs() < 0.005 { 0.0 } else { turn };
        self.put(format_args!(
            r#"<text transform="translate({x:.1},{y:.1}) rotate({turn:.2})" class="{face} f-{} middle"{}>{}</text>"#,
            Tone::from(arrow.kind).name(),
            self.tie(arrow.segment),
            escape(&arrow.label)
        ));
    }

    /// What lies under the lanes: the shaded window.
    fn marks_below(&mut self) {
        let [left, right] = self.ladder.metrics.lane_x;
        for mark in &self.ladder.marks {
            if let Mark::LostWindow { y: [closed, known], .. } = mark {
                self.put(format_args!(
                    r#"<polygon points="{right},{closed} {left},{known} {left},{closed}" class="window"/>"#
                ));
            }
        }
    }

    fn marks_above(&mut self) {
        for mark in &self.ladder.marks {
            match mark {
                Mark::Crossing { x, y, label, label_at, .. } => self.crossing([*x, *y], label, *label_at),
                Mark::InferredCrossing { y, lines } => self.inferred_crossing(*y, lines),
                Mark::LostWindow { label, label_at: Some([x, y]), .. } => self.put(format_args!(
                    r#"<text x="{x}" y="{}" class="plain f-fin">{}</text>"#,
                    y + 12,
                    escape(label)
                )),
                Mark::LostWindow { label_at: None, .. } => {}
                Mark::Bracket { y: [from, to], tone } => {
                    let x = self.ladder.metrics.lane_x[lane(Side::Client)] - 10;
                    let (height, tone) = (to - from, tone.name());
                    self.put(format_args!(
                        r#"<path d="M{x} {from}h-8v{height}h8" class="bracket s-{tone}"/>"#
                    ));
                }
            }
        }
    }

    fn crossing(&mut self, [x, y]: [i32; 2], label: &str, label_at: Option<[i32; 2]>) {
        self.put(format_args!(r#"<circle cx="{x}" cy="{y}" r="{RING}" class="ring"/>"#));
        let Some([left, top]) = label_at else { return };
        let width = self.ladder.metrics.measure(Face::Strong, label);
        if top < y && y < top + 16 {
            let (from, to) = if left > x { (x + RING, left - 5) } else { (left + width + 1, x - RING) };
            self.put(format_args!(r#"<line x1="{from}" y1="{y}" x2="{to}" y2="{y}" class="lead"/>"#));
        }
        self.put(format_args!(
            r#"<text x="{left}" y="{}" class="strong f-reset">{}</text>"#,
            top + 12,
            escape(label)
        ));
    }

    fn inferred_crossing(&mut self, y: [i32; 2], lines: &[String]) {
        let Slab { centre: [x, middle], half: [w, h], .. } =
            labels::inference(y, lines, &self.ladder.metrics);
        // To the other arrow only where nothing stands between.
        let adjoining =
            self.ladder.arrows.iter().any(|arrow| arrow.y_sent == y[0] && arrow.kind != SegmentKind::Ack);
        let above = adjoining.then_some((f64::from(y[0]), middle - h));
        for (from, to) in above.into_iter().chain([(middle + h, f64::from(y[1]))]) {
            self.put(format_args!(
                r#"<line x1="{x:.1}" y1="{from:.1}" x2="{x:.1}" y2="{to:.1}" class="lead dash"/>"#
            ));
        }
        self.put(format_args!(
            r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="8" class="inference"/>"#,
            x - w,
            middle - h,
            w * 2.0,
            h * 2.0
        ));
        let mut baseline = middle - h + 17.0;
        for (index, line) in lines.iter().enumerate() {
            let class = if index == 0 { "strong f-reset" } else { "mono f-muted" };
            self.put(format_args!(
                r#"<text x="{x:.1}" y="{baseline:.1}" class="{class} middle">{}</text>"#,
                escape(line)
            ));
            baseline += 17.0;
        }
    }

    fn foot(&mut self) {
        if let Some([top, height]) = self.ladder.foot {
            let (x, width) =
                (self.ladder.metrics.margin, self.ladder.metrics.width - 2 * self.ladder.metrics.margin);
            self.put(format_args!(
                r#"<rect x="{x}" y="{top}" width="{width}" height="{height}" rx="8" class="foot-box"/>"#
            ));
        }
    }

    fn words(&mut self, words: &Words) {
        let anchor = match words.align {
            Align::Left => "",
            Align::Middle => " middle",
            Align::Right => " end",
        };
        self.put(format_args!(
            r#"<text x="{}" y="{}" class="{} f-{}{anchor}"{}>{}</text>"#,
            words.x,
            words.y + self.ladder.metrics.ascent(words.face),
            words.face.name(),
            words.tone.name(),
            words.segment.map_or_else(String::new, |segment| self.tie(segment)),
            escape(&words.text)
        ));
    }
}

/// The style sheet of a theme. Every rule is confined to `.finrace`.
pub fn style_sheet(theme: Theme) -> String {
    let mut css = String::from(concat!(
        ".finrace text{font-family:Inter,\"Segoe UI\",Helvetica,Arial,sans-serif}\n",
        ".finrace .middle{text-anchor:middle}.finrace .end{text-anchor:end}\n",
        ".finrace .arrow{fill:none;stroke-width:2.2}.finrace .thin{stroke-width:1.4}\n",
        ".finrace .dash{stroke-dasharray:5 4}.finrace .life{stroke-width:2}\n",
        ".finrace .box,.finrace .pill{stroke-width:1}.finrace .zigzag{fill:none;stroke-width:2}\n",
        ".finrace .ring{fill:none;stroke-width:2;stroke-dasharray:4 3}.finrace .lead{stroke-width:1}\n",
        ".finrace .bracket{fill:none;stroke-width:1.4}.finrace .window{fill-opacity:.09}\n",
        ".finrace .hollow{stroke-width:2}.finrace .inference{stroke-width:1.4;stroke-dasharray:5 4}\n",
    ));
    for face in Face::ALL {
        let size = face.size_tenths();
        let weight = if face.is_strong() { ";font-weight:600" } else { "" };
        let family = match face.is_mono() {
            true => ";font-family:\"DejaVu Sans Mono\",ui-monospace,Menlo,Consolas,monospace",
            false => "",
        };
        let name = face.name();
        let _ =
            writeln!(css, ".finrace text.{name}{{font-size:{}.{}px{weight}{family}}}", size / 10, size % 10);
    }
    let (light, dark) = (colours(Theme::Light), colours(Theme::Dark));
    match theme {
        Theme::Light => css + &light,
        Theme::Dark => css + &dark,
        Theme::Auto => format!("{css}{light}@media (prefers-color-scheme:dark){{\n{dark}}}\n"),
    }
}

/// The rules that differ between light and dark; for [`Theme::Auto`] those of light.
pub fn colours(theme: Theme) -> String {
    let (colour, [page, raised, box_fill]): (fn(Tone) -> &'static str, _) = match theme {
        Theme::Auto | Theme::Light => (Tone::light, ["#ffffff", "#eef1f5", "#f6f8fa"]),
        Theme::Dark => (Tone::dark, ["#0f141b", "#1d2530", "#18202a"]),
    };
    let mut css = String::new();
    for tone in Tone::ALL {
        let (name, colour) = (tone.name(), colour(tone));
        let _ = writeln!(css, ".finrace .f-{name}{{fill:{colour}}}.finrace .s-{name}{{stroke:{colour}}}");
    }
    let (line, fin, reset) = (colour(Tone::Line), colour(Tone::Fin), colour(Tone::Reset));
    for rule in [
        format!(".page{{fill:{page}}}"),
        format!(".life{{stroke:{line}}}"),
        format!(".zigzag{{stroke:{line}}}"),
        format!(".hollow{{fill:{page}}}"),
        format!(".box{{fill:{box_fill};stroke:{line}}}"),
        format!(".pill{{fill:{raised};stroke:{line}}}"),
        format!(".foot-box{{fill:{raised}}}"),
        format!(".window{{fill:{fin}}}"),
        format!(".ring{{stroke:{reset}}}"),
        format!(".lead{{stroke:{reset}}}"),
        format!(".inference{{stroke:{reset};fill:{page}}}"),
    ] {
        let _ = writeln!(css, ".finrace {rule}");
    }
    css
}

/// Text safe between tags: markup escaped, and what steers or hides text replaced (XML 1.0 cannot hold control characters).
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            hidden if is_hidden(hidden) => escaped.push('\u{FFFD}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn text_cannot_leave_its_element() {
        assert_eq!(
            escape("</text><script>\"a&b\"\u{1b}"),
            "&lt;/text&gt;&lt;script&gt;&quot;a&amp;b&quot;\u{FFFD}"
        );
    }
}
