//! What a labelled capture means does not depend on when it was taken, on the numbers that the kernels drew, on which
//! address is the greater, on the snap length, on the beginning being there, on duplicates, or on mild reordering.

use finrace::report::{Report, Side, Vantage};
use proptest::prelude::*;

use super::bytes::Record;
use super::facts::Strictness;
use super::labelled::{Labelled, SIDES, all, report};
use super::mutate::{self, Neighbours};

/// Runs a changed version of every labelled capture against its facts. `change` gives nothing where it does not apply.
fn holds_for_all(
    property: &str,
    strictness: Strictness,
    change: impl Fn(&[Record]) -> Option<(Report, Frames)>,
) -> Result<(), String> {
    let mut failures = Vec::new();
    for labelled in all() {
        if let Some(why) = labelled.facts.except.get(property) {
            println!("{property}: not for captures/{}: {why}", labelled.name);
            continue;
        }
        for side in SIDES {
            failures.extend(failure(&labelled, side, strictness, &change));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Where the frames of the original went: the number now of a number then.
type Frames = Box<dyn Fn(u64) -> u64>;

fn unmoved() -> Frames {
    Box::new(|frame| frame)
}

fn failure(
    labelled: &Labelled,
    side: Side,
    strictness: Strictness,
    change: &impl Fn(&[Record]) -> Option<(Report, Frames)>,
) -> Option<String> {
    let (report, frames) = change(&labelled.records(side))?;
    let differences = labelled.facts.differences(&report, side, strictness, frames);
    (!differences.is_empty())
        .then(|| format!("captures/{}, seen from the {side}:\n  {}", labelled.name, differences.join("\n  ")))
}

fn must_hold(result: Result<(), String>) -> Result<(), TestCaseError> {
    result.map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_time_of_a_capture_does_not_matter(us in -1_700_000_000_000_000_i64..2_000_000_000_000_000) {
        must_hold(holds_for_all("time-shift", Strictness::Everything, |records| {
            let mut records = records.to_vec();
            mutate::shift_time(&mut records, us);
            Some((report(&records), unmoved()))
        }))?;
    }

    #[test]
    fn sequence_numbers_may_wrap_anywhere(
        at in any::<[prop::sample::Index; 2]>(),
        below in [0_u32..100, 0_u32..100],
    ) {
        must_hold(holds_for_all("sequence-shift", Strictness::Everything, |records| {
            let mut records = records.to_vec();
            let at = at.map(|at| at.index(records.len().max(1)));
            mutate::shift_sequence_numbers(&mut records, at, below);
            Some((report(&records), unmoved()))
        }))?;
    }
}

/// Every pair that may change places does, one after the other: there are few enough to try them all.
fn swaps_hold(property: &str, strictness: Strictness, which: Neighbours) -> Result<(), String> {
    let most = all()
        .iter()
        .flat_map(|labelled| SIDES.map(|side| mutate::swappable(&labelled.records(side), which).len()))
        .max()
        .unwrap_or(0);
    assert!(most > 0, "{property}: no labelled capture has two such neighbours");
    (0..most).try_for_each(|turn| {
        holds_for_all(property, strictness, |records| {
            let first = *mutate::swappable(records, which).get(turn)?;
            let report = report(&mutate::swap_with_next(records, first));
            let (first, next) = (first as u64 + 1, first as u64 + 2);
            let frames: Frames = Box::new(move |frame| match frame {
                frame if frame == first => next,
                frame if frame == next => first,
                frame => frame,
            });
            Some((report, frames))
        })
    })
}

#[test]
fn neighbours_of_one_side_may_change_places() {
    assert_eq!(swaps_hold("reordered", Strictness::Verdicts, Neighbours::SameDirection), Ok(()));
}

#[test]
fn neighbours_of_different_connections_may_change_places() {
    assert_eq!(swaps_hold("interleaved", Strictness::Everything, Neighbours::DifferentConnections), Ok(()));
}

#[test]
fn either_end_may_have_the_greater_address() {
    let result = holds_for_all("addresses-exchanged", Strictness::Everything, |records| {
        let mut records = records.to_vec();
        mutate::exchange_addresses(&mut records);
        let mut report = report(&records);
        for server in &mut report.servers {
            server.server = server.server.replace("192.0.2.1:", "192.0.2.2:").replace("::1]", "::2]");
        }
        Some((report, unmoved()))
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn a_snap_length_of_96_is_enough() {
    let result = holds_for_all("snap-96", Strictness::Everything, |records| {
        let mut records = records.to_vec();
        mutate::cut(&mut records, 96);
        Some((report(&records), unmoved()))
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn a_capture_may_begin_after_the_handshake() {
    let result = holds_for_all("after-handshake", Strictness::Everything, |records| {
        let (kept, numbers) = mutate::after_handshake(records);
        let moved =
            move |frame| numbers.iter().position(|then| *then == frame).map_or(0, |now| now as u64 + 1);
        Some((report(&kept), Box::new(moved)))
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn duplicates_are_no_second_request() {
    let result = holds_for_all("duplicated", Strictness::Verdicts, |records| {
        Some((report(&mutate::duplicate(records)), unmoved()))
    });
    assert_eq!(result, Ok(()));
}

/// Acknowledgements of data tell the place where the handshake is missing: for many captures, and never the wrong one.
#[test]
fn without_a_handshake_the_place_is_told_by_acknowledgements() {
    for side in SIDES {
        let (own, opposite) = match side {
            Side::Client => (Vantage::Client, Vantage::Server),
            Side::Server => (Vantage::Server, Vantage::Client),
        };
        let mut told = 0;
        for labelled in all() {
            let (kept, _) = mutate::after_handshake(&labelled.records(side));
            for connection in report(&kept).connections.expect("connections were asked for") {
                let found = connection.vantage;
                assert!(
                    found != opposite && found != Vantage::Between,
                    "captures/{}, stream {}, taken at the {side}: {found}",
                    labelled.name,
                    connection.stream
                );
                told += usize::from(found == own);
            }
        }
        assert!(told >= 5, "at the {side}: {told} told");
    }
}
