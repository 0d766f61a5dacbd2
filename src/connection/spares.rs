//! Buffers that a connection needs only while something of it is under way: an idle one holds none.

use std::collections::VecDeque;

use super::{Connection, Exchange, Framing, Protocol};

/// Buffers of each kind kept for the next connection that needs one.
const KEPT: usize = 256;

/// Empty buffers that keep their memory, so that a request costs no allocation.
#[derive(Debug, Default)]
pub(super) struct Spares {
    exchanges: Vec<VecDeque<Exchange>>,
    #[expect(clippy::vec_box, reason = "a box is lent as it is; without it each lending would allocate")]
    framings: Vec<Box<Framing>>,
    bytes: Vec<Vec<u8>>,
}

impl Connection {
    /// Lends the connection what it may need for a segment with payload.
    pub(super) fn borrow(&mut self, spares: &mut Spares) {
        if self.exchanges.capacity() == 0 {
            // Pipelining is rare: one request needs room for one.
            self.exchanges = spares.exchanges.pop().unwrap_or_else(|| VecDeque::with_capacity(1));
        }
        if self.spare_path.capacity() == 0 {
            self.spare_path = spares.bytes.pop().unwrap_or_default();
        }
        if self.framing.is_none() && self.protocol == Protocol::Http {
            self.framing = spares.framings.pop().or_else(|| Some(Box::new(Framing::new())));
        }
    }

    /// Takes back what the connection does not use between segments.
    pub(super) fn give_back(&mut self, spares: &mut Spares) {
        if self.exchanges.is_empty() && self.exchanges.capacity() > 0 {
            keep(&mut spares.exchanges, std::mem::take(&mut self.exchanges));
        }
        if self.spare_path.capacity() > 0 {
            self.spare_path.clear();
            keep(&mut spares.bytes, std::mem::take(&mut self.spare_path));
        }
        if self.framing.as_ref().is_some_and(|framing| framing.is_fresh())
            && let Some(framing) = self.framing.take()
        {
            keep(&mut spares.framings, framing);
        }
    }
}

fn keep<T>(kept: &mut Vec<T>, spare: T) {
    if kept.len() < KEPT {
        kept.push(spare);
    }
}
