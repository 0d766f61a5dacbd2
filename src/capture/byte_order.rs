//! Integers in the byte order of the machine that wrote the file.

/// Byte order of a classic file or of one pcapng section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// The 16-bit integer at `at`, which the caller knows to be within `bytes`.
    #[inline]
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let raw = [bytes[at], bytes[at + 1]];
        match self {
            Self::Little => u16::from_le_bytes(raw),
            Self::Big => u16::from_be_bytes(raw),
        }
    }

    /// The 32-bit integer at `at`, which the caller knows to be within `bytes`.
    #[inline]
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let raw = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        match self {
            Self::Little => u32::from_le_bytes(raw),
            Self::Big => u32::from_be_bytes(raw),
        }
    }

    /// Four 32-bit integers.
    #[inline]
    pub(super) fn u32s(self, raw: &[u8; 16]) -> [u32; 4] {
        let (words, _) = raw.as_chunks::<4>();
        std::array::from_fn(|at| {
            let word = u32::from_le_bytes(words[at]);
            if self == Self::Little { word } else { word.swap_bytes() }
        })
    }

    /// A 64-bit integer stored as one value (option values are).
    pub(super) fn u64(self, raw: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(raw),
            Self::Big => u64::from_be_bytes(raw),
        }
    }

    /// Appends a 16-bit integer.
    pub(super) fn put_u16(self, out: &mut Vec<u8>, value: u16) {
        out.extend(match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        });
    }

    /// Appends a 32-bit integer.
    pub(super) fn put_u32(self, out: &mut Vec<u8>, value: u32) {
        out.extend(match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        });
    }

    /// The word used in [`super::ReaderSummary::format`].
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Little => "little-endian",
            Self::Big => "big-endian",
        }
    }
}
