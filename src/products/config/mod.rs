//! Idle timers in configuration files: what they set, of many products, read honestly.
//!
//! A file is recognised by what is in it, never by its ending. What cannot be read, an expression or a file that is not
//! there, is unknown, never guessed; a file of no product known here is an error, never a default.

mod apache;
mod caddy;
mod command;
mod envoy;
mod files;
mod haproxy;
mod kind;
mod kubernetes;
mod nginx;
mod node;
mod puma;
mod python;
mod spring;
mod terraform;
mod tomcat;
mod traefik;
mod tree;
mod uwsgi;

pub use files::text_of;
pub use kind::{KNOWN, Kind, Version};

use super::{Announcement, Facing, Idle, IdleTimer, Otherwise, Party, Place, find};
use files::Files;

/// One party that a file configures.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its timers.
    pub party: Party,
    /// It accepts connections, so it can stand as a backend.
    pub accepts: bool,
    /// It opens connections to servers, so it can stand as a proxy.
    pub opens: bool,
}

/// What the user said of a file beside its name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said {
    /// Whose configuration it is; none where the file has to tell.
    pub kind: Option<Kind>,
    /// The release that reads it.
    pub version: Option<Version>,
}

/// Reads the timers that a file sets; what it does not set is the product's default.
///
/// # Errors
/// One sentence: it is no configuration known here, cannot be parsed, or includes itself.
pub fn read(file: &str, text: &str, said: Said) -> Result<Vec<Part>, String> {
    let kind = match said.kind {
        Some(kind) => kind,
        None => Kind::recognise(text).ok_or_else(|| unknown_file(file, text))?,
    };
    let mut files = Files::new(file, text);
    let named = |error: String| if error.starts_with(file) { error } else { format!("{file}: {error}") };
    let readings = kind.read(&mut files).map_err(named)?;
    if readings.is_empty() {
        return Err(format!("{file} names no server and no proxy known here: {KNOWN}"));
    }
    let many = readings.len() > 1;
    Ok(readings.into_iter().map(|reading| part(file, reading, said.version, many)).collect())
}

fn unknown_file(file: &str, text: &str) -> String {
    // What looks like one of them and is broken is told what is wrong with it.
    if let Some(broken) = kind::complaint(file, text) {
        return format!("{file}: {broken}");
    }
    let why = if text.trim().is_empty() { "is empty" } else { "is of no product known here" };
    format!("{file} {why}; known are {KNOWN}. Where it is one of them, write nginx:{file} or another product")
}

fn part(file: &str, reading: Reading, version: Option<Version>, many: bool) -> Part {
    let named = |warning: &String| {
        if warning.starts_with("line ") { format!("{file}, {warning}") } else { warning.clone() }
    };
    let mut warnings: Vec<String> = reading.warnings.iter().map(named).collect();
    let product = reading.server.or(reading.client).and_then(find);
    let whose = product.map_or("", |product| &product.name);
    let name = match &reading.part {
        Some(part) if many => format!("{file} ({part}: {whose})"),
        _ => format!("{file} ({whose})"),
    };
    let mut downstream = match reading.server {
        Some(id) => timer(id, Facing::Downstream, file, &reading, &reading.downstream, &mut warnings),
        None => IdleTimer::unknown("it accepts no connections"),
    };
    if let Some(ns) = reading.announces_ns {
        downstream.announces = Some(Announcement { ns, if_asked: false });
    }
    let upstream = match reading.client {
        Some(id) => by_version(id, file, &reading, version, &mut warnings),
        None => IdleTimer::unknown("it opens no connections that are known here"),
    };
    warnings.dedup();
    // nginx and httpd may serve files, and a program of Node.js may ask nobody.
    let always = reading.server.is_none()
        || !matches!(reading.server, Some("nginx" | "apache-httpd" | "node-http" | "express" | "fastify"));
    Part {
        party: Party { name, downstream, upstream, through: None, warnings },
        accepts: reading.server.is_some(),
        opens: reading.client.is_some() && (always || !reading.upstream.is_empty()),
    }
}

/// nginx keeps connections to servers by default from 1.29.7 on, and before only where three directives say so.
fn by_version(
    id: &str,
    file: &str,
    reading: &Reading,
    version: Option<Version>,
    warnings: &mut Vec<String>,
) -> IdleTimer {
    const KEPT_BY_DEFAULT: Version = Version(1, 29, 7);
    let newer = timer(id, Facing::Upstream, file, reading, &reading.upstream, warnings);
    if reading.older_upstream.is_empty() || version.is_some_and(|version| version >= KEPT_BY_DEFAULT) {
        return newer;
    }
    let mut older = timer(id, Facing::Upstream, file, reading, &reading.older_upstream, &mut Vec::new());
    if older.idle == Some(Idle::NoKeepAlive) {
        older.known_from += "; before nginx 1.29.7 nothing is kept without keepalive in the upstream block, proxy_http_version 1.1 and an empty Connection header";
    }
    match (newer.idle, older.idle) {
        _ if version.is_some() => older,
        (newest, oldest) if newest == oldest => newer,
        (_, Some(idle)) => {
            warnings.push(
                "nginx before 1.29.7 keeps no connection to a server without proxy_http_version 1.1 and proxy_set_header Connection \"\"; from 1.29.7 on it keeps them: give the release, nginx@1.24:FILE".to_owned(),
            );
            let otherwise = Otherwise {
                assumed: "from nginx 1.29.7 on".to_owned(),
                when: "before nginx 1.29.7".to_owned(),
                idle,
            };
            IdleTimer { otherwise: Some(otherwise), ..newer }
        }
        _ => newer,
    }
}

/// What a parser found of one party.
#[derive(Debug, Clone, Default)]
struct Reading {
    /// The product that accepts connections.
    server: Option<&'static str>,
    /// The product that opens them.
    client: Option<&'static str>,
    /// Which part of the file it is: `service web`.
    part: Option<String>,
    downstream: Vec<Found>,
    upstream: Vec<Found>,
    /// What nginx before 1.29.7 makes of the same lines.
    older_upstream: Vec<Found>,
    /// The time that responses announce, where that is not the one that is set.
    announces_ns: Option<i64>,
    /// Something that belongs to it could not be read, so what is not set here may be set there.
    incomplete: Option<String>,
    /// How the timer of clients is written in this file, and the unit of `{}`, ns.
    line: Option<(&'static str, i64)>,
    warnings: Vec<String>,
}

impl Reading {
    fn of(server: Option<&'static str>, client: Option<&'static str>) -> Reading {
        Reading { server, client, ..Reading::default() }
    }

    /// An included file is not there.
    fn missing(&mut self, file: &str, line: usize, what: &str) {
        let told =
            format!("{file}, line {line}: {what} is included and is not there: what it sets is not known");
        self.incomplete.get_or_insert_with(|| told.clone());
        self.warnings.push(told);
    }
}

/// One line that sets a timer, or one part of a file where it is not set.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    /// Another file than the one that was named.
    file: Option<String>,
    /// Counted from 1; 0 where nothing in the file says it.
    line: usize,
    /// What it says.
    text: String,
    /// What that means.
    value: Value,
    /// Not set there: the value is the default.
    unset: bool,
}

impl Found {
    /// The line as it stands in a text.
    fn at(text: &str, line: usize, value: Value) -> Found {
        let raw = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        Found { file: None, line, text: raw.trim().to_owned(), value, unset: false }
    }

    /// A part of a file in which the timer is not set.
    fn unset(text: &str, line: usize, value: Value) -> Found {
        Found { unset: true, ..Found::at(text, line, value) }
    }
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
    reading: &Reading,
    found: &[Found],
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
    let with_line = |mut timer: IdleTimer| {
        if let (Facing::Downstream, Some((line, unit_ns))) = (side, reading.line) {
            (timer.line, timer.unit_ns) = (Some(line.to_owned()), unit_ns);
        }
        timer
    };
    let counts = found.iter().min_by_key(rank).filter(|_| found.iter().any(|found| !found.unset));
    let default_counts = found.iter().any(|found| found.value != Value::Unreadable || !found.unset);
    let Some(counts) = counts.or_else(|| found.iter().min_by_key(rank).filter(|_| default_counts)) else {
        if let Some(why) = &reading.incomplete {
            return with_line(IdleTimer {
                idle: None,
                ..IdleTimer { known_from: why.clone(), ..IdleTimer::default_of(product, side) }
            });
        }
        let mut timer = IdleTimer::default_of(product, side);
        timer.known_from = format!("not set in {file}: {}", timer.known_from);
        return with_line(timer);
    };
    if found.iter().any(|other| other.value != counts.value) {
        let which =
            if side == Facing::Downstream { "the one that closes first" } else { "the one kept longest" };
        warnings
            .push(format!("{file} has {} of them, with different values: {which} counts here", found.len()));
    }
    let shown = counts.file.as_deref().unwrap_or(file);
    let place = Place { file: shown.to_owned(), line: counts.line, text: counts.text.clone() };
    // Line 0: what counts is what the file does not say.
    let known_from = match place.line {
        0 => format!("{file}: {}", place.text),
        line if counts.unset => format!("not set in {shown}, line {line}: {}", place.text),
        line => format!("{shown}, line {line}: {}", place.text),
    };
    let ns = if let Value::Time(ns) = counts.value { ns } else { 0 };
    let mut timer = match counts.value {
        Value::Time(_) if counts.unset => IdleTimer { known_from, ..IdleTimer::default_of(product, side) },
        _ => IdleTimer::configured(product, side, ns, known_from),
    };
    match counts.value {
        Value::Never => timer.idle = Some(Idle::Never),
        Value::NoKeepAlive => timer.idle = Some(Idle::NoKeepAlive),
        Value::Unreadable => timer.idle = None,
        Value::Time(_) => {}
    }
    timer.place = Some(place).filter(|place| place.line > 0);
    with_line(timer)
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

/// A duration with its units, `1m30s` or `1.5s` or `PT75S`; a number alone is in `bare_ns`.
fn duration(text: &str, bare_ns: i64) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.replace('_', "").parse::<f64>() {
        return (number.is_finite() && number.abs() < 1e9).then_some((number * bare_ns as f64) as i64);
    }
    i64::try_from(crate::duration::parse_duration(text).ok()?.as_nanos()).ok()
}

/// A time as a value; what is not above 0 is `zero`.
fn or_zero(ns: Option<i64>, zero: Value) -> Value {
    match ns {
        Some(1..) => ns.map_or(Value::Unreadable, Value::Time),
        Some(_) => zero,
        None => Value::Unreadable,
    }
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
