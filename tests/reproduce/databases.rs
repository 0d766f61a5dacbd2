//! Real databases with an idle timeout of a second: the command that is lost is named, the goodbye is not.

use crate::common::finrace::analyzed;
use crate::run::Run;
use crate::tshark::{FIN, RST, dissect, sent_with};
use crate::verdicts::{from_both_sides, server_sent};

/// A command that crosses the close: either capture alone names it.
fn loses_a_command(scenario: &str, cause: &str) {
    let run = Run::on_wire(&[scenario]);
    let attempt = &run.report["run"]["attempts"][0];
    assert_eq!((&attempt["status"], &attempt["closed_first"]), (&502.into(), &"server".into()), "{attempt}");
    assert_eq!(attempt["reused"], true);
    for side in from_both_sides(&run, cause) {
        assert_eq!(side.0["request"]["protocol"], "data");
        assert!(server_sent(RST, &side) > 0, "the command was refused");
        let idle_ns = side.0["idle_ns"].as_i64().expect("an idle time");
        // The timer runs from the moment the answer is sent: a delay longer than the idle time at the other end.
        assert!(idle_ns >= 900_000_000, "{idle_ns} ns, and the timer is one second");
    }
    let backend = &run.report["run"]["backend"];
    assert!(backend["version"].as_str().is_some_and(|version| version.contains('.')), "{backend}");
}

/// A goodbye that crosses the close and is refused just the same: neither capture calls it a loss.
fn gives_up_a_connection(scenario: &str) {
    let run = Run::on_wire(&[scenario]);
    let attempt = &run.report["run"]["attempts"][0];
    assert_eq!((&attempt["status"], &attempt["closed_first"]), (&200.into(), &"server".into()), "{attempt}");
    assert_eq!(attempt["reused"], true, "the goodbye was sent on the connection that had been used");
    for name in ["edge.pcapng", "origin.pcapng"] {
        let report = analyzed(&run.path(name), 0);
        let connections = report["connections"].as_array().expect("a list");
        let ended: Vec<_> = connections.iter().filter(|one| one["ending"] == "goodbye").collect();
        let [connection] = &ended[..] else { panic!("{name}: {connections:?}") };
        let stream = connection["stream"].as_u64().expect("a stream");
        let frames = dissect(&run.path(name));
        let sent = |flags| sent_with(&frames, stream, &connection["server"], flags);
        assert!(sent(FIN | RST) > 1, "{name}: packets that look like the race");
    }
}

#[test]
fn mariadb_loses_a_command_that_crosses_its_rst() {
    loses_a_command("mysql", "reset-idle");
}

#[test]
fn mariadb_loses_nothing_with_a_quit() {
    gives_up_a_connection("mysql-goodbye");
}

#[test]
fn postgresql_loses_a_command_that_crosses_its_fin() {
    loses_a_command("postgresql", "crossed-fin");
}

#[test]
fn postgresql_loses_nothing_with_a_terminate() {
    gives_up_a_connection("postgresql-goodbye");
}

#[test]
fn redis_loses_a_command_that_crosses_its_fin() {
    loses_a_command("redis", "crossed-fin");
}

#[test]
fn redis_loses_nothing_with_a_quit() {
    gives_up_a_connection("redis-goodbye");
}
