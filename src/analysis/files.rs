//! The files of one trace: where each one's frames begin, and what is missing between them.

use crate::connection::{Connection, Moment};
use crate::diagnosis::Circumstances;
use crate::report::FrameIn;

/// One file of a trace.
#[derive(Debug)]
struct File {
    /// Index of the capture in the report.
    capture: u32,
    /// Frames in the files before it.
    frames_before: u64,
}

/// Time between two files in which a third one is missing, ns since 1970.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from_ns: i64,
    to_ns: i64,
}

/// The files of one trace in the order of their times. Frames are counted through all of them.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Number of the trace.
    pub trace: u32,
    files: Vec<File>,
    gaps: Vec<Gap>,
    /// A capturing kernel reported dropped packets.
    pub dropped: bool,
}

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Position of the file in its trace.
    pub file: u32,
    /// Capture, and Wireshark's frame number in it.
    pub frame: FrameIn,
}

impl Files {
    pub fn of_trace(trace: u32) -> Files {
        Files { trace, ..Files::default() }
    }

    /// The next file, with the frames counted so far.
    pub fn begin(&mut self, capture: u32, frames_before: u64) {
        self.files.push(File { capture, frames_before });
    }

    /// A file is missing between these times.
    pub fn gap(&mut self, from_ns: i64, to_ns: i64) {
        self.gaps.push(Gap { from_ns, to_ns });
    }

    /// Capture of the newest file.
    pub fn newest(&self) -> Option<u32> {
        self.files.last().map(|file| file.capture)
    }

    /// The captures, in the order of their times.
    pub fn captures(&self) -> impl Iterator<Item = u32> + '_ {
        self.files.iter().map(|file| file.capture)
    }

    /// Finds a frame by its number in the trace.
    pub fn locate(&self, frame: u64) -> Place {
        let after = self.files.partition_point(|file| file.frames_before < frame);
        let at = after.saturating_sub(1);
        let (capture, before) = self.files.get(at).map_or((0, 0), |file| (file.capture, file.frames_before));
        Place { file: at as u32, frame: FrameIn { capture, frame: frame - before } }
    }

    /// The capture that holds a connection's first packet, and its stream there.
    pub fn first_stream(&self, connection: &Connection) -> (u32, u32) {
        (0..)
            .zip(&self.files)
            .find_map(|(at, file)| Some((file.capture, connection.stream_in(at)?)))
            .unwrap_or((0, connection.stream))
    }

    /// The capture, stream and frame of a mark.
    pub fn stream_at(&self, connection: &Connection, moment: Moment) -> (Place, u32) {
        let place = self.locate(moment.frame());
        (place, connection.stream_in(place.file).unwrap_or(connection.stream))
    }

    /// What may have been lost of a connection.
    pub fn circumstances(&self, connection: &Connection) -> Circumstances {
        let open_over = |gap: &Gap| connection.first_ns <= gap.from_ns && connection.last_ns >= gap.to_ns;
        Circumstances { packets_dropped: self.dropped, file_missing: self.gaps.iter().any(open_over) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_in_the_file_that_holds_it() {
        let mut files = Files::of_trace(0);
        files.begin(4, 0);
        files.begin(5, 10);
        // A file without packets holds no frame.
        files.begin(6, 10);
        files.begin(7, 12);
        let places = [1, 10, 11, 12, 13].map(|frame| files.locate(frame));
        let found = places.map(|place| (place.file, place.frame.capture, place.frame.frame));
        assert_eq!(found, [(0, 4, 1), (0, 4, 10), (2, 6, 1), (2, 6, 2), (3, 7, 1)]);
    }
}
