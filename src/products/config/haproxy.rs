//! HAProxy: `timeout http-keep-alive` and what stands in for it; and whether connections to servers are kept.

use super::super::setting::suspicion;
use super::{DAY, Found, HOUR, MINUTE, MS, Reading, SECOND, Value, time, without_comment};

const UNITS: [(&str, i64); 6] =
    [("us", 1_000), ("ms", MS), ("s", SECOND), ("m", MINUTE), ("h", HOUR), ("d", DAY)];

/// Each stands in for the one before it (HAProxy configuration manual, timeout http-keep-alive).
const CLIENT_TIMEOUTS: [&str; 3] = ["http-keep-alive", "http-request", "client"];

const SECTIONS: [&str; 5] = ["global", "defaults", "frontend", "backend", "listen"];

/// What is set in a section, or in the defaults before it.
#[derive(Clone, Default)]
struct Section {
    word: String,
    line: usize,
    timeouts: [Option<Found>; 3],
    /// The option that closes connections to servers after each response, where it is on.
    closes: Option<Found>,
    /// `option httpclose` closes those of clients as well.
    closes_clients: Option<Found>,
    tcp: bool,
}

fn words(line: &str) -> Vec<&str> {
    without_comment(line).split_whitespace().collect()
}

pub(super) fn looks_like(text: &str) -> bool {
    const WITHIN: [&str; 11] = [
        "mode",
        "bind",
        "server",
        "timeout",
        "balance",
        "option",
        "default_backend",
        "http-reuse",
        "maxconn",
        "use_backend",
        "retries",
    ];
    let mut section = false;
    for line in text.lines() {
        match words(line)[..] {
            [word, ..] if SECTIONS.contains(&word) && !line.contains(['{', ':', '=']) => section = true,
            [word, _, ..] if section && WITHIN.contains(&word) && !line.trim_end().ends_with(['{', ';']) => {
                return true;
            }
            _ => {}
        }
    }
    false
}

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::of(Some("haproxy"), Some("haproxy"));
    reading.line = Some(("timeout http-keep-alive {}s", SECOND));
    let sections = sections(text, &mut reading);
    let of = |kinds: &'static [&str]| sections.iter().filter(move |it| kinds.contains(&it.word.as_str()));
    let defaults_only = of(&["frontend", "backend", "listen"]).next().is_none();
    let fronts: Vec<&Section> =
        if defaults_only { of(&["defaults"]).collect() } else { of(&["frontend", "listen"]).collect() };
    let backs: Vec<&Section> =
        if defaults_only { of(&["defaults"]).collect() } else { of(&["backend", "listen"]).collect() };
    // A fragment with only backends or only frontends says nothing of the other side.
    let fronts = if fronts.is_empty() { of(&["defaults"]).collect() } else { fronts };
    for front in &fronts {
        let set = front.closes_clients.clone().or_else(|| front.timeouts.iter().flatten().next().cloned());
        reading.downstream.extend(set);
    }
    // Of defaults alone each backend has taken what holds for it.
    let real = fronts.iter().all(|front| front.word != "defaults");
    let all_close = real && !fronts.is_empty() && fronts.iter().all(|front| front.closes.is_some());
    for back in &backs {
        let closes = back
            .closes
            .clone()
            .or_else(|| fronts.first().and_then(|it| it.closes.clone()).filter(|_| all_close));
        reading.upstream.push(match closes {
            Some(found) => found,
            None if back.tcp => {
                reading.warnings.push(format!(
                    "line {}: mode tcp hands bytes through: a client's connection and its server's end together, and who closes them first is not told by this file",
                    back.line
                ));
                Found::at(text, back.line, Value::Unreadable)
            }
            None => Found::unset(text, back.line, Value::Never),
        });
    }
    reading
}

fn sections(text: &str, reading: &mut Reading) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut defaults: Option<Section> = None;
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let statement = words(raw);
        let found = |value| Found::at(text, line, value);
        if let Some(word) = statement.first().filter(|word| SECTIONS.contains(word)) {
            let inherited = defaults.clone().filter(|_| *word != "defaults").unwrap_or_default();
            sections.push(Section { word: (*word).to_owned(), line, ..inherited });
            continue;
        }
        if sections.is_empty() {
            sections.push(Section { word: "defaults".to_owned(), line, ..Section::default() });
        }
        let Some(section) = sections.last_mut() else { continue };
        match statement[..] {
            ["timeout", name, value, ..] => {
                if let Some(at) = CLIENT_TIMEOUTS.iter().position(|known| *known == name) {
                    if let Ok(number) = value.parse::<f64>() {
                        let key = format!("timeout {name} (line {line})");
                        reading.warnings.extend(suspicion(&key, number, "ms"));
                    }
                    let value = time(value, MS, &UNITS).map_or(Value::Unreadable, Value::Time);
                    section.timeouts[at] = Some(found(value));
                }
            }
            ["option", "http-server-close", ..] => section.closes = Some(found(Value::NoKeepAlive)),
            ["option", "httpclose" | "forceclose", ..] => {
                section.closes = Some(found(Value::NoKeepAlive));
                section.closes_clients = Some(found(Value::NoKeepAlive));
            }
            ["option", "http-keep-alive", ..] | ["no", "option", "http-server-close" | "httpclose", ..] => {
                (section.closes, section.closes_clients) = (None, None);
            }
            ["mode", mode, ..] => section.tcp = mode == "tcp",
            ["option", "tcpka" | "srvtcpka" | "clitcpka", ..] => reading
                .warnings
                .push(format!("line {line}: {} sends probes of TCP and changes no idle timer", raw.trim())),
            _ => {}
        }
        if statement.contains(&"pool-purge-delay") {
            reading.warnings.push(format!(
                "line {line}: pool-purge-delay is no limit for one connection (with 4s, idle connections lived 12 to 16 s in HAProxy 2.6.12)"
            ));
        }
        if let ["http-reuse", "never", ..] = statement[..] {
            reading.warnings.push(format!(
                "line {line}: http-reuse never keeps the connection of each client to its server all the same, for that client's next request"
            ));
        }
        if section.word == "defaults" {
            defaults = Some(section.clone());
        }
    }
    sections
}
