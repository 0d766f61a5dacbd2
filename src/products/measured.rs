//! What was measured here, with which release and command: `data/measured.toml`.

use std::fmt::Write;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::product::nanoseconds;
use super::{Facing, Product, all};

const MEASURED: &str = include_str!("data/measured.toml");

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Measured {
    /// The product's name in the data.
    #[serde(skip_serializing)]
    pub product: String,
    /// Its connections that were looked at.
    pub side: Facing,
    /// The release that ran.
    pub release: String,
    /// How it was started, or what it called.
    pub command: String,
    /// What was set; nothing where that is absent.
    pub with: Option<String>,
    /// What was seen.
    pub seen: Seen,
}

/// What was seen of idle connections; times in ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// They were closed, the earliest and the latest.
    Closed {
        /// The earliest close.
        from_ns: i64,
        /// The latest.
        to_ns: i64,
    },
    /// None was closed for this long.
    OpenAfter(i64),
    /// None was kept after a response.
    KeepsNone,
    /// Used again after the one pause, not after the other.
    Used {
        /// The pause after which it was used.
        after_ns: i64,
        /// The pause after which it was not.
        not_after_ns: i64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    product: String,
    side: Facing,
    release: String,
    command: String,
    with: Option<String>,
    closes: Option<[String; 2]>,
    open_after: Option<String>,
    keeps_none: Option<bool>,
    used_after: Option<String>,
    not_after: Option<String>,
}

impl TryFrom<Raw> for Measured {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Measured, String> {
        let used = raw.used_after.as_deref().zip(raw.not_after.as_deref());
        let seen = match (&raw.closes, raw.open_after.as_deref(), raw.keeps_none, used) {
            (Some([from, to]), None, None, None) => {
                Seen::Closed { from_ns: nanoseconds(from)?, to_ns: nanoseconds(to)? }
            }
            (None, Some(time), None, None) => Seen::OpenAfter(nanoseconds(time)?),
            (None, None, Some(true), None) => Seen::KeepsNone,
            (None, None, None, Some((after, not_after))) => {
                Seen::Used { after_ns: nanoseconds(after)?, not_after_ns: nanoseconds(not_after)? }
            }
            _ => return Err(format!("{}: one thing is seen, no more and no less", raw.product)),
        };
        let Raw { product, side, release, command, with, .. } = raw;
        Ok(Measured { product, side, release, command, with, seen })
    }
}

impl Measured {
    /// What was seen, for a sentence: `closed after 5.99 to 6.01 s`.
    pub fn words(&self) -> String {
        let seconds = |ns: i64| {
            let text = format!("{:.2}", ns as f64 / 1e9);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        match self.seen {
            Seen::Closed { from_ns, to_ns } if seconds(from_ns) == seconds(to_ns) => {
                format!("closed after {} s", seconds(from_ns))
            }
            Seen::Closed { from_ns, to_ns } => {
                format!("closed after {} to {} s", seconds(from_ns), seconds(to_ns))
            }
            Seen::OpenAfter(ns) => format!("still open after {} s", seconds(ns)),
            Seen::KeepsNone => "kept no connection after a response".to_owned(),
            Seen::Used { after_ns, not_after_ns } => {
                format!("used again after {} s, not after {} s", seconds(after_ns), seconds(not_after_ns))
            }
        }
    }
}

#[derive(Deserialize)]
struct File {
    measured: Vec<Measured>,
}

/// All measurements, in the order of the data.
pub fn measured() -> &'static [Measured] {
    static ALL: OnceLock<Vec<Measured>> = OnceLock::new();
    ALL.get_or_init(|| {
        toml::from_str::<File>(MEASURED).expect("the embedded tables are checked by a test").measured
    })
}

impl Product {
    /// What was measured of it here.
    pub fn measured(&self) -> impl Iterator<Item = &'static Measured> {
        measured().iter().filter(|measured| measured.product == self.id)
    }
}

/// The list of everything that was measured, in Markdown.
pub fn measured_document() -> String {
    let mut text = String::from(
        "# Idle timeouts that were measured\n\n\
         Every value of `finrace timeouts` names its source. Those below were also measured, on Linux, over loopback: a \
         server with `finrace probe URL`, a proxy or client with `finrace probe --upstream ADDRESS:PORT` behind it. A client \
         that looks at the time only before it uses a connection shows nothing on the wire: it sent two requests with a pause \
         between them. Written by `FINRACE_BLESS=1 cargo test --test documents` from `src/products/data/measured.toml`; what \
         was measured with nothing set agrees with the table of products, which a test holds.\n",
    );
    for (side, heading) in [
        (Facing::Downstream, "Towards clients: when a server closes an idle connection"),
        (Facing::Upstream, "Towards servers: how long a proxy or client keeps one"),
    ] {
        let _ = write!(
            text,
            "\n## {heading}\n\n| product | release | set | command | seen |\n|---|---|---|---|---|\n"
        );
        for product in all() {
            for measured in product.measured().filter(|measured| measured.side == side) {
                let set = measured.with.as_ref().map_or_else(String::new, |with| format!("`{with}`"));
                let _ = writeln!(
                    text,
                    "| `{}` | {} | {set} | `{}` | {} |",
                    product.id,
                    measured.release,
                    measured.command,
                    measured.words()
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products::Idle;

    /// Event loops turn late, a measurement takes a round trip, and a client closes some time after it would have used the
    /// connection no more.
    const STRAY_NS: i64 = 1_000_000_000;

    #[test]
    fn every_measurement_belongs_to_a_product_with_such_connections() {
        assert!(measured().len() > 100);
        for measured in measured() {
            let product = all().iter().find(|product| product.id == measured.product);
            let product = product.unwrap_or_else(|| panic!("{measured:?}"));
            let faces = product.may_face(measured.side) || product.id == "nginx";
            assert!(faces, "{measured:?}");
            assert!(!measured.release.is_empty() && !measured.command.is_empty(), "{measured:?}");
            assert!(!measured.command.contains(['|', '\n', '`']), "{measured:?}");
        }
    }

    /// The table of products does not say one thing and the measurement another.
    #[test]
    fn what_was_measured_with_nothing_set_is_what_the_table_says() {
        for measured in measured().iter().filter(|measured| measured.with.is_none()) {
            let product = all().iter().find(|product| product.id == measured.product).unwrap();
            let mut timers = product.timers_facing(measured.side).peekable();
            if timers.peek().is_none() {
                continue;
            }
            let agrees = timers.any(|timer| match (measured.seen, timer.idle) {
                (Seen::Closed { from_ns, to_ns }, Idle::Closes { after_ns, at_most_ns }) => {
                    from_ns >= after_ns - STRAY_NS / 5 && to_ns <= at_most_ns + STRAY_NS
                }
                (Seen::OpenAfter(ns), Idle::Closes { after_ns, .. }) => ns <= after_ns,
                (Seen::OpenAfter(_), Idle::Never) | (Seen::KeepsNone, Idle::NoKeepAlive) => true,
                (Seen::Used { after_ns, not_after_ns }, Idle::Closes { at_most_ns, .. }) => {
                    after_ns <= at_most_ns && at_most_ns <= not_after_ns
                }
                _ => false,
            });
            assert!(agrees, "{measured:?} {:?}", product.timers);
        }
    }

    #[test]
    fn a_measurement_reads_as_a_sentence() {
        let waitress = measured().iter().find(|measured| measured.product == "waitress").unwrap();
        assert_eq!(waitress.words(), "closed after 125.22 s");
        assert!(
            measured_document()
                .contains("| `bun-serve` | Bun 1.4.5 |  | `bun server.js` | closed after 8.39 to 11.99 s |")
        );
    }
}
