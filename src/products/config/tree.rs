//! YAML, JSON and TOML as one tree of keys and values that knows its lines.

use std::rc::Rc;

use saphyr_parser::{Event, Parser};
use toml::de::{DeTable, DeValue};

/// Deeper than any configuration, shallower than any stack.
const DEEPEST: usize = 64;
/// More nodes than a configuration has, once its aliases are followed.
const MOST_VISITED: usize = 200_000;

/// A value and the line where it begins.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// Counted from 1.
    pub line: usize,
    pub data: Data,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    Scalar(String),
    Map(Vec<Entry>),
    List(Vec<Rc<Tree>>),
}

/// A key with its line and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub line: usize,
    pub value: Rc<Tree>,
}

impl Tree {
    /// The documents of a YAML or JSON text.
    ///
    /// # Errors
    /// Where and why it is none.
    pub fn yaml(text: &str) -> Result<Vec<Rc<Tree>>, String> {
        let mut documents = Vec::new();
        let mut anchors: Vec<(usize, Rc<Tree>)> = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| error.to_string())?;
            let line = span.start.line();
            let (anchor, tree) = match event {
                Event::Scalar(value, _, anchor, _) => {
                    (anchor, Tree { line, data: Data::Scalar(value.into_owned()) })
                }
                Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                    if open.len() >= DEEPEST {
                        return Err(format!("line {line}: nested more than {DEEPEST} deep"));
                    }
                    let is_map = matches!(event, Event::MappingStart(..));
                    let data = if is_map { Data::Map(Vec::new()) } else { Data::List(Vec::new()) };
                    open.push(Open { anchor, tree: Tree { line, data }, key: None });
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                    Some(open) => (open.anchor, open.tree),
                    None => continue,
                },
                Event::Alias(anchor) => {
                    let known = anchors.iter().rev().find(|(id, _)| *id == anchor);
                    let tree = known.map(|(_, tree)| tree.clone());
                    let tree = tree.ok_or_else(|| format!("line {line}: an alias of nothing"))?;
                    put(&mut open, &mut documents, tree, line);
                    continue;
                }
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd => continue,
            };
            let tree = Rc::new(tree);
            if anchor > 0 {
                anchors.push((anchor, tree.clone()));
            }
            put(&mut open, &mut documents, tree, line);
        }
        Ok(documents)
    }

    /// A TOML text.
    ///
    /// # Errors
    /// Where and why it is none.
    pub fn toml(text: &str) -> Result<Tree, String> {
        let table = DeTable::parse(text).map_err(|error| error.message().to_owned())?;
        let line_of = |at: usize| {
            1 + text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
        };
        Ok(Tree { line: 1, data: Data::Map(table_entries(table.get_ref(), &line_of)) })
    }

    /// The value of a key, of a map or of what its `<<` merges in.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        let Data::Map(entries) = &self.data else { return None };
        // Keys of Traefik and of Spring are the same in any case, and with dashes.
        let found = entries.iter().find(|entry| entry.key == key);
        found.or_else(|| entries.iter().find(|entry| alike(&entry.key, key))).or_else(|| {
            let merged = entries.iter().filter(|entry| entry.key == "<<");
            merged
                .flat_map(|entry| match &entry.value.data {
                    Data::List(list) => list.iter().collect(),
                    _ => vec![&entry.value],
                })
                .find_map(|tree| tree.get(key))
        })
    }

    /// The value at a path of keys; a key may itself be written with points, as Spring allows.
    pub fn at(&self, path: &str) -> Option<&Entry> {
        let whole = self.get(path);
        whole.or_else(|| {
            let points = path.match_indices('.').map(|(at, _)| at);
            points
                .map(|at| (&path[..at], &path[at + 1..]))
                .find_map(|(head, rest)| self.get(head)?.value.at(rest))
        })
    }

    /// Whether it has such a key.
    pub fn has(&self, path: &str) -> bool {
        self.at(path).is_some()
    }

    /// The entries of a map; of anything else none.
    pub fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The values of a list; a single value is a list of one.
    pub fn items(&self) -> Vec<&Tree> {
        match &self.data {
            Data::List(list) => list.iter().map(Rc::as_ref).collect(),
            _ => vec![self],
        }
    }

    /// A value as it was written, without quotes.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// Every entry of this tree with the keys above it, outermost first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&[&'a str], &'a Entry)) {
        let mut left = MOST_VISITED;
        self.walk_from(&mut Vec::new(), &mut left, visit);
    }

    fn walk_from<'a>(
        &'a self,
        path: &mut Vec<&'a str>,
        left: &mut usize,
        visit: &mut dyn FnMut(&[&'a str], &'a Entry),
    ) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        match &self.data {
            Data::Scalar(_) => {}
            Data::List(list) => list.iter().for_each(|tree| tree.walk_from(path, left, visit)),
            Data::Map(entries) => {
                for entry in entries {
                    visit(path, entry);
                    path.push(&entry.key);
                    entry.value.walk_from(path, left, visit);
                    path.pop();
                }
            }
        }
    }
}

fn alike(written: &str, key: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(|letter| !matches!(letter, '-' | '_')).collect::<String>().to_ascii_lowercase()
    };
    letters(written) == letters(key)
}

/// A map or list that has not ended.
struct Open {
    anchor: usize,
    tree: Tree,
    /// The key whose value comes next.
    key: Option<(String, usize)>,
}

fn put(open: &mut [Open], documents: &mut Vec<Rc<Tree>>, tree: Rc<Tree>, line: usize) {
    let Some(Open { tree: parent, key, .. }) = open.last_mut() else {
        documents.push(tree);
        return;
    };
    match &mut parent.data {
        Data::List(list) => list.push(tree),
        Data::Map(entries) => match key.take() {
            None => *key = Some((tree.text().unwrap_or_default().to_owned(), line)),
            Some((key, line)) => entries.push(Entry { key, line, value: tree }),
        },
        Data::Scalar(_) => {}
    }
}

fn table_entries(table: &DeTable<'_>, line_of: &dyn Fn(usize) -> usize) -> Vec<Entry> {
    let entry =
        |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| Entry {
            key: key.get_ref().to_string(),
            line: line_of(key.span().start),
            value: Rc::new(toml_tree(value, line_of)),
        };
    table.iter().map(entry).collect()
}

fn toml_tree(value: &toml::Spanned<DeValue<'_>>, line_of: &dyn Fn(usize) -> usize) -> Tree {
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Scalar(text.to_string()),
        DeValue::Integer(number) => Data::Scalar(number.as_str().to_owned()),
        DeValue::Float(number) => Data::Scalar(number.as_str().to_owned()),
        DeValue::Boolean(on) => Data::Scalar(on.to_string()),
        DeValue::Datetime(time) => Data::Scalar(time.to_string()),
        DeValue::Array(list) => Data::List(list.iter().map(|it| Rc::new(toml_tree(it, line_of))).collect()),
        DeValue::Table(table) => Data::Map(table_entries(table, line_of)),
    };
    Tree { line: line_of(value.span().start), data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_json_and_toml_are_one_tree() {
        let yaml = Tree::yaml("a:\n  b-c: [1, {d: 2}]\nx: &n {k: v}\ny:\n  <<: *n\n").unwrap().remove(0);
        assert_eq!(yaml.at("a.bC").unwrap().line, 2);
        assert_eq!(yaml.at("y.k").unwrap().value.text(), Some("v"));
        let json = Tree::yaml("{\"a\": {\n\"b\": \"5s\"}}").unwrap().remove(0);
        assert_eq!((json.at("a.b").unwrap().line, json.at("a.b").unwrap().value.text()), (2, Some("5s")));
        let toml = Tree::toml("[a]\nb = \"5s\"\n[a.c]\nd = 1\n").unwrap();
        assert_eq!((toml.at("a.b").unwrap().line, toml.at("a.c.d").unwrap().line), (2, 4));
    }

    #[test]
    fn what_is_made_to_exhaust_a_reader_does_not() {
        let deep = "[".repeat(10_000);
        assert!(Tree::yaml(&deep).is_err());
        let mut bomb = "a0: &a0 {k: v}\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        let mut seen = 0;
        Tree::yaml(&bomb).unwrap()[0].walk(&mut |_, _| seen += 1);
        assert!(seen <= MOST_VISITED, "{seen}");
    }
}
