//! The model of the race: how likely it is that a request is lost, from timers, delays and traffic. Pure: no clock, no
//! captures, no lab.
//!
//! [`window`] is one connection; [`closed_form`] and [`simulate`] are a pool of them under traffic: the one by
//! formulas, the other by chance in virtual time. What they assume, and where they fail, is in `docs/model.md`.

mod arrivals;
mod changes;
mod closed;
mod distribution;
mod history;
mod idle;
mod laplace;
mod levels;
pub mod map;
mod pool;
mod setting;
mod simulation;
pub mod statistics;
pub mod window;

pub use arrivals::arrival_times;
pub use changes::{Agreement, Assessed, Change, ChangeKind, assess, assess_all, changes};
pub use closed::{Closed, WhyNone, closed_form};
pub use distribution::mean_and_deviation;
pub use history::{History, Samples};
pub use idle::Fate;
pub use setting::{Arrivals, Policy, Responses, Setting, SettingError, Size, Spread};
pub use simulation::{Plan, Replayed, Simulated, replay, simulate};

/// Seconds of a day: what is expected is told per day.
pub const DAY: f64 = 86_400.0;

#[cfg(test)]
mod tests;
