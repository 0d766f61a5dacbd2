//! The README is true: each command it shows with its output prints exactly that.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Columns of the README's examples.
const COLUMNS: &str = "100";

/// The commands shown after `$ ` in the README's code blocks, with the lines below them.
fn examples(readme: &str) -> Vec<(String, String)> {
    let mut examples = Vec::new();
    for block in readme.split("```").skip(1).step_by(2) {
        let text = block.trim_start_matches('\n');
        if let Some((command, output)) = text.strip_prefix("$ ").and_then(|text| text.split_once('\n')) {
            examples.push((command.to_owned(), output.to_owned()));
        }
    }
    examples
}

#[test]
fn every_example_prints_what_the_readme_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("the README is beside Cargo.toml");
    let examples = examples(&readme);
    assert!(!examples.is_empty(), "the README shows no command with its output");
    for (command, expected) in examples {
        let mut words = command.split_whitespace();
        assert_eq!(words.next(), Some("finrace"), "{command}");
        let output = Command::new(env!("CARGO_BIN_EXE_finrace"))
            .args(words)
            .current_dir(root)
            .env("COLUMNS", COLUMNS)
            .output()
            .expect("finrace runs");
        let printed = String::from_utf8(output.stdout).expect("finrace prints UTF-8");
        assert_eq!(printed.trim_end(), expected.trim_end(), "$ {command}");
    }
}

#[test]
fn every_file_the_readme_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("the README is beside Cargo.toml");
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links {
        assert!(root.join(link).exists(), "the README links to {link}");
    }
}
