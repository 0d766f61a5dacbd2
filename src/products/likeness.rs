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
            let released = timer.versions.as_deref() != Some("unreleased");
            // A framework on top of a product inherits its timer: one of them is enough.
            let told = near.iter().any(|(_, _, known)| {
                known.timer.setting == timer.setting
                    || product.stands_on.as_deref() == Some(&known.product.id)
            });
            if off <= tolerance && released && !told {
                near.push((off, !product.common, Likeness { product, timer, default_ns: after_ns }));
            }
        }
    }
    // A close at any moment of a while fits many times: where a certain one is near, it says nothing.
    let is_certain = |likeness: &Likeness| matches!(likeness.timer.idle, Idle::Closes { after_ns, at_most_ns } if after_ns == at_most_ns);
    if near.iter().any(|(_, _, likeness)| is_certain(likeness)) {
        near.retain(|(_, _, likeness)| is_certain(likeness));
    }
    near.sort_by_key(|(off, rare, _)| (*off, *rare));
    near.into_iter().take(MOST).map(|(_, _, likeness)| likeness).collect()
}

/// A device forgets a connection this much later than it should at most, in parts of a hundred: tables are swept now and
/// then, and whoever sends the next packet does not wait for the very moment.
const LATE_PERCENT: i64 = 5;
/// Times between which at most this factor lies are near enough to name all that lies in between.
const NARROW: i64 = 2;

/// The devices that by default forget a connection at a time between two that were seen: one that a connection on their
/// path survived, and a longer one after which another was gone. Where the two lie far apart, or no connection survived, only
/// those whose time had just passed, by up to 5 %. The nearest to the longer time first, of equal ones those met more
/// often. A likeness is no proof: anybody can set any value.
pub fn forgets_between(survived_ns: Option<i64>, gone_ns: i64) -> Vec<Likeness> {
    let just_passed = gone_ns - gone_ns / 100 * LATE_PERCENT;
    let from_ns = match survived_ns {
        Some(survived_ns) if gone_ns / NARROW <= survived_ns => survived_ns,
        Some(survived_ns) => survived_ns.max(just_passed),
        None => just_passed,
    };
    let mut near: Vec<(i64, bool, Likeness)> = Vec::new();
    for product in closing_within(Facing::Through, from_ns, gone_ns) {
        for timer in product.timers_facing(Facing::Through) {
            let Idle::Closes { after_ns, .. } = timer.idle else { continue };
            // One survived exactly its time, which was none then.
            if after_ns > from_ns && after_ns <= gone_ns {
                let likeness = Likeness { product, timer, default_ns: after_ns };
                near.push((gone_ns - after_ns, !product.common, likeness));
            }
        }
    }
    // A close at any moment of a while fits many times: where a certain one is near, it says nothing.
    let is_certain = |likeness: &Likeness| matches!(likeness.timer.idle, Idle::Closes { after_ns, at_most_ns } if after_ns == at_most_ns);
    if near.iter().any(|(_, _, likeness)| is_certain(likeness)) {
        near.retain(|(_, _, likeness)| is_certain(likeness));
    }
    near.sort_by_key(|(off, rare, _)| (*off, *rare));
    near.into_iter().take(MOST).map(|(_, _, likeness)| likeness).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn forgetful(survived_s: Option<i64>, gone_s: i64) -> Vec<&'static str> {
        let likely = forgets_between(survived_s.map(|survived| survived * S), gone_s * S);
        likely.iter().map(|likeness| likeness.product.id.as_str()).collect()
    }

    #[test]
    fn devices_are_told_by_what_survived_and_what_did_not() {
        assert_eq!(forgetful(Some(300), 352)[..2], ["aws-nlb", "aws-nat-gw"]);
        assert_eq!(forgetful(None, 901), ["kube-ipvs"]);
        assert_eq!(forgetful(None, 241), ["azure-lb", "azure-nat-gw"]);
        assert_eq!(forgetful(Some(10), 610), ["gcp-vpc"]);
        assert_eq!(forgetful(None, 3_601)[..2], ["palo-alto", "cisco-asa"]);
        assert_eq!(forgetful(None, 432_010)[0], "linux-conntrack");
        assert_eq!(forgetful(Some(290), 420)[..2], ["aws-nlb", "aws-nat-gw"], "a narrow gap");
    }

    #[test]
    fn a_gap_that_holds_no_default_or_all_of_them_names_none() {
        assert!(forgetful(None, 1_000).is_empty(), "900 s is more than 5 % off");
        assert!(forgetful(Some(10), 2_500).is_empty());
        assert!(forgetful(Some(350), 352).is_empty(), "350 s were survived");
        assert!(forgetful(None, 100).is_empty());
        assert!(forgetful(None, 0).is_empty());
        assert!(forgets_between(Some(i64::MAX), i64::MAX).is_empty());
    }

    const MS: i64 = 1_000_000;

    fn ids(side: Facing, observed_ms: i64) -> Vec<&'static str> {
        looks_like(side, observed_ms * MS).iter().map(|likeness| likeness.product.id.as_str()).collect()
    }

    #[test]
    fn defaults_are_recognised() {
        assert_eq!(ids(Facing::Downstream, 6_002), ["node-http"]);
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
