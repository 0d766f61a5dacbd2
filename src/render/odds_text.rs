//! The answer of `finrace odds`: what the race costs a day, and what each change would make of it.

use super::columns::{Cell, Columns, Edge};
use super::page::Page;
use super::style::{TextOptions, Tone};
use super::units::{count, duration, setting};
use super::{csv, markdown};
use crate::report::{Odds, OddsChange, OddsTimer};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// For people.
pub fn table(odds: &Odds, options: TextOptions) -> String {
    let mut page = Page::new(options);
    page.paragraph(&headline(odds), Tone::Ink, true, 0);
    page.blank();
    page.explained("Proxy", &format!("{}.", timer(&odds.proxy, "gives an idle connection up")));
    page.explained("Server", &format!("{}.", timer(&odds.server, "closes an idle connection")));
    page.explained("Path", &path(odds));
    page.explained("Pool", &format!("{}.", odds.pool));
    page.explained("Requests", &format!("{}.", odds.arrivals));
    page.blank();
    changes(&mut page, odds);
    page.blank();
    page.explained("How sure", &sureness(odds));
    for note in &odds.notes {
        page.explained("", note);
    }
    page.text
}

fn headline(odds: &Odds) -> String {
    let Some(now) = odds.changes.first() else { return String::new() };
    match now.one_in {
        None if now.error_per_day > 0.0 => format!(
            "Fewer than {} of {} requests a day fail.",
            amount(now.error_per_day),
            amount(odds.rate_per_s * DAY)
        ),
        None => "No request can be lost to the idle timers.".to_owned(),
        Some(one_in) => format!(
            "About {} of {} requests a day fail, one in {}.",
            amount(now.failing_per_day),
            amount(odds.rate_per_s * DAY),
            amount(one_in)
        ),
    }
}

/// `nginx gives an idle connection up after 60 s ± 10 ms (default)`.
fn timer(timer: &OddsTimer, does: &str) -> String {
    let OddsTimer { name, idle_ns, spread_ns, known_from } = timer;
    let spread = if *spread_ns > 0 { format!(" ± {}", duration(*spread_ns)) } else { String::new() };
    let told = match idle_ns {
        None => format!("never {does} for being idle"),
        Some(idle_ns) => format!("{does} after {}{spread}", length(*idle_ns)),
    };
    if name.is_empty() { told } else { format!("{name} {told}: {known_from}") }
}

/// A time that was set, or one that was measured.
pub fn length(ns: i64) -> String {
    const TENTH: i64 = 100_000_000;
    match ns {
        _ if ns % (10 * TENTH) == 0 => setting(ns),
        _ if ns > 10 * TENTH && ns % TENTH == 0 => format!("{}.{} s", ns / TENTH / 10, ns / TENTH % 10),
        _ if ns % 1_000_000 == 0 => setting(ns),
        _ => duration(ns),
    }
}

fn path(odds: &Odds) -> String {
    let spread = if odds.delay_spread_ns > 0 {
        format!(" ± {}", duration(odds.delay_spread_ns))
    } else {
        String::new()
    };
    let way =
        format!("{}{spread} one way, {} for an answer", duration(odds.delay_ns), duration(odds.response_ns));
    match odds.server.idle_ns {
        Some(close_ns) if odds.changes.first().is_some_and(|now| now.one_in.is_some()) => format!(
            "{way}: a request is lost that leaves in the last {} before the server's FIN arrives, {} after an answer.",
            duration(2 * odds.delay_ns),
            length(close_ns)
        ),
        _ => format!("{way}."),
    }
}

fn changes(page: &mut Page, odds: &Odds) {
    let headings = vec![
        ("", Edge::Left),
        ("fail a day", Edge::Right),
        ("one in", Edge::Right),
        ("formula", Edge::Right),
        ("simulation", Edge::Right),
    ];
    let rows = odds.changes.iter().enumerate().map(|(index, change)| {
        let what = Cell::plain(&change.what);
        let failing = Cell::plain(failing(change)).strong();
        vec![
            if index == 0 { what.strong() } else { what },
            failing,
            Cell::plain(one_in(change)),
            Cell::toned(formula(change), Tone::Muted),
            Cell::toned(simulation(change), Tone::Muted),
        ]
    });
    page.text += &Columns { headings, rows: rows.collect(), indent: 0 }.text(page.options);
}

fn failing(change: &OddsChange) -> String {
    if change.failing_per_day == 0.0 && change.error_per_day > 0.0 {
        return format!("< {}", brief(change.error_per_day));
    }
    let up_to = if change.at_most && change.failing_per_day > 0.0 { "≤ " } else { "" };
    format!("{up_to}{}", brief(change.failing_per_day))
}

fn one_in(change: &OddsChange) -> String {
    let from = if change.at_most { "≥ " } else { "" };
    change.one_in.map_or("–".to_owned(), |one_in| format!("{from}{}", brief(one_in)))
}

/// In brackets where it is not believed.
fn formula(change: &OddsChange) -> String {
    match change.formula_per_day {
        None => "–".to_owned(),
        Some(per_day) if is_guess(change) => format!("({})", brief(per_day)),
        Some(per_day) => brief(per_day),
    }
}

/// There is a formula, and the simulation was believed.
fn is_guess(change: &OddsChange) -> bool {
    change.formula_per_day.is_some() && change.method == "simulation"
}

fn simulation(change: &OddsChange) -> String {
    match (change.simulation_per_day, change.simulation_error_per_day) {
        (Some(0.0), Some(error)) => format!("< {}", brief(error)),
        (Some(per_day), Some(error)) => format!("{} ± {}", brief(per_day), brief(error)),
        _ => "–".to_owned(),
    }
}

fn sureness(odds: &Odds) -> String {
    let simulated = odds.changes.iter().any(|change| change.simulation_per_day.is_some());
    if !simulated {
        return "Nothing had to be computed: the proxy gives every connection up before the server closes it."
            .to_owned();
    }
    let simulation =
        format!("The simulation ({} requests a line, seed {})", count(odds.requests_simulated), odds.seed);
    let half = "± is half of its 95 % interval";
    let guess = odds.changes.iter().find(|change| is_guess(change));
    let told = match guess.or_else(|| odds.changes.iter().find(|change| change.formula_per_day.is_none())) {
        None => String::new(),
        Some(change) => change.formula_note.clone().unwrap_or_default(),
    };
    let agree = odds.changes.iter().any(|change| change.agree == Some(true));
    match (agree, guess) {
        (false, None) => format!("{simulation} gave every number; {half}. {told}"),
        (true, None) => format!(
            "{simulation} and the formula agree within three standard errors wherever there are both, and then the formula's \
             number is told; {half}."
        ),
        (true, Some(_)) => format!(
            "{simulation} and the formula agree within three standard errors, and then the formula's number is told, but not \
             where it is in brackets: {told}; there the simulation's is; {half}."
        ),
        (false, Some(_)) => format!(
            "{simulation} and the formula do not agree where it is in brackets: {told}; the simulation's number is told; {half}."
        ),
    }
}

/// A number to three digits, in groups: `0.012`, `12.3`, `351 000`, `4.2 million`.
pub fn amount(number: f64) -> String {
    const MILLION: f64 = 1e6;
    let size = number.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if size < 0.001 {
        "< 0.001".to_owned()
    } else if size < 999.5 {
        let decimals = (2 - size.log10().floor() as i32).clamp(0, 3) as usize;
        let text = format!("{number:.decimals$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else if size < MILLION {
        let unit = 10f64.powi(size.log10().floor() as i32 - 2);
        count(((size / unit).round() * unit) as u64)
    } else if size < 999.5 * MILLION {
        format!("{} million", amount(number / MILLION))
    } else {
        format!("{} thousand million", amount(number / (1e3 * MILLION)))
    }
}

/// As [`amount`], for a table: `4.2 M`.
fn brief(number: f64) -> String {
    amount(number).replace(" thousand million", " G").replace(" million", " M")
}

/// One document.
pub fn json(odds: &Odds) -> String {
    serde_json::to_string_pretty(odds).expect("odds are plain data with string keys") + "\n"
}

/// A heading row and one row for each change.
pub fn csv(odds: &Odds) -> String {
    let mut text =
        "change,what,failing_per_day,error_per_day,at_most,one_in,method,formula_per_day,simulation_per_day,\
                    simulation_error_per_day,agree\n"
            .to_owned();
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for change in &odds.changes {
        let cells = [
            csv::field(&change.change),
            csv::field(&change.what),
            change.failing_per_day.to_string(),
            change.error_per_day.to_string(),
            change.at_most.to_string(),
            number(change.one_in),
            csv::field(&change.method),
            number(change.formula_per_day),
            number(change.simulation_per_day),
            number(change.simulation_error_per_day),
            change.agree.map_or_else(String::new, |agree| agree.to_string()),
        ];
        text += &cells.join(",");
        text.push('\n');
    }
    text
}

/// A table, to be pasted.
pub fn markdown(odds: &Odds) -> String {
    let mut text =
        "| change | fail a day | one in | formula | simulation |\n|---|---:|---:|---:|---:|\n".to_owned();
    for change in &odds.changes {
        let cells = [
            markdown::escape(&change.what),
            failing(change),
            one_in(change),
            formula(change),
            simulation(change),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::wrap::columns;
    use crate::report::ODDS_SCHEMA;

    fn change(what: &str, failing: f64, formula: Option<f64>, simulation: Option<(f64, f64)>) -> OddsChange {
        OddsChange {
            change: "as-is".to_owned(),
            what: what.to_owned(),
            failing_per_day: failing,
            error_per_day: 0.0,
            one_in: (failing > 0.0).then(|| 4_320_000.0 / failing),
            at_most: false,
            method: "formula".to_owned(),
            formula_per_day: formula,
            simulation_per_day: simulation.map(|(per_day, _)| per_day),
            simulation_error_per_day: simulation.map(|(_, error)| error),
            agree: formula.and(simulation).map(|_| true),
            formula_note: None,
        }
    }

    fn odds() -> Odds {
        Odds {
            schema: ODDS_SCHEMA,
            rate_per_s: 50.0,
            arrivals: "50 a second, 4.32 million a day, independently of each other (Poisson)".to_owned(),
            proxy: OddsTimer {
                name: String::new(),
                idle_ns: Some(60_000_000_000),
                spread_ns: 0,
                known_from: "as given".to_owned(),
            },
            server: OddsTimer {
                name: "Express\u{1b}[31m".to_owned(),
                idle_ns: Some(5_500_000_000),
                spread_ns: 289_000_000,
                known_from: "default (server.keepAliveTimeout)".to_owned(),
            },
            delay_ns: 500_000,
            delay_spread_ns: 20_000,
            response_ns: 20_000_000,
            pool:
                "opens a connection when none is idle, 5.66 on average; the one used last first; looks for a \
                   FIN before it sends"
                    .to_owned(),
            connections: Some(5.66),
            changes: vec![
                change("as it is", 2.345, Some(2.345), Some((2.64, 2.19))),
                change("server's timer 63 s", 0.0, Some(0.0), None),
                OddsChange {
                    at_most: true,
                    ..change("send again", 1_234_567.0, Some(1_234_567.0), Some((1_200_000.0, 51_234.0)))
                },
                OddsChange {
                    error_per_day: 64.8,
                    ..change("keep 1 idle at most", 0.0, None, Some((0.0, 64.8)))
                },
            ],
            requests_simulated: 999_990,
            seed: 1,
            notes: vec!["A note.".to_owned()],
        }
    }

    #[test]
    fn the_odds_read_well_at_either_width() {
        for width in [72, 100] {
            let text = table(&odds(), TextOptions { width, color: false, unicode: true });
            assert!(!text.contains('\u{1b}'), "{text}");
            assert!(text.lines().all(|line| columns(line) <= i32::from(width)), "{text}");
            insta::assert_snapshot!(format!("odds_{width}"), text);
        }
    }

    #[test]
    fn programs_get_every_number() {
        let document: serde_json::Value = serde_json::from_str(&json(&odds())).unwrap();
        assert_eq!(document["changes"][2]["at_most"], true);
        assert_eq!(csv(&odds()).lines().count(), 5);
        assert_eq!(markdown(&odds()).lines().count(), 6);
    }

    #[test]
    fn amounts_have_three_digits() {
        let amounts: Vec<String> = [
            0.0,
            0.000_4,
            0.012_34,
            0.9996,
            1.0,
            2.345,
            12.34,
            999.4,
            999.6,
            12_345.0,
            999_999.0,
            1_234_567.0,
            4.32e9,
        ]
        .map(amount)
        .into();
        insta::assert_snapshot!(
            amounts.join("\n"),
            @r#"
        0
        < 0.001
        0.012
        1
        1
        2.35
        12.3
        999
        1 000
        12 300
        1 000 000
        1.23 million
        4.32 thousand million
        "#
        );
    }
}
