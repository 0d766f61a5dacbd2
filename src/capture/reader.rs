//! Records out of a file or a pipe, whatever its format.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::batch::Batch;
use super::read_ahead::{ReadAhead, Waiting};
use super::recognise::{Broken, Format, Recognised, layers, recognise, spoken_name};
use super::step::{Found, Step};
use super::window::Window;
use super::{CaptureError, Interrupt, LinkType, Record};

/// Reads the records of one capture, in the order of the file.
pub struct Reader {
    window: Window,
    format: Format,
    /// Found by [`Reader::peek_time`] and not yet given.
    peeked: Option<Found>,
    /// Told when the records before it are handed over.
    failure: Option<CaptureError>,
    ended: bool,
    last_time_ns: i64,
    interrupt: Interrupt,
    /// None where reading does not wait, or cannot be seen to.
    waiting: Option<Waiting>,
    /// Bytes taken from the input itself.
    consumed: Arc<AtomicU64>,
    bytes_total: Option<u64>,
    is_packed: bool,
    summary: ReaderSummary,
}

/// What is known of a capture after as many records as were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderSummary {
    /// Name as given by the user; `-` is standard input.
    pub name: String,
    /// Container format in words, such as `pcap, little-endian, microseconds, in gzip`.
    pub format: String,
    /// Link types that the capture declares, each once, in the order of their first appearance.
    pub link_types: Vec<LinkType>,
    /// Records read: as many as Wireshark has frames.
    pub packets: u64,
    /// Packets that the capturing kernel dropped, by the interface statistics (pcapng section 4.6); none where the
    /// capture does not say.
    pub dropped_by_kernel: Option<u64>,
    /// Why and where the reading ended, if that was before the end of the capture: damage, a cut, an [`Interrupt`].
    pub truncated: Option<String>,
    /// Earliest time of a record, nanoseconds since 1970.
    pub first_ns: Option<i64>,
    /// Latest time of a record, nanoseconds since 1970.
    pub last_ns: Option<i64>,
}

impl ReaderSummary {
    /// Counts packets with the earliest and the latest of their times.
    fn add(&mut self, packets: u64, first_ns: i64, last_ns: i64) {
        self.packets += packets;
        self.first_ns = Some(self.first_ns.map_or(first_ns, |first| first.min(first_ns)));
        self.last_ns = Some(self.last_ns.map_or(last_ns, |last| last.max(last_ns)));
    }
}

impl Reader {
    /// Opens a capture file, or standard input for the path `-`.
    ///
    /// # Errors
    /// If it cannot be opened or read, is empty, or is no capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        Self::open_with(path, &Interrupt::default())
    }

    /// As [`Reader::open`], to be read until the interrupt is raised.
    ///
    /// # Errors
    /// As [`Reader::open`]; also if the interrupt is raised before a silent pipe has shown what it is.
    pub fn open_with(path: &Path, interrupt: &Interrupt) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        if name == "-" {
            return Self::from_pipe(&name, Box::new(io::stdin()), interrupt);
        }
        let metadata = fs::metadata(path).ok();
        // Asked first, because opening a directory succeeds and only reading it fails, with a worse message.
        if metadata.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(CaptureError::Directory { name });
        }
        let file = match File::open(path) {
            Ok(file) => Box::new(file),
            Err(source) => {
                return Err(match source.kind() {
                    ErrorKind::NotFound | ErrorKind::NotADirectory => CaptureError::NotFound { name },
                    ErrorKind::PermissionDenied => CaptureError::NotPermitted { name },
                    _ => CaptureError::Open { name, source },
                });
            }
        };
        match metadata.filter(fs::Metadata::is_file) {
            Some(metadata) => Self::start(&name, Input::direct(file, Some(metadata.len())), interrupt),
            None => Self::from_pipe(&name, file, interrupt),
        }
    }

    /// Reads a capture from any input, at the moments when [`Reader::next`] needs bytes. `name` is what messages and the
    /// summary call it; `-` is standard input.
    ///
    /// # Errors
    /// If the input cannot be read, is empty, or is no capture.
    pub fn from_read(name: &str, input: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        Self::start(name, Input::direct(input, None), &Interrupt::default())
    }

    /// Reads a capture from an input that may be silent for long, such as a pipe: in a thread of its own, which drains it
    /// while the records before are used. A record is given as soon as its bytes are there. After a raised interrupt, or
    /// after the reader is dropped, the thread ends with the next bytes that arrive.
    ///
    /// # Errors
    /// As [`Reader::open_with`].
    pub fn from_pipe(
        name: &str,
        input: Box<dyn Read + Send>,
        interrupt: &Interrupt,
    ) -> Result<Self, CaptureError> {
        let input = Input::ahead(input, interrupt)
            .map_err(|source| CaptureError::Open { name: spoken_name(name), source })?;
        Self::start(name, input, interrupt)
    }

    fn start(name: &str, input: Input, interrupt: &Interrupt) -> Result<Self, CaptureError> {
        let Recognised { window, format, methods } = recognise(name, input.bytes, interrupt)?;
        let (mut words, link_types) = match &format {
            Format::Classic(classic) => (classic.format(), vec![classic.link()]),
            Format::Pcapng(pcapng) => (pcapng.format(), Vec::new()),
        };
        if !methods.is_empty() {
            words = format!("{words}, in {}", layers(&methods));
        }
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
        Ok(Self {
            window,
            format,
            peeked: None,
            failure: None,
            ended: false,
            last_time_ns: 0,
            interrupt: interrupt.clone(),
            // What an unpacker holds back cannot be seen from outside.
            waiting: input.waiting.filter(|_| methods.is_empty()),
            consumed: input.consumed,
            bytes_total: input.total,
            is_packed: !methods.is_empty(),
            summary,
        })
    }

    /// The next record, or none at the end: of the input, of what of it can be read, or by an [`Interrupt`]
    /// ([`ReaderSummary::truncated`] tells them apart).
    ///
    /// # Errors
    /// Only if the input itself cannot be read further. The reading is over then.
    #[expect(clippy::should_implement_trait, reason = "a record is lent, which Iterator cannot express")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, CaptureError> {
        if self.interrupt.is_raised() {
            self.peeked = None;
            self.end_by_interrupt();
        }
        let found = match self.peeked.take() {
            Some(found) => found,
            None => match self.find()? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        Ok(Some(Record {
            time_ns: self.count(&found),
            link: found.link,
            interface: found.interface,
            wire_len: found.wire_len,
            data: self.window.get(found.data),
        }))
    }

    /// As many of the next records as lie in one buffer, in place of what the batch held; none at the end. A pipe is waited for
    /// until they do.
    ///
    /// # Errors
    /// As [`Reader::next`], once the records before the failure have been handed over.
    pub fn next_batch(&mut self, batch: &mut Batch) -> Result<(), CaptureError> {
        batch.clear();
        self.window.give_back(mem::take(&mut batch.bytes));
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.interrupt.is_raised() {
            self.peeked = None;
            self.end_by_interrupt();
        }
        if let Some(found) = self.peeked.take() {
            self.add(&found, batch);
        }
        while !batch.is_full() {
            self.add_whole(batch);
            if batch.is_full() {
                break;
            }
            match self.find() {
                Ok(Some(found)) if self.window.is_retired() => {
                    self.peeked = Some(found);
                    break;
                }
                Ok(Some(found)) => self.add(&found, batch),
                Ok(None) => break,
                Err(failure) if batch.is_empty() => return Err(failure),
                Err(failure) => {
                    self.failure = Some(failure);
                    break;
                }
            }
        }
        batch.bytes = self.window.hand_over();
        batch.bytes_read = self.bytes_read();
        Ok(())
    }

    /// As [`Reader::next_batch`], with the next record alone, as soon as it is there.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub fn next_alone(&mut self, batch: &mut Batch) -> Result<(), CaptureError> {
        batch.clear();
        if let Some(record) = self.next()? {
            batch.copy(&record);
        }
        batch.bytes_read = self.bytes_read();
        Ok(())
    }

    fn add(&mut self, found: &Found, batch: &mut Batch) {
        self.window.pin();
        let time_ns = self.count(found);
        batch.add(found, 0, time_ns);
    }

    /// Adds the records that the buffer has whole, if they are of the simplest kind: nearly all of a capture.
    fn add_whole(&mut self, batch: &mut Batch) {
        let Format::Classic(classic) = &self.format else { return };
        if self.ended {
            return;
        }
        let (bytes, start) = (self.window.available(), self.window.start());
        let (mut taken, before) = (0, batch.len());
        let (mut first_ns, mut last_ns) = (i64::MAX, i64::MIN);
        while !batch.is_full()
            && let Some(found) = classic.whole(bytes, taken)
        {
            taken = found.data.end;
            let time_ns = found.time_ns.unwrap_or(self.last_time_ns);
            (first_ns, last_ns) = (first_ns.min(time_ns), last_ns.max(time_ns));
            self.last_time_ns = time_ns;
            batch.add(&found, start, time_ns);
        }
        if taken > 0 {
            self.window.pin();
            self.window.take(taken);
            self.summary.add((batch.len() - before) as u64, first_ns, last_ns);
        }
    }

    /// Takes a record into the summary. Returns its time.
    fn count(&mut self, found: &Found) -> i64 {
        match found.time_ns {
            Some(time_ns) => {
                self.last_time_ns = time_ns;
                self.summary.add(1, time_ns, time_ns);
            }
            None => self.summary.packets += 1,
        }
        self.last_time_ns
    }

    /// Whether [`Reader::next`] has something to say within `patience`, as far as can be told: false when nothing has arrived
    /// from a pipe for so long. A record of which only a part has arrived is not waited for here.
    pub fn is_ready_within(&self, patience: Duration) -> bool {
        let here = self.ended || self.peeked.is_some() || !self.window.available().is_empty();
        here || self.waiting.as_ref().is_none_or(|waiting| waiting.ends_within(patience))
    }

    /// The time of the record that [`Reader::next`] gives next, without taking it; none at the end. What captures of one
    /// ring are to be ordered by.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub fn peek_time(&mut self) -> Result<Option<i64>, CaptureError> {
        if self.peeked.is_none() {
            self.peeked = self.find()?;
        }
        Ok(self.peeked.as_ref().map(|found| found.time_ns.unwrap_or(self.last_time_ns)))
    }

    /// Bytes taken so far from the file or pipe itself, compressed ones if it is compressed. It runs ahead of the records by
    /// what is buffered.
    pub fn bytes_read(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// Bytes that the file itself had when it was opened; none of a pipe.
    pub fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
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
                    let unpacked = if self.is_packed { "unpacked " } else { "" };
                    self.end_early(&format!("{stop}, at {unpacked}byte {offset}"));
                }
                Err(error) => match Broken::of(error) {
                    Broken::Damage(damage) => self.end_early(&damage.to_string()),
                    Broken::Interrupted => self.end_by_interrupt(),
                    Broken::Failure(source) => {
                        self.ended = true;
                        let offset = if self.is_packed { self.bytes_read() } else { self.window.offset() };
                        let name = spoken_name(&self.summary.name);
                        return Err(CaptureError::Read { name, offset, source });
                    }
                },
            }
        }
        Ok(None)
    }

    /// Ends the reading at damage.
    fn end_early(&mut self, why: &str) {
        self.ended = true;
        let whole = self.summary.packets;
        self.summary.truncated = Some(format!("{why} (whole records before it: {whole})"));
    }

    /// Ends the reading because the user wants no more, unless it is over anyway.
    fn end_by_interrupt(&mut self) {
        if !self.ended {
            self.ended = true;
            let packets = self.summary.packets;
            let s = if packets == 1 { "" } else { "s" };
            self.summary.truncated = Some(format!("the reading was interrupted after {packets} packet{s}"));
        }
    }
}

/// Where the bytes come from.
struct Input {
    bytes: Box<dyn Read + Send>,
    waiting: Option<Waiting>,
    consumed: Arc<AtomicU64>,
    total: Option<u64>,
}

impl Input {
    fn direct(input: Box<dyn Read + Send>, total: Option<u64>) -> Self {
        let consumed = Arc::new(AtomicU64::new(0));
        let bytes = Box::new(Counted { input, consumed: Arc::clone(&consumed) });
        Self { bytes, waiting: None, consumed, total }
    }

    fn ahead(input: Box<dyn Read + Send>, interrupt: &Interrupt) -> io::Result<Self> {
        let Input { bytes, consumed, total, .. } = Self::direct(input, None);
        let bytes = Box::new(ReadAhead::start(move || bytes, interrupt.clone())?);
        Ok(Self { waiting: Some(bytes.waiting()), bytes, consumed, total })
    }
}

/// An input that counts its bytes where another thread can see it.
struct Counted {
    input: Box<dyn Read + Send>,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        self.consumed.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
