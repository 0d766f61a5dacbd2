//! Finds known messages in text, line by line, in bounded memory: each message is kept once, with its count.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::normal::plain_lines;
use super::{Message, all};
use crate::report::explanation::{Explanation, Recognised, Step};

/// Version of the layout of [`Explanation`].
const SCHEMA: u32 = 1;
/// Letters of a line that are shown, and how many of them before the message.
const SHOWN: usize = 240;
const SHOWN_BEFORE: usize = 80;
/// Lines that look like failures and are not known: how many are shown.
const UNKNOWN_SHOWN: usize = 5;
/// Automata of this size are enough for all messages together, bytes.
const AUTOMATON: usize = 64 << 20;
/// The command that captures what is to be judged.
const CAPTURE: &str =
    "tcpdump -i any -s 256 -w race.pcap 'tcp port PORT'   # then: finrace analyze race.pcap";

/// How lines begin that continue the one before: a stack trace, a cause, the fields of an error object.
const CONTINUES: [&str; 14] = [
    " ",
    "}",
    "at ",
    "Caused by",
    "... ",
    "--->",
    "---> ",
    "[cause]",
    "[errors]",
    "Traceback",
    "During handling of",
    "The above exception",
    "Suppressed:",
    "code:",
];
/// What a line is like that tells of a failure, known or not.
const FAILURE: &str = r#"(?i)\b(reset|refused|timed? ?-?out|closed|broken pipe|disconnect\w*|eof|aborted|unavailable|hang ?up|hung up|premature\w*|econn\w+|gone away)\b|" 50[234] "#;

/// What is known, ready to be looked for.
struct Known {
    set: RegexSet,
    failure: Regex,
    single: Vec<OnceLock<Regex>>,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let patterns = all().iter().map(Message::pattern);
        let set = RegexSetBuilder::new(patterns)
            .unicode(false)
            .size_limit(AUTOMATON)
            .dfa_size_limit(AUTOMATON)
            .build();
        Known {
            set: set.unwrap_or_else(|error| panic!("a message has no pattern: {error}")),
            failure: compiled(FAILURE),
            single: all().iter().map(|_| OnceLock::new()).collect(),
        }
    })
}

fn compiled(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).unicode(false).build().unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// A message in a line.
#[derive(Debug, Clone)]
struct Hit {
    /// Its place in [`all`].
    message: usize,
    /// Bytes of the line that are the message.
    span: std::ops::Range<usize>,
}

/// A message that was found.
#[derive(Debug)]
struct Found {
    count: u64,
    first_line: u64,
    quote: String,
}

/// A record: a log line, or an exception with its stack and its causes.
#[derive(Debug, Default)]
struct Record {
    /// Length of the match, where, and the line.
    hits: BTreeMap<usize, (usize, u64, String)>,
    /// A line that looks like a failure.
    failure: Option<String>,
}

/// Takes lines in and says at the end what they tell.
#[derive(Debug, Default)]
pub struct Recogniser {
    lines: u64,
    recognised_lines: u64,
    cut_lines: u64,
    record: Record,
    continues: bool,
    found: BTreeMap<usize, Found>,
    unknown: Vec<String>,
    unknown_count: u64,
}

impl Recogniser {
    /// Takes in one line, without its end. `cut` says that the line was longer than this.
    pub fn line(&mut self, line: &[u8], cut: bool) {
        self.lines += 1;
        self.cut_lines += u64::from(cut);
        let mut hit_here = false;
        for (index, plain) in plain_lines(line).iter().enumerate() {
            // A line end within a line of JSON does not end the record.
            if index == 0 && !self.belongs(plain) {
                self.end_record();
            }
            self.continues = plain.starts_with(' ') || plain.starts_with("Traceback");
            let hits = hits(plain);
            hit_here |= !hits.is_empty();
            if hits.is_empty() && self.record.failure.is_none() && known().failure.is_match(plain.as_bytes())
            {
                self.record.failure = Some(shortened(plain, 0));
            }
            for hit in hits {
                let length = hit.span.len();
                let entry = self.record.hits.entry(hit.message);
                let place = (length, self.lines, shortened(plain, hit.span.start));
                entry.and_modify(|before| before.0 = before.0.max(length)).or_insert(place);
            }
        }
        self.recognised_lines += u64::from(hit_here);
    }

    /// Whether a line belongs to the record in hand.
    fn belongs(&self, line: &str) -> bool {
        let of_object = line.len() < 40 && line.ends_with([',', '{', '}']);
        // After indented code, Python names the exception at the margin.
        let exception = || {
            line.split([':', ' ']).next().is_some_and(|word| word.contains('.') || word.ends_with("Error"))
        };
        CONTINUES.iter().any(|begin| line.starts_with(begin)) || of_object || self.continues && exception()
    }

    fn end_record(&mut self) {
        let Record { hits, failure } = std::mem::take(&mut self.record);
        if hits.is_empty() {
            if let Some(line) = failure {
                self.unknown_count += 1;
                if self.unknown.len() < UNKNOWN_SHOWN {
                    self.unknown.push(line);
                }
            }
            return;
        }
        for message in telling(&hits) {
            let (_, line, quote) = &hits[&message];
            let found = self.found.entry(message);
            found.and_modify(|found| found.count += 1).or_insert(Found {
                count: 1,
                first_line: *line,
                quote: quote.clone(),
            });
        }
    }

    /// What the lines tell.
    pub fn explanation(mut self) -> Explanation {
        self.end_record();
        let mut found: Vec<(usize, Found)> = self.found.into_iter().collect();
        found.sort_by_key(|(message, found)| (all()[*message].generic, found.first_line, *message));
        Explanation {
            schema: SCHEMA,
            lines: self.lines,
            recognised_lines: self.recognised_lines,
            cut_lines: self.cut_lines,
            messages: found.into_iter().map(|(message, found)| recognised(&all()[message], found)).collect(),
            not_recognised: self.unknown,
            not_recognised_count: self.unknown_count,
        }
    }
}

/// The messages of a line: the longest match of all, and others beside it. What is within it says less.
fn hits(line: &str) -> Vec<Hit> {
    let known = known();
    let mut all_hits: Vec<Hit> = Vec::new();
    for message in known.set.matches(line.as_bytes()) {
        let regex = known.single[message].get_or_init(|| compiled(all()[message].pattern()));
        if let Some(span) = regex.find(line.as_bytes()) {
            all_hits.push(Hit { message, span: span.range() });
        }
    }
    all_hits.sort_by_key(|hit| (all()[hit.message].generic, std::cmp::Reverse(hit.span.len()), hit.message));
    let mut kept: Vec<Hit> = Vec::new();
    for hit in all_hits {
        if kept.iter().all(|other| hit.span.end <= other.span.start || other.span.end <= hit.span.start) {
            kept.push(hit);
        }
    }
    kept
}

/// The messages of a record that say something of their own: none that is generic beside one that is not, one for each
/// moment (the longest), and none that another one covers.
fn telling(hits: &BTreeMap<usize, (usize, u64, String)>) -> Vec<usize> {
    let specific = hits.keys().any(|&message| !all()[message].generic);
    let covered = |message: usize| hits.keys().any(|&other| all()[other].covers.contains(&all()[message].id));
    let mut kept: Vec<usize> = hits
        .keys()
        .copied()
        .filter(|&message| (!specific || !all()[message].generic) && !covered(message))
        .collect();
    kept.sort_by_key(|message| (std::cmp::Reverse(hits[message].0), *message));
    let mut moments: Vec<&str> = Vec::new();
    kept.retain(|&message| {
        let moment = all()[message].moment.id.as_str();
        let new = !moments.contains(&moment);
        moments.push(moment);
        new
    });
    kept
}

fn recognised(message: &Message, found: Found) -> Recognised {
    let party = message.party.as_deref().unwrap_or("CLIENT");
    let step = |(text, command): &(String, String)| {
        let command = command.replace("{party}", party).replace("{capture}", CAPTURE);
        Step { text: text.clone(), command: Some(command).filter(|command| !command.is_empty()) }
    };
    Recognised {
        id: message.id.clone(),
        who: message.who.clone(),
        line: message.line.clone(),
        count: found.count,
        first_line: found.first_line,
        quote: found.quote,
        moment: message.moment.id.clone(),
        moment_name: message.moment.name.clone(),
        says: message.meaning().to_owned(),
        causes: message.causes.clone(),
        otherwise: message.moment.otherwise.clone(),
        retry: message.moment.retry.clone(),
        next: message.moment.next.iter().map(step).collect(),
        source: message.source.clone(),
    }
}

/// A line around a place in it, with dots where something is left out.
fn shortened(line: &str, at: usize) -> String {
    let line_before = line.get(..at).unwrap_or_default().chars().count();
    let all = line.trim_start().chars().count();
    let trimmed = line.chars().count() - all;
    let from = line_before.saturating_sub(trimmed);
    let begin = if all <= SHOWN { 0 } else { from.saturating_sub(SHOWN_BEFORE).min(all - SHOWN) };
    let shown: String = line.trim_start().chars().skip(begin).take(SHOWN).collect();
    let (before, after) = (if begin > 0 { "…" } else { "" }, if begin + SHOWN < all { "…" } else { "" });
    format!("{before}{shown}{after}")
}
