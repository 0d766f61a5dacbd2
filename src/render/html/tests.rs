use super::*;
use crate::render::fixtures;
use crate::report::Role;

/// A report with a ladder of its first incident.
fn drawn() -> (Report, Drawings) {
    let report = fixtures::report();
    let mut traces: Vec<Option<Trace>> = report.incidents.iter().map(|_| None).collect();
    traces[0] = Some(fixtures::crossed_fin().0);
    (
        report,
        Drawings { traces, timelines: Vec::new(), left_out: Some("the others are of a pipe.".to_owned()) },
    )
}

/// What stands between two tags of a page, once.
fn between<'p>(page: &'p str, begin: &str, end: &str) -> &'p str {
    assert_eq!(page.matches(begin).count(), 1, "{begin}");
    page.split_once(begin).unwrap().1.split_once(end).unwrap().0
}

#[test]
fn the_policy_allows_the_one_script_and_the_one_style_and_nothing_else() {
    let (report, drawings) = drawn();
    let story = story(&report, report.incidents.first(), &fixtures::crossed_fin().0);
    for page in [super::report(&report, &drawings), story] {
        let style = escape::hash_source(between(&page, "<style>", "</style>"));
        let script = escape::hash_source(between(&page, "<script>", "</script>"));
        assert_eq!(
            between(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\""),
            format!(
                "default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; form-action 'none'"
            )
        );
        for forbidden in [" style=\"", " onclick", " onload", "src=", "@import", "url(", "javascript:"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
}

#[test]
fn the_verdict_comes_first_then_causes_servers_incidents_captures() {
    let (report, drawings) = drawn();
    let page = super::report(&report, &drawings);
    let places: Vec<usize> = [
        "<h1>",
        "id=\"causes\"",
        "id=\"servers\"",
        "id=\"incidents\"",
        "id=\"captures\"",
        "id=\"wireshark\"",
    ]
    .iter()
    .map(|part| page.find(part).unwrap_or_else(|| panic!("{part}")))
    .collect();
    assert!(places.is_sorted(), "{places:?}");
    for incident in &report.incidents {
        assert!(page.contains(&format!("id=\"incident-{}\">", incident.id)), "{}", incident.id);
    }
    assert!(!page.contains("{{") && !page.contains("<!-- r"), "every part of the template is filled");
}

#[test]
fn every_list_of_incidents_has_one_headline() {
    let lost = fixtures::report();
    let healthy = fixtures::healthy_report();
    let mut inconclusive = fixtures::healthy_report();
    inconclusive.summary.conclusive = false;
    let mut filtered = fixtures::healthy_report();
    filtered.summary.filtered_out = 3;
    let mut others = fixtures::report();
    others.incidents.retain(|incident| !incident.race);
    let mut race = fixtures::report();
    race.incidents.retain(|incident| incident.race);
    let headlines: Vec<String> = [&lost, &race, &others, &healthy, &inconclusive, &filtered]
        .map(|report| between(&super::report(report, &Drawings::default()), "<h1>", "</h1>").to_owned())
        .to_vec();
    insta::assert_snapshot!(headlines.join("\n"));
}

#[test]
fn what_comes_from_outside_is_text_wherever_it_stands() {
    const HOSTILE: &str =
        "</script></style>--><img src=x onerror=alert(1)>{{script}}<!-- rows -->\u{2028}\u{202e}\"'";
    let (mut report, mut drawings) = drawn();
    report.captures[0].file = HOSTILE.to_owned();
    report.captures[0].truncated = Some(HOSTILE.to_owned());
    report.captures[0].skipped.insert(HOSTILE.to_owned(), 1);
    report.summary.notes.push(HOSTILE.to_owned());
    report.servers[0].server = HOSTILE.to_owned();
    let incident = &mut report.incidents[0];
    incident.request.path = Some(HOSTILE.to_owned());
    incident.server = HOSTILE.to_owned();
    incident.client = HOSTILE.to_owned();
    incident.what_happened = HOSTILE.to_owned();
    incident.advice = HOSTILE.to_owned();
    incident.evidence.push(HOSTILE.to_owned());
    incident.would_log.insert(HOSTILE.to_owned(), HOSTILE.to_owned());
    drawings.left_out = Some(HOSTILE.to_owned());
    let mut trace = fixtures::crossed_fin().0;
    trace.files = vec![HOSTILE.to_owned()];
    // What comes out of a capture is printable ASCII, and only that gets into a ladder.
    let printable: String = HOSTILE.chars().filter(char::is_ascii).collect();
    trace.lanes[0].address.clone_from(&printable);
    for segment in &mut trace.segments {
        (segment.label, segment.meaning) = (printable.clone(), printable.clone());
    }
    drawings.traces[0] = Some(trace.clone());
    let harmless = drawn();
    let elements = |page: &str| page.matches("<script").count();
    let page = super::report(&report, &drawings);
    assert_eq!(elements(&page), elements(&super::report(&harmless.0, &harmless.1)));
    let pages = [page, story(&report, report.incidents.first(), &trace), pack::opened(&report, &drawings)];
    for page in pages {
        for forbidden in ["<img", "\u{2028}", "\u{202e}", "</script></style>", "--><"] {
            assert!(!page.contains(forbidden), "{forbidden:?}");
        }
        // The braces and the comment are still there, as text: no template was filled a second time.
        assert!(page.contains("{{script}}&lt;!-- rows --&gt;"));
    }
}

#[test]
fn the_same_report_is_the_same_page() {
    let (report, drawings) = drawn();
    assert_eq!(super::report(&report, &drawings), super::report(&report, &drawings));
}

#[test]
fn each_incident_has_one_place_and_what_lies_there_is_its_story() {
    let (report, drawings) = drawn();
    let opened = pack::opened(&report, &drawings);
    let stories: Vec<&str> = opened.split(pack::SEPARATOR).collect();
    let places = pack::stories(&report, &drawings).places;
    assert_eq!(stories.len(), report.incidents.len());
    for (incident, (block, place)) in report.incidents.iter().zip(places) {
        assert_eq!(block, 0);
        assert!(stories[place].starts_with(&format!("<h3>#{} ", incident.id)), "{}", stories[place]);
    }
}

#[test]
fn a_filter_names_the_stream_and_each_frame_once() {
    let mut report = fixtures::report();
    report.captures.truncate(1);
    let incident = &mut report.incidents[0];
    incident.stream = 7;
    incident.frames = [(Role::Fin, 285), (Role::Request, 288), (Role::Reset, 288)].into();
    let filters = filters::of_incident(&report, &report.incidents[0]);
    assert!(filters.contains("<code>tcp.stream eq 7</code>"), "{filters}");
    assert!(filters.contains("<code>frame.number == 285 || frame.number == 288</code>"), "{filters}");
}
