//! zstd frames, one after another (RFC 8878).

use std::io::{self, BufRead, ErrorKind, Read};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::compression::PackedInput;

/// Grants a frame a window of 128 MiB: what `zstd -d` grants without being told to.
const WINDOW_LOG_MAX: u32 = 27;
/// The bytes that say how long a frame's header is.
const FRAME_START_LEN: usize = 5;

/// Decodes all frames of an input.
///
/// It stands on the library's single steps and not on its `Read`, which at damage keeps back what it had unpacked before:
/// here each step gets no more input than up to the end of a block.
pub(super) struct ZstdDecoder {
    input: PackedInput,
    decoder: Decoder<'static>,
    /// Bytes that the next step can make use of.
    wanted: usize,
    within_frame: bool,
    /// The last read was filled to its end, so that more may come without more input.
    was_filled: bool,
}

impl ZstdDecoder {
    pub(super) fn new(input: PackedInput) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Self { input, decoder, wanted: FRAME_START_LEN, within_frame: false, was_filled: false })
    }
}

impl Read for ZstdDecoder {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let input: &[u8] = if self.was_filled { &[] } else { self.input.fill_buf()? };
            if input.is_empty() && !self.was_filled {
                return if self.within_frame { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(0) };
            }
            if !self.within_frame && !self.was_filled {
                self.decoder.reinit()?;
                self.within_frame = true;
            }
            let mut source = InBuffer::around(&input[..input.len().min(self.wanted)]);
            let mut target = OutBuffer::around(&mut *out);
            let hint = self.decoder.run(&mut source, &mut target)?;
            let (taken, count) = (source.pos(), target.pos());
            self.input.consume(taken);
            self.was_filled = count == out.len();
            if hint == 0 {
                self.within_frame = false;
                self.was_filled = false;
            }
            self.wanted = if hint == 0 { FRAME_START_LEN } else { hint };
            if count > 0 {
                return Ok(count);
            }
        }
    }
}
