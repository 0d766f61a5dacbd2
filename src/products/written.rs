//! Products as they are written in the data, each parsed when somebody wants it.
//!
//! Parsing all of them takes twice as long as analyzing a small capture does without, and such an analysis wants the few
//! that close idle connections at about the time that was seen.

use std::sync::OnceLock;

use super::{DATA, Facing, Product, nanoseconds};

/// What each product begins with.
const BEGINNING: &str = "\n[[product]]\n";

/// One product of the data.
struct Written {
    text: &'static str,
    timers: Vec<Closes>,
    product: OnceLock<Product>,
}

/// A timer, as far as it can be told without parsing: one line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Closes {
    side: Facing,
    /// Earliest and latest close, ns of idleness.
    after_ns: i64,
    at_most_ns: i64,
}

/// The products that have, on that side, a timer of which some time lies within `from_ns..=to_ns`, in the order of the data.
/// Others may be among them, none is missing.
pub(super) fn closing_within(
    side: Facing,
    from_ns: i64,
    to_ns: i64,
) -> impl Iterator<Item = &'static Product> {
    let is_near =
        move |timer: &Closes| timer.side == side && timer.after_ns <= to_ns && from_ns <= timer.at_most_ns;
    let near = move |product: &&Written| product.timers.iter().any(is_near);
    written().iter().filter(near).map(Written::product)
}

fn written() -> &'static [Written] {
    static WRITTEN: OnceLock<Vec<Written>> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let texts = DATA.iter().flat_map(|file| file.split(BEGINNING).skip(1));
        texts.map(Written::new).collect()
    })
}

impl Written {
    fn new(text: &'static str) -> Written {
        Written { text, timers: text.lines().filter_map(Closes::read).collect(), product: OnceLock::new() }
    }

    fn product(&self) -> &Product {
        self.product
            .get_or_init(|| toml::from_str(self.text).expect("the embedded tables are checked by a test"))
    }
}

impl Closes {
    fn read(line: &str) -> Option<Closes> {
        let timer = line.strip_prefix("  { side = \"")?;
        let (side, timer) = timer.split_once("\", after = \"")?;
        let side = match side {
            "downstream" => Facing::Downstream,
            "upstream" => Facing::Upstream,
            "through" => Facing::Through,
            _ => return None,
        };
        let (after, rest) = timer.split_once('"')?;
        let after_ns = nanoseconds(after).ok()?;
        let at_most = rest.split_once(", at_most = \"").and_then(|(_, rest)| rest.split_once('"'));
        let at_most_ns = at_most.and_then(|(text, _)| nanoseconds(text).ok()).unwrap_or(after_ns);
        Some(Closes { side, after_ns, at_most_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products::{Idle, all};

    #[test]
    fn each_product_is_the_same_alone_as_among_all() {
        let alone: Vec<&Product> = written().iter().map(Written::product).collect();
        assert!(alone.into_iter().eq(all()));
    }

    #[test]
    fn timers_are_told_without_parsing() {
        for (written, product) in written().iter().zip(all()) {
            for side in [Facing::Downstream, Facing::Upstream, Facing::Through] {
                let closes = product.timers_facing(side).filter_map(|timer| match timer.idle {
                    Idle::Closes { after_ns, at_most_ns } => Some(Closes { side, after_ns, at_most_ns }),
                    Idle::Never | Idle::NoKeepAlive => None,
                });
                let read = written.timers.iter().copied().filter(|timer| timer.side == side);
                assert!(read.eq(closes), "{}: write a timer in one line", product.id);
            }
        }
    }
}
