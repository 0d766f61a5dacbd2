//! Closed connections, from the moment they close until they leave the table.

use std::collections::VecDeque;

use super::slots::{Flow, Slots};

/// How long a connection is closed before [`Table::settle`](super::Table::settle) reports it, in trace time: longer than a
/// retry may take to show.
pub const SETTLE_NS: i64 = 3_000_000_000;
/// How long a closed connection is silent before it leaves the table, in trace time: longer than TIME-WAIT (Linux: 60 s) and
/// than late retransmissions usually take.
const RETIRE_NS: i64 = 120_000_000_000;
/// The same where only the server's RST closed it: the RST may have been lost, and then the client uses the connection again
/// after any idle time.
const RETIRE_RESET_NS: i64 = 3_600_000_000_000;
/// Entries that may be stale before they are cleared out, beside one for each connection.
const SPARE: usize = 1024;

#[derive(Debug)]
struct Closed {
    slot: u32,
    serial: u32,
    since_ns: i64,
    /// When it is looked at again.
    check_ns: i64,
    settled: bool,
}

/// The closed connections, in the order in which they closed, or were last looked at.
#[derive(Debug, Default)]
pub(super) struct Closing {
    queue: VecDeque<Closed>,
    /// How many of them, from the front, need not be looked at to settle.
    settled: usize,
}

impl Closing {
    /// A connection was first seen closed.
    pub fn add(&mut self, slots: &Slots, slot: u32, serial: u32, now_ns: i64) {
        if self.queue.len() > 2 * slots.len() + SPARE {
            self.clear_out(slots);
        }
        let check_ns = now_ns.saturating_add(RETIRE_NS);
        self.queue.push_back(Closed { slot, serial, since_ns: now_ns, check_ns, settled: false });
    }

    /// Entries, stale ones included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// The next connection that settled, if one did.
    pub fn settle<'s>(&mut self, slots: &'s Slots, now_ns: i64) -> Option<&'s Flow> {
        while let Some(closed) = self.queue.get_mut(self.settled) {
            if !closed.settled && now_ns.saturating_sub(closed.since_ns) < SETTLE_NS {
                return None;
            }
            self.settled += 1;
            if !std::mem::replace(&mut closed.settled, true)
                && let Some(flow) = slots.same(closed.slot, closed.serial)
            {
                return Some(flow);
            }
        }
        None
    }

    /// Whether [`Closing::retire`] has something to look at.
    #[inline]
    pub fn is_due(&self, now_ns: i64) -> bool {
        self.queue.front().is_some_and(|closed| closed.check_ns <= now_ns)
    }

    /// The next connection that has been closed and silent for long enough to go, if there is one.
    pub fn retire(&mut self, slots: &Slots, now_ns: i64) -> Option<u32> {
        while self.is_due(now_ns) {
            let mut closed = self.pop()?;
            let Some(flow) = slots.same(closed.slot, closed.serial) else { continue };
            let silent_ns = now_ns.saturating_sub(flow.last_ns());
            if silent_ns >= if flow.client_is_gone() { RETIRE_NS } else { RETIRE_RESET_NS } {
                return Some(closed.slot);
            }
            closed.check_ns = now_ns.saturating_add(RETIRE_NS);
            self.queue.push_back(closed);
        }
        None
    }

    /// The connection that closed first, if there is one.
    pub fn oldest(&mut self, slots: &Slots) -> Option<u32> {
        while let Some(closed) = self.pop() {
            if slots.same(closed.slot, closed.serial).is_some() {
                return Some(closed.slot);
            }
        }
        None
    }

    fn pop(&mut self) -> Option<Closed> {
        self.settled = self.settled.saturating_sub(1);
        self.queue.pop_front()
    }

    /// Connections whose ports were used again leave entries behind.
    fn clear_out(&mut self, slots: &Slots) {
        let is_there = |closed: &Closed| slots.same(closed.slot, closed.serial).is_some();
        self.settled = self.queue.iter().take(self.settled).filter(|closed| is_there(closed)).count();
        self.queue.retain(is_there);
    }
}
