use proptest::prelude::*;

use super::labels::{Slab, inference, label_slab, line, words};
use super::layout::{crossing, ends};
use super::*;
use crate::render::style::Theme;
use crate::render::wrap::columns;
use crate::render::{TextOptions, fixtures};
use crate::report::{Cause, Clocks, Incident, Role, Segment, SegmentKind, Side, Trace, Vantage};

/// Every story with its name.
fn stories() -> Vec<(&'static str, Trace, Option<Incident>)> {
    let told = [
        ("crossed_fin", fixtures::crossed_fin()),
        ("crossed_fin_at_server", fixtures::crossed_fin_from(Vantage::Server)),
        ("crossed_fin_at_client", fixtures::crossed_fin_from(Vantage::Client)),
        ("crossed_fin_somewhere", fixtures::crossed_fin_from(Vantage::Unknown)),
        ("reset_storm", fixtures::reset_storm()),
        ("unread_request", fixtures::unread_request()),
        ("discarded_request", fixtures::discarded_request()),
        ("stale_reuse", fixtures::stale_reuse()),
        ("retried", fixtures::retried()),
    ];
    told.into_iter()
        .map(|(name, (trace, incident))| (name, trace, Some(incident)))
        .chain([("healthy", fixtures::healthy(), None)])
        .collect()
}

fn outcome() -> Outcome {
    Outcome { user_saw: Some("502 Bad Gateway".to_owned()) }
}

fn drawn(name: &str) -> (Ladder, String) {
    let (_, trace, incident) = stories().into_iter().find(|(other, ..)| *other == name).unwrap();
    let options = TextOptions { width: 100, color: false, unicode: true };
    (layout(&trace, incident.as_ref(), &outcome()), text(&trace, incident.as_ref(), &outcome(), options))
}

#[test]
fn terminal_ladders_stay_as_they_were_approved() {
    for (name, trace, incident) in stories() {
        for width in [80, 120] {
            let options = TextOptions { width, color: false, unicode: true };
            let name = format!("{name}_{width}");
            insta::assert_snapshot!(name, text(&trace, incident.as_ref(), &outcome(), options));
        }
    }
}

#[test]
fn pictures_stay_as_they_were_approved() {
    for name in ["crossed_fin", "crossed_fin_at_server", "stale_reuse"] {
        insta::assert_snapshot!(format!("{name}_svg"), svg(&drawn(name).0));
    }
}

#[test]
fn the_race_is_seen_to_cross() {
    let (ladder, text) = drawn("crossed_fin");
    assert!(ladder.marks.iter().any(|mark| matches!(mark, Mark::Crossing { label_at: Some(_), .. })));
    assert!(ladder.marks.iter().any(|mark| matches!(mark, Mark::LostWindow { label_at: Some(_), .. })));
    assert!(text.contains('╳') && text.contains("they cross"), "{text}");
}

#[test]
fn causes_without_a_crossing_show_none() {
    for name in ["unread_request", "stale_reuse", "healthy", "crossed_fin_at_client"] {
        let (ladder, text) = drawn(name);
        assert!(!ladder.marks.iter().any(|mark| matches!(mark, Mark::Crossing { .. })), "{name}");
        assert!(!text.contains("they cross\n") && !text.contains('╳'), "{name}: {text}");
    }
}

#[test]
fn one_capture_point_draws_level_arrows_and_calls_the_rest_inferred() {
    for (name, unseen) in [("crossed_fin_at_server", Side::Client), ("crossed_fin_at_client", Side::Server)] {
        let (ladder, text) = drawn(name);
        assert!(ladder.arrows.iter().all(|arrow| arrow.y_received == Some(arrow.y_sent)), "{name}");
        assert!(ladder.arrows.iter().all(|arrow| arrow.inferred_at == Some(unseen)), "{name}");
        assert!(ladder.marks.iter().any(|mark| matches!(mark, Mark::InferredCrossing { .. })), "{name}");
        assert!(text.contains("inferred: they crossed"), "{text}");
        let far = ladder.words.iter().filter(|words| {
            words.face == Face::Time && {
                let left = words.x < ladder.metrics.width / 2;
                left == (unseen == Side::Client)
            }
        });
        assert!(far.clone().count() > 0 && far.clone().all(|words| words.text == "inferred"), "{name}");
    }
}

#[test]
fn what_the_user_saw_is_told_only_where_it_is_known() {
    let (trace, incident) = fixtures::crossed_fin();
    let unknown = text(&trace, Some(&incident), &Outcome::default(), TextOptions::default());
    assert!(!unknown.contains("502") && !unknown.contains("the user"), "{unknown}");
}

#[test]
fn a_storm_of_resets_is_one_arrow() {
    let (ladder, _) = drawn("reset_storm");
    assert!(ladder.arrows.iter().any(|arrow| arrow.label == "11 resets"), "{:?}", ladder.arrows);
}

#[test]
fn a_segment_not_seen_to_arrive_has_no_head() {
    let (mut trace, incident) = fixtures::crossed_fin();
    trace.segments.last_mut().unwrap().received_ns = None;
    let ladder = layout(&trace, Some(&incident), &outcome());
    assert_eq!(ladder.arrows.last().unwrap().y_received, None);
    assert!(svg(&ladder).contains("not seen to arrive"));
    assert!(text(&trace, Some(&incident), &outcome(), TextOptions::default()).contains('×'));
}

#[test]
fn every_arrow_of_a_terminal_ends_in_a_head() {
    for (name, trace, incident) in stories() {
        let options = TextOptions { width: 100, color: false, unicode: true };
        let text = text(&trace, incident.as_ref(), &Outcome::default(), options);
        let heads = text.chars().filter(|&sign| sign == '▶' || sign == '◀').count();
        assert_eq!(heads, trace.segments.len(), "{name}: {text}");
    }
}

#[test]
fn ascii_terminals_get_ascii() {
    for (name, trace, incident) in stories() {
        let options = TextOptions { width: 80, color: false, unicode: false };
        let text = text(&trace, incident.as_ref(), &outcome(), options);
        assert!(text.is_ascii() && !text.contains('?'), "{name}: {text}");
    }
}

#[test]
fn hostile_text_stays_text() {
    let (mut trace, mut incident) = fixtures::crossed_fin();
    trace.lanes[0].name = "<script>alert(1)</script>&\u{1b}[2J".to_owned();
    trace.segments[4].label = "GET /]]>\"'<&".to_owned();
    incident.evidence = vec!["</svg>".to_owned()];
    let picture = svg(&layout(&trace, Some(&incident), &outcome()));
    assert!(!picture.contains("<script") && picture.matches("</svg>").count() == 1);
    assert!(png(&picture).is_ok());
    let text = text(&trace, Some(&incident), &outcome(), TextOptions::default());
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn the_png_is_the_svg_at_twice_its_size() {
    let (ladder, _) = drawn("crossed_fin");
    let light = png(&svg(&ladder)).unwrap();
    assert_eq!(&light[..8], b"\x89PNG\r\n\x1a\n");
    let side = |at: usize| u32::from_be_bytes(light[at..at + 4].try_into().unwrap());
    let expected = [ladder.metrics.width, ladder.height].map(|side| u32::try_from(side).unwrap() * 2);
    assert_eq!([side(16), side(20)], expected);
    assert_ne!(png(&themed_svg(&ladder, Theme::Dark)).unwrap(), light);
}

#[test]
fn a_ladder_too_tall_for_a_picture_is_refused_with_a_way_out() {
    let (mut trace, _) = fixtures::crossed_fin();
    let one = trace.segments[0].clone();
    trace.segments = vec![one; 400];
    let error = png(&svg(&layout(&trace, None, &outcome()))).unwrap_err();
    assert!(error.to_string().contains("write SVG instead"), "{error}");
}

/// Times of the four segments of a race: FIN and request sent, their flights, the server's answer; in µs.
fn race() -> impl Strategy<Value = (Trace, Incident)> {
    let cause = prop::sample::select(vec![
        Cause::CrossedFin,
        Cause::DiscardedRequest,
        Cause::StaleReuse,
        Cause::Unknown,
    ]);
    (cause, -30_000i64..30_000, 1i64..40_000, 1i64..40_000, 0i64..3_000, 0u32..40_000, any::<bool>())
        .prop_map(|(cause, request_us, fin_flight_us, request_flight_us, answer_us, bytes, acked)| {
            let (mut trace, mut incident) = fixtures::crossed_fin();
            let arrives = request_us + request_flight_us;
            let zero = trace.zero_ns;
            let time = |us: i64| zero + us * 1_000;
            let mut set = |index: usize, sent: i64, received: i64| {
                (trace.segments[index].sent_ns, trace.segments[index].received_ns) =
                    (time(sent), Some(time(received)));
            };
            set(3, 0, fin_flight_us);
            set(4, request_us, arrives);
            set(5, fin_flight_us + 40, fin_flight_us + 40 + request_flight_us);
            set(6, arrives + answer_us, arrives + answer_us + fin_flight_us);
            trace.segments[4].len = bytes;
            if acked {
                trace.segments[6].role = Some(Role::RequestAck);
                trace.segments[6].kind = SegmentKind::Ack;
            }
            trace.segments.sort_by_key(|segment| segment.sent_ns);
            incident.cause = cause;
            incident.ack_covers_fin = Some(request_us > fin_flight_us);
            (trace, incident)
        })
}

/// The same from one capture point.
fn race_from_one_end() -> impl Strategy<Value = (Trace, Incident)> {
    (race(), prop::sample::select(vec![Vantage::Client, Vantage::Server, Vantage::Unknown])).prop_map(
        |((trace, incident), vantage)| {
            (fixtures::one_clock(trace, vantage), Incident { vantage, ..incident })
        },
    )
}

/// Any segments at all.
fn anything() -> impl Strategy<Value = Trace> {
    let kind = prop::sample::select(vec![
        SegmentKind::Handshake,
        SegmentKind::Request,
        SegmentKind::Response,
        SegmentKind::Ack,
        SegmentKind::Fin,
        SegmentKind::Reset,
    ]);
    let segment = (
        any::<bool>(),
        kind,
        -9_000_000i64..9_000_000,
        prop::option::of(-10i64..80_000),
        "[ -~]{0,60}",
        0u32..3,
    )
        .prop_map(|(client, kind, sent_us, flight_us, words, count)| {
            let from = if client { Side::Client } else { Side::Server };
            let mut segment: Segment = fixtures::segment(from, kind, sent_us, sent_us, &words);
            segment.received_ns = flight_us.map(|flight| segment.sent_ns + flight * 1_000);
            segment.meaning = words;
            segment.count = count;
            segment
        });
    (prop::collection::vec(segment, 0..14), any::<bool>()).prop_map(|(mut segments, both)| {
        segments.sort_by_key(|segment| segment.sent_ns);
        let mut trace = fixtures::trace(segments);
        trace.clocks = if both { Clocks::Both } else { Clocks::One };
        trace
    })
}

/// Every text of a picture as a slab, with its words.
fn texts(ladder: &Ladder) -> Vec<(Slab, String)> {
    let metrics = &ladder.metrics;
    let outside = ladder.words.iter().map(|words| {
        let [left, top, right, bottom] = words.area(metrics).map(f64::from);
        // A hair smaller, so that lines that follow each other do not count as touching.
        (Slab::upright(left, top + 0.5, right - left, bottom - top - 1.0), words.text.clone())
    });
    let labels = ladder
        .arrows
        .iter()
        .filter(|arrow| !arrow.label.is_empty())
        .map(|arrow| (label_slab(arrow, metrics), arrow.label.clone()));
    let marks = ladder.marks.iter().filter_map(|mark| match mark {
        Mark::Crossing { label, label_at: Some(at), .. }
        | Mark::LostWindow { label, label_at: Some(at), .. } => {
            Some((words(*at, label, metrics), label.clone()))
        }
        Mark::InferredCrossing { y, lines } => Some((inference(*y, lines, metrics), lines.join(" "))),
        _ => None,
    });
    outside.chain(labels).chain(marks).collect()
}

/// What must hold for every picture.
pub(super) fn check(ladder: &Ladder) -> Result<(), TestCaseError> {
    let texts = texts(ladder);
    for (index, (slab, words)) in texts.iter().enumerate() {
        for (other, other_words) in &texts[index + 1..] {
            prop_assert!(!slab.touches(other), "{words:?} touches {other_words:?}");
        }
        for [x, y] in slab.corners() {
            let inside =
                x >= 0.0 && x <= f64::from(ladder.metrics.width) && y >= 0.0 && y <= f64::from(ladder.height);
            prop_assert!(inside, "{words:?} leaves the picture at {x},{y}");
        }
    }
    for (slab, words) in &texts {
        for arrow in ladder.arrows.iter().filter(|arrow| arrow.label != *words) {
            let [a, b] = line(arrow, &ladder.metrics);
            prop_assert!(!slab.touches(&Slab::line(a, b)), "an arrow runs through {words:?}");
        }
    }
    for arrow in &ladder.arrows {
        prop_assert!(
            arrow.y_received.is_none_or(|received| received >= arrow.y_sent),
            "{arrow:?} points upwards"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn in_a_race_no_words_collide_and_no_arrow_points_upwards((trace, incident) in race()) {
        check(&layout(&trace, Some(&incident), &outcome()))?;
    }

    #[test]
    fn from_one_end_no_words_collide((trace, incident) in race_from_one_end()) {
        let ladder = layout(&trace, Some(&incident), &outcome());
        check(&ladder)?;
        let crossed = ladder.marks.iter().any(|mark| matches!(mark, Mark::Crossing { .. }));
        prop_assert!(!crossed, "one capture point cannot see a crossing");
        let inferred = ladder.marks.iter().filter(|mark| matches!(mark, Mark::InferredCrossing { .. })).count();
        let race = incident.cause != Cause::Unknown && incident.ack_covers_fin == Some(false);
        prop_assert_eq!(inferred, usize::from(race));
    }

    #[test]
    fn in_any_trace_no_words_collide_and_no_arrow_points_upwards(trace in anything()) {
        check(&layout(&trace, None, &Outcome::default()))?;
    }

    #[test]
    fn the_crossing_is_marked_exactly_when_the_arrows_cross((trace, incident) in race()) {
        let ladder = layout(&trace, Some(&incident), &outcome());
        let find = |role| trace.segments.iter().position(|segment| segment.role == Some(role)).unwrap();
        let [request, fin] = [Role::Request, Role::Fin].map(|role| &trace.segments[find(role)]);
        let in_flight_together = request.sent_ns < fin.received_ns.unwrap() && fin.sent_ns < request.received_ns.unwrap();
        let [a, b] = [find(Role::Request), find(Role::Fin)].map(|index| &ladder.arrows[index]);
        let ([a_left, a_right], [b_left, b_right]) = (ends(a).unwrap(), ends(b).unwrap());
        prop_assert_eq!(crossing(a, b, &ladder.metrics).is_some(), (a_left < b_left) != (a_right < b_right));
        let marked = ladder.marks.iter().any(|mark| matches!(mark, Mark::Crossing { .. }));
        prop_assert_eq!(marked, in_flight_together && incident.cause != Cause::Unknown);
    }

    #[test]
    fn the_names_of_the_story_are_never_left_out((trace, incident) in race()) {
        let ladder = layout(&trace, Some(&incident), &outcome());
        for (arrow, segment) in ladder.arrows.iter().zip(&trace.segments) {
            if matches!(segment.role, Some(Role::Request | Role::Fin | Role::Reset)) {
                prop_assert!(!arrow.label.is_empty(), "{:?}", segment.label);
            }
        }
    }

    #[test]
    fn no_row_of_a_terminal_is_too_wide(trace in anything(), width in 60u16..180) {
        let options = TextOptions { width, color: false, unicode: true };
        for row in text(&trace, None, &outcome(), options).lines() {
            prop_assert!(columns(row) <= i32::from(width.max(TextOptions::NARROWEST)), "{}", row);
        }
    }
}
