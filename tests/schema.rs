//! The JSON schema that others build on: it is the one the program prints, and what the program writes keeps to it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

mod common {
    pub mod finrace;
}
use common::finrace::{analyzed, finrace, output, text};

/// Set to anything, it lets the kept schema follow the types.
const BLESS: &str = "FINRACE_BLESS";

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The documents with a schema, and where it is kept.
const DOCUMENTS: [(&str, &str); 3] = [
    ("report", "docs/report.schema.json"),
    ("sweep", "docs/sweep.schema.json"),
    ("explanation", "docs/explanation.schema.json"),
];

fn schema(document: &str) -> String {
    let printed = output(&mut finrace(["schema", document]));
    assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
    text(&printed.stdout)
}

/// Checks a report, or anything that ought to be one.
fn mistakes(report: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(&schema("report")).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    validator.iter_errors(report).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_kept_schemas_are_those_that_the_program_prints() {
    for (document, kept_at) in DOCUMENTS {
        let path = in_repository(kept_at);
        if std::env::var_os(BLESS).is_some() {
            fs::write(&path, schema(document)).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == schema(document),
            "{kept_at} is not what `finrace schema {document}` prints. If the change of the layout is meant, and old \
             readers can still read it, keep the new one: {BLESS}=1 cargo test --test schema. If they cannot, raise \
             its version in src/report first."
        );
    }
    assert_eq!(
        text(&output(&mut finrace(["schema"])).stdout),
        schema("report"),
        "the report's is the usual one"
    );
}

#[test]
fn the_schemas_are_some_by_the_rules_of_json_schema() {
    for (document, _) in DOCUMENTS {
        let schema: Value = serde_json::from_str(&schema(document)).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(jsonschema::meta::is_valid(&schema));
    }
}

#[test]
fn every_field_of_the_schemas_says_what_it_means() {
    fn check(path: &str, schema: &Value) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            assert!(field["description"].is_string(), "{path}.{name} has no description");
        }
    }
    for (document, _) in DOCUMENTS {
        let schema: Value = serde_json::from_str(&schema(document)).unwrap();
        check(document, &schema);
        for (name, definition) in schema["$defs"].as_object().expect("definitions") {
            check(name, definition);
        }
    }
}

#[test]
fn reports_of_analyze_keep_to_the_schema() {
    let mut found = 0;
    for folder in fs::read_dir(in_repository("captures")).expect("the labelled captures").flatten() {
        // Beside the labelled captures there is one story in many formats, which has tests of its own.
        if !folder.path().is_dir() || folder.file_name() == "formats" {
            continue;
        }
        for side in ["client.pcap", "server.pcap"] {
            let words = ["analyze", "--format", "json", "--connections"].map(std::ffi::OsString::from);
            let capture = folder.path().join(side);
            let printed = output(&mut finrace(words.into_iter().chain([capture.clone().into()])));
            let report = serde_json::from_slice(&printed.stdout)
                .unwrap_or_else(|error| panic!("{error}: {}", text(&printed.stderr)));
            assert_eq!(mistakes(&report), Vec::<String>::new(), "{}", capture.display());
            found += report["incidents"].as_array().map_or(0, Vec::len);
        }
    }
    assert!(found > 0, "the captures hold incidents");
}

#[test]
fn what_is_no_report_does_not_keep_to_the_schema() {
    let mut report = analyzed(&in_repository("captures/crossed-fin/client.pcap"), 1);
    assert_eq!(mistakes(&report), Vec::<String>::new());
    report["incidents"][0]["cause"] = "bad-luck".into();
    report["summary"].as_object_mut().expect("an object").remove("conclusive");
    let found = mistakes(&report);
    assert!(found.iter().any(|mistake| mistake.starts_with("/incidents/0/cause: ")), "{found:?}");
    assert!(found.iter().any(|mistake| mistake.starts_with("/summary: ")), "{found:?}");
}

#[cfg(all(feature = "live", target_os = "linux"))]
#[test]
fn reports_of_reproduce_keep_to_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    for (scenario, out) in [("crossed-fin", "lost"), ("fixed", "safe")] {
        let words = ["reproduce", scenario, "--format", "json", "--out", out];
        let report = common::finrace::json(&output(finrace(words).current_dir(folder.path())), 0);
        assert!(report["run"].is_object());
        assert_eq!(mistakes(&report), Vec::<String>::new(), "{scenario}");
    }
}
