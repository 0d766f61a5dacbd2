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
    const WORDS: [&str; 7] =
        ["reverse_proxy", "file_server", "php_fastcgi", "encode", "tls", "handle", "root"];
    let known =
        |words: &[&str]| WORDS.contains(&words[0]) && !words.iter().any(|word| word.ends_with([';', ':']));
    let short = |words: &[&str]| words.len() > 1 && words[0] != "root" && words[0] == "reverse_proxy";
    lines(text).any(|(_, words)| short(&words) && known(&words))
        || (lines(text).any(|(_, words)| known(&words))
            && lines(text).any(|(_, words)| {
                words.len() == 2 && words[1] == "{" && (words[0].starts_with(':') || words[0].contains('.'))
            }))
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
