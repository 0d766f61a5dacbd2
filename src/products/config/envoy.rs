//! Envoy in YAML: `idle_timeout` in `common_http_protocol_options`, of the connection manager and of clusters.

use super::{Found, Reading, SECOND, Value, without_comment};

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    // The keys around a line with their indentation, outermost first.
    let mut path: Vec<(usize, String)> = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        let statement = without_comment(raw);
        let body = statement.trim_start_matches([' ', '-']);
        let Some((key, value)) = body.split_once(':') else { continue };
        let indent = statement.len() - body.len();
        path.retain(|(outer, _)| *outer < indent);
        let (key, value) = (key.trim().trim_matches(['"', '\'']), value.trim().trim_matches(['"', '\'']));
        let within = |name: &str| path.iter().any(|(_, key)| key == name);
        if key == "idle_timeout" && within("common_http_protocol_options") {
            let found = Found { line: index + 1, text: statement.trim().to_owned(), value: seconds(value) };
            if within("clusters")
                || within("upstream_http_protocol_options")
                || within("typed_extension_protocol_options")
            {
                reading.upstream.push(found);
            } else {
                reading.downstream.push(found);
            }
        } else if value.starts_with('{') && value.contains("idle_timeout") {
            reading.warnings.push(format!("line {}: written in one line, it was not read", index + 1));
        }
        path.push((indent, key.to_owned()));
    }
    reading
}

/// A duration as protobuf writes it, `3600s` or `0.5s`; 0 switches the timer off.
fn seconds(text: &str) -> Value {
    match text.strip_suffix('s').and_then(|number| number.parse::<f64>().ok()) {
        Some(0.0) => Value::Never,
        Some(number) if number > 0.0 => Value::Time((number * SECOND as f64) as i64),
        _ => Value::Unreadable,
    }
}
