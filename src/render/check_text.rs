//! The answer of `finrace check`: both timers, who closes first, the margin, the verdict, the line to change.

use serde::Serialize;

use super::columns::{Cell, Columns, Edge};
use super::page::Page;
use super::style::{TextOptions, Tone};
use super::units::{duration, setting};
use crate::products::{Change, First, Idle, IdleTimer, Pair, PairVerdict, Party};

/// Version of the layout of [`json`].
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    verdict: PairVerdict,
    parties: &'a [Party],
    pairs: &'a [Pair],
}

/// One document: the verdict, every party and every pair.
pub fn json(parties: &[Party], pairs: &[Pair], verdict: PairVerdict) -> String {
    let text = serde_json::to_string_pretty(&Document { schema: SCHEMA, verdict, parties, pairs });
    text.expect("a check is plain data with string keys") + "\n"
}

/// For people: each pair with its two timers, then what was noticed about the parties.
pub fn table(parties: &[Party], pairs: &[Pair], verdict: PairVerdict, options: TextOptions) -> String {
    let mut page = Page::new(options);
    for pair in pairs {
        page.pair(pair);
        page.blank();
    }
    let warnings: Vec<&String> = parties.iter().flat_map(|party| &party.warnings).collect();
    for warning in &warnings {
        page.explained("Mind", warning);
    }
    if !warnings.is_empty() {
        page.blank();
    }
    if pairs.len() > 1 {
        let unsafe_pairs = pairs.iter().filter(|pair| pair.verdict == PairVerdict::Unsafe).count();
        let sentence = match verdict {
            PairVerdict::Safe => "The whole chain is safe.".to_owned(),
            PairVerdict::Unsafe => {
                format!("The chain is not safe: {unsafe_pairs} of {} pairs can race.", pairs.len())
            }
            PairVerdict::Unknown => "The chain cannot be judged: a timer is not known.".to_owned(),
        };
        page.paragraph(&sentence, tone(verdict), true, 0);
    }
    page.text
}

fn tone(verdict: PairVerdict) -> Tone {
    match verdict {
        PairVerdict::Safe => Tone::Response,
        PairVerdict::Unsafe => Tone::Reset,
        PairVerdict::Unknown => Tone::Fin,
    }
}

impl Page {
    fn pair(&mut self, pair: &Pair) {
        let word = match pair.verdict {
            PairVerdict::Safe => "SAFE",
            PairVerdict::Unsafe => "UNSAFE",
            PairVerdict::Unknown => "UNKNOWN",
        };
        let heading = match &pair.through {
            None => format!("{word}: {} in front of {}", pair.proxy, pair.backend),
            Some(through) => {
                format!("{word}: {} in front of {}, through {}", pair.proxy, pair.backend, through.name)
            }
        };
        self.paragraph(&heading, tone(pair.verdict), true, 0);
        let row = |name: &str, timer: &IdleTimer, keeps: &str| {
            vec![
                Cell::plain(name),
                Cell::plain(idle(timer, keeps)).strong(),
                Cell::toned(&timer.known_from, Tone::Muted),
            ]
        };
        let mut rows = vec![row(&pair.proxy, &pair.proxy_timer, "gives up after")];
        if let Some(through) = &pair.through {
            rows.push(row(&through.name, &through.timer, "forgets after"));
        }
        rows.push(row(&pair.backend, &pair.backend_timer, "closes after"));
        let headings = vec![("", Edge::Left), ("", Edge::Left), ("", Edge::Left)];
        self.text += &Columns { headings, rows, indent: 2 }.text(self.options);
        let first = match (pair.closes_first, pair.margin_ns) {
            (Some(First::Proxy), Some(margin)) => {
                let whom = pair.through.as_ref().map_or("the backend", |through| &through.name);
                Some(format!("The proxy, {} before {whom}.", length(margin)))
            }
            (Some(First::Backend), _) if pair.through.is_some() => Some("The backend.".to_owned()),
            (Some(First::Backend), Some(margin)) => {
                Some(format!("The backend, up to {} before the proxy.", length(-margin)))
            }
            (Some(First::Either), _) => Some("Now the one, now the other.".to_owned()),
            (Some(First::Proxy), None) => Some("The proxy.".to_owned()),
            (Some(First::Backend), None) => Some("The backend.".to_owned()),
            (Some(First::Neither), _) | (None, _) => None,
        };
        if let Some(first) = first {
            self.explained("Closes first", &first);
        }
        self.explained("Why", &pair.why);
        for (index, change) in pair.change.iter().enumerate() {
            self.change(if index == 0 { "What to change" } else { "or" }, change);
        }
    }

    /// What to write, as it is written: each line whole, so that it can be copied.
    fn change(&mut self, heading: &str, change: &Change) {
        let place = change.place.as_ref().map_or_else(String::new, |place| format!(", {place}"));
        // A line of a file says where it is written.
        let written_in = change.written_in.as_ref().filter(|_| change.place.is_none());
        let written_in = written_in.map_or_else(String::new, |written_in| format!(" ({written_in})"));
        self.explained(heading, &format!("{}{place}{written_in}:", change.whose));
        if change.is_code {
            for line in change.line.lines() {
                self.command("", &format!("    {line}"));
            }
        } else {
            self.explained("", &change.line);
        }
        if let Some(now) = &change.now {
            self.command("", &format!("instead of {now}"));
        }
        if let Some(note) = &change.note {
            self.explained("", note);
        }
    }
}

/// Whole seconds as they are set, anything else rounded.
fn length(ns: i64) -> String {
    if ns % 1_000_000_000 == 0 { setting(ns) } else { duration(ns) }
}

fn idle(timer: &IdleTimer, does: &str) -> String {
    match timer.idle {
        Some(Idle::Closes { after_ns, at_most_ns }) if after_ns == at_most_ns => {
            format!("{does} {}", setting(after_ns))
        }
        Some(Idle::Closes { after_ns, at_most_ns }) => {
            format!("{does} {} to {}", setting(after_ns), setting(at_most_ns))
        }
        Some(Idle::Never) => "keeps idle connections".to_owned(),
        Some(Idle::NoKeepAlive) => "keeps no connection".to_owned(),
        None => "not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products::{Facing, chain};
    use crate::render::wrap::columns;

    fn checked(specs: &[&str], width: u16) -> String {
        let last = specs.len() - 1;
        let parties: Vec<Party> = specs
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                let faces = if index == 0 && last > 0 { Facing::Upstream } else { Facing::Downstream };
                Party::parse(spec, faces).unwrap()
            })
            .collect();
        let pairs = chain(&parties, 1_000_000_000).unwrap();
        let verdict = pairs.iter().map(|pair| pair.verdict).max().unwrap();
        table(&parties, &pairs, verdict, TextOptions { width, color: false, unicode: true })
    }

    #[test]
    fn a_check_reads_verdict_first() {
        insta::assert_snapshot!(
            "check_unsafe_100",
            checked(&["aws-alb", "express:keepAliveTimeout=65"], 100)
        );
        insta::assert_snapshot!(
            "check_chain_80",
            checked(&["cloudflare", "nginx", "go:IdleTimeout=75s"], 80)
        );
    }

    #[test]
    fn no_sentence_is_wider_than_the_terminal() {
        for line in checked(&["cloudflare", "haproxy", "express"], 72).lines() {
            assert!(columns(line) <= 72 || line.starts_with("                    "), "{line}");
        }
    }
}
