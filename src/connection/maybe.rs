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

/// The longest silence that a connection survived and its shortest round trip, together in 32 bits: of both, a connection
/// keeps what a path is judged by, and nothing finer.
///
/// The silence takes the upper 23 bits, in tenths of a second (up to 9 days), rounded down. The trip takes the lower 9, as
/// the number of steps of 2 % above 100 µs, rounded down, plus 1; 0 where there was none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SurvivedAndTrip(u32);

impl SurvivedAndTrip {
    const TENTH_NS: i64 = 100_000_000;
    const TRIP_BITS: u32 = 9;
    const LONGEST: i64 = (1 << (32 - SurvivedAndTrip::TRIP_BITS)) - 1;
    const MOST_STEPS: u32 = (1 << SurvivedAndTrip::TRIP_BITS) - 1;
    const SHORTEST_TRIP_NS: f64 = 100_000.0;
    const STEP: f64 = 1.02;

    /// The longest silence, ns; none where none took a tenth of a second.
    pub fn survived_ns(self) -> Option<i64> {
        let tenths = i64::from(self.0 >> Self::TRIP_BITS);
        (tenths > 0).then_some(tenths * Self::TENTH_NS)
    }

    /// The shortest round trip, ns, up to 2 % less than it took; what is shorter than 100 µs counts as that.
    pub fn trip_ns(self) -> Option<i64> {
        let steps = self.0 & Self::MOST_STEPS;
        (steps > 0).then(|| (Self::SHORTEST_TRIP_NS * Self::STEP.powi(steps as i32 - 1)) as i64)
    }

    /// A silence was survived.
    #[inline]
    pub fn survive(&mut self, ns: i64) {
        if ns >= Self::TENTH_NS {
            let tenths = (ns / Self::TENTH_NS).min(Self::LONGEST) as u32;
            let longest = (self.0 >> Self::TRIP_BITS).max(tenths);
            self.0 = longest << Self::TRIP_BITS | self.0 & Self::MOST_STEPS;
        }
    }

    /// An answer took so long; one that came before what it answers was captured out of order.
    #[inline]
    pub fn answer(&mut self, ns: i64) {
        if ns < 0 || self.trip_ns().is_some_and(|shortest| ns >= shortest) {
            return;
        }
        let steps = (ns as f64 / Self::SHORTEST_TRIP_NS).max(1.0).ln() / Self::STEP.ln();
        let steps = (steps as u32 + 1).min(Self::MOST_STEPS);
        self.0 = self.0 >> Self::TRIP_BITS << Self::TRIP_BITS | steps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn the_longest_silence_and_the_shortest_trip_are_kept_together() {
        let mut kept = SurvivedAndTrip::default();
        assert!(kept.survived_ns().is_none() && kept.trip_ns().is_none());
        for (silence_ms, trip_ms) in [(300_040, 40), (50, 10), (12_000, 2_000_000), (0, -5)] {
            kept.survive(silence_ms * MS);
            kept.answer(trip_ms * MS);
        }
        assert_eq!(kept.survived_ns(), Some(300_000 * MS));
        let trip = kept.trip_ns().expect("one");
        assert!(trip <= 10 * MS && trip > 98 * MS / 10, "{trip}");
    }

    #[test]
    fn neither_overflows_into_the_other() {
        let mut kept = SurvivedAndTrip::default();
        kept.survive(i64::MAX);
        kept.answer(i64::MAX);
        assert_eq!(kept.survived_ns(), Some(838_860_700_000_000));
        assert!(kept.trip_ns().is_some_and(|trip| trip > 2_000 * MS));
        kept.answer(0);
        assert_eq!((kept.survived_ns(), kept.trip_ns()), (Some(838_860_700_000_000), Some(MS / 10)));
    }
}
