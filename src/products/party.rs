//! One party of a chain: a proxy, a hop or a backend, with the idle timers that it was said to have.

use serde::Serialize;

use super::{Facing, Idle, Product, Setting, SettingKind, Timer, find, suggestions};
use crate::duration::{format_duration, parse_duration};

/// Node.js adds this to the configured time, or not: it depends on the release (see `finrace timeouts node`).
const NODE_BUFFER_NS: i64 = 1_000_000_000;
/// A setting in milliseconds below this, or one in seconds above [`LONGEST_S`], was most likely meant in the other unit.
const SHORTEST_MS: f64 = 1_000.0;
/// More than an hour and a half: longer than any default but that of a table in a middlebox.
const LONGEST_S: f64 = 5_400.0;

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
    /// How it is written, `{}` standing for a number of `unit_ns`.
    #[serde(skip)]
    pub line: Option<String>,
    /// The unit of that number, ns.
    #[serde(skip)]
    pub unit_ns: i64,
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
        IdleTimer { idle: None, known_from: why.into(), place: None, line: None, unit_ns: 1_000_000_000 }
    }

    fn given(idle: Idle) -> IdleTimer {
        IdleTimer { idle: Some(idle), ..IdleTimer::unknown(GIVEN) }
    }

    /// What a product does when nothing is set. Of releases that differ, the earliest and the latest close both count.
    pub fn default_of(product: &Product, side: Facing) -> IdleTimer {
        let released = |timer: &&Timer| timer.versions.as_deref() != Some("unreleased");
        let mut timers = product.timers_facing(side).filter(released).peekable();
        let Some(first) = timers.next().or_else(|| product.timers_facing(side).next()) else {
            return IdleTimer::unknown(format!("no default of {} is known", product.name));
        };
        let mut idle = first.idle;
        let mut releases: Vec<String> = Vec::new();
        for timer in std::iter::once(first).chain(timers) {
            if let (
                Idle::Closes { after_ns, at_most_ns },
                Idle::Closes { after_ns: other, at_most_ns: latest },
            ) = (idle, timer.idle)
            {
                idle = Idle::Closes { after_ns: after_ns.min(other), at_most_ns: at_most_ns.max(latest) };
            }
            releases.extend(timer.versions.clone());
        }
        let mut facts: Vec<String> = first.setting_name().map(str::to_owned).into_iter().collect();
        facts.append(&mut releases);
        let known_from =
            if facts.is_empty() { "default".to_owned() } else { format!("default ({})", facts.join("; ")) };
        IdleTimer { idle: Some(idle), known_from, ..IdleTimer::changed_by(product, first) }
    }

    /// A timer of a product, with the way to change it.
    fn changed_by(product: &Product, timer: &Timer) -> IdleTimer {
        let unit = product.setting(timer).and_then(|setting| setting.unit.as_deref());
        IdleTimer {
            idle: None,
            known_from: String::new(),
            place: None,
            line: timer.line.clone(),
            unit_ns: unit_ns(unit).unwrap_or(1_000_000_000),
        }
    }

    /// A value that was found for a product's timer, in nanoseconds as it is configured.
    pub fn configured(product: &Product, side: Facing, ns: i64, known_from: String) -> IdleTimer {
        let timer = product.timers_facing(side).next();
        let changed_by = timer.map(|timer| IdleTimer::changed_by(product, timer));
        let idle = effective(product, side, ns);
        IdleTimer { idle, known_from, ..changed_by.unwrap_or_else(|| IdleTimer::unknown("")) }
    }

    /// Whether anybody can set it: a load balancer's timer may be fixed.
    pub fn can_change(&self) -> bool {
        self.line.is_some() || self.known_from == GIVEN
    }

    /// The line to write so that the timer becomes `ns`, if there is a way to write it.
    pub fn line_for(&self, ns: i64) -> Option<String> {
        Some(self.line.as_ref()?.replace("{}", &(ns / self.unit_ns).to_string()))
    }
}

/// What a product does with a configured time.
fn effective(product: &Product, side: Facing, ns: i64) -> Option<Idle> {
    let id = product.id.as_str();
    let node = matches!(id, "node-http" | "node-http-27" | "express" | "fastify");
    if ns <= 0 {
        return match id {
            _ if node => Some(Idle::Never),
            "go-http-server" | "go-transport" | "vertx-server" | "swoole" | "reactor-netty-server" => {
                Some(Idle::Never)
            }
            "tomcat" | "tomcat-embedded" if ns < 0 => Some(Idle::Never),
            "gunicorn" | "uwsgi-http" | "apache-httpd" | "nginx" | "nginx-packaged" | "kong"
            | "ingress-nginx" => Some(Idle::NoKeepAlive),
            _ => None,
        };
    }
    let late_ns = match id {
        "waitress" => 30_000_000_000,
        _ if node && side == Facing::Downstream => NODE_BUFFER_NS,
        _ => 0,
    };
    Some(Idle::Closes { after_ns: ns, at_most_ns: ns.saturating_add(late_ns) })
}

impl Party {
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
        Ok(Party { name: text.to_owned(), downstream: timer.clone(), upstream: timer, warnings: Vec::new() })
    }

    /// A server that was measured: what it does, and in words how that is known.
    pub fn measured(name: &str, idle: Option<Idle>, known_from: String) -> Party {
        Party {
            name: name.to_owned(),
            downstream: IdleTimer { idle, ..IdleTimer::unknown(known_from) },
            upstream: IdleTimer::unknown("not measured: a probe sees the side that answers"),
            warnings: Vec::new(),
        }
    }

    /// A product with its defaults.
    pub fn of_product(product: &Product) -> Party {
        Party {
            name: product.name.clone(),
            downstream: IdleTimer::default_of(product, Facing::Downstream),
            upstream: IdleTimer::default_of(product, Facing::Upstream),
            warnings: Vec::new(),
        }
    }

    /// Reads `PRODUCT`, `PRODUCT:setting=value,…` or a duration. `faces` is the side that matters, where a name stands
    /// for two settings.
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
        let Some(product) = find(name) else {
            let near = suggestions(name);
            let near =
                if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(", ")) };
            return Err(format!(
                "`{name}` is no product known here, no duration and no file.{near} `finrace timeouts --list` lists the products"
            ));
        };
        let mut party = Party::of_product(product);
        let mut assignments = Vec::new();
        for assignment in settings.into_iter().flat_map(|settings| settings.split(',')) {
            let (key, value) = assignment
                .split_once('=')
                .ok_or_else(|| format!("`{assignment}` is no setting: write {name}:setting=value"))?;
            assignments.push((key.trim(), value.trim()));
        }
        // What changes another setting comes after it, in whatever order they are written.
        assignments
            .sort_by_key(|(key, _)| *key == "http-timeout" || key.to_ascii_lowercase().ends_with("buffer"));
        for (key, value) in assignments {
            party.set(product, key, value, faces)?;
        }
        Ok(party)
    }

    /// Applies one setting of a product.
    pub(super) fn set(
        &mut self,
        product: &Product,
        key: &str,
        value: &str,
        faces: Facing,
    ) -> Result<(), String> {
        let (only, bare) = match key.split_once('.') {
            Some(("upstream", key)) => (Some(Facing::Upstream), key),
            Some(("downstream", key)) => (Some(Facing::Downstream), key),
            _ => (None, key),
        };
        let matching: Vec<&Setting> =
            product.settings.iter().filter(|setting| is_called(setting, bare)).collect();
        let of_side = |side: Facing| {
            let kind = match side {
                Facing::Downstream => SettingKind::DownstreamIdle,
                Facing::Upstream => SettingKind::UpstreamIdle,
                Facing::Through => SettingKind::MiddleboxIdle,
            };
            matching.iter().copied().find(|setting| setting.kind == kind).map(|setting| (side, setting))
        };
        let other = match faces {
            Facing::Downstream => Facing::Upstream,
            Facing::Upstream => Facing::Downstream,
            Facing::Through => Facing::Through,
        };
        let found = match only {
            Some(side) => of_side(side),
            None => of_side(faces).or_else(|| of_side(other)),
        };
        let Some((side, setting)) = found else {
            return match matching.first() {
                Some(setting) => {
                    self.warnings.push(format!(
                        "{key} of {} does not change when an idle connection is closed: {}",
                        product.name, setting.meaning
                    ));
                    Ok(())
                }
                None if key.to_ascii_lowercase().contains("keepalive") && value.parse::<bool>().is_ok() => {
                    self.warnings.push(format!(
                        "{key}: probes of TCP keep-alive do not change when an idle HTTP connection is closed"
                    ));
                    Ok(())
                }
                None => Err(unknown_setting(product, key)),
            };
        };
        if !rules_idle_connections(product, side, setting) {
            self.warnings.push(format!(
                "{key} of {} does not change when an idle connection is closed: {}",
                product.name, setting.meaning
            ));
            return Ok(());
        }
        let ns = self.value_ns(setting, key, value)?;
        let known_from = format!("{key}={value}");
        let timer = match (product.id.as_str(), bare) {
            // http-keepalive = 1 switches keep-alive on, with http-timeout as its time.
            ("uwsgi-http", "http-keepalive") if ns == 1_000_000_000 => {
                let http_timeout = 60_000_000_000;
                IdleTimer::configured(
                    product,
                    side,
                    http_timeout,
                    format!("{known_from} takes http-timeout, 60 s"),
                )
            }
            ("uwsgi-http", "http-timeout") if !self.downstream.known_from.contains("http-timeout") => {
                return Ok(());
            }
            _ if bare.to_ascii_lowercase().ends_with("buffer") => return self.add_buffer(ns),
            _ => IdleTimer::configured(product, side, ns, known_from),
        };
        match side {
            Facing::Downstream => self.downstream = timer,
            Facing::Upstream => self.upstream = timer,
            Facing::Through => {
                return Err(format!("{bare} is the timer of a device that is no end of a connection"));
            }
        }
        Ok(())
    }

    /// Node.js: what is added to the configured time is known, so both ends of the range are.
    fn add_buffer(&mut self, ns: i64) -> Result<(), String> {
        if let Some(Idle::Closes { after_ns, at_most_ns }) = &mut self.downstream.idle {
            *after_ns = after_ns.saturating_add(ns);
            *at_most_ns = *after_ns;
        }
        Ok(())
    }

    /// A value with or without a unit; without one, it is in the unit of the setting, and may have been meant in
    /// another.
    fn value_ns(&mut self, setting: &Setting, key: &str, value: &str) -> Result<i64, String> {
        if matches!(value, "never" | "off") {
            return Ok(0);
        }
        let Ok(number) = value.replace('_', "").parse::<f64>() else {
            let duration = parse_duration(value).map_err(|error| format!("{key}: {error}"))?;
            return i64::try_from(duration.as_nanos()).map_err(|error| format!("{key}: {error}"));
        };
        let unit = setting.unit.as_deref();
        let Some(unit_ns) = unit_ns(unit) else {
            return Err(format!("{key}: write {value} with its unit, for example {value}s"));
        };
        self.warnings.extend(suspicion(key, number, unit.unwrap_or("s")));
        Ok((number * unit_ns as f64) as i64)
    }
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

/// Whether a setting is the timer, or takes its place: settings of the same kind bound it from another side.
fn rules_idle_connections(product: &Product, side: Facing, setting: &Setting) -> bool {
    /// Goes before the setting that the timer is known by, or stands in for it.
    const SAME_TIMER: [&str; 7] = [
        "keepAliveTimeout",
        "server.keepAliveTimeoutBuffer",
        "server.tomcat.keep-alive-timeout",
        "connectionTimeout",
        "Server.ReadTimeout",
        "http-timeout",
        "timeout http-keep-alive",
    ];
    let mut timers = product.timers_facing(side).peekable();
    let unused = |timer: &Timer| timer.idle == Idle::NoKeepAlive && product.id != "uwsgi-http";
    match timers.peek() {
        None => true,
        Some(_) => {
            SAME_TIMER.contains(&setting.name.as_str())
                || timers.any(|timer| timer.setting == setting.name && !unused(timer))
        }
    }
}

fn unit_ns(unit: Option<&str>) -> Option<i64> {
    match unit? {
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "min" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    }
}

/// Whether people would call a setting so: by its whole name, by one of its words, or by what follows the last point.
fn is_called(setting: &Setting, key: &str) -> bool {
    let normal = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    };
    let key = normal(key);
    let mut words = setting
        .name
        .split([' ', '(', ')', '/', ','])
        .flat_map(|word| [word, word.rsplit_once('.').map_or(word, |(_, last)| last)]);
    !key.is_empty() && (normal(&setting.name) == key || words.any(|word| normal(word) == key))
}

fn unknown_setting(product: &Product, key: &str) -> String {
    let idle =
        |setting: &&Setting| matches!(setting.kind, SettingKind::DownstreamIdle | SettingKind::UpstreamIdle);
    let known: Vec<&str> =
        product.settings.iter().filter(idle).map(|setting| setting.name.as_str()).collect();
    if known.is_empty() {
        return format!("{} has no setting `{key}` known here", product.name);
    }
    format!("{} has no setting `{key}` known here; its idle timers: {}", product.name, known.join(", "))
}
