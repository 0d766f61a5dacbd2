//! uWSGI's ini: `http-keepalive` of its HTTP router.

use super::super::setting::suspicion;
use super::{Found, Reading, SECOND, Value};

pub(super) fn looks_like(text: &str) -> bool {
    text.lines().any(|line| line.trim() == "[uwsgi]")
}

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::of(Some("uwsgi-http"), None);
    reading.line = Some(("http-keepalive = {}", SECOND));
    let (mut keepalive, mut timeout) = (None, 60.0);
    // http11-socket keeps connections in the worker itself, for socket-timeout.
    let (mut http11, mut socket_timeout) = (None, None);
    let mut within = false;
    for (index, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.starts_with('[') {
            within = line == "[uwsgi]";
        }
        let Some((key, value)) = line.split_once('=').filter(|_| within && !line.starts_with([';', '#']))
        else {
            continue;
        };
        let (key, value) = (key.trim().replace('_', "-"), value.trim());
        let number = value.parse::<f64>().ok().filter(|number| (0.0..1e9).contains(number));
        match key.as_str() {
            "http-keepalive" => {
                keepalive = Some((index + 1, if value == "true" { Some(1.0) } else { number }))
            }
            "http-timeout" => timeout = number.unwrap_or(f64::NAN),
            "http11-socket" => http11 = Some(index + 1),
            "socket-timeout" => {
                let seconds =
                    number.map_or(Value::Unreadable, |number| Value::Time((number * SECOND as f64) as i64));
                socket_timeout = Some(Found::at(text, index + 1, seconds));
            }
            "harakiri" | "so-keepalive" => reading.warnings.push(format!(
                "line {}: {line} does not change when an idle connection is closed",
                index + 1
            )),
            _ => {}
        }
    }
    if let Some(line) = http11 {
        reading.line = Some(("socket-timeout = {}", SECOND));
        reading
            .downstream
            .push(socket_timeout.unwrap_or_else(|| Found::at(text, line, Value::Time(4 * SECOND))));
    }
    let found = match keepalive {
        None if http11.is_some() => return reading,
        None => Found {
            file: None,
            line: 0,
            text: "no http-keepalive, so every connection closes after its response".to_owned(),
            value: Value::NoKeepAlive,
            unset: false,
        },
        Some((line, None)) => Found::at(text, line, Value::Unreadable),
        Some((line, Some(number))) if number < 1.0 => Found::at(text, line, Value::NoKeepAlive),
        // 1 switches it on, with http-timeout as its time.
        Some((line, Some(1.0))) => {
            let value = if timeout.is_nan() {
                Value::Unreadable
            } else {
                Value::Time((timeout * SECOND as f64) as i64)
            };
            Found::at(text, line, value)
        }
        Some((line, Some(number))) => {
            reading.warnings.extend(suspicion(&format!("http-keepalive (line {line})"), number, "s"));
            Found::at(text, line, Value::Time((number * SECOND as f64) as i64))
        }
    };
    reading.downstream.push(found);
    reading
}
