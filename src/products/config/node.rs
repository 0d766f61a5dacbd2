//! A source file of Node.js: where `keepAliveTimeout` is set, in numbers.

use super::super::setting::suspicion;
use super::{Found, MS, Reading, Value};

const NAME: &str = "keepAliveTimeout";

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    let code = without_comments(text);
    let apps = express_apps(&code);
    for (index, statement) in code.lines().enumerate() {
        let line = index + 1;
        for (at, _) in statement.match_indices(NAME) {
            let (before, behind) = (&statement[..at], &statement[at + NAME.len()..]);
            // keepAliveTimeoutBuffer, noKeepAliveTimeout
            if behind.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
                || before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
            {
                continue;
            }
            let behind = behind.trim_start().trim_start_matches(['"', '\'']).trim_start();
            let value = match behind.chars().next() {
                Some('=') if !behind.starts_with("==") => &behind[1..],
                Some(':') => &behind[1..],
                _ => continue,
            };
            let whose = before.strip_suffix('.').map(last_word);
            if let Some(app) = whose.filter(|whose| apps.iter().any(|app| app == whose)) {
                reading.warnings.push(format!(
                    "line {line}: {app}.{NAME} has no effect: set it on the server that {app}.listen() returns"
                ));
                continue;
            }
            let text = statement.trim().to_owned();
            let value = match product(value) {
                Some(ms) => {
                    reading.warnings.extend(suspicion(&format!("{NAME} (line {line})"), ms as f64, "ms"));
                    match ms {
                        0 => Value::Never,
                        ms => ms.checked_mul(MS).map_or(Value::Unreadable, Value::Time),
                    }
                }
                None => Value::Unreadable,
            };
            reading.downstream.push(Found { line, text, value });
        }
    }
    reading
}

/// `65_000`, `65 * 1000`: whole numbers and their products, up to the end of the expression; nothing else.
fn product(expression: &str) -> Option<i64> {
    let end = expression.find([';', ',', '}', ')', '\n']).unwrap_or(expression.len());
    expression[..end].split('*').try_fold(1_i64, |product, factor| {
        let digits = factor.trim().replace('_', "");
        digits
            .parse::<i64>()
            .ok()
            .filter(|number| *number >= 0)
            .and_then(|number| product.checked_mul(number))
    })
}

/// Names that hold an Express application: `const app = express()`.
fn express_apps(code: &str) -> Vec<String> {
    let assigned = code.lines().filter_map(|line| line.split_once("express()"));
    assigned
        .filter_map(|(before, _)| Some(last_word(before.trim_end().strip_suffix('=')?.trim_end()).to_owned()))
        .filter(|name| !name.is_empty())
        .collect()
}

/// The name at the end of a text; empty where it ends otherwise.
fn last_word(text: &str) -> &str {
    let named = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
    &text[text.trim_end_matches(named).len()..]
}

/// The code with comments and the contents of strings blanked, its lines as long as they were.
fn without_comments(text: &str) -> String {
    #[derive(Clone, Copy, PartialEq)]
    enum Within {
        Code,
        Line,
        Block,
        String(char),
    }
    let mut code = String::with_capacity(text.len());
    let mut within = Within::Code;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        match (within, letter) {
            (Within::Line, '\n') => within = Within::Code,
            (Within::Block, '*') if next == Some('/') => {
                letters.next();
                code.push_str("  ");
                within = Within::Code;
                continue;
            }
            (Within::String(_), '\\') => {
                letters.next();
                code.push_str("  ");
                continue;
            }
            (Within::String(open), letter) if letter == open => within = Within::Code,
            // A string in one line that never ends is not one.
            (Within::String('"' | '\''), '\n') => within = Within::Code,
            (Within::Code, '/') if next == Some('/') => within = Within::Line,
            (Within::Code, '/') if next == Some('*') => {
                letters.next();
                code.push_str("  ");
                within = Within::Block;
                continue;
            }
            (Within::Code, '"' | '\'' | '`') => {
                within = Within::String(letter);
                code.push(letter);
                continue;
            }
            _ => {}
        }
        code.push(if within == Within::Code || letter == '\n' { letter } else { ' ' });
    }
    code
}
