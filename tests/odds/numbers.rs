//! `finrace odds`: the same seed gives the same bytes, and the exit code is one that CI can use.

use serde_json::Value;

use crate::common::finrace::{finrace, json, output, text};

/// A pair that loses much, quickly computed.
const PAIR: [&str; 15] = [
    "odds",
    "--rate",
    "20/s",
    "--proxy",
    "60s",
    "--backend",
    "100ms",
    "--delay",
    "5ms",
    "--response-time",
    "1ms",
    "--requests",
    "20000",
    "--seed",
    "4",
];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    PAIR.into_iter().chain(more.iter().copied()).collect()
}

fn line<'a>(odds: &'a Value, change: &str) -> &'a Value {
    let lines = odds["changes"].as_array().expect("changes");
    lines.iter().find(|line| line["change"] == change).unwrap_or_else(|| panic!("{change}: {odds}"))
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_every_format() {
    for format in ["table", "json", "csv", "markdown"] {
        let words = with(&["--format", format]);
        let [one, two] = [output(&mut finrace(&words)), output(&mut finrace(&words))];
        assert_eq!(one.status.code(), Some(1), "{}", text(&one.stderr));
        assert_eq!(text(&one.stdout), text(&two.stdout));
    }
}

#[test]
fn one_idle_connection_loses_what_a_calculator_says_and_the_timers_cure_it() {
    let odds = json(&output(&mut finrace(with(&["--format", "json", "--idempotent", "75%"]))), 1);
    let now = line(&odds, "as-is");
    let (formula, simulation, error) = (
        now["formula_per_day"].as_f64().unwrap(),
        now["simulation_per_day"].as_f64().unwrap(),
        now["simulation_error_per_day"].as_f64().unwrap(),
    );
    // Mostly one connection: exp(-20/s · 90 ms) - exp(-20/s · 100 ms) of 1 728 000 requests, less those that overlap.
    let alone = 1_728_000.0 * (f64::exp(-1.8) - f64::exp(-2.0));
    assert!((0.75..1.0).contains(&(formula / alone)), "{formula} {alone}");
    assert!((formula - simulation).abs() < 2.0 * error, "{now}");
    for cure in ["server-timer", "proxy-timer"] {
        assert_eq!(line(&odds, cure)["failing_per_day"], 0.0);
        assert_eq!(line(&odds, cure)["method"], "window");
    }
    let retried =
        line(&odds, "retry")["failing_per_day"].as_f64().unwrap() / now["failing_per_day"].as_f64().unwrap();
    assert!((0.2..0.3).contains(&retried), "{retried}");
}

#[test]
fn the_exit_code_says_whether_more_fail_than_may() {
    let code = |words: &[&str]| output(&mut finrace(words)).status.code();
    assert_eq!(code(&with(&[])), Some(1));
    assert_eq!(code(&with(&["--at-most", "1000000"])), Some(0));
    assert_eq!(code(&["odds", "--rate", "5/s", "--proxy", "4s", "--backend", "5s"]), Some(0));
    assert_eq!(
        code(&["odds", "--rate", "5/s", "--proxy", "azure-front-door", "--backend", "express"]),
        Some(3)
    );
    assert_eq!(
        code(&["odds", "--rate", "5", "--proxy", "4s", "--backend", "5s"]),
        Some(2),
        "a rate needs a unit"
    );
    assert_eq!(
        code(&["odds", "--rate", "5/s", "--proxy", "4", "--backend", "5s"]),
        Some(2),
        "and so does a time"
    );
}

#[test]
fn a_capture_gives_the_arrivals() {
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/captures/mismatched-pair/client.pcap");
    let words = [
        "odds",
        "--from",
        capture,
        "--proxy",
        "60s",
        "--backend",
        "5s",
        "--requests",
        "20000",
        "--format",
        "json",
    ];
    // None of so few is lost, which is no proof that none would be.
    let odds = json(&output(&mut finrace(words)), 3);
    // 20 requests: 19 gaps in the time between the first and the last of them.
    assert!((odds["rate_per_s"].as_f64().unwrap() - 19.0 / 18.5).abs() < 0.8, "{}", odds["rate_per_s"]);
    assert!(odds["arrivals"].as_str().unwrap().ends_with("as 20 requests of the capture did"), "{odds}");
    let notes = odds["notes"].to_string();
    assert!(notes.contains("used a connection again, after at most 4.42 s"), "{notes}");
    let none = ["odds", "--from", capture, "--server", "192.0.2.9:1", "--proxy", "60s", "--backend", "5s"];
    let refused = output(&mut finrace(none));
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("there are requests to 192.0.2.2:8080 (20)"),
        "{}",
        text(&refused.stderr)
    );
}
