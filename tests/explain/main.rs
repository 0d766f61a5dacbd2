//! `finrace explain` on what real programs wrote when a request of theirs died in the lab, and on hostile text.

#[path = "../common"]
mod common {
    #[cfg_attr(
        not(all(feature = "live", target_os = "linux")),
        expect(dead_code, reason = "shared with tests that ask more")
    )]
    pub mod finrace;
}
mod command;
#[cfg(all(feature = "live", target_os = "linux"))]
mod real;
