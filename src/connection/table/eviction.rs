//! Which open connection to give up when the table is full.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slots::{Flow, Slots};

/// Entries that may be stale before they are cleared out, beside one for each connection.
const SPARE: usize = 1024;

/// What speaks for keeping a connection, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    /// A flood of half-open connections must not push out those that carry requests.
    established: bool,
    last_ns: i64,
}

impl Worth {
    fn of(flow: &Flow) -> Worth {
        Worth { established: !flow.is_half_open(), last_ns: flow.last_ns() }
    }
}

/// The open connections by their worth; made when the table is full for the first time.
///
/// The worth of a connection only grows. So an entry is brought up to date when it comes to the top, and a packet costs
/// nothing here.
#[derive(Debug, Default)]
pub(super) struct Eviction {
    heap: Option<BinaryHeap<Reverse<(Worth, u32, u32)>>>,
}

impl Eviction {
    /// A connection begins.
    pub fn add(&mut self, slots: &Slots, slot: u32) {
        let Some(heap) = &mut self.heap else { return };
        if heap.len() > 2 * slots.len() + SPARE {
            *heap = entries(slots).collect();
        } else if let Some(flow) = slots.get(slot) {
            heap.push(Reverse((Worth::of(flow), flow.serial(), slot)));
        }
    }

    /// The connection that is worth least: half-open ones before others, and among these the one silent longest.
    pub fn least(&mut self, slots: &Slots) -> Option<u32> {
        let heap = self.heap.get_or_insert_with(|| entries(slots).collect());
        while let Some(mut top) = heap.peek_mut() {
            let Reverse((worth, serial, slot)) = *top;
            match slots.same(slot, serial).map(Worth::of) {
                Some(now) if now > worth => *top = Reverse((now, serial, slot)),
                now => {
                    std::collections::binary_heap::PeekMut::pop(top);
                    if now.is_some() {
                        return Some(slot);
                    }
                }
            }
        }
        None
    }
}

fn entries(slots: &Slots) -> impl Iterator<Item = Reverse<(Worth, u32, u32)>> {
    slots.iter().map(|(slot, flow)| Reverse((Worth::of(flow), flow.serial(), slot)))
}
