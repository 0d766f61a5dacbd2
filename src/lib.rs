//! finrace reproduces, proves and explains the TCP keep-alive race behind sporadic `502 Bad Gateway`.
//!
//! Modules are floors and imports go downwards only; `docs/architecture.md` is the map.

pub mod analysis;
pub mod capture;
pub mod connection;
pub mod diagnosis;
pub mod packet;
pub mod report;
