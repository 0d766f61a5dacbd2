//! What a labelled capture must mean: `facts.toml`, and its comparison with a report.

use std::collections::BTreeMap;

use finrace::report::{Incident, Report, Side, Vantage};
use serde::Deserialize;

use super::story::time;

/// What must be found in both captures of a directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Whether the captures could have shown a lost request.
    pub conclusive: bool,
    /// How each connection ended, by stream; `server-fin * 20` stands for twenty.
    pub endings: Vec<String>,
    /// The verdict on each server whose timers are known.
    #[serde(default)]
    pub servers: BTreeMap<String, String>,
    /// A part of each note that the summary must hold.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Endings and verdicts as the server's capture shows them, where packets that one side only saw make them differ.
    pub seen_from_server: Option<Seen>,
    /// Requests without their response, in the order of time.
    #[serde(default, rename = "incident")]
    pub incidents: Vec<ExpectedIncident>,
    /// Properties that cannot hold here, with the reason.
    #[serde(default)]
    pub except: BTreeMap<String, String>,
}

/// What differs at one side.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub endings: Vec<String>,
    #[serde(default)]
    pub servers: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedIncident {
    pub cause: String,
    pub confidence: String,
    pub stream: u32,
    pub request: String,
    pub race: bool,
    pub retry_safe: String,
    /// `true`, `false`, or one of the other words of the report.
    pub retried: toml::Value,
    pub requests_before: u32,
    /// Whether it is told to be the first of its connection, where that is the point; only the whole capture can tell.
    pub first_request: Option<bool>,
    pub resets: u32,
    /// The same at the server, where a device in the path sends RSTs to one end only.
    pub resets_at_server: Option<u32>,
    pub ack_covers_fin: Option<bool>,
    /// `client` or `server` where only that side's capture can show it: what is lost on the way is not seen beyond.
    pub seen_from: Option<String>,
    /// Shortest and longest idle time that is right: up to the request, the same where the capture lacks its beginning, and
    /// up to the server's close. The last is compared only where it is given.
    pub idle: Option<[String; 2]>,
    pub idle_at_least: Option<[String; 2]>,
    pub idle_at_close: Option<[String; 2]>,
    /// Parts of what is said to have happened and to be changed, and words that must not be there.
    #[serde(default)]
    pub says: Vec<String>,
    #[serde(default)]
    pub never_says: Vec<String>,
    pub frames: Frames,
}

/// Frame numbers by role, at each side.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Frames {
    pub client: BTreeMap<String, u64>,
    pub server: BTreeMap<String, u64>,
}

/// How much a changed capture can still be held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Everything, each frame number among it.
    Everything,
    /// What happened, without the frame numbers and without what depends on the beginning of the capture.
    Verdicts,
}

impl Facts {
    /// Where a report on the capture of one side differs from the facts, a line for each difference. `frame` says which
    /// frame of the capture in hand is one of the original.
    pub fn differences(
        &self,
        report: &Report,
        side: Side,
        strictness: Strictness,
        frame: impl Fn(u64) -> u64,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut compare = |what: String, expected: String, actual: String| {
            if expected != actual {
                wrong.push(format!("{what}: expected {expected}, found {actual}"));
            }
        };
        compare("conclusive".into(), self.conclusive.to_string(), report.summary.conclusive.to_string());
        let expected: Vec<_> = self.incidents.iter().filter(|expected| expected.is_seen_from(side)).collect();
        let causes = |causes: Vec<String>| causes.join(" ");
        compare(
            "incidents".into(),
            causes(
                expected.iter().map(|expected| format!("{}@{}", expected.cause, expected.stream)).collect(),
            ),
            causes(
                report.incidents.iter().map(|found| format!("{}@{}", found.cause, found.stream)).collect(),
            ),
        );
        if expected.len() == report.incidents.len() {
            for (expected, found) in expected.into_iter().zip(&report.incidents) {
                expected.compare(found, side, strictness, &frame, &mut compare);
            }
        }
        // That packets came twice is a fact of the capture point, and each capture is tried from one that duplicates.
        let counts =
            |note: &&String| strictness == Strictness::Everything || !note.contains("in the capture twice");
        let notes: Vec<&String> = report.summary.notes.iter().filter(counts).collect();
        let expected_notes: Vec<&String> = self.notes.iter().filter(counts).collect();
        compare("notes".into(), expected_notes.len().to_string(), notes.len().to_string());
        for (expected, found) in expected_notes.into_iter().zip(notes) {
            compare(format!("`{expected}` in note"), "true".into(), found.contains(expected).to_string());
        }
        let connections = report.connections.as_deref().unwrap_or_default();
        let endings: Vec<_> =
            connections.iter().map(|connection| (connection.stream, connection.ending)).collect();
        let (expected_endings, expected_servers) = match &self.seen_from_server {
            Some(seen) if side == Side::Server => (expand(&seen.endings), &seen.servers),
            _ => (expand(&self.endings), &self.servers),
        };
        let count = expected_endings.len();
        for (stream, expected) in expected_endings.into_iter().enumerate() {
            let found = endings.iter().find(|(found, _)| *found as usize == stream);
            let found = found.map_or("no such connection".to_owned(), |(_, ending)| ending.to_string());
            compare(format!("ending of stream {stream}"), expected, found);
        }
        compare("connections".into(), count.to_string(), connections.len().to_string());
        if strictness == Strictness::Everything {
            for server in &report.servers {
                let expected = expected_servers.get(&server.server).map_or("none", String::as_str);
                compare(format!("server {}", server.server), expected.into(), server.verdict.to_string());
            }
            for (server, expected) in expected_servers {
                let listed = report.servers.iter().any(|found| found.server == *server);
                if !listed {
                    compare(format!("server {server}"), expected.clone(), "no such server".into());
                }
            }
            let opposite = if side == Side::Client { Vantage::Server } else { Vantage::Client };
            for connection in connections {
                let wrong_side = [opposite, Vantage::Between].contains(&connection.vantage);
                compare(
                    format!("stream {} looks captured elsewhere", connection.stream),
                    false.to_string(),
                    wrong_side.to_string(),
                );
            }
        }
        wrong
    }
}

/// Endings with their repetitions written out.
fn expand(endings: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for ending in endings {
        match ending.split_once(" * ") {
            Some((name, times)) => {
                let times = times.parse().expect("endings: a number behind `*`");
                all.extend(std::iter::repeat_n(name.to_owned(), times));
            }
            None => all.push(ending.clone()),
        }
    }
    all
}

impl ExpectedIncident {
    fn is_seen_from(&self, side: Side) -> bool {
        self.seen_from.as_ref().is_none_or(|seen_from| seen_from == side.token())
    }

    fn compare(
        &self,
        found: &Incident,
        side: Side,
        strictness: Strictness,
        frame: &impl Fn(u64) -> u64,
        compare: &mut impl FnMut(String, String, String),
    ) {
        let name = format!("incident on stream {}", self.stream);
        let mut field = |what: &str, expected: String, actual: String| {
            compare(format!("{name}: {what}"), expected, actual);
        };
        field("confidence", self.confidence.clone(), found.confidence.to_string());
        field("race", self.race.to_string(), found.race.to_string());
        field("retry_safe", self.retry_safe.clone(), found.retry_safe.to_string());
        let retried = self.retried.as_str().map_or_else(|| self.retried.to_string(), str::to_owned);
        field("retried", retried, found.retried.to_string());
        field("ack_covers_fin", format!("{:?}", self.ack_covers_fin), format!("{:?}", found.ack_covers_fin));
        if strictness == Strictness::Verdicts {
            return;
        }
        field("request", self.request.clone(), found.request.label());
        field("requests_before", self.requests_before.to_string(), found.requests_before.to_string());
        let resets = self.resets_at_server.filter(|_| side == Side::Server).unwrap_or(self.resets);
        field("resets", resets.to_string(), found.resets.to_string());
        let idle_at_close = found.idle_at_close_ns.filter(|_| self.idle_at_close.is_some());
        for (what, expected, found) in [
            ("idle", &self.idle, found.idle_ns),
            ("idle_at_least", &self.idle_at_least, found.idle_at_least_ns),
            ("idle_at_close", &self.idle_at_close, idle_at_close),
        ] {
            if !is_within(expected.as_ref(), found) {
                field(what, format!("{expected:?}"), format!("{found:?} ns"));
            }
        }
        let said = format!("{} {}", found.what_happened, found.advice);
        for (words, expected) in [(&self.says, true), (&self.never_says, false)] {
            for word in words.iter().filter(|word| said.contains(word.as_str()) != expected) {
                field(if expected { "says" } else { "never_says" }, word.clone(), said.clone());
            }
        }
        let frames = if side == Side::Client { &self.frames.client } else { &self.frames.server };
        for (role, number) in frames {
            let actual =
                found.frames.iter().find(|(known, _)| known.token() == role).map(|(_, frame)| *frame);
            let actual = actual.map_or("none".to_owned(), |frame| frame.to_string());
            field(&format!("frame of {role}"), frame(*number).to_string(), actual);
        }
    }
}

/// Whether a time in ns is one of those that are right.
fn is_within(expected: Option<&[String; 2]>, found: Option<i64>) -> bool {
    let ns = |text: &String| time(text).expect("a duration") * 1_000;
    match (expected, found) {
        (Some([shortest, longest]), Some(found)) => (ns(shortest)..=ns(longest)).contains(&found),
        (None, None) => true,
        _ => false,
    }
}

/// What was found, in the notation of `facts.toml`.
pub fn notation(report: &Report, side: Side) -> String {
    let connections = report.connections.as_deref().unwrap_or_default();
    let endings: BTreeMap<u32, String> = connections
        .iter()
        .map(|connection| (connection.stream, format!("\"{}\"", connection.ending)))
        .collect();
    let endings: Vec<String> = endings.into_values().collect();
    let mut lines = vec![
        format!("conclusive = {}", report.summary.conclusive),
        format!("notes = {:?}", report.summary.notes),
        format!("endings = [{}]", endings.join(", ")),
    ];
    if !report.servers.is_empty() {
        lines.push("\n[servers]".to_owned());
    }
    lines.extend(
        report.servers.iter().map(|server| format!("\"{}\" = \"{}\"", server.server, server.verdict)),
    );
    for found in &report.incidents {
        lines.push("\n[[incident]]".to_owned());
        for (key, word) in [
            ("cause", found.cause.token()),
            ("confidence", found.confidence.token()),
            ("request", &found.request.label()),
            ("retry_safe", found.retry_safe.token()),
        ] {
            lines.push(format!("{key} = \"{word}\""));
        }
        let retried = serde_json::to_string(&found.retried).expect("a word");
        lines.push(format!("stream = {}\nrace = {}\nretried = {retried}", found.stream, found.race));
        lines.push(format!("requests_before = {}\nresets = {}", found.requests_before, found.resets));
        lines.extend(found.ack_covers_fin.map(|covers| format!("ack_covers_fin = {covers}")));
        let idle = [
            ("idle", found.idle_ns),
            ("idle_at_least", found.idle_at_least_ns),
            ("idle_at_close", found.idle_at_close_ns),
        ];
        lines
            .extend(idle.into_iter().filter_map(|(what, ns)| {
                ns.map(|ns| format!("{what} = [\"{0}us\", \"{0}us\"]", ns / 1_000))
            }));
        let frames: Vec<_> = found.frames.iter().map(|(role, frame)| format!("{role} = {frame}")).collect();
        lines.push(format!("frames.{side} = {{ {} }}", frames.join(", ")));
    }
    lines.join("\n")
}
