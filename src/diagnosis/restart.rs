//! A restart: many connections of one server end at one moment, whatever their idle time.

use std::collections::BTreeMap;

/// Closes of one restart follow each other within this time: a process ends at once, or within a short drain.
const WINDOW_NS: i64 = 1_000_000_000;
/// Fewer closes at one moment are chance.
const FEWEST_CLOSES: usize = 5;
/// Windows of many closes overlap by all but this part.
const OVERLAP: usize = 16;
/// Idle times this near to the middle one (in parts of it) are those of a timer.
const SAME_TIMER: f64 = 0.1;

/// The life of one connection that the server closed first, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// First segment.
    pub from_ns: i64,
    /// The server's close.
    pub to_ns: i64,
    /// The first segment opened it.
    pub whole: bool,
    /// Requests answered on it.
    pub served: u32,
    /// Idle time before that close, where it ended one.
    pub idle_ns: Option<i64>,
    /// The same where it began before the capture: at least so long.
    pub silent_ns: Option<i64>,
}

/// One restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// Time of the first close.
    pub from_ns: i64,
    /// Time of the last close.
    pub to_ns: i64,
    /// Connections closed.
    pub closes: u64,
}

impl Restart {
    /// Whether a close belongs to it.
    pub fn holds(&self, time_ns: i64) -> bool {
        (self.from_ns..=self.to_ns).contains(&time_ns)
    }
}

/// Finds the restarts of one server:
/// 1. at least [`FEWEST_CLOSES`] closes by the server within [`WINDOW_NS`];
/// 2. more than half of the idle times before them differ from the middle one by more than [`SAME_TIMER`]: no timer;
/// 3. none of the server's connections that were open before is still open afterwards.
pub fn find(closed: &[Life], opened: &Opened) -> Vec<Restart> {
    let mut closes: Vec<&Life> = closed.iter().collect();
    closes.sort_by_key(|life| life.to_ns);
    let mut restarts = Vec::new();
    let mut first = 0;
    while first < closes.len() {
        let from_ns = closes[first].to_ns;
        let count = closes[first..].partition_point(|life| life.to_ns <= from_ns.saturating_add(WINDOW_NS));
        let together = &closes[first..first + count];
        let restart = Restart { from_ns, to_ns: together[count - 1].to_ns, closes: count as u64 };
        let survived = || opened.before(from_ns).is_some_and(|to_ns| to_ns > restart.to_ns);
        if count >= FEWEST_CLOSES && !is_timer(together) && !survived() {
            restarts.push(restart);
            first += count;
        } else {
            // Steps that grow with the crowd keep the time for a flood of closes within bounds.
            first += (count / OVERLAP).max(1);
        }
    }
    restarts
}

/// How long connections lived, by when they began. Of one that began later than another and ended earlier nothing is kept: it
/// was never the last of those that were there.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// End by beginning, both ns: a later beginning has a later end.
    ends: BTreeMap<i64, i64>,
}

impl Opened {
    /// Adds a connection, whoever closed it.
    pub fn add(&mut self, from_ns: i64, to_ns: i64) {
        let before = self.ends.range(..=from_ns).next_back();
        if before.is_some_and(|(_, known)| *known >= to_ns) {
            return;
        }
        while let Some((&later_ns, _)) =
            self.ends.range(from_ns..).next().filter(|(_, known)| **known <= to_ns)
        {
            self.ends.remove(&later_ns);
        }
        self.ends.insert(from_ns, to_ns);
    }

    /// Connections kept.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The latest end of a connection that began before this time.
    fn before(&self, time_ns: i64) -> Option<i64> {
        self.ends.range(..time_ns).next_back().map(|(_, to_ns)| *to_ns)
    }
}

fn is_timer(closes: &[&Life]) -> bool {
    let mut idle: Vec<i64> = closes.iter().filter_map(|life| life.idle_ns).collect();
    idle.sort_unstable();
    let Some(&middle) = idle.get(idle.len() / 2) else { return true };
    let near = idle.iter().filter(|idle| (*idle - middle).abs() as f64 <= middle as f64 * SAME_TIMER).count();
    2 * near >= idle.len()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn closed(from: i64, to: i64, idle: i64) -> Life {
        Life {
            from_ns: from * SECOND,
            to_ns: to * SECOND,
            whole: true,
            served: 1,
            idle_ns: Some(idle * SECOND),
            silent_ns: None,
        }
    }

    fn opened(lives: &[Life]) -> Opened {
        let mut opened = Opened::default();
        lives.iter().for_each(|life| opened.add(life.from_ns, life.to_ns));
        opened
    }

    #[test]
    fn connections_of_every_age_closing_together_are_a_restart() {
        let lives: Vec<Life> = (0..6).map(|age| closed(age, 30, 28 - 3 * age)).collect();
        let restart = Restart { from_ns: 30 * SECOND, to_ns: 30 * SECOND, closes: 6 };
        assert_eq!(find(&lives, &opened(&lives)), [restart]);
        assert!(restart.holds(30 * SECOND) && !restart.holds(31 * SECOND));
    }

    #[test]
    fn a_timer_that_many_connections_reach_together_is_none() {
        let lives: Vec<Life> = (0..6).map(|age| closed(age, 30, 5)).collect();
        assert_eq!(find(&lives, &opened(&lives)), []);
    }

    #[test]
    fn a_server_that_keeps_other_connections_did_not_restart() {
        let lives: Vec<Life> = (0..6).map(|age| closed(age, 30, 28 - 3 * age)).collect();
        let mut opened = opened(&lives);
        opened.add(0, 60 * SECOND);
        assert_eq!(find(&lives, &opened), []);
    }

    proptest! {
        #[test]
        fn what_is_kept_tells_the_latest_end_as_well_as_all_would(lives in vec((0_i64..40, 0_i64..40), 0..30)) {
            let mut opened = Opened::default();
            lives.iter().for_each(|(from, to)| opened.add(*from, *to));
            for time in 0..=40 {
                let all = lives.iter().filter(|(from, _)| *from < time).map(|(_, to)| *to).max();
                prop_assert_eq!(opened.before(time), all);
            }
            prop_assert!(opened.count() <= lives.len());
        }
    }
}
