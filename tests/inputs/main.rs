//! Captures as people have them: rotated rings, pipes that go on, odd names, clocks and capture points.

#[path = "../common"]
mod common {
    pub mod finrace;
}
mod files;
mod hints;
mod limit;
mod live;
mod names;
mod rings;
mod threads;
