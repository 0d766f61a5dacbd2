//! The lab: two hosts in network namespaces of their own, a wire between them, and whatever speaks HTTP over it.
//!
//! Linux lends the parts ([`isolation`], [`host`], [`wire`]); where they cannot be had, the toys run on the loopback
//! device ([`loopback`]). Analysis never sees the lab: it is handed capture files, like anyone's.

pub mod backend;
pub mod events;
#[cfg(target_os = "linux")]
pub mod experiment;
#[cfg(target_os = "linux")]
pub mod host;
pub mod http;
#[cfg(target_os = "linux")]
pub mod isolation;
mod listen;
pub mod loopback;
mod outcome;
#[cfg(target_os = "linux")]
pub mod process;
pub mod proxy;
#[cfg(target_os = "linux")]
mod punctual;
#[cfg(target_os = "linux")]
pub mod recorder;
pub mod scenario;
#[cfg(target_os = "linux")]
pub mod soak;
#[cfg(target_os = "linux")]
mod sockets;
#[cfg(target_os = "linux")]
pub mod sweep;
pub mod traffic;
#[cfg(target_os = "linux")]
pub mod tun;
#[cfg(target_os = "linux")]
pub mod wire;

pub use listen::BindError;
use listen::listen;
pub use outcome::{CaptureFile, LabError, Outcome, ProductLines};
