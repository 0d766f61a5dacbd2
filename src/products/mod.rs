//! What is known of the servers, proxies, load balancers and clients that people run: idle timers, how they close, what
//! they retry.
//!
//! The knowledge lives in `data/*.toml`, each setting with its source; what is not known is absent, never guessed.
//! A leaf of the module tree: it knows neither captures nor the lab.

pub mod config;
mod find;
mod likeness;
mod pair;
mod party;
mod written;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::duration::parse_duration;

pub use find::{find, suggestions};
pub use likeness::{Likeness, forgets_between, looks_like};
pub use pair::{First, Pair, PairVerdict, chain, nice_above, nice_below};
pub use party::{IdleTimer, Party, Place};

/// The data files, in the order in which products are listed.
const DATA: [&str; 6] = [
    include_str!("data/scripting_servers.toml"),
    include_str!("data/compiled_servers.toml"),
    include_str!("data/proxies.toml"),
    include_str!("data/clouds.toml"),
    include_str!("data/middleboxes.toml"),
    include_str!("data/clients.toml"),
];

/// One program, library or service.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// The name to ask for: `node-http`.
    pub id: String,
    /// The name to show: `Node.js http.Server`.
    pub name: String,
    /// What it is in a chain of hops.
    pub role: ProductRole,
    /// Met often, so named before others that behave alike.
    #[serde(default, skip_serializing)]
    pub common: bool,
    /// Other names to ask for.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The release whose sources were read.
    pub read_at: Option<String>,
    /// How it closes an idle connection.
    pub closes: Option<String>,
    /// Which requests it sends again when they met a close.
    pub retries: Option<String>,
    /// What else matters for the race.
    pub note: Option<String>,
    /// What it does to idle connections when nothing is set.
    #[serde(default)]
    pub timers: Vec<Timer>,
    /// Its settings.
    #[serde(default)]
    pub settings: Vec<Setting>,
}

/// What a product is in a chain of hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProductRole {
    /// Answers requests.
    Server,
    /// Takes requests and sends them on.
    Proxy,
    /// A load balancer or router that somebody else runs.
    LoadBalancer,
    /// A content delivery network.
    Cdn,
    /// A pool of connections in a program that sends requests.
    Client,
    /// Forwards packets and keeps a table of connections: it has no part in HTTP.
    Middlebox,
}

impl ProductRole {
    /// For a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            ProductRole::Server => "server",
            ProductRole::Proxy => "reverse proxy",
            ProductRole::LoadBalancer => "load balancer",
            ProductRole::Cdn => "content delivery network",
            ProductRole::Client => "HTTP client",
            ProductRole::Middlebox => "middlebox",
        }
    }
}

/// Which of its connections a product's timer runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facing {
    /// Connections that it accepted: it plays the server on them.
    Downstream,
    /// Connections that it opened and keeps for reuse: it plays the client on them.
    Upstream,
    /// Connections whose packets it forwards: it is neither end, and forgets them.
    Through,
}

/// What becomes of an idle connection when nothing is set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "RawTimer")]
pub struct Timer {
    /// The connections it runs on.
    pub side: Facing,
    /// What it does.
    #[serde(flatten)]
    pub idle: Idle,
    /// The setting that changes it: a name in [`Product::settings`].
    pub setting: String,
    /// The releases, or the circumstances, that this holds for.
    pub versions: Option<String>,
    /// How the setting is written, `{}` standing for a number in the setting's unit.
    #[serde(skip_serializing)]
    pub line: Option<String>,
}

/// What a product does to an idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "idle", rename_all = "kebab-case")]
pub enum Idle {
    /// Closes it after a time.
    Closes {
        /// The earliest close, ns of idleness.
        after_ns: i64,
        /// The latest one, where the product looks around only now and then.
        at_most_ns: i64,
    },
    /// Never closes it for being idle.
    Never,
    /// Closes after each response: no connection is ever idle.
    NoKeepAlive,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTimer {
    side: Facing,
    after: String,
    at_most: Option<String>,
    setting: String,
    versions: Option<String>,
    line: Option<String>,
}

impl TryFrom<RawTimer> for Timer {
    type Error = String;

    fn try_from(raw: RawTimer) -> Result<Timer, String> {
        let idle = match raw.after.as_str() {
            "never" => Idle::Never,
            "no-keep-alive" => Idle::NoKeepAlive,
            after => {
                let after_ns = nanoseconds(after)?;
                let at_most_ns = raw.at_most.as_deref().map_or(Ok(after_ns), nanoseconds)?;
                Idle::Closes { after_ns, at_most_ns }
            }
        };
        Ok(Timer { side: raw.side, idle, setting: raw.setting, versions: raw.versions, line: raw.line })
    }
}

impl Timer {
    /// The setting as it is written, without remarks; none where there is no such setting.
    pub fn setting_name(&self) -> Option<&str> {
        self.setting.split(" (").next().filter(|name| !name.starts_with('('))
    }
}

/// A duration, or a number of days: a table of connections may keep them for longer than anybody else does.
fn nanoseconds(text: &str) -> Result<i64, String> {
    const DAY_NS: i64 = 86_400_000_000_000;
    if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse::<u16>().ok()) {
        return Ok(i64::from(days) * DAY_NS);
    }
    i64::try_from(parse_duration(text)?.as_nanos()).map_err(|error| error.to_string())
}

/// One setting of a product.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// As it is written in a configuration.
    pub name: String,
    /// What it is about.
    pub kind: SettingKind,
    /// What it does, in plain words.
    pub meaning: String,
    /// Its default; absent where it has none or where it is not known.
    pub default: Option<Value>,
    /// The unit in which it is written.
    pub unit: Option<String>,
    /// The release that brought it, or its default.
    pub since: Option<String>,
    /// Where this is said: a file of a repository, or a page.
    pub source: String,
    /// The source itself was read for this table.
    #[serde(default)]
    pub checked: bool,
}

impl Setting {
    /// `5000 ms`, `on`, `not set`.
    pub fn default_text(&self) -> String {
        match (&self.default, &self.unit) {
            (None, _) => "not set".to_owned(),
            (Some(value), None) => value.to_string(),
            (Some(value), Some(unit)) => format!("{value} {unit}"),
        }
    }
}

/// What a setting is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingKind {
    /// Idle connections of clients.
    DownstreamIdle,
    /// Idle connections to servers.
    UpstreamIdle,
    /// Idle connections in a middlebox's table.
    MiddleboxIdle,
    /// Requests on one connection.
    MaxRequests,
    /// The age of a connection.
    MaxAge,
    /// Sending a request again.
    Retry,
    /// How many connections are kept, and for whom.
    Pool,
    /// Looking whether a kept connection still lives.
    Liveness,
    /// How a connection is closed.
    Close,
    /// Something that is often taken for one of these.
    Other,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// On or off.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// Words.
    Text(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Flag(on) => f.write_str(if *on { "on" } else { "off" }),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Text(text) => f.write_str(text),
        }
    }
}

impl Product {
    /// The timers that run on one kind of its connections.
    pub fn timers_facing(&self, side: Facing) -> impl Iterator<Item = &Timer> {
        self.timers.iter().filter(move |timer| timer.side == side)
    }

    /// The setting that a timer is changed by.
    pub fn setting(&self, timer: &Timer) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == timer.setting)
    }
}

/// Everything known, in a fixed order: servers, proxies, load balancers and middleboxes, clients.
pub fn all() -> &'static [Product] {
    static ALL: OnceLock<Vec<Product>> = OnceLock::new();
    ALL.get_or_init(|| {
        let files = DATA.iter().map(|text| toml::from_str::<File>(text));
        files.flat_map(|file| file.expect("the embedded tables are checked by a test").product).collect()
    })
}

#[derive(Deserialize)]
struct File {
    product: Vec<Product>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_timer_belongs_to_a_setting_and_every_setting_has_a_source() {
        assert!(all().len() > 80);
        for product in all() {
            for timer in &product.timers {
                assert!(product.setting(timer).is_some(), "{}: {}", product.id, timer.setting);
            }
            for setting in &product.settings {
                assert!(setting.source.len() > 3, "{}: {}", product.id, setting.name);
                assert!(!setting.meaning.is_empty(), "{}: {}", product.id, setting.name);
            }
        }
    }

    /// A default that is a time is what the timer does, unless words say why not.
    #[test]
    fn timers_agree_with_the_defaults_of_their_settings() {
        for product in all() {
            for timer in &product.timers {
                let setting = product.setting(timer).unwrap();
                let unit = match setting.unit.as_deref() {
                    Some("ms") => 1_000_000,
                    Some("s") => 1_000_000_000,
                    _ => continue,
                };
                let (Some(Value::Integer(number)), Idle::Closes { after_ns, .. }) =
                    (&setting.default, timer.idle)
                else {
                    continue;
                };
                // Node.js adds a second; other releases had other defaults.
                let added = after_ns - number * unit;
                let explained = added == 1_000_000_000 || timer.versions.is_some();
                assert!(added == 0 || explained, "{}: {} {after_ns}", product.id, setting.name);
            }
        }
    }

    #[test]
    fn no_two_products_answer_to_the_same_name() {
        let mut names = BTreeSet::new();
        for product in all() {
            for name in [&product.id].into_iter().chain(&product.aliases) {
                assert!(names.insert(name.to_ascii_lowercase()), "{name}");
                assert!(!name.is_empty() && !name.contains(char::is_whitespace), "{name}");
            }
        }
    }

    #[test]
    fn only_what_is_not_known_has_no_timer() {
        let without: Vec<&str> =
            all().iter().filter(|product| product.timers.is_empty()).map(|it| it.id.as_str()).collect();
        assert_eq!(without, ["passenger", "aws-api-gateway", "azure-appgw", "azure-front-door", "fastly"]);
    }
}
