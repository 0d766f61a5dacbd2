//! Scenario text to [`Scenario`] and back.

use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::library::{UsedBackend, UsedProxy};
use super::{Backend, Expect, Program, Proxy, Scenario, ScenarioError, ToyBackend, ToyProxy, Traffic, Wire};

/// A scenario file whose proxy and backend are of known kinds, so that an unknown key is answered with the keys that
/// this kind has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<P, B> {
    name: String,
    summary: String,
    #[serde(default)]
    explain: String,
    proxy: Option<P>,
    backend: Option<B>,
    #[serde(default)]
    wire: Wire,
    #[serde(default)]
    traffic: Traffic,
    expect: Expect,
}

/// Just enough to see which kinds they are.
#[derive(Deserialize)]
struct Outline {
    proxy: Option<TableOutline>,
    backend: Option<TableOutline>,
}

#[derive(Deserialize)]
#[serde(expecting = "a table")]
struct TableOutline {
    r#use: Option<IgnoredAny>,
    command: Option<IgnoredAny>,
}

/// What a table describes.
#[derive(Clone, Copy)]
enum Kind {
    Toy,
    /// Spelled out.
    Program,
    /// Taken from the library.
    Used,
}

impl Kind {
    fn of(table: Option<TableOutline>) -> Kind {
        match table {
            Some(TableOutline { r#use: Some(_), .. }) => Kind::Used,
            Some(TableOutline { command: Some(_), .. }) => Kind::Program,
            _ => Kind::Toy,
        }
    }
}

impl From<ToyProxy> for Proxy {
    fn from(toy: ToyProxy) -> Self {
        Proxy::Toy(toy)
    }
}

impl From<Program> for Proxy {
    fn from(program: Program) -> Self {
        Proxy::Program(Box::new(program))
    }
}

impl From<ToyBackend> for Backend {
    fn from(toy: ToyBackend) -> Self {
        Backend::Toy(toy)
    }
}

impl From<Program> for Backend {
    fn from(program: Program) -> Self {
        Backend::Program(Box::new(program))
    }
}

impl Scenario {
    /// Reads and checks a scenario; `origin` names the text in errors.
    ///
    /// # Errors
    /// [`ScenarioError::Text`] with the line, or [`ScenarioError::Impossible`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, ScenarioError> {
        let outline: Outline = toml::from_str(text).map_err(|error| text_error(&error, text, origin))?;
        let backend = Kind::of(outline.backend);
        let scenario = match Kind::of(outline.proxy) {
            Kind::Toy => read_with_proxy::<ToyProxy>(text, backend),
            Kind::Program => read_with_proxy::<Program>(text, backend),
            Kind::Used => read_with_proxy::<UsedProxy>(text, backend),
        };
        let scenario = scenario.map_err(|error| text_error(&error, text, origin))?;
        scenario.validate().map_err(|error| match error {
            ScenarioError::Impossible { problems, .. } => {
                ScenarioError::Impossible { origin: origin.into(), problems }
            }
            other => other,
        })?;
        Ok(scenario)
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError::Unreadable`], or those of [`Scenario::parse`].
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// The scenario as TOML, every setting written out; [`Scenario::parse`] reads it back as the same scenario.
    pub fn to_toml(&self) -> String {
        // Plain tables with string keys: TOML can hold every scenario.
        toml::to_string_pretty(self)
            .unwrap_or_else(|error| format!("# finrace could not write this: {error}\n"))
    }
}

fn read_with_proxy<P>(text: &str, backend: Kind) -> Result<Scenario, toml::de::Error>
where
    P: DeserializeOwned + Into<Proxy>,
{
    match backend {
        Kind::Toy => read::<P, ToyBackend>(text),
        Kind::Program => read::<P, Program>(text),
        Kind::Used => read::<P, UsedBackend>(text),
    }
}

fn read<P, B>(text: &str) -> Result<Scenario, toml::de::Error>
where
    P: DeserializeOwned + Into<Proxy>,
    B: DeserializeOwned + Into<Backend>,
{
    let Document { name, summary, explain, proxy, backend, wire, traffic, expect } =
        toml::from_str::<Document<P, B>>(text)?;
    let proxy = proxy.map(Into::into).unwrap_or_default();
    let backend = backend.map(Into::into).unwrap_or_default();
    Ok(Scenario { name, summary, explain, proxy, backend, wire, traffic, expect })
}

/// The parser's words for what a scenario's author calls something else.
const PLAIN_WORDS: [(&str, &str); 5] = [
    ("unknown field", "unknown key"),
    ("missing field", "missing key"),
    ("unknown variant", "unknown value"),
    ("expected u16", "expected a number from 0 to 65535"),
    ("expected u32", "expected a number from 0 to 4294967295"),
];

/// How the answer to an unknown key begins when the table describes a real program.
const KEYS_OF_A_PROGRAM: &str = "expected one of `command`";

pub(super) fn text_error(error: &toml::de::Error, text: &str, origin: &str) -> ScenarioError {
    let position = error.span().map_or(0, |span| span.start).min(text.len());
    let line = text.as_bytes()[..position].iter().filter(|byte| **byte == b'\n').count() + 1;
    // One line, whatever the parser's own layout is.
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut problem = PLAIN_WORDS.iter().fold(message, |message, (word, plain)| message.replace(word, plain));
    if let Some(written) = text.lines().nth(line - 1).filter(|_| position > 0) {
        problem = format!("{problem}; in `{}`", written.trim());
    }
    if problem.contains(KEYS_OF_A_PROGRAM) {
        problem += "; with a command this is a real program, and its behaviour is set in its own files";
    }
    ScenarioError::Text { origin: origin.into(), line, problem }
}

/// `cause = "none"` is the expectation that nothing dies.
pub(super) mod cause_or_none {
    use serde::de::{self, Deserialize, Deserializer};
    use serde::{Serialize, Serializer};

    use crate::report::Cause;

    const NONE: &str = "none";

    pub(in super::super) fn serialize<S: Serializer>(
        cause: &Option<Cause>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        cause.map_or(NONE, Cause::token).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Cause>, D::Error> {
        let token = String::deserialize(deserializer)?;
        if token == NONE {
            return Ok(None);
        }
        token.parse().map(Some).map_err(|error| de::Error::custom(format!("{error}, {NONE}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "name = 'a'\nsummary = 'b'\n[expect]\ncause = 'none'\nstatus = 200\n";

    /// The error of `SMALLEST` with `table` in front of its last table.
    fn complaint(table: &str) -> String {
        let text = SMALLEST.replace("[expect]", &format!("{table}\n[expect]"));
        Scenario::parse(&text, "my.toml").expect_err(table).to_string()
    }

    #[test]
    fn what_is_left_out_has_the_documented_default() {
        let text = SMALLEST.replace("[expect]", "[traffic]\nsend_when = 'backend-timer'\n[expect]");
        let scenario = Scenario::parse(&text, "my.toml").unwrap();
        assert_eq!(scenario.proxy, Proxy::Toy(ToyProxy::default()));
        assert_eq!(scenario.backend, Backend::Toy(ToyBackend::default()));
        assert_eq!(scenario.wire, Wire::default());
    }

    #[test]
    fn a_wrong_file_is_answered_with_its_line_and_what_is_allowed() {
        let complaints = [
            complaint("[proxy]\nidle = '5s'"),
            complaint("[backend]\nport = 3000\nidle_timeout = 60"),
            complaint("[backend]\nidle_timeout = 1.5"),
            complaint("[backend]\nidle_timeout = '60'"),
            complaint("[backend]\nclose = 'gently'"),
            complaint("[backend]\nport = 70000"),
            complaint("[proxy]\nname = 'nginx'\ncommand = ['nginx']\nport = 8080\nretry = 'never'"),
            complaint("[[wire.hold]]\nfrom = 'backend'\npacket = 'fin'"),
            complaint("[wire]\nlatency = '5ms'"),
            complaint("[traffic]\nidle = ['0ms']"),
            complaint("traffic = 3"),
            complaint("[proxy"),
            Scenario::parse(&SMALLEST.replace("'none'", "'bad-luck'"), "my.toml").unwrap_err().to_string(),
            Scenario::parse("name = 'a'\nsummary = 'b'\n", "my.toml").unwrap_err().to_string(),
        ];
        insta::assert_snapshot!(complaints.join("\n"), @r#"
        my.toml:4: unknown key `idle`, expected one of `idle_timeout`, `retry`, `check_before_reuse`, `max_idle`, `reuse`, `port`, `imitates`; in `idle = '5s'`
        my.toml:5: a duration needs a unit: 60 could mean "60s" or "60ms", write the one you mean; in `idle_timeout = 60`
        my.toml:4: a duration needs a unit: 1.5 could mean "1.5s" or "1.5ms", write the one you mean; in `idle_timeout = 1.5`
        my.toml:4: a duration needs a unit: 60 could mean "60s" or "60ms", write the one you mean; in `idle_timeout = '60'`
        my.toml:4: unknown value `gently`, expected one of `fin`, `half-close`, `reset`, `unread`; in `close = 'gently'`
        my.toml:4: invalid value: integer `70000`, expected a number from 0 to 65535; in `port = 70000`
        my.toml:7: unknown key `retry`, expected one of `command`, `name`, `version`, `needs`, `port`, `default_idle_timeout`, `set_idle_timeout`, `idle_directive`, `settings`, `log`, `ready_timeout`, `env`, `files`; in `retry = 'never'`; with a command this is a real program, and its behaviour is set in its own files
        my.toml:3: missing key `until`; in `[[wire.hold]]`
        my.toml:4: unknown key `latency`, expected one of `family`, `delay`, `hold`, `drop`; in `latency = '5ms'`
        my.toml:4: invalid length 1, expected an array of length 2; in `idle = ['0ms']`
        my.toml:3: invalid type: integer `3`, expected a table; in `traffic = 3`
        my.toml:3: unclosed table, expected `]`; in `[proxy`
        my.toml:4: unknown cause `bad-luck`; known: crossed-fin, unread-request, discarded-request, stale-reuse, announced-close, reset-idle, state-lost, silent-drop, died-mid-request, truncated-response, response-reset, proxy-timeout, client-abort, refused, connect-timeout, unsolicited-response, goaway, unknown, none; in `cause = 'bad-luck'`
        my.toml:1: missing key `expect`
        "#);
    }

    #[test]
    fn a_missing_file_is_named_with_what_to_give_instead() {
        let error = Scenario::load(Path::new("no/such.toml")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the scenario no/such.toml; give a TOML file, or a name that `finrace scenarios` lists"
        );
        assert!(std::error::Error::source(&error).is_some(), "the system's reason is chained");
    }
}
