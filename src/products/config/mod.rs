//! Idle timers in configuration files: the lines that set them, of a few products, read honestly.
//!
//! No parser here knows a whole language. Each finds the lines that set an idle timer, outside comments and quotes, and
//! says which line it was. What it cannot read, an expression or an included file, is unknown, never guessed.

mod apache;
mod envoy;
mod gunicorn;
mod haproxy;
mod nginx;
mod node;

use super::{Facing, Idle, IdleTimer, Party, Place, Product, find};

/// The kinds of files that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// nginx.conf and what it includes.
    Nginx,
    /// haproxy.cfg.
    Haproxy,
    /// httpd.conf and what it includes.
    Apache,
    /// gunicorn.conf.py.
    Gunicorn,
    /// Envoy in YAML.
    Envoy,
    /// A source file of Node.js.
    Node,
}

impl Kind {
    /// The kind of a product's files.
    pub fn of_product(product: &Product) -> Option<Kind> {
        match product.id.as_str() {
            "nginx" | "nginx-packaged" | "nginx-old" => Some(Kind::Nginx),
            "haproxy" => Some(Kind::Haproxy),
            "apache-httpd" | "apache-mod-proxy" => Some(Kind::Apache),
            "gunicorn" | "gunicorn-sync" => Some(Kind::Gunicorn),
            "envoy" => Some(Kind::Envoy),
            "node-http" | "express" => Some(Kind::Node),
            _ => None,
        }
    }

    /// The kind that a file looks like, by its name first and by its words where the name does not tell.
    pub fn guess(file: &str, text: &str) -> Option<Kind> {
        let file = file.to_ascii_lowercase();
        let (_, extension) = file.rsplit_once('.').unwrap_or((&file, ""));
        let begins = |words: &[&str]| {
            text.lines().any(|line| words.iter().any(|word| line.trim_start().starts_with(word)))
        };
        match extension {
            "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" => Some(Kind::Node),
            "py" => Some(Kind::Gunicorn),
            "yaml" | "yml" => Some(Kind::Envoy),
            "cfg" => Some(Kind::Haproxy),
            _ if file.contains("nginx") => Some(Kind::Nginx),
            _ if file.contains("haproxy") => Some(Kind::Haproxy),
            _ if file.contains("httpd") || file.contains("apache") => Some(Kind::Apache),
            _ if begins(&["KeepAlive", "ProxyPass", "<VirtualHost", "LoadModule"]) => Some(Kind::Apache),
            _ if begins(&["frontend ", "backend ", "defaults", "listen "]) => Some(Kind::Haproxy),
            _ if begins(&["http {", "server {", "upstream ", "keepalive_timeout"]) => Some(Kind::Nginx),
            _ => None,
        }
    }
}

/// Reads the timers that a file sets; what it does not set is the product's default.
pub fn read(kind: Kind, file: &str, text: &str) -> Party {
    let reading = match kind {
        Kind::Nginx => nginx::read(text),
        Kind::Haproxy => haproxy::read(text),
        Kind::Apache => apache::read(text),
        Kind::Gunicorn => gunicorn::read(text),
        Kind::Envoy => envoy::read(text),
        Kind::Node => node::read(text),
    };
    let (accepts, opens) = match kind {
        Kind::Nginx => ("nginx", "nginx"),
        Kind::Haproxy => ("haproxy", "haproxy"),
        Kind::Apache => ("apache-httpd", "apache-mod-proxy"),
        Kind::Gunicorn => ("gunicorn", "gunicorn"),
        Kind::Envoy => ("envoy", "envoy"),
        Kind::Node => ("node-http", "node-agent"),
    };
    // Parsers know lines, not files.
    let named =
        |warning: String| if warning.starts_with("line ") { format!("{file}, {warning}") } else { warning };
    let mut warnings: Vec<String> = reading.warnings.into_iter().map(named).collect();
    let downstream = timer(accepts, Facing::Downstream, file, reading.downstream, &mut warnings);
    let upstream = timer(opens, Facing::Upstream, file, reading.upstream, &mut warnings);
    Party { name: file.to_owned(), downstream, upstream, through: None, warnings }
}

/// What a parser found.
#[derive(Debug, Default)]
struct Reading {
    downstream: Vec<Found>,
    upstream: Vec<Found>,
    warnings: Vec<String>,
}

/// One line that sets a timer.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    /// Counted from 1; 0 where nothing in the file says it.
    line: usize,
    /// What it says.
    text: String,
    /// What that means.
    value: Value,
}

/// What a line sets a timer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// A time, ns.
    Time(i64),
    /// No connection is kept.
    NoKeepAlive,
    /// Idle connections are never closed.
    Never,
    /// It cannot be read without running the program.
    Unreadable,
}

/// The one timer that counts of those that were found: for a server the shortest, for a proxy the longest.
fn timer(
    product: &str,
    side: Facing,
    file: &str,
    found: Vec<Found>,
    warnings: &mut Vec<String>,
) -> IdleTimer {
    let Some(product) = find(product) else { return IdleTimer::unknown("not known") };
    let rank = |found: &&Found| match (found.value, side) {
        (Value::Unreadable, _) => i64::MIN,
        (Value::NoKeepAlive, Facing::Upstream) => i64::MAX - 1,
        (Value::Never, Facing::Upstream) => i64::MIN + 1,
        (Value::Time(ns), Facing::Upstream) => -ns,
        (Value::NoKeepAlive | Value::Never, _) => i64::MAX,
        (Value::Time(ns), _) => ns,
    };
    let Some(counts) = found.iter().min_by_key(rank) else {
        let mut timer = IdleTimer::default_of(product, side);
        timer.known_from = format!("not set in {file}: {}", timer.known_from);
        return timer;
    };
    if found.iter().any(|other| other.value != counts.value) {
        let which =
            if side == Facing::Downstream { "the one that closes first" } else { "the one kept longest" };
        warnings
            .push(format!("{file} sets it {} times, to different values: {which} counts here", found.len()));
    }
    let place = Place { file: file.to_owned(), line: counts.line, text: counts.text.clone() };
    // Line 0: what counts is what the file does not say.
    let known_from = match place.line {
        0 => format!("{file}: {}", place.text),
        line => format!("{file}, line {line}: {}", place.text),
    };
    let mut timer = match counts.value {
        Value::Time(ns) => IdleTimer::configured(product, side, ns, known_from),
        Value::Never => IdleTimer::configured(product, side, 0, known_from),
        Value::NoKeepAlive | Value::Unreadable => IdleTimer::configured(product, side, 0, known_from),
    };
    match counts.value {
        Value::Never => timer.idle = Some(Idle::Never),
        Value::NoKeepAlive => timer.idle = Some(Idle::NoKeepAlive),
        Value::Unreadable => timer.idle = None,
        Value::Time(_) => {}
    }
    timer.place = Some(place).filter(|place| place.line > 0);
    timer
}

/// A time written as numbers with units, `1m30s`; a number alone is in `bare_ns`.
fn time(text: &str, bare_ns: i64, units: &[(&str, i64)]) -> Option<i64> {
    let mut rest = text;
    let mut total: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, behind) = rest.split_at(letters);
        let unit_ns = match unit {
            "" => bare_ns,
            unit => units.iter().find(|(name, _)| *name == unit)?.1,
        };
        total = total.checked_add(number.checked_mul(unit_ns)?)?;
        rest = behind;
    }
    Some(total)
}

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A line up to its comment, which `#` begins outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '#') => return &line[..at],
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests;
