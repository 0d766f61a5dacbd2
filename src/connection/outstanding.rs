//! The requests of a connection that are under way: none or one nearly always, so that an idle connection pays a pointer.

use super::Exchange;
use super::exchange::Answer;

/// Requests in the order in which they were sent.
///
/// Behind those in use may stand one whose memory waits for the next request.
#[derive(Debug, Default)]
pub struct Exchanges {
    head: Link,
}

type Link = Option<Box<Outstanding>>;

/// A request, and the one that was sent next.
#[derive(Debug)]
pub(super) struct Outstanding {
    exchange: Exchange,
    next: Link,
}

impl Outstanding {
    /// The room for an answer that it has.
    pub(super) fn take_answer(&mut self) -> Option<Box<Answer>> {
        self.exchange.forget_answer();
        self.exchange.give_back()
    }
}

impl Exchanges {
    /// All of them, the oldest first.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &Exchange> {
        let all = std::iter::successors(self.head.as_deref(), |one| one.next.as_deref());
        all.take_while(|one| one.exchange.in_use).map(|one| &one.exchange)
    }

    /// All of them, the oldest first.
    #[inline]
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Exchange> {
        let mut rest = self.head.as_deref_mut();
        std::iter::from_fn(move || {
            let one = rest.take().filter(|one| one.exchange.in_use)?;
            rest = one.next.as_deref_mut();
            Some(&mut one.exchange)
        })
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// No request is under way.
    pub fn is_empty(&self) -> bool {
        self.front().is_none()
    }

    /// One of them, counted from the oldest, which is 0.
    pub fn get(&self, index: usize) -> Option<&Exchange> {
        self.iter().nth(index)
    }

    /// The oldest.
    pub fn front(&self) -> Option<&Exchange> {
        self.iter().next()
    }

    /// The oldest.
    pub fn front_mut(&mut self) -> Option<&mut Exchange> {
        self.iter_mut().next()
    }

    /// The newest.
    pub fn back(&self) -> Option<&Exchange> {
        self.iter().last()
    }

    /// The newest.
    pub fn back_mut(&mut self) -> Option<&mut Exchange> {
        self.iter_mut().last()
    }

    /// Adds the newest, made with an empty buffer for its path.
    pub(super) fn begin(&mut self, make: impl FnOnce(Vec<u8>) -> Exchange) {
        let Some(end) = self.end() else { return };
        match end {
            Some(spare) => spare.exchange.renew(make),
            None => *end = Some(Box::new(Outstanding { exchange: make(Vec::new()), next: None })),
        }
    }

    /// Removes the oldest.
    pub(super) fn pop_front(&mut self) {
        self.remove(0);
    }

    /// Removes one, counted from the oldest.
    pub(super) fn remove(&mut self, index: usize) {
        let Some(link) = nth(&mut self.head, index) else { return };
        let Some(mut done) = link.take_if(|one| one.exchange.in_use) else { return };
        *link = done.next.take();
        done.exchange.in_use = false;
        if let Some(end) = self.end() {
            end.get_or_insert(done);
        }
    }

    /// Makes room for a request that may begin, with what `lend` has.
    #[inline]
    pub(super) fn borrow(&mut self, lend: impl FnOnce() -> Option<Box<Outstanding>>) {
        if self.head.is_none() {
            self.head = lend();
        }
    }

    /// The room that is not used.
    #[inline]
    pub(super) fn give_back(&mut self) -> Option<Box<Outstanding>> {
        self.end()?.take()
    }

    /// Makes room for the answer of the oldest, with what `lend` has.
    #[inline]
    pub(super) fn borrow_answer(&mut self, lend: impl FnOnce() -> Option<Box<Answer>>) {
        if let Some(front) = self.front_mut() {
            front.lend(lend);
        }
    }

    /// The room for the answer of the oldest, where none has begun.
    #[inline]
    pub(super) fn give_back_answer(&mut self) -> Option<Box<Answer>> {
        self.front_mut()?.give_back()
    }

    /// Behind the last one in use.
    #[inline]
    fn end(&mut self) -> Option<&mut Link> {
        let used = self.len();
        nth(&mut self.head, used)
    }
}

/// What points to one of them, or, behind the last, to none.
fn nth(mut link: &mut Link, index: usize) -> Option<&mut Link> {
    for _ in 0..index {
        link = &mut link.as_mut()?.next;
    }
    Some(link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::exchange::Idle;
    use crate::connection::{Mark, Seq};
    use crate::packet::{Flags, Segment};

    fn begin(exchanges: &mut Exchanges, start: u32) {
        let segment = Segment {
            src: crate::packet::Endpoint::v4(1, 1),
            dst: crate::packet::Endpoint::v4(2, 2),
            tunnel: 0,
            seq: start,
            ack: 0,
            flags: Flags(Flags::ACK),
            window: 0,
            payload_len: 1,
            payload: b"x",
            ttl: 64,
            ip_id: None,
            timestamps: None,
        };
        exchanges.begin(|path| {
            assert!(path.is_empty());
            Exchange::new(Mark::of(&segment, 1, 0), Seq(start), Idle::Unknown, 0, 0, path)
        });
    }

    fn starts(exchanges: &Exchanges) -> Vec<u32> {
        exchanges.iter().map(|exchange| exchange.start.0).collect()
    }

    #[test]
    fn requests_stay_in_order_whichever_is_removed() {
        let mut exchanges = Exchanges::default();
        assert!(exchanges.is_empty() && exchanges.back().is_none());
        (0..5).for_each(|start| begin(&mut exchanges, start));
        exchanges.remove(2);
        exchanges.pop_front();
        begin(&mut exchanges, 5);
        exchanges.remove(9);
        assert_eq!(starts(&exchanges), [1, 3, 4, 5]);
        assert_eq!((exchanges.len(), exchanges.get(1).map(|one| one.start.0)), (4, Some(3)));
        assert_eq!(exchanges.back_mut().map(|one| one.start.0), Some(5));
        (0..4).for_each(|_| exchanges.pop_front());
        assert!(exchanges.is_empty() && exchanges.front_mut().is_none());
    }

    #[test]
    fn memory_of_a_request_that_is_over_serves_the_next_one_of_any_connection() {
        let (mut one, mut other) = (Exchanges::default(), Exchanges::default());
        begin(&mut one, 1);
        one.back_mut().unwrap().path.extend_from_slice(b"/a/path");
        assert!(one.give_back().is_none(), "it is in use");
        one.pop_front();
        let lent = one.give_back();
        assert!(lent.is_some() && one.head.is_none());
        other.borrow(|| lent);
        assert!(other.is_empty());
        begin(&mut other, 2);
        assert!(other.front().unwrap().path.capacity() >= 7);
    }
}
