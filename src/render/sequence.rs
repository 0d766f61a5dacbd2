//! A time-sequence diagram of one connection: bytes against time, a field for each direction, as tcptrace draws them.
//!
//! Each field shows what one side sent and how far the other had acknowledged it. Quiet times are left out, with their
//! length; between them time is linear.

use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::Color;

use super::ladder::{self, Align, Face};
use super::plot::{Area, MARGIN, METRICS, Sheet, Trouble, WIDTH, color, ticks, time_ticks};
use super::style::{Theme, Tone};
use super::units::{count, duration, relative};
use crate::report::{Clocks, Incident, Role, Segment, SegmentKind, Side, Trace};

/// Height of a field.
const FIELD: i32 = 190;
/// Left edge of the fields: behind the numbers.
const LEFT: i32 = 120;
/// Width of a quiet time that is left out.
const FOLD: i32 = 116;
/// Free space at both ends of a stretch of time.
const AIR: i32 = 34;
/// Stretches of time at most: each needs room for its times.
const MOST_STRETCHES: usize = 5;
/// The shortest quiet time that is left out: far longer than a packet is on its way.
const SHORTEST_FOLD_NS: i64 = 50_000_000;

/// Draws one connection.
///
/// # Errors
/// When the drawing library refuses, which no report should bring about.
pub fn sequence(trace: &Trace, incident: Option<&Incident>, theme: Theme) -> Result<String, Trouble> {
    let headline = ladder::headline(trace, incident);
    let whose = match trace.clocks {
        Clocks::Both => "times at the sender",
        Clocks::One => "times at the capture point",
    };
    let subtitle = format!(
        "bytes against time, stream {} · {} and {} · {whose}",
        trace.stream, trace.lanes[0].address, trace.lanes[1].address
    );
    let mut sheet = Sheet::new(&headline, &subtitle, &description(trace, &headline));
    let times = Times::of(trace);
    let mut fields = Vec::new();
    let mut y = sheet.top;
    for side in [Side::Client, Side::Server] {
        let [from, to] = [side, side.peer()].map(|side| trace.lanes[side as usize].name.as_str());
        let heading = format!("{from} → {to}: sequence numbers, counted from the connection’s beginning");
        sheet.word([MARGIN, y], Align::Left, Face::Strong, Tone::Ink, &heading);
        let field = Field::of(trace, side, [y + 30, y + 30 + FIELD]);
        for tick in field.ticks() {
            let at = [LEFT - 12, field.y(tick) - 8];
            sheet.word_if_free(at, Align::Right, Face::Time, Tone::Muted, &count(tick.unsigned_abs()));
        }
        fields.push(field);
        y += 30 + FIELD + 24;
    }
    let bottom = y - 24;
    for (at, words) in times.ticks(trace.zero_ns) {
        sheet.word_if_free([times.x(at), bottom + 8], Align::Middle, Face::Time, Tone::Muted, &words);
    }
    let axis = format!("time since {}", zero(trace));
    sheet.word([(LEFT + WIDTH - MARGIN) / 2, bottom + 28], Align::Middle, Face::Plain, Tone::Ink, &axis);
    for (middle, quiet_ns) in times.folds() {
        for field in &fields {
            let words = format!("{} later", duration(quiet_ns));
            let at = [middle, (field.top + field.bottom) / 2 - 8];
            sheet.patch(at, Align::Middle, Face::Strong, Tone::Ink, &words);
        }
    }
    for segment in trace.segments.iter().filter(|segment| has_sign(segment)) {
        sheet.shapes.push(taken(segment, &fields[segment.from as usize], &times));
    }
    for important in [true, false] {
        for segment in trace.segments.iter().filter(|segment| is_important(segment) == important) {
            label(&mut sheet, segment, &fields[segment.from as usize], &times);
        }
    }
    let legend = bottom + 60;
    let signs = write_legend(&mut sheet, legend);
    let mut below = legend + 30;
    if let Some(proof) = incident.and_then(|incident| incident.evidence.first()) {
        below = sheet.paragraph(below, Face::Foot, Tone::Ink, proof) + 6;
    }
    sheet.height = below + 8;
    sheet.finish(theme, |area| {
        for field in &fields {
            field.draw_frame(area, &times)?;
            field.draw_acknowledged(area, trace, &times)?;
            for segment in trace.segments.iter().filter(|segment| segment.from == field.side) {
                draw_segment(area, segment, field, &times)?;
            }
        }
        for (sign, x) in signs {
            sign.draw(area, x, legend + 8)?;
        }
        Ok(())
    })
}

/// The picture in sentences.
fn description(trace: &Trace, headline: &str) -> String {
    let mut sentences = vec![format!("{headline}.")];
    for segment in trace.segments.iter().filter(|segment| has_sign(segment)) {
        sentences.push(format!(
            "{}: {} sends {}, number {}, {} bytes.",
            relative(segment.sent_ns.saturating_sub(trace.zero_ns)),
            trace.lanes[segment.from as usize].name,
            segment.label,
            segment.seq,
            segment.len
        ));
    }
    sentences.join(" ")
}

/// What the times count from.
fn zero(trace: &Trace) -> &'static str {
    let role =
        trace.segments.iter().filter(|segment| segment.sent_ns == trace.zero_ns).find_map(|it| it.role);
    match role {
        Some(Role::Fin) => "the server’s FIN",
        Some(Role::Reset) => "the RST",
        Some(Role::Request) => "the lost request",
        _ => "the first packet",
    }
}

/// Whether a segment is drawn for itself: acknowledgements only move a line.
fn has_sign(segment: &Segment) -> bool {
    !matches!(segment.kind, SegmentKind::Ack | SegmentKind::Handshake)
}

fn is_important(segment: &Segment) -> bool {
    segment.role.is_some() || matches!(segment.kind, SegmentKind::Fin | SegmentKind::Reset)
}

/// A stretch of time that is drawn to scale.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from_ns: i64,
    to_ns: i64,
    left: i32,
    right: i32,
}

/// From times to pixels.
#[derive(Debug)]
struct Times(Vec<Stretch>);

impl Times {
    fn of(trace: &Trace) -> Times {
        let mut times: Vec<i64> = trace.segments.iter().map(|segment| segment.sent_ns).collect();
        times.sort_unstable();
        let quiet = |pair: &[i64]| pair[1].saturating_sub(pair[0]);
        let mut gaps: Vec<i64> = times.windows(2).map(quiet).collect();
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        // As many as there is room for, the longest.
        let least = gaps.get(MOST_STRETCHES - 1).map_or(0, |gap| gap.saturating_add(1));
        let least = least.max(SHORTEST_FOLD_NS).max(gaps.first().copied().unwrap_or(0) / 20);
        let clusters: Vec<&[i64]> = times.chunk_by(|a, b| b.saturating_sub(*a) < least).collect();
        let folds = i32::try_from(clusters.len().saturating_sub(1)).unwrap_or(0);
        let room = f64::from(WIDTH - MARGIN - LEFT - folds * FOLD);
        // A stretch gets room for what happens in it.
        let weight = |cluster: &&[i64]| cluster.len() as f64 + 3.0;
        let total: f64 = clusters.iter().map(weight).sum();
        let mut left = LEFT;
        let stretches = clusters.iter().map(|cluster| {
            let width = (room * weight(cluster) / total).floor() as i32;
            let stretch = Stretch {
                from_ns: cluster.first().copied().unwrap_or(0),
                to_ns: cluster.last().copied().unwrap_or(0),
                left,
                right: left + width,
            };
            left += width + FOLD;
            stretch
        });
        Times(stretches.collect())
    }

    fn x(&self, ns: i64) -> i32 {
        let Some(stretch) = self.0.iter().find(|stretch| ns <= stretch.to_ns).or(self.0.last()) else {
            return LEFT;
        };
        let (from, to) = (stretch.left + AIR, stretch.right - AIR);
        let span = stretch.to_ns.saturating_sub(stretch.from_ns);
        if span <= 0 {
            return (from + to) / 2;
        }
        let share = (ns.saturating_sub(stretch.from_ns)) as f64 / span as f64;
        from + (share.clamp(0.0, 1.0) * f64::from(to - from)).round() as i32
    }

    /// Middle and length of each quiet time that is left out.
    fn folds(&self) -> Vec<(i32, i64)> {
        let fold = |pair: &[Stretch]| {
            ((pair[0].right + pair[1].left) / 2, pair[1].from_ns.saturating_sub(pair[0].to_ns))
        };
        self.0.windows(2).map(fold).collect()
    }

    /// Times that are written below the fields.
    fn ticks(&self, zero_ns: i64) -> Vec<(i64, String)> {
        let mut written = Vec::new();
        for stretch in &self.0 {
            let [from, to] = [stretch.from_ns, stretch.to_ns].map(|ns| ns.saturating_sub(zero_ns));
            let most = usize::try_from((stretch.right - stretch.left) / 110).unwrap_or(1).max(1);
            let round: Vec<i64> = time_ticks(from, to, most).into_iter().map(|(tick, _)| tick).collect();
            let chosen = if round.is_empty() { vec![from] } else { round };
            let mut before = String::new();
            for tick in chosen {
                let words = relative(tick);
                if words != before {
                    written.push((zero_ns.saturating_add(tick), words.clone()));
                }
                before = words;
            }
        }
        written
    }
}

/// What one side sent.
#[derive(Debug)]
struct Field {
    side: Side,
    top: i32,
    bottom: i32,
    /// Lowest and highest number.
    from: i64,
    to: i64,
}

impl Field {
    fn of(trace: &Trace, side: Side, [top, bottom]: [i32; 2]) -> Field {
        let own = trace.segments.iter().filter(|segment| segment.from == side && has_sign(segment));
        // A RST carries whatever number it answers: it stretches no scale.
        let numbers = own
            .filter(|segment| segment.kind != SegmentKind::Reset)
            .flat_map(|segment| [i64::from(segment.seq), end(segment)]);
        let (from, to) = numbers.fold((i64::MAX, i64::MIN), |(low, high), it| (low.min(it), high.max(it)));
        let (from, to) = if from > to { (0, 1) } else { (from, to.max(from + 1)) };
        Field { side, top, bottom, from, to }
    }

    fn y(&self, number: i64) -> i32 {
        let share = (number.clamp(self.from, self.to) - self.from) as f64 / (self.to - self.from) as f64;
        self.bottom - 16 - (share * f64::from(self.bottom - self.top - 44)).round() as i32
    }

    fn ticks(&self) -> Vec<i64> {
        let round = ticks(self.from as f64, self.to as f64, 4);
        round.into_iter().map(|tick| tick.round() as i64).filter(|tick| *tick >= 0).collect()
    }

    fn draw_frame(&self, area: &Area<'_>, times: &Times) -> Result<(), Trouble> {
        for tick in self.ticks() {
            for stretch in &times.0 {
                let y = self.y(tick);
                area.draw(&PathElement::new(
                    vec![(stretch.left, y), (stretch.right, y)],
                    color(Tone::Line).mix(0.4),
                ))?;
            }
        }
        for stretch in &times.0 {
            let corners = [(stretch.left, self.top), (stretch.right, self.bottom)];
            area.draw(&Rectangle::new(corners, color(Tone::Line).stroke_width(1)))?;
        }
        Ok(())
    }

    /// How far the other side has acknowledged, as it says so.
    fn draw_acknowledged(&self, area: &Area<'_>, trace: &Trace, times: &Times) -> Result<(), Trouble> {
        let mut highest: Option<i64> = None;
        let mut line: Vec<(i32, i32)> = Vec::new();
        for segment in
            trace.segments.iter().filter(|it| it.from != self.side && it.kind != SegmentKind::Reset)
        {
            let Some(ack) = segment.ack.map(i64::from) else { continue };
            // What is acknowledged stays so; numbers before the field's own are those of what is not shown.
            let ack = highest.map_or(ack, |before| before.max(ack));
            let x = times.x(segment.sent_ns);
            line.extend(highest.map(|before| (x, self.y(before))));
            line.push((x, self.y(ack)));
            highest = Some(ack);
        }
        if let (Some(number), Some(last)) = (highest, times.0.last()) {
            line.push((last.right - AIR / 2, self.y(number)));
            area.draw(&PathElement::new(line, color(Tone::Muted).stroke_width(1)))?;
        }
        Ok(())
    }
}

/// The number behind a segment's last byte; its FIN has that number.
fn end(segment: &Segment) -> i64 {
    i64::from(segment.seq) + i64::from(segment.len)
}

/// What a segment is drawn as.
#[derive(Debug, Clone, Copy)]
enum Sign {
    Data(Side),
    Acknowledged,
    Fin,
    Reset,
    Lost,
}

impl Sign {
    fn draw(self, area: &Area<'_>, x: i32, y: i32) -> Result<(), Trouble> {
        match self {
            Sign::Data(side) => {
                let tone = if side == Side::Client { Tone::Request } else { Tone::Response };
                area.draw(&Rectangle::new([(x - 3, y - 8), (x + 3, y + 8)], color(tone).filled()))?;
            }
            Sign::Acknowledged => {
                let step = vec![(x - 9, y + 4), (x, y + 4), (x, y - 4), (x + 9, y - 4)];
                area.draw(&PathElement::new(step, color(Tone::Muted).stroke_width(1)))?;
            }
            Sign::Fin => {
                let corners = vec![(x, y - 7), (x + 6, y), (x, y + 7), (x - 6, y)];
                area.draw(&Polygon::new(corners, color(Tone::Fin).filled()))?;
            }
            Sign::Reset => {
                for lean in [-1, 1] {
                    let ends = vec![(x - 5, y - 5 * lean), (x + 5, y + 5 * lean)];
                    area.draw(&PathElement::new(ends, color(Tone::Reset).stroke_width(2)))?;
                }
            }
            Sign::Lost => {
                area.draw(&Circle::new((x, y), 12, color(Tone::Reset).stroke_width(2)))?;
            }
        }
        Ok(())
    }
}

fn draw_segment(area: &Area<'_>, segment: &Segment, field: &Field, times: &Times) -> Result<(), Trouble> {
    let x = times.x(segment.sent_ns);
    let at = place(segment, field);
    match segment.kind {
        SegmentKind::Ack | SegmentKind::Handshake => return Ok(()),
        SegmentKind::Reset => return Sign::Reset.draw(area, x, at),
        SegmentKind::Fin => return Sign::Fin.draw(area, x, at),
        SegmentKind::Request | SegmentKind::Response => {}
    }
    let (low, high) = (field.y(i64::from(segment.seq)), field.y(end(segment)));
    let tone = Tone::from(segment.kind);
    area.draw(&Rectangle::new([(x - 3, high.min(low - 3)), (x + 3, low)], color(tone).filled()))?;
    if segment.flags.contains("FIN") {
        Sign::Fin.draw(area, x, high)?;
    }
    if segment.role == Some(Role::Request) {
        Sign::Lost.draw(area, x, at)?;
    }
    Ok(())
}

/// Where the sign of a segment stands.
fn place(segment: &Segment, field: &Field) -> i32 {
    match segment.kind {
        SegmentKind::Request | SegmentKind::Response => {
            i32::midpoint(field.y(i64::from(segment.seq)), field.y(end(segment)))
        }
        SegmentKind::Reset => field.y(i64::from(segment.seq)),
        _ => field.y(end(segment)),
    }
}

/// The area that the sign of a segment takes.
fn taken(segment: &Segment, field: &Field, times: &Times) -> [i32; 4] {
    let (x, y) = (times.x(segment.sent_ns), place(segment, field));
    let half = if segment.role == Some(Role::Request) { 12 } else { 7 };
    let [top, bottom] = match segment.kind {
        SegmentKind::Request | SegmentKind::Response => {
            [field.y(end(segment)), field.y(i64::from(segment.seq))]
        }
        _ => [y, y],
    };
    [x - half, top.min(y - half), x + half, bottom.max(y + half)]
}

/// Names a segment in the first place beside it that is free; one that matters says its number.
fn label(sheet: &mut Sheet, segment: &Segment, field: &Field, times: &Times) {
    if !has_sign(segment) {
        return;
    }
    let tone = Tone::from(segment.kind);
    let words = match (segment.kind, segment.role) {
        (SegmentKind::Reset, _) if segment.count > 1 => format!("{} resets", segment.count),
        (SegmentKind::Fin, _) => format!("{} {}", segment.label, end(segment)),
        (_, Some(Role::Request)) => match segment.ack {
            Some(ack) => format!("{}, ack {ack}: lost", segment.label),
            None => format!("{}: lost", segment.label),
        },
        _ => segment.label.clone(),
    };
    let face = if is_important(segment) { Face::Strong } else { Face::Plain };
    let words = ladder::clip(&super::visible(&words), 230, &METRICS, face);
    let (x, y) = (times.x(segment.sent_ns), place(segment, field));
    let spots = [
        ([x + 16, y - 9], Align::Left),
        ([x - 16, y - 9], Align::Right),
        ([x, y - 32], Align::Middle),
        ([x, y + 15], Align::Middle),
        ([x + 16, y - 27], Align::Left),
        ([x - 16, y - 27], Align::Right),
        ([x + 16, y + 9], Align::Left),
        ([x - 16, y + 9], Align::Right),
    ];
    for (at, align) in spots {
        let inside = at[1] > field.top && at[1] + 17 < field.bottom;
        if inside && sheet.word_if_free(at, align, face, tone, &words) {
            // The line of acknowledgements may run here.
            sheet.patched.extend(sheet.words.pop());
            return;
        }
    }
}

/// One line that names the signs; returns where each stands.
fn write_legend(sheet: &mut Sheet, y: i32) -> Vec<(Sign, i32)> {
    let mut x = MARGIN + 12;
    let mut signs = Vec::new();
    for (sign, words) in [
        (Sign::Data(Side::Client), "data of the client"),
        (Sign::Data(Side::Server), "data of the server"),
        (Sign::Acknowledged, "acknowledged by the other side"),
        (Sign::Fin, "FIN"),
        (Sign::Reset, "RST"),
        (Sign::Lost, "the lost request"),
    ] {
        signs.push((sign, x));
        sheet.word([x + 18, y], Align::Left, Face::Plain, Tone::Ink, words);
        x += 18 + METRICS.measure(Face::Plain, words) + 34;
    }
    signs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;
    use crate::render::ladder::png;

    #[test]
    fn the_lost_request_and_the_fin_have_their_numbers() {
        let (trace, incident) = fixtures::crossed_fin();
        let svg = sequence(&trace, Some(&incident), Theme::Auto).unwrap();
        let fin = trace.segments.iter().find(|segment| segment.role == Some(Role::Fin)).unwrap();
        assert!(svg.contains(&format!(">FIN {}<", end(fin))), "{svg}");
        assert!(svg.contains(": lost<") && svg.contains(" later<"), "{svg}");
        assert!(svg.contains("role=\"img\"") && !svg.contains(" id="));
    }

    #[test]
    fn every_story_is_drawn_with_its_words_apart() {
        for (trace, incident) in [
            fixtures::reset_storm(),
            fixtures::unread_request(),
            fixtures::discarded_request(),
            fixtures::stale_reuse(),
            fixtures::retried(),
        ] {
            let svg = sequence(&trace, Some(&incident), Theme::Light).unwrap();
            assert_eq!(svg, sequence(&trace, Some(&incident), Theme::Light).unwrap());
        }
        assert!(sequence(&fixtures::healthy(), None, Theme::Auto).is_ok());
    }

    #[test]
    fn hostile_or_extreme_traces_are_drawn() {
        let (mut trace, incident) = fixtures::crossed_fin();
        trace.lanes[0].name = "</text><script>\u{1b}".to_owned();
        for (index, segment) in trace.segments.iter_mut().enumerate() {
            segment.label = "</text><script>\u{202e}".to_owned();
            (segment.seq, segment.ack, segment.len) = (u32::MAX, Some(u32::MAX), u32::MAX);
            segment.sent_ns = if index % 2 == 0 { i64::MIN } else { i64::MAX };
        }
        let svg = sequence(&trace, Some(&incident), Theme::Auto).unwrap();
        assert!(!svg.contains("<script") && svg.matches("</svg>").count() == 1 && png(&svg).is_ok());
        trace.segments.clear();
        assert!(sequence(&trace, None, Theme::Auto).is_ok());
    }
}
