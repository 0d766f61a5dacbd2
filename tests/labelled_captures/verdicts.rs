//! Each labelled capture, from each side alone, means what its facts say; and each is what its story tells.

use std::fs;

use super::facts::{Strictness, notation};
use super::labelled::{BLESS, SIDES, all, report};

#[test]
fn every_capture_means_what_its_facts_say_from_either_side() {
    let mut failures = Vec::new();
    for labelled in all() {
        for side in SIDES {
            let report = report(&labelled.records(side));
            let differences =
                labelled.facts.differences(&report, side, Strictness::Everything, |frame| frame);
            if !differences.is_empty() {
                failures.push(format!(
                    "captures/{}, seen from the {side}:\n  {}\nfound:\n{}",
                    labelled.name,
                    differences.join("\n  "),
                    notation(&report, side)
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{} captures read wrongly\n\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_request_is_called_the_first_only_where_the_beginning_was_captured() {
    let mut told = 0;
    for labelled in all() {
        for side in SIDES {
            let found = report(&labelled.records(side)).incidents;
            for (expected, found) in labelled.facts.incidents.iter().zip(found) {
                let Some(first) = expected.first_request else { continue };
                assert_eq!(found.first_request, first, "captures/{} from the {side}", labelled.name);
                told += 1;
            }
        }
    }
    assert!(told >= 4, "both sides of a capture that begins with it, and of one that does not");
}

#[test]
fn every_capture_is_what_its_story_tells() {
    let bless = std::env::var_os(BLESS).is_some();
    let mut stale = Vec::new();
    for labelled in all() {
        for side in SIDES {
            let (path, told) = (labelled.capture_path(side), labelled.told(side));
            if fs::read(&path).is_ok_and(|kept| kept == told) {
                continue;
            }
            if bless {
                fs::write(&path, told).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            } else {
                stale.push(format!("captures/{}/{side}.pcap", labelled.name));
            }
        }
    }
    assert!(
        stale.is_empty(),
        "not what the story tells: {}. If the stories are right, write the captures anew with\n  \
         {BLESS}=1 cargo test --test labelled_captures story_tells",
        stale.join(", ")
    );
}

#[test]
fn every_sentence_of_an_incident_is_there() {
    for labelled in all() {
        for side in SIDES {
            for incident in report(&labelled.records(side)).incidents {
                let name = format!("captures/{} from the {side}, incident {}", labelled.name, incident.id);
                assert!(!incident.what_happened.is_empty(), "{name}: what happened");
                assert!(!incident.advice.is_empty(), "{name}: what to change");
                assert!(!incident.evidence.is_empty(), "{name}: evidence");
            }
        }
    }
}
