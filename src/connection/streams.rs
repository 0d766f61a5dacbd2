//! Stream indexes: numbered as Wireshark's `tcp.stream`, over a whole trace and in each of its files.

use crate::packet::Segment;

use super::{Connection, Seq};

/// Issues the indexes, in the order of first packets.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// The next index over the whole trace.
    next: u32,
    /// The file in hand, counted from 0.
    file: u32,
    /// The next index in the file in hand.
    next_in_file: u32,
}

impl Streams {
    /// The next file of the trace begins: Wireshark, opening it alone, counts from 0 again.
    pub fn begin_file(&mut self) {
        self.file += 1;
        self.next_in_file = 0;
    }

    /// The file in hand.
    pub fn file(&self) -> u32 {
        self.file
    }

    /// The index of a stream that begins. In the first file it is the index of the file, too; later ones number a stream
    /// when it [appears](Appearances::note).
    pub fn begin(&mut self) -> u32 {
        let stream = self.next;
        self.next = self.next.wrapping_add(1);
        stream
    }

    /// The next index of the file in hand.
    pub fn take_in_file(&mut self) -> u32 {
        let index = self.next_in_file;
        self.next_in_file = self.next_in_file.wrapping_add(1);
        index
    }
}

/// Zero of the relative numbers of both ends, as far as known, by Wireshark's rule: the SYN's number, or one below the
/// first number that an end used or that the other end acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bases {
    numbers: [u32; 2],
    known: [bool; 2],
}

impl Bases {
    /// Learns from a segment of one of the ends.
    pub fn learn(&mut self, sender: usize, segment: &Segment<'_>) {
        if segment.flags.ack() {
            self.set(1 - sender, segment.ack.wrapping_sub(1));
        }
        self.set(sender, segment.seq.wrapping_sub(u32::from(!segment.flags.syn())));
    }

    /// Sets what is not known yet.
    pub fn set(&mut self, end: usize, number: u32) {
        if !self.known[end] {
            self.numbers[end] = number;
            self.known[end] = true;
        }
    }

    /// The number of one end.
    pub fn get(&self, end: usize) -> Option<Seq> {
        self.known[end].then_some(Seq(self.numbers[end]))
    }

    /// The same with the ends exchanged.
    pub fn exchanged(self) -> Bases {
        let ([first, second], [knows_first, knows_second]) = (self.numbers, self.known);
        Bases { numbers: [second, first], known: [knows_second, knows_first] }
    }

    /// Whether a segment begins a new stream on the same endpoints: a SYN whose number is not this stream's own. (The same
    /// number again is the same attempt to connect, even after a RST: Windows tries a refused SYN three times.)
    pub fn are_left_by(&self, sender: usize, segment: &Segment<'_>) -> bool {
        segment.flags.syn()
            && !segment.flags.ack()
            && self.get(sender).is_some_and(|base| base.0 != segment.seq)
    }
}

/// The files of a trace in which a connection has packets; nothing is kept where that is the first one only.
#[derive(Debug, Clone, Default)]
pub(super) struct Appearances(Option<Box<Files>>);

#[derive(Debug, Clone, Default)]
struct Files {
    seen: Vec<Appearance>,
    /// As the newest file alone shows them.
    bases: Bases,
}

#[derive(Debug, Clone, Copy)]
struct Appearance {
    file: u32,
    stream: u32,
}

impl Appearances {
    /// Of a connection that begins in a later file than the first.
    pub fn begin(file: u32, stream: u32) -> Appearances {
        let seen = vec![Appearance { file, stream }];
        Appearances(Some(Box::new(Files { seen, bases: Bases::default() })))
    }

    /// Numbers a connection in the file in hand, at its first packet there. `shared` is the index where virtual networks share
    /// one. By the same rule as over the whole trace, a SYN with another number than the file shows takes a further index.
    pub fn note(
        &mut self,
        stream: u32,
        sender: usize,
        segment: &Segment<'_>,
        streams: &mut Streams,
        shared: Option<u32>,
    ) {
        if streams.file == 0 {
            return;
        }
        let files = self.0.get_or_insert_with(|| {
            let seen = vec![Appearance { file: 0, stream }];
            Box::new(Files { seen, bases: Bases::default() })
        });
        if files.seen.last().is_none_or(|last| last.file != streams.file) {
            let stream = shared.unwrap_or_else(|| streams.take_in_file());
            files.seen.push(Appearance { file: streams.file, stream });
            files.bases = Bases::default();
        }
        if files.bases.are_left_by(sender, segment) {
            if shared.is_none() {
                streams.take_in_file();
            }
            files.bases = Bases::default();
        }
        files.bases.learn(sender, segment);
    }

    /// The newest file with packets of a connection, and its index there.
    pub fn newest(&self, stream: u32) -> (u32, u32) {
        let newest = self.0.as_ref().and_then(|files| files.seen.last());
        newest.map_or((0, stream), |newest| (newest.file, newest.stream))
    }

    fn stream_in(&self, file: u32, stream: u32) -> Option<u32> {
        match &self.0 {
            None => (file == 0).then_some(stream),
            Some(files) => files.seen.iter().find(|seen| seen.file == file).map(|seen| seen.stream),
        }
    }
}

impl Connection {
    /// The connection's index in one file of the trace (0, 1, 2, ...), which is Wireshark's when only that file is opened; none
    /// where it has no packet in it.
    pub fn stream_in(&self, file: u32) -> Option<u32> {
        self.appearances.stream_in(file, self.stream)
    }
}
