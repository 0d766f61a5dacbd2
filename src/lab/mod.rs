//! The lab: two hosts in network namespaces of their own, a wire between them, and whatever speaks HTTP over it.
//!
//! Linux lends the parts ([`isolation`], [`host`], [`wire`]); elsewhere the toys run on the loopback device.
//! Analysis never sees the lab: it is handed capture files, like anyone's.

#[cfg(target_os = "linux")]
pub mod host;
#[cfg(target_os = "linux")]
pub mod isolation;
#[cfg(target_os = "linux")]
pub mod process;
#[cfg(target_os = "linux")]
pub mod recorder;
#[cfg(target_os = "linux")]
pub mod tun;
#[cfg(target_os = "linux")]
pub mod wire;
