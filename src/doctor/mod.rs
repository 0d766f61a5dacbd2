//! What works on this machine, and what to do about what does not.
//!
//! [`examine`] first gathers [`Facts`], by trying what the lab will do in child processes that are thrown
//! away, and then judges them. The judgement is a pure function of the facts, so that every remedy can be
//! tested on a machine that does not need it.

mod facts;
mod judge;
#[cfg(feature = "live")]
mod libpcap;
mod remedy;
#[cfg(all(feature = "live", target_os = "linux"))]
mod sandbox;
mod trial;

use serde::Serialize;

pub use facts::{Ceiling, Facts, Installer, NamespaceLimits, Surroundings, TunDevice, TunModule};
pub use judge::judge;
pub use trial::{Failure, Refusal, Step, Trial};

/// One thing that finrace needs from the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, in a few words.
    pub name: &'static str,
    /// Whether it is there.
    pub status: Status,
    /// What was seen.
    pub found: String,
    /// What the lack means for the user; empty where nothing lacks.
    pub means: String,
    /// Commands that mend it, ready to paste, the narrowest first; one of them is enough.
    pub remedies: Vec<String>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works: it was tried.
    Ok,
    /// It does not work, and a part of finrace does not work without it.
    Missing,
    /// It does not work or could not be tried, and only a convenience depends on it.
    Warn,
}

impl Status {
    /// The stable word for output.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Missing => "missing",
            Status::Warn => "warn",
        }
    }
}

/// All checks of one machine and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// Every check, each after those that it depends on.
    pub checks: Vec<Check>,
    /// The lab of two hosts and a wire works: every cause, toy and real servers.
    pub wire_lab: bool,
    /// The lab on the loopback device works: toy servers only, not every cause.
    pub loopback_lab: bool,
}

impl Examination {
    /// Whether the race can be reproduced here at all.
    pub fn can_reproduce(&self) -> bool {
        self.wire_lab || self.loopback_lab
    }
}

/// Looks at this machine.
///
/// Forks, so it has to be called before the process starts a thread; in a process that has threads, the
/// wire lab counts as not tried.
pub fn examine(surroundings: &Surroundings) -> Examination {
    judge(&Facts::gather(surroundings))
}
