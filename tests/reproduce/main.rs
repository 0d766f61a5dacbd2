//! `finrace reproduce` as people run it: real kernels, real servers, real signals, and tshark as the sceptic.
#![cfg(all(feature = "live", target_os = "linux"))]

#[path = "../common"]
mod common {
    pub mod finrace;
    pub mod ordinary_user;
    pub mod tshark;
}
mod databases;
mod endings;
mod pictures;
mod places;
mod run;
mod servers;
mod tshark;
mod verdicts;
