//! Servers by the command that starts them: in a Dockerfile, a Procfile, a compose file, the pods of Kubernetes, or a unit
//! of systemd.

use super::super::setting::suspicion;
use super::python::Gunicorn;
use super::tree::{Data, Entry, Tree};
use super::{Found, Reading, SECOND, Value, duration, or_zero};

/// A command with where it stands.
struct Command {
    /// What it is called there: `service web`.
    part: Option<String>,
    words: Vec<String>,
    /// Variables that it is given.
    env: Vec<(String, String, usize)>,
    /// Its first line and its last.
    lines: (usize, usize),
}

/// A server whose idle timeout is one flag, in seconds.
struct Program {
    name: &'static str,
    id: &'static str,
    flags: &'static [&'static str],
    variable: &'static str,
    line: &'static str,
    zero: Value,
}

const PROGRAMS: [Program; 6] = [
    Program {
        name: "uvicorn",
        id: "uvicorn",
        flags: &["--timeout-keep-alive"],
        variable: "UVICORN_TIMEOUT_KEEP_ALIVE",
        line: "--timeout-keep-alive {}",
        zero: Value::NoKeepAlive,
    },
    Program {
        name: "fastapi",
        id: "uvicorn",
        flags: &[],
        variable: "UVICORN_TIMEOUT_KEEP_ALIVE",
        line: "uvicorn --timeout-keep-alive {}",
        zero: Value::NoKeepAlive,
    },
    Program {
        name: "hypercorn",
        id: "hypercorn",
        flags: &["--keep-alive"],
        variable: "",
        line: "--keep-alive {}",
        zero: Value::NoKeepAlive,
    },
    Program {
        name: "puma",
        id: "puma",
        flags: &[],
        variable: "PUMA_PERSISTENT_TIMEOUT",
        line: "PUMA_PERSISTENT_TIMEOUT={}",
        zero: Value::Unreadable,
    },
    Program {
        name: "waitress-serve",
        id: "waitress",
        flags: &["--channel-timeout"],
        variable: "",
        line: "--channel-timeout={}",
        zero: Value::Unreadable,
    },
    Program { name: "daphne", id: "daphne", flags: &[], variable: "", line: "", zero: Value::Unreadable },
];

const OTHERS: [&str; 3] = ["gunicorn", "traefik", "uwsgi"];

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn is_program(word: &str) -> bool {
    let name = base(word);
    OTHERS.contains(&name) || PROGRAMS.iter().any(|program| program.name == name)
}

/// Words as a shell takes them; those of `sh -c '...'` are words, too.
fn split(text: &str) -> Vec<String> {
    let words = shlex::split(text).unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect());
    words
        .into_iter()
        .flat_map(
            |word| if word.contains(' ') && !word.starts_with('-') { split_inner(&word) } else { vec![word] },
        )
        .collect()
}

fn split_inner(text: &str) -> Vec<String> {
    shlex::split(text).unwrap_or_else(|| vec![text.to_owned()])
}

pub(super) fn looks_like(text: &str) -> bool {
    !of_lines(text).is_empty()
}

pub(super) fn is_compose(tree: &Tree) -> bool {
    let of_service =
        |entry: &Entry| ["image", "build", "command"].iter().any(|key| entry.value.get(key).is_some());
    tree.get("services").is_some_and(|services| services.value.entries().iter().any(of_service))
}

pub(super) fn read(text: &str) -> Result<Vec<Reading>, String> {
    let mut commands = of_lines(text);
    if commands.is_empty() {
        for tree in Tree::yaml(text)?.iter().filter(|tree| is_compose(tree)) {
            commands.extend(of_compose(tree));
        }
    }
    let readings: Vec<Reading> = commands.iter().filter_map(|command| command.reading(text)).collect();
    if readings.is_empty() {
        return Err("none of its commands starts a server or proxy known here: Gunicorn, Uvicorn, Hypercorn, Puma, Waitress, Daphne, uWSGI or Traefik".to_owned());
    }
    Ok(readings)
}

/// The commands of the containers of a pod, wherever the template stands.
pub(super) fn of_pods(text: &str, tree: &Tree) -> Vec<Reading> {
    let mut commands = Vec::new();
    tree.walk(&mut |_, entry| {
        if entry.key == "containers" {
            for container in entry.value.items() {
                let mut words = Vec::new();
                let mut lines = (container.line, container.line);
                for key in ["command", "args"] {
                    if let Some(entry) = container.get(key) {
                        words.extend(
                            entry.value.items().iter().filter_map(|item| item.text()).flat_map(split),
                        );
                        lines.1 =
                            lines.1.max(entry.value.items().last().map_or(entry.line, |item| item.line));
                    }
                }
                let name = container.get("name").and_then(|entry| entry.value.text()).unwrap_or("?");
                let env = container.get("env").map(|env| env.value.items()).unwrap_or_default();
                let env = env.iter().filter_map(|item| {
                    let (name, value) = (item.get("name")?.value.text()?, item.get("value")?);
                    Some((name.to_owned(), value.value.text()?.to_owned(), value.line))
                });
                commands.push(Command {
                    part: Some(format!("container {name}")),
                    words,
                    env: env.collect(),
                    lines,
                });
            }
        }
    });
    commands.iter().filter_map(|command| command.reading(text)).collect()
}

fn of_compose(tree: &Tree) -> Vec<Command> {
    let services = tree.get("services").map(|entry| entry.value.entries()).unwrap_or_default();
    let command = |service: &Entry| {
        let mut words = Vec::new();
        let mut lines = (service.line, service.line);
        // The image of a proxy starts it, with the command as its flags.
        if let Some(image) = service.value.get("image").and_then(|entry| entry.value.text()) {
            let name = base(image).split([':', '@']).next().unwrap_or_default();
            words.extend((name == "traefik").then(|| name.to_owned()));
        }
        for key in ["entrypoint", "command"] {
            if let Some(entry) = service.value.get(key) {
                for item in entry.value.items() {
                    lines.1 =
                        lines.1.max(item.line + item.text().map_or(0, |text| text.matches('\n').count()));
                    words.extend(item.text().map(split).unwrap_or_default());
                }
            }
        }
        let environment = service.value.get("environment").map(|entry| &entry.value);
        let env = environment.map(|env| match &env.data {
            Data::Map(entries) => entries
                .iter()
                .filter_map(|entry| Some((entry.key.clone(), entry.value.text()?.to_owned(), entry.line)))
                .collect(),
            _ => env
                .items()
                .iter()
                .filter_map(|item| {
                    item.text()?
                        .split_once('=')
                        .map(|(name, value)| (name.to_owned(), value.to_owned(), item.line))
                })
                .collect(),
        });
        Command { part: Some(format!("service {}", service.key)), words, env: env.unwrap_or_default(), lines }
    };
    services.iter().map(command).collect()
}

/// The commands of a Dockerfile, a Procfile or a unit, if it is one.
fn of_lines(text: &str) -> Vec<Command> {
    let statements = statements(text);
    let starts = |word: &str| statements.iter().any(|(_, _, statement)| statement.starts_with(word));
    if starts("FROM ") && ["CMD", "ENTRYPOINT", "RUN", "COPY"].iter().any(|word| starts(word)) {
        return docker(&statements);
    }
    if starts("[Service]") && starts("ExecStart") {
        return unit(&statements);
    }
    let process = |(first, last, statement): &(usize, usize, String)| {
        let (name, command) = statement.split_once(':')?;
        let plain = !name.is_empty()
            && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_'));
        let words = split(command);
        (plain && words.iter().any(|word| is_program(word)) && words.len() > 1).then(|| Command {
            part: Some(format!("process {name}")),
            env: variables(&words, *first),
            words,
            lines: (*first, *last),
        })
    };
    let flat = statements
        .iter()
        .all(|(_, _, statement)| statement.contains(':') && !statement.starts_with([' ', '-']));
    if flat { statements.iter().filter_map(process).collect() } else { Vec::new() }
}

/// Lines without comments, continued ones joined; each with its first line and its last.
fn statements(text: &str) -> Vec<(usize, usize, String)> {
    let mut found: Vec<(usize, usize, String)> = Vec::new();
    let mut continued = false;
    for (index, raw) in text.lines().enumerate() {
        if raw.trim().is_empty() || raw.trim_start().starts_with('#') {
            continue;
        }
        let (part, more) = match raw.trim_end().strip_suffix('\\') {
            Some(part) => (part, true),
            None => (raw.trim_end(), false),
        };
        match found.last_mut().filter(|_| continued) {
            Some((_, last, statement)) => {
                *last = index + 1;
                statement.push(' ');
                statement.push_str(part.trim());
            }
            None => found.push((index + 1, index + 1, part.to_owned())),
        }
        continued = more;
    }
    found
}

fn docker(statements: &[(usize, usize, String)]) -> Vec<Command> {
    let mut env = Vec::new();
    let (mut entry, mut command): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut lines = (usize::MAX, 0);
    for (first, last, statement) in statements {
        let (word, rest) = statement.split_once(char::is_whitespace).unwrap_or((statement, ""));
        let rest = rest.trim();
        match word.to_ascii_uppercase().as_str() {
            // Another stage begins: only the last one runs.
            "FROM" => (entry, command, env) = (Vec::new(), Vec::new(), Vec::new()),
            "ENV" => {
                let pairs = split(rest);
                env.extend(variables(&pairs, *first));
                if let [name, value] = &pairs[..]
                    && !name.contains('=')
                {
                    env.push((name.clone(), value.clone(), *first));
                }
            }
            "CMD" | "ENTRYPOINT" => {
                let words = serde_json::from_str::<Vec<String>>(rest)
                    .map(|words| words.iter().flat_map(|word| split(word)).collect())
                    .unwrap_or_else(|_| split(rest));
                if word.eq_ignore_ascii_case("CMD") {
                    command = words
                } else {
                    entry = words
                }
                lines = (lines.0.min(*first), lines.1.max(*last));
            }
            _ => {}
        }
    }
    entry.extend(command);
    let command = Command { part: None, words: entry, env, lines: (lines.0.min(lines.1), lines.1) };
    // A Dockerfile is one, whatever it starts.
    vec![command]
}

fn unit(statements: &[(usize, usize, String)]) -> Vec<Command> {
    let mut env = Vec::new();
    let mut commands = Vec::new();
    for (first, last, statement) in statements {
        match statement.split_once('=') {
            Some(("Environment", value)) => env.extend(variables(&split(value), *first)),
            Some(("ExecStart", value)) => {
                let words = split(value.trim_start_matches(['-', '@', ':', '+', '!']));
                commands.push(Command { part: None, words, env: Vec::new(), lines: (*first, *last) });
            }
            _ => {}
        }
    }
    for command in &mut commands {
        command.env.clone_from(&env);
    }
    commands
}

fn variables(words: &[String], line: usize) -> Vec<(String, String, usize)> {
    let upper = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
    };
    words
        .iter()
        .filter_map(|word| word.split_once('='))
        .filter(|(name, _)| upper(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned(), line))
        .collect()
}

impl Command {
    fn reading(&self, text: &str) -> Option<Reading> {
        let at = self.words.iter().position(|word| is_program(word))?;
        let arguments = &self.words[at + 1..];
        let name = base(&self.words[at]);
        let mut reading = match name {
            "gunicorn" => self.gunicorn(text, arguments),
            "traefik" => self.traefik(text, arguments),
            "uwsgi" => self.uwsgi(text, arguments),
            name => self.simple(text, arguments, PROGRAMS.iter().find(|program| program.name == name)?),
        };
        reading.part.clone_from(&self.part);
        Some(reading)
    }

    /// The value of the last of these flags, `--flag value` or `--flag=value`, with its line.
    fn flag<'a>(&self, text: &str, arguments: &'a [String], names: &[&str]) -> Option<(&'a str, usize)> {
        let value = |(index, word): (usize, &'a String)| {
            let (name, value) =
                word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            let known = names.iter().any(|known| known.eq_ignore_ascii_case(name));
            let value = value.or_else(|| arguments.get(index + 1).map(String::as_str));
            value.filter(|_| known).map(|value| (value, self.line_of(text, name)))
        };
        arguments.iter().enumerate().rev().find_map(value)
    }

    fn line_of(&self, text: &str, word: &str) -> usize {
        let within = text.lines().enumerate().skip(self.lines.0.saturating_sub(1));
        let mut lines = within.take_while(|(index, _)| *index < self.lines.1.max(self.lines.0));
        lines.find(|(_, line)| line.contains(word)).map_or(self.lines.0, |(index, _)| index + 1)
    }

    fn seconds(text: &str, value: &str, line: usize, zero: Value, reading: &mut Reading) -> Found {
        if let Ok(number) = value.parse::<f64>() {
            reading.warnings.extend(suspicion(&format!("the timeout in line {line}"), number, "s"));
        }
        Found::at(text, line, or_zero(duration(value, SECOND), zero))
    }

    fn simple(&self, text: &str, arguments: &[String], program: &Program) -> Reading {
        let mut reading = Reading::of(Some(program.id), None);
        reading.line = Some((program.line, SECOND)).filter(|(line, _)| !line.is_empty());
        let variable = self.env.iter().rev().find(|(name, ..)| name == program.variable);
        let set = self
            .flag(text, arguments, program.flags)
            .or(variable.map(|(_, value, line)| (value.as_str(), *line)));
        if let Some((value, line)) = set {
            let found = Command::seconds(text, value, line, program.zero, &mut reading);
            reading.downstream.push(found);
        } else {
            self.elsewhere(text, arguments, &["-c", "--config", "-C"], &mut reading);
        }
        reading
    }

    /// A file of settings that the command names, and that was not read.
    fn elsewhere(&self, text: &str, arguments: &[String], flags: &[&str], reading: &mut Reading) {
        if let Some((file, line)) = self.flag(text, arguments, flags) {
            let told = format!(
                "line {line}: it takes settings from {file}, which was not read: check that file instead"
            );
            reading.incomplete = Some(told.clone());
            reading.warnings.push(told);
        }
    }

    fn gunicorn(&self, text: &str, arguments: &[String]) -> Reading {
        let more = self.env.iter().find(|(name, ..)| name == "GUNICORN_CMD_ARGS");
        let mut all: Vec<String> = more.map(|(_, value, _)| split(value)).unwrap_or_default();
        all.extend_from_slice(arguments);
        let threads = self.flag(text, &all, &["--threads"]);
        let mut warnings = Reading::default();
        let keepalive = self
            .flag(text, &all, &["--keep-alive"])
            .map(|(value, line)| Command::seconds(text, value, line, Value::NoKeepAlive, &mut warnings));
        let worker = self.flag(text, &all, &["-k", "--worker-class"]);
        let config = self.flag(text, &all, &["-c", "--config"]).is_some();
        let set = Gunicorn {
            // A file may choose another worker.
            worker: worker.map(|(value, _)| value.to_owned()).or(config.then(|| "?".to_owned())),
            threads: threads.map(|(value, _)| value.parse().unwrap_or(2.0)),
            keepalive,
        };
        let mut reading = set.reading();
        reading.line = Some(("--keep-alive {}", SECOND));
        reading.warnings.extend(warnings.warnings);
        self.elsewhere(text, &all, &["-c", "--config"], &mut reading);
        reading
    }

    fn traefik(&self, text: &str, arguments: &[String]) -> Reading {
        let mut reading = Reading::of(Some("traefik"), Some("traefik"));
        let upstream = self.flag(text, arguments, &["--serversTransport.forwardingTimeouts.idleConnTimeout"]);
        if let Some((value, line)) = upstream {
            reading.upstream.push(Found::at(text, line, or_zero(duration(value, SECOND), Value::Never)));
        }
        for word in arguments {
            let lower = word.to_ascii_lowercase();
            if let Some((name, value)) = lower.split_once('=')
                && name.ends_with("respondingtimeouts.idletimeout")
            {
                let line = self.line_of(text, word);
                reading.downstream.push(Found::at(
                    text,
                    line,
                    or_zero(duration(value, SECOND), Value::Never),
                ));
            }
        }
        self.elsewhere(text, arguments, &["--configFile"], &mut reading);
        reading
    }

    fn uwsgi(&self, text: &str, arguments: &[String]) -> Reading {
        let mut reading = Reading::of(Some("uwsgi-http"), None);
        self.elsewhere(text, arguments, &["--ini", "--yaml", "--xml", "--json"], &mut reading);
        let keepalive = self.flag(text, arguments, &["--http-keepalive"]).or_else(|| {
            let bare = arguments.iter().any(|word| word == "--http-keepalive");
            bare.then(|| ("1", self.line_of(text, "--http-keepalive")))
        });
        let found = match keepalive {
            None if reading.incomplete.is_some() => return reading,
            None => Found {
                file: None,
                line: 0,
                text: "no --http-keepalive".to_owned(),
                value: Value::NoKeepAlive,
                unset: false,
            },
            Some((value, line)) => {
                let value = match value.parse::<i64>() {
                    Ok(0) => Value::NoKeepAlive,
                    Ok(1) => Value::Time(60 * SECOND),
                    Ok(seconds) if seconds > 1 => {
                        seconds.checked_mul(SECOND).map_or(Value::Unreadable, Value::Time)
                    }
                    _ => Value::Unreadable,
                };
                Found::at(text, line, value)
            }
        };
        reading.downstream.push(found);
        reading
    }
}
