//! A time of day, or of a day, as a user writes it.

const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;

/// A UTC time, with or without its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Midnight of the day, ns since the Unix epoch; none when only the time of day was given.
    day_ns: Option<i64>,
    time_ns: i64,
}

impl Moment {
    /// Reads `2026-09-14T12:41:07.220Z` or `12:41:07`; seconds may have a fraction, `Z` may be left out, because every
    /// time that finrace prints is UTC.
    pub fn parse(text: &str) -> Result<Moment, String> {
        let problem = || format!("`{text}` is no UTC time: write 2026-09-14T12:41:07Z, or 12:41:07");
        let (day, time) = match text.split_once(['T', ' ']) {
            Some((day, time)) => (Some(day), time),
            None => (None, text),
        };
        Ok(Moment {
            day_ns: day.map(|day| midnight(day).ok_or_else(problem)).transpose()?,
            time_ns: time_of_day(time.trim_end_matches('Z')).ok_or_else(problem)?,
        })
    }

    /// How far a time (ns since the Unix epoch) is from this one, ns; without a day, from that time of the nearest day.
    pub fn distance_ns(self, time_ns: i64) -> u64 {
        match self.day_ns {
            Some(day_ns) => (day_ns + self.time_ns).abs_diff(time_ns),
            None => {
                let after = (time_ns.rem_euclid(DAY_NS) - self.time_ns).rem_euclid(DAY_NS);
                after.min(DAY_NS - after).unsigned_abs()
            }
        }
    }
}

fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hours, minutes) = (number(parts.next()?, 23)?, number(parts.next()?, 59)?);
    let seconds = parts.next().unwrap_or("0");
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: i64 = format!("{fraction:0<9}").parse().ok()?;
    Some(((hours * 60 + minutes) * 60 + number(whole, 60)?) * SECOND_NS + nanoseconds)
}

/// Midnight of `2026-09-14`, by the proleptic Gregorian calendar.
fn midnight(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) =
        (number(parts.next()?, 9_999)?, number(parts.next()?, 12)?, number(parts.next()?, 31)?);
    if parts.next().is_some() || month == 0 || day == 0 {
        return None;
    }
    // Years begin in March, so that the leap day is the last of one.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468;
    Some(days * DAY_NS)
}

fn number(text: &str, most: i64) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_with_a_day_is_that_time() {
        for (text, time_ns) in [
            ("1970-01-01T00:00:00.000000000Z", 0),
            ("2024-02-29T23:59:59.000000001Z", 1_709_251_199_000_000_001),
            ("2026-09-14 12:41:07.25", 1_789_389_667_250_000_000),
        ] {
            assert_eq!(Moment::parse(text).unwrap().distance_ns(time_ns), 0, "{text}");
            assert_eq!(
                Moment::parse(text).unwrap().distance_ns(time_ns - DAY_NS),
                DAY_NS.unsigned_abs(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_time_without_a_day_is_that_of_any_day() {
        let moment = Moment::parse("23:59:58").unwrap();
        for day in [-1, 0, 20_000] {
            assert_eq!(moment.distance_ns(day * DAY_NS - 2 * SECOND_NS), 0);
            assert_eq!(moment.distance_ns(day * DAY_NS + SECOND_NS), 3_000_000_000, "midnight lies between");
        }
        assert_eq!(moment.distance_ns(DAY_NS / 2), 43_198_000_000_000);
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for text in
            ["", "12", "25:00:00", "2026-13-01T00:00:00Z", "2026-09-14", "noon", "12:41:07:01", "-1:00"]
        {
            assert!(Moment::parse(text).unwrap_err().contains("12:41:07"), "{text}");
        }
    }
}
