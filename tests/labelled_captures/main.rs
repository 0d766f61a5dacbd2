//! The labelled captures in `captures/`: every one means what its facts say, seen from either side.

#[path = "../common"]
mod common {
    pub mod tshark;
}
mod bytes;
mod facts;
mod inconclusive;
mod labelled;
mod mutate;
mod properties;
mod story;
mod tshark;
mod verdicts;
mod wire;
