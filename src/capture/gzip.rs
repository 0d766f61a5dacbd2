//! gzip members, one after another (RFC 1952).

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::compression::PackedInput;

/// Bits of the header's FLG (RFC 1952 section 2.3.1).
mod flag {
    pub const HEADER_CRC: u8 = 1 << 1;
    pub const EXTRA: u8 = 1 << 2;
    pub const NAME: u8 = 1 << 3;
    pub const COMMENT: u8 = 1 << 4;
}

/// Decodes all members of an input.
///
/// It stands on flate2's inflate and not on its `MultiGzDecoder`, which at damage keeps back what it had unpacked before:
/// of a small capture that is all of it.
pub(super) struct GzipDecoder {
    input: PackedInput,
    inflate: Decompress,
    crc: Crc,
    state: State,
    /// The last read was filled to its end, so that more may come without more input.
    was_filled: bool,
}

#[derive(Clone, Copy)]
enum State {
    Between,
    Within,
    AtTrailer,
    Damaged,
}

impl GzipDecoder {
    pub(super) fn new(input: PackedInput) -> Self {
        let inflate = Decompress::new(false);
        Self { input, inflate, crc: Crc::new(), state: State::Between, was_filled: false }
    }

    /// Unpacks what is there. Nothing comes of it at the end of the member, and where more input is needed.
    fn inflate(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let input = if self.was_filled { self.input.buffer() } else { self.input.fill_buf()? };
        if input.is_empty() && !self.was_filled {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
        let result = self.inflate.decompress(input, out, FlushDecompress::None);
        let had_input = !input.is_empty();
        let taken = (self.inflate.total_in() - taken) as usize;
        self.input.consume(taken);
        let count = (self.inflate.total_out() - given) as usize;
        self.crc.update(&out[..count]);
        self.was_filled = count == out.len();
        match result {
            Ok(Status::StreamEnd) => self.state = State::AtTrailer,
            // Input that leads to nothing would lead to nothing for ever.
            Ok(_) if had_input && taken == 0 && count == 0 => self.state = State::Damaged,
            Ok(Status::Ok | Status::BufError) => {}
            Err(_) => self.state = State::Damaged,
        }
        Ok(count)
    }

    /// Passes over the zeros that fill a last block of storage, as gzip(1) does.
    fn skip_padding(&mut self) -> io::Result<()> {
        loop {
            let input = self.input.fill_buf()?;
            let zeros = input.iter().take_while(|byte| **byte == 0).count();
            if zeros == 0 {
                return Ok(());
            }
            self.input.consume(zeros);
        }
    }

    /// Passes over a member's header (RFC 1952 section 2.3).
    fn header(&mut self) -> io::Result<()> {
        let mut fixed = [0; 10];
        self.input.read_exact(&mut fixed)?;
        if !fixed.starts_with(b"\x1f\x8b\x08") {
            return Err(damage("what follows a member is none"));
        }
        let flags = fixed[3];
        if flags & flag::EXTRA != 0 {
            let mut len = [0; 2];
            self.input.read_exact(&mut len)?;
            self.skip(u16::from_le_bytes(len).into())?;
        }
        for text in [flag::NAME, flag::COMMENT] {
            if flags & text != 0 && self.input.skip_until(0)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        if flags & flag::HEADER_CRC != 0 {
            self.skip(2)?;
        }
        Ok(())
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(count), &mut io::sink())?;
        if skipped < count { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Compares checksum and length (RFC 1952 section 2.3.1, CRC32 and ISIZE).
    fn trailer(&mut self) -> io::Result<()> {
        let mut trailer = [0; 8];
        self.input.read_exact(&mut trailer)?;
        let expected = [self.crc.sum().to_le_bytes(), self.crc.amount().to_le_bytes()].concat();
        if trailer[..] == expected[..] { Ok(()) } else { Err(damage("the checksum does not match")) }
    }
}

impl Read for GzipDecoder {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state {
                State::Between => {
                    self.skip_padding()?;
                    if self.input.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    self.header()?;
                    self.inflate.reset(false);
                    self.crc.reset();
                    self.was_filled = false;
                    self.state = State::Within;
                }
                State::Within => {
                    let count = self.inflate(out)?;
                    if count > 0 {
                        return Ok(count);
                    }
                }
                State::AtTrailer => {
                    self.trailer()?;
                    self.state = State::Between;
                }
                State::Damaged => return Err(damage("no deflate data")),
            }
        }
    }
}

fn damage(reason: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}
