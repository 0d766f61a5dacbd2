//! One experiment, as one TOML file: who takes part, what the wire does, when the request is sent, what is expected.
//!
//! A scenario is also a test: it holds when the run shows what its `[expect]` table says.

mod builtin;
mod duration;
pub mod library;
mod parse;
mod program;
mod tables;
mod validate;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

pub use crate::duration::{format_duration, parse_duration};
pub use program::{Expanded, Places, Program};
pub use tables::{
    Backend, Close, Expect, Family, Hold, Imitated, Loss, Packet, Party, Proxy, Retry, Reuse, SendWhen,
    ToyBackend, ToyProxy, Traffic, Wire,
};

/// Most lanes side by side: each is a listener, a pool and a few descriptors on both hosts.
const LANES_AT_MOST: usize = 512;

/// How long to wait for a trigger beyond the idle timer that should cause it, before half the timer is added for
/// coarse timers: Node closes 1 s late (measured), Waitress looks every 30 s.
const TRIGGER_MARGIN: Duration = Duration::from_secs(5);

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("cannot read the scenario {}; give a TOML file, or a name that `finrace scenarios` lists", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a real program could not be written.
    #[error("cannot write {}; choose another run directory with --out", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No built-in scenario has this name.
    #[error("no scenario is called `{name}`; there are {}; or give the path of a TOML file", known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// No proxy or server has this name.
    #[error("no {party} is called `{name}`; there are {}; or spell out its command in a scenario", known.join(", "))]
    UnknownProgram {
        /// `proxy` or `backend`.
        party: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// The text is not a scenario: TOML syntax, an unknown key, a wrong value.
    #[error("{origin}:{line}: {problem}")]
    Text {
        /// File, or the name of a built-in scenario.
        origin: String,
        /// 1-based line.
        line: usize,
        /// What is wrong there and what is allowed.
        problem: String,
    },
    /// Every value is allowed, but not together.
    #[error("{origin}: {}", problems.join(" "))]
    Impossible {
        /// File, or the name of a scenario.
        origin: String,
        /// One sentence each.
        problems: Vec<String>,
    },
}

/// One experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scenario {
    /// Short name in lower case.
    pub name: String,
    /// One sentence for a list.
    pub summary: String,
    /// A paragraph for someone who has not met this before.
    pub explain: String,
    /// Keeps connections to the backend and reuses them.
    pub proxy: Proxy,
    /// Answers requests and closes idle connections.
    pub backend: Backend,
    /// The link between them.
    pub wire: Wire,
    /// What is asked, and when.
    pub traffic: Traffic,
    /// What the run must show.
    pub expect: Expect,
}

/// What the command line changes in a scenario.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// The proxy's idle timeout.
    pub proxy_idle: Option<Duration>,
    /// The backend's idle timeout.
    pub backend_idle: Option<Duration>,
    /// The wire's one-way delay.
    pub delay: Option<Duration>,
    /// Number of attempts.
    pub attempts: Option<u32>,
    /// IP version.
    pub family: Option<Family>,
    /// HTTP method. With one that carries no body, the body goes.
    pub method: Option<String>,
    /// One client sends both requests of an attempt.
    pub same_client: bool,
}

impl Scenario {
    /// Attempts that run at one time. A real proxy has one pool and one port, so it gets one lane.
    pub fn lanes(&self) -> usize {
        match self.proxy {
            Proxy::Toy(_) => {
                self.traffic.side_by_side.min(self.traffic.attempts.try_into().unwrap_or(usize::MAX))
            }
            Proxy::Program(_) => 1,
        }
    }

    /// Ports of the backend: a toy has one for each lane, a real program one for all of them.
    pub fn backend_ports(&self) -> usize {
        match self.backend {
            Backend::Toy(_) => self.lanes(),
            Backend::Program(_) => 1,
        }
    }

    /// Longest sensible wait for the moment of [`Traffic::send_when`]: whichever timer is the shorter one must have
    /// fired by then. Where no timer is known, two minutes.
    pub fn trigger_at_most(&self) -> Duration {
        let shorter = self.proxy.idle_timeout().into_iter().chain(self.backend.idle_timeout()).min();
        shorter.map_or(Duration::from_secs(120), |idle| idle + idle / 2 + TRIGGER_MARGIN)
    }

    /// Whether the proxy gives a connection up before the backend does, as far as the timers are known.
    pub fn proxy_closes_first(&self) -> Option<bool> {
        Some(self.proxy.idle_timeout()? < self.backend.idle_timeout()?)
    }

    /// The scenario with the command line's changes.
    ///
    /// A scenario waits for a close of the backend. Where the changes let the proxy close first, no request can die,
    /// and that is what is then expected.
    ///
    /// # Errors
    /// [`ScenarioError::Impossible`] when the changes do not fit.
    pub fn with_overrides(mut self, overrides: &Overrides) -> Result<Self, ScenarioError> {
        let mut problems = Vec::new();
        if let Some(idle) = overrides.proxy_idle {
            match &mut self.proxy {
                Proxy::Toy(toy) => toy.idle_timeout = idle,
                Proxy::Program(program) => problems.extend(program.set_idle(Party::Proxy, idle).err()),
            }
        }
        if let Some(idle) = overrides.backend_idle {
            match &mut self.backend {
                Backend::Toy(toy) => toy.idle_timeout = idle,
                Backend::Program(program) => problems.extend(program.set_idle(Party::Backend, idle).err()),
            }
        }
        self.wire.delay = overrides.delay.unwrap_or(self.wire.delay);
        self.wire.family = overrides.family.unwrap_or(self.wire.family);
        self.traffic.attempts = overrides.attempts.unwrap_or(self.traffic.attempts);
        if let Some(method) = &overrides.method {
            if matches!(method.as_str(), "GET" | "HEAD") {
                self.traffic.body_bytes = 0;
            }
            self.traffic.method.clone_from(method);
        }
        self.traffic.same_client |= overrides.same_client;
        let timers_changed = overrides.proxy_idle.is_some() || overrides.backend_idle.is_some();
        if timers_changed && self.proxy_closes_first() == Some(true) {
            self.expect = Expect::nothing_lost();
        }
        if !problems.is_empty() {
            return Err(ScenarioError::Impossible { origin: self.name, problems });
        }
        self.validate()?;
        Ok(self)
    }
}
