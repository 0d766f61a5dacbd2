//! `finrace odds` and `finrace soak` as people run them: numbers that repeat, and a model that real kernels agree with.
#![cfg(all(feature = "live", target_os = "linux"))]

#[path = "../common"]
mod common {
    pub mod finrace;
    pub mod ordinary_user;
}
mod numbers;
mod retries;
mod soak;
