//! The `finrace` program: everything happens in the library.

fn main() {}
