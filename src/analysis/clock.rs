//! Clocks that step backwards while they are captured by.

use super::notes::time_of_day;

/// Packets of several processors are written out of order by less than this.
const STEP_NS: i64 = 1_000_000_000;
/// Interfaces watched; a capture of more has other troubles.
const MAX_INTERFACES: usize = 64;

/// The times of one file, interface by interface.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last_ns: Vec<i64>,
    steps: u64,
    first: Option<Step>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    frame: u64,
    from_ns: i64,
    to_ns: i64,
}

impl Clock {
    /// Takes the time of a record into account.
    #[inline]
    pub fn record(&mut self, frame: u64, interface: u32, time_ns: i64) {
        let Some(last_ns) = self.last_ns.get_mut(interface as usize) else {
            return self.begin(interface as usize, time_ns);
        };
        let last_ns = std::mem::replace(last_ns, time_ns);
        if last_ns.saturating_sub(time_ns) > STEP_NS {
            self.steps += 1;
            self.first.get_or_insert(Step { frame, from_ns: last_ns, to_ns: time_ns });
        }
    }

    /// The first record of an interface, and room for those of lower numbers, of which there was none yet.
    fn begin(&mut self, interface: usize, time_ns: i64) {
        if interface < MAX_INTERFACES {
            self.last_ns.resize(interface + 1, i64::MIN);
            self.last_ns[interface] = time_ns;
        }
    }

    /// What the reader has to know of it.
    pub fn hint(&self) -> Option<String> {
        let Step { frame, from_ns, to_ns } = self.first?;
        let more = match self.steps {
            1 => String::new(),
            steps => format!(", and at {} more frames", steps - 1),
        };
        Some(format!(
            "the time goes back by {:.1} s at frame {frame} (from {} to {}{more}): a clock was set, or captures were joined \
             out of order. Do not trust idle times around it; sort joined captures with reordercap",
            from_ns.saturating_sub(to_ns) as f64 / 1e9,
            time_of_day(from_ns),
            time_of_day(to_ns),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_step_back_is_told_with_its_frame() {
        let mut clock = Clock::default();
        for (frame, time) in [(1, 100), (2, 101), (3, 90), (4, 91), (5, 92)] {
            clock.record(frame, 0, time * SECOND);
        }
        let hint = clock.hint().unwrap();
        assert!(
            hint.starts_with(
                "the time goes back by 11.0 s at frame 3 (from 00:01:41.000 UTC to 00:01:30.000 UTC):"
            ),
            "{hint}"
        );
    }

    #[test]
    fn slight_disorder_and_two_interfaces_with_their_own_clocks_are_no_step() {
        let mut clock = Clock::default();
        for (frame, interface, time) in
            [(1, 0, 100), (2, 1, 50), (3, 0, 99), (4, 1, 51), (5, 70, 3), (6, 70, 1)]
        {
            clock.record(frame, interface, time * SECOND);
        }
        assert_eq!(clock.hint(), None);
    }

    #[test]
    fn times_at_the_ends_of_the_range_do_not_overflow() {
        let mut clock = Clock::default();
        for (frame, time_ns) in [(1, i64::MAX), (2, i64::MIN), (3, i64::MAX), (4, i64::MIN + 1)] {
            clock.record(frame, 0, time_ns);
        }
        assert!(clock.hint().is_some());
    }
}
