//! Days and hours of UTC from nanoseconds since the Unix epoch.

const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;

/// The UTC date: `2025-11-22`. Days to civil date in the proleptic Gregorian calendar, counting years from March so
/// that the leap day is the last of its year.
pub fn date(epoch_ns: i64) -> String {
    let days = epoch_ns.div_euclid(DAY_NS) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Date and time of day in ISO 8601, to the microsecond: `2025-11-22T14:12:41.220301Z`.
pub fn iso_micros(epoch_ns: i64) -> String {
    let in_day = epoch_ns.rem_euclid(DAY_NS);
    let seconds = in_day / SECOND_NS;
    format!(
        "{}T{:02}:{:02}:{:02}.{:06}Z",
        date(epoch_ns),
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        in_day % SECOND_NS / 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_to_the_microsecond() {
        assert_eq!(iso_micros(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(iso_micros(1_763_820_761_220_301_999), "2025-11-22T14:12:41.220301Z");
        assert_eq!(iso_micros(-1_000), "1969-12-31T23:59:59.999999Z");
    }
}
