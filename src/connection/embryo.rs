//! A connection with a handshake at most, kept small: of a flood there are millions.

use crate::packet::{Endpoint, Flags, Segment};

use super::streams::{Appearances, Bases};
use super::{Connection, Mark, RoleHints};

/// Segments kept before a connection is worth its full state: a handshake.
const KEPT: usize = 3;

/// What a connection reads of a segment without payload.
#[derive(Debug, Clone, Copy, Default)]
struct Header {
    time_ns: i64,
    seq: u32,
    ack: u32,
    /// Frames after the first one.
    frame: u32,
    flags: Flags,
    ttl: u8,
    /// Index of the sender in `ends`.
    sender: u8,
}

/// The beginning of a connection, as the headers of its first segments; they are read when something needs more.
#[derive(Debug, Clone)]
pub(super) struct Embryo {
    /// The first sent the first captured segment.
    pub ends: [Endpoint; 2],
    /// Virtual network.
    pub tunnel: u32,
    /// Index of the stream.
    pub stream: u32,
    /// Number of the connection in the table: unlike slots and streams never used twice.
    pub serial: u32,
    /// Zero of the relative numbers.
    pub bases: Bases,
    /// The files it was seen in.
    pub appearances: Appearances,
    /// It was given up before.
    pub resumed: bool,
    first_frame: u64,
    headers: [Header; KEPT],
    len: u8,
    copies: [u8; 2],
}

impl Embryo {
    /// A connection that begins with a segment, which is yet to be [admitted](Embryo::admit).
    pub fn new(segment: &Segment<'_>, frame: u64, stream: u32, serial: u32, bases: Bases) -> Embryo {
        Embryo {
            ends: [segment.src, segment.dst],
            tunnel: segment.tunnel,
            stream,
            serial,
            bases,
            appearances: Appearances::default(),
            resumed: false,
            first_frame: frame,
            headers: Default::default(),
            len: 0,
            copies: [0; 2],
        }
    }

    /// Keeps a segment's header; false where the connection needs its full state to take it: it brings payload or a FIN,
    /// or a RST before the roles are known, or there are too many.
    pub fn admit(&mut self, segment: &Segment<'_>, mark: Mark) -> bool {
        let at = usize::from(self.len);
        let opened_by_syn = if at == 0 { segment.flags.syn() } else { self.headers[0].flags.syn() };
        let needs_more =
            segment.payload_len > 0 || segment.flags.fin() || (segment.flags.rst() && !opened_by_syn);
        let (Some(header), Ok(frame)) =
            (self.headers.get_mut(at), u32::try_from(mark.frame.wrapping_sub(self.first_frame)))
        else {
            return false;
        };
        if needs_more {
            return false;
        }
        let sender = usize::from(segment.src != self.ends[0]);
        self.bases.learn(sender, segment);
        *header = Header {
            time_ns: mark.time_ns,
            seq: segment.seq,
            ack: segment.ack,
            frame,
            flags: segment.flags,
            ttl: segment.ttl,
            sender: sender as u8,
        };
        self.len += 1;
        true
    }

    /// Counts a copy; false where the full state is needed for it.
    pub fn count_copy(&mut self, sender: Endpoint) -> bool {
        let sender = usize::from(sender != self.ends[0]);
        match self.copies[sender].checked_add(1) {
            Some(copies) => {
                self.copies[sender] = copies;
                true
            }
            None => false,
        }
    }

    /// Segments and, of these, copies.
    pub fn packets_and_copies(&self) -> (u64, u64) {
        let copies = self.copies.iter().map(|copies| u64::from(*copies)).sum();
        (u64::from(self.len) + copies, copies)
    }

    /// Time of the last segment.
    pub fn last_ns(&self) -> i64 {
        self.kept().iter().map(|header| header.time_ns).max().unwrap_or_default()
    }

    /// A RST was seen.
    pub fn is_closed(&self) -> bool {
        self.kept().iter().any(|header| header.flags.rst())
    }

    /// The handshake was begun and never completed.
    pub fn is_half_open(&self) -> bool {
        self.kept().iter().all(|header| header.flags.syn())
    }

    /// The connection with its full state.
    pub fn grow(&self, hints: &RoleHints) -> Connection {
        let mut connection = Connection::new(self.stream, self.tunnel, self.ends);
        connection.serial = self.serial;
        connection.resumed = self.resumed;
        connection.appearances = self.appearances.clone();
        for end in 0..2 {
            self.bases.get(end).into_iter().for_each(|base| connection.halves[end].begin_at(base));
        }
        for header in self.kept() {
            let sender = usize::from(header.sender);
            let segment = Segment {
                src: self.ends[sender],
                dst: self.ends[1 - sender],
                tunnel: self.tunnel,
                seq: header.seq,
                ack: header.ack,
                flags: header.flags,
                ttl: header.ttl,
                payload_len: 0,
                payload: &[],
                // No connection reads these.
                window: 0,
                ip_id: None,
                timestamps: None,
            };
            let mark = Mark::of(&segment, self.first_frame + u64::from(header.frame), header.time_ns);
            connection.ingest(&segment, None, mark, hints);
        }
        for (sender, copies) in self.ends.into_iter().zip(self.copies) {
            (0..copies).for_each(|_| connection.count_copy(sender, connection.last_ns));
        }
        connection
    }

    fn kept(&self) -> &[Header] {
        &self.headers[..usize::from(self.len)]
    }
}
