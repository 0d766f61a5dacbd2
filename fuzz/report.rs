#![no_main]

#[path = "../tests/fuzz/targets.rs"]
#[expect(dead_code, reason = "each program runs one of the targets")]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::report(bytes));
