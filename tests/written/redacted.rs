//! `--redact`: nobody is named, in any form, and whoever is meant can be told apart.

use std::net::IpAddr;
use std::path::Path;

use finrace::analysis::{self, Options, TraceFile, TraceRequest};
use finrace::render::{self, TextOptions, Theme};
use finrace::report::{Redaction, Report};

use super::common::finrace::{finrace, output, text};
use super::files::{captures, labelled, name, report};

/// Addresses in a text: whatever parses as one between letters that cannot be part of one.
pub fn addresses(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_ascii_hexdigit() && !matches!(letter, '.' | ':'))
        .flat_map(|word| {
            let word = word.trim_matches('.');
            let without_port = word.rsplit_once(':').map_or(word, |(host, _)| host);
            [word.to_owned(), without_port.to_owned(), word.trim_matches(':').to_owned()]
        })
        .filter(|word| word.parse::<IpAddr>().is_ok() && word != "::")
        .collect()
}

/// A page without its style sheet, whose `::before` parses as an address.
fn without_style(page: &str) -> String {
    let pieces =
        page.split("<style").map(|piece| piece.split_once("</style>").map_or(piece, |(_, rest)| rest));
    pieces.collect()
}

/// Everything that can be made of a report, and of the connection of its first incident or stream.
fn everything(path: &Path) -> Vec<(&'static str, String)> {
    let original = report(path);
    let mut redaction = Redaction::default();
    let mut report = original.clone();
    redaction.report(&mut report);
    let options = TextOptions::default();
    let mut all = vec![
        ("table", render::report_text::report_text(&report, options)),
        ("timeouts", render::report_text::timeouts(&report, options)),
        ("json", render::json::pretty(&report)),
        ("ndjson", render::json::lines(&report)),
        ("csv", render::csv::incidents(&report)),
        ("markdown", render::markdown::incidents(&report)),
        ("chat", render::chat::message(&report)),
    ];
    all.extend(report.servers.iter().filter_map(|server| {
        Some(("histogram", render::histogram::idle_times(server, Theme::Auto).expect("a picture")?))
    }));
    let files = [TraceFile { path, capture: 0 }];
    let mut timeline = analysis::timeline(&files, &original, None, &Options::default()).expect("a timeline");
    redaction.timeline(&mut timeline);
    all.push(("timeline", render::timeline::timeline(&timeline, None, 0, Theme::Auto).expect("a picture")));
    all.extend(connection(&files, &original, &report, &mut redaction));
    all
}

fn connection(
    files: &[TraceFile<'_>],
    original: &Report,
    report: &Report,
    redaction: &mut Redaction,
) -> Vec<(&'static str, String)> {
    let incident = original.incidents.first();
    let request = TraceRequest {
        stream: incident.map_or(0, |incident| incident.stream),
        capture: 0,
        incident,
        names: ("client", "server"),
        products: (None, None),
        server_capture: None,
    };
    let mut trace =
        analysis::trace(files, &request, &Options::default()).expect("a capture").expect("a stream");
    redaction.trace(&mut trace);
    let (incident, outcome) = (report.incidents.first(), Default::default());
    let svg = render::ladder::themed_svg(&render::ladder::layout(&trace, incident, &outcome), Theme::Auto);
    vec![
        ("trace", serde_json::to_string(&trace).expect("JSON")),
        ("mermaid", render::mermaid::sequence(&trace, incident)),
        ("page", render::markdown::story(&trace, incident)),
        ("packets", render::table::segments(&trace, TextOptions::default())),
        ("ladder", render::ladder::text(&trace, incident, &outcome, TextOptions::default())),
        ("svg", svg),
        ("sequence", render::sequence::sequence(&trace, incident, Theme::Auto).expect("a picture")),
        ("mermaid", render::mermaid::sequence(&trace, incident)),
        ("story", render::markdown::story(&trace, incident)),
        ("page of a connection", without_style(&render::html::story(report, incident, &trace))),
    ]
}

#[test]
fn no_form_of_any_capture_has_an_address_a_path_or_a_file_name() {
    for path in labelled() {
        let original = report(&path);
        let paths: Vec<&String> =
            original.incidents.iter().filter_map(|it| it.request.path.as_ref()).collect();
        let story = path.parent().and_then(Path::file_name).and_then(|it| it.to_str()).expect("a name");
        for (form, made) in everything(&path) {
            assert_eq!(addresses(&made), [""; 0], "{}: {form}", name(&path));
            // The name of a story may be that of a cause, its path is not.
            assert!(!made.contains(&format!("{story}/")), "{}: {form}", name(&path));
            for path_of_request in paths.iter().filter(|path| path.len() > 3) {
                assert!(
                    !made.contains(path_of_request.as_str()),
                    "{path_of_request} in {form} of {}",
                    name(&path)
                );
            }
        }
    }
}

#[test]
fn who_is_meant_can_be_told_apart() {
    let path = captures().join("deploy/client.pcap");
    let original = report(&path);
    let mut report = original.clone();
    Redaction::default().report(&mut report);
    let ends = |report: &Report| -> Vec<(String, String)> {
        let connections = report.connections.iter().flatten();
        connections.map(|it| (it.client.clone(), it.server.clone())).collect()
    };
    let (before, after) = (ends(&original), ends(&report));
    for (one, one_after) in before.iter().zip(&after) {
        for (other, other_after) in before.iter().zip(&after) {
            assert_eq!(one == other, one_after == other_after, "{one:?} {other:?}");
        }
        assert!(one_after.0.starts_with("proxy-") && one_after.1.starts_with("backend-"), "{one_after:?}");
        assert_eq!(one.0.rsplit(':').next(), one_after.0.rsplit(':').next(), "ports stay");
    }
}

#[test]
fn every_command_that_shows_a_capture_redacts() {
    let path = captures().join("crossed-fin/client.pcap");
    for (command, code) in [("analyze", 1), ("show", 0), ("timeouts", 1)] {
        let run = output(finrace([command]).arg(&path).arg("--redact"));
        assert_eq!(run.status.code(), Some(code), "{command}: {}", text(&run.stderr));
        let said = text(&run.stdout);
        assert!(said.contains("backend-1:8080"), "{command}: {said}");
        assert_eq!(addresses(&said), [""; 0], "{command}");
    }
}

#[test]
fn incidents_from_a_pipe_are_redacted_as_they_come() {
    let capture = std::fs::File::open(captures().join("crossed-fin/client.pcap")).expect("a capture");
    let run = output(finrace(["analyze", "-", "--format", "ndjson", "--redact"]).stdin(capture));
    let said = text(&run.stdout);
    assert!(said.lines().count() > 1 && said.contains("proxy-1:40000"), "{said}");
    assert_eq!(addresses(&said), [""; 0]);
}

#[test]
fn a_redacted_page_has_its_ladders() {
    let path = captures().join("crossed-fin/client.pcap");
    let run = output(finrace(["analyze", "--redact", "--format", "html"]).arg(&path));
    let page = text(&run.stdout);
    assert!(page.contains("class=\"segment\"") && page.contains("backend-1:8080"), "no ladder");
    assert!(!page.contains("/orders"), "the path");
    assert_eq!(addresses(&without_style(&page)), [""; 0]);
}
