//! `finrace soak`: nothing is forced, every loss has a cause, and the model that meets the same arrivals loses as many.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::finrace::{json, output, text};
use crate::common::ordinary_user::OrdinaryUser;

/// Soaks until the machine did not stall for longer than the window is wide; a wrong model is wrong in each of them.
const TRIES: usize = 3;

/// A few seconds of it; some 1300 requests, of which about 40 are lost.
fn soaked(more: &str) -> Value {
    let user = OrdinaryUser::new();
    let words = format!("soak --for 4s --rate 20/s --seed 3 --format json --out run {more}");
    let once = || {
        let printed = output(&mut user.finrace(words.split(' ')));
        let ended = matches!(printed.status.code(), Some(0 | 1));
        assert!(ended, "{}{}", text(&printed.stdout), text(&printed.stderr));
        serde_json::from_slice::<Value>(&printed.stdout).expect("a JSON document")
    };
    let mut soak = once();
    for _ in 1..TRIES {
        if prediction(&soak, "packets")["agree"] == true {
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

fn assert_the_model_agrees_with_its_packets(soak: &Value) {
    assert_eq!(soak["complete"], true, "{}", soak["missing"]);
    let (requests, lost) = (soak["requests"].as_u64().unwrap(), soak["lost"]["count"].as_u64().unwrap());
    assert!(requests > 1_000, "{requests} requests");
    assert!(lost > 5, "{lost} lost: nothing was compared");
    let by_packets = prediction(soak, "packets");
    assert_eq!(by_packets["agree"], true, "{soak:#}");
    assert!(by_packets["share"].as_f64().unwrap() > 0.0);
    // Whoever was answered 502 lost a request, and nobody else did.
    let causes = soak["causes"].as_array().unwrap();
    assert!(causes.iter().all(|cause| cause["cause"] != "unknown"), "{soak:#}");
    assert_eq!(soak["answers"]["502"].as_u64(), Some(lost), "{soak:#}");
}

#[test]
fn the_last_used_first_loses_what_the_model_says_of_the_same_arrivals() {
    let soak = soaked("--pool lifo");
    assert_the_model_agrees_with_its_packets(&soak);
    assert!(prediction(&soak, "formula")["share"].as_f64().unwrap() > 0.0);
}

#[test]
fn in_turns_and_in_bursts_it_loses_what_the_model_says_of_the_same_arrivals() {
    let soak = soaked("--pool fifo --arrivals bursty --burst 500ms --pause 500ms");
    assert_the_model_agrees_with_its_packets(&soak);
    assert!(soak["predictions"].as_array().unwrap().iter().all(|it| it["from"] != "formula"), "{soak:#}");
}

#[test]
fn a_proxy_that_gives_up_first_loses_nothing() {
    let user = OrdinaryUser::new();
    let words = "soak --for 1s --rate 20/s --proxy-idle 60ms --backend-idle 2s --format json --out run";
    let soak = json(&output(&mut user.finrace(words.split(' '))), 0);
    assert_eq!((soak["lost"]["count"].as_u64(), soak["causes"].as_array().unwrap().len()), (Some(0), 0));
    assert!(soak["answers"]["200"].as_u64().unwrap() > 100, "{soak:#}");
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
    assert!(soak["requests"].as_u64().unwrap() > 0);
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
