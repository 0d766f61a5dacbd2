//! `finrace soak`: nothing is forced, every loss has a cause, and the model that meets the same arrivals loses as many.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::finrace::{analyzed, json, output, text};
use crate::common::ordinary_user::OrdinaryUser;

/// Soaks, at most, until the machine was not too busy for one: what that is does not ask whether the model was right.
const TRIES: usize = 5;

/// A few seconds of it; some 1300 requests, of which about 40 are lost.
fn soaked(user: &OrdinaryUser, more: &str) -> Value {
    let words = format!("soak --for 4s --rate 20/s --seed 3 --format json --out run {more}");
    let once = || {
        let printed = output(&mut user.finrace(words.split(' ')));
        let ended = matches!(printed.status.code(), Some(0 | 1 | 3));
        assert!(ended, "{}{}", text(&printed.stdout), text(&printed.stderr));
        serde_json::from_slice::<Value>(&printed.stdout).expect("a JSON document")
    };
    let mut soak = once();
    for _ in 1..TRIES {
        if soak["complete"] == true && soak["quiet"] == true {
            break;
        }
        soak = once();
    }
    soak
}

fn prediction<'a>(soak: &'a Value, from: &str) -> &'a Value {
    let predictions = soak["predictions"].as_array().expect("predictions");
    predictions.iter().find(|it| it["from"] == from).unwrap_or_else(|| panic!("{from}: {soak}"))
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a count: {value}"))
}

fn assert_the_model_agrees_with_its_packets(soak: &Value, user: &OrdinaryUser) {
    assert_eq!(soak["complete"], true, "{}", soak["missing"]);
    let (requests, lost) = (count(&soak["requests"]), count(&soak["lost"]["count"]));
    assert!(requests > 1_000, "{requests} requests");
    assert!(lost > 5, "{lost} lost: nothing was compared");
    let by_packets = prediction(soak, "packets");
    assert_eq!(by_packets["agree"], true, "{soak:#}");
    assert!(by_packets["share"].as_f64() > Some(0.0));
    // Whoever was answered 502 lost a request, and nobody else did; the capture alone says the same.
    assert_eq!(count(&soak["answers"]["502"]), lost, "{soak:#}");
    let alone = analyzed(&user.home().join("run/edge.pcapng"), 1);
    assert_eq!(count(&alone["summary"]["requests"]), requests);
    assert_eq!(count(&alone["summary"]["incidents"]), lost);
    for cause in soak["causes"].as_array().expect("causes") {
        let name = cause["cause"].as_str().expect("a cause");
        assert_ne!(name, "unknown");
        assert_eq!(alone["summary"]["by_cause"][name], cause["count"]);
    }
}

#[test]
fn the_last_used_first_loses_what_the_model_says_of_the_same_arrivals() {
    let user = OrdinaryUser::new();
    let soak = soaked(&user, "--pool lifo");
    assert_the_model_agrees_with_its_packets(&soak, &user);
    assert!(prediction(&soak, "formula")["share"].as_f64() > Some(0.0));
}

#[test]
fn in_turns_and_in_bursts_it_loses_what_the_model_says_of_the_same_arrivals() {
    let user = OrdinaryUser::new();
    let soak = soaked(&user, "--pool fifo --arrivals bursty --burst 500ms --pause 500ms");
    assert_the_model_agrees_with_its_packets(&soak, &user);
    let predictions = soak["predictions"].as_array().expect("predictions");
    assert!(predictions.iter().all(|it| it["from"] != "formula"), "{soak:#}");
}

#[test]
fn a_proxy_that_gives_up_first_loses_nothing() {
    let user = OrdinaryUser::new();
    let words = "soak --for 1s --rate 20/s --proxy-idle 60ms --backend-idle 2s --format json --out run";
    let soak = json(&output(&mut user.finrace(words.split(' '))), 0);
    assert_eq!((count(&soak["lost"]["count"]), &soak["causes"]), (0, &Value::Array(Vec::new())));
    assert!(count(&soak["answers"]["200"]) > 100, "{soak:#}");
}

#[test]
fn ctrl_c_tells_what_was_lost_until_then() {
    let user = OrdinaryUser::new();
    let mut command =
        user.finrace("soak --for 10min --rate 20/s --no-odds --format json --out run".split(' '));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("finrace runs");
    let capture = user.home().join("run/edge.pcapng");
    let deadline = Instant::now() + Duration::from_secs(60);
    while fs::metadata(&capture).map_or(0, |file| file.len()) < 20_000 {
        assert!(Instant::now() < deadline, "no packets came");
        assert!(child.try_wait().expect("a child").is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("our own child");
    let soak = json(&child.wait_with_output().expect("its answer"), 0);
    assert_eq!(soak["interrupted"], true);
    assert!(count(&soak["requests"]) > 0);
}

#[test]
fn what_cannot_be_soaked_is_said_before_the_lab_is_entered() {
    for (words, said) in [
        ("soak --rate 10000/s", "are too many for one soak"),
        ("soak --backend express", "has one port: use --pools 1"),
        ("soak --proxy nginx --no-check", "change only the toy proxy"),
    ] {
        let refused = output(&mut crate::common::finrace::finrace(words.split(' ')));
        assert_eq!(refused.status.code(), Some(2), "{words}");
        assert!(text(&refused.stderr).contains(said), "{words}: {}", text(&refused.stderr));
    }
}
