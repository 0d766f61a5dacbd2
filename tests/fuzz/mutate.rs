//! Seeded mutations: the same seed makes the same inputs on every machine.

/// Values at which lengths, counts and numbers change their meaning.
const EDGES: [u32; 12] = [0, 1, 2, 7, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff];

pub struct Mutator {
    state: u64,
}

impl Mutator {
    pub fn new(seed: u64) -> Mutator {
        Mutator { state: seed }
    }

    /// One of the seeds with one to eight changes.
    pub fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut bytes, seeds);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        if bytes.is_empty() {
            bytes.push(self.next() as u8);
        }
        let at = self.below(bytes.len());
        let len = 1 + self.below((bytes.len() - at).min(64));
        match self.below(9) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.next() as u8,
            2 => self.put_edge(&mut bytes[at..]),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + len)),
            5 => {
                let copy = bytes[at..at + len].to_vec();
                let to = self.below(bytes.len());
                drop(bytes.splice(to..to, copy));
            }
            6 => {
                let noise: Vec<u8> = (0..len).map(|_| self.next() as u8).collect();
                bytes[at..at + len].copy_from_slice(&noise);
            }
            7 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len().max(1));
                bytes.truncate(at);
                bytes.extend(&other[from.min(other.len())..]);
            }
            _ => {
                let value = bytes[at].wrapping_add(1 + (self.next() % 4) as u8);
                bytes[at] = value;
            }
        }
    }

    /// Writes a value from the edges, in one of the two byte orders, of one, two or four bytes.
    fn put_edge(&mut self, place: &mut [u8]) {
        let value = EDGES[self.below(EDGES.len())];
        let len = place.len().min(1 << self.below(3));
        let bytes = if self.below(2) == 0 { value.to_le_bytes() } else { value.swap_bytes().to_le_bytes() };
        let from = if bytes[0] == 0 && value != 0 { bytes.len() - len } else { 0 };
        place[..len].copy_from_slice(&bytes[from..from + len]);
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
