//! The captures that are kept are the ones the recipes make, and no others are.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use super::pcap::in_repository;
use super::recipes::RECIPES;

/// Set to anything, it lets the kept files follow the recipes.
pub const BLESS: &str = "FINRACE_BLESS";
const DIRECTORY: &str = "captures/formats/links";

/// Every file there should be, by its name.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> =
        RECIPES.iter().map(|recipe| (format!("{}.pcap", recipe.name), recipe.make().file)).collect();
    files.push(("README.md".to_owned(), readme().into_bytes()));
    files
}

fn readme() -> String {
    let mut text = "# Links, tunnels and fragments\n\n\
        The packets of a labelled capture, wrapped. Each file holds those of `client.pcap` in the directory that the\n\
        last column names, and an analysis of it must find the same incident. `tests/links/` has the recipe of each, and\n\
        `FINRACE_BLESS=1 cargo test --test links` writes them and this page.\n\n\
        | file | `LINKTYPE_` | what | packets of |\n|---|---|---|---|\n"
        .to_owned();
    for recipe in RECIPES {
        let (name, link, what, original) = (recipe.name, recipe.link, recipe.what, recipe.original);
        writeln!(text, "| `{name}.pcap` | {link} | {what} | `{original}` |").expect("memory");
    }
    text
}

#[test]
fn the_kept_captures_are_the_ones_the_recipes_make() {
    let directory = in_repository(DIRECTORY);
    let files = files();
    if std::env::var_os(BLESS).is_some() {
        fs::create_dir_all(&directory).expect("a directory");
        for (name, bytes) in &files {
            fs::write(directory.join(name), bytes).expect("a file written");
        }
    }
    let different: Vec<&str> = files
        .iter()
        .filter(|(name, bytes)| fs::read(directory.join(name)).ok().as_ref() != Some(bytes))
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(
        different.is_empty(),
        "{DIRECTORY}: {} are not what the recipes make. If the change of a recipe is meant: {BLESS}=1 cargo test \
         --test links",
        different.join(", ")
    );

    let known: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(known.len(), files.len(), "two recipes write the same file");
    for entry in fs::read_dir(&directory).expect("captures") {
        let name = entry.expect("an entry").file_name();
        assert!(
            name.to_str().is_some_and(|name| known.contains(name)),
            "{DIRECTORY}: {name:?} has no recipe"
        );
    }
}
