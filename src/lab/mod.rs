//! The lab: hosts, the wire between them, and the programs that race on it.

pub mod scenario;
