//! Apache httpd: `KeepAlive`, `KeepAliveTimeout`, and the `ttl` of connections to backends.

use super::super::setting::suspicion;
use super::{Found, HOUR, MINUTE, MS, Reading, SECOND, Value, time};

const UNITS: [(&str, i64); 5] = [("ms", MS), ("s", SECOND), ("min", MINUTE), ("mi", MINUTE), ("h", HOUR)];

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    for (line, statement) in statements(text) {
        let lower = statement.to_ascii_lowercase();
        let words: Vec<&str> = lower.split_whitespace().map(|word| word.trim_matches('"')).collect();
        let found = |value| Found { line, text: statement.clone(), value };
        match words[..] {
            ["keepalive", "off"] => reading.downstream.push(found(Value::NoKeepAlive)),
            ["keepalivetimeout", value] => {
                if let Ok(number) = value.parse::<f64>() {
                    reading.warnings.extend(suspicion(
                        &format!("KeepAliveTimeout (line {line})"),
                        number,
                        "s",
                    ));
                }
                reading.downstream.push(found(match time(value, SECOND, &UNITS) {
                    Some(0) => Value::NoKeepAlive,
                    Some(ns) => Value::Time(ns),
                    None => Value::Unreadable,
                }));
            }
            ["proxypass" | "proxypassmatch" | "balancermember" | "proxyset", ref parameters @ ..] => {
                for parameter in parameters {
                    match parameter.split_once('=') {
                        Some(("ttl", value)) => {
                            let value = time(value, SECOND, &UNITS).map_or(Value::Unreadable, Value::Time);
                            reading.upstream.push(found(value));
                        }
                        Some(("disablereuse", "on")) | Some(("enablereuse", "off")) => {
                            reading.upstream.push(found(Value::NoKeepAlive));
                        }
                        Some(("keepalive", "on")) => reading.warnings.push(format!(
                            "line {line}: keepalive=On sends probes of TCP and changes no idle timer"
                        )),
                        _ => {}
                    }
                }
            }
            ["setenv", "proxy-nokeepalive", ..] => reading.upstream.push(found(Value::NoKeepAlive)),
            ["include" | "includeoptional", file] => reading
                .warnings
                .push(format!("line {line}: {file} is included and was not read: check it as well")),
            _ => {}
        }
    }
    reading
}

/// Lines without comments, those that end with a backslash joined with the next; each with the number of its first.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (index, raw) in text.lines().enumerate() {
        let (part, more) = match raw.trim_end().strip_suffix('\\') {
            Some(part) => (part.trim(), true),
            None => (raw.trim(), false),
        };
        match found.last_mut().filter(|_| continued) {
            Some((_, statement)) => {
                statement.push(' ');
                statement.push_str(part);
            }
            None => found.push((index + 1, part.to_owned())),
        }
        continued = more;
    }
    found.retain(|(_, statement)| !statement.is_empty() && !statement.starts_with('#'));
    found
}
