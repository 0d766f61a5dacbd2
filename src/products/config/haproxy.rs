//! HAProxy: `timeout http-keep-alive` and what stands in for it; and whether connections to servers are kept.

use super::super::setting::suspicion;
use super::{DAY, Found, HOUR, MINUTE, MS, Reading, SECOND, Value, time, without_comment};

const UNITS: [(&str, i64); 6] =
    [("us", 1_000), ("ms", MS), ("s", SECOND), ("m", MINUTE), ("h", HOUR), ("d", DAY)];

/// Each stands in for the one before it (HAProxy configuration manual, timeout http-keep-alive).
const CLIENT_TIMEOUTS: [&str; 3] = ["http-keep-alive", "http-request", "client"];

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    let mut by_name: [Vec<Found>; 3] = Default::default();
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let statement = without_comment(raw).trim();
        let words: Vec<&str> = statement.split_whitespace().collect();
        let found = |value| Found { line, text: statement.to_owned(), value };
        match words[..] {
            ["timeout", name, value, ..] => {
                let Some(at) = CLIENT_TIMEOUTS.iter().position(|known| *known == name) else { continue };
                if let Ok(number) = value.parse::<f64>() {
                    reading.warnings.extend(suspicion(
                        &format!("timeout {name} (line {line})"),
                        number,
                        "ms",
                    ));
                }
                by_name[at].push(found(time(value, MS, &UNITS).map_or(Value::Unreadable, Value::Time)));
            }
            ["http-reuse", "never"] | ["option", "http-server-close" | "httpclose", ..] => {
                reading.upstream.push(found(Value::NoKeepAlive));
            }
            ["option", "tcpka" | "srvtcpka" | "clitcpka", ..] => reading
                .warnings
                .push(format!("line {line}: {statement} sends probes of TCP and changes no idle timer")),
            _ => {}
        }
    }
    reading.downstream = by_name.into_iter().find(|found| !found.is_empty()).unwrap_or_default();
    reading
}
