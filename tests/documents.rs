//! README and docs are true: each command shown with its output prints exactly that, each link leads somewhere, and each
//! cause has its page. `FINRACE_BLESS=1` writes what the commands print.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use finrace::report::Cause;

/// Columns of the examples.
const COLUMNS: &str = "100";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and everything in docs.
fn documents() -> Vec<PathBuf> {
    let mut documents = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of this project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    documents.sort();
    assert!(documents.len() > Cause::ALL.len(), "{documents:?}");
    documents
}

/// What the command of an example prints.
fn printed(command: &str) -> String {
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("finrace"), "{command}");
    let output = Command::new(env!("CARGO_BIN_EXE_finrace"))
        .args(words)
        .current_dir(root())
        .env("COLUMNS", COLUMNS)
        .output()
        .expect("finrace runs");
    String::from_utf8(output.stdout).expect("finrace prints UTF-8").trim_end().to_owned()
}

/// The document with what its commands print now, and how many they are. An example is a code block that begins with `$ `.
fn renewed(document: &str) -> (String, usize) {
    let mut blocks: Vec<String> = document.split("```").map(str::to_owned).collect();
    let mut examples = 0;
    for block in blocks.iter_mut().skip(1).step_by(2) {
        let Some(command) = block.strip_prefix("\n$ ").and_then(|text| text.lines().next()) else { continue };
        examples += 1;
        *block = format!("\n$ {command}\n{}\n", printed(command));
    }
    (blocks.join("```"), examples)
}

#[test]
fn every_example_prints_what_the_document_says() {
    let mut examples = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document");
        let (now, found) = renewed(&text);
        examples += found;
        if std::env::var_os("FINRACE_BLESS").is_some() {
            fs::write(&path, &now).expect("a document that can be written");
        } else {
            assert_eq!(text, now, "{}: its examples print something else", path.display());
        }
    }
    assert!(examples > Cause::ALL.len(), "{examples} examples");
}

#[test]
fn every_link_leads_somewhere() {
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document");
        let folder = path.parent().expect("a document is in a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let there = link.is_empty() || link.starts_with("https://") || folder.join(link).exists();
            assert!(there, "{} links to {link}", path.display());
        }
    }
}

#[test]
fn every_cause_has_a_page_and_a_line_in_the_list() {
    let tokens: Vec<&str> = Cause::ALL.iter().map(|cause| cause.token()).collect();
    let list = fs::read_to_string(root().join("docs/causes.md")).expect("the list of causes");
    let listed: Vec<&str> =
        list.lines().filter_map(|line| line.strip_prefix("| [")?.split(']').next()).collect();
    assert_eq!(listed, tokens, "docs/causes.md lists the causes in the order of the code");
    let pages: BTreeSet<String> = fs::read_dir(root().join("docs/causes"))
        .expect("pages of causes")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(pages, tokens.iter().map(|token| format!("{token}.md")).collect());
    for token in tokens {
        let page = fs::read_to_string(root().join(format!("docs/causes/{token}.md"))).expect("a page");
        assert!(page.starts_with(&format!("# {token}: ")), "{token}: the title names it");
        for heading in ["## Told by", "## Whose it is", "## Cure"] {
            assert!(page.contains(heading), "{token}: {heading}");
        }
        // Nothing can be shown of what no rule explains.
        assert_eq!(page.contains("$ finrace show"), token != "unknown", "{token}: a capture of it is drawn");
    }
}
