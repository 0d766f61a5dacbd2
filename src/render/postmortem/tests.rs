use std::collections::BTreeMap;

use super::*;
use crate::render::fixtures;
use crate::report::{Cause, LooksLike, Role};

fn page_of(report: &Report, stories: &[Story]) -> String {
    page(&Postmortem {
        report,
        stories,
        digests: &[Some("ab".repeat(32))],
        charts: &[],
        files: &[("ladder-1-crossed-fin.svg".to_owned(), "incident 1, packet by packet".to_owned())],
        command: "finrace analyze server.pcap --postmortem found",
    })
}

/// The race alone, with its packets.
fn race() -> (Report, Vec<Story>) {
    let (trace, incident) = fixtures::crossed_fin();
    let mut report = fixtures::report();
    report.servers.truncate(1);
    report.servers[0].server.clone_from(&incident.server);
    report.incidents = vec![incident];
    report.summary.incidents = 1;
    report.summary.by_cause = BTreeMap::from([(Cause::CrossedFin, 1)]);
    let picture =
        Picture { file: "ladder-1-crossed-fin.svg".to_owned(), caption: "One request lost.".to_owned() };
    (report, vec![Story { trace: Some(trace), picture: Some(picture) }])
}

/// The words under one heading.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let rest =
        page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}: {page}")).1;
    rest.split("\n## ").next().expect("a section")
}

#[test]
fn the_race_is_told_from_summary_to_hashes() {
    let (report, stories) = race();
    insta::assert_snapshot!("postmortem_race", page_of(&report, &stories));
}

#[test]
fn every_cause_has_words_of_its_own_and_an_owner() {
    let mut headings = std::collections::BTreeSet::new();
    for &cause in Cause::ALL {
        let (mut report, _) = race();
        let incident = &mut report.incidents[0];
        (incident.cause, incident.race) = (cause, cause.is_race());
        report.summary.by_cause = BTreeMap::from([(cause, 1)]);
        let page = page_of(&report, &[Story::default()]);
        let kind = Kind::of(&report.incidents[0]);
        assert!(headings.insert(kind.heading()), "{cause}: the words of another cause");
        assert!(section(&page, "Root cause").contains(&format!("### {cause}: ")), "{cause}");
        assert!(section(&page, "Summary").contains(kind.background()), "{cause}");
        assert!(section(&page, "What to change").len() > 40, "{cause}");
        let race = page.lines().next().expect("a title").contains("keep-alive race");
        assert_eq!(race, cause.is_race(), "{cause}: {page}");
        for role in [Role::Fin, Role::Request, Role::Reset] {
            assert!(!kind.why(role, &report.incidents[0]).is_empty(), "{cause}: {role}");
        }
    }
}

/// Only where two timers decide is a timer to be changed.
#[test]
fn timers_are_changed_for_the_race_and_for_nothing_else() {
    for &cause in Cause::ALL {
        let (mut report, _) = race();
        let incident = &mut report.incidents[0];
        (incident.cause, incident.race) = (cause, cause.is_race());
        report.servers[0].verdict = Verdict::Unknown;
        let page = page_of(&report, &[Story::default()]);
        let timers = cause.is_race() || cause == Cause::ResetIdle;
        assert_eq!(page.contains("must give up an idle connection first"), timers, "{cause}");
    }
}

#[test]
fn a_restart_is_no_matter_of_timers() {
    let (mut report, stories) = race();
    report.incidents[0].race = false;
    report.servers[0].verdict = Verdict::Unknown;
    report.summary.notes = vec!["192.0.2.2:3000 closed 21 connections at one moment".to_owned()];
    let page = page_of(&report, &stories);
    assert!(
        page.starts_with("# Postmortem: 1 request without an answer: the server was restarted"),
        "{page}"
    );
    assert!(section(&page, "Root cause").contains("closed 21 connections at one moment"), "{page}");
    assert!(!page.contains("must give up an idle connection first"), "{page}");
}

#[test]
fn the_settings_are_those_of_the_products_recognised_and_in_the_right_order() {
    let (mut report, stories) = race();
    let like = |product: &str, name: &str| LooksLike {
        product: product.to_owned(),
        name: name.to_owned(),
        setting: None,
        default_ns: 5_000_000_000,
        versions: None,
    };
    let server = &mut report.servers[0];
    let close = server.server_idle_close.as_mut().expect("closes");
    close.looks_like = vec![like("express", "Express")];
    server.longest_reuse_ns = Some(58_700_000_000);
    let page = page_of(&report, &stories);
    let change = section(&page, "What to change");
    assert!(change.contains("server.keepAliveTimeout = 65000;"), "{change}");
    assert!(
        change.contains("    keepalive_timeout 3s;") || change.contains("    keepalive_timeout 4s;"),
        "{change}"
    );
    assert!(change.contains("What the client is cannot be seen"), "{change}");
    // With the client's timer seen, its own numbers and its own setting.
    let mut close = report.servers[0].server_idle_close.clone().expect("closes");
    (close.mode_ns, close.min_ns, close.max_ns) = (75_000_000_000, 74_999_000_000, 75_001_000_000);
    close.looks_like = vec![like("nginx", "nginx")];
    report.servers[0].client_idle_close = Some(close);
    let page = page_of(&report, &stories);
    let change = section(&page, "What to change");
    assert!(change.contains("server.keepAliveTimeout = 80000;"), "{change}");
    assert!(change.contains("Recognised by their default: 75.000 s"), "{change}");
    assert!(!change.contains("Envoy"), "{change}");
}

#[test]
fn a_healthy_capture_says_what_was_looked_for_and_names_the_risk() {
    let page = page_of(&fixtures::healthy_report(), &[]);
    assert!(page.starts_with("# No request was lost yet: idle timers in the wrong order\n"), "{page}");
    assert!(section(&page, "What was looked for").contains("crossed the server's close"), "{page}");
    assert!(section(&page, "The timers that were seen").contains("| `10.0.2.7:3000` |"), "{page}");
    assert!(!page.contains("## Root cause") && !page.contains("## Impact"), "{page}");
}

#[test]
fn an_inconclusive_capture_is_never_a_pass() {
    let mut report = fixtures::healthy_report();
    report.servers.clear();
    report.summary.conclusive = false;
    report.summary.notes = vec!["server.pcap: it holds one direction only".to_owned()];
    let page = page_of(&report, &[]);
    assert!(page.starts_with("# Inconclusive: whether requests were lost cannot be told\n"), "{page}");
    assert!(section(&page, "Summary").contains("it holds one direction only"), "{page}");
    assert!(!page.contains("No request was lost"), "{page}");
}

#[test]
fn many_incidents_are_counted_by_cause_and_server_and_the_first_are_listed() {
    let mut report = fixtures::report();
    let incidents = report.incidents.clone();
    report.incidents = (0..5_000_u32)
        .map(|index| {
            let mut incident = incidents[index as usize % incidents.len()].clone();
            (incident.id, incident.stream) = (index + 1, index);
            incident.server = format!("10.0.2.{}:3000", index % 9);
            incident
        })
        .collect();
    report.summary.incidents = 5_000;
    let stories: Vec<Story> = groups(&report).iter().map(|_| Story::default()).collect();
    let page = page_of(&report, &stories);
    assert!(page.contains("The first 20 of 5 000:"), "{page}");
    assert!(page.len() < 40_000, "{} bytes", page.len());
    assert!(page.contains("| `crossed-fin` | `10.0.2.0:3000` |"), "{page}");
}

#[test]
fn hostile_names_and_paths_stay_text() {
    let (mut report, stories) = race();
    report.captures[0].file = "a`|\n<script>.pcap".to_owned();
    report.incidents[0].request.path = Some("/`|<img src=x>\n# heading @all".to_owned());
    let page = page_of(&report, &stories);
    // In a fence everything is text.
    let prose: String = page.split("```").step_by(2).collect();
    assert!(!prose.contains("<script") && !prose.contains("<img"), "{page}");
    assert!(!page.lines().any(|line| line.starts_with("# heading")), "{page}");
    for row in page.lines().filter(|line| line.starts_with('|')) {
        let cells = row.replace("\\|", "").matches('|').count();
        assert!((3..=9).contains(&cells), "{row}");
    }
}
