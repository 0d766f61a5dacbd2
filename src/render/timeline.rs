//! A timeline of a capture: a lane for each connection with its requests, its idle times, its close and its lost requests.

use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::Color;

use super::ladder::{Align, Face, clip};
use super::plot::{Area, MARGIN, METRICS, Sheet, Trouble, WIDTH, color, time_ticks};
use super::style::{Theme, Tone};
use super::units::{counted, date, duration, time_of_day};
use crate::report::{Side, Timeline, TimelineClose, TimelineLane};

/// The widest name of a lane.
const NAME: i32 = 330;
/// Quiet times shorter than this have no words.
const SHORTEST_IDLE_NS: i64 = 10_000_000;
/// With more lanes than this they stand closer, and quiet times have no words.
const ROOMY: usize = 14;

/// One lane's place.
struct Row<'t> {
    lane: &'t TimelineLane,
    y: i32,
}

/// From times to pixels.
#[derive(Debug, Clone, Copy)]
struct Scale {
    from_ns: i64,
    to_ns: i64,
    left: i32,
    right: i32,
}

impl Scale {
    fn x(self, ns: i64) -> i32 {
        let ns = ns.clamp(self.from_ns, self.to_ns);
        let span = (self.to_ns.saturating_sub(self.from_ns)).max(1) as f64;
        self.left
            + ((ns.saturating_sub(self.from_ns)) as f64 / span * f64::from(self.right - self.left)).round()
                as i32
    }

    fn shows(self, ns: i64) -> bool {
        (self.from_ns..=self.to_ns).contains(&ns)
    }
}

/// Draws the lanes of a capture, or of a window of it; times are relative to `zero_ns`.
///
/// # Errors
/// When the drawing library refuses, which no report should bring about.
pub fn timeline(
    timeline: &Timeline,
    window: Option<[i64; 2]>,
    zero_ns: i64,
    theme: Theme,
) -> Result<String, Trouble> {
    let [from_ns, to_ns] = window.unwrap_or([timeline.first_ns, timeline.last_ns]);
    let mut sheet =
        Sheet::new(&title(timeline, window), &subtitle(timeline, [from_ns, to_ns]), &description(timeline));
    let servers: std::collections::BTreeSet<&str> =
        timeline.lanes.iter().map(|lane| lane.server.as_str()).collect();
    let heading = if timeline.files.len() > 1 { "file:stream, client" } else { "stream, client" };
    let names: Vec<String> = timeline
        .lanes
        .iter()
        .map(|lane| {
            let stream = match timeline.files.len() {
                0 | 1 => lane.stream.to_string(),
                _ => format!("{}:{}", lane.file.saturating_add(1), lane.stream),
            };
            match servers.len() {
                0 | 1 => format!("{stream} {}", lane.client),
                _ => format!("{stream} {} → {}", lane.client, lane.server),
            }
        })
        .collect();
    let widest = names.iter().map(|name| METRICS.measure(Face::Mono, name)).max().unwrap_or(0).min(NAME);
    let left = MARGIN + widest.max(METRICS.measure(Face::Plain, heading)) + 18;
    // A little air, so that what happens at the edges is seen whole.
    let air = to_ns.saturating_sub(from_ns) / if window.is_some() { i64::MAX } else { 60 };
    let scale = Scale {
        from_ns: from_ns.saturating_sub(air),
        to_ns: to_ns.saturating_add(air),
        left,
        right: WIDTH - MARGIN,
    };
    let step = if timeline.lanes.len() <= ROOMY { 34 } else { 22 };
    let top = sheet.top;
    sheet.word([MARGIN, top], Align::Left, Face::Plain, Tone::Muted, heading);
    let mut rows = Vec::new();
    let mut y = top + 34;
    for (lane, name) in timeline.lanes.iter().zip(&names) {
        let name = clip(&super::visible(name), NAME, &METRICS, Face::Mono);
        let tone = if lane.incidents.is_empty() { Tone::Muted } else { Tone::Ink };
        sheet.word([MARGIN, y - 8], Align::Left, Face::Mono, tone, &name);
        rows.push(Row { lane, y });
        y += step;
    }
    let bottom = y - step / 2 + 4;
    for row in &rows {
        label_incidents(&mut sheet, row, scale);
    }
    if timeline.lanes.len() <= ROOMY {
        for row in &rows {
            label_idle_times(&mut sheet, row, scale);
        }
    }
    let ticks = time_ticks(scale.from_ns.saturating_sub(zero_ns), scale.to_ns.saturating_sub(zero_ns), 8);
    for (tick, words) in &ticks {
        let x = scale.x(zero_ns.saturating_add(*tick));
        sheet.word_if_free([x, bottom + 8], Align::Middle, Face::Time, Tone::Muted, words);
    }
    let axis = format!("time since {} UTC", time_of_day(zero_ns));
    sheet.word([(scale.left + scale.right) / 2, bottom + 28], Align::Middle, Face::Plain, Tone::Ink, &axis);
    let legend = bottom + 62;
    let mut below = legend + 28;
    let signs = write_legend(&mut sheet, legend);
    if let Some(words) = left_out(timeline) {
        below = sheet.paragraph(below, Face::Foot, Tone::Ink, &words) + 10;
    }
    sheet.height = below + 10;
    sheet.finish(theme, |area| {
        for (tick, _) in &ticks {
            let x = scale.x(zero_ns.saturating_add(*tick));
            area.draw(&PathElement::new(vec![(x, top + 22), (x, bottom)], color(Tone::Line).mix(0.4)))?;
        }
        for row in &rows {
            draw_lane(area, row, scale)?;
        }
        for (sign, x) in signs {
            sign.draw(area, x, legend + 8)?;
        }
        Ok(())
    })
}

fn title(timeline: &Timeline, window: Option<[i64; 2]>) -> String {
    let lost: usize = timeline.lanes.iter().map(|lane| lane.incidents.len()).sum();
    let lost = lost as u64 + timeline.incidents_left_out;
    let drawn = timeline.lanes.len() as u64;
    let connections = counted(drawn + timeline.connections_left_out, "connection");
    let requests = match lost {
        0 => "no request lost".to_owned(),
        lost => format!("{} lost", counted(lost, "request")),
    };
    match window {
        Some([from, to]) => {
            format!("{} around a lost request: {connections}, {requests}", duration(to.saturating_sub(from)))
        }
        None => format!("{connections}, {requests}"),
    }
}

fn subtitle(timeline: &Timeline, [from_ns, to_ns]: [i64; 2]) -> String {
    let mut servers: Vec<&str> = Vec::new();
    for lane in &timeline.lanes {
        if !servers.contains(&lane.server.as_str()) {
            servers.push(&lane.server);
        }
    }
    let to = match servers.as_slice() {
        [] => String::new(),
        [one] => format!("to {one} · "),
        several => format!("to {} servers · ", several.len()),
    };
    let file = match timeline.files.as_slice() {
        [] => String::new(),
        [one] => format!("{one} · "),
        [first, .., last] => format!("{first} to {last} · "),
    };
    format!(
        "{to}{file}{} {} UTC · {}",
        date(from_ns),
        time_of_day(from_ns),
        duration(to_ns.saturating_sub(from_ns))
    )
}

/// The picture in sentences: the lanes with incidents.
fn description(timeline: &Timeline) -> String {
    let mut sentences = vec![title(timeline, None) + "."];
    for lane in &timeline.lanes {
        for incident in &lane.incidents {
            sentences.push(format!(
                "Incident {}: {} on stream {}, {} to {}, {} UTC, {}.",
                incident.id,
                incident.request,
                lane.stream,
                lane.client,
                lane.server,
                time_of_day(incident.time_ns),
                incident.cause
            ));
        }
    }
    sentences.extend(left_out(timeline));
    sentences.join(" ")
}

fn left_out(timeline: &Timeline) -> Option<String> {
    if timeline.connections_left_out == 0 {
        return None;
    }
    let more = counted(timeline.connections_left_out, "connection");
    let lost = match timeline.incidents_left_out {
        0 => "none of them lost a request".to_owned(),
        lost => format!("{} lost among them", counted(lost, "request")),
    };
    Some(format!("Not drawn: {more}; {lost}."))
}

/// Beside each lost request, on the side that has room: its number and name, or the number alone.
fn label_incidents(sheet: &mut Sheet, row: &Row<'_>, scale: Scale) {
    for incident in row.lane.incidents.iter().filter(|incident| scale.shows(incident.time_ns)) {
        let x = scale.x(incident.time_ns);
        let full = format!("{}: {} ({})", incident.id, incident.request, incident.cause);
        let short = format!("{}: {}", incident.id, incident.cause);
        for words in [full, short, incident.id.to_string()] {
            let placed = [(x + 12, Align::Left), (x - 12, Align::Right)].into_iter().any(|(at, align)| {
                let width = METRICS.measure(Face::Strong, &words);
                let fits = match align {
                    Align::Left => at + width <= scale.right,
                    _ => at - width >= scale.left,
                };
                fits && sheet.word_if_free([at, row.y - 24], align, Face::Strong, Tone::Reset, &words)
            });
            if placed {
                break;
            }
        }
    }
}

/// The quiet times that end with a close or with a lost request, where there is room.
fn label_idle_times(sheet: &mut Sheet, row: &Row<'_>, scale: Scale) {
    let ends = row
        .lane
        .incidents
        .iter()
        .map(|incident| incident.time_ns)
        .chain(row.lane.closes.iter().map(|close| close.time_ns))
        .min();
    let Some(end) = ends else { return };
    let Some(last) = row.lane.exchanges.iter().rfind(|exchange| exchange.to_ns < end) else { return };
    let idle_ns = end.saturating_sub(last.to_ns);
    let (from, to) = (scale.x(last.to_ns), scale.x(end));
    let words = format!("{} idle", duration(idle_ns));
    if idle_ns >= SHORTEST_IDLE_NS && to - from >= METRICS.measure(Face::Plain, &words) + 40 {
        sheet.patch_if_free([(from + to) / 2, row.y - 9], Align::Middle, Face::Plain, Tone::Muted, &words);
    }
}

/// What is drawn on a lane.
#[derive(Debug, Clone, Copy)]
enum Sign {
    Exchange,
    Idle,
    Fin(Side),
    Reset,
    Lost,
}

impl Sign {
    fn draw(self, area: &Area<'_>, x: i32, y: i32) -> Result<(), Trouble> {
        match self {
            Sign::Exchange => {
                area.draw(&Rectangle::new([(x - 6, y - 6), (x + 6, y + 6)], color(Tone::Response).filled()))?;
            }
            Sign::Idle => {
                area.draw(&PathElement::new(
                    vec![(x - 9, y), (x + 9, y)],
                    color(Tone::Muted).stroke_width(2),
                ))?;
            }
            Sign::Fin(side) => {
                let corners = vec![(x, y - 7), (x + 6, y), (x, y + 7), (x - 6, y), (x, y - 7)];
                match side {
                    Side::Server => area.draw(&Polygon::new(corners, color(Tone::Fin).filled()))?,
                    Side::Client => {
                        area.draw(&PathElement::new(corners, color(Tone::Request).stroke_width(2)))?;
                    }
                }
            }
            Sign::Reset => {
                for lean in [-1, 1] {
                    let ends = vec![(x - 5, y - 5 * lean), (x + 5, y + 5 * lean)];
                    area.draw(&PathElement::new(ends, color(Tone::Reset).stroke_width(2)))?;
                }
            }
            Sign::Lost => {
                area.draw(&Circle::new((x, y), 9, color(Tone::Reset).stroke_width(2)))?;
                let head = vec![(x - 6, y - 20), (x + 6, y - 20), (x, y - 11)];
                area.draw(&Polygon::new(head, color(Tone::Reset).filled()))?;
            }
        }
        Ok(())
    }
}

/// One line that names the signs; returns where each stands.
fn write_legend(sheet: &mut Sheet, y: i32) -> Vec<(Sign, i32)> {
    let mut x = MARGIN + 8;
    let mut signs = Vec::new();
    for (sign, words) in [
        (Sign::Exchange, "request and response"),
        (Sign::Idle, "idle"),
        (Sign::Fin(Side::Server), "FIN of the server"),
        (Sign::Fin(Side::Client), "FIN of the client"),
        (Sign::Reset, "RST"),
        (Sign::Lost, "lost request, with its number"),
    ] {
        signs.push((sign, x));
        sheet.word([x + 16, y], Align::Left, Face::Plain, Tone::Ink, words);
        x += 16 + METRICS.measure(Face::Plain, words) + 34;
    }
    signs
}

fn draw_lane(area: &Area<'_>, row: &Row<'_>, scale: Scale) -> Result<(), Trouble> {
    let (lane, y) = (row.lane, row.y);
    if lane.last_ns >= scale.from_ns && lane.first_ns <= scale.to_ns {
        let ends = vec![(scale.x(lane.first_ns), y), (scale.x(lane.last_ns), y)];
        area.draw(&PathElement::new(ends, color(Tone::Muted).stroke_width(2)))?;
    }
    for exchange in lane.exchanges.iter().filter(|it| it.to_ns >= scale.from_ns && it.from_ns <= scale.to_ns)
    {
        let (from, to) = (scale.x(exchange.from_ns), scale.x(exchange.to_ns));
        let corners = [(from - 1, y - 6), (to.max(from + 1) + 1, y + 6)];
        area.draw(&Rectangle::new(corners, color(Tone::Response).filled()))?;
    }
    for TimelineClose { side, reset, time_ns } in
        lane.closes.iter().filter(|close| scale.shows(close.time_ns))
    {
        let sign = if *reset { Sign::Reset } else { Sign::Fin(*side) };
        sign.draw(area, scale.x(*time_ns), y)?;
    }
    for incident in lane.incidents.iter().filter(|incident| scale.shows(incident.time_ns)) {
        Sign::Lost.draw(area, scale.x(incident.time_ns), y)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::ladder::png;
    use crate::report::{Cause, TimelineIncident, TimelineSpan};

    const SECOND: i64 = 1_000_000_000;

    /// Connections that begin a second after each other; every third loses a request.
    fn many(lanes: u32, client: &str) -> Timeline {
        let lane = |number: u32| {
            let first_ns = i64::from(number) * SECOND;
            let lost = TimelineIncident {
                id: number,
                cause: Cause::CrossedFin,
                time_ns: first_ns + 5 * SECOND,
                request: "POST /orders/of/a/customer/with/a/very/long/path/<script>".to_owned(),
            };
            TimelineLane {
                file: number % 2,
                stream: number,
                client: format!("{client}:{}", 40_000 + number),
                server: format!("[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ff{:02x}]:8080", number % 2),
                first_ns,
                last_ns: first_ns + 6 * SECOND,
                exchanges: vec![TimelineSpan { from_ns: first_ns, to_ns: first_ns + 100_000_000 }],
                closes: vec![TimelineClose {
                    side: Side::Server,
                    reset: false,
                    time_ns: first_ns + 5 * SECOND,
                }],
                incidents: if number.is_multiple_of(3) { vec![lost] } else { Vec::new() },
            }
        };
        Timeline {
            files: vec!["ring_0001.pcap".to_owned(), "ring_0002.pcap".to_owned()],
            first_ns: 0,
            last_ns: i64::from(lanes) * SECOND + 6 * SECOND,
            lanes: (0..lanes).map(lane).collect(),
            connections_left_out: 1_204,
            incidents_left_out: 2,
        }
    }

    #[test]
    fn forty_lanes_with_long_names_keep_their_words_apart_and_count_the_rest() {
        let drawn = many(40, "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]");
        for window in [None, Some([3 * SECOND, 9 * SECOND])] {
            let svg = timeline(&drawn, window, 0, Theme::Auto).unwrap();
            assert!(svg.contains("Not drawn: 1 204 connections; 2 requests lost among them."), "{svg}");
            assert!(svg.contains("<title>") && svg.contains("role=\"img\"") && !svg.contains(" id="));
            assert_eq!(svg, timeline(&drawn, window, 0, Theme::Auto).unwrap());
        }
    }

    #[test]
    fn a_window_shows_only_what_is_in_it() {
        let svg = timeline(&many(9, "192.0.2.1"), Some([7 * SECOND, 9 * SECOND]), 8 * SECOND, Theme::Light)
            .unwrap();
        assert!(svg.contains(">3: ") && !svg.contains(">0: ") && !svg.contains(">6: "), "{svg}");
    }

    #[test]
    fn hostile_names_stay_text() {
        let svg = timeline(&many(3, "</text><script>\u{1b}[2J\u{202e}"), None, 0, Theme::Dark).unwrap();
        assert!(!svg.contains("<script") && !svg.contains('\u{1b}') && !svg.contains('\u{202e}'));
        assert!(svg.matches("</svg>").count() == 1 && png(&svg).is_ok());
    }

    #[test]
    fn a_capture_of_one_instant_is_drawn() {
        let mut instant = many(1, "192.0.2.1");
        (instant.first_ns, instant.last_ns) = (i64::MAX, i64::MAX);
        assert!(timeline(&instant, None, i64::MIN, Theme::Auto).is_ok());
    }
}
