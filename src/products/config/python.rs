//! Python: Gunicorn's `keepalive` and the worker class that may not use it; Hypercorn's and Uvicorn's timeouts.

use super::super::setting::suspicion;
use super::{Found, Reading, SECOND, Value, without_comment};

/// Settings of Gunicorn that a file of it assigns.
const GUNICORN: [&str; 12] = [
    "bind",
    "workers",
    "worker_class",
    "threads",
    "keepalive",
    "wsgi_app",
    "max_requests",
    "graceful_timeout",
    "preload_app",
    "worker_connections",
    "accesslog",
    "forwarded_allow_ips",
];

/// `name = value` of a line, and whether it stands by itself.
fn assignment(raw: &str) -> Option<(&str, &str, bool)> {
    let (name, value) = without_comment(raw).split_once('=').filter(|(_, value)| !value.starts_with('='))?;
    let name = name.split(':').next().unwrap_or_default();
    let plain = !name.trim().is_empty()
        && name.trim().chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    plain.then(|| (name.trim(), value.trim(), !raw.starts_with([' ', '\t'])))
}

fn keeps_hypercorn(text: &str) -> bool {
    let toml_or_python = |raw: &str| assignment(raw).is_some_and(|(name, ..)| name == "keep_alive_timeout");
    text.lines().any(|raw| toml_or_python(raw) || raw.contains(".keep_alive_timeout"))
}

fn runs_uvicorn(text: &str) -> bool {
    text.lines().any(|raw| {
        without_comment(raw).contains("uvicorn.run(") || without_comment(raw).contains("uvicorn.Config(")
    })
}

pub(super) fn looks_like(text: &str) -> bool {
    if keeps_hypercorn(text) || runs_uvicorn(text) {
        return true;
    }
    let code = text.lines().any(|raw| {
        let line = raw.trim_start();
        line.starts_with("const ")
            || line.ends_with('{')
            || line.ends_with(';')
            || line.starts_with("[")
            || line.starts_with("<?")
    });
    let names: Vec<&str> = text.lines().filter_map(assignment).map(|(name, ..)| name).collect();
    let telling = ["worker_class", "keepalive", "wsgi_app"].iter().any(|name| names.contains(name));
    let known = GUNICORN.iter().filter(|known| names.contains(known)).count();
    !code && (telling || known >= 1)
}

pub(super) fn read(text: &str) -> Reading {
    if keeps_hypercorn(text) {
        return simple(text, "hypercorn", "keep_alive_timeout", ("keep_alive_timeout = {}", SECOND));
    }
    if runs_uvicorn(text) {
        return simple(
            text,
            "uvicorn",
            "timeout_keep_alive",
            ("uvicorn.run(..., timeout_keep_alive={})", SECOND),
        );
    }
    gunicorn(text)
}

/// A server whose timeout is one number of seconds behind a name, `name=5`.
fn simple(text: &str, id: &'static str, name: &str, line: (&'static str, i64)) -> Reading {
    let mut reading = Reading::of(Some(id), None);
    reading.line = Some(line);
    for (index, raw) in text.lines().enumerate() {
        let Some((_, behind)) = without_comment(raw).split_once(name) else { continue };
        // keep=5, settings["keep"] = 5, {"keep": 5}
        let behind = behind.trim_start_matches(['"', '\'', ']', ' ']);
        let Some(value) = behind.strip_prefix(['=', ':']) else { continue };
        let end = value.find([',', ')', '#', '}']).unwrap_or(value.len());
        reading.downstream.push(Found::at(
            text,
            index + 1,
            seconds(value[..end].trim(), &mut reading.warnings, name, index + 1),
        ));
    }
    // What `**settings` holds may set it.
    if reading.downstream.is_empty() && text.lines().any(|raw| without_comment(raw).contains("**")) {
        reading.incomplete = Some("its settings come from **, which was not followed".to_owned());
    }
    reading
}

fn seconds(value: &str, warnings: &mut Vec<String>, name: &str, line: usize) -> Value {
    match value.replace('_', "").parse::<f64>() {
        Ok(number) if number.is_finite() && number < 1e9 => {
            warnings.extend(suspicion(&format!("{name} (line {line})"), number, "s"));
            if number > 0.0 { Value::Time((number * SECOND as f64) as i64) } else { Value::NoKeepAlive }
        }
        _ => Value::Unreadable,
    }
}

/// What is known of a Gunicorn, from its file or from its command line.
#[derive(Default)]
pub(super) struct Gunicorn {
    pub worker: Option<String>,
    /// More than one, or not known.
    pub threads: Option<f64>,
    pub keepalive: Option<Found>,
}

impl Gunicorn {
    /// The worker that runs decides whether the timeout is used.
    pub fn reading(self) -> Reading {
        let mut reading = Reading::of(Some("gunicorn"), None);
        reading.line = Some(("keepalive = {}", SECOND));
        let several = self.threads.is_some_and(|threads| threads > 1.0);
        let sync = match self.worker.as_deref() {
            None | Some("sync") => !several,
            Some("tornado") => {
                reading.warnings.push("the tornado worker does not use keepalive: Tornado keeps connections by its own idle_connection_timeout".to_owned());
                let text = "worker_class tornado".to_owned();
                reading.downstream.push(Found {
                    file: None,
                    line: 0,
                    text,
                    value: Value::Unreadable,
                    unset: false,
                });
                return reading;
            }
            Some(_) => false,
        };
        match self.keepalive {
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
                reading.downstream.push(Found {
                    file: None,
                    line: 0,
                    text,
                    value: Value::NoKeepAlive,
                    unset: false,
                });
            }
            None => {}
        }
        reading
    }
}

fn gunicorn(text: &str) -> Reading {
    let mut set = Gunicorn::default();
    let mut warnings = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let Some((name, value, by_itself)) = assignment(raw) else { continue };
        match name {
            "keepalive" => {
                // What is indented belongs to a branch or a function: whether it runs is not known.
                let value =
                    if by_itself { seconds(value, &mut warnings, name, line) } else { Value::Unreadable };
                set.keepalive = Some(Found::at(text, line, value));
            }
            "worker_class" => {
                set.worker =
                    Some(if by_itself { value.trim_matches(['"', '\'']).to_owned() } else { "?".to_owned() })
            }
            "threads" => set.threads = Some(value.parse().ok().filter(|_| by_itself).unwrap_or(2.0)),
            _ => {}
        }
    }
    let mut reading = set.reading();
    reading.warnings.splice(0..0, warnings);
    reading
}
