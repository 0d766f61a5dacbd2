//! Which products an observed timer looks like.

use super::written::closing_within;
use super::{Facing, Idle, Product, Timer};

/// A timer that was seen may be off by this part of it: clocks, ticks and the way of a packet.
const TOLERANCE_PERCENT: i64 = 1;
/// It may always be off by this much: event loops turn late, and a FIN travels.
const LEAST_TOLERANCE_NS: i64 = 150_000_000;
/// Names worth reading; more say nothing.
const MOST: usize = 4;

/// A product that closes idle connections at about the time that was seen, when nothing is set.
#[derive(Debug, Clone, Copy)]
pub struct Likeness {
    /// The product.
    pub product: &'static Product,
    /// Its timer.
    pub timer: &'static Timer,
    /// The idle time after which it closes, ns.
    pub default_ns: i64,
}

/// The products whose default closes idle connections after `observed_ns`, give or take 1 % or 150 ms: the nearest
/// first, of equal ones those met more often. A likeness is no proof: anybody can set any value.
pub fn looks_like(side: Facing, observed_ns: i64) -> Vec<Likeness> {
    let tolerance = (observed_ns / 100 * TOLERANCE_PERCENT).max(LEAST_TOLERANCE_NS);
    let mut near: Vec<(i64, bool, Likeness)> = Vec::new();
    for product in closing_within(side, observed_ns - tolerance, observed_ns.saturating_add(tolerance)) {
        for timer in product.timers_facing(side) {
            let Idle::Closes { after_ns, at_most_ns } = timer.idle else { continue };
            let off = (after_ns - observed_ns).max(observed_ns - at_most_ns).max(0);
            // A close at any moment of a long while fits nearly everything.
            let vague = (at_most_ns - after_ns) / 2;
            let released = timer.versions.as_deref() != Some("unreleased");
            // A framework on top of a product inherits its timer: one of them is enough.
            let told = near.iter().any(|(_, _, known)| {
                known.timer.setting == timer.setting || product.stands_on.as_deref() == Some(&known.product.id)
            });
            if off <= tolerance && released && !told {
                near.push((off + vague, !product.common, Likeness { product, timer, default_ns: after_ns }));
            }
        }
    }
    near.sort_by_key(|(off, rare, _)| (*off, *rare));
    near.into_iter().take(MOST).map(|(_, _, likeness)| likeness).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn ids(side: Facing, observed_ms: i64) -> Vec<&'static str> {
        looks_like(side, observed_ms * MS).iter().map(|likeness| likeness.product.id.as_str()).collect()
    }

    #[test]
    fn defaults_are_recognised() {
        assert_eq!(ids(Facing::Downstream, 6_002), ["node-http", "lighttpd"]);
        assert_eq!(ids(Facing::Downstream, 5_003)[..3], ["node-http", "uvicorn", "apache-httpd"]);
        assert_eq!(ids(Facing::Downstream, 2_001), ["gunicorn"]);
        assert_eq!(ids(Facing::Downstream, 75_020)[0], "nginx");
        assert_eq!(ids(Facing::Upstream, 60_004)[..2], ["nginx", "aws-alb"]);
        assert_eq!(ids(Facing::Downstream, 137_000), ["waitress", "sanic"]);
    }

    #[test]
    fn a_timer_that_nobody_has_looks_like_nothing() {
        assert!(ids(Facing::Downstream, 17_000).is_empty());
        assert!(ids(Facing::Downstream, 500).is_empty());
        assert!(ids(Facing::Upstream, 61_000).is_empty());
    }

    #[test]
    fn the_release_that_fits_is_named() {
        let likeness = looks_like(Facing::Downstream, 6_000 * MS)[0];
        assert!(likeness.timer.versions.as_deref().unwrap().starts_with("from 22.19"));
    }
}
