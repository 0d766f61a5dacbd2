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

    /// The index of a stream that begins, and where it stands in the file in hand.
    pub fn begin(&mut self) -> (u32, Appearances) {
        let stream = self.next;
        self.next = self.next.wrapping_add(1);
        let mut appearances = Appearances::default();
        if self.file == 0 {
            self.next_in_file = self.next;
        } else {
            appearances.add(self.file, self.take_in_file());
        }
        (stream, appearances)
    }

    fn take_in_file(&mut self) -> u32 {
        let index = self.next_in_file;
        self.next_in_file = self.next_in_file.wrapping_add(1);
        index
    }
}

/// The files of a trace in which a connection has packets; nothing is kept where that is the first one only.
#[derive(Debug, Default)]
pub(super) struct Appearances(Option<Box<Files>>);

#[derive(Debug, Default)]
struct Files {
    seen: Vec<Appearance>,
    /// Zero of the relative numbers of both ends, as the newest file alone shows them.
    bases: [Option<Seq>; 2],
}

#[derive(Debug, Clone, Copy)]
struct Appearance {
    file: u32,
    stream: u32,
}

impl Appearances {
    fn add(&mut self, file: u32, stream: u32) {
        let files = self.0.get_or_insert_default();
        files.seen.push(Appearance { file, stream });
        files.bases = [None; 2];
    }
}

impl Connection {
    /// The connection's index in one file of the trace (0, 1, 2, ...), which is Wireshark's when only that file is opened; none
    /// where it has no packet in it.
    pub fn stream_in(&self, file: u32) -> Option<u32> {
        match &self.appearances.0 {
            None => (file == 0).then_some(self.stream),
            Some(files) => files
                .seen
                .iter()
                .find(|appearance| appearance.file == file)
                .map(|appearance| appearance.stream),
        }
    }

    /// Numbers the connection in the file in hand, at its first packet there. By the same rule as over the whole trace, a SYN
    /// with another number than that file shows takes a further index of it.
    pub(super) fn appear(&mut self, segment: &Segment<'_>, streams: &mut Streams) {
        if streams.file == 0 {
            return;
        }
        let sender = usize::from(segment.src != self.ends[0]);
        let files = self.appearances.0.get_or_insert_with(|| {
            let seen = vec![Appearance { file: 0, stream: self.stream }];
            Box::new(Files { seen, bases: [None; 2] })
        });
        if files.seen.last().is_none_or(|last| last.file != streams.file) {
            files.seen.push(Appearance { file: streams.file, stream: streams.take_in_file() });
            files.bases = [None; 2];
        }
        let opens = segment.flags.syn() && !segment.flags.ack();
        if opens && files.bases[sender].is_some_and(|base| base.0 != segment.seq) {
            streams.take_in_file();
            files.bases = [None; 2];
        }
        let before = |number: u32| Seq(number.wrapping_sub(1));
        files.bases[sender].get_or_insert(if segment.flags.syn() {
            Seq(segment.seq)
        } else {
            before(segment.seq)
        });
        if segment.flags.ack() {
            files.bases[1 - sender].get_or_insert(before(segment.ack));
        }
    }
}
