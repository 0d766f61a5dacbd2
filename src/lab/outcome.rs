//! What a run of the lab leaves behind, and why one may not come about.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::BindError;
use super::scenario::ScenarioError;
use super::traffic::Attempt;
#[cfg(target_os = "linux")]
use super::{host::HostError, process::ProcessError, recorder::RecorderError, wire::WireError};
use crate::capture::live::LiveError;

/// A run, whole or interrupted.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Every attempt that ended, by number.
    pub attempts: Vec<Attempt>,
    /// Attempts at one time, at most.
    pub side_by_side: u32,
    /// From the first preparation to the last answer.
    pub elapsed: Duration,
    /// A stop request ended it before all attempts were made.
    pub interrupted: bool,
    /// The captures: the proxy's host first.
    pub captures: Vec<CaptureFile>,
    /// The captures hold every packet that crossed the wire.
    pub complete: bool,
    /// What they lack, and what else went wrong with the wire, in sentences.
    pub missing: Vec<String>,
    /// What proxy and backend say of their version, where they are real programs.
    pub versions: (Option<String>, Option<String>),
    /// What real programs wrote about it.
    pub product_lines: Vec<ProductLines>,
}

/// One capture of a run.
#[derive(Debug, Clone)]
pub struct CaptureFile {
    /// Where it is.
    pub path: PathBuf,
    /// Packets in it.
    pub packets: u64,
    /// Packets the kernel dropped for want of room.
    pub dropped: u64,
}

/// A real program's own words.
#[derive(Debug, Clone)]
pub struct ProductLines {
    /// The program.
    pub name: String,
    /// Its log.
    pub file: PathBuf,
    /// The newest lines about errors, printable.
    pub lines: Vec<String>,
}

/// Why a run did not come about.
#[derive(Debug, Error)]
pub enum LabError {
    /// A host could not be made.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Host(#[from] HostError),
    /// The wire could not be started.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A capture failed.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    /// A real program did not start.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A capture on the loopback device failed.
    #[error(transparent)]
    Capture(#[from] LiveError),
    /// A toy could not listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The scenario does not fit.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Real programs do not run on the loopback device.
    #[error(
        "this scenario runs real programs, which need the wire; `finrace doctor` says what it lacks here"
    )]
    NeedsWire,
    /// There is no loopback device to capture on.
    #[error("there is no loopback device that is up; bring it up (ip link set lo up)")]
    NoLoopback,
    /// A file of the run could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A sweep's driver lacks something of the system.
    #[error("cannot drive the sweep; fewer connections at one time (--connections) need less")]
    Sweep {
        /// What the system said.
        source: io::Error,
    },
    /// A part of the lab ended before its time.
    #[error("{part} ended before its time; the cause was printed above")]
    Gone {
        /// Which.
        part: String,
    },
}
