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

    /// ns since the Unix epoch; a time without a day is on the day of `reference_ns`.
    pub fn on_day_of(self, reference_ns: i64) -> i64 {
        self.day_ns.unwrap_or_else(|| reference_ns.div_euclid(DAY_NS) * DAY_NS) + self.time_ns
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
    use crate::render::units::iso_time;

    #[test]
    fn a_time_with_a_day_is_that_time() {
        for text in [
            "2026-09-14T12:41:07.220301007Z",
            "1970-01-01T00:00:00.000000000Z",
            "2024-02-29T23:59:59.000000001Z",
        ] {
            assert_eq!(iso_time(Moment::parse(text).unwrap().on_day_of(0)), text);
        }
    }

    #[test]
    fn a_time_without_a_day_is_on_the_day_of_the_capture() {
        let reference = Moment::parse("2026-09-14T23:00:00Z").unwrap().on_day_of(0);
        let moment = Moment::parse("12:41:07").unwrap().on_day_of(reference);
        assert_eq!(iso_time(moment), "2026-09-14T12:41:07.000000000Z");
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
