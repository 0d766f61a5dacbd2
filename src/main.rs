//! The `finrace` program: everything happens in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    finrace::cli::main()
}
