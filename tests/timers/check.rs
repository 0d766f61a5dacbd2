//! `finrace check`: written-down pairs, right and wrong, and the exit code that CI sees.

use std::fs;

use crate::common::finrace::{finrace, json, output, text};

#[test]
fn ten_written_down_pairs_get_the_right_exit_code() {
    for (proxy, backend, code) in [
        ("aws-alb", "express", 1),
        ("aws-alb", "node:keepAliveTimeout=65000", 0),
        ("aws-alb", "gunicorn:keepalive=65", 0),
        // 65 where milliseconds are meant.
        ("aws-alb", "express:keepAliveTimeout=65", 1),
        // Equal timers.
        ("nginx", "tomcat-embedded", 1),
        ("60s", "60s", 1),
        // harakiri is no idle timer.
        ("aws-alb", "uwsgi:http-keepalive=1,harakiri=65", 1),
        ("haproxy", "go-http-server", 0),
        ("nginx:keepalive_timeout=4s", "uvicorn", 0),
        // The reversed rule: the backend gives up first.
        ("75s", "60s", 1),
        // Nobody knows.
        ("azure-front-door", "express", 3),
    ] {
        let printed = output(&mut finrace(["check", "--proxy", proxy, "--backend", backend]));
        let said = text(&printed.stdout);
        assert_eq!(printed.status.code(), Some(code), "{proxy} in front of {backend}:\n{said}");
    }
}

#[test]
fn one_wrong_hop_of_three_is_found() {
    let chain = ["check", "--proxy", "aws-alb", "--hop", "nginx", "--backend", "express", "--format", "json"];
    let check = json(&output(&mut finrace(chain)), 1);
    assert_eq!(check["verdict"], "unsafe");
    assert_eq!(check["pairs"][0]["verdict"], "safe");
    assert_eq!(check["pairs"][0]["margin_ns"], 15_000_000_000_i64);
    assert_eq!(check["pairs"][1]["verdict"], "unsafe");
    assert_eq!(check["pairs"][1]["closes_first"], "backend");
    let chain = ["check", "--proxy", "60s", "--hop", "75s/70s", "--hop", "80s", "--backend", "90s"];
    assert_eq!(output(&mut finrace(chain)).status.code(), Some(0));
}

#[test]
fn the_line_to_change_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("app.js"),
        "const server = app.listen(80);\nserver.keepAliveTimeout = 5 * 1000;\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("nginx.conf"),
        "http {\n upstream a { keepalive 8; keepalive_timeout 60s; }\n}\n",
    )
    .unwrap();
    let words = ["check", "--proxy", "nginx.conf", "--backend", "app.js"];
    let printed = output(finrace(words).current_dir(folder.path()));
    let said = text(&printed.stdout);
    assert_eq!(printed.status.code(), Some(1), "{said}");
    assert!(said.contains("app.js, line 2:") && said.contains("server.keepAliveTimeout = 65000;"), "{said}");
    assert!(said.contains("nginx.conf, line 2:") && said.contains("keepalive_timeout 4s;"), "{said}");
}

#[test]
fn a_margin_that_was_measured_can_be_asked_for() {
    let pair = ["check", "--proxy", "60s", "--backend", "62s"];
    assert_eq!(output(&mut finrace(pair)).status.code(), Some(0));
    assert_eq!(output(finrace(pair).args(["--margin", "3s"])).status.code(), Some(1));
}

#[test]
fn what_is_no_party_is_a_usage_error_that_says_what_to_write() {
    for (party, answer) in [
        ("60", "write the one you mean"),
        ("expres", "Did you mean express?"),
        ("./missing.conf", "there is no file ./missing.conf"),
        ("nginx:keep=1", "has no setting `keep`"),
        ("https://a@127.0.0.1/", "probe"),
    ] {
        let printed = output(&mut finrace(["check", "--proxy", "aws-alb", "--backend", party]));
        assert_eq!(printed.status.code(), Some(2), "{party}");
        assert!(text(&printed.stderr).contains(answer), "{party}: {}", text(&printed.stderr));
    }
}
