//! `finrace explain` on what real programs wrote when a request of theirs died in the lab, and on hostile text.

#[path = "../common"]
mod common {
    pub mod finrace;
}
mod command;
#[cfg(all(feature = "live", target_os = "linux"))]
mod real;
