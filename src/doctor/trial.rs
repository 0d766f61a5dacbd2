//! The words for a trial run of what the wire lab does to the machine, up to its first failure.

use serde::{Deserialize, Serialize};

/// What the wire lab has to do before it can run, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// Fork the process that is to be thrown away.
    Start,
    /// Enter a user namespace and map the user to itself. Only where the rights of root are lacking.
    UserNamespace,
    /// Enter a PID namespace, so that no server outlives the lab.
    PidNamespace,
    /// Enter a network namespace: a host.
    NetworkNamespace,
    /// Open `/dev/net/tun`.
    TunOpen,
    /// Create the host's network device with it and bring it up.
    TunDevice,
    /// Capture on that device with libpcap.
    Capture,
}

/// How far the trial came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// A user namespace was used or tried: the process is not root, or a root without the rights of one.
    pub in_user_namespace: bool,
    /// The first step that failed; `None` when all of them worked.
    pub failure: Option<Failure>,
}

/// The step of a [`Trial`] that failed, and how. All steps before it worked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// The kind of the failure.
    pub refusal: Refusal,
    /// The system's own words.
    pub error: String,
}

/// What the kernel's error number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// EPERM or EACCES: a right is lacking.
    Denied,
    /// ENOSPC or EUSERS: a limit is reached; see namespaces(7), `/proc/sys/user`.
    Limit,
    /// The kernel or the machine does not have it.
    Unsupported,
    /// Anything else.
    Other,
}

impl Trial {
    /// The failure, if `step` is the one that failed.
    pub fn failed_at(&self, step: Step) -> Option<&Failure> {
        self.failure.as_ref().filter(|failure| failure.step == step)
    }

    /// Whether `step` was tried and worked.
    pub fn passed(&self, step: Step) -> bool {
        self.failure.as_ref().is_none_or(|failure| failure.step > step)
    }
}
