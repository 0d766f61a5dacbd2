//! Other places to run: the loopback device, and the account of an ordinary user.

use crate::common::finrace::{analyzed, finrace, json, output, text};
use crate::common::ordinary_user::OrdinaryUser;
use crate::run::Run;
use crate::tshark::{confirm, dissect};

/// Runs a scenario on loopback; the one capture alone must show what the run showed.
fn on_loopback(words: &[&str]) -> Run {
    let run = Run::new(&[&["--lab", "loopback"], words].concat(), 0);
    run.holds("loopback");
    let incidents = run.report["incidents"].as_array().expect("a list");
    let alone = analyzed(&run.path("loopback.pcapng"), i32::from(!incidents.is_empty()));
    assert_eq!(alone["incidents"].as_array().map(Vec::len), Some(incidents.len()));
    for (incident, again) in incidents.iter().zip(alone["incidents"].as_array().expect("a list")) {
        assert_eq!((&incident["cause"], &incident["stream"]), (&again["cause"], &again["stream"]));
        confirm(again, &dissect(&run.path("loopback.pcapng")));
    }
    run
}

#[test]
fn loopback_makes_an_unread_request_by_default() {
    let run = on_loopback(&[]);
    assert_eq!(run.report["run"]["scenario"], "unread-request");
    assert_eq!(run.report["summary"]["by_cause"], serde_json::json!({"unread-request": 1}));
}

#[test]
fn loopback_makes_a_stale_reuse() {
    let run = on_loopback(&["stale-reuse"]);
    assert_eq!(run.report["summary"]["by_cause"], serde_json::json!({"stale-reuse": 1}));
}

#[test]
fn loopback_shows_the_cure() {
    let run = on_loopback(&["fixed"]);
    assert_eq!(run.report["summary"]["incidents"], 0);
}

#[test]
fn loopback_says_why_nothing_can_cross_there() {
    for scenario in ["crossed-fin", "discarded-request", "retried", "nginx-express"] {
        let refused = output(&mut finrace(["reproduce", scenario, "--lab", "loopback"]));
        let said = text(&refused.stderr);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0), "{said}");
        assert!(said.starts_with(&format!("finrace: {scenario} cannot be made on loopback: ")), "{said}");
        assert!(said.contains("--lab wire") && said.lines().count() == 1, "{said}");
    }
}

/// Runs a scenario as an ordinary user: on the wire, with the same result.
fn as_ordinary_user(scenario: &str) {
    let user = OrdinaryUser::new();
    let printed = output(&mut user.finrace(["reproduce", scenario, "--out", "run", "--format", "json"]));
    let report = json(&printed, 0);
    assert_eq!(
        report["run"]["lab"],
        "wire",
        "`finrace doctor` says what it needs: {}",
        text(&printed.stderr)
    );
    assert_eq!(report["run"]["expectation"]["held"], true, "{}", report["run"]);
    assert_eq!(report["run"]["complete"], true, "{}", report["run"]);
    let capture = user.home().join("run/edge.pcapng");
    confirm(&report["incidents"][0], &dissect(&capture));
}

#[test]
fn an_ordinary_user_reproduces_the_race_too() {
    as_ordinary_user("crossed-fin");
}

#[test]
fn an_ordinary_user_reproduces_it_with_real_servers_too() {
    as_ordinary_user("nginx-express");
}

#[test]
fn an_ordinary_user_runs_apache_too() {
    as_ordinary_user("nginx-apache");
}
