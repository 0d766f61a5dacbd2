//! The answer of `finrace soak`: what was lost, and what the model had expected.

use super::columns::{Cell, Columns, Edge};
use super::csv;
use super::odds_text::amount;
use super::page::Page;
use super::style::{TextOptions, Tone};
use super::units::{count, counted, duration};
use crate::report::{Soak, SoakPrediction, SoakShare};

/// For people.
pub fn table(soak: &Soak, options: TextOptions) -> String {
    let mut page = Page::new(options);
    page.paragraph(&headline(soak), Tone::Ink, true, 0);
    page.blank();
    page.explained(
        "Setting",
        &format!(
            "{} in front of {}, {} one way, nothing forced; {}.",
            soak.proxy.title(),
            soak.backend.title(),
            duration(soak.delay_ns),
            soak.pool
        ),
    );
    page.explained("Requests", &format!("{}, seed {}.", soak.arrivals, soak.seed));
    page.explained("Packets", &packets(soak));
    page.explained("Users saw", &answers(soak));
    page.blank();
    causes(&mut page, soak);
    page.blank();
    predictions(&mut page, soak);
    for note in soak.missing.iter().chain(&soak.notes) {
        page.blank();
        page.paragraph(note, Tone::Ink, false, 0);
    }
    page.text
}

fn headline(soak: &Soak) -> String {
    let Soak { lost, requests, elapsed_ns, .. } = soak;
    let interrupted = if soak.interrupted { " (interrupted)" } else { "" };
    let one_in = match lost.count {
        0 => String::new(),
        _ => format!(", one in {}", amount(1.0 / lost.share)),
    };
    format!(
        "{} of {} requests were lost to the backend's idle timer in {}{interrupted}{one_in}.",
        count(lost.count),
        count(*requests),
        duration(*elapsed_ns)
    )
}

fn packets(soak: &Soak) -> String {
    let measured = &soak.measured;
    let spread = |value: Option<i64>, spread: Option<i64>| {
        Some(format!("{} ± {}", duration(value?), duration(spread?)))
    };
    let mut told = vec![if soak.complete {
        format!("{} at the proxy, every one that crossed the wire", count(soak.packets))
    } else {
        format!("{} at the proxy, NOT every one that crossed the wire", count(soak.packets))
    }];
    told.extend(
        spread(measured.timer_ns, measured.timer_spread_ns)
            .map(|timer| format!("the backend closed after {timer} ({})", counted(measured.timers, "close"))),
    );
    told.extend(spread(measured.delay_ns, measured.delay_spread_ns).map(|delay| format!("{delay} one way")));
    told.push(format!("{} requests a second of each pool", amount(measured.rate_per_s)));
    format!("{}.", told.join("; "))
}

fn answers(soak: &Soak) -> String {
    if soak.answers.is_empty() {
        return "nothing.".to_owned();
    }
    let told: Vec<String> =
        soak.answers.iter().map(|(answer, number)| format!("{answer}: {}", count(*number))).collect();
    format!("{}.", told.join("; "))
}

fn causes(page: &mut Page, soak: &Soak) {
    if soak.causes.is_empty() {
        page.paragraph("No request was lost.", Tone::Ink, false, 0);
        return;
    }
    let headings = vec![
        ("cause", Edge::Left),
        ("requests", Edge::Right),
        ("one in", Edge::Right),
        ("share", Edge::Right),
        ("95 % interval", Edge::Right),
    ];
    let rows = soak.causes.iter().map(|found| {
        let SoakShare { count: number, share, low, high } = found.share;
        vec![
            Cell::plain(found.cause.token()),
            Cell::plain(count(number)),
            Cell::plain(amount(1.0 / share)),
            Cell::plain(percent(share)),
            Cell::toned(format!("{} to {}", percent(low), percent(high)), Tone::Muted),
        ]
    });
    page.text += &Columns { headings, rows: rows.collect(), indent: 0 }.text(page.options);
}

fn predictions(page: &mut Page, soak: &Soak) {
    if soak.predictions.is_empty() {
        return;
    }
    let headings = vec![
        ("", Edge::Left),
        ("lost", Edge::Right),
        ("± 2 errors", Edge::Right),
        ("errors apart", Edge::Right),
        ("", Edge::Left),
    ];
    let SoakShare { share, low, high, .. } = soak.lost;
    let mut rows = vec![vec![
        Cell::plain("measured").strong(),
        Cell::plain(percent(share)).strong(),
        Cell::toned(percent((high - low) / 2.0), Tone::Muted),
        Cell::plain(""),
        Cell::plain(""),
    ]];
    rows.extend(soak.predictions.iter().map(|prediction| {
        vec![
            Cell::plain(match prediction.from.as_str() {
                "settings" => "odds, by the settings",
                "formula" => "odds, by formula",
                _ => "odds, by the packets",
            }),
            Cell::plain(percent(prediction.share)),
            Cell::toned(percent(2.0 * prediction.error), Tone::Muted),
            Cell::toned(format!("{:.1}", prediction.apart), Tone::Muted),
            Cell::plain(if prediction.agree { "agrees" } else { "DIFFERS" }),
        ]
    }));
    page.text += &Columns { headings, rows, indent: 0 }.text(page.options);
}

/// `2.85 %`.
fn percent(share: f64) -> String {
    format!("{} %", amount(share * 100.0))
}

/// One document.
pub fn json(soak: &Soak) -> String {
    serde_json::to_string_pretty(soak).expect("a soak is plain data with string keys") + "\n"
}

/// A heading row, and one row for each cause and each prediction.
pub fn csv(soak: &Soak) -> String {
    let mut text = "what,requests,share,low,high\n".to_owned();
    for found in &soak.causes {
        let SoakShare { count, share, low, high } = found.share;
        text += &format!("{},{count},{share},{low},{high}\n", csv::field(found.cause.token()));
    }
    let SoakShare { count, share, low, high } = soak.lost;
    text += &format!("lost,{count},{share},{low},{high}\n");
    for SoakPrediction { from, share, error, .. } in &soak.predictions {
        let (low, high) = ((share - 2.0 * error).max(0.0), share + 2.0 * error);
        text += &format!("{},,{share},{low},{high}\n", csv::field(&format!("odds by {from}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::wrap::columns;
    use crate::report::{Cause, Party, SOAK_SCHEMA, SoakCause, SoakMeasured};

    fn soak() -> Soak {
        let party = |name: &str| Party { name: name.to_owned(), version: None, idle_timeout_ns: None };
        let share = |count: u64| SoakShare {
            count,
            share: count as f64 / 3_190.0,
            low: count as f64 / 4_000.0,
            high: count as f64 / 2_800.0,
        };
        let prediction = |from: &str, share: f64, apart: f64| SoakPrediction {
            from: from.to_owned(),
            share,
            error: 0.000_7,
            apart,
            agree: apart <= 3.0,
        };
        Soak {
            schema: SOAK_SCHEMA,
            scenario: "toy".to_owned(),
            proxy: party("toy proxy"),
            backend: party("toy backend"),
            delay_ns: 5_000_000,
            pools: 16,
            pool: "each of 16 pools uses the last connection first".to_owned(),
            arrivals: "20 a second to each pool, independently of each other (Poisson)".to_owned(),
            seed: 1,
            elapsed_ns: 10_018_000_000,
            interrupted: true,
            complete: false,
            missing: vec!["edge.pcapng lacks a packet of 60 bytes".to_owned()],
            packets: 15_652,
            requests: 3_190,
            answers: [("200".to_owned(), 3_103), ("502".to_owned(), 82)].into(),
            causes: vec![
                SoakCause { cause: Cause::CrossedFin, share: share(80) },
                SoakCause { cause: Cause::UnreadRequest, share: share(2) },
            ],
            lost: share(82),
            measured: SoakMeasured {
                timer_ns: Some(101_000_000),
                timer_spread_ns: Some(819_000),
                timers: 875,
                delay_ns: Some(5_300_000),
                delay_spread_ns: Some(937_000),
                response_ns: None,
                rate_per_s: 19.9,
            },
            quiet: true,
            predictions: vec![
                prediction("settings", 0.0265, 0.3),
                prediction("formula", 0.0371, 7.6),
                prediction("packets", 0.0248, 0.3),
            ],
            notes: vec!["The formula is a guess.".to_owned()],
        }
    }

    #[test]
    fn a_soak_reads_well_at_either_width() {
        for width in [72, 100] {
            let text = table(&soak(), TextOptions { width, color: false, unicode: true });
            assert!(text.lines().all(|line| columns(line) <= i32::from(width)), "{text}");
            insta::assert_snapshot!(format!("soak_{width}"), text);
        }
        let healthy = Soak { causes: Vec::new(), lost: SoakShare { count: 0, ..soak().lost }, ..soak() };
        assert!(table(&healthy, TextOptions::default()).contains("No request was lost."));
    }

    #[test]
    fn programs_get_a_line_for_each_cause_and_prediction() {
        let lines = csv(&soak());
        assert_eq!(lines.lines().count(), 1 + 2 + 1 + 3);
        assert!(lines.contains("odds by formula,,0.0371,"), "{lines}");
        assert!(json(&soak()).contains("\"cause\": \"crossed-fin\",\n      \"count\": 80"));
    }
}
