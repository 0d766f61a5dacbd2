//! The JSON schema of a report, generated from the types so that it cannot drift.

use super::Report;

/// Version of the JSON layout; raised when a reader of the old one would break.
pub const SCHEMA_VERSION: u32 = 1;

/// The JSON schema (2020-12) of [`Report`], pretty-printed with a closing newline, as kept in `docs/report.schema.json`.
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(Report);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}
