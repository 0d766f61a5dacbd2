//! Rates and shares as people write them on the command line: `200/s`, `30/min`, `5M/day`, `90%`.

/// Units with their length in seconds.
const UNITS: [(&str, f64); 10] = [
    ("s", 1.0),
    ("sec", 1.0),
    ("min", 60.0),
    ("m", 60.0),
    ("h", 3_600.0),
    ("hour", 3_600.0),
    ("d", 86_400.0),
    ("day", 86_400.0),
    ("week", 7.0 * 86_400.0),
    ("month", 30.0 * 86_400.0),
];
/// Multiples.
const MULTIPLES: [(char, f64); 3] = [('k', 1e3), ('M', 1e6), ('G', 1e9)];
/// More requests per second are no proxy's.
const FASTEST: f64 = 1e7;

/// Requests per second, from `200/s`, `1.5k/s`, `30/min`, `5M/day`, `2M/month` (of 30 days).
///
/// # Errors
/// One sentence that says what to write.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_once('/').ok_or_else(|| {
        format!("a rate needs a unit: write \"{text}/s\", \"{text}/min\" or \"{text}/day\"")
    })?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(|| {
        format!("`{unit}` is not a unit of time for a rate: use s, min, h, day, week or month")
    })?;
    let number = number.trim();
    let multiple = MULTIPLES.iter().find(|(letter, _)| number.ends_with(*letter));
    let digits = multiple.map_or(number, |_| &number[..number.len() - 1]);
    let rate = decimal(digits)
        .map(|value| value * multiple.map_or(1.0, |(_, multiple)| *multiple) / seconds)
        .ok_or_else(|| format!("`{text}` is not a rate: write a number and a unit, for example \"200/s\""))?;
    if rate > 0.0 && rate <= FASTEST {
        Ok(rate)
    } else {
        Err(format!("the rate `{text}` is out of range: it has to be above 0 and at most 10M/s"))
    }
}

/// A share from 0 to 1, from `90%` or `0.9`.
///
/// # Errors
/// One sentence that says what to write.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let share = match text.strip_suffix('%') {
        Some(percent) => decimal(percent.trim()).map(|percent| percent / 100.0),
        None => decimal(text),
    };
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("`{text}` is not a share: write a percentage, for example \"90%\""))
}

/// Digits with at most one point; no sign, no exponent, no `inf`.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_shares_are_read() {
        for (text, rate) in [
            ("200/s", 200.0),
            ("1.5k/s", 1500.0),
            ("30/min", 0.5),
            ("86400/day", 1.0),
            ("7.2k/h", 2.0),
            ("2592000/month", 1.0),
        ] {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        assert_eq!(parse_share("90%"), Ok(0.9));
        assert_eq!(parse_share("0.25"), Ok(0.25));
    }

    #[test]
    fn what_is_wrong_is_answered_with_what_to_write() {
        let rates = ["200", "x/s", "5/year", "0/s", "-1/s", "1e9/s", "/s", "11M/s"].map(parse_rate);
        let shares = ["110%", "-1%", "most", ""].map(parse_share);
        let answers: Vec<String> =
            rates.into_iter().chain(shares).map(|answer| answer.expect_err("refused")).collect();
        insta::assert_snapshot!(answers.join("\n"), @r#"
        a rate needs a unit: write "200/s", "200/min" or "200/day"
        `x/s` is not a rate: write a number and a unit, for example "200/s"
        `year` is not a unit of time for a rate: use s, min, h, day, week or month
        the rate `0/s` is out of range: it has to be above 0 and at most 10M/s
        `-1/s` is not a rate: write a number and a unit, for example "200/s"
        `1e9/s` is not a rate: write a number and a unit, for example "200/s"
        `/s` is not a rate: write a number and a unit, for example "200/s"
        the rate `11M/s` is out of range: it has to be above 0 and at most 10M/s
        `110%` is not a share: write a percentage, for example "90%"
        `-1%` is not a share: write a percentage, for example "90%"
        `most` is not a share: write a percentage, for example "90%"
        `` is not a share: write a percentage, for example "90%"
        "#);
    }
}
