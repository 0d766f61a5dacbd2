//! Gunicorn: `keepalive`, and the worker class that may not use it.

use super::super::setting::suspicion;
use super::{Found, Reading, SECOND, Value, without_comment};

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    let mut worker: Option<String> = None;
    let mut threads = 1.0;
    let mut keepalive = None;
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let statement = without_comment(raw).trim();
        // Only assignments of the whole file: what is indented belongs to a function or a branch.
        let Some((name, value)) = statement.split_once('=').filter(|_| !raw.starts_with([' ', '\t'])) else {
            continue;
        };
        let value = value.trim();
        match name.trim() {
            "keepalive" => {
                let found = match value.replace('_', "").parse::<f64>() {
                    Ok(number) => {
                        reading.warnings.extend(suspicion(&format!("keepalive (line {line})"), number, "s"));
                        if number > 0.0 {
                            Value::Time((number * SECOND as f64) as i64)
                        } else {
                            Value::NoKeepAlive
                        }
                    }
                    Err(_) => Value::Unreadable,
                };
                keepalive = Some(Found { line, text: statement.to_owned(), value: found });
            }
            "worker_class" => worker = Some(value.trim_matches(['"', '\'']).to_owned()),
            "threads" => threads = value.parse().unwrap_or(2.0),
            _ => {}
        }
    }
    let sync = match worker.as_deref() {
        None | Some("sync") => threads <= 1.0,
        Some(_) => false,
    };
    match keepalive {
        Some(found) if sync => {
            reading.warnings.push(format!(
                "line {}: {} has no effect: the sync worker, which runs unless worker_class or threads say otherwise, keeps no connection",
                found.line, found.text
            ));
            reading.downstream.push(Found { value: Value::NoKeepAlive, ..found });
        }
        Some(found) => reading.downstream.push(found),
        None if sync => {
            reading.warnings.push(
                "the sync worker, which runs unless worker_class or threads say otherwise, keeps no connection".to_owned(),
            );
            let text = "no worker_class and no threads".to_owned();
            reading.downstream.push(Found { line: 0, text, value: Value::NoKeepAlive });
        }
        None => {}
    }
    reading
}
