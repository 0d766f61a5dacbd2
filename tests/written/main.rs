//! What finrace writes for others to open: annotated captures, extracts of one connection, and reports that name nobody.

#[path = "../capture_files/build.rs"]
#[expect(dead_code, reason = "shared with tests that build more")]
mod build;
#[path = "../common"]
mod common {
    #[expect(dead_code, reason = "shared with tests that ask more")]
    pub mod finrace;
    pub mod tshark;
}
mod annotated;
mod anonymous;
mod extracted;
mod files;
mod places;
mod postmortem;
mod redacted;
