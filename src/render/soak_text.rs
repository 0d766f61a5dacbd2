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
    let headings =
        vec![("", Edge::Left), ("lost", Edge::Right), ("± 2 errors", Edge::Right), ("", Edge::Left)];
    let SoakShare { share, low, high, .. } = soak.lost;
    let mut rows = vec![vec![
        Cell::plain("measured").strong(),
        Cell::plain(percent(share)).strong(),
        Cell::toned(percent((high - low) / 2.0), Tone::Muted),
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
            Cell::plain(agreement(prediction)),
        ]
    }));
    page.text += &Columns { headings, rows, indent: 0 }.text(page.options);
}

fn agreement(prediction: &SoakPrediction) -> String {
    let verdict = if prediction.agree { "agrees" } else { "DIFFERS" };
    format!("{verdict}: {:.1} standard errors apart", prediction.apart)
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
