//! Shares and attempts of a sweep as CSV (RFC 4180): for spreadsheets and shells. Times in ns.

use std::collections::BTreeSet;

use crate::render::csv::field;
use crate::report::Cause;
use crate::report::sweep::{Sweep, SweepAttempt};

/// One row for each range of idle times; a column for each cause that occurs.
pub fn bins(sweep: &Sweep) -> String {
    let causes: BTreeSet<Cause> = sweep.bins.iter().flat_map(|bin| bin.by_cause.keys().copied()).collect();
    let mut text = String::from(
        "from_ns,to_ns,attempts,answered,closed_before,lost,share,share_low,share_high,expected",
    );
    for cause in &causes {
        text += &format!(",{cause}");
    }
    text.push('\n');
    for bin in &sweep.bins {
        text += &format!(
            "{},{},{},{},{},{},{},{:.6},{:.6},{}",
            bin.from_ns,
            bin.to_ns,
            bin.attempts,
            bin.answered,
            bin.closed_before,
            bin.lost,
            share(bin.share),
            bin.share_low,
            bin.share_high,
            share(bin.expected),
        );
        for cause in &causes {
            text += &format!(",{}", bin.by_cause.get(cause).copied().unwrap_or(0));
        }
        text.push('\n');
    }
    text
}

/// One row for each connection.
pub fn attempts(attempts: &[SweepAttempt]) -> String {
    let mut text =
        String::from("number,client,planned_ns,idle_ns,late_ns,fate,detail,cause,timer_ns,retried\n");
    for attempt in attempts {
        let row = [
            attempt.number.to_string(),
            field(attempt.client.as_deref().unwrap_or_default()),
            number(attempt.planned_ns),
            number(attempt.idle_ns),
            number(attempt.late_ns),
            field(&attempt.fate),
            field(&attempt.detail),
            attempt.cause.map_or_else(String::new, |cause| cause.to_string()),
            number(attempt.timer_ns),
            attempt.retried.map_or_else(String::new, |answered| answered.to_string()),
        ];
        text += &row.join(",");
        text.push('\n');
    }
    text
}

fn number(value: Option<i64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.6}"))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn every_row_has_as_many_fields_as_the_heading() {
        let fields = |text: &str| text.lines().map(|line| line.split(',').count()).collect::<BTreeSet<_>>();
        assert_eq!(fields(&bins(&fixtures::sweep())).len(), 1);
        assert_eq!(fields(&attempts(&fixtures::attempts())).len(), 1);
        insta::assert_snapshot!("window_csv", bins(&fixtures::sweep()));
    }

    #[test]
    fn what_a_server_said_cannot_become_a_formula() {
        let attempt = SweepAttempt { detail: "=1+1".to_owned(), ..fixtures::attempts().remove(0) };
        assert!(attempts(&[attempt]).contains(",'=1+1,"));
    }
}
