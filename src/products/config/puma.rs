//! Puma's `puma.rb`: `persistent_timeout`.

use super::{Found, Reading, SECOND, Value, without_comment};

/// Words that begin a line of it.
const WORDS: [&str; 12] = [
    "threads",
    "workers",
    "bind",
    "port",
    "persistent_timeout",
    "preload_app!",
    "plugin",
    "environment",
    "rackup",
    "pidfile",
    "worker_timeout",
    "max_threads",
];

fn word(line: &str) -> &str {
    line.trim().split([' ', '(', '\t']).next().unwrap_or_default()
}

pub(super) fn looks_like(text: &str) -> bool {
    let mut known: Vec<&str> =
        text.lines().map(|line| word(without_comment(line))).filter(|it| WORDS.contains(it)).collect();
    known.sort_unstable();
    known.dedup();
    let keys = text.lines().any(|line| matches!(without_comment(line).trim().split_once(['=', ':']), Some((key, _)) if !key.trim().contains(' ') && key.trim().chars().all(char::is_alphanumeric)));
    known.contains(&"persistent_timeout") || (known.len() >= 2 && !keys)
}

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::of(Some("puma"), None);
    reading.line = Some(("persistent_timeout {}", SECOND));
    let mut set = None;
    for (index, raw) in text.lines().enumerate() {
        let statement = without_comment(raw).trim();
        let value =
            statement.strip_prefix(word(statement)).unwrap_or_default().trim().trim_matches(['(', ')', ' ']);
        match word(statement) {
            "persistent_timeout" => {
                let seconds = value.replace('_', "").parse::<f64>().ok().filter(|it| *it > 0.0 && *it < 1e9);
                let value = seconds.map_or(Value::Unreadable, |it| Value::Time((it * SECOND as f64) as i64));
                set = Some(Found::at(text, index + 1, value));
            }
            "enable_keep_alives" if value == "false" => {
                set = Some(Found::at(text, index + 1, Value::NoKeepAlive));
            }
            _ => {}
        }
    }
    reading.downstream.extend(set);
    reading
}
