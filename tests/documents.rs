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

/// Commands that `make gallery` runs: those of docs/gallery.md that print nothing.
fn gallery() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("docs/gallery.md")).expect("the gallery");
    let blocks = text.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(|block| block.lines()).filter(|line| line.starts_with("finrace "));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Pictures of labelled captures are drawn again, the same bytes; those of lab runs carry times of their own.
#[test]
fn pictures_of_labelled_captures_are_what_the_program_draws() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let drawn = folder.path().join("drawn.svg");
    let mut pictures = 0;
    for mut words in gallery().into_iter().filter(|words| words.iter().any(|word| word == "-o")) {
        let committed = std::mem::replace(words.last_mut().expect("a file"), drawn.display().to_string());
        assert!(committed.starts_with("docs/images/"), "{committed}");
        printed(&words.join(" "));
        let [now, committed] = [drawn.clone(), root().join(committed)];
        let now = fs::read(now).expect("a picture");
        if std::env::var_os("FINRACE_BLESS").is_some() {
            fs::write(&committed, now).expect("a picture that can be written");
        } else {
            let then = fs::read(&committed).expect("a committed picture");
            assert!(now == then, "{}: the program draws another one; make gallery", committed.display());
        }
        pictures += 1;
    }
    assert!(pictures >= 10, "{pictures} pictures");
}

#[test]
fn the_postmortem_shown_is_the_one_that_the_program_writes() {
    let command = gallery().into_iter().find(|words| words.iter().any(|word| word == "--postmortem"));
    let mut words = command.expect("the command of the postmortem");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let written = folder.path().display().to_string();
    let committed = std::mem::replace(words.last_mut().expect("a folder"), written.clone());
    printed(&words.join(" "));
    let names = |folder: &Path| -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(folder).expect("a postmortem");
        entries.map(|entry| PathBuf::from(entry.expect("an entry").file_name())).collect()
    };
    let shown = root().join(&committed);
    if std::env::var_os("FINRACE_BLESS").is_some() {
        fs::remove_dir_all(&shown).expect("the old one can go");
        fs::create_dir(&shown).expect("a folder");
    } else {
        assert_eq!(names(folder.path()), names(&shown));
    }
    for name in names(folder.path()) {
        let mut now = fs::read(folder.path().join(&name)).expect("a file");
        if name.extension().is_some_and(|ending| ending == "md") {
            now = String::from_utf8(now).expect("UTF-8").replace(&written, &committed).into_bytes();
        }
        let path = shown.join(&name);
        if std::env::var_os("FINRACE_BLESS").is_some() {
            fs::write(&path, now).expect("a file that can be written");
        } else if name.extension().is_some_and(|ending| ending == "png") {
            // Its colours may differ in the last bit from machine to machine.
            assert!(now.starts_with(b"\x89PNG"), "{}", name.display());
        } else {
            let then = fs::read(&path).expect("a file");
            assert!(now == then, "{}: the program writes another one; make gallery", path.display());
        }
    }
}

/// No picture is left over, and none is shown without its command.
#[test]
fn every_picture_is_shown_with_its_command() {
    let text = fs::read_to_string(root().join("docs/gallery.md")).expect("the gallery");
    let images = fs::read_dir(root().join("docs/images")).expect("the pictures");
    for image in images {
        let name = image.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(text.contains(&format!("](images/{name})")), "{name} is not shown in docs/gallery.md");
        let made = match name.starts_with("window-") {
            true => "```\nmake windows\n".to_owned(),
            false => format!("docs/images/{name}\n"),
        };
        assert!(text.contains(&made), "docs/gallery.md does not say how {name} is made");
    }
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

#[test]
fn what_was_measured_is_listed() {
    let path = root().join("docs/measured-timeouts.md");
    let listed = finrace::products::measured_document();
    if std::env::var_os("FINRACE_BLESS").is_some() {
        fs::write(&path, &listed).expect("docs can be written");
    }
    assert_eq!(fs::read_to_string(&path).expect("docs/measured-timeouts.md"), listed, "run FINRACE_BLESS=1");
}
