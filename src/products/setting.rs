//! Settings on the command line: `PRODUCT:setting=value,…`.

use super::{Facing, Idle, IdleTimer, Meaning, Party, Product, Setting};
use crate::duration::{format_duration, parse_duration};

/// A setting in milliseconds below this, or one in seconds above [`LONGEST_S`], was most likely meant in the other unit.
const SHORTEST_MS: f64 = 1_000.0;
/// More than an hour and a half: longer than any default but that of a table in a middlebox.
const LONGEST_S: f64 = 5_400.0;

/// Names and values as they were written, those last that change what another sets.
pub(super) struct Assignments<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Assignments<'a> {
    /// Reads `setting=value,…`.
    pub(super) fn parse(name: &str, text: &'a str) -> Result<Assignments<'a>, String> {
        let mut assignments: Vec<(&str, &str)> = Vec::new();
        for assignment in text.split(',') {
            let (key, value) = assignment
                .split_once('=')
                .ok_or_else(|| format!("`{assignment}` is no setting: write {name}:setting=value"))?;
            let (key, value) = (key.trim(), value.trim());
            if let Some((_, other)) = assignments.iter().find(|(known, _)| normal(known) == normal(key)) {
                return Err(format!("{key} is set twice, to {other} and to {value}: write it once"));
            }
            assignments.push((key, value));
        }
        assignments
            .sort_by_key(|(key, _)| *key == "http-timeout" || key.to_ascii_lowercase().ends_with("buffer"));
        Ok(Assignments(assignments))
    }

    /// Applies them to a party that has the product's defaults.
    pub(super) fn apply(&self, party: &mut Party, product: &Product, faces: Facing) -> Result<(), String> {
        let outdone = |key: &str| {
            let stands_in = product.settings.iter().filter(|it| is_called(it, bare(key).1));
            stands_in.filter_map(|it| it.stands_in_for.as_deref()).any(|main| self.sets(product, main))
        };
        for (key, value) in &self.0 {
            if outdone(key) {
                party.warnings.push(format!(
                    "{key}={value} changes no idle timer here: another setting goes before it"
                ));
                continue;
            }
            set(party, product, key, value, faces)?;
        }
        Ok(())
    }

    /// Whether that setting is among them, with a value that is not as good as none.
    fn sets(&self, product: &Product, name: &str) -> bool {
        let Some(setting) = product.settings.iter().find(|setting| setting.name == name) else {
            return false;
        };
        let sets = |value: &str| {
            let number = value.parse::<f64>().ok();
            number.and_then(|number| setting.meaning_of_number(number as i64)) != Some(Meaning::Default)
        };
        self.0.iter().any(|(key, value)| is_called(setting, bare(key).1) && sets(value))
    }
}

/// What a value stands for.
enum Read {
    Time(i64),
    Means(Meaning),
    /// Nothing that changes an idle timer.
    Nothing,
}

fn set(party: &mut Party, product: &Product, key: &str, value: &str, faces: Facing) -> Result<(), String> {
    let (only, bare) = bare(key);
    let matching: Vec<&Setting> =
        product.settings.iter().filter(|setting| is_called(setting, bare)).collect();
    let of_side = |side: Facing| {
        matching.iter().copied().find(|it| it.rules() == Some(side)).map(|setting| (side, setting))
    };
    let ruled = match only {
        Some(side) => of_side(side),
        None => [faces, Facing::Upstream, Facing::Downstream, Facing::Through].into_iter().find_map(of_side),
    };
    let Some((side, setting)) = ruled else {
        let Some(setting) = matching.first() else {
            if key.to_ascii_lowercase().contains("keepalive") && value.parse::<bool>().is_ok() {
                party.warnings.push(format!(
                    "{key}: probes of TCP keep-alive do not change when an idle HTTP connection is closed"
                ));
                return Ok(());
            }
            return Err(unknown_setting(product, key));
        };
        party.warnings.push(changes_nothing(product, setting, key));
        return Ok(());
    };
    let known_from = format!("{key}={value}");
    let timer = match read(party, setting, key, value)? {
        Read::Nothing => {
            party.warnings.push(changes_nothing(product, setting, key));
            return Ok(());
        }
        Read::Means(meaning) => IdleTimer::meant(product, side, meaning, known_from),
        Read::Time(ns) => match (product.id.as_str(), bare) {
            // http-keepalive = 1 switches keep-alive on, with http-timeout as its time.
            ("uwsgi-http", "http-keepalive") if ns == 1_000_000_000 => IdleTimer::configured(
                product,
                side,
                60_000_000_000,
                format!("{known_from} takes http-timeout, 60 s"),
            ),
            ("uwsgi-http", "http-timeout") if !party.downstream.known_from.contains("http-timeout") => {
                return Ok(());
            }
            _ if bare.to_ascii_lowercase().ends_with("buffer") => {
                add_buffer(party, ns);
                return Ok(());
            }
            _ => IdleTimer::configured(product, side, ns, known_from),
        },
    };
    party.set_timer(side, timer);
    Ok(())
}

/// The side that a key names, and the rest of it: `upstream.keepalive_timeout`.
fn bare(key: &str) -> (Option<Facing>, &str) {
    match key.split_once('.') {
        Some(("upstream", key)) => (Some(Facing::Upstream), key),
        Some(("downstream", key)) => (Some(Facing::Downstream), key),
        _ => (None, key),
    }
}

/// Node.js: what is added to the configured time is known, so both ends of the range are.
fn add_buffer(party: &mut Party, ns: i64) {
    if let Some(Idle::Closes { after_ns, at_most_ns }) = &mut party.downstream.idle {
        *after_ns = after_ns.saturating_add(ns);
        *at_most_ns = *after_ns;
    }
}

/// A value with or without a unit; without one, it is in the unit of the setting, and may have been meant in another.
fn read(party: &mut Party, setting: &Setting, key: &str, value: &str) -> Result<Read, String> {
    if let Some(meaning) = setting.meaning_of_word(value) {
        return Ok(Read::Means(meaning));
    }
    let number = value.replace('_', "").parse::<f64>().ok().filter(|number| number.is_finite());
    if let Some(meaning) = number.and_then(|number| setting.meaning_of_number(number as i64)) {
        return Ok(Read::Means(meaning));
    }
    if !setting.is_time() {
        return Ok(Read::Nothing);
    }
    if matches!(value, "never" | "off") {
        return Err(format!("{key}: `{value}` is no value of {} known here: write a time", setting.name));
    }
    let Some(number) = number else {
        let duration = parse_duration(value).map_err(|error| format!("{key}: {error}"))?;
        let ns = i64::try_from(duration.as_nanos()).map_err(|error| format!("{key}: {error}"))?;
        return Ok(Read::Time(ns));
    };
    if number <= 0.0 {
        return Ok(Read::Means(Meaning::Unknown));
    }
    let Some(unit_ns) = setting.unit_ns() else {
        return Err(format!("{key}: write {value} with its unit, for example {value}s"));
    };
    party.warnings.extend(suspicion(key, number, setting.unit.as_deref().unwrap_or("s")));
    Ok(Read::Time((number * unit_ns as f64) as i64))
}

/// Whether a number was most likely meant in another unit.
pub(super) fn suspicion(key: &str, number: f64, unit: &str) -> Option<String> {
    match unit {
        "ms" if number > 0.0 && number < SHORTEST_MS => Some(format!(
            "{key} is in milliseconds: {number} is less than a second; {number} s are written {}",
            number * 1_000.0
        )),
        "s" if number > LONGEST_S => Some(format!(
            "{key} is in seconds: {number} is {}; {number} ms are written {}",
            format_duration(std::time::Duration::from_secs(number as u64)),
            number / 1_000.0
        )),
        _ => None,
    }
}

fn normal(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// Whether people would call a setting so: by its whole name, by one of its words, or by what follows the last point.
fn is_called(setting: &Setting, key: &str) -> bool {
    let key = normal(key);
    let mut words = setting
        .name
        .split([' ', '(', ')', '/', ','])
        .flat_map(|word| [word, word.rsplit_once('.').map_or(word, |(_, last)| last)]);
    !key.is_empty() && (normal(&setting.name) == key || words.any(|word| normal(word) == key))
}

fn changes_nothing(product: &Product, setting: &Setting, key: &str) -> String {
    format!(
        "{key} of {} does not change when an idle connection is closed: {}",
        product.name, setting.meaning
    )
}

fn unknown_setting(product: &Product, key: &str) -> String {
    let known: Vec<&str> = product
        .settings
        .iter()
        .filter(|setting| setting.is_time())
        .map(|setting| setting.name.as_str())
        .collect();
    if known.is_empty() {
        return format!("{} has no setting `{key}` known here", product.name);
    }
    format!("{} has no setting `{key}` known here; its idle timers: {}", product.name, known.join(", "))
}
