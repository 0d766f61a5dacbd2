//! The lab: hosts, the wire between them, and the programs that race on it.

pub mod backend;
pub mod events;
pub mod http;
mod listen;
pub mod proxy;
pub mod scenario;
pub mod traffic;

pub use listen::BindError;
use listen::listen;
