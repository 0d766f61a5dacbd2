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
    product: OnceLock<Product>,
}

/// The products that have, on that side, a timer of which some time lies within `from_ns..=to_ns`, in the order of the data.
/// Others may be among them, none is missing.
pub(super) fn closing_within(
    side: Facing,
    from_ns: i64,
    to_ns: i64,
) -> impl Iterator<Item = &'static Product> {
    let near =
        move |product: &&Written| product.timers(side).any(|(after, last)| after <= to_ns && from_ns <= last);
    written().iter().filter(near).map(Written::product)
}

fn written() -> &'static [Written] {
    static WRITTEN: OnceLock<Vec<Written>> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let texts = DATA.iter().flat_map(|file| file.split(BEGINNING).skip(1));
        texts.map(|text| Written { text, product: OnceLock::new() }).collect()
    })
}

impl Written {
    fn product(&self) -> &Product {
        self.product
            .get_or_init(|| toml::from_str(self.text).expect("the embedded tables are checked by a test"))
    }

    /// Earliest and latest close by each timer, ns of idleness, as far as can be told without parsing: a timer is one line.
    fn timers(&self, side: Facing) -> impl Iterator<Item = (i64, i64)> {
        let start = match side {
            Facing::Downstream => "  { side = \"downstream\", after = \"",
            Facing::Upstream => "  { side = \"upstream\", after = \"",
        };
        self.text.lines().filter_map(move |line| line.strip_prefix(start)).filter_map(|line| {
            let (after, rest) = line.split_once('"')?;
            let after_ns = nanoseconds(after).ok()?;
            let at_most = rest.split_once(", at_most = \"").and_then(|(_, rest)| rest.split_once('"'));
            Some((after_ns, at_most.and_then(|(text, _)| nanoseconds(text).ok()).unwrap_or(after_ns)))
        })
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
            for side in [Facing::Downstream, Facing::Upstream] {
                let closes = product.timers_facing(side).filter_map(|timer| match timer.idle {
                    Idle::Closes { after_ns, at_most_ns } => Some((after_ns, at_most_ns)),
                    Idle::Never | Idle::NoKeepAlive => None,
                });
                assert!(written.timers(side).eq(closes), "{}: write a timer in one line", product.id);
            }
        }
    }
}
