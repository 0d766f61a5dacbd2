//! The attempts of a run as a picture: how long the FIN was on its way, and when the request left meanwhile.

use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::Color;

use super::ladder::{Align, Face};
use super::plot::{MARGIN, METRICS, Sheet, Trouble, WIDTH, color, ticks, time_ticks};
use super::style::{Theme, Tone};
use super::units::{counted, duration};
use crate::report::Run;

/// Height of the field.
const FIELD: i32 = 300;
/// Left edge of the field: behind the times.
const LEFT: i32 = 120;

/// One attempt: its number, when the request left after the FIN, and how long the FIN flew; in ns.
type Point = (u32, i64, i64);

/// Draws the attempts of a run; none when fewer than two show a FIN and a request that met.
///
/// # Errors
/// When the drawing library refuses, which no run should bring about.
pub fn attempts(run: &Run) -> Result<Option<String>, Trouble> {
    let points: Vec<Point> = run
        .attempts
        .iter()
        .filter_map(|attempt| Some((attempt.number, attempt.request_after_fin_ns?, attempt.fin_flight_ns?)))
        .collect();
    if points.len() < 2 {
        return Ok(None);
    }
    draw(&points, Theme::Auto).map(Some)
}

fn draw(points: &[Point], theme: Theme) -> Result<String, Trouble> {
    let title = title(points);
    let shortest = points.iter().map(|(_, left, _)| *left).fold(0, i64::min);
    let longest = points.iter().map(|(_, left, flight)| *left.max(flight)).fold(1, i64::max);
    let description = format!(
        "{title}. {}; the requests left {} to {} after the FIN.",
        counted(points.len() as u64, "attempt"),
        duration(points.iter().map(|(_, left, _)| *left).min().unwrap_or(0)),
        duration(points.iter().map(|(_, left, _)| *left).max().unwrap_or(0)),
    );
    let mut sheet = Sheet::new(
        &title,
        "each column is one attempt, upwards the time since the backend sent its FIN",
        &description,
    );
    let (top, bottom) = (sheet.top, sheet.top + FIELD);
    let span = (longest.saturating_sub(shortest)).max(1) as f64;
    let y = |ns: i64| {
        bottom - 10 - ((ns.saturating_sub(shortest)) as f64 / span * f64::from(FIELD - 20)).round() as i32
    };
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    let columns = f64::from(last.saturating_sub(first)) + 1.0;
    let step = f64::from(WIDTH - MARGIN - LEFT) / columns;
    let x = |number: f64| LEFT + ((number - f64::from(first) + 0.5) * step).round() as i32;
    let times = time_ticks(shortest, longest, 6);
    for (ns, words) in &times {
        sheet.word_if_free([LEFT - 12, y(*ns) - 8], Align::Right, Face::Time, Tone::Muted, words);
    }
    for number in ticks(f64::from(first), f64::from(last), 12) {
        let words = format!("{number:.0}");
        if (number - number.round()).abs() < 1e-6 {
            sheet.word_if_free([x(number), bottom + 8], Align::Middle, Face::Time, Tone::Muted, &words);
        }
    }
    sheet.word([(LEFT + WIDTH - MARGIN) / 2, bottom + 28], Align::Middle, Face::Plain, Tone::Ink, "attempt");
    let legend = bottom + 60;
    let flies = "the FIN is on its way: a request that leaves now is lost";
    sheet.word([MARGIN + 34, legend], Align::Left, Face::Plain, Tone::Ink, flies);
    let dot = MARGIN + 34 + METRICS.measure(Face::Plain, flies) + 48;
    sheet.word([dot + 14, legend], Align::Left, Face::Plain, Tone::Ink, "the request leaves the proxy");
    sheet.height = legend + 36;
    sheet.finish(theme, |area| {
        for (ns, _) in &times {
            let line = vec![(LEFT, y(*ns)), (WIDTH - MARGIN, y(*ns))];
            area.draw(&PathElement::new(line, color(Tone::Line).mix(0.4)))?;
        }
        let half = ((step * 0.4).round() as i32).clamp(1, 40);
        for (number, _, flight) in points {
            let middle = x(f64::from(*number));
            let corners = [(middle - half, y(*flight)), (middle + half, y(0))];
            area.draw(&Rectangle::new(corners, color(Tone::Fin).mix(0.3).filled()))?;
        }
        for (number, left, _) in points {
            let at = (x(f64::from(*number)), y(*left));
            area.draw(&Circle::new(at, 4, color(Tone::Request).filled()))?;
        }
        let patch = [(MARGIN, legend + 2), (MARGIN + 24, legend + 14)];
        area.draw(&Rectangle::new(patch, color(Tone::Fin).mix(0.3).filled()))?;
        area.draw(&Circle::new((dot, legend + 8), 4, color(Tone::Request).filled()))?;
        area.draw(&PathElement::new(vec![(LEFT, top), (LEFT, bottom)], color(Tone::Line).stroke_width(1)))?;
        Ok(())
    })
}

/// What the points show: a request that leaves while the FIN is on its way is lost, whatever happens afterwards.
fn title(points: &[Point]) -> String {
    let all = points.len();
    match points.iter().filter(|(_, left, flight)| left < flight).count() {
        0 => format!("No request crossed the backend’s FIN: all {all} left after it had arrived"),
        crossed if crossed == all => {
            format!(
                "{all} of {all} requests left while the backend’s FIN was on its way: each of them was lost"
            )
        }
        crossed => format!(
            "{crossed} of {all} requests left while the backend’s FIN was on its way, the others after it had arrived"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_claims_no_crossing_that_the_points_do_not_show() {
        let (crossed, stale) = ((1, 800, 5_100), (2, 55_000, 5_100));
        assert!(title(&[crossed, crossed]).starts_with("2 of 2 requests left while"));
        assert!(title(&[stale, stale]).starts_with("No request crossed"));
        assert!(title(&[crossed, stale]).starts_with("1 of 2 requests left while"));
    }

    #[test]
    fn attempts_are_drawn_with_their_words_apart_however_many_there_are() {
        for count in [2_u32, 3, 40, 1_000] {
            let points: Vec<Point> = (1..=count)
                .map(|number| (number, i64::from(number % 7) * 1_000_000 - 500, 5_100_000))
                .collect();
            let svg = draw(&points, Theme::Auto).unwrap();
            assert!(svg.contains("<desc>") && svg.matches("<circle").count() == points.len() + 1, "{count}");
        }
    }
}
