//! What is written down of a product: the form of `data/*.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::duration::parse_duration;

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
    /// Names that mean it where a client is asked for, and something else where a server is: `go`, `node`.
    #[serde(default)]
    pub as_client: Vec<String>,
    /// The product whose server it uses, with that one's timers: `node-http` under Express.
    pub stands_on: Option<String>,
    /// The release whose sources were read.
    pub read_at: Option<String>,
    /// How it closes an idle connection.
    pub closes: Option<String>,
    /// Which requests it sends again when they met a close.
    pub retries: Option<String>,
    /// What else matters for the race.
    pub note: Option<String>,
    /// What its default does not hold for, said wherever the default is used.
    pub caveat: Option<String>,
    /// What it makes of a server's `Keep-Alive: timeout=N`; none where it does not read that.
    pub heeds: Option<Heeds>,
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

/// What a client makes of a server's announcement, `Keep-Alive: timeout=N`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "RawHeeds")]
pub struct Heeds {
    /// Taken off the time that the server names, ns.
    pub less_ns: i64,
    /// The most that any release takes off, ns.
    pub less_at_most_ns: i64,
    /// A longer time is not believed, ns.
    pub at_most_ns: Option<i64>,
    /// A time of its own counts where that is shorter; where it has none, the announcement changes nothing.
    pub only_shortens: bool,
    /// It asks with `Connection: keep-alive`, without which some servers announce nothing.
    pub asks: bool,
    /// The releases that do so; none where all do.
    pub versions: Option<String>,
    /// Where this is said.
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeeds {
    less: String,
    less_at_most: Option<String>,
    at_most: Option<String>,
    #[serde(default)]
    only_shortens: bool,
    #[serde(default)]
    asks: bool,
    versions: Option<String>,
    source: String,
}

impl TryFrom<RawHeeds> for Heeds {
    type Error = String;

    fn try_from(raw: RawHeeds) -> Result<Heeds, String> {
        let less_ns = nanoseconds(&raw.less)?;
        Ok(Heeds {
            less_ns,
            less_at_most_ns: raw.less_at_most.as_deref().map_or(Ok(less_ns), nanoseconds)?,
            at_most_ns: raw.at_most.as_deref().map(nanoseconds).transpose()?,
            only_shortens: raw.only_shortens,
            asks: raw.asks,
            versions: raw.versions,
            source: raw.source,
        })
    }
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
    /// The `Keep-Alive: timeout=N` of its responses when nothing is set, ns; none where they say nothing. A time that is
    /// set is announced in whole seconds.
    pub announces_ns: Option<i64>,
    /// It announces only to a request with `Connection: keep-alive`.
    pub announces_if_asked: bool,
    /// A time that is set is overstepped by up to this, ns: an added buffer, a look around only now and then.
    pub late_ns: i64,
    /// A time that is set is undercut by up to this, ns: it is counted in coarse steps.
    pub early_ns: i64,
    /// The release that it was measured with here, and what was seen; none where it is only documented.
    pub measured: Option<String>,
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

impl Idle {
    /// What can be expected where either may hold, if they differ in no more than a time: from the earliest close to the
    /// latest.
    pub fn joined(self, other: Idle) -> Option<Idle> {
        match (self, other) {
            (
                Idle::Closes { after_ns, at_most_ns },
                Idle::Closes { after_ns: earliest, at_most_ns: latest },
            ) => Some(Idle::Closes { after_ns: after_ns.min(earliest), at_most_ns: at_most_ns.max(latest) }),
            _ => (self == other).then_some(self),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTimer {
    side: Facing,
    after: String,
    at_most: Option<String>,
    setting: String,
    versions: Option<String>,
    announces: Option<String>,
    #[serde(default)]
    announces_if_asked: bool,
    early: Option<String>,
    late: Option<String>,
    measured: Option<String>,
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
        Ok(Timer {
            side: raw.side,
            idle,
            setting: raw.setting,
            versions: raw.versions,
            announces_ns: raw.announces.as_deref().map(nanoseconds).transpose()?,
            announces_if_asked: raw.announces_if_asked,
            early_ns: raw.early.as_deref().map_or(Ok(0), nanoseconds)?,
            late_ns: raw.late.as_deref().map_or(Ok(0), nanoseconds)?,
            measured: raw.measured,
        })
    }
}

impl Timer {
    /// The setting as it is written, without remarks; none where there is no such setting.
    pub fn setting_name(&self) -> Option<&str> {
        self.setting.split(" (").next().filter(|name| !name.starts_with('('))
    }
}

pub(super) fn nanoseconds(text: &str) -> Result<i64, String> {
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
    /// The setting that it takes the place of where that one is not set.
    pub stands_in_for: Option<String>,
    /// Whose connections it rules, where its kind does not tell and a value of it switches keep-alive off.
    pub side: Option<Facing>,
    /// Values that are no time: `0`, `negative`, a word in lower case, or `any`.
    #[serde(default)]
    pub values: BTreeMap<String, Meaning>,
    /// The release that brought it, or its default.
    pub since: Option<String>,
    /// Where this is said: a file of a repository, or a page.
    pub source: String,
    /// The source itself was read for this table.
    #[serde(default)]
    pub checked: bool,
}

impl Setting {
    /// The connections that it rules; none where it is about something else.
    pub fn rules(&self) -> Option<Facing> {
        match self.kind {
            SettingKind::DownstreamIdle => Some(Facing::Downstream),
            SettingKind::UpstreamIdle => Some(Facing::Upstream),
            SettingKind::MiddleboxIdle => Some(Facing::Through),
            _ => self.side,
        }
    }

    /// Whether its value is a time; otherwise it only switches keep-alive on and off.
    pub fn is_time(&self) -> bool {
        matches!(
            self.kind,
            SettingKind::DownstreamIdle | SettingKind::UpstreamIdle | SettingKind::MiddleboxIdle
        )
    }

    /// The unit in which it is written, ns.
    pub fn unit_ns(&self) -> Option<i64> {
        match self.unit.as_deref()? {
            "ms" => Some(1_000_000),
            "s" => Some(1_000_000_000),
            "min" => Some(60_000_000_000),
            "h" => Some(3_600_000_000_000),
            _ => None,
        }
    }

    /// What a word does: `On`, `never`. `true` and `yes` are `on`.
    pub fn meaning_of_word(&self, word: &str) -> Option<Meaning> {
        let word = word.to_ascii_lowercase();
        let switch = match word.as_str() {
            "true" | "yes" => "on",
            "false" | "no" => "off",
            other => other,
        };
        self.values
            .get(word.as_str())
            .or_else(|| self.values.get(switch))
            .or_else(|| self.values.get("any"))
            .copied()
    }

    /// What a number that is no time does: `0`, `-1`.
    pub fn meaning_of_number(&self, number: i64) -> Option<Meaning> {
        match number {
            0 => self.values.get("0").copied(),
            ..0 => self.values.get("negative").copied(),
            _ => None,
        }
    }

    /// `5000 ms`, `on`, `not set`.
    pub fn default_text(&self) -> String {
        match (&self.default, &self.unit) {
            (None, _) => "not set".to_owned(),
            (Some(value), None) => value.to_string(),
            (Some(value), Some(unit)) => format!("{value} {unit}"),
        }
    }
}

/// What a value that is no time does to idle connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// They are never closed for being idle.
    Never,
    /// None is kept.
    NoKeepAlive,
    /// As if the setting were not there.
    Default,
    /// It depends on what is not known here.
    Unknown,
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

    /// Whether it can have connections of that kind.
    pub fn may_face(&self, side: Facing) -> bool {
        let role = match (self.role, side) {
            (ProductRole::Proxy | ProductRole::LoadBalancer | ProductRole::Cdn, _) => side != Facing::Through,
            (ProductRole::Server, _) => side == Facing::Downstream,
            (ProductRole::Client, _) => side == Facing::Upstream,
            (ProductRole::Middlebox, _) => side == Facing::Through,
        };
        role || self.timers_facing(side).next().is_some()
    }

    /// The setting that a timer is changed by.
    pub fn setting(&self, timer: &Timer) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == timer.setting)
    }
}
