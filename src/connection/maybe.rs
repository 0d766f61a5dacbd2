//! A time that may be unknown, in the memory of one that is known.

/// Nanoseconds, or nothing: of `Option<i64>`, which is twice as large, a connection would have many.
///
/// The least number stands for nothing: as a time it lies in the year 1677, and no two times are so far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MaybeNs(i64);

impl MaybeNs {
    /// The time, if it is known.
    #[inline]
    pub fn get(self) -> Option<i64> {
        (self.0 != i64::MIN).then_some(self.0)
    }
}

impl Default for MaybeNs {
    fn default() -> MaybeNs {
        MaybeNs(i64::MIN)
    }
}

impl From<i64> for MaybeNs {
    fn from(ns: i64) -> MaybeNs {
        MaybeNs(ns)
    }
}

/// The shortest time that was seen, ns, in 32 bits: of a second and more, nobody asks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shortest(u32);

impl Shortest {
    /// The shortest of those up to 4.2 s.
    #[inline]
    pub fn get(self) -> Option<i64> {
        // Stored as what is left to the largest number, so that nothing seen is 0.
        (self.0 > 0).then(|| i64::from(u32::MAX - self.0))
    }

    /// Takes a time into account, unless it is negative.
    #[inline]
    pub fn add(&mut self, ns: i64) {
        if let Ok(ns) = u32::try_from(ns) {
            self.0 = self.0.max(u32::MAX - ns);
        }
    }
}

/// The longest time that was seen, in 32 bits: to the millisecond, up to 49 days.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Longest(u32);

impl Longest {
    /// The longest, ns; none where none was a millisecond.
    #[inline]
    pub fn get(self) -> Option<i64> {
        (self.0 > 0).then(|| i64::from(self.0) * 1_000_000)
    }

    /// Takes a time into account.
    #[inline]
    pub fn add(&mut self, ns: i64) {
        self.0 = self.0.max(u32::try_from(ns / 1_000_000).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_and_the_longest_are_kept() {
        let (mut shortest, mut longest) = (Shortest::default(), Longest::default());
        assert!(shortest.get().is_none() && longest.get().is_none());
        for ns in [10_000_000_000, 4_000_000, -1, 0x7fff_ffff] {
            shortest.add(ns);
            longest.add(ns);
        }
        assert_eq!((shortest.get(), longest.get()), (Some(4_000_000), Some(10_000_000_000)));
        shortest.add(0);
        longest.add(i64::MAX);
        assert_eq!((shortest.get(), longest.get()), (Some(0), Some(10_000_000_000)));
    }
}
