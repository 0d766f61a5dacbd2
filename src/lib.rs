//! finrace reproduces, proves and explains the TCP keep-alive race behind sporadic `502 Bad Gateway`.
//!
//! Modules are floors and imports go downwards only; `docs/architecture.md` is the map.

pub mod cli;
pub mod doctor;
pub mod packet;
pub mod report;
