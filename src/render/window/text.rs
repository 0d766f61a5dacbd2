//! The window as a table of shares, and in sentences.

use crate::render::columns::{Cell, Columns, Edge};
use crate::render::page::Page;
use crate::render::style::{TextOptions, Tone};
use crate::render::units::{count, counted, duration, setting};
use crate::report::sweep::{Bin, ExpectedWindow, Sweep, Window};

use super::{milliseconds, percent, signed_milliseconds, subject};

/// Columns of the bar of a share of 100 %.
const BAR: f64 = 16.0;

/// Everything `sweep` prints: the folder and the files are named below.
pub fn page(sweep: &Sweep, (folder, files): (&str, &[(String, String)]), options: TextOptions) -> String {
    let mut page = Page::new(options);
    page.paragraph(&headline(sweep), Tone::Ink, true, 0);
    page.blank();
    if !sweep.bins.is_empty() {
        page.text += &table(sweep).text(options);
        page.blank();
    }
    for (heading, sentence) in sentences(sweep) {
        page.explained(heading, &sentence);
    }
    for note in &sweep.notes {
        page.explained("Mind", &format!("{note}."));
    }
    if !files.is_empty() {
        page.blank();
        page.command("Files in", folder);
        let rows = files.iter().map(|(name, what)| vec![Cell::plain(name), Cell::toned(what, Tone::Muted)]);
        let files =
            Columns { headings: vec![("", Edge::Left), ("", Edge::Left)], rows: rows.collect(), indent: 2 };
        page.text += &files.text(options);
    }
    page.text
}

/// The result in one sentence.
fn headline(sweep: &Sweep) -> String {
    let subject = subject(sweep);
    match &sweep.window {
        Some(window) if window.opens.high_ns >= window.closes.low_ns => format!(
            "{subject}: requests are lost around {} ms idle, in a window narrower than the {} ms to which its edges are \
             known",
            milliseconds(window.opens.at_ns),
            milliseconds((window.closes.high_ns - window.opens.low_ns).max(0)),
        ),
        Some(window) => format!(
            "{subject}: requests are lost after {} to {} ms idle, a window of {} ms{}",
            milliseconds(window.opens.at_ns),
            milliseconds(window.closes.at_ns),
            milliseconds(window.width_ns),
            round_trips(window)
        ),
        None if sweep.counts.unusable == sweep.counts.connections => {
            format!("{subject}: no connection could be used again, so there is no window to see")
        }
        None if sweep.timer.is_none() => {
            format!(
                "{subject}: it closed no idle connection while it was watched, so there is no window to see"
            )
        }
        None => format!("{subject}: the window was not found; its edges were not met"),
    }
}

/// `, 1.02 round trips`.
fn round_trips(window: &Window) -> String {
    window.width_rtt.map_or_else(String::new, |width| format!(", {width:.2} round trips"))
}

fn table(sweep: &Sweep) -> Columns {
    let modelled = sweep.bins.iter().any(|bin| bin.expected.is_some());
    let mut headings = vec![
        ("idle, ms", Edge::Right),
        ("used", Edge::Right),
        ("lost", Edge::Right),
        ("share", Edge::Right),
        ("95 %", Edge::Right),
    ];
    if modelled {
        headings.push(("model", Edge::Right));
    }
    headings.push(("", Edge::Left));
    Columns { headings, rows: sweep.bins.iter().map(|bin| row(bin, modelled)).collect(), indent: 2 }
}

fn row(bin: &Bin, modelled: bool) -> Vec<Cell> {
    let tone = if bin.lost > 0 { Tone::Ink } else { Tone::Muted };
    let share = bin.share.map_or_else(|| "–".to_owned(), percent);
    let between = match bin.share {
        Some(_) => format!("{:.0}–{:.0}", bin.share_low * 100.0, bin.share_high * 100.0),
        None => String::new(),
    };
    let filled = (bin.share.unwrap_or(0.0) * BAR).round() as usize;
    let bar = if bin.lost > 0 { "█".repeat(filled.max(1)) } else { String::new() };
    let mut row = vec![
        Cell::toned(milliseconds(bin.from_ns), tone),
        Cell::toned(count(bin.attempts), tone),
        Cell::toned(count(bin.lost), tone),
        Cell::toned(share, tone),
        Cell::toned(between, Tone::Muted),
    ];
    if modelled {
        row.push(Cell::toned(bin.expected.map_or_else(String::new, percent), Tone::Muted));
    }
    row.push(Cell::toned(bar, Tone::Reset));
    row
}

/// Heading and sentence of each thing that is known.
fn sentences(sweep: &Sweep) -> Vec<(&'static str, String)> {
    let mut said = Vec::new();
    if let Some(window) = &sweep.window {
        let share =
            window.share.map(|share| format!("; between them {} of the requests are lost", percent(share)));
        said.push((
            "Measured",
            format!(
                "opens at {} ms ({} to {}), closes at {} ms ({} to {}){}",
                milliseconds(window.opens.at_ns),
                milliseconds(window.opens.low_ns),
                milliseconds(window.opens.high_ns),
                milliseconds(window.closes.at_ns),
                milliseconds(window.closes.low_ns),
                milliseconds(window.closes.high_ns),
                share.unwrap_or_default()
            ),
        ));
    }
    if let Some(expected) = &sweep.expected {
        said.push(("Model", model(expected)));
    }
    said.push(("Backend", backend(sweep)));
    if let Some(rtt) = sweep.rtt_ns {
        said.push(("Path", path(sweep, rtt)));
    }
    if sweep.counts.lost > 0 {
        said.push(("Lost", lost(sweep)));
    }
    said.push(("Sweep", done(sweep)));
    said
}

fn model(expected: &ExpectedWindow) -> String {
    let mut text = format!(
        "opens one round trip before the timer, at {} ms, and closes with it, at {} ms",
        milliseconds(expected.opens_ns),
        milliseconds(expected.closes_ns)
    );
    if let (Some(opens), Some(closes)) = (expected.opens_difference_ns, expected.closes_difference_ns) {
        text += &format!(
            "; measured {} ms and {} ms beside it",
            signed_milliseconds(opens),
            signed_milliseconds(closes)
        );
    }
    if let Some(width) = expected.width_difference {
        text += &format!(", width {:+.1}\u{a0}%", width * 100.0).replace('-', "−");
    }
    text
}

fn backend(sweep: &Sweep) -> String {
    let set = sweep.backend.idle_timeout_ns.map(|set| format!("; configured are {}", setting(set)));
    let set = set.unwrap_or_default();
    match &sweep.timer {
        Some(timer) => format!(
            "{} closed idle connections after {} ms, 90\u{a0}% of them between {} and {}, at the latest after {} ms{set} \
             ({} watched)",
            sweep.backend.title(),
            milliseconds(timer.median_ns),
            milliseconds(timer.p5_ns),
            milliseconds(timer.p95_ns),
            milliseconds(timer.max_ns),
            count(timer.count)
        ),
        None => format!("{} closed no idle connection that was watched{set}", sweep.backend.title()),
    }
}

fn path(sweep: &Sweep, rtt: i64) -> String {
    let set = sweep.delay_ns.map(|delay| format!(", set to {} each way", setting(delay))).unwrap_or_default();
    let late = sweep.lateness.map(|late| {
        format!(
            "; requests left {} later than planned (99\u{a0}% within {}, at most {})",
            duration(late.median_ns),
            duration(late.p99_ns),
            duration(late.max_ns)
        )
    });
    format!("round trip {} ms{set}{}", milliseconds(rtt), late.unwrap_or_default())
}

fn lost(sweep: &Sweep) -> String {
    let causes: Vec<String> =
        sweep.by_cause.iter().map(|(cause, times)| format!("{cause} {}", count(*times))).collect();
    let lost = counted(sweep.counts.lost, "request");
    match (sweep.by_packets, causes.is_empty()) {
        (false, _) => format!("{lost}, as the sockets told; nothing was captured"),
        (true, true) => format!("{lost}, of no cause that the packets prove"),
        (true, false) => {
            format!(
                "{lost}; the packets at both ends prove {}: {}",
                count(sweep.counts.proven),
                causes.join(", ")
            )
        }
    }
}

fn done(sweep: &Sweep) -> String {
    let counts = &sweep.counts;
    format!(
        "{} in {}, up to {} side by side: {} used and answered, {} found closed, {} lost{}, {} only watched; seed {}",
        counted(counts.connections, "connection"),
        duration(sweep.elapsed_ns),
        count(sweep.side_by_side),
        count(counts.answered),
        count(counts.closed_before),
        count(counts.lost),
        match counts.retried {
            0 => String::new(),
            retried => format!(" ({} answered when sent again)", count(retried)),
        },
        count(counts.watched),
        sweep.seed
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use crate::render::wrap::columns;

    fn at(width: u16, sweep: &Sweep) -> String {
        let files = [("window.svg".to_owned(), "the map of the window".to_owned())];
        page(sweep, ("finrace-runs/1", &files), TextOptions { width, color: false, unicode: true })
    }

    #[test]
    fn the_page_reads_from_the_result_down_to_the_files() {
        insta::assert_snapshot!("window_72", at(72, &fixtures::sweep()));
        insta::assert_snapshot!("window_100", at(100, &fixtures::sweep()));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [72, 80, 100, 160] {
            for line in at(width, &fixtures::sweep()).lines() {
                assert!(columns(line) <= i32::from(width), "{width}: {line}");
            }
        }
    }

    #[test]
    fn without_a_close_or_an_edge_it_says_so() {
        let mut sweep = fixtures::sweep();
        sweep.window = None;
        assert!(at(80, &sweep).starts_with("toy backend, 5 ms each way: the window was not found"));
        sweep.timer = None;
        sweep.expected = None;
        sweep.bins.clear();
        assert!(at(80, &sweep).starts_with("toy backend, 5 ms each way: it closed no idle connection"));
        sweep.counts.unusable = sweep.counts.connections;
        assert!(at(80, &sweep).starts_with("toy backend, 5 ms each way: no connection could be used again"));
    }
}
