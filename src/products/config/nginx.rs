//! nginx: `keepalive_timeout` of clients, and what it keeps to each upstream block.

use super::super::setting::suspicion;
use super::files::Files;
use super::{DAY, Found, HOUR, MINUTE, MS, Reading, SECOND, Value, time};

const UNITS: [(&str, i64); 6] =
    [("ms", MS), ("s", SECOND), ("m", MINUTE), ("h", HOUR), ("d", DAY), ("w", 7 * DAY)];
/// Included by nearly everyone, and without a word about connections.
const HARMLESS: [&str; 5] = ["mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params"];
/// What `keepalive_timeout` of an upstream block is where it is not set.
const UPSTREAM_DEFAULT: i64 = 60 * SECOND;

/// A directive, with the block behind it where it has one.
struct Directive {
    file: String,
    line: usize,
    words: Vec<String>,
    block: Vec<Directive>,
}

impl Directive {
    fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    fn arguments(&self) -> Vec<&str> {
        self.words.iter().skip(1).map(String::as_str).collect()
    }

    fn found(&self, files: &Files, value: Value) -> Found {
        Found { file: Some(self.file.clone()), ..Found::at(files.text(&self.file), self.line, value) }
    }
}

/// Whether these are the words of an nginx configuration.
pub(super) fn looks_like(text: &str) -> bool {
    let Ok(directives) = parse("", text) else { return false };
    let known = |directive: &Directive| {
        let block = !directive.block.is_empty();
        match directive.name() {
            "http" | "server" | "events" => block && directive.words.len() == 1,
            "upstream" | "location" => block && directive.words.len() >= 2,
            "worker_processes" | "proxy_pass" | "keepalive_timeout" => directive.words.len() >= 2,
            _ => false,
        }
    };
    directives.iter().any(known)
}

/// Why it cannot be one.
pub(super) fn complaint(text: &str) -> Option<String> {
    parse("", text).err().map(|error| error.trim_start_matches(", ").to_owned())
}

pub(super) fn read(files: &mut Files) -> Result<Reading, String> {
    let mut reading = Reading::of(Some("nginx"), Some("nginx"));
    let mut loaded = Vec::new();
    let directives = include(files, &mut reading, &mut loaded, &files.main())?;
    let mut upstreams = Vec::new();
    collect(&directives, "upstream", &mut upstreams);
    let mut targets = Vec::new();
    visit(files, &directives, &Inherited::default(), &mut reading, &mut targets)?;
    if targets.is_empty() {
        for upstream in upstreams {
            let found = kept(files, upstream);
            reading.upstream.push(found);
        }
        return Ok(reading);
    }
    for target in &targets {
        let upstream =
            upstreams.iter().copied().find(|upstream| upstream.words.get(1) == target.upstream.as_ref());
        let (newer, older) = target.keeps(files, upstream);
        reading.upstream.push(newer);
        reading.older_upstream.push(older);
    }
    Ok(reading)
}

/// The directives of a file, those of what it includes in the place of each `include`.
fn include(
    files: &mut Files,
    reading: &mut Reading,
    open: &mut Vec<String>,
    file: &str,
) -> Result<Vec<Directive>, String> {
    if open.iter().any(|known| known == file) {
        return Err(format!("{file} includes itself: {}", open.join(", then ")));
    }
    open.push(file.to_owned());
    let directives = parse(file, files.text(file))?;
    let directives = expand(files, reading, open, directives)?;
    open.pop();
    Ok(directives)
}

fn expand(
    files: &mut Files,
    reading: &mut Reading,
    open: &mut Vec<String>,
    directives: Vec<Directive>,
) -> Result<Vec<Directive>, String> {
    let mut all = Vec::new();
    for mut directive in directives {
        if directive.name() == "include" && directive.block.is_empty() {
            let pattern = directive.words.get(1).cloned().unwrap_or_default();
            let found = files.matching(&pattern)?;
            if found.is_empty()
                && !pattern.contains('*')
                && !HARMLESS.iter().any(|name| pattern.ends_with(name))
            {
                reading.missing(&directive.file, directive.line, &pattern);
            }
            for file in found {
                all.extend(include(files, reading, open, &file)?);
            }
            continue;
        }
        directive.block = expand(files, reading, open, directive.block)?;
        all.push(directive);
    }
    Ok(all)
}

fn collect<'a>(directives: &'a [Directive], name: &str, found: &mut Vec<&'a Directive>) {
    for directive in directives {
        if directive.name() == name {
            found.push(directive);
        }
        collect(&directive.block, name, found);
    }
}

/// What a block takes from those around it.
#[derive(Clone, Default)]
struct Inherited {
    http_version: Option<String>,
    /// Each `proxy_set_header`: those of a block replace all of the blocks around it.
    headers: Vec<(String, String)>,
}

/// A `proxy_pass` with what rules its connections.
struct Target {
    place: Found,
    upstream: Option<String>,
    http_version: Option<String>,
    connection: Option<String>,
}

impl Target {
    /// What is kept to it from 1.29.7 on, and before.
    fn keeps(&self, files: &Files, upstream: Option<&Directive>) -> (Found, Found) {
        let nothing = |place: &Found| Found { value: Value::NoKeepAlive, ..place.clone() };
        let set = upstream.map(|upstream| kept(files, upstream));
        let newer = match (&set, self.http_version.as_deref(), self.connection.as_deref()) {
            (_, Some("1.0"), _) | (_, _, Some("close")) => nothing(&self.place),
            (Some(found), _, _) => found.clone(),
            (None, _, _) => Found { value: Value::Time(UPSTREAM_DEFAULT), ..self.place.clone() },
        };
        let keepalive = upstream.is_some_and(|it| it.block.iter().any(|inner| inner.name() == "keepalive"));
        // A header without a value is not sent; a variable may be empty.
        let kept_open = match self.connection.as_deref() {
            None | Some("close") => false,
            Some(value) => {
                value.is_empty() || value.contains('$') || value.eq_ignore_ascii_case("keep-alive")
            }
        };
        let older = match set {
            Some(found) if keepalive && self.http_version.as_deref() == Some("1.1") && kept_open => found,
            _ => nothing(&self.place),
        };
        (newer, older)
    }
}

/// What an upstream block keeps, where connections to it are kept at all.
fn kept(files: &Files, upstream: &Directive) -> Found {
    let set = |name: &str| upstream.block.iter().rev().find(|directive| directive.name() == name);
    if let Some(none) = set("keepalive").filter(|it| it.arguments().first() == Some(&"0")) {
        return none.found(files, Value::NoKeepAlive);
    }
    match set("keepalive_timeout") {
        Some(timer) => {
            let value = timer.arguments().first().and_then(|value| time(value, SECOND, &UNITS));
            timer.found(files, value.map_or(Value::Unreadable, Value::Time))
        }
        None => set("keepalive").unwrap_or(upstream).found(files, Value::Time(UPSTREAM_DEFAULT)),
    }
}

fn visit(
    files: &Files,
    directives: &[Directive],
    around: &Inherited,
    reading: &mut Reading,
    targets: &mut Vec<Target>,
) -> Result<(), String> {
    let mut here = around.clone();
    let mut own_headers = Vec::new();
    for directive in directives {
        match (directive.name(), &directive.arguments()[..]) {
            ("proxy_http_version", [version]) => here.http_version = Some((*version).to_owned()),
            ("proxy_set_header", [name, value]) => {
                own_headers.push((name.to_ascii_lowercase(), (*value).to_owned()));
            }
            _ => {}
        }
    }
    if !own_headers.is_empty() {
        here.headers = own_headers;
    }
    let mut timeout: Option<&Directive> = None;
    for directive in directives {
        match (directive.name(), &directive.arguments()[..]) {
            // Neither sets anything for connections.
            ("map" | "types" | "geo" | "split_clients" | "upstream" | "stream" | "mail", _) => continue,
            ("keepalive_timeout", [_, ..]) => {
                if let Some(other) = timeout {
                    return Err(format!(
                        "{}, line {}: keepalive_timeout is set a second time in one block, after line {}: nginx refuses that",
                        directive.file, directive.line, other.line
                    ));
                }
                timeout = Some(directive);
                client_timeout(files, directive, reading);
            }
            ("proxy_socket_keepalive", _) => reading.warnings.push(format!(
                "line {}: proxy_socket_keepalive sends probes of TCP and changes no idle timer",
                directive.line
            )),
            ("proxy_pass", [url, ..]) => targets.push(Target {
                place: directive.found(files, Value::Unreadable),
                upstream: url
                    .split_once("://")
                    .map(|(_, rest)| rest.split(['/', ':', '?']).next().unwrap_or_default().to_owned()),
                http_version: here.http_version.clone(),
                connection: here
                    .headers
                    .iter()
                    .rev()
                    .find(|(name, _)| name == "connection")
                    .map(|(_, value)| value.clone()),
            }),
            _ => {}
        }
        visit(files, &directive.block, &here, reading, targets)?;
    }
    Ok(())
}

fn client_timeout(files: &Files, directive: &Directive, reading: &mut Reading) {
    let arguments = directive.arguments();
    let Some(value) = arguments.first() else { return };
    if let Ok(number) = value.parse::<f64>() {
        let key = format!("keepalive_timeout (line {})", directive.line);
        reading.warnings.extend(suspicion(&key, number, "s"));
    }
    let ns = time(value, SECOND, &UNITS);
    reading.downstream.push(directive.found(
        files,
        match ns {
            Some(0) => Value::NoKeepAlive,
            Some(ns) => Value::Time(ns),
            None => Value::Unreadable,
        },
    ));
    // The second time is the one that clients are told.
    reading.announces_ns =
        arguments.get(1).and_then(|told| time(told, SECOND, &UNITS)).or(reading.announces_ns);
}

/// The directives of a text, outside comments.
fn parse(file: &str, text: &str) -> Result<Vec<Directive>, String> {
    const DEEPEST: usize = 64;
    let mut stack: Vec<Vec<Directive>> = vec![Vec::new()];
    let mut headers: Vec<(usize, Vec<String>)> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let (mut line, mut first_line) = (1, 1);
    let mut quote: Option<char> = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        line += usize::from(letter == '\n');
        match (quote, letter) {
            (_, '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                if words.is_empty() && word.is_none() {
                    first_line = line;
                }
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => while letters.next_if(|letter| *letter != '\n').is_some() {},
            // ${name}
            (None, '{') if word.as_ref().is_some_and(|word| word.ends_with('$')) => {
                quote = Some('}');
                word.get_or_insert_default().push('{');
            }
            (None, ';' | '{' | '}' | ' ' | '\t' | '\r' | '\n') => {
                words.extend(word.take());
                match letter {
                    ';' => {
                        let words = std::mem::take(&mut words);
                        let directive =
                            Directive { file: file.to_owned(), line: first_line, words, block: Vec::new() };
                        stack.last_mut().ok_or("")?.push(directive);
                    }
                    '{' => {
                        if stack.len() > DEEPEST {
                            return Err(format!("{file}, line {line}: nested more than {DEEPEST} deep"));
                        }
                        headers.push((first_line, std::mem::take(&mut words)));
                        stack.push(Vec::new());
                    }
                    '}' => {
                        let (Some((first_line, header)), Some(block)) = (headers.pop(), stack.pop()) else {
                            return Err(format!("{file}, line {line}: a }} without its {{"));
                        };
                        if !words.is_empty() {
                            return Err(format!(
                                "{file}, line {line}: a directive that does not end: a ; or a quote is missing"
                            ));
                        }
                        let directive =
                            Directive { file: file.to_owned(), line: first_line, words: header, block };
                        stack.last_mut().ok_or("")?.push(directive);
                    }
                    _ => {}
                }
            }
            (None, letter) => {
                if words.is_empty() && word.is_none() {
                    first_line = line;
                }
                word.get_or_insert_default().push(letter);
            }
        }
    }
    match (headers.last(), stack.pop()) {
        (Some((line, _)), _) => {
            Err(format!("{file}, line {line}: a block that does not end: a }} is missing"))
        }
        (None, Some(directives)) if quote.is_none() && words.is_empty() && word.is_none() => Ok(directives),
        _ => Err(format!(
            "{file}, line {first_line}: a directive that does not end: a ; or a quote is missing"
        )),
    }
}
