//! `pairs.toml`: pairs as people run them, each with the answer that it must get.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;

use crate::common::finrace::{finrace, output, text};

#[derive(Deserialize)]
struct Table {
    pair: Vec<Pair>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    proxy: Option<String>,
    hop: Option<String>,
    backend: Option<String>,
    /// Given without an option, one after the other.
    files: Option<String>,
    verdict: String,
    says: Option<String>,
    change: Option<String>,
    #[serde(default)]
    file: BTreeMap<String, String>,
}

/// Sentences are wrapped where the terminal ends.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands behind `What to change`, up to the next way out.
fn first_change(page: &str) -> String {
    let lines = page.lines().skip_while(|line| !line.starts_with("What to change"));
    let first = lines.enumerate().take_while(|(index, line)| *index == 0 || line.starts_with(' '));
    unwrapped(&first.map(|(_, line)| line).collect::<Vec<_>>().join(" "))
}

#[test]
fn every_pair_of_the_table_gets_its_answer() {
    let table: Table = toml::from_str(include_str!("pairs.toml")).unwrap();
    assert!(table.pair.len() >= 60);
    let mut wrong = Vec::new();
    for (index, pair) in table.pair.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in &pair.file {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut words = vec!["check"];
        for (option, value) in [("--proxy", &pair.proxy), ("--hop", &pair.hop), ("--backend", &pair.backend)]
        {
            words.extend(value.iter().flat_map(|value| [option, value]));
        }
        words.extend(pair.files.iter().flat_map(|files| files.split(' ')));
        let printed = output(finrace(&words).current_dir(folder.path()));
        let said = unwrapped(&(text(&printed.stdout) + &text(&printed.stderr)));
        let expected = match pair.verdict.as_str() {
            "safe" => 0,
            "unsafe" => 1,
            "refused" => 2,
            "unknown" => 3,
            other => panic!("{other} is no verdict"),
        };
        let first = first_change(&text(&printed.stdout));
        let says = pair.says.as_ref().is_none_or(|says| said.contains(&unwrapped(says)));
        let change = pair.change.as_ref().is_none_or(|change| first.contains(&unwrapped(change)));
        if printed.status.code() != Some(expected) || !says || !change {
            let code = printed.status.code();
            wrong.push(format!(
                "pair {} {words:?}: {} wanted, exit {code:?}\n{said}\n",
                index + 1,
                pair.verdict
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
