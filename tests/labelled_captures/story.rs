//! The story language: one text file tells what each end of some TCP connections sent, and when.
//!
//! Times are those of the sender. Sequence and acknowledgement numbers are not written: they follow from what each end
//! has sent and received by then, so that packets which cross on the wire have the numbers of packets that crossed.
//! `captures/README.md` describes the language.

use finrace::packet::Flags;
use finrace::report::Side;

/// A story as written.
#[derive(Debug, Default)]
pub struct Story {
    /// Time a packet takes from one host to the other, µs.
    pub delay_us: i64,
    /// Routers between the hosts.
    pub hops: u8,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    pub connections: Vec<Connection>,
}

/// One connection, or several alike.
#[derive(Debug)]
pub struct Connection {
    /// Client port of the first; the next ones count up.
    pub port: u16,
    pub server_port: u16,
    /// Last byte of the client's address.
    pub host: u8,
    /// Whether the server port counts up, too.
    pub walk: bool,
    pub start_us: i64,
    pub repeat: u16,
    pub every_us: i64,
    /// Initial sequence numbers, client first.
    pub isn: Option<[u32; 2]>,
    pub steps: Vec<Step>,
}

/// One line: a segment that one side sends.
#[derive(Debug, Clone)]
pub struct Step {
    pub at: At,
    pub from: Side,
    pub flags: Flags,
    pub payload: Payload,
    pub options: Options,
}

/// When a segment is sent.
#[derive(Debug, Clone, Copy)]
pub enum At {
    /// After the start of its connection, µs.
    Connection(i64),
    /// After the start of the story, µs: the same moment for all repetitions.
    Story(i64),
}

#[derive(Debug, Clone)]
pub enum Payload {
    Bytes(Vec<u8>),
    /// The last data of this side once more, with the numbers it had.
    Again,
}

/// What differs from the ordinary.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Relative sequence number.
    pub seq: Option<u32>,
    /// Relative acknowledgement number.
    pub ack: Option<u32>,
    pub ttl: Option<u8>,
    /// Largest payload of one segment; longer data is sent in several.
    pub mss: Option<usize>,
    /// How often it is sent.
    pub times: Option<usize>,
    /// How much longer than others it is on the way, µs.
    pub late_us: i64,
    /// Lost on the way.
    pub lost: bool,
    /// Passes, but the capture at this side (or both) does not hold it.
    pub unseen: [bool; 2],
    /// Captured twice, as with `-i any`.
    pub dup: bool,
    /// A keep-alive probe: one number below the next.
    pub probe: bool,
}

impl Story {
    /// Reads a story; an error names the line.
    pub fn parse(text: &str) -> Result<Story, String> {
        let mut story = Story { delay_us: 20_000, ..Story::default() };
        let mut last = At::Connection(0);
        for (index, line) in text.lines().enumerate() {
            let words = words(line).map_err(|error| format!("line {}: {error}", index + 1))?;
            if words.is_empty() {
                continue;
            }
            story.line(&words, &mut last).map_err(|error| format!("line {}: {error}: {line}", index + 1))?;
        }
        Ok(story)
    }

    fn line(&mut self, words: &[Word], last: &mut At) -> Result<(), String> {
        match words[0].text()? {
            "ipv6" => self.ipv6 = true,
            "hops" => self.hops = number(words.get(1).ok_or("a number")?.text()?)?,
            "delay" => self.delay_us = time(words.get(1).ok_or("a time")?.text()?)?,
            "connection" => {
                let connection = Connection::parse(&words[1..], self.connections.len())?;
                self.connections.push(connection);
                *last = At::Connection(0);
            }
            when => {
                let at = At::parse(when, *last)?;
                let delay_us = self.delay_us;
                let connection = self.connections.last_mut().ok_or("`connection` must come first")?;
                let first = connection.steps.len();
                connection.step(at, &words[1..], delay_us)?;
                *last = connection.steps[first..].last().map_or(at, |step| step.at);
            }
        }
        Ok(())
    }
}

impl Connection {
    fn parse(words: &[Word], index: usize) -> Result<Connection, String> {
        let mut connection = Connection {
            port: 40_000 + 100 * index as u16,
            server_port: 8080,
            host: 1,
            walk: false,
            start_us: 0,
            repeat: 1,
            every_us: 0,
            isn: None,
            steps: Vec::new(),
        };
        for word in words {
            let text = word.text()?;
            match text.split_once('=') {
                Some(("port", port)) => connection.port = number(port)?,
                Some(("to", port)) => connection.server_port = number(port)?,
                Some(("host", host)) => connection.host = number(host)?,
                Some(("start", at)) => connection.start_us = time(at)?,
                Some(("repeat", times)) => connection.repeat = number(times)?,
                Some(("every", gap)) => connection.every_us = time(gap)?,
                Some(("isn", pair)) => {
                    let (client, server) = pair.split_once('/').ok_or("isn=CLIENT/SERVER")?;
                    connection.isn = Some([number(client)?, number(server)?]);
                }
                None if text == "walk" => connection.walk = true,
                _ => return Err(format!("unknown setting `{text}`")),
            }
        }
        Ok(connection)
    }

    fn step(&mut self, at: At, words: &[Word], delay_us: i64) -> Result<(), String> {
        let mut push = |after_us, from, flags: &str, bytes: Vec<u8>, options: &Options| {
            self.steps.push(Step {
                at: at.plus(after_us),
                from,
                flags: flags_of(flags)?,
                payload: Payload::Bytes(bytes),
                options: options.clone(),
            });
            Ok::<(), String>(())
        };
        match words.first().ok_or("C, S, open or exchange")?.text()? {
            "open" => {
                let (_, options) = terms(&words[1..])?;
                push(0, Side::Client, "S", vec![], &options)?;
                push(delay_us, Side::Server, "S.", vec![], &options)?;
                push(2 * delay_us, Side::Client, ".", vec![], &options)
            }
            "exchange" => {
                const SERVICE_US: i64 = 1_000;
                let (payload, options) = terms(&words[1..])?;
                let request = match payload {
                    Payload::Bytes(bytes) if !bytes.is_empty() => bytes,
                    _ => request("GET", "/", None),
                };
                push(0, Side::Client, "P.", request, &options)?;
                push(delay_us + SERVICE_US, Side::Server, "P.", response(200, 5), &options)?;
                push(2 * delay_us + SERVICE_US, Side::Client, ".", vec![], &options)
            }
            side @ ("C" | "S") => {
                let from = if side == "C" { Side::Client } else { Side::Server };
                let flags = flags_of(words.get(1).ok_or("flags")?.text()?)?;
                let (payload, options) = terms(&words[2..])?;
                self.steps.push(Step { at, from, flags, payload, options });
                Ok(())
            }
            other => Err(format!("`{other}` is none of C, S, open, exchange")),
        }
    }
}

impl At {
    fn parse(text: &str, last: At) -> Result<At, String> {
        if let Some(after) = text.strip_prefix('+') {
            Ok(last.plus(time(after)?))
        } else if let Some(at) = text.strip_prefix('@') {
            Ok(At::Story(time(at)?))
        } else {
            Ok(At::Connection(time(text)?))
        }
    }

    fn plus(self, us: i64) -> At {
        match self {
            At::Connection(at) => At::Connection(at + us),
            At::Story(at) => At::Story(at + us),
        }
    }
}

/// A word of a line: plain, or a quoted string.
#[derive(Debug)]
enum Word {
    Plain(String),
    Quoted(Vec<u8>),
}

impl Word {
    fn text(&self) -> Result<&str, String> {
        match self {
            Word::Plain(text) => Ok(text),
            Word::Quoted(_) => Err("a string where a word should be".to_owned()),
        }
    }
}

/// Splits a line; `#` begins a comment.
fn words(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (bytes, behind) = unquote(quoted)?;
            words.push(Word::Quoted(bytes));
            rest = behind.trim_start();
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(Word::Plain(rest[..end].to_owned()));
            rest = rest[end..].trim_start();
        }
    }
    Ok(words)
}

/// The bytes of a string, and what follows its closing quote.
fn unquote(text: &str) -> Result<(Vec<u8>, &str), String> {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((bytes, &text[at + 1..])),
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some('r') => bytes.push(b'\r'),
                Some('n') => bytes.push(b'\n'),
                Some(same @ ('"' | '\\')) => bytes.push(same as u8),
                Some('x') => {
                    let digits = text.get(at + 2..at + 4).ok_or("\\x needs two digits")?;
                    bytes.push(u8::from_str_radix(digits, 16).map_err(|error| error.to_string())?);
                    chars.nth(1);
                }
                other => return Err(format!("unknown escape {other:?}")),
            },
            plain => bytes.extend(plain.to_string().bytes()),
        }
    }
    Err("a string without its closing quote".to_owned())
}

/// The payload and the options at the end of a line.
fn terms(words: &[Word]) -> Result<(Payload, Options), String> {
    let mut bytes = Vec::new();
    let mut again = false;
    let mut options = Options::default();
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let text = match word {
            Word::Quoted(string) => {
                bytes.extend_from_slice(string);
                continue;
            }
            Word::Plain(text) => text.as_str(),
        };
        let mut argument = |what: &str| rest.next().ok_or(format!("`{text}` needs {what}"))?.text();
        match text {
            "data" => bytes.resize(bytes.len() + number::<usize>(argument("a length")?)?, b'd'),
            "record" => {
                let kind = argument("TYPE or TYPE/FIRST")?;
                let (kind, first) = kind.split_once('/').unwrap_or((kind, "170"));
                let len: u16 = number(argument("a length")?)?;
                bytes.extend([number(kind)?, 3, 3]);
                bytes.extend(len.to_be_bytes());
                let start = bytes.len();
                bytes.resize(start + usize::from(len), 0xaa);
                bytes[start] = number(first)?;
            }
            "GET" | "HEAD" | "PUT" | "POST" | "DELETE" => {
                let path = argument("a path")?;
                let body = rest.next_if(|word| word.text().is_ok_and(is_number));
                let body = body.map(|word| number(word.text()?)).transpose()?;
                bytes.extend(request(text, path, body));
            }
            "response" => {
                let status = number(argument("a status")?)?;
                let body = rest.next_if(|word| word.text().is_ok_and(is_number));
                let body = body.map(|word| number(word.text()?)).transpose()?;
                bytes.extend(response(status, body.unwrap_or(5)));
            }
            "again" => again = true,
            _ => options.set(text)?,
        }
    }
    Ok((if again { Payload::Again } else { Payload::Bytes(bytes) }, options))
}

impl Options {
    fn set(&mut self, text: &str) -> Result<(), String> {
        match text.split_once('=') {
            Some(("seq", value)) => self.seq = Some(number(value)?),
            Some(("ack", value)) => self.ack = Some(number(value)?),
            Some(("ttl", value)) => self.ttl = Some(number(value)?),
            Some(("mss", value)) => self.mss = Some(number(value)?),
            Some(("times", value)) => self.times = Some(number(value)?),
            Some(("late", value)) => self.late_us = time(value)?,
            Some(("unseen", "client")) => self.unseen = [true, false],
            Some(("unseen", "server")) => self.unseen = [false, true],
            None if text == "unseen" => self.unseen = [true, true],
            None if text == "lost" => self.lost = true,
            None if text == "dup" => self.dup = true,
            None if text == "probe" => self.probe = true,
            _ => return Err(format!("unknown option `{text}`")),
        }
        Ok(())
    }
}

fn request(method: &str, path: &str, body: Option<usize>) -> Vec<u8> {
    let length = body.map_or(String::new(), |len| format!("Content-Length: {len}\r\n"));
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: backend\r\n{length}\r\n").into_bytes();
    bytes.resize(bytes.len() + body.unwrap_or(0), b'b');
    bytes
}

fn response(status: u16, body: usize) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} Status\r\nContent-Length: {body}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + body, b'r');
    bytes
}

/// Flags as tcpdump writes them: `S.`, `P.`, `F.`, `R`.
fn flags_of(text: &str) -> Result<Flags, String> {
    text.chars().try_fold(Flags(0), |flags, letter| {
        let bit = match letter {
            'F' => Flags::FIN,
            'S' => Flags::SYN,
            'R' => Flags::RST,
            'P' => Flags::PSH,
            '.' => Flags::ACK,
            'U' => Flags::URG,
            _ => return Err(format!("unknown flag `{letter}`")),
        };
        Ok(Flags(flags.0 | bit))
    })
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number that fits here"))
}

/// A duration in µs; the unit is required.
pub fn time(text: &str) -> Result<i64, String> {
    let digits = text.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(text.len());
    let value: f64 = number(&text[..digits])?;
    let unit = match &text[digits..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "" if value == 0.0 => 1.0,
        unit => return Err(format!("`{text}`: the unit `{unit}` is none of us, ms, s")),
    };
    Ok((value * unit).round() as i64)
}
