//! nginx: `keepalive_timeout` of clients, and of the upstream blocks.

use super::super::setting::suspicion;
use super::{DAY, Found, HOUR, MINUTE, MS, Reading, SECOND, Value, time};

const UNITS: [(&str, i64); 6] =
    [("ms", MS), ("s", SECOND), ("m", MINUTE), ("h", HOUR), ("d", DAY), ("w", 7 * DAY)];

/// A directive with the blocks around it.
struct Statement {
    line: usize,
    words: Vec<String>,
    blocks: Vec<String>,
}

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    for Statement { line, words, blocks } in statements(text) {
        let upstream = blocks.iter().any(|block| block == "upstream");
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["keepalive_timeout", value, ..] => {
                let ns = time(value, SECOND, &UNITS);
                if let Ok(number) = value.parse::<f64>() {
                    reading.warnings.extend(suspicion(
                        &format!("keepalive_timeout (line {line})"),
                        number,
                        "s",
                    ));
                }
                let value = match ns {
                    Some(0) => Value::NoKeepAlive,
                    Some(ns) => Value::Time(ns),
                    None => Value::Unreadable,
                };
                let found = Found { line, text: format!("{};", words.join(" ")), value };
                if upstream { reading.upstream.push(found) } else { reading.downstream.push(found) }
            }
            ["keepalive", "0"] if upstream => reading.upstream.push(Found {
                line,
                text: "keepalive 0;".to_owned(),
                value: Value::NoKeepAlive,
            }),
            ["proxy_socket_keepalive", ..] => reading.warnings.push(format!(
                "line {line}: proxy_socket_keepalive sends probes of TCP and changes no idle timer"
            )),
            ["include", ref files @ ..] => reading.warnings.push(format!(
                "line {line}: {} is included and was not read: check it as well",
                files.join(" ")
            )),
            _ => {}
        }
    }
    reading
}

/// Directives that end with `;`, outside comments; a block's first word is kept for those inside it.
fn statements(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut blocks: Vec<String> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let (mut line, mut first_line) = (1, 1);
    let mut quote: Option<char> = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\n' {
            line += 1;
        }
        match (quote, letter) {
            (_, '\\') => word.extend(letters.next()),
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), letter) => word.push(letter),
            (None, '"' | '\'') => quote = Some(letter),
            (None, '#') if word.is_empty() => while letters.next_if(|letter| *letter != '\n').is_some() {},
            (None, ';' | '{' | '}') | (None, ' ' | '\t' | '\r' | '\n') => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                match letter {
                    ';' => {
                        found.push(Statement {
                            line: first_line,
                            words: std::mem::take(&mut words),
                            blocks: blocks.clone(),
                        });
                    }
                    '{' => blocks.push(std::mem::take(&mut words).into_iter().next().unwrap_or_default()),
                    '}' => {
                        blocks.pop();
                        words.clear();
                    }
                    _ => {}
                }
            }
            (None, letter) => {
                if words.is_empty() && word.is_empty() {
                    first_line = line;
                }
                word.push(letter);
            }
        }
    }
    found
}
