//! The map of the race window: text, JSON, CSV and picture.

mod chart;
pub mod csv;
pub mod text;

use crate::report::sweep::Sweep;

pub use chart::svg;

use super::units::count;

/// The sweep as one pretty-printed JSON document with a closing line end.
pub fn json(sweep: &Sweep) -> String {
    let mut text = serde_json::to_string_pretty(sweep).expect("a sweep is plain data with string keys");
    text.push('\n');
    text
}

/// An idle time in milliseconds, to hundredths: `490.31`, `4 002.10`.
fn milliseconds(ns: i64) -> String {
    let hundredths = (ns.unsigned_abs() + 5_000) / 10_000;
    let sign = if ns < 0 && hundredths > 0 { "−" } else { "" };
    // A number is not to be broken between two lines.
    let whole = count(hundredths / 100).replace(' ', "\u{a0}");
    format!("{sign}{whole}.{:02}", hundredths % 100)
}

/// The same of a difference, with its sign.
fn signed_milliseconds(ns: i64) -> String {
    let size = milliseconds(ns);
    if ns > 0 && size != "0.00" { format!("+{size}") } else { size }
}

/// A share: `0 %`, `0.4 %`, `12 %`, `100 %`, unbroken at the end of a line.
fn percent(share: f64) -> String {
    let whole = (share * 100.0).round();
    let exact = share == 0.0 || share == 1.0;
    match (exact, share * 100.0) {
        (true, _) => format!("{whole:.0}\u{a0}%"),
        (false, size) if !(1.0..=99.0).contains(&size) => format!("{size:.1}\u{a0}%"),
        (false, _) => format!("{whole:.0}\u{a0}%"),
    }
}

/// `toy backend`, `Express on Node 20.20.2`, and over which path.
fn subject(sweep: &Sweep) -> String {
    let path = match (sweep.place.as_str(), sweep.delay_ns) {
        (_, Some(delay)) => format!(", {} each way", super::units::setting(delay)),
        ("loopback", _) => " on loopback".to_owned(),
        _ => String::new(),
    };
    format!("{}{path}", sweep.backend.title())
}

#[cfg(test)]
pub(super) mod fixtures;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(milliseconds(490_314_000), "490.31");
        assert_eq!(milliseconds(4_002_096_000), "4\u{a0}002.10");
        assert_eq!(milliseconds(-1_250_000), "−1.25");
        assert_eq!([12_000, -12_000, 0, 3].map(signed_milliseconds), ["+0.01", "−0.01", "0.00", "0.00"]);
        assert_eq!(
            [0.0, 0.004, 0.124, 0.996, 1.0].map(percent).map(|text| text.replace('\u{a0}', " ")),
            ["0 %", "0.4 %", "12 %", "99.6 %", "100 %"]
        );
    }

    #[test]
    fn the_document_follows_its_schema() {
        let schema: serde_json::Value =
            serde_json::from_str(&crate::report::sweep::sweep_json_schema()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&json(&fixtures::sweep())).unwrap();
        let errors: Vec<String> = jsonschema::validator_for(&schema)
            .unwrap()
            .iter_errors(&document)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new());
    }
}
