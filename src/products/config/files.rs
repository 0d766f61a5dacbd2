//! The files of one configuration: the one that was named, and those that it includes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Larger files are no configuration.
const LARGEST: u64 = 4 << 20;
/// More files are no configuration either.
const MOST_FILES: usize = 500;

/// Texts by the names that they are shown by.
pub(super) struct Files {
    main: String,
    texts: BTreeMap<String, String>,
}

impl Files {
    pub fn new(main: &str, text: &str) -> Files {
        Files { main: main.to_owned(), texts: BTreeMap::from([(main.to_owned(), text.to_owned())]) }
    }

    /// The name of the file that was given.
    pub fn main(&self) -> String {
        self.main.clone()
    }

    pub fn text(&self, file: &str) -> &str {
        self.texts.get(file).map_or("", String::as_str)
    }

    /// The files that an `include` names, read; a last component may have `*`. A relative name is looked for beside the
    /// main file. None where there is none.
    ///
    /// # Errors
    /// A file is there and cannot be read as text.
    pub fn matching(&mut self, pattern: &str) -> Result<Vec<String>, String> {
        let folder = Path::new(&self.main).parent().unwrap_or(Path::new(""));
        let path = folder.join(pattern);
        let mut found: Vec<PathBuf> = match path.file_name().and_then(|name| name.to_str()) {
            Some(name) if name.contains('*') => {
                let listed = fs::read_dir(
                    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new(".")),
                );
                let entries = listed.into_iter().flatten().flatten();
                let fits = |file: &PathBuf| {
                    file.file_name().and_then(|it| it.to_str()).is_some_and(|it| fits(it, name))
                        && file.is_file()
                };
                entries.map(|entry| path.with_file_name(entry.file_name())).filter(fits).collect()
            }
            _ if path.is_file() => vec![path],
            _ => Vec::new(),
        };
        found.sort();
        let mut names = Vec::new();
        for path in found {
            let name = path.to_string_lossy().into_owned();
            if !self.texts.contains_key(&name) {
                if self.texts.len() >= MOST_FILES {
                    return Err(format!("{} includes more than {MOST_FILES} files", self.main));
                }
                let text = text_of(&path)?;
                self.texts.insert(name.clone(), text);
            }
            names.push(name);
        }
        Ok(names)
    }
}

/// Whether a name fits a pattern in which `*` stands for any letters.
fn fits(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = first;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    last.is_empty() || rest.is_empty() || name.ends_with(last)
}

/// The text of a configuration file.
///
/// # Errors
/// One sentence: it cannot be read, is too large, or is no text.
pub fn text_of(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let about = fs::metadata(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if !about.is_file() {
        return Err(format!("{shown} is no file: name a configuration file"));
    }
    if about.len() > LARGEST {
        return Err(format!("{shown} is larger than {} MiB: that is no configuration", LARGEST >> 20));
    }
    let bytes = fs::read(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("{shown} is no text in UTF-8: that is no configuration"))?;
    match text.contains('\0') {
        true => Err(format!("{shown} holds bytes that no text has: that is no configuration")),
        false => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_letters() {
        for (name, pattern, expected) in [
            ("app.conf", "*.conf", true),
            ("app.conf.bak", "*.conf", false),
            ("app.conf", "a*p.conf", true),
            ("app", "*", true),
            ("b.conf", "a*.conf", false),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }
}
