//! LZ4 frames, one after another (lz4_Frame_format.md).

use std::io::{self, Chain, Cursor, ErrorKind, Read};

use lz4_flex::frame::FrameDecoder;

use super::compression::is_skippable;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// Decodes all frames of an input.
///
/// [`FrameDecoder`] alone takes an input that ends between two blocks for a whole one, and is not made for a second frame
/// whose blocks are smaller than those of the first.
pub(super) struct Lz4Decoder<R: Read> {
    state: State<R>,
}

enum State<R: Read> {
    Between(R),
    Within(Box<FrameDecoder<Frame<R>>>),
    Over,
}

/// The magic number, read to see what comes, then the rest.
type Frame<R> = Chain<Cursor<[u8; 4]>, Watched<R>>;

impl<R: Read> Lz4Decoder<R> {
    pub(super) fn new(input: R) -> Self {
        Self { state: State::Between(input) }
    }
}

impl<R: Read> Read for Lz4Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Ok(0),
                State::Between(mut input) => {
                    if let Some(magic) = next_frame(&mut input)? {
                        let input = Cursor::new(magic).chain(Watched { input, ended: false });
                        self.state = State::Within(Box::new(FrameDecoder::new(input)));
                    }
                }
                State::Within(mut decoder) => {
                    let count = decoder.read(out)?;
                    if count > 0 {
                        self.state = State::Within(decoder);
                        return Ok(count);
                    }
                    let (_, watched) = decoder.into_inner().into_inner();
                    if watched.ended {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    self.state = State::Between(watched.input);
                }
            }
        }
    }
}

/// Reads up to and including the magic number of the next frame with content. None at the end of the input.
fn next_frame(input: &mut impl Read) -> io::Result<Option<[u8; 4]>> {
    loop {
        let mut magic = [0; 4];
        if input.read(&mut magic[..1])? == 0 {
            return Ok(None);
        }
        input.read_exact(&mut magic[1..])?;
        if magic == MAGIC {
            return Ok(Some(MAGIC));
        }
        if !is_skippable(magic) {
            return Err(io::Error::new(ErrorKind::InvalidData, "what follows a frame is none"));
        }
        let mut len = [0; 4];
        input.read_exact(&mut len)?;
        let len = u64::from(u32::from_le_bytes(len));
        if io::copy(&mut input.by_ref().take(len), &mut io::sink())? < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Remembers whether more was wanted than there is.
struct Watched<R> {
    input: R,
    ended: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        self.ended |= count == 0 && !out.is_empty();
        Ok(count)
    }
}
