//! A source file of Node.js: where `keepAliveTimeout` and the timeouts of agents are set, in numbers.

use super::super::setting::suspicion;
use super::{Found, MS, Reading, Value};

const NAME: &str = "keepAliveTimeout";

/// What makes a connection pool, and what its timeout is called: of Node.js itself, and of undici.
const AGENTS: [&str; 2] = ["http.Agent", "https.Agent"];
const POOLS: [&str; 4] = ["Agent", "Pool", "Client", "ProxyAgent"];

pub(super) fn looks_like(text: &str) -> bool {
    let code = without_comments(text);
    const CALLS: [&str; 10] = [
        "createServer(",
        "express()",
        "fastify(",
        "Fastify(",
        "new Koa(",
        "NestFactory",
        ".keepAliveTimeout",
        "http.Agent(",
        "https.Agent(",
        "keepAliveTimeout:",
    ];
    let words = CALLS.iter().any(|call| code.contains(call));
    let statement = |line: &str| {
        let line = line.trim();
        line.ends_with([';', '{', ')', ',']) || line.starts_with("const ") || line.starts_with("import ")
    };
    words && code.lines().any(statement) && !code.lines().any(|line| line.trim_start().starts_with("def "))
}

pub(super) fn read(text: &str) -> Reading {
    let code = without_comments(text);
    let fastify = ["fastify", "@nestjs/platform-fastify"].iter().any(|module| imports(text, module))
        || code.contains("fastify(")
        || code.contains("Fastify(");
    let express = imports(text, "express") || code.contains("express()");
    let mut reading = Reading::of(
        Some(if fastify {
            "fastify"
        } else if express {
            "express"
        } else {
            "node-http"
        }),
        Some("node-agent"),
    );
    let apps = express_apps(&code);
    for (index, statement) in code.lines().enumerate() {
        let line = index + 1;
        for (at, _) in statement.match_indices(NAME) {
            let Some(value) = assigned(statement, at, NAME) else { continue };
            let before = &statement[..at];
            let whose = before.strip_suffix('.').map(last_word);
            if let Some(app) = whose.filter(|whose| apps.iter().any(|app| app == whose)) {
                reading.warnings.push(format!(
                    "line {line}: {app}.{NAME} has no effect: set it on the server that {app}.listen() returns"
                ));
                continue;
            }
            let found = Found::at(text, line, milliseconds(&code, value, NAME, line, &mut reading.warnings));
            if enclosing_call(&code, offset(&code, index) + at)
                .is_some_and(|call| POOLS.contains(&last_word(call)))
            {
                reading.client = Some("undici");
                reading.upstream.push(found);
            } else {
                reading.downstream.push(found);
            }
        }
    }
    agents(text, &code, &mut reading);
    if reading.downstream.is_empty() && !code.contains("listen(") && !reading.upstream.is_empty() {
        reading.server = None;
    }
    reading
}

/// `new http.Agent({ keepAlive: true, timeout: 4000 })`: without a timeout it never gives up by itself.
fn agents(text: &str, code: &str, reading: &mut Reading) {
    for name in AGENTS {
        for (at, _) in code.match_indices(&format!("new {name}(")) {
            let options = &code[at..];
            let options = &options[..options.find(')').unwrap_or(options.len())];
            let line = 1 + code[..at].matches('\n').count();
            if !options.contains("keepAlive: true") && !options.contains("keepAlive:true") {
                let value = if options.contains("keepAlive") || options.contains("...") {
                    Value::Unreadable
                } else {
                    Value::NoKeepAlive
                };
                reading.upstream.push(Found::at(text, line, value));
                continue;
            }
            let own = ["timeout", "freeSocketTimeout"].iter().find_map(|key| {
                let found = options.match_indices(key).find(|(inner, _)| {
                    let before = options[..*inner].chars().next_back();
                    !before.is_some_and(|letter| letter.is_alphanumeric())
                });
                found.and_then(|(inner, _)| Some((inner, assigned(options, inner, key)?)))
            });
            let found = match own {
                Some((inner, value)) => {
                    let line = line + options[..inner].matches('\n').count();
                    Found::at(text, line, milliseconds(code, value, "timeout", line, &mut reading.warnings))
                }
                None => Found::at(text, line, Value::Never),
            };
            reading.client = Some("node-keepalive-agent");
            reading.upstream.push(found);
        }
    }
}

/// What is assigned to a name at a place of a line, `name = value` or `name: value`; none where it is another name.
fn assigned<'a>(statement: &'a str, at: usize, name: &'a str) -> Option<&'a str> {
    let (before, behind) = (&statement[..at], &statement[at + name.len()..]);
    // keepAliveTimeoutBuffer, noKeepAliveTimeout
    if behind.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
        || before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
    {
        return None;
    }
    let behind = behind.trim_start().trim_start_matches(['"', '\'']).trim_start();
    match behind.chars().next() {
        Some('=') if !behind.starts_with("==") => Some(&behind[1..]),
        Some(':') => Some(&behind[1..]),
        // { keepAliveTimeout }: the constant of that name.
        Some(',' | '}') => Some(name),
        _ => None,
    }
}

fn milliseconds(code: &str, expression: &str, name: &str, line: usize, warnings: &mut Vec<String>) -> Value {
    match product(expression, code) {
        Some(ms) => {
            warnings.extend(suspicion(&format!("{name} (line {line})"), ms as f64, "ms"));
            match ms {
                0 => Value::Never,
                ms => ms.checked_mul(MS).map_or(Value::Unreadable, Value::Time),
            }
        }
        None => Value::Unreadable,
    }
}

/// `65_000`, `65 * 1000`, `IDLE * SECOND`: whole numbers, constants, and their products, up to the end of the expression;
/// nothing else.
fn product(expression: &str, code: &str) -> Option<i64> {
    let end = expression.find([';', ',', '}', ')', '\n']).unwrap_or(expression.len());
    expression[..end].split('*').try_fold(1_i64, |product, factor| {
        let factor = factor.trim();
        let number = number(factor).or_else(|| number(constant(factor, code)?))?;
        product.checked_mul(number)
    })
}

fn number(text: &str) -> Option<i64> {
    let mut numbers = text
        .split('*')
        .map(|factor| factor.trim().replace('_', "").parse::<i64>().ok().filter(|number| *number >= 0));
    numbers.try_fold(1_i64, |product, factor| product.checked_mul(factor?))
}

/// What a `const` of that name is; none where it is assigned anywhere else, or twice.
fn constant<'a>(name: &str, code: &'a str) -> Option<&'a str> {
    let plain = !name.is_empty()
        && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$'));
    let declared = |line: &'a str| {
        let (_, rest) = line.split_once("const ")?;
        let (left, value) = rest.split_once('=')?;
        (left.split(':').next()?.trim() == name).then(|| value.trim().trim_end_matches(';').trim())
    };
    let mut all = code.lines().filter(|_| plain).filter_map(declared);
    all.next().filter(|_| all.next().is_none())
}

/// Where a line begins.
fn offset(code: &str, index: usize) -> usize {
    code.split_inclusive('\n').take(index).map(str::len).sum()
}

/// What stands before the parenthesis that is open at a place.
fn enclosing_call(code: &str, at: usize) -> Option<&str> {
    let mut depth = 0_i32;
    for (index, letter) in code[..at].char_indices().rev() {
        match letter {
            ')' => depth += 1,
            '(' if depth == 0 => return Some(code[..index].trim_end()),
            '(' => depth -= 1,
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Whether a module is loaded, in either way.
fn imports(text: &str, module: &str) -> bool {
    ['"', '\''].iter().any(|quote| {
        let name = format!("{quote}{module}{quote}");
        text.lines().any(|line| {
            line.contains(&name)
                && (line.contains("require(")
                    || line.contains("from ")
                    || line.trim_start().starts_with("import "))
        })
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
