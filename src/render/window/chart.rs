//! The map of the window as SVG: the share lost over idle times, by cause, with its uncertainty, and the model.

use std::collections::BTreeSet;
use std::error::Error;

use plotters::prelude::*;

use crate::render::ladder::escape;
use crate::render::plot::{color, shape_colours};
use crate::render::style::{Theme, Tone};
use crate::render::visible;
use crate::report::Cause;
use crate::report::sweep::{Bin, Sweep};

use super::{milliseconds, percent, signed_milliseconds, subject};

/// Size of the map in pixels.
const SIZE: (u32, u32) = (1080, 480);
/// Families for viewers; the first is the embedded one that PNGs are drawn with.
const FONTS: &str = "Inter, Helvetica, Arial, sans-serif";
/// Room above 100 % for the legend.
const HEADROOM: f64 = 1.5;
/// Nanoseconds in the unit of the horizontal axis.
const MILLISECOND: f64 = 1e6;

/// Draws the window; none when nothing was tried around it.
///
/// # Errors
/// When the drawing library refuses, which no sweep should bring about.
pub fn svg(sweep: &Sweep) -> Result<Option<String>, Box<dyn Error>> {
    if sweep.bins.iter().all(|bin| bin.share.is_none()) {
        return Ok(None);
    }
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area, sweep)?;
        area.present()?;
    }
    Ok(Some(themed(&svg, &title(sweep), &description(sweep))))
}

/// A picture of the drawing library with a title and a description for screen readers, and dark where the viewer prefers it.
fn themed(svg: &str, title: &str, description: &str) -> String {
    let head = format!(
        " class=\"finrace\" role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n<style>\n{}</style>",
        escape(&visible(title)),
        escape(&visible(description)),
        shape_colours(Theme::Auto),
    );
    match svg.find('>') {
        Some(end) => format!("{}{head}{}", &svg[..end], &svg[end + 1..]),
        None => svg.to_owned(),
    }
}

fn title(sweep: &Sweep) -> String {
    match &sweep.window {
        Some(window) => format!(
            "{}: requests are lost after {} to {} ms idle",
            subject(sweep),
            milliseconds(window.opens.at_ns),
            milliseconds(window.closes.at_ns)
        ),
        None => format!("{}: no window found", subject(sweep)),
    }
}

fn description(sweep: &Sweep) -> String {
    let mut text =
        "The share of requests lost over the time for which a connection was idle before them.".to_owned();
    if let Some(window) = &sweep.window {
        text += &format!(
            " The window is {} ms wide{}{}.",
            milliseconds(window.width_ns),
            window.width_rtt.map_or_else(String::new, |width| format!(", {width:.2} round trips")),
            window.share.map_or_else(String::new, |share| format!(
                "; {} of the requests in it are lost",
                percent(share)
            ))
        );
    }
    if let Some((opens, closes)) =
        sweep.expected.and_then(|it| it.opens_difference_ns.zip(it.closes_difference_ns))
    {
        text += &format!(
            " Its edges are {} ms and {} ms beside those of the model.",
            signed_milliseconds(opens),
            signed_milliseconds(closes)
        );
    }
    text
}

/// The tone of the first, second and third cause of a picture.
const TONES: [Tone; 3] = [Tone::Reset, Tone::Fin, Tone::Muted];

fn draw(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    sweep: &Sweep,
) -> Result<(), Box<dyn Error>> {
    let ink = color(Tone::Ink);
    let ms = |ns: i64| ns as f64 / MILLISECOND;
    let from = sweep.bins.first().map_or(0.0, |bin| ms(bin.from_ns));
    let to = sweep.bins.last().map_or(1.0, |bin| ms(bin.to_ns));
    let highest = sweep
        .bins
        .iter()
        .filter(|bin| bin.share.is_some())
        .map(|bin| bin.share_high.min(1.0).max(bin.expected.unwrap_or(0.0)))
        .fold(0.0, f64::max);
    // A window of single percents is drawn as high as one of a hundred.
    let top = if highest > 0.5 { 1.0 } else { (highest * 1.1).max(0.01) } * 100.0;
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title(sweep), (FONTS, 19).into_font().color(&ink))
        .margin(24)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(from..to, 0.0..top * HEADROOM)?;
    let unit = if top < 10.0 { 1 } else { 0 };
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(color(Tone::Line))
        .x_desc("idle time before the request, ms (arrival of the response to departure of the request)")
        .y_desc("requests lost, %")
        .x_label_formatter(&|ms| format!("{ms:.1}").trim_end_matches(".0").to_owned())
        // The space keeps the number off the axis.
        .y_label_formatter(&|share| {
            if *share > top + 1e-9 { String::new() } else { format!("{share:.unit$}\u{a0}") }
        })
        // Above 100 % is only the legend.
        .set_tick_mark_size(LabelAreaPosition::Left, 0)
        .x_labels(12)
        .label_style((FONTS, 13).into_font().color(&color(Tone::Muted)))
        .axis_desc_style((FONTS, 14).into_font().color(&ink))
        .draw()?;
    let line = color(Tone::Line).mix(0.5);
    chart.draw_series((0..=5).map(|fifth| {
        let share = top * f64::from(fifth) / 5.0;
        PathElement::new(vec![(from, share), (to, share)], line.stroke_width(1))
    }))?;
    let tried: Vec<&Bin> = sweep.bins.iter().filter(|bin| bin.attempts > 0).collect();
    let causes: BTreeSet<Cause> = tried.iter().flat_map(|bin| bin.by_cause.keys().copied()).collect();
    // What packets do not prove is drawn above what they do.
    let kinds: Vec<Option<Cause>> = causes.iter().copied().map(Some).chain([None]).collect();
    let of = |bin: &Bin, kind: Option<Cause>| match kind {
        Some(cause) => bin.by_cause.get(&cause).copied().unwrap_or(0),
        None => bin.lost.saturating_sub(bin.by_cause.values().sum()),
    };
    for (index, kind) in kinds.iter().enumerate() {
        let total: u64 = tried.iter().map(|bin| of(bin, *kind)).sum();
        if total == 0 {
            continue;
        }
        let fill = color(TONES[index.min(TONES.len() - 1)]).mix(if kind.is_some() { 0.55 } else { 0.3 });
        let bars = tried.iter().map(|bin| {
            let below: u64 = kinds[..index].iter().map(|before| of(bin, *before)).sum();
            let share = |lost: u64| lost as f64 * 100.0 / bin.attempts as f64;
            let corners = [(ms(bin.from_ns), share(below)), (ms(bin.to_ns), share(below + of(bin, *kind)))];
            Rectangle::new(corners, fill.filled())
        });
        let name = kind.map_or_else(|| "lost".to_owned(), |cause| cause.to_string());
        chart
            .draw_series(bars)?
            .label(format!("{name}: {total}"))
            .legend(move |(x, y)| Rectangle::new([(x, y - 6), (x + 18, y + 6)], fill.filled()));
    }
    chart
        .draw_series(tried.iter().map(|bin| {
            let middle = (ms(bin.from_ns) + ms(bin.to_ns)) / 2.0;
            let low = bin.share_low * 100.0;
            let high = (bin.share_high * 100.0).min(top);
            PathElement::new(vec![(middle, low), (middle, high)], ink.stroke_width(1))
        }))?
        .label("between these with 95 %")
        .legend(move |(x, y)| PathElement::new(vec![(x + 9, y - 6), (x + 9, y + 6)], ink.stroke_width(1)));
    if sweep.bins.iter().any(|bin| bin.expected.is_some()) {
        let model = color(Tone::Request);
        let steps: Vec<(f64, f64)> = sweep
            .bins
            .iter()
            .map(|bin| ((ms(bin.from_ns) + ms(bin.to_ns)) / 2.0, bin.expected.unwrap_or(0.0) * 100.0))
            .collect();
        chart
            .draw_series(DashedLineSeries::new(steps, 6, 4, model.stroke_width(2)))?
            .label("the model, from the watched timer and the round trip")
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], model.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .label_font((FONTS, 14).into_font().color(&ink))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn the_picture_says_what_it_shows_to_eyes_and_to_screen_readers() {
        let picture = svg(&fixtures::sweep()).unwrap().unwrap();
        assert!(picture.contains("<title>toy backend, 5 ms each way: requests are lost"));
        assert!(picture.contains("<desc>The share of requests lost"));
        for word in ["crossed-fin: ", "unread-request: ", "the model", "95 %", "requests lost, %"] {
            assert!(picture.contains(word), "{word}");
        }
        assert!(picture.contains("prefers-color-scheme"));
        insta::assert_snapshot!("window_svg", picture);
    }

    #[test]
    fn names_from_outside_cannot_leave_their_element() {
        let mut sweep = fixtures::sweep();
        sweep.backend.name = "</title><script>x</script>".to_owned();
        let picture = svg(&sweep).unwrap().unwrap();
        assert!(!picture.contains("<script>"), "{picture}");
    }

    #[test]
    fn nothing_tried_draws_nothing() {
        let sweep = Sweep { bins: Vec::new(), ..fixtures::sweep() };
        assert_eq!(svg(&sweep).unwrap(), None);
    }
}
