//! Files given without an option, or a directory of them: which of them are proxies and which are servers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use crate::products::Party;
use crate::products::config::{self, Part, Said};

use super::output;
use super::party::{config_parts, names};

/// Folders that hold the configurations of others.
const PASSED_OVER: [&str; 6] = ["node_modules", "target", "vendor", "dist", "venv", "__pycache__"];
/// Deeper folders are not looked into.
const DEEPEST: usize = 6;
/// More files are no project's configuration.
const MOST_FILES: usize = 5_000;
/// More combinations say nothing to anybody.
const MOST_PAIRS: usize = 50;

/// The proxies and the servers among files; those that were said go before.
///
/// # Errors
/// A file cannot be read or is of no product known here; nothing, or no telling, which is which.
pub(super) fn ends(
    files: &[String],
    proxy: Option<Party>,
    backend: Option<Party>,
) -> anyhow::Result<(Vec<Party>, Vec<Party>)> {
    let mut parts: Vec<Part> = Vec::new();
    let mut searched = false;
    for file in files {
        if Path::new(file).is_dir() {
            searched = true;
            let found = in_folder(Path::new(file))?;
            if found.is_empty() {
                bail!("{file} holds no configuration of a product known here: {}", config::KNOWN);
            }
            parts.extend(found);
        } else if Path::new(file).exists() {
            parts.extend(config_parts(file, Said::default()).map_err(|error| anyhow!(error))?);
        } else {
            bail!("there is no file {file}: a product goes with --proxy or --backend");
        }
    }
    if searched {
        output::complain(&format!("found: {}", names(&parts)));
    }
    let all = names(&parts);
    let (proxies, backends) = match (proxy, backend) {
        (Some(proxy), _) => (vec![proxy], servers(parts)),
        (None, Some(backend)) => {
            (parts.into_iter().filter(|part| part.opens).map(|part| part.party).collect(), vec![backend])
        }
        (None, None) => told_apart(parts)?,
    };
    if proxies.is_empty() {
        bail!("no proxy among {all}: give one with --proxy");
    }
    if backends.is_empty() {
        bail!("no server among {all}: give one with --backend");
    }
    if proxies.len() * backends.len() > MOST_PAIRS {
        bail!(
            "{} proxies and {} servers were found: give the two that belong together",
            proxies.len(),
            backends.len()
        );
    }
    Ok((proxies, backends))
}

/// What answers without asking others; where nothing does, what answers at all.
fn servers(parts: Vec<Part>) -> Vec<Party> {
    let leaves = parts.iter().any(|part| part.accepts && !part.opens);
    parts.into_iter().filter(|part| part.accepts && (!leaves || !part.opens)).map(|part| part.party).collect()
}

fn told_apart(parts: Vec<Part>) -> anyhow::Result<(Vec<Party>, Vec<Party>)> {
    let leaves = parts.iter().filter(|part| part.accepts && !part.opens).count();
    let clients = parts.iter().filter(|part| part.opens && !part.accepts).count();
    let both = parts.len() - leaves - clients;
    if leaves == 0 && !(clients == 1 && both == 1) && both > 1 {
        bail!(
            "each of {} can be the proxy of the others: say which with --proxy and --backend",
            names(&parts)
        );
    }
    let is_proxy = |part: &Part| part.opens && (leaves > 0 || !part.accepts);
    let (proxies, rest): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_proxy);
    Ok((proxies.into_iter().map(|part| part.party).collect(), servers(rest)))
}

/// What the files of a folder configure; those of no product known here are passed over.
fn in_folder(folder: &Path) -> anyhow::Result<Vec<Part>> {
    let mut files = Vec::new();
    list(folder, 0, &mut files)?;
    files.sort();
    let mut parts = Vec::new();
    for file in files {
        let Ok(text) = config::text_of(&file) else { continue };
        let name = file.to_string_lossy();
        match config::read(&name, &text, Said::default()) {
            Ok(found) => parts.extend(found),
            // Recognised, and broken: passing over it could hide the one that is unsafe.
            Err(error) if config::Kind::recognise(&text).is_some() => output::complain(&error),
            Err(_) => {}
        }
    }
    Ok(parts)
}

fn list(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).map_err(|error| anyhow!("{} cannot be read: {error}", folder.display()))?;
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < DEEPEST && !name.starts_with('.') && !PASSED_OVER.contains(&name.as_ref())
        {
            list(&path, depth + 1, files)?;
        } else if kind.is_file() && !name.starts_with('.') {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            bail!(
                "{} holds more than {MOST_FILES} files: give the folder of the configuration",
                folder.display()
            );
        }
    }
    Ok(())
}
