//! A real proxy or server: its command line, its files, and the places that finrace fills in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Party, ScenarioError, duration};

/// A real program under test.
///
/// In `command`, `env`, `files`, `version` and `log`, finrace fills in `{dir}` (its folder in the run directory),
/// `{listen}` (address and port), `{listen_address}` (address alone, without brackets), `{port}`,
/// `{backend_address}` (the backend's address and port), `{backend_host}` and `{backend_port}` (each alone),
/// `{servers}` (where packages of real servers are installed), `{settings}` and `{idle_directive}`. Other braces stay
/// as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Program and arguments; it must stay in the foreground.
    pub command: Vec<String>,
    /// Name in sentences.
    pub name: String,
    /// Program and arguments that print its version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub version: Vec<String>,
    /// How to install it, for the error text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// Port it listens on.
    pub port: u16,
    /// Its default idle timeout, as documented. Only spoken of, never set: that is [`Program::set_idle_timeout`].
    #[serde(with = "duration::optional", default, skip_serializing_if = "Option::is_none")]
    pub default_idle_timeout: Option<Duration>,
    /// Sets the idle timeout through [`Program::idle_directive`]; without it the program's own default is in force.
    #[serde(with = "duration::optional", default, skip_serializing_if = "Option::is_none")]
    pub set_idle_timeout: Option<Duration>,
    /// The text that `{idle_directive}` becomes when the idle timeout is set, with the value as `{ms}` or `{s}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_directive: Option<String>,
    /// Lines in the language of the program's own configuration; `{settings}` becomes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// File in `{dir}` whose new lines are the program's own words about an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// It must listen within this time.
    #[serde(with = "duration", default = "ready_timeout")]
    pub ready_timeout: Duration,
    /// Environment variables added.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Files written to `{dir}` before it starts: name and text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

fn ready_timeout() -> Duration {
    Duration::from_secs(10)
}

/// What a program is told about its surroundings.
#[derive(Debug, Clone)]
pub struct Places<'a> {
    /// Its folder, absolute.
    pub dir: &'a Path,
    /// Where it has to listen.
    pub listen: SocketAddr,
    /// Where the backend listens.
    pub backend: SocketAddr,
    /// Where packages of real servers are installed.
    pub servers: &'a Path,
}

/// A program with every place filled in, ready to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct Expanded {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Program and arguments that print its version.
    pub version: Vec<String>,
    /// Environment variables to add.
    pub env: BTreeMap<String, String>,
    /// Files to be written, by path.
    pub files: BTreeMap<PathBuf, String>,
    /// The log whose new lines are to be shown.
    pub log: Option<PathBuf>,
}

impl Expanded {
    /// Writes the files, and the folders they need.
    ///
    /// # Errors
    /// [`ScenarioError::Unwritable`] at the first that cannot be written.
    pub fn write_files(&self) -> Result<(), ScenarioError> {
        for (path, text) in &self.files {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::write(path, text))
                .map_err(|source| ScenarioError::Unwritable { path: path.clone(), source })?;
        }
        Ok(())
    }
}

impl Program {
    /// The idle timeout in force, as far as it is known.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.set_idle_timeout.or(self.default_idle_timeout)
    }

    /// Fills in every place.
    pub fn expand(&self, places: &Places<'_>) -> Expanded {
        // First what may itself hold places.
        let words = [
            ("{settings}", self.settings.join("\n")),
            ("{dir}", places.dir.display().to_string()),
            ("{listen}", places.listen.to_string()),
            ("{listen_address}", places.listen.ip().to_string()),
            ("{port}", places.listen.port().to_string()),
            ("{backend_address}", places.backend.to_string()),
            ("{backend_host}", places.backend.ip().to_string()),
            ("{backend_port}", places.backend.port().to_string()),
            ("{servers}", places.servers.display().to_string()),
            ("{idle_directive}", self.idle_text()),
        ];
        let fill =
            |text: &String| words.iter().fold(text.clone(), |text, (word, place)| text.replace(word, place));
        Expanded {
            command: self.command.iter().map(fill).collect(),
            version: self.version.iter().map(fill).collect(),
            env: self.env.iter().map(|(name, value)| (name.clone(), fill(value))).collect(),
            files: self.files.iter().map(|(name, text)| (places.dir.join(name), fill(text))).collect(),
            log: self.log.as_ref().map(|name| places.dir.join(name)),
        }
    }

    fn idle_text(&self) -> String {
        match (&self.idle_directive, self.set_idle_timeout) {
            (Some(directive), Some(idle)) => {
                // A program that counts whole seconds must not be set to less than was asked.
                let seconds = idle.as_millis().div_ceil(1000);
                directive.replace("{ms}", &idle.as_millis().to_string()).replace("{s}", &seconds.to_string())
            }
            _ => String::new(),
        }
    }

    /// Sets the idle timeout from the command line.
    pub(super) fn set_idle(&mut self, party: Party, idle: Duration) -> Result<(), String> {
        if self.idle_directive.is_none() {
            let party = party.token();
            let name = &self.name;
            return Err(format!(
                "--{party}-idle cannot reach {name}: its [{party}] table has no idle_directive that would set the timer."
            ));
        }
        self.set_idle_timeout = Some(idle);
        Ok(())
    }

    /// Sentences about what can never work.
    pub(super) fn problems(&self, party: Party) -> Vec<String> {
        let table = party.token();
        let mut problems = Vec::new();
        if self.command.first().is_none_or(String::is_empty) {
            problems.push(format!("[{table}] command is empty: give the program and its arguments."));
        }
        if self.set_idle_timeout.is_some() && self.idle_directive.is_none() {
            problems.push(format!("[{table}] set_idle_timeout needs an idle_directive that carries it."));
        }
        if self.set_idle_timeout.is_some_and(|idle| idle.is_zero()) {
            problems.push(format!(
                "[{table}] an idle timeout of zero means never to one program and at once to another: set at least 1ms."
            ));
        }
        if self.ready_timeout.is_zero() {
            problems.push(format!("[{table}] ready_timeout is zero: no program listens at once."));
        }
        for name in self.files.keys().chain(&self.log) {
            if !is_inside(name) {
                problems
                    .push(format!("[{table}] file `{name}` is outside the run directory: use a plain name."));
            }
        }
        problems
    }
}

/// Whether a file name stays below the folder it is joined to.
fn is_inside(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(files: &[(&str, &str)]) -> Program {
        Program {
            command: vec!["server".into(), "{dir}/main".into()],
            name: "server".into(),
            version: Vec::new(),
            needs: None,
            port: 3000,
            default_idle_timeout: None,
            set_idle_timeout: None,
            idle_directive: Some("idle {ms}ms or {s}s;".into()),
            settings: Vec::new(),
            log: Some("out.log".into()),
            ready_timeout: ready_timeout(),
            env: BTreeMap::from([("PACKAGES".into(), "{servers}/x".into())]),
            files: files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect(),
        }
    }

    fn places(dir: &Path) -> Places<'_> {
        Places {
            dir,
            listen: "[2001:db8::2]:3000".parse().unwrap(),
            backend: "192.0.2.2:3001".parse().unwrap(),
            servers: Path::new("/srv"),
        }
    }

    #[test]
    fn every_place_is_filled_in_and_other_braces_stay() {
        let text = "{listen} {listen_address} {port} {backend_address} {servers} {dir} {other} ${x} |{idle_directive}|";
        let expanded = program(&[("a.conf", text)]).expand(&places(Path::new("/run")));
        assert_eq!(expanded.command, ["server", "/run/main"]);
        assert_eq!(expanded.env["PACKAGES"], "/srv/x");
        assert_eq!(expanded.log, Some(PathBuf::from("/run/out.log")));
        assert_eq!(
            expanded.files[Path::new("/run/a.conf")],
            "[2001:db8::2]:3000 2001:db8::2 3000 192.0.2.2:3001 /srv /run {other} ${x} ||"
        );
    }

    #[test]
    fn the_idle_directive_appears_only_when_the_timer_is_set_and_rounds_seconds_up() {
        let mut program = program(&[("a.conf", "{idle_directive}")]);
        program.set_idle(Party::Proxy, Duration::from_millis(1500)).unwrap();
        let expanded = program.expand(&places(Path::new("/run")));
        assert_eq!(expanded.files[Path::new("/run/a.conf")], "idle 1500ms or 2s;");
    }

    #[test]
    fn settings_are_lines_and_may_name_places_themselves() {
        let mut program = program(&[("a.conf", "[{settings}]")]);
        program.settings =
            vec!["harakiri = 65".into(), "logto = {dir}/log of {backend_host} {backend_port}".into()];
        let expanded = program.expand(&places(Path::new("/run")));
        let text = &expanded.files[Path::new("/run/a.conf")];
        assert_eq!(text, "[harakiri = 65\nlogto = /run/log of 192.0.2.2 3001]");
    }

    #[test]
    fn files_are_written_with_their_folders() {
        let dir = tempfile::tempdir().unwrap();
        let expanded = program(&[("conf/a.conf", "text {port}")]).expand(&places(dir.path()));
        expanded.write_files().unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("conf/a.conf")).unwrap(), "text 3000");
    }

    #[test]
    fn a_file_name_cannot_leave_the_run_directory() {
        for name in ["/etc/passwd", "../up", "a/../../b", ""] {
            assert!(!is_inside(name), "{name}");
        }
        assert!(is_inside("conf/nginx.conf"));
    }
}
