//! Who sent a RST: the host whose address it carries, or something nearer to the capture in its name.

use crate::connection::{Half, Reset};
use crate::packet::Endpoint;

use super::duration;

/// A round trip shorter than this is no measure: a RST may be faster by the chance of a scheduler alone.
const SHORTEST_TRIP_NS: i64 = 1_000_000;
/// An answer that takes less than this share of the least round trip (1/2) did not go all the way.
const TOO_FAST: i64 = 2;
/// The times to live that systems begin with: Linux, macOS and the BSDs; Windows; routers and Solaris.
const INITIAL_TTLS: [u8; 3] = [64, 128, 255];

/// What tells the sender of a RST from the host whose address it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sender {
    /// Its time to live, and that of the host's other packets, where they differ.
    strange_ttl: Option<(u8, u8)>,
    /// How long after the request it came and how long the least round trip takes, ns, where it came too fast.
    too_fast: Option<(i64, i64)>,
}

impl Sender {
    /// Compares a RST with the other packets of the host that it names. `answer_ns` is the time from what it may answer,
    /// `trip_ns` the least round trip to that host, both at the capture point.
    ///
    /// Beside the host nothing is compared: there, the round trip is too short to tell anything, and all packets that carry
    /// its address begin with the same time to live.
    pub fn of(reset: Reset, host: &Half, answer_ns: i64, trip_ns: Option<i64>) -> Sender {
        let too_fast = trip_ns
            .filter(|trip| *trip >= SHORTEST_TRIP_NS && answer_ns >= 0 && answer_ns < trip / TOO_FAST)
            .map(|trip| (answer_ns, trip));
        let strange_ttl = host.ttl().filter(|_| host.is_strange_ttl(reset.ttl)).map(|ttl| (reset.ttl, ttl));
        Sender { strange_ttl, too_fast }
    }

    /// It arrived with a time to live that no other packet of the host has: a hint, as some systems send a RST with another
    /// one than data.
    pub fn is_stranger(self) -> bool {
        self.strange_ttl.is_some()
    }

    /// It came sooner than the host could have answered: from something nearer, or it was on its way already.
    pub fn is_too_fast(self) -> bool {
        self.too_fast.is_some()
    }

    /// Something nearer sent it: it came too fast, and crossed fewer routers than the host's packets do.
    pub fn is_nearer_for_sure(self) -> bool {
        self.is_too_fast() && self.strange_ttl.and_then(nearer_by).is_some_and(|hops| hops > 0)
    }

    /// What speaks for it, in sentences, strongest first. `who` has its name in them, `host` its address.
    pub fn evidence(self, who: &str, host: Endpoint) -> Vec<String> {
        let fast = self.too_fast.map(|(answer_ns, trip_ns)| {
            format!(
                "the RST came {} after the request, a round trip to {who} takes {} at least: {}",
                duration(answer_ns),
                duration(trip_ns),
                if self.is_nearer_for_sure() {
                    "something nearer sent it"
                } else {
                    "something nearer sent it, or it was on its way already"
                }
            )
        });
        fast.into_iter().chain(self.strange_ttl.map(|ttls| described(ttls, who, host))).collect()
    }
}

/// How many routers fewer a RST crossed than the host's other packets; none where the two began with different values.
fn nearer_by((reset, other): (u8, u8)) -> Option<i32> {
    (initial(reset) == initial(other)).then(|| i32::from(reset) - i32::from(other))
}

/// The time to live that a packet most likely began with.
fn initial(ttl: u8) -> u8 {
    INITIAL_TTLS.into_iter().find(|initial| *initial >= ttl).unwrap_or(u8::MAX)
}

fn described(ttls: (u8, u8), who: &str, host: Endpoint) -> String {
    let (reset, other) = ttls;
    let name = if host.ip().is_ipv6() { "hop limit" } else { "TTL" };
    let hops = |hops: i32| if hops == 1 { "1 hop".to_owned() } else { format!("{hops} hops") };
    let meaning = match nearer_by(ttls) {
        Some(nearer) if nearer > 0 && reset == initial(reset) => {
            format!("its sender is {} nearer, with no router in between", hops(nearer))
        }
        Some(nearer) if nearer > 0 => format!("its sender is {} nearer", hops(nearer)),
        Some(farther) => format!("its sender is {} farther away", hops(-farther)),
        None => format!(
            "it began with {} instead of {}: another system sent it, or one that sends a RST in another way",
            initial(reset),
            initial(other)
        ),
    };
    format!("the RST arrived with {name} {reset}, {who}’s other packets with {other}: {meaning}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ttls: (u8, u8)) -> String {
        described(ttls, "the server", Endpoint::v4(1, 80))
    }

    #[test]
    fn hops_are_counted_between_values_that_began_alike() {
        assert!(said((64, 61)).ends_with("3 hops nearer, with no router in between"), "{}", said((64, 61)));
        assert!(said((63, 62)).ends_with("its sender is 1 hop nearer"));
        assert!(said((58, 61)).ends_with("its sender is 3 hops farther away"));
        assert!(said((251, 64)).contains("it began with 255 instead of 64"));
        assert!(said((128, 61)).contains("it began with 128 instead of 64"));
    }

    #[test]
    fn only_what_is_nearer_and_too_fast_is_sure() {
        let fast = Some((300_000, 10_000_000));
        let sure = |strange_ttl, too_fast| Sender { strange_ttl, too_fast }.is_nearer_for_sure();
        assert!(sure(Some((64, 61)), fast));
        assert!(!sure(Some((64, 61)), None) && !sure(None, fast));
        assert!(!sure(Some((58, 61)), fast) && !sure(Some((251, 61)), fast), "no hops can be counted");
    }
}
