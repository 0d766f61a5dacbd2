//! A fast hash of words for fingerprints, the same in every run.

/// Odd, with bits well spread: Knuth's multiplicative hashing by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes words into 64 bits. What is alike by accident stays apart; whoever wants to can make two inputs with the same
/// result, so it is for questions where that gains nothing that sending the same bytes would not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix(u64);

impl Mix {
    pub fn new() -> Mix {
        Mix(SPREAD)
    }

    #[inline]
    pub fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(SPREAD).rotate_left(29);
    }

    /// Adds bytes and their number.
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.add(u64::from_le_bytes(last));
        self.add(bytes.len() as u64);
    }

    /// The high bits of it depend on all bits of all words.
    #[inline]
    pub fn finish(self) -> u64 {
        self.0.wrapping_mul(SPREAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut mix = Mix::new();
        mix.add_bytes(bytes);
        mix.finish()
    }

    #[test]
    fn each_byte_and_the_length_count() {
        let bytes: Vec<u8> = (0..27).collect();
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(of(&bytes), of(&other), "byte {at}");
        }
        assert_ne!(of(&[0; 8]), of(&[0; 9]));
        assert_ne!(of(&[]), of(&[0]));
        assert_eq!(of(&bytes), of(&bytes.clone()));
    }
}
