//! What programs write when a connection dies under a request: log lines, exceptions, codes.
//!
//! The knowledge lives in `data/*.toml`, each message with its source, examples and, where it is easily confused, lines
//! that it must not match. `moments.toml` says what each moment of an exchange means; a message names its moment.
//! A leaf of the module tree: it knows the closed vocabulary of `report` and nothing else.

mod normal;
mod recognise;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::report::explanation::Candidate;
use crate::report::{Cause, Fit};

pub use normal::plain_lines;
pub use recognise::Recogniser;

/// The data files, in the order in which messages are listed.
const DATA: [(&str, &str); 16] = [
    ("nginx", include_str!("data/nginx.toml")),
    ("haproxy", include_str!("data/haproxy.toml")),
    ("envoy", include_str!("data/envoy.toml")),
    ("proxies", include_str!("data/proxies.toml")),
    ("aws", include_str!("data/aws.toml")),
    ("clouds", include_str!("data/clouds.toml")),
    ("node", include_str!("data/node.toml")),
    ("go", include_str!("data/go.toml")),
    ("java", include_str!("data/java.toml")),
    ("dotnet", include_str!("data/dotnet.toml")),
    ("python", include_str!("data/python.toml")),
    ("other_clients", include_str!("data/other_clients.toml")),
    ("grpc", include_str!("data/grpc.toml")),
    ("servers", include_str!("data/servers.toml")),
    ("databases", include_str!("data/databases.toml")),
    ("system", include_str!("data/system.toml")),
];

/// One message that is recognised.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its name: `nginx-eof-header`.
    pub id: String,
    /// Who writes it, as it is shown: `nginx`.
    pub who: String,
    /// The name by which `finrace check` knows the one who writes it, where it does.
    pub party: Option<String>,
    /// The message as it is known.
    pub line: String,
    /// A regular expression (bytes, without Unicode) for one line of normalised text; none where `line` stands for itself.
    pattern: String,
    /// At which moment of an exchange.
    pub moment: &'static Moment,
    /// What it says, where that is more than what its moment says.
    pub says: Option<String>,
    /// Which causes it fits, best first.
    pub causes: Vec<Candidate>,
    /// It tells neither who speaks nor what happened: it counts only where nothing better is beside it.
    pub generic: bool,
    /// Messages that say no more where this one is beside them, as the cause of an exception does.
    pub covers: Vec<String>,
    /// The name of the product among those that reports mention, where this is the line they mention.
    pub usual: Option<String>,
    /// The causes of which reports mention it.
    pub logged_for: Vec<Cause>,
    /// Where it stands, or how it was measured.
    pub source: String,
    /// Lines that it is found in.
    pub examples: Vec<String>,
    /// Lines that look like it and are not.
    pub near: Vec<String>,
}

/// A moment at which an exchange can die.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Its name: `closed-before-response`.
    pub id: String,
    /// In words.
    pub name: String,
    /// What it means.
    pub says: String,
    /// Which causes it fits, best first.
    pub causes: Vec<Candidate>,
    /// What else it can be.
    pub otherwise: Vec<String>,
    /// Whether the request may be sent again.
    pub retry: String,
    /// What to do next: a sentence, and a command or an empty text.
    pub next: Vec<(String, String)>,
}

impl Message {
    /// What it says.
    pub fn meaning(&self) -> &str {
        self.says.as_deref().unwrap_or(&self.moment.says)
    }

    /// The regular expression.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

/// Every message, in the order of the documentation.
pub fn all() -> &'static [Message] {
    static ALL: OnceLock<Vec<Message>> = OnceLock::new();
    ALL.get_or_init(|| DATA.iter().flat_map(|(name, text)| read(name, text)).collect())
}

/// Every moment, in the order of the documentation.
pub fn moments() -> &'static [Moment] {
    static ALL: OnceLock<Vec<Moment>> = OnceLock::new();
    ALL.get_or_init(|| {
        let file: MomentFile = toml::from_str(include_str!("moments.toml"))
            .unwrap_or_else(|error| panic!("moments.toml: {error}"));
        file.moment.into_iter().map(Moment::from).collect()
    })
}

/// What the usual proxies and clients write when a request dies of this cause, by product.
pub fn usual(cause: Cause) -> BTreeMap<String, String> {
    let written = all().iter().filter(|message| message.logged_for.contains(&cause));
    written.filter_map(|message| Some((message.usual.clone()?, message.line.clone()))).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MomentFile {
    moment: Vec<RawMoment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMoment {
    id: String,
    name: String,
    says: String,
    causes: Vec<RawCandidate>,
    otherwise: Vec<String>,
    retry: String,
    next: Vec<(String, String)>,
}

impl From<RawMoment> for Moment {
    fn from(raw: RawMoment) -> Moment {
        let RawMoment { id, name, says, causes, otherwise, retry, next } = raw;
        Moment { id, name, says, causes: candidates(causes), otherwise, retry, next }
    }
}

/// `"crossed-fin well"`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct RawCandidate(Candidate);

impl TryFrom<String> for RawCandidate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (cause, fit) =
            text.split_once(' ').ok_or_else(|| format!("`{text}` is no cause and how well it fits"))?;
        Ok(RawCandidate(Candidate { cause: cause.parse()?, fit: fit.parse::<Fit>()? }))
    }
}

fn candidates(raw: Vec<RawCandidate>) -> Vec<Candidate> {
    raw.into_iter().map(|RawCandidate(candidate)| candidate).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Of messages that name none.
    #[serde(default)]
    who: String,
    party: Option<String>,
    /// Short names of sources.
    #[serde(default)]
    sources: BTreeMap<String, String>,
    message: Vec<RawMessage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMessage {
    id: String,
    who: Option<String>,
    party: Option<String>,
    line: String,
    r#match: Option<String>,
    moment: String,
    says: Option<String>,
    causes: Option<Vec<RawCandidate>>,
    #[serde(default)]
    generic: bool,
    #[serde(default)]
    covers: Vec<String>,
    usual: Option<String>,
    #[serde(default)]
    logged_for: Vec<String>,
    source: String,
    examples: Vec<String>,
    #[serde(default)]
    near: Vec<String>,
}

fn read(name: &str, text: &str) -> Vec<Message> {
    let file: File = toml::from_str(text).unwrap_or_else(|error| panic!("{name}.toml: {error}"));
    let File { who, party, sources, message } = file;
    let whole = |raw: RawMessage| {
        let id = raw.id;
        let moment = moments().iter().find(|moment| moment.id == raw.moment);
        let moment = moment.unwrap_or_else(|| panic!("{id}: there is no moment {}", raw.moment));
        let cause = |token: String| token.parse().unwrap_or_else(|error| panic!("{id}: {error}"));
        Message {
            // A message of somebody else is none of the file's party.
            party: raw
                .party
                .or_else(|| party.clone().filter(|_| raw.who.is_none()))
                .filter(|name| !name.is_empty()),
            who: raw.who.unwrap_or_else(|| who.clone()),
            pattern: raw.r#match.unwrap_or_else(|| regex::escape(&raw.line)),
            line: raw.line,
            moment,
            says: raw.says,
            causes: raw.causes.map_or_else(|| moment.causes.clone(), candidates),
            generic: raw.generic,
            covers: raw.covers,
            usual: raw.usual,
            logged_for: raw.logged_for.into_iter().map(cause).collect(),
            source: sources.get(&raw.source).cloned().unwrap_or(raw.source),
            examples: raw.examples,
            near: raw.near,
            id,
        }
    };
    message.into_iter().map(whole).collect()
}
