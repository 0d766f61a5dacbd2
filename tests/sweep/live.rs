//! Against a server that runs already: politely, and within the limits that are stated before.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::finrace::{finrace, json, output, text};
use crate::counting::Server;

/// A sweep of a server; files go to a folder of its own.
fn sweep(server: &Server, words: &[&str]) -> (std::process::Command, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("http://{}/health", server.address);
    let mut command = finrace(["sweep", "--backend", &url, "--seed", "3", "--out"]);
    command.arg(folder.path()).args(words);
    (command, folder)
}

fn count(sweep: &Value, what: &str) -> usize {
    sweep["counts"][what].as_u64().unwrap_or_else(|| panic!("{what}: {}", sweep["counts"])) as usize
}

#[test]
fn it_keeps_within_the_limits_that_it_states_before() {
    let server = Server::start();
    let limits =
        ["--attempts", "60", "--connections", "5", "--rate", "60", "--max-time", "2min", "--format", "json"];
    let (mut command, _folder) = sweep(&server, &limits);
    let output = output(&mut command);
    let stated = text(&output.stderr);
    let limit = "at most 60 connections, 5 at one time and 60 new ones a second, for at most 2min";
    assert!(stated.contains(limit) && stated.contains("at most two GET requests"), "{stated}");

    // What it found on a busy machine may leave an edge open; what it did may not.
    let code = output.status.code().expect("an end of its own");
    assert!([0, 3].contains(&code), "{stated}");
    let found = json(&output, code);
    let seen = server.seen();
    assert_eq!(seen.connections, count(&found, "connections"), "{seen:?}");
    assert!(seen.connections <= 60 && seen.most_open <= 5, "{seen:?}");
    assert!(seen.most_requests_on_one <= 2 && !seen.more_than_one_in_flight, "{seen:?}");
    assert_eq!(seen.methods, ["GET"]);
    let (first, last) = (seen.came[0], seen.came[seen.came.len() - 1]);
    let least = (seen.came.len() - 1) as f64 / 60.0;
    // Half of it allows for a first connection that this busy machine was late to see.
    assert!((last - first).as_secs_f64() > least / 2.0, "{:?} for {}", last - first, seen.came.len());

    assert_eq!(found["place"], "live");
    assert_eq!(found["by_packets"], false);
    assert_eq!(count(&found, "unusable"), 0, "{found}");
    assert!(found["timer"]["median_ns"].as_u64() >= Some(140_000_000), "{}", found["timer"]);
}

#[test]
fn ctrl_c_gives_the_map_so_far() {
    let server = Server::start();
    let (mut command, folder) =
        sweep(&server, &["--attempts", "100000", "--connections", "40", "--rate", "400", "--format", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("finrace runs");
    // Some were watched, and some used again.
    server.wait_until(|seen| seen.connections >= 80 && seen.most_requests_on_one == 2);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("it runs");
    let found = json(&child.wait_with_output().expect("finrace ends"), 3);
    assert_eq!(found["interrupted"], true);
    assert!((20..100_000).contains(&count(&found, "connections")), "{}", found["counts"]);
    assert!(count(&found, "answered") > 0, "{}", found["counts"]);
    assert!(found["notes"].to_string().contains("interrupted"), "{}", found["notes"]);
    assert!(!found["bins"].as_array().expect("a list").is_empty());
    let attempts = std::fs::read_to_string(folder.path().join("attempts.csv")).expect("the attempts");
    assert_eq!(attempts.lines().count(), count(&found, "connections") + 1);
}

#[test]
fn a_server_that_cannot_be_swept_is_refused_with_what_to_do() {
    let server = Server::start();
    let address = server.address;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    for (words, said) in [
        (vec!["--backend".to_owned(), format!("https://{address}/")], "finrace probe"),
        (
            vec![
                "--backend".to_owned(),
                format!("http://{address}/"),
                "--method".to_owned(),
                "POST".to_owned(),
            ],
            "use GET",
        ),
        (
            vec![
                "--backend".to_owned(),
                format!("http://{address}/"),
                "--delay".to_owned(),
                "5ms".to_owned(),
            ],
            "--delay",
        ),
        (vec!["--backend".to_owned(), format!("http://{closed}/")], "cannot connect"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = output(finrace(["sweep", "--attempts", "20"]).args(&words).current_dir(folder.path()));
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(said), "{words:?}: {}", text(&output.stderr));
    }
    assert_eq!(server.seen().connections, 0);
}
