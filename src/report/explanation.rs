//! What a text tells: the answer of `finrace explain`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Cause, Fit};

/// A cause that a message fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Candidate {
    /// The cause.
    pub cause: Cause,
    /// How well it fits.
    pub fit: Fit,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// In a sentence.
    pub text: String,
    /// A command, where there is one.
    pub command: Option<String>,
}

/// One message that was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Recognised {
    /// The name of the message in `docs/messages.md`.
    pub id: String,
    /// Who writes it.
    pub who: String,
    /// The message as it is known.
    pub line: String,
    /// How often it was found.
    pub count: u64,
    /// Where it was found first, 1-based.
    pub first_line: u64,
    /// That line, shortened around the message; hidden letters are not escaped here.
    pub quote: String,
    /// The moment, as a token.
    pub moment: String,
    /// The moment, in words.
    pub moment_name: String,
    /// What the message says.
    pub says: String,
    /// Which causes it fits, best first.
    pub causes: Vec<Candidate>,
    /// What else it can be.
    pub otherwise: Vec<String>,
    /// Whether the request may be sent again.
    pub retry: String,
    /// What to do next.
    pub next: Vec<Step>,
    /// Where the message is described, or how it was measured.
    pub source: String,
}

/// What a text tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    /// Version of this layout.
    pub schema: u32,
    /// Lines that were read.
    pub lines: u64,
    /// Lines with a message that is known.
    pub recognised_lines: u64,
    /// Lines longer than what is read of one: the rest was passed over.
    pub cut_lines: u64,
    /// Each message once; those that tell most come first, then in the order in which they were found.
    pub messages: Vec<Recognised>,
    /// Other lines that look like failures, the first few, shortened.
    pub not_recognised: Vec<String>,
    /// How many of those there are.
    pub not_recognised_count: u64,
}

/// The JSON schema of [`Explanation`], a line end after each line.
pub fn explanation_json_schema() -> String {
    let schema = schemars::schema_for!(Explanation);
    serde_json::to_string_pretty(&schema).expect("a schema is plain JSON") + "\n"
}
