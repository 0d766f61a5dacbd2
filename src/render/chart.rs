//! Charts with axes, as SVG: for each attempt, how long the FIN was on its way and when the request left meanwhile.

use std::error::Error;

use plotters::prelude::*;

use super::style::Tone;
use crate::report::Run;

/// Size of a chart in pixels.
pub(super) const SIZE: (u32, u32) = (1080, 480);
/// Families for viewers; the first is the embedded one that PNGs are drawn with.
pub(super) const FONTS: &str = "Inter, Helvetica, Arial, sans-serif";
/// Room above the highest point, so that the legend lies over no point.
const HEADROOM: f64 = 1.4;
/// Nanoseconds in the unit of the vertical axis.
const MILLISECOND: f64 = 1e6;

/// One attempt: its number, when the request left after the FIN, and how long the FIN flew; in ms.
type Point = (u32, f64, f64);

/// Draws the attempts of a run; none when fewer than two show a FIN and a request that met.
///
/// # Errors
/// When the drawing library refuses, which no run should bring about.
pub fn attempts(run: &Run) -> Result<Option<String>, Box<dyn Error>> {
    let points: Vec<Point> = run
        .attempts
        .iter()
        .filter_map(|attempt| {
            let (left, flight) = (attempt.request_after_fin_ns?, attempt.fin_flight_ns?);
            Some((attempt.number, left as f64 / MILLISECOND, flight as f64 / MILLISECOND))
        })
        .collect();
    if points.len() < 2 {
        return Ok(None);
    }
    let title = title(&points);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area, &title, &points)?;
        area.present()?;
    }
    Ok(Some(svg))
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

fn draw(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    points: &[Point],
) -> Result<(), Box<dyn Error>> {
    let ink = color(Tone::Ink);
    let first = points.iter().map(|(number, ..)| *number).min().unwrap_or(0);
    let last = points.iter().map(|(number, ..)| *number).max().unwrap_or(0);
    let lowest = points.iter().map(|(_, left, _)| *left).fold(0.0, f64::min);
    let highest = points.iter().map(|(_, left, flight)| left.max(*flight)).fold(0.0, f64::max);
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONTS, 19).into_font().color(&ink))
        .margin(24)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(
            f64::from(first) - 0.5..f64::from(last) + 0.5,
            lowest * 1.1..highest * HEADROOM,
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(color(Tone::Line).mix(0.5))
        .light_line_style(WHITE)
        .x_desc("attempt")
        .y_desc("ms after the FIN left the backend")
        .x_label_formatter(&|number| format!("{number:.0}"))
        .x_labels(12)
        .label_style((FONTS, 13).into_font().color(&color(Tone::Muted)))
        .axis_desc_style((FONTS, 14).into_font().color(&ink))
        .draw()?;
    let fin = color(Tone::Fin);
    chart
        .draw_series(points.iter().map(|(number, _, flight)| {
            let middle = f64::from(*number);
            Rectangle::new([(middle - 0.4, 0.0), (middle + 0.4, *flight)], fin.mix(0.25).filled())
        }))?
        .label("the FIN is on its way: a request that leaves now is lost")
        .legend(move |(x, y)| Rectangle::new([(x, y - 6), (x + 18, y + 6)], fin.mix(0.25).filled()));
    let request = color(Tone::Request);
    chart
        .draw_series(
            points
                .iter()
                .map(|(number, left, _)| Circle::new((f64::from(*number), *left), 4, request.filled())),
        )?
        .label("the request leaves the proxy")
        .legend(move |(x, y)| Circle::new((x + 9, y), 4, request.filled()));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .label_font((FONTS, 14).into_font().color(&ink))
        .draw()?;
    Ok(())
}

/// A colour of the one table of colours.
pub(super) fn color(tone: Tone) -> RGBColor {
    let code = tone.light().trim_start_matches('#');
    let channel =
        |at: usize| code.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
    RGBColor(channel(0), channel(2), channel(4))
}

/// A picture of the drawing library with a title and a description for screen readers, and dark where the viewer prefers
/// it. The library writes colours as attributes, which a style sheet overrides.
pub(super) fn themed(svg: &str, title: &str, description: &str) -> String {
    const PAGES: (&str, &str) = ("#FFFFFF", "#0f141b");
    let mut rules = String::new();
    let tones = Tone::ALL.iter().map(|tone| (tone.light().to_uppercase(), tone.dark()));
    for (light, dark) in tones.chain([(PAGES.0.to_owned(), PAGES.1)]) {
        rules += &format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}\n");
    }
    let head = format!(
        " role=\"img\" aria-labelledby=\"title description\">\n<title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n\
         <style>\n@media (prefers-color-scheme:dark){{\n{rules}}}\n</style>",
        escape(title),
        escape(description)
    );
    match svg.find('>') {
        Some(end) => format!("{}{head}{}", &svg[..end], &svg[end + 1..]),
        None => svg.to_owned(),
    }
}

/// Text safe between tags.
fn escape(text: &str) -> String {
    super::visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_claims_no_crossing_that_the_points_do_not_show() {
        let (crossed, stale) = ((1, 0.8, 5.1), (2, 55.0, 5.1));
        assert!(title(&[crossed, crossed]).starts_with("2 of 2 requests left while"));
        assert!(title(&[stale, stale]).starts_with("No request crossed"));
        assert!(title(&[crossed, stale]).starts_with("1 of 2 requests left while"));
    }
}
