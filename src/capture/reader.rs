//! Records out of a file or a pipe, whatever its format.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::classic::{self, Classic};
use super::pcapng::{self, Pcapng};
use super::step::{Found, Step};
use super::window::Window;
use super::{CaptureError, LinkType, Record};

/// First bytes of what people hand over instead of a capture: name, and the command that unpacks it.
const COMPRESSIONS: [(&[u8], &str, &str); 4] = [
    (b"\x1f\x8b", "gzip", "gzip -dc"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    (b"\xfd7zXZ", "xz", "xz -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
];

/// Reads the records of one capture, in the order of the file.
pub struct Reader {
    window: Window,
    format: Format,
    ended: bool,
    last_time_ns: i64,
    summary: ReaderSummary,
}

/// What is known of a capture after as many records as were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderSummary {
    /// Name as given by the user; `-` is standard input.
    pub name: String,
    /// Container format in words, such as `pcap, little-endian, microseconds`.
    pub format: String,
    /// Link types that the capture declares, each once, in the order of their first appearance.
    pub link_types: Vec<LinkType>,
    /// Records read.
    pub packets: u64,
    /// Packets that the capturing kernel dropped, by the interface statistics (pcapng section 4.6); none where the
    /// capture does not say.
    pub dropped_by_kernel: Option<u64>,
    /// Why and where the reading ended, if that was before the end of a record or block.
    pub truncated: Option<String>,
    /// Earliest time of a record, nanoseconds since 1970.
    pub first_ns: Option<i64>,
    /// Latest time of a record, nanoseconds since 1970.
    pub last_ns: Option<i64>,
}

enum Format {
    Classic(Classic),
    Pcapng(Pcapng),
}

impl Reader {
    /// Opens a capture file, or standard input for the path `-`.
    ///
    /// # Errors
    /// If it cannot be opened or read, is empty, or is no capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        if name == "-" {
            return Self::from_read(&name, Box::new(io::stdin()));
        }
        // Asked first, because opening a directory succeeds and only reading it fails, with a worse message.
        if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            return Err(CaptureError::Directory { name });
        }
        match File::open(path) {
            Ok(file) => Self::from_read(&name, Box::new(file)),
            Err(source) => Err(match source.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => CaptureError::NotFound { name },
                ErrorKind::PermissionDenied => CaptureError::NotPermitted { name },
                _ => CaptureError::Open { name, source },
            }),
        }
    }

    /// Reads a capture from any input. `name` is what messages and the summary call it; `-` is standard input.
    ///
    /// # Errors
    /// If the input cannot be read, is empty, or is no capture.
    pub fn from_read(name: &str, input: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        let mut window = Window::new(input);
        let format = recognise(name, &mut window)?;
        let (words, link_types) = match &format {
            Format::Classic(classic) => (classic.format(), vec![classic.link()]),
            Format::Pcapng(pcapng) => (pcapng.format(), Vec::new()),
        };
        let summary = ReaderSummary {
            name: name.to_owned(),
            format: words,
            link_types,
            packets: 0,
            dropped_by_kernel: None,
            truncated: None,
            first_ns: None,
            last_ns: None,
        };
        Ok(Self { window, format, ended: false, last_time_ns: 0, summary })
    }

    /// The next record, or none at the end: of the input, or of what of it can be read
    /// ([`ReaderSummary::truncated`] tells them apart).
    ///
    /// # Errors
    /// Only if the input itself cannot be read further. The reading is over then.
    #[expect(clippy::should_implement_trait, reason = "a record is lent, which Iterator cannot express")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, CaptureError> {
        let Some(found) = self.find()? else { return Ok(None) };
        if let Some(time_ns) = found.time_ns {
            self.last_time_ns = time_ns;
            self.summary.first_ns = Some(self.summary.first_ns.map_or(time_ns, |first| first.min(time_ns)));
            self.summary.last_ns = Some(self.summary.last_ns.map_or(time_ns, |last| last.max(time_ns)));
        }
        self.summary.packets += 1;
        Ok(Some(Record {
            time_ns: self.last_time_ns,
            link: found.link,
            interface: found.interface,
            wire_len: found.wire_len,
            data: self.window.get(found.data),
        }))
    }

    /// What is known so far; complete once [`Reader::next`] has returned none.
    pub fn summary(&self) -> ReaderSummary {
        let mut summary = self.summary.clone();
        if let Format::Pcapng(pcapng) = &self.format {
            summary.link_types = pcapng.link_types().to_vec();
            summary.dropped_by_kernel = pcapng.dropped_by_kernel();
        }
        summary
    }

    /// Steps over the input to the next packet.
    fn find(&mut self) -> Result<Option<Found>, CaptureError> {
        while !self.ended {
            let offset = self.window.offset();
            let step = match &mut self.format {
                Format::Classic(classic) => classic.step(&mut self.window),
                Format::Pcapng(pcapng) => pcapng.step(&mut self.window),
            };
            match step {
                Ok(Step::Record(found)) => return Ok(Some(found)),
                Ok(Step::Other) => {}
                Ok(Step::End) => self.ended = true,
                Ok(Step::Stop(stop)) => {
                    self.ended = true;
                    let whole = self.summary.packets;
                    self.summary.truncated =
                        Some(format!("{stop}, at byte {offset} (whole records before it: {whole})"));
                }
                Err(source) => {
                    self.ended = true;
                    return Err(read_error(&self.summary.name, self.window.offset(), source));
                }
            }
        }
        Ok(None)
    }
}

/// Finds out what the input is, and takes the file header of a classic capture.
fn recognise(name: &str, window: &mut Window) -> Result<Format, CaptureError> {
    let mut fill = |wanted| {
        window.fill(wanted).map_err(|source| read_error(name, 0, source)).map(|present| present.min(wanted))
    };
    let name_for_message = || spoken_name(name);
    if fill(1)? == 0 {
        return Err(CaptureError::Empty { name: name_for_message() });
    }
    let present = fill(classic::FILE_HEADER_LEN)?;
    let start = &window.available()[..present];
    let header_cut = |needed| CaptureError::HeaderCut { name: name_for_message(), present, needed };
    if let Some(magic) = start.first_chunk().copied().and_then(Classic::recognise) {
        if present < classic::FILE_HEADER_LEN {
            return Err(header_cut(classic::FILE_HEADER_LEN));
        }
        let classic = Classic::new(magic, start);
        window.take(classic::FILE_HEADER_LEN);
        return Ok(Format::Classic(classic));
    }
    if start.starts_with(&pcapng::SECTION_HEADER.to_le_bytes()) {
        if present < pcapng::SECTION_START_LEN {
            return Err(header_cut(pcapng::SECTION_START_LEN));
        }
        if let Some(pcapng) = Pcapng::recognise(start) {
            return Ok(Format::Pcapng(pcapng));
        }
    }
    for (first, method, unpack) in COMPRESSIONS {
        if start.starts_with(first) {
            return Err(CaptureError::Compressed { name: name_for_message(), method, unpack });
        }
    }
    let first_bytes = start.iter().take(8).fold(String::new(), |mut text, byte| {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{byte:02x}");
        text
    });
    Err(CaptureError::NotACapture { name: name_for_message(), first_bytes })
}

fn read_error(name: &str, offset: u64, source: io::Error) -> CaptureError {
    CaptureError::Read { name: spoken_name(name), offset, source }
}

/// The name as a sentence needs it.
fn spoken_name(name: &str) -> String {
    if name == "-" { "standard input".to_owned() } else { name.to_owned() }
}
