//! Ending a reading from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that ends the reading of every [`super::Reader`] that was opened with it, even of a pipe that is silent.
///
/// Clones are the same flag: one for the reader, one for whoever hears of Ctrl-C.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Ends the readings. Each gives no further record and says in [`super::ReaderSummary::truncated`] how far it came.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the readings are to end.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
