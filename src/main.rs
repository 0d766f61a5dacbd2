//! The `finrace` program: everything happens in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let json = std::env::args().any(|argument| argument == "json");
    match finrace::cli::doctor::run(json, std::env::var_os("FINRACE_SERVERS").unwrap_or_default().into()) {
        Ok(outcome) => {
            print!("{}", outcome.text);
            ExitCode::from(u8::from(!outcome.can_reproduce))
        }
        Err(error) => {
            eprintln!("finrace: {error:#}");
            ExitCode::from(2)
        }
    }
}
