//! `finrace sweep` as people run it: between two hosts, on loopback, and against a server that counts what it gets.
#![cfg(all(feature = "live", target_os = "linux"))]

#[path = "../common"]
mod common {
    pub mod finrace;
}
mod counting;
mod lab;
mod live;
