//! Apache httpd: `KeepAlive`, `KeepAliveTimeout`, and the `ttl` of connections to backends.

use super::super::setting::suspicion;
use super::files::Files;
use super::{Found, HOUR, MINUTE, MS, Reading, SECOND, Value, time};

const UNITS: [(&str, i64); 5] = [("ms", MS), ("s", SECOND), ("min", MINUTE), ("mi", MINUTE), ("h", HOUR)];
/// Longer chains of includes are loops under several names.
const DEEPEST: usize = 64;

/// A directive, with its words in lower case and the section around it.
struct Statement {
    file: String,
    line: usize,
    words: Vec<String>,
    /// `<Proxy …>` around it: what it is for.
    proxy: Option<String>,
    /// Within `<Location>` and the like, so it holds for a part of the requests only.
    partly: bool,
}

pub(super) fn looks_like(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "keepalive",
        "keepalivetimeout",
        "maxkeepaliverequests",
        "proxypass",
        "proxypassmatch",
        "loadmodule",
        "serverroot",
        "documentroot",
        "balancermember",
        "proxyset",
        "servername",
        "<virtualhost",
    ];
    statements(text).iter().any(|(_, words)| {
        let ends = words.last().is_some_and(|word| word.ends_with([';', '{']));
        let switch = words[0] != "keepalive" || words.get(1).is_some_and(|it| it == "on" || it == "off");
        words.len() >= 2 && WORDS.contains(&words[0].as_str()) && switch && !ends && words[1] != "="
    })
}

pub(super) fn read(files: &mut Files) -> Result<Reading, String> {
    let mut reading = Reading::of(Some("apache-httpd"), Some("apache-mod-proxy"));
    let mut all = Vec::new();
    let main = files.main();
    include(files, &mut reading, &mut Vec::new(), &main, &mut all)?;
    let found = |statement: &Statement, value| Found {
        file: Some(statement.file.clone()),
        ..Found::at(files.text(&statement.file), statement.line, value)
    };
    let mut off = None;
    for statement in &all {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        match words[..] {
            ["keepalive", "off"] => off = Some(found(statement, Value::NoKeepAlive)),
            ["keepalivetimeout", value] => {
                if let Ok(number) = value.parse::<f64>() {
                    let key = format!("KeepAliveTimeout (line {})", statement.line);
                    reading.warnings.extend(suspicion(&key, number, "s"));
                }
                let value = match time(value, SECOND, &UNITS) {
                    Some(0) => Value::NoKeepAlive,
                    Some(ns) => Value::Time(ns),
                    None => Value::Unreadable,
                };
                reading.downstream.push(found(statement, value));
            }
            ["proxypass" | "proxypassmatch", ref arguments @ ..] => {
                let target = arguments.iter().copied().find(|it| it.contains("://"));
                if target.is_some_and(|target| {
                    ["http", "h2", "ws", "balancer"].iter().any(|it| target.starts_with(it))
                }) {
                    let value = kept(arguments).or_else(|| of_section(&all, target.unwrap_or_default()));
                    // The members of a balancer have parameters of their own.
                    let members = target.is_some_and(|it| it.starts_with("balancer"))
                        && all.iter().any(|it| it.words[0] == "balancermember");
                    match value {
                        Some(value) => reading.upstream.push(found(statement, value)),
                        None if members => {}
                        None => {
                            reading.upstream.push(Found { unset: true, ..found(statement, Value::Never) })
                        }
                    }
                }
            }
            ["balancermember", ref arguments @ ..] => {
                let value = kept(arguments);
                let unset = value.is_none();
                let value = found(statement, value.unwrap_or(Value::Never));
                reading.upstream.push(Found { unset, ..value });
            }
            ["setenv", "proxy-nokeepalive", ..] if !statement.partly => {
                reading.upstream = vec![found(statement, Value::NoKeepAlive)];
                break;
            }
            _ => {}
        }
        if words[0].starts_with("proxy") && words.contains(&"keepalive=on") {
            reading.warnings.push(format!(
                "line {}: keepalive=On sends probes of TCP and changes no idle timer",
                statement.line
            ));
        }
    }
    if let Some(off) = off {
        reading.downstream = vec![off];
    }
    Ok(reading)
}

/// What parameters of a worker say of its idle connections.
fn kept(parameters: &[&str]) -> Option<Value> {
    let mut value = None;
    for parameter in parameters {
        match parameter.split_once('=') {
            Some(("ttl", text)) => {
                value = value.or(Some(time(text, SECOND, &UNITS).map_or(Value::Unreadable, Value::Time)))
            }
            Some(("disablereuse", "on")) | Some(("enablereuse", "off")) => value = Some(Value::NoKeepAlive),
            _ => {}
        }
    }
    value
}

/// `ProxySet` within a `<Proxy>` of that address.
fn of_section(all: &[Statement], target: &str) -> Option<Value> {
    let plain = |address: &str| address.trim_end_matches(['/', '>', '*']).to_owned();
    all.iter().filter(|it| it.words[0] == "proxyset").find_map(|statement| {
        let arguments: Vec<&str> = statement.words.iter().skip(1).map(String::as_str).collect();
        let address = statement
            .proxy
            .as_deref()
            .or_else(|| arguments.first().copied().filter(|it| it.contains("://")))?;
        kept(&arguments).filter(|_| plain(target).starts_with(&plain(address)))
    })
}

fn include(
    files: &mut Files,
    reading: &mut Reading,
    open: &mut Vec<String>,
    file: &str,
    all: &mut Vec<Statement>,
) -> Result<(), String> {
    if open.iter().any(|known| known == file) || open.len() > DEEPEST {
        return Err(format!("{file} includes itself: {}", open.join(", then ")));
    }
    open.push(file.to_owned());
    let (mut proxy, mut sections) = (None, 0_usize);
    for (line, words) in statements(files.text(file)) {
        match words[0].as_str() {
            "<proxy" => proxy = words.get(1).map(|it| it.trim_end_matches('>').to_owned()),
            "</proxy>" => proxy = None,
            "<location" | "<locationmatch" | "<directory" | "<directorymatch" | "<files" | "<if" => {
                sections += 1
            }
            "</location>" | "</locationmatch>" | "</directory>" | "</directorymatch>" | "</files>"
            | "</if>" => {
                sections = sections.saturating_sub(1);
            }
            "include" | "includeoptional" => {
                let raw = files.text(file).lines().nth(line - 1).unwrap_or_default();
                let pattern = raw.split_whitespace().nth(1).unwrap_or_default().trim_matches('"').to_owned();
                let found = files.matching(&pattern)?;
                if found.is_empty() && words[0] == "include" && !pattern.contains('*') {
                    reading.missing(file, line, &pattern);
                }
                for included in found {
                    include(files, reading, open, &included, all)?;
                }
            }
            _ => {}
        }
        all.push(Statement {
            file: file.to_owned(),
            line,
            words,
            proxy: proxy.clone(),
            partly: sections > 0,
        });
    }
    open.pop();
    Ok(())
}

/// The words of each line in lower case, without comments; those that end with a backslash joined with the next, numbered
/// like their first.
fn statements(text: &str) -> Vec<(usize, Vec<String>)> {
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
    let words = |statement: String| -> Vec<String> {
        statement.split_whitespace().map(|word| word.trim_matches('"').to_ascii_lowercase()).collect()
    };
    found
        .into_iter()
        .map(|(line, statement)| (line, words(statement)))
        .filter(|(_, words)| !words.is_empty())
        .collect()
}
