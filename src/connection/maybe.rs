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
