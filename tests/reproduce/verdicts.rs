//! Each scenario gives its cause, either capture alone proves it, and tshark agrees.

use serde_json::Value;

use crate::common::finrace::{FINRACE, analyzed, finrace, output, text};
use crate::run::{Run, builtin};
use crate::tshark::{self, FIN, Frame, RST, dissect};

/// Both captures of a run with one incident, each judged alone: the incident and the frames.
pub fn from_both_sides(run: &Run, cause: &str) -> [(Value, Vec<Frame>); 2] {
    assert_eq!(run.report["incidents"].as_array().map(Vec::len), Some(1));
    ["edge.pcapng", "origin.pcapng"].map(|name| {
        let capture = run.path(name);
        let report = analyzed(&capture, 1);
        let [incident] = &report["incidents"].as_array().expect("a list")[..] else {
            panic!("{name}: {}", report["incidents"])
        };
        assert_eq!(incident["cause"], cause, "{name}");
        assert_eq!(incident["confidence"], "certain", "{name}");
        for same in ["client", "server", "stream", "request", "retry_safe", "ack_covers_fin", "retried"] {
            assert_eq!(incident[same], run.report["incidents"][0][same], "{same} in {name}");
        }
        let frames = dissect(&capture);
        assert_eq!(report["summary"]["packets"], frames.len(), "{name}");
        tshark::confirm(incident, &frames);
        (incident.clone(), frames)
    })
}

/// How often the server sent a segment with one of these flags on the connection of the incident.
pub fn server_sent(flags: u16, (incident, frames): &(Value, Vec<Frame>)) -> usize {
    tshark::sent_with(frames, incident["stream"].as_u64().expect("a stream"), &incident["server"], flags)
}

fn roles((incident, _): &(Value, Vec<Frame>)) -> Vec<&str> {
    incident["frames"].as_object().expect("frames by role").keys().map(String::as_str).collect()
}

fn has_roles(side: &(Value, Vec<Frame>), wanted: &[&str]) {
    let found = roles(side);
    assert!(wanted.iter().all(|role| found.contains(role)), "{found:?}");
}

#[test]
fn crossed_fin_is_a_fin_a_request_that_has_not_seen_it_and_a_reset() {
    let run = Run::on_wire(&[]);
    assert_eq!(run.report["run"]["scenario"], "crossed-fin", "the default");
    assert_eq!(run.attempts(|attempt| attempt["status"] == 502), (1, 1));
    for side in from_both_sides(&run, "crossed-fin") {
        has_roles(&side, &["previous_response", "request", "fin", "reset"]);
        assert_eq!(side.0["ack_covers_fin"], false);
        assert_eq!(side.0["race"], true);
    }
}

#[test]
fn unread_request_is_reset_without_any_fin_of_the_server() {
    let run = Run::on_wire(&["unread-request"]);
    for side in from_both_sides(&run, "unread-request") {
        has_roles(&side, &["request", "reset"]);
        assert_eq!(server_sent(FIN, &side), 0);
    }
}

#[test]
fn discarded_request_is_acknowledged_and_never_reset() {
    let run = Run::on_wire(&["discarded-request"]);
    for side in from_both_sides(&run, "discarded-request") {
        has_roles(&side, &["fin", "request", "request_ack"]);
        assert_eq!(server_sent(RST, &side), 0);
    }
}

#[test]
fn a_request_still_on_its_way_when_the_user_has_the_answer_meets_the_backend() {
    // The FIN has waited for longer than its delay, so it arrives at once when the request has set out.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("later.toml");
    let later = builtin("discarded-request").replace("[traffic]", "[traffic]\nsend_after = \"20ms\"");
    std::fs::write(&file, later).unwrap();
    let run = Run::on_wire(&[file.to_str().unwrap()]);
    from_both_sides(&run, "discarded-request");
}

#[test]
fn stale_reuse_sends_a_request_after_having_acknowledged_the_fin() {
    let run = Run::on_wire(&["stale-reuse"]);
    for side in from_both_sides(&run, "stale-reuse") {
        has_roles(&side, &["fin", "fin_ack", "request", "reset"]);
        let frame = |role: &str| side.0["frames"][role].as_u64();
        assert!(
            frame("fin") < frame("fin_ack") && frame("fin_ack") < frame("request"),
            "{}",
            side.0["frames"]
        );
        assert_eq!(side.0["race"], false, "50 ms are time enough to look");
    }
}

#[test]
fn a_retried_request_is_lost_and_the_user_sees_no_error() {
    let run = Run::on_wire(&["retried"]);
    assert_eq!(run.attempts(|attempt| attempt["status"] == 200 && attempt["retried"] == true), (1, 1));
    for side in from_both_sides(&run, "crossed-fin") {
        assert_eq!(side.0["retried"], true);
    }
}

#[test]
fn two_hundred_attempts_lose_two_hundred_requests_to_crossed_fin() {
    let run = Run::on_wire(&["crossed-fin", "--repeat", "200"]);
    assert_eq!(run.report["summary"]["by_cause"], serde_json::json!({"crossed-fin": 200}));
    let lost = |attempt: &Value| attempt["status"] == 502 && attempt["cause"] == "crossed-fin";
    assert_eq!(run.attempts(lost), (200, 200));
    for capture in ["edge.pcapng", "origin.pcapng"] {
        let report = analyzed(&run.path(capture), 1);
        assert_eq!(report["summary"]["by_cause"], serde_json::json!({"crossed-fin": 200}), "{capture}");
    }
}

#[test]
fn two_hundred_attempts_lose_nothing_when_the_proxy_closes_first() {
    let run = Run::on_wire(&["fixed", "--repeat", "200"]);
    assert_eq!(run.report["summary"]["incidents"], 0);
    assert_eq!(run.attempts(|attempt| attempt["status"] == 200 && attempt["cause"].is_null()), (200, 200));
    for capture in ["edge.pcapng", "origin.pcapng"] {
        let report = analyzed(&run.path(capture), 0);
        assert_eq!(report["summary"]["conclusive"], true, "{capture}");
    }
}

#[test]
fn many_attempts_that_leave_idle_connections_behind_hold_too() {
    let run = Run::on_wire(&["retried", "--repeat", "100"]);
    assert_eq!(run.attempts(|attempt| attempt["retried"] == true), (100, 100));
}

#[test]
fn the_path_over_ipv6_loses_the_same_request() {
    let run = Run::on_wire(&["--family", "ipv6"]);
    for side in from_both_sides(&run, "crossed-fin") {
        assert!(side.0["client"].as_str().is_some_and(|client| client.starts_with("[2001:db8::1]:")));
    }
}

#[test]
fn real_nginx_and_express_with_their_default_timers_give_a_502() {
    let run = Run::on_wire(&["nginx-express"]);
    assert_eq!(run.attempts(|attempt| attempt["status"] == 502), (1, 1));
    assert_eq!(run.attempts(|attempt| attempt["closed_first"] == "server"), (1, 1));
    from_both_sides(&run, "crossed-fin");
    let [log] = &run.report["run"]["product_logs"].as_array().expect("a list")[..] else {
        panic!("{}", run.report["run"]["product_logs"])
    };
    assert_eq!(log["name"], "nginx");
    let line = log["lines"][0].as_str().expect("nginx's own line");
    assert!(line.contains("while reading response header from upstream"), "{line}");
    let kept = text(&run.file(log["file"].as_str().expect("a file of the run")));
    assert!(kept.contains(line), "the line is nginx's own: {kept}");
}

#[test]
fn real_nginx_that_closes_before_express_loses_nothing() {
    let run = Run::on_wire(&["nginx-express", "--backend-idle", "65s", "--proxy-idle", "2s"]);
    assert_eq!(run.attempts(|attempt| attempt["closed_first"] == "client"), (1, 1));
    assert_eq!(run.attempts(|attempt| attempt["status"] == 200), (1, 1));
    assert_eq!(run.report["summary"]["incidents"], 0);
}

#[test]
fn an_expectation_that_does_not_hold_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hopeful.toml");
    std::fs::write(&file, builtin("crossed-fin").replace("status = 502", "status = 200")).unwrap();
    let run = Run::new(&[file.to_str().unwrap()], 1);
    assert_eq!(run.report["run"]["expectation"]["held"], false);
    assert_eq!(run.report["run"]["complete"], true, "the run itself was good");
    assert_eq!(run.attempts(|attempt| attempt["status"] == 502), (1, 1));
}

#[test]
fn the_page_for_people_names_the_cause_and_files_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let printed = output(finrace(["reproduce", "--out", "my-run"]).current_dir(folder.path()));
    assert_eq!(printed.status.code(), Some(0), "{FINRACE}: {}", text(&printed.stderr));
    assert_eq!(text(&printed.stderr), "");
    let page = text(&printed.stdout);
    assert!(page.contains("502 Bad Gateway") && page.contains("crossed-fin"), "{page}");
    let (_, files) = page.split_once("Files in").expect("the list of files");
    let mut lines = files.lines();
    assert_eq!(lines.next().map(str::trim), Some("my-run"));
    let names: Vec<_> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"edge.pcapng") && names.contains(&"ladder.png"), "{names:?}");
    for name in names {
        assert!(folder.path().join("my-run").join(name).is_file(), "{name}");
    }
}
