//! Captures that were compressed as a whole, recognised by their first bytes and never by their names.

use std::cell::RefCell;
use std::io::{self, BufReader, ErrorKind, Read};
use std::rc::Rc;

use lzma_rust2::XzReader;
use thiserror::Error;

use super::gzip::GzipDecoder;
use super::lz4::Lz4Decoder;
use super::zstandard::ZstdDecoder;

/// Compressed bytes read at once.
const INPUT_LEN: usize = 64 << 10;
/// The most memory that an xz stream may make its decoder take: twice what `xz -9` needs.
const XZ_MEMORY_KIB: u32 = 128 << 10;
/// How the zstd library words that a window is larger than granted.
const ZSTD_TOO_LARGE: &str = "Frame requires too much memory for decoding";
/// Unpacked xz bytes asked for at once: as much as is lost before damage, because the decoder keeps it back.
const XZ_OUTPUT_LEN: usize = 1 << 10;

/// A compression that is undone on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
    /// The LZ4 frame format, any number of frames.
    Lz4,
    /// The .xz format, any number of streams.
    Xz,
}

impl Method {
    /// The method that a stream starting with these bytes was compressed by.
    pub(super) fn recognise(start: &[u8]) -> Option<Self> {
        // gzip's third byte: deflate, the only method there has ever been.
        const STARTS: [(&[u8], Method); 4] = [
            (b"\x1f\x8b\x08", Method::Gzip),
            (b"\x28\xb5\x2f\xfd", Method::Zstd),
            (b"\x04\x22\x4d\x18", Method::Lz4),
            (b"\xfd7zXZ\0", Method::Xz),
        ];
        STARTS.into_iter().find(|(first, _)| start.starts_with(first)).map(|(_, method)| method)
    }

    /// The word for it in messages and in [`super::ReaderSummary::format`].
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
        }
    }
}

/// Whether a skippable frame starts so: zstd and lz4 share them (RFC 8878 section 3.1.2), so that only what follows tells
/// which of the two it is. A length of four bytes comes next, then as many bytes.
pub(super) fn is_skippable(magic: [u8; 4]) -> bool {
    u32::from_le_bytes(magic) & !0xf == 0x184d_2a50
}

/// A compressed stream that cannot be unpacked to its end. It travels inside an [`io::Error`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Damage {
    #[error("the {method} stream ends early, after {unpacked} unpacked bytes")]
    Early { method: &'static str, unpacked: u64 },
    #[error("the {method} stream asks for more memory than is granted, after {unpacked} unpacked bytes")]
    TooLarge { method: &'static str, unpacked: u64 },
    #[error("the {method} stream is damaged after {unpacked} unpacked bytes ({reason})")]
    Corrupt { method: &'static str, unpacked: u64, reason: String },
}

impl Damage {
    /// What to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "unpack it first (zstd -d --long=31, xz -d)",
            Self::Early { .. } | Self::Corrupt { .. } => "copy it again from where it was made",
        }
    }
}

/// Unpacks a stream of one method. Damage comes as an [`io::Error`] around [`Damage`], failures of the input as they are.
pub(super) struct Unpacker {
    method: Method,
    decoder: Box<dyn Read>,
    input: Rc<RefCell<InputState>>,
    unpacked: u64,
}

impl Unpacker {
    pub(super) fn new(method: Method, input: Box<dyn Read + Send>) -> Self {
        let state = Rc::new(RefCell::new(InputState::default()));
        let input = BufReader::with_capacity(INPUT_LEN, Watched { input, state: Rc::clone(&state) });
        let decoder: Box<dyn Read> = match method {
            Method::Gzip => Box::new(GzipDecoder::new(input)),
            Method::Zstd => match ZstdDecoder::new(input) {
                Ok(decoder) => Box::new(decoder),
                Err(error) => Box::new(Failing(Some(error))),
            },
            Method::Lz4 => Box::new(Lz4Decoder::new(input)),
            Method::Xz => Box::new(XzReader::new_mem_limit(input, true, XZ_MEMORY_KIB)),
        };
        Self { method, decoder, input: state, unpacked: 0 }
    }

    fn damage(&self, error: &io::Error) -> Damage {
        let (method, unpacked) = (self.method.name(), self.unpacked);
        if error.kind() == ErrorKind::OutOfMemory || error.to_string() == ZSTD_TOO_LARGE {
            return Damage::TooLarge { method, unpacked };
        }
        // A decoder that met the end of its input wanted more of it, whatever it says.
        if self.input.borrow().ended || error.kind() == ErrorKind::UnexpectedEof {
            Damage::Early { method, unpacked }
        } else {
            Damage::Corrupt { method, unpacked, reason: error.to_string() }
        }
    }
}

impl Read for Unpacker {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = if self.method == Method::Xz { XZ_OUTPUT_LEN } else { usize::MAX };
        let len = out.len().min(most);
        let result = self.decoder.read(&mut out[..len]);
        if let Some(failure) = self.input.borrow_mut().failure.take() {
            return Err(failure);
        }
        match result {
            Ok(count) => {
                self.unpacked += count as u64;
                Ok(count)
            }
            Err(error) => Err(io::Error::other(self.damage(&error))),
        }
    }
}

/// A decoder that could not be made.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// What happened to the input of a decoder, kept beside it because decoders pass on errors in their own words.
#[derive(Debug, Default)]
struct InputState {
    failure: Option<io::Error>,
    ended: bool,
}

/// What decoders read.
pub(super) type PackedInput = BufReader<Watched>;

/// The input of a decoder, which keeps what happened to it.
pub(super) struct Watched {
    input: Box<dyn Read + Send>,
    state: Rc<RefCell<InputState>>,
}

impl Read for Watched {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.input.read(out) {
                Ok(count) => {
                    self.state.borrow_mut().ended = count == 0;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.state.borrow_mut().failure = Some(error);
                    return Err(io::Error::other("the input failed"));
                }
            }
        }
    }
}
