//! One party of a chain: a proxy, a hop or a backend, with the idle timers that it was said to have.

use serde::Serialize;

use super::setting::Assignments;
use super::{Facing, Heeds, Idle, Meaning, Product, Timer, find, find_facing, suggestions};
use crate::duration::parse_duration;

/// How a time without a product is known.
const GIVEN: &str = "as given";

/// One party of a chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Party {
    /// What it is called in the answer.
    pub name: String,
    /// The timer of connections that it accepted.
    pub downstream: IdleTimer,
    /// The timer of connections that it opened.
    pub upstream: IdleTimer,
    /// After what idle time it forgets a connection between its neighbours: a middlebox, which is neither end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<IdleTimer>,
    /// What its settings do not do, and what looks like a mistake.
    pub warnings: Vec<String>,
}

/// What is known of one of its timers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IdleTimer {
    /// What it does; none where nothing is known.
    #[serde(flatten)]
    pub idle: Option<Idle>,
    /// How that is known: the setting and where it was found, or the default and whose.
    pub known_from: String,
    /// Where it is set.
    pub place: Option<Place>,
    /// What it does instead under a condition that is not known to hold or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Otherwise>,
    /// What its responses tell the client of it: `Keep-Alive: timeout=N`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announces: Option<Announcement>,
    /// What it makes of such an announcement, as a client.
    #[serde(skip)]
    pub heeds: Option<Heeds>,
    /// Whose it is, by its name in the data; none where only a time is known.
    #[serde(skip)]
    pub product: Option<String>,
    /// How it is written in the file that was read, `{}` standing for a number of `unit_ns`.
    #[serde(skip)]
    pub line: Option<String>,
    /// The unit of that number, ns.
    #[serde(skip)]
    pub unit_ns: i64,
}

/// What a timer does where something else holds than was assumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Otherwise {
    /// Where what is assumed holds, for a sentence: `from nginx 1.29.7 on`.
    pub assumed: String,
    /// Where it does not: `before nginx 1.29.7`.
    pub when: String,
    /// What it does then.
    #[serde(flatten)]
    pub idle: Idle,
}

/// The `Keep-Alive: timeout=N` of a server's responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Announcement {
    /// The time that it names, ns.
    pub ns: i64,
    /// Only where the request says `Connection: keep-alive`.
    pub if_asked: bool,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// As it was given.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What it says, without blanks around it.
    pub text: String,
}

impl IdleTimer {
    /// A timer of which nothing is known.
    pub fn unknown(why: impl Into<String>) -> IdleTimer {
        IdleTimer {
            idle: None,
            known_from: why.into(),
            place: None,
            otherwise: None,
            announces: None,
            heeds: None,
            product: None,
            line: None,
            unit_ns: 1_000_000_000,
        }
    }

    fn given(idle: Idle) -> IdleTimer {
        IdleTimer { idle: Some(idle), ..IdleTimer::unknown(GIVEN) }
    }

    /// What a product does when nothing is set. Of releases that differ, the earliest and the latest close both count.
    pub fn default_of(product: &Product, side: Facing) -> IdleTimer {
        let released = |timer: &&Timer| timer.versions.as_deref() != Some("unreleased");
        let mut timers = product.timers_facing(side).filter(released).peekable();
        let Some(first) = timers.next().or_else(|| product.timers_facing(side).next()) else {
            return IdleTimer::unknown(no_timer(product, side));
        };
        let mut idle = first.idle;
        let mut otherwise = None;
        let mut releases: Vec<String> = Vec::new();
        let mut measured = first.measured.as_deref();
        for timer in std::iter::once(first).chain(timers) {
            match idle.joined(timer.idle) {
                Some(joined) => idle = joined,
                None => otherwise = Some(timer),
            }
            measured = measured.or(timer.measured.as_deref());
            releases.extend(timer.versions.clone());
        }
        let words =
            |timer: &Timer| timer.versions.clone().unwrap_or_else(|| "with other settings".to_owned());
        let otherwise =
            otherwise.map(|timer| Otherwise { assumed: words(first), when: words(timer), idle: timer.idle });
        let mut facts: Vec<String> = first.setting_name().map(str::to_owned).into_iter().collect();
        facts.append(&mut releases);
        facts.push(measured.map_or("documented".to_owned(), |how| format!("measured: {how}")));
        IdleTimer {
            idle: Some(idle),
            known_from: format!("default ({})", facts.join("; ")),
            announces: announcement(first, first.announces_ns),
            otherwise,
            ..IdleTimer::changed_by(product, first)
        }
    }

    /// A timer of a product, with the way to change it.
    fn changed_by(product: &Product, timer: &Timer) -> IdleTimer {
        IdleTimer {
            product: Some(product.id.clone()),
            heeds: product.heeds.clone().filter(|_| timer.side == Facing::Upstream),
            ..IdleTimer::unknown("")
        }
    }

    /// A value that was found for a product's timer, in nanoseconds as it is configured.
    pub fn configured(product: &Product, side: Facing, ns: i64, known_from: String) -> IdleTimer {
        let Some(timer) = product.timers_facing(side).next() else {
            let idle = (ns > 0).then_some(Idle::Closes { after_ns: ns, at_most_ns: ns });
            return IdleTimer { idle, product: Some(product.id.clone()), ..IdleTimer::unknown(known_from) };
        };
        if ns <= 0 {
            let setting = product.setting(timer);
            let meaning =
                setting.and_then(|setting| setting.meaning_of_number(ns)).unwrap_or(Meaning::Unknown);
            return IdleTimer::meant(product, side, meaning, known_from);
        }
        let late_ns = product.timers_facing(side).map(|timer| timer.late_ns).max().unwrap_or(0);
        let early_ns = product.timers_facing(side).map(|timer| timer.early_ns).max().unwrap_or(0);
        let idle = Idle::Closes {
            after_ns: ns.saturating_sub(early_ns).max(0),
            at_most_ns: ns.saturating_add(late_ns),
        };
        let told_ns = timer.announces_ns.map(|_| ns / 1_000_000_000 * 1_000_000_000);
        IdleTimer {
            idle: Some(idle),
            known_from,
            announces: announcement(timer, told_ns),
            ..IdleTimer::changed_by(product, timer)
        }
    }

    /// A value that is no time, for a product's timer.
    pub fn meant(product: &Product, side: Facing, meaning: Meaning, known_from: String) -> IdleTimer {
        let timer = product.timers_facing(side).next();
        let unset =
            timer.map_or_else(|| IdleTimer::unknown(""), |timer| IdleTimer::changed_by(product, timer));
        match meaning {
            Meaning::Never => IdleTimer { idle: Some(Idle::Never), known_from, ..unset },
            Meaning::NoKeepAlive => IdleTimer { idle: Some(Idle::NoKeepAlive), known_from, ..unset },
            Meaning::Unknown => IdleTimer { known_from, ..unset },
            Meaning::Default => {
                let default = IdleTimer::default_of(product, side);
                IdleTimer { known_from: format!("{known_from} takes the {}", default.known_from), ..default }
            }
        }
    }
}

fn announcement(timer: &Timer, ns: Option<i64>) -> Option<Announcement> {
    ns.map(|ns| Announcement { ns, if_asked: timer.announces_if_asked })
}

fn no_timer(product: &Product, side: Facing) -> String {
    let default = product.settings.iter().find(|setting| setting.rules() == Some(side));
    match default {
        Some(setting) => format!("no default of {} is known: {}", setting.name, setting.meaning),
        None => format!("no default of {} is known", product.name),
    }
}

impl Party {
    /// The timer of one kind of its connections; none where it is no middlebox.
    pub fn timer(&self, side: Facing) -> Option<&IdleTimer> {
        match side {
            Facing::Downstream => Some(&self.downstream),
            Facing::Upstream => Some(&self.upstream),
            Facing::Through => self.through.as_ref(),
        }
    }

    /// Puts another timer in its place.
    pub(super) fn set_timer(&mut self, side: Facing, timer: IdleTimer) {
        match side {
            Facing::Downstream => self.downstream = timer,
            Facing::Upstream => self.upstream = timer,
            Facing::Through => self.through = Some(timer),
        }
    }

    /// A party of which only a time is known: the same to both sides.
    pub fn of_time(text: &str) -> Result<Party, String> {
        let idle = match text {
            "never" => Idle::Never,
            _ => {
                let ns =
                    i64::try_from(parse_duration(text)?.as_nanos()).map_err(|error| error.to_string())?;
                if ns == 0 {
                    return Err(
                        "an idle timeout of 0 means different things to different products: name the product"
                            .to_owned(),
                    );
                }
                Idle::Closes { after_ns: ns, at_most_ns: ns }
            }
        };
        let timer = IdleTimer::given(idle);
        Ok(Party {
            name: text.to_owned(),
            downstream: timer.clone(),
            upstream: timer,
            through: None,
            warnings: Vec::new(),
        })
    }

    /// A server that was measured: what it does, and in words how that is known.
    pub fn measured(name: &str, idle: Option<Idle>, known_from: String) -> Party {
        Party {
            name: name.to_owned(),
            downstream: IdleTimer { idle, ..IdleTimer::unknown(known_from) },
            upstream: IdleTimer::unknown("not measured: a probe sees the side that answers"),
            through: None,
            warnings: Vec::new(),
        }
    }

    /// A product with its defaults.
    pub fn of_product(product: &Product) -> Party {
        let forgets = product.timers_facing(Facing::Through).next();
        Party {
            name: product.name.clone(),
            downstream: IdleTimer::default_of(product, Facing::Downstream),
            upstream: IdleTimer::default_of(product, Facing::Upstream),
            through: forgets.map(|_| IdleTimer::default_of(product, Facing::Through)),
            warnings: Vec::new(),
        }
    }

    /// Reads `PRODUCT`, `PRODUCT:setting=value,…` or a duration. `faces` is the side that matters, where a name stands
    /// for two products or two settings.
    ///
    /// # Errors
    /// One sentence: neither product nor duration, an unknown setting, or a value that is none.
    pub fn parse(text: &str, faces: Facing) -> Result<Party, String> {
        let (name, settings) = match text.split_once(':') {
            Some((name, settings)) => (name, Some(settings)),
            None => (text, None),
        };
        if text == "never" || text.starts_with(|letter: char| letter.is_ascii_digit()) {
            return Party::of_time(text);
        }
        let Some(product) = find_facing(name, faces) else {
            return Err(match find(name) {
                Some(product) => wrong_side(name, product, faces),
                None => unknown_product(name, faces),
            });
        };
        let mut party = Party::of_product(product);
        let untouched = party.clone();
        if let Some(settings) = settings {
            Assignments::parse(name, settings)?.apply(&mut party, product, faces)?;
        }
        if party.timer(faces) == untouched.timer(faces) {
            party.warnings.extend(product.caveat.clone());
        }
        Ok(party)
    }
}

fn unknown_product(name: &str, faces: Facing) -> String {
    let near = suggestions(name, Some(faces));
    let near = if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(", ")) };
    format!(
        "`{name}` is no product known here, no duration and no file.{near} `finrace timeouts --list` lists the products"
    )
}

fn with_article(words: &str) -> String {
    let vowel = words.starts_with(['a', 'e', 'i', 'o', 'u']) || words.starts_with("HTTP");
    format!("{} {words}", if vowel { "an" } else { "a" })
}

fn wrong_side(name: &str, product: &Product, faces: Facing) -> String {
    let does = match faces {
        Facing::Downstream => "accepts no connections",
        Facing::Upstream => "keeps no connections to servers that are known here",
        Facing::Through => "is no middlebox",
    };
    format!(
        "`{name}` is {} ({}) and {does}: name what stands there, or give its idle timeout (60s)",
        with_article(product.role.words()),
        product.name
    )
}
