//! Ctrl-C, and the other ways to ask a program to end.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::capture::Interrupt;

/// Exit status of a program that SIGINT ended, as shells give it.
const ENDED_BY_SIGINT: i32 = 130;

static PRESSED: AtomicBool = AtomicBool::new(false);

/// Whether the user has asked for the end: what failed after that failed because of it, and proves nothing.
pub fn was_pressed() -> bool {
    PRESSED.load(Ordering::Relaxed)
}

/// From now on the first Ctrl-C (or SIGTERM, SIGHUP) raises the interrupt that is returned, so that what was found until
/// then is reported; the second one ends the program at once.
///
/// # Errors
/// If the signals cannot be caught.
pub fn interrupts_reading() -> anyhow::Result<Interrupt> {
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    ctrlc::set_handler(move || {
        if raised.is_raised() {
            end_at_once();
        }
        PRESSED.store(true, Ordering::Relaxed);
        raised.raise();
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(interrupt)
}

#[expect(clippy::exit, reason = "whoever presses Ctrl-C twice wants no more of the program")]
fn end_at_once() -> ! {
    std::process::exit(ENDED_BY_SIGINT)
}
