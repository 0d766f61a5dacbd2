//! Idle timers without a race: what captures reveal of them, what is known of products, what a live server does, and
//! whether a pair is safe.

#[path = "../common"]
mod common {
    pub mod finrace;
}

mod check;
#[cfg(feature = "live")]
mod hostile;
mod known;
mod pairs;
#[cfg(feature = "live")]
mod probe;
#[cfg(feature = "live")]
mod tls;
mod truth;
#[cfg(feature = "live")]
mod upstream;
