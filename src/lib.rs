//! finrace reproduces, proves and explains the TCP keep-alive race behind sporadic `502 Bad Gateway`.
//!
//! Modules are floors and imports go downwards only; `docs/architecture.md` is the map.

pub mod analysis;
pub mod calendar;
pub mod capture;
pub mod cli;
pub mod connection;
pub mod destination;
pub mod diagnosis;
#[cfg(feature = "live")]
pub mod doctor;
pub mod duration;
#[cfg(feature = "live")]
pub mod lab;
pub mod messages;
pub mod odds;
pub mod packet;
#[cfg(feature = "live")]
pub mod probe;
pub mod products;
pub mod render;
pub mod report;
