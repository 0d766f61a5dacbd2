//! Buffers that a connection needs only while something of it is under way: an idle one holds none.

use super::exchange::Answer;
use super::outstanding::Outstanding;
use super::{Connection, Framing, Protocol};

/// Buffers of each kind kept for the next connection that needs one.
const KEPT: usize = 256;

/// Empty buffers that keep their memory, so that a request costs no allocation.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "a box is lent as it is; without it each lending would allocate")]
pub(super) struct Spares {
    exchanges: Vec<Box<Outstanding>>,
    answers: Vec<Box<Answer>>,
    framings: Vec<Box<Framing>>,
}

impl Connection {
    /// Lends the connection what it may need for a segment with payload.
    pub(super) fn borrow(&mut self, spares: &mut Spares) {
        self.exchanges.borrow(|| spares.exchanges.pop());
        self.exchanges.borrow_answer(|| spares.answers.pop());
        if self.framing.is_none() && self.protocol == Protocol::Http {
            self.framing = spares.framings.pop().or_else(|| Some(Box::new(Framing::new())));
        }
    }

    /// Takes back what the connection does not use between segments.
    pub(super) fn give_back(&mut self, spares: &mut Spares) {
        if let Some(mut unused) = self.exchanges.give_back() {
            unused.take_answer().into_iter().for_each(|answer| keep(&mut spares.answers, answer));
            keep(&mut spares.exchanges, unused);
        }
        self.exchanges.give_back_answer().into_iter().for_each(|answer| keep(&mut spares.answers, answer));
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
