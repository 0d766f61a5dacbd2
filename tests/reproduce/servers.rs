//! Real proxies and servers: what the articles describe, with the programs they speak of.

use serde_json::Value;

use crate::common::finrace::{finrace, output, text};
use crate::run::{Run, builtin};
use crate::tshark::RST;
use crate::verdicts::{from_both_sides, server_sent};

/// The one log of a program that the run shows: its name and lines.
fn said(run: &Run) -> (String, Vec<String>) {
    let [log] = &run.report["run"]["product_logs"].as_array().expect("a list")[..] else {
        panic!("{}", run.report["run"]["product_logs"])
    };
    let lines = log["lines"].as_array().expect("a list").iter();
    let lines = lines.map(|line| line.as_str().expect("a line").to_owned()).collect();
    (log["name"].as_str().expect("a name").to_owned(), lines)
}

/// The one attempt of a run, whose captures are complete.
fn attempt(run: &Run) -> &Value {
    assert_eq!(run.report["run"]["complete"], true, "{}", run.report["run"]["missing"]);
    let [attempt] = &run.report["run"]["attempts"].as_array().expect("a list")[..] else {
        panic!("{}", run.report["run"]["attempts"])
    };
    attempt
}

/// A scenario behind the imitated load balancer loses its first request, and says so in the balancer's words.
fn loses_the_first_request_behind_an_alb(scenario: &str) {
    let run = Run::on_wire(&[scenario]);
    assert_eq!(attempt(&run)["outcome"], "502 Bad Gateway");
    assert_eq!(attempt(&run)["closed_first"], "server");
    assert_eq!(attempt(&run)["reused"], true);
    from_both_sides(&run, "crossed-fin");
    let backend = &run.report["run"]["backend"];
    assert!(backend["version"].as_str().is_some_and(|version| version.contains('.')), "{backend}");
    let (name, lines) = said(&run);
    assert_eq!((name.as_str(), lines.len()), ("aws-alb", 1), "{lines:?}");
    assert!(lines[0].starts_with("http ") && lines[0].contains(" -1 502 - "), "{}", lines[0]);
}

#[test]
fn express_with_its_defaults_loses_the_first_request_behind_an_alb() {
    loses_the_first_request_behind_an_alb("alb-express");
}

#[test]
fn gunicorn_with_its_defaults_loses_the_first_request_behind_an_alb() {
    loses_the_first_request_behind_an_alb("alb-gunicorn");
}

#[test]
fn uwsgi_with_its_defaults_loses_the_first_request_behind_an_alb() {
    loses_the_first_request_behind_an_alb("alb-uwsgi");
}

#[test]
fn uwsgis_router_loses_the_first_request_when_its_own_timeout_is_the_shorter_one() {
    let run = Run::new(&["--proxy", "aws-alb", "--backend", "uwsgi-http", "--backend-idle", "1s"], 1);
    assert_eq!(attempt(&run)["status"], 502);
    from_both_sides(&run, "crossed-fin");
}

#[test]
fn the_fin_waits_until_the_request_has_passed() {
    let run = Run::on_wire(&["alb-gunicorn"]);
    let events: Vec<Value> = text(&run.file("events.jsonl"))
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event a line"))
        .collect();
    // The wire's lines come a moment late: the one clock of all decides.
    let moment = |what: &str, matches: &dyn Fn(&Value) -> bool| {
        let event = events.iter().find(|event| event["event"] == what && matches(event));
        event.and_then(|event| event["time_ns"].as_i64()).unwrap_or_else(|| panic!("no {what} in {events:?}"))
    };
    let of_backend = |event: &Value| event["from"] == "backend" && event["packet"] == "fin";
    let order = [
        moment("answered", &|event| event["request"] == "warm-up"),
        moment("held", &of_backend),
        moment("sent", &|event| event["request"] == "second"),
        moment("reuse", &|_| true),
        moment("released", &of_backend),
        moment("answered", &|event| event["request"] == "second"),
    ];
    assert!(order.is_sorted(), "{order:?} in {events:?}");
}

#[test]
fn one_real_server_serves_many_pools_side_by_side() {
    let run = Run::on_wire(&["alb-gunicorn", "--repeat", "8"]);
    assert_eq!(run.report["run"]["side_by_side"], 8);
    assert_eq!(run.attempts(|attempt| attempt["cause"] == "crossed-fin"), (8, 8));
    let clients: std::collections::BTreeSet<String> = run.report["incidents"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|incident| incident["client"].to_string())
        .collect();
    assert_eq!(clients.len(), 8, "each on a connection of its own");
    assert!(
        run.report["incidents"].as_array().expect("a list").iter().all(|i| i["server"] == "192.0.2.2:8000")
    );
}

#[test]
fn a_load_balancer_that_gives_up_first_loses_nothing() {
    let run = Run::new(&["--proxy", "aws-alb", "--proxy-idle", "1s", "--backend", "gunicorn"], 0);
    assert_eq!((&attempt(&run)["status"], &attempt(&run)["closed_first"]), (&200.into(), &"client".into()));
    assert_eq!(run.report["summary"]["incidents"], 0);
}

#[test]
fn apache_acknowledges_the_request_and_never_resets() {
    let run = Run::on_wire(&["nginx-apache", "--backend-idle", "1s"]);
    for side in from_both_sides(&run, "discarded-request") {
        assert_eq!(server_sent(RST, &side), 0);
    }
    let (name, lines) = said(&run);
    assert!(name == "nginx" && lines[0].contains("upstream prematurely closed connection"), "{lines:?}");
}

#[test]
fn haproxy_ends_the_clients_own_connection_and_logs_nothing() {
    let run = Run::new(&["--proxy", "haproxy", "--backend", "gunicorn", "--same-client"], 1);
    assert_eq!(attempt(&run)["outcome"], "connection closed without an answer");
    assert_eq!(attempt(&run)["cause"], "crossed-fin");
    assert_eq!(said(&run), ("HAProxy".to_owned(), Vec::new()));
}

#[test]
fn haproxy_answers_502_to_a_clients_first_request_and_logs_sh() {
    let run = Run::new(&["--proxy", "haproxy", "--backend", "gunicorn"], 1);
    assert_eq!(attempt(&run)["status"], 502);
    let (_, lines) = said(&run);
    assert!(lines.len() == 1 && lines[0].contains(" SH-- "), "{lines:?}");
}

#[test]
fn haproxy_as_it_comes_sends_no_clients_first_request_over_an_idle_connection() {
    let run = Run::new(&["--proxy", "haproxy-safe", "--backend", "gunicorn"], 0);
    assert_eq!((&attempt(&run)["status"], &attempt(&run)["reused"]), (&200.into(), &false.into()));
}

#[test]
fn a_server_that_keeps_nothing_alive_has_nothing_to_lose() {
    let run = Run::new(&["--proxy", "nginx", "--backend", "gunicorn-sync"], 0);
    assert_eq!((&attempt(&run)["status"], &attempt(&run)["reused"]), (&200.into(), &false.into()));
}

#[test]
fn nginx_repeats_a_get_and_not_a_post() {
    let pair = ["--proxy", "nginx", "--backend", "uvicorn", "--backend-idle", "1s", "--method"];
    let get = Run::new(&[&pair[..], &["GET"]].concat(), 1);
    assert_eq!((&attempt(&get)["status"], &attempt(&get)["retried"]), (&200.into(), &true.into()));
    let post = Run::new(&[&pair[..], &["POST"]].concat(), 1);
    assert_eq!((&attempt(&post)["status"], &attempt(&post)["retried"]), (&502.into(), &false.into()));
    for run in [get, post] {
        assert_eq!(attempt(&run)["cause"], "crossed-fin");
    }
}

#[test]
fn the_truth_table_is_written_from_runs() {
    let folder = tempfile::tempdir().unwrap();
    let words =
        ["truth-table", "--proxy", "aws-alb,nginx", "--backend", "gunicorn-sync,apache", "--out", "t.md"];
    let printed = output(finrace(words).current_dir(folder.path()));
    assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
    let table = std::fs::read_to_string(folder.path().join("t.md")).unwrap();
    for row in [
        "| apache | discarded-request | **502** | **502** |",
        "| apache | discarded-request | **502** | 200, sent twice |",
        "| gunicorn-sync | none | 200, not reused | 200, not reused |",
    ] {
        assert!(table.lines().any(|line| line == row), "{row} in {table}");
    }
}

#[test]
fn an_unknown_proxy_or_server_is_answered_with_those_there_are() {
    for (option, known) in [("--proxy", "nginx, haproxy"), ("--backend", "express, gunicorn")] {
        let refused = output(&mut finrace(["reproduce", option, "apach"]));
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("called `apach`") && said.contains(known), "{said}");
    }
}

#[test]
fn the_file_of_a_program_can_be_printed() {
    assert!(builtin("haproxy").contains("http-reuse always"));
    assert!(builtin("gunicorn").contains("gthread"));
    assert!(builtin("nginx").contains("proxy_pass"));
    assert!(!builtin("backends/nginx").contains("proxy_pass"));
}

/// The articles' cures and what they are worth, with the timers that they speak of: a minute each.
mod a_minute_each {
    use super::*;

    /// Sixty-four connections, idle from 1 s to 64 s, on both sides of the balancer's timer.
    fn loses_nothing_over_the_whole_range(scenario: &str) {
        let run = Run::on_wire(&[scenario]);
        assert_eq!(run.attempts(|attempt| attempt["status"] == 200 && attempt["cause"].is_null()), (64, 64));
        assert_eq!(run.report["summary"]["incidents"], 0);
        // One of them waits exactly as long as the balancer does: that one may come out either way.
        let waited_longer = |attempt: &Value| attempt["idle_ns"].as_i64() > Some(60_500_000_000);
        let closed_by_balancer =
            |attempt: &Value| attempt["closed_first"] == "client" && attempt["reused"] == false;
        let (longer, _) = run.attempts(waited_longer);
        assert_eq!(longer, 4);
        assert_eq!(run.attempts(|attempt| waited_longer(attempt) && closed_by_balancer(attempt)), (4, 64));
        assert_eq!(
            run.attempts(|attempt| attempt["reused"] == true).0,
            64 - run.attempts(closed_by_balancer).0
        );
    }

    #[test]
    #[ignore = "takes a minute: make test-long"]
    fn express_with_65_seconds_loses_nothing_behind_an_alb() {
        loses_nothing_over_the_whole_range("alb-express-fixed");
    }

    #[test]
    #[ignore = "takes a minute: make test-long"]
    fn gunicorn_with_65_seconds_loses_nothing_behind_an_alb() {
        loses_nothing_over_the_whole_range("alb-gunicorn-fixed");
    }

    #[test]
    #[ignore = "takes a minute: make test-long"]
    fn uwsgi_with_the_timer_that_counts_loses_nothing_behind_an_alb() {
        loses_nothing_over_the_whole_range("alb-uwsgi-fixed");
    }

    #[test]
    #[ignore = "takes a minute: make test-long"]
    fn uwsgi_with_the_articles_harakiri_still_loses_requests_behind_an_alb() {
        let run = Run::on_wire(&["alb-uwsgi-article"]);
        assert_eq!(run.attempts(|attempt| attempt["status"] == 502), (16, 16));
        assert_eq!(run.attempts(|attempt| attempt["closed_first"] == "server"), (16, 16));
        assert_eq!(run.report["summary"]["by_cause"], serde_json::json!({"crossed-fin": 16}));
    }
}
