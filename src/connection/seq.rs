//! Sequence numbers: arithmetic modulo 2^32 (RFC 9293 section 3.4).

/// A TCP sequence or acknowledgement number.
///
/// Deliberately without `Ord`: "before" has no meaning on a circle except between numbers less than 2^31 apart,
/// which holds for any two numbers of one connection that a rule compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seq(pub u32);

impl Seq {
    /// Signed distance from `earlier` to `self`, in bytes; negative when `self` lies before it.
    pub const fn since(self, earlier: Seq) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    /// `self` lies strictly before `other`.
    pub const fn before(self, other: Seq) -> bool {
        self.since(other) < 0
    }

    /// `self` lies strictly after `other`.
    pub const fn after(self, other: Seq) -> bool {
        self.since(other) > 0
    }

    /// The number `bytes` further on.
    pub const fn plus(self, bytes: u32) -> Seq {
        Seq(self.0.wrapping_add(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_holds_across_the_wrap() {
        let last = Seq(u32::MAX);
        let first = last.plus(1);
        assert_eq!(first, Seq(0));
        assert!(last.before(first) && first.after(last));
        assert_eq!(first.since(last), 1);
        assert_eq!(last.since(first), -1);
    }

    #[test]
    fn a_number_is_neither_before_nor_after_itself() {
        assert!(!Seq(7).before(Seq(7)) && !Seq(7).after(Seq(7)));
    }
}
