//! A place in a packet: what was captured behind it, and what the wire had.

use super::Skip;

/// Walks through the headers of a packet. Always `at <= captured.len() <= end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    /// Bytes from the start of the record, or of the joined datagram, to the end of the innermost layer, as far as they
    /// were captured.
    captured: &'a [u8],
    at: usize,
    /// Where the innermost layer ends on the wire.
    end: usize,
}

impl<'a> Cursor<'a> {
    /// The start of a packet that had `wire_len` bytes.
    #[inline]
    pub fn new(captured: &'a [u8], wire_len: usize) -> Cursor<'a> {
        // Some writers claim less than they captured.
        Cursor { captured, at: 0, end: wire_len.max(captured.len()) }
    }

    /// Captured bytes from here on, without padding of the link.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.captured[self.at..]
    }

    /// Bytes the wire had from here to the end of the innermost layer.
    #[inline]
    pub fn wire_len(&self) -> usize {
        self.end - self.at
    }

    /// Distance from the start of the packet.
    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether the capture kept less than the wire had.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.captured.len() < self.end
    }

    /// Why bytes are missing here: the capture kept too few, or else there never were enough, which is `malformed`.
    pub fn too_short(&self, malformed: Skip) -> Skip {
        if self.is_cut() { Skip::CutBeforeTcpHeader } else { malformed }
    }

    /// The byte `ahead` of here.
    #[inline]
    pub fn peek(&self, ahead: usize) -> Result<u8, Skip> {
        self.rest().get(ahead).copied().ok_or_else(|| self.too_short(Skip::MalformedLink))
    }

    /// The two bytes `ahead` of here, big-endian.
    #[inline]
    pub fn peek_u16(&self, ahead: usize) -> Result<u16, Skip> {
        Ok(u16::from_be_bytes([self.peek(ahead)?, self.peek(ahead + 1)?]))
    }

    /// Passes over a field and returns it.
    #[inline]
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], Skip> {
        let field = *self.rest().first_chunk().ok_or_else(|| self.too_short(Skip::MalformedLink))?;
        self.at += N;
        Ok(field)
    }

    /// Passes over a byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Skip> {
        self.take().map(u8::from_be_bytes)
    }

    /// Passes over a 16-bit field, big-endian.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Skip> {
        self.take().map(u16::from_be_bytes)
    }

    /// Passes over a 32-bit field, big-endian.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Skip> {
        self.take().map(u32::from_be_bytes)
    }

    /// Passes over bytes that do not matter.
    #[inline]
    pub fn skip(&mut self, len: usize) -> Result<(), Skip> {
        if len > self.rest().len() {
            return Err(self.too_short(Skip::MalformedLink));
        }
        self.at += len;
        Ok(())
    }

    /// Believes a length field: the layer ends `len` bytes from here, whatever the layers around it say.
    #[inline]
    pub fn limit(&mut self, len: usize) {
        self.end = self.at + len;
        self.captured = &self.captured[..self.captured.len().min(self.end)];
    }

    /// This place without the bytes, to come back to it.
    pub fn place(&self) -> Place {
        Place { at: self.at, captured_len: self.captured.len(), end: self.end }
    }
}

/// What a [`Cursor`] knows besides the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    at: usize,
    captured_len: usize,
    end: usize,
}

impl Place {
    /// The same place in the bytes it was found in.
    pub fn of(self, bytes: &[u8]) -> Cursor<'_> {
        Cursor { captured: &bytes[..self.captured_len], at: self.at, end: self.end }
    }
}
