//! A Caddyfile: `keepalive` of each `reverse_proxy`, and `idle` of the servers.

use super::{Found, Reading, SECOND, Value, duration, or_zero};

const UPSTREAM_DEFAULT: Value = Value::Time(120 * SECOND);

/// Words of each line, without comments.
fn lines(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    text.lines().enumerate().filter_map(|(index, raw)| {
        let words: Vec<&str> = raw.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        (!words.is_empty()).then_some((index + 1, words))
    })
}

pub(super) fn looks_like(text: &str) -> bool {
    const WITHIN: [&str; 7] = ["file_server", "php_fastcgi", "encode", "respond", "handle", "root", "redir"];
    let proxy = |words: &[&str]| words[0] == "reverse_proxy" && words.len() > 1;
    let site = |words: &[&str]| {
        let address = words[0].starts_with(':') || words[0].starts_with("http") || words[0].contains('.');
        words.len() == 2 && words[1] == "{" && address
    };
    let foreign = |words: &[&str]| words.iter().any(|word| word.ends_with([';', ':']));
    let mut all = lines(text);
    let mut seen = (false, false);
    all.any(|(_, words)| {
        seen.0 |= site(&words);
        seen.1 |= WITHIN.contains(&words[0]) && !foreign(&words);
        proxy(&words) && !foreign(&words) || seen == (true, true)
    })
}

pub(super) fn read(text: &str) -> Result<Reading, String> {
    let mut reading = Reading::of(Some("caddy"), Some("caddy"));
    reading.line = Some(("idle {}s # in servers { timeouts { } } of the global options", SECOND));
    let mut blocks: Vec<&str> = Vec::new();
    // The proxy whose block is open: its line, and what is set in it.
    let mut proxy: Option<(usize, usize, Option<Found>)> = None;
    for (line, words) in lines(text) {
        let found = |value| Found::at(text, line, value);
        let opens = words.last() == Some(&"{");
        match words[..] {
            ["}", ..] => {
                if blocks.pop().is_none() {
                    return Err(format!("line {line}: a }} without its {{"));
                }
                if let Some((_, begun, set)) = proxy.take_if(|(depth, ..)| *depth > blocks.len()) {
                    reading.upstream.push(set.unwrap_or_else(|| Found::unset(text, begun, UPSTREAM_DEFAULT)));
                }
                continue;
            }
            ["reverse_proxy", ..] if opens => proxy = Some((blocks.len() + 1, line, None)),
            ["reverse_proxy", ..] => reading.upstream.push(Found::unset(text, line, UPSTREAM_DEFAULT)),
            ["keepalive", value, ..] if blocks.contains(&"transport") => {
                let value = match value {
                    "off" => Value::NoKeepAlive,
                    value => or_zero(duration(value, 1), Value::Unreadable),
                };
                if let Some((_, _, set)) = &mut proxy {
                    *set = Some(found(value));
                }
            }
            ["idle", value, ..] if blocks.contains(&"timeouts") => {
                reading.downstream.push(found(or_zero(duration(value, 1), Value::Unreadable)));
            }
            ["import", what, ..] if what.contains(['/', '.', '*']) => reading.missing("", line, what),
            _ => {}
        }
        if opens {
            blocks.push(words[0]);
        }
    }
    if !blocks.is_empty() {
        return Err("a block that does not end: a } is missing".to_owned());
    }
    Ok(reading)
}
