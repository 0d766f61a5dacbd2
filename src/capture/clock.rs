//! From the ticks of a pcapng interface to nanoseconds since 1970.

use std::ops::RangeInclusive;

const NS_PER_S: i128 = 1_000_000_000;

/// The times that a capture can have, years 1823 to 2116: whatever a file claims, the time between two records fits into
/// 64 bits. Classic captures end in 2106.
const TIMES_NS: RangeInclusive<i128> = -(1 << 62)..=(1 << 62) - 1;

/// How one interface counts time: the options `if_tsresol` and `if_tsoffset` (pcapng section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    tick: Tick,
    offset_s: i64,
}

/// Length of one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tick {
    /// This many nanoseconds.
    Nanoseconds(u64),
    /// This many ticks make a nanosecond.
    PerNanosecond(u128),
    /// 2^-n of a second.
    PowerOfTwo(u8),
}

impl Default for Clock {
    /// Microseconds since 1970: what holds where an interface has neither option.
    fn default() -> Self {
        Self { tick: Tick::Nanoseconds(1_000), offset_s: 0 }
    }
}

impl Clock {
    /// Takes the value of `if_tsresol`: the lower seven bits are a negative exponent, of 2 with bit 7 set, else of 10.
    pub(super) fn set_resolution(&mut self, if_tsresol: u8) {
        let exponent = if_tsresol & 0x7f;
        self.tick = match exponent {
            _ if if_tsresol & 0x80 != 0 => Tick::PowerOfTwo(exponent),
            0..=9 => Tick::Nanoseconds(10u64.pow(u32::from(9 - exponent))),
            // Past 10^38 a tick is so short that all 2^64 of them are no nanosecond.
            _ => Tick::PerNanosecond(10u128.checked_pow(u32::from(exponent - 9)).unwrap_or(u128::MAX)),
        };
    }

    /// Takes the value of `if_tsoffset`: seconds to add to every time.
    pub(super) fn set_offset(&mut self, if_tsoffset: i64) {
        self.offset_s = if_tsoffset;
    }

    /// Nanoseconds since 1970, held at the ends of [`TIMES_NS`] if the file claims a time beyond them.
    pub(super) fn ns(&self, ticks: u64) -> i64 {
        let ticks = u128::from(ticks);
        // Each arm stays below 2^94, so the sums below cannot overflow.
        let since_offset = match self.tick {
            Tick::Nanoseconds(ns) => ticks * u128::from(ns),
            Tick::PerNanosecond(count) => ticks / count,
            Tick::PowerOfTwo(exponent) => (ticks * NS_PER_S as u128) >> exponent,
        };
        let ns = since_offset as i128 + i128::from(self.offset_s) * NS_PER_S;
        ns.clamp(*TIMES_NS.start(), *TIMES_NS.end()) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(if_tsresol: u8) -> Clock {
        let mut clock = Clock::default();
        clock.set_resolution(if_tsresol);
        clock
    }

    #[test]
    fn without_options_a_tick_is_a_microsecond() {
        assert_eq!(Clock::default().ns(1_700_000_000_000_001), 1_700_000_000_000_001_000);
    }

    #[test]
    fn decimal_resolutions_from_seconds_to_femtoseconds() {
        assert_eq!(clock(0).ns(1_700_000_000), 1_700_000_000_000_000_000);
        assert_eq!(clock(3).ns(1_700_000_000_123), 1_700_000_000_123_000_000);
        assert_eq!(clock(9).ns(1_700_000_000_123_456_789), 1_700_000_000_123_456_789);
        assert_eq!(clock(12).ns(5_999), 5);
        assert_eq!(clock(15).ns(7_000_001), 7);
        assert_eq!(clock(127).ns(u64::MAX), 0);
    }

    #[test]
    fn bit_seven_makes_the_resolution_a_power_of_two() {
        assert_eq!(clock(0x80 | 10).ns(1_024 + 512), 1_500_000_000);
        assert_eq!(clock(0x80 | 32).ns((1_700_000_000 << 32) + (1 << 31)), 1_700_000_000_500_000_000);
        assert_eq!(clock(0x80).ns(3), 3_000_000_000);
        assert_eq!(clock(0xff).ns(u64::MAX), 0);
    }

    #[test]
    fn the_offset_is_added_in_seconds() {
        let mut clock = clock(6);
        clock.set_offset(1_700_000_000);
        assert_eq!(clock.ns(5), 1_700_000_000_000_005_000);
        clock.set_offset(-1);
        assert_eq!(clock.ns(0), -1_000_000_000);
    }

    #[test]
    fn times_beyond_the_range_stay_at_its_ends() {
        let mut clock = clock(0);
        assert_eq!(clock.ns(u64::MAX), i64::MAX / 2);
        clock.set_offset(i64::MIN);
        assert_eq!(clock.ns(0), i64::MIN / 2);
        clock.set_offset(i64::MAX);
        assert_eq!(clock.ns(u64::MAX), i64::MAX / 2);
    }
}
