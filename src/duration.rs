//! Durations as people write them: a number and a unit, never a number alone.
//!
//! Node counts in milliseconds, load balancers in seconds. A bare `60` has been read both ways in production, so
//! finrace refuses it.

use std::time::Duration;

/// Longest duration accepted. The longest idle timer of a real product, the connection table of Linux, ends after five
/// days; thirty leave room and keep every sum of durations far from overflow.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Units with their length in nanoseconds, longest first; of those that are equal, the one to write first.
const UNITS: [(&str, u64); 9] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// Reads `5s`, `1.5s`, `500ms`, `250us`, `2min`, `2m30s`; and as configurations write it, `00:02:30` (.NET) and `PT2M30S`
/// (ISO 8601).
///
/// # Errors
/// One sentence: the unit is missing (both readings of the number are shown), unknown, or the value is not a
/// number, is finer than a nanosecond or longer than thirty days.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if let Some(parts) = clock(text).or_else(|| iso(text)) {
        return parse_parts(text, &parts);
    }
    parse_parts(text, text)
}

/// Numbers with units, one after the other, each unit shorter than the one before.
fn parse_parts(text: &str, mut rest: &str) -> Result<Duration, String> {
    let too_long = || format!("`{text}` is longer than 30 days: use at most 30d");
    let malformed =
        || format!("`{text}` is not a duration: write a number and a unit, for example \"500ms\"");
    let mut total = Duration::ZERO;
    let mut shorter_than = u64::MAX;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = &rest[..digits];
        let well_formed = number.bytes().filter(|byte| *byte == b'.').count() <= 1
            && number.starts_with(|c: char| c.is_ascii_digit())
            && number.ends_with(|c: char| c.is_ascii_digit());
        if !well_formed {
            return Err(malformed());
        }
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(rest.len());
        let (unit, behind) = rest.split_at(letters);
        if unit.is_empty() {
            return Err(if total.is_zero() { needs_unit(number) } else { malformed() });
        }
        let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("`{unit}` is not a unit of time: use ns, us, ms, s, min, h or d"));
        };
        if *length >= shorter_than {
            return Err(malformed());
        }
        shorter_than = *length;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole: u64 = whole.parse().map_err(|_| too_long())?;
        let nanoseconds = whole.checked_mul(*length).ok_or_else(too_long)?;
        let part = Duration::from_nanos(nanoseconds) + fraction_of(fraction, *length, text)?;
        total = total.checked_add(part).filter(|total| *total <= LONGEST).ok_or_else(too_long)?;
        rest = behind.trim_start();
        if rest.is_empty() {
            return Ok(total);
        }
    }
}

/// `[days.]hh:mm:ss[.fraction]`, as .NET writes a TimeSpan.
fn clock(text: &str) -> Option<String> {
    let mut fields = text.split(':');
    let (hours, minutes, seconds) = (fields.next()?, fields.next()?, fields.next()?);
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let below = |field: &str, limit: u32| field.parse().is_ok_and(|number: u32| number < limit);
    let whole = seconds.split('.').next()?;
    let well_formed = fields.next().is_none() && below(hours, 24) && below(minutes, 60) && below(whole, 60);
    well_formed.then(|| format!("{days}d{hours}h{minutes}m{seconds}s"))
}

/// `PT1H2M30S`.
fn iso(text: &str) -> Option<String> {
    Some(text.strip_prefix("PT")?.to_ascii_lowercase()).filter(|parts| !parts.contains("ms"))
}

/// The fraction digits of a number times its unit, exactly.
fn fraction_of(digits: &str, unit: u64, text: &str) -> Result<Duration, String> {
    let too_fine = || format!("`{text}` is finer than a nanosecond: use fewer digits");
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return Ok(Duration::ZERO);
    }
    let value: u64 = digits.parse().map_err(|_| too_fine())?;
    let scale = 10u128.pow(digits.len() as u32);
    let scaled = u128::from(value) * u128::from(unit);
    // The fraction is below one unit, so the quotient fits.
    if scaled.is_multiple_of(scale) {
        Ok(Duration::from_nanos((scaled / scale) as u64))
    } else {
        Err(too_fine())
    }
}

/// The shortest exact text: the largest unit that needs no fraction.
pub fn format_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0ms".into();
    }
    let exact = UNITS.iter().find(|(_, length)| nanoseconds.is_multiple_of(u128::from(*length)));
    let (unit, length) = exact.copied().unwrap_or(("ns", 1));
    format!("{}{unit}", nanoseconds / u128::from(length))
}

/// What to say to a number without a unit: both ways to read it.
pub(crate) fn needs_unit(number: &str) -> String {
    format!(
        "a duration needs a unit: {number} could mean \"{number}s\" or \"{number}ms\", write the one you mean"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_exactly() {
        for (text, nanoseconds) in [
            ("7ns", 7),
            ("250us", 250_000),
            ("250µs", 250_000),
            ("500ms", 500_000_000),
            ("5s", 5_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.25ms", 250_000),
            ("2min", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("2m", 120_000_000_000),
            ("2m30s", 150_000_000_000),
            ("1m 500ms", 60_500_000_000),
            ("5d", 432_000_000_000_000),
            ("00:02:30", 150_000_000_000),
            ("1.00:00:00.5", 86_400_500_000_000),
            ("PT2M30S", 150_000_000_000),
            ("0ms", 0),
            (" 3 s ", 3_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_formatted_reads_back_as_the_same_duration() {
        for nanoseconds in [0, 1, 999, 1_000, 1_500_000, 60_000_000_000, 90_000_000_000, 86_400_000_000_000] {
            let duration = Duration::from_nanos(nanoseconds);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        assert_eq!(format_duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(format_duration(Duration::from_secs(120)), "2min");
    }

    #[test]
    fn a_wrong_duration_is_answered_with_what_to_write() {
        let answers: Vec<_> = [
            "60",
            "5 sec",
            "s",
            "-5s",
            "1..5s",
            "1.5ns",
            "31d",
            "99999999999999999999h",
            "",
            "30s2m",
            "2m30",
            "00:99:00",
            "PT",
        ]
        .into_iter()
        .map(|text| parse_duration(text).expect_err(text))
        .collect();
        insta::assert_snapshot!(answers.join("\n"), @r#"
        a duration needs a unit: 60 could mean "60s" or "60ms", write the one you mean
        `sec` is not a unit of time: use ns, us, ms, s, min, h or d
        `s` is not a duration: write a number and a unit, for example "500ms"
        `-5s` is not a duration: write a number and a unit, for example "500ms"
        `1..5s` is not a duration: write a number and a unit, for example "500ms"
        `1.5ns` is finer than a nanosecond: use fewer digits
        `31d` is longer than 30 days: use at most 30d
        `99999999999999999999h` is longer than 30 days: use at most 30d
        `` is not a duration: write a number and a unit, for example "500ms"
        `30s2m` is not a duration: write a number and a unit, for example "500ms"
        `2m30` is not a duration: write a number and a unit, for example "500ms"
        `:` is not a unit of time: use ns, us, ms, s, min, h or d
        `PT` is not a duration: write a number and a unit, for example "500ms"
        "#);
    }
}
