//! Real servers: programs that run on a host of the lab, with the network as the host sees it.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::host::{Host, HostError};
use super::sockets;

/// How often a starting or ending program is looked at. It costs some ten microseconds each time.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Where distributions keep servers, and where ordinary users' PATH often does not lead.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Characters of a program's own words that an error shows.
const SHOWN: usize = 200;

/// What a program's words on its failure hold, whatever comes after them: a stack, an epilogue.
const MARKS: [&str; 4] = ["error", "emerg", "fatal", "panic"];

/// Why a program does not serve.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// A scenario's command is empty.
    #[error(
        "the command of {name} is empty; give the program and its arguments, as in [\"nginx\", \"-g\", \"daemon off;\"]"
    )]
    NoCommand {
        /// What the scenario calls it.
        name: String,
    },
    /// No such program.
    #[error(
        "{name} cannot be started: there is no program {program} in PATH or {folders}; {}",
        remedy(needs.as_deref()),
        folders = SYSTEM_FOLDERS.join(", ")
    )]
    NotFound {
        /// What the scenario calls it.
        name: String,
        /// The program.
        program: String,
        /// How it is installed.
        needs: Option<String>,
    },
    /// The system did not start it.
    #[error("{name} cannot be started: {}", program.display())]
    Start {
        /// What the scenario calls it.
        name: String,
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its output file or working directory.
    #[error("{name} cannot be started: cannot use {}", path.display())]
    Path {
        /// What the scenario calls it.
        name: String,
        /// File or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something listens on its port before it was started.
    #[error("{name} cannot be started: port {port} is already in use on host {host}; give it another port")]
    PortInUse {
        /// What the scenario calls it.
        name: String,
        /// The port.
        port: u16,
        /// Name of the host.
        host: String,
    },
    /// It ended instead of listening.
    #[error(
        "{name} ended ({status}) before it listened on port {port}: {words}; {}; its whole output is in {}",
        needed(needs.as_deref()), output.display()
    )]
    EndedEarly {
        /// What the scenario calls it.
        name: String,
        /// The port.
        port: u16,
        /// Its exit status.
        status: ExitStatus,
        /// What has to be installed for it.
        needs: Option<String>,
        /// Where its output is.
        output: PathBuf,
        /// What it said of it.
        words: String,
    },
    /// It runs but does not listen.
    #[error(
        "{name} runs but did not listen on port {port} within {waited:?}: {words}; \
         check the port in its configuration, or raise ready_timeout; its whole output is in {}",
        output.display()
    )]
    NotListening {
        /// What the scenario calls it.
        name: String,
        /// The port.
        port: u16,
        /// How long it was waited for.
        waited: Duration,
        /// Where its output is.
        output: PathBuf,
        /// What it said.
        words: String,
    },
    /// The host's table of sockets cannot be read.
    #[error("cannot tell which ports are open on host {host}")]
    Sockets {
        /// Name of the host.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// The host does not answer.
    #[error("{name} cannot be started")]
    Host {
        /// What the scenario calls it.
        name: String,
        /// What happened to the host.
        source: HostError,
    },
}

/// How to start a program.
#[derive(Debug, Clone)]
pub struct ServerCommand {
    /// What messages call it.
    pub name: String,
    /// Program and arguments. A program without a slash is looked for in PATH and in the folders for system programs.
    pub argv: Vec<String>,
    /// Environment variables set in addition to finrace's own.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub directory: PathBuf,
    /// File for its standard output and standard error.
    pub output: PathBuf,
    /// The TCP port on which it will listen.
    pub port: u16,
    /// How long that may take.
    pub ready_timeout: Duration,
    /// How to install it and what it needs, for the error message.
    pub needs: Option<String>,
}

/// A running program. Dropping it kills it and whatever it started in its process group.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
}

impl Server {
    /// Starts a program on a host and returns when its port is open. The port is looked up in the kernel's table of
    /// sockets (`/proc/thread-self/net/tcp`), so no stray connection is made.
    ///
    /// Needs a tokio runtime with time enabled; not the host's own.
    ///
    /// # Errors
    /// See [`ProcessError`].
    pub async fn start(host: &Host, command: ServerCommand) -> Result<Server, ProcessError> {
        let name = command.name.clone();
        let port = command.port;
        if is_listening(host, &name, port).await? {
            return Err(ProcessError::PortInUse { name, port, host: host.name().to_owned() });
        }
        let (mut process, program) = prepare(&command)?;
        let child = on_host(host, &name, move || process.spawn())
            .await?
            .map_err(|source| ProcessError::Start { name: name.clone(), program, source })?;
        let mut server = Server { name, child };

        let deadline = Instant::now() + command.ready_timeout;
        while !is_listening(host, &server.name, port).await? {
            if let Some(status) = server.has_ended() {
                let (name, needs, output) = (server.name.clone(), command.needs, command.output);
                let words = words(&output);
                return Err(ProcessError::EndedEarly { name, port, status, needs, output, words });
            }
            if Instant::now() >= deadline {
                let (name, output, waited) = (server.name.clone(), command.output, command.ready_timeout);
                return Err(ProcessError::NotListening { name, port, waited, words: words(&output), output });
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(server)
    }

    /// What the scenario calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, as `kill` inside the lab takes it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, once it has ended.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        // An error means that its status was lost; it has ended all the same.
        self.child.try_wait().unwrap_or(Some(ExitStatus::from_raw(0)))
    }

    /// Asks it to end (SIGTERM), and kills it with its process group if it has not after `patience`.
    pub async fn stop(mut self, patience: Duration) -> ExitStatus {
        // It cannot have been reaped by anyone else, so the number is still its own.
        let _ = kill(process_id(&self.child), Signal::SIGTERM);
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.has_ended() {
                return status;
            }
            if Instant::now() >= deadline {
                return self.kill();
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn kill(&mut self) -> ExitStatus {
        // The group outlives its leader if it has workers; it is gone when this fails.
        let _ = killpg(process_id(&self.child), Signal::SIGKILL);
        self.child.wait().unwrap_or(ExitStatus::from_raw(Signal::SIGKILL as i32))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn process_id(child: &Child) -> Pid {
    // Process numbers are at most 2^22 (proc(5), pid_max).
    Pid::from_raw(child.id() as i32)
}

/// The first line that a program prints when asked for its version, as in `["nginx", "-v"]`.
pub fn version(argv: &[String]) -> Option<String> {
    let (program, arguments) = argv.split_first()?;
    let answer = Command::new(find_program(program)?).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = [answer.stdout, answer.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    text.iter().flat_map(|text| text.lines()).map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// Finds a program by name as a shell would, and in the folders for system programs.
pub fn find_program(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| {
            nix::unistd::access(candidate, nix::unistd::AccessFlags::X_OK).is_ok() && candidate.is_file()
        })
}

/// The command ready to be spawned on the host's thread, and the path of its program.
fn prepare(command: &ServerCommand) -> Result<(Command, PathBuf), ProcessError> {
    let name = || command.name.clone();
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err(ProcessError::NoCommand { name: name() });
    };
    let Some(path) = find_program(program) else {
        return Err(ProcessError::NotFound {
            name: name(),
            program: program.clone(),
            needs: command.needs.clone(),
        });
    };
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source| ProcessError::Path { name: name(), path, source }
    };
    fs::read_dir(&command.directory).map_err(unusable(&command.directory))?;
    let output = File::create(&command.output).map_err(unusable(&command.output))?;
    let errors = output.try_clone().map_err(unusable(&command.output))?;

    let mut process = Command::new(&path);
    process
        .args(arguments)
        .envs(command.env.iter().map(|(key, value)| (key, value)))
        .current_dir(&command.directory)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        // Ctrl-C goes to finrace alone, which then ends its servers in order.
        .process_group(0);
    Ok((process, path))
}

async fn on_host<R: Send + 'static>(
    host: &Host,
    name: &str,
    job: impl FnOnce() -> R + Send + 'static,
) -> Result<R, ProcessError> {
    host.spawn(move || async move { job() }).await.map_err(|_| ProcessError::Host {
        name: name.to_owned(),
        source: HostError::Gone { host: host.name().to_owned() },
    })
}

async fn is_listening(host: &Host, name: &str, port: u16) -> Result<bool, ProcessError> {
    on_host(host, name, move || sockets::listening(port))
        .await?
        .map_err(|source| ProcessError::Sockets { host: host.name().to_owned(), source })
}

/// What to do about a program that is not there.
fn remedy(needs: Option<&str>) -> String {
    needs.map_or("install it, or give its path in the scenario".to_owned(), |needs| {
        format!("install it ({needs})")
    })
}

/// What to look at when a program does not start.
fn needed(needs: Option<&str>) -> String {
    needs.map_or("look at its command in the scenario".to_owned(), |needs| format!("it needs {needs}"))
}

/// The line of a program's output that tells most: the first about an error, or else the last; or that there is none.
fn words(output: &Path) -> String {
    let text = fs::read(output).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let about_an_error = |line: &&str| {
        let line = line.to_lowercase();
        MARKS.iter().any(|mark| line.contains(mark))
    };
    match lines().find(about_an_error).or_else(|| lines().next_back()) {
        Some(line) => {
            let line: String = line.chars().filter(|character| !character.is_control()).take(SHOWN).collect();
            format!("`{line}`")
        }
        None => "it printed nothing".to_owned(),
    }
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
