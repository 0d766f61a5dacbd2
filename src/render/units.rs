//! Durations, times and counts in the words of a reader: `5.001 s`, `212 µs`, `−6.010 s`, `14:12:41.220 301`.
//!
//! Integers throughout: a rounded floating-point time could put two packets in the wrong order.

/// Nanoseconds in one microsecond, millisecond and second.
const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// The sign that belongs before a negative number (U+2212), as wide as a digit, unlike the hyphen.
const MINUS: char = '−';

/// A length of time, rounded to what a reader can use: `350 ns`, `212 µs`, `5.3 ms`, `0.500 s`, `350.0 s`, `39 min`.
///
/// From 100 ms on the unit is the second, because idle timers are set in seconds.
pub fn duration(ns: i64) -> String {
    let size = magnitude(ns.unsigned_abs());
    if ns < 0 { format!("{MINUS}{size}") } else { size }
}

/// A time relative to the story's zero, always with its sign: `−6.010 s`, `0.0 ms`, `+5.3 ms`.
pub fn relative(ns: i64) -> String {
    match ns {
        0 => "0.0 ms".to_owned(),
        1.. => format!("+{}", magnitude(ns.unsigned_abs())),
        _ => duration(ns),
    }
}

/// A time that somebody set, in the unit in which it is a whole number: `60 s`, `500 ms`, `250 µs`.
pub fn setting(ns: i64) -> String {
    let size = ns.unsigned_abs();
    match size {
        _ if size.is_multiple_of(SECOND) => format!("{} s", size / SECOND),
        _ if size.is_multiple_of(MILLI) => format!("{} ms", size / MILLI),
        _ if size.is_multiple_of(MICRO) => format!("{} µs", size / MICRO),
        _ => format!("{size} ns"),
    }
}

/// Picks the unit after rounding, so that 999.9 µs becomes `1.0 ms` and never `1000 µs`.
fn magnitude(ns: u64) -> String {
    if ns < MICRO {
        format!("{ns} ns")
    } else if rounded(ns, MICRO) < 1_000 {
        format!("{} µs", rounded(ns, MICRO))
    } else if rounded(ns, MILLI) < 100 {
        let tenths = rounded(ns, MILLI / 10);
        format!("{}.{} ms", tenths / 10, tenths % 10)
    } else if rounded(ns, SECOND) < 100 {
        let thousandths = rounded(ns, MILLI);
        format!("{}.{:03} s", thousandths / 1_000, thousandths % 1_000)
    } else if rounded(ns, SECOND) < 600 {
        let tenths = rounded(ns, SECOND / 10);
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        let minutes = rounded(ns, 60 * SECOND);
        match (minutes / 60, minutes % 60) {
            (48.., _) => format!("{} days", rounded(ns, 86_400 * SECOND)),
            (0, minutes) => format!("{minutes} min"),
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes:02} min"),
        }
    }
}

/// `ns` in whole `unit`s, half rounded up.
fn rounded(ns: u64, unit: u64) -> u64 {
    ns / unit + u64::from(ns % unit >= unit.div_ceil(2))
}

/// A count with its digits in groups of three: `1 204 118`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with its noun: `1 request`, `118 204 requests`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// The UTC time of day to the microsecond: `14:12:41.220 301`.
pub fn time_of_day(epoch_ns: i64) -> String {
    let in_day = epoch_ns.rem_euclid(86_400 * 1_000_000_000);
    let (seconds, micros) = (in_day / 1_000_000_000, in_day / 1_000 % 1_000_000);
    format!(
        "{:02}:{:02}:{:02}.{:03} {:03}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        micros / 1_000,
        micros % 1_000
    )
}

pub use crate::calendar::date;

/// Date and time of day in ISO 8601, to the nanosecond: `2025-11-22T14:12:41.220301000Z`.
pub fn iso_time(epoch_ns: i64) -> String {
    let in_day = epoch_ns.rem_euclid(86_400 * 1_000_000_000);
    let seconds = in_day / 1_000_000_000;
    format!(
        "{}T{:02}:{:02}:{:02}.{:09}Z",
        date(epoch_ns),
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        in_day % 1_000_000_000
    )
}

/// Date and time of day for a file name, sorting by time: ISO 8601 basic format, `20251122T141241.220Z`.
pub fn file_stamp(epoch_ns: i64) -> String {
    let date = date(epoch_ns).replace('-', "");
    let millis = epoch_ns.rem_euclid(86_400 * 1_000_000_000) / 1_000_000;
    let seconds = millis / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{date}T{hours:02}{minutes:02}{seconds:02}.{:03}Z", millis % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_the_unit_a_reader_expects() {
        let written: Vec<String> = [
            0,
            350,
            212_400,
            999_499,
            999_600,
            5_300_000,
            99_400_000,
            99_500_000,
            500_000_000,
            5_001_200_000,
            350_000_000_000,
            2_340_000_000_000,
            7_500_000_000_000,
        ]
        .map(duration)
        .to_vec();
        assert_eq!(
            written,
            [
                "0 ns",
                "350 ns",
                "212 µs",
                "999 µs",
                "1.0 ms",
                "5.3 ms",
                "99.4 ms",
                "0.100 s",
                "0.500 s",
                "5.001 s",
                "350.0 s",
                "39 min",
                "2 h 05 min"
            ]
        );
    }

    #[test]
    fn relative_times_carry_their_sign() {
        assert_eq!(relative(-6_010_000_000), "−6.010 s");
        assert_eq!(relative(0), "0.0 ms");
        assert_eq!(relative(5_300_000), "+5.3 ms");
        assert_eq!(relative(i64::MIN), "−106752 days");
    }

    #[test]
    fn counts_are_grouped_from_the_right() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_204_118), "1 204 118");
        assert_eq!(counted(1, "request"), "1 request");
        assert_eq!(counted(2_311, "connection"), "2 311 connections");
    }

    #[test]
    fn dates_follow_the_calendar_before_and_after_the_epoch() {
        let day = 86_400 * 1_000_000_000;
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(-1), "1969-12-31");
        assert_eq!(date(day * 59), "1970-03-01");
        assert_eq!(date(day * 11_016), "2000-02-29");
        assert_eq!(date(day * 19_782), "2024-02-29");
        assert_eq!(iso_time(1_763_820_761_220_301_007), "2025-11-22T14:12:41.220301007Z");
        assert_eq!(file_stamp(1_763_820_761_220_301_007), "20251122T141241.220Z");
        assert_eq!(time_of_day(1_763_820_761_220_301_007), "14:12:41.220 301");
    }
}
