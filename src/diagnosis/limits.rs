//! Limits that close a connection whatever its idle time: a number of requests, or an age.

use super::restart::Life;

/// Fewer closes alike are chance.
const FEWEST_CLOSES: usize = 4;
/// Ages this near to each other (in parts of the greatest) are those of a limit.
const SAME_AGE: f64 = 0.01;
/// Idle times further apart than this (in parts of the greatest) are not those of an idle timer.
const DIFFERENT_IDLE: f64 = 0.1;

/// A limit that one server's closes show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// It closes after so many requests (nginx `keepalive_requests`, gunicorn `max_requests`).
    Requests {
        /// Requests answered on each connection.
        requests: u32,
        /// Connections closed so.
        closes: u64,
    },
    /// It closes at an age (nginx `keepalive_time`, `MaxConnectionAge` of gRPC servers).
    Age {
        /// The greatest age seen.
        age_ns: i64,
        /// Connections closed so.
        closes: u64,
    },
}

/// Finds the limit that explains a server's closes, restarts left out:
/// 1. at least [`FEWEST_CLOSES`] closes by the server;
/// 2. all right after the same number of requests, more than one: a request limit; or
/// 3. all at the same age, of connections whose beginning was captured and whose idle times differ: an age limit.
pub fn find<'l>(lives: impl Iterator<Item = &'l Life>) -> Option<Limit> {
    let closes: Vec<&Life> = lives.filter(|life| life.served > 0).collect();
    let first = *closes.first()?;
    if closes.len() < FEWEST_CLOSES {
        return None;
    }
    let count = closes.len() as u64;
    if first.served > 1 && closes.iter().all(|life| life.served == first.served && life.idle_ns.is_none()) {
        return Some(Limit::Requests { requests: first.served, closes: count });
    }
    let ages = spread(closes.iter().map(|life| life.whole.then(|| life.to_ns - life.from_ns)))?;
    let idle = spread(closes.iter().map(|life| Some(life.idle_ns.unwrap_or(0))))?;
    (ages.share <= SAME_AGE && idle.share > DIFFERENT_IDLE)
        .then_some(Limit::Age { age_ns: ages.greatest, closes: count })
}

struct Spread {
    greatest: i64,
    /// Distance from the smallest to the greatest, in parts of the greatest.
    share: f64,
}

/// None when any of the values is unknown.
fn spread(values: impl Iterator<Item = Option<i64>>) -> Option<Spread> {
    let (mut smallest, mut greatest) = (i64::MAX, 0);
    for value in values {
        let value = value?;
        smallest = smallest.min(value);
        greatest = greatest.max(value);
    }
    Some(Spread { greatest, share: (greatest - smallest) as f64 / greatest.max(1) as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn closed(age: i64, served: u32, idle: Option<i64>) -> Life {
        Life {
            from_ns: 0,
            to_ns: age * SECOND,
            whole: true,
            served,
            idle_ns: idle.map(|idle| idle * SECOND),
            silent_ns: None,
        }
    }

    #[test]
    fn closing_right_after_the_same_number_of_requests_is_a_request_limit() {
        let lives: Vec<Life> = (1..=5).map(|age| closed(age, 100, None)).collect();
        assert_eq!(find(lives.iter()), Some(Limit::Requests { requests: 100, closes: 5 }));
    }

    #[test]
    fn a_server_that_never_keeps_alive_has_no_request_limit() {
        let lives: Vec<Life> = (1..=5).map(|age| closed(age, 1, None)).collect();
        assert_eq!(find(lives.iter()), None);
    }

    #[test]
    fn closing_at_the_same_age_after_different_idle_times_is_an_age_limit() {
        let lives: Vec<Life> = (1..=5).map(|idle| closed(3_600, 100 * idle as u32, Some(idle))).collect();
        assert_eq!(find(lives.iter()), Some(Limit::Age { age_ns: 3_600 * SECOND, closes: 5 }));
    }

    #[test]
    fn closing_after_the_same_idle_time_is_an_idle_timer() {
        let lives: Vec<Life> = (1..=5).map(|_| closed(6, 1, Some(5))).collect();
        assert_eq!(find(lives.iter()), None);
        let lives: Vec<Life> = (1..=5).map(|age| closed(5 + age, age as u32, Some(5))).collect();
        assert_eq!(find(lives.iter()), None);
    }
}
