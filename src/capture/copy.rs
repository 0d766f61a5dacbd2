//! A capture written again as pcapng: some packets with comments, some left out, all else as it was.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use thiserror::Error;

use super::byte_order::ByteOrder;
use super::classic::Classic;
use super::pcapng::{self, HEAD_LEN, TAIL_LEN};
use super::recognise::{Broken, Format, Recognised, recognise};
use super::step::{Found, Step};
use super::{CaptureError, Interrupt, LinkType, Record};

/// What becomes of a record in the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// It is not written.
    LeaveOut,
    /// It is written with these comments beside the ones it has; byte for byte, if there are none.
    Keep(Vec<String>),
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Records that were read.
    pub frames: u64,
    /// Records that were written.
    pub written: u64,
    /// Frames whose comments have no place: the block of such a packet has no options (Simple Packet Block, 4.4), or is no
    /// packet.
    pub uncommented: Vec<u64>,
    /// Why and where the reading ended, if that was before the end of the capture; what came before is written.
    pub truncated: Option<String>,
}

/// A copy that could not be made.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The capture cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The capture cannot be read further.
    #[error("reading {name} failed at byte {offset}")]
    Read {
        /// The capture.
        name: String,
        /// Where.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A block longer than any that is copied.
    #[error(
        "{name} has a block of more than 32 MiB at byte {offset}, which is not copied: leave it out first (editcap)"
    )]
    BlockTooLong {
        /// The capture.
        name: String,
        /// Where it begins.
        offset: u64,
    },
    /// The copy cannot be written.
    #[error("cannot write the copy of {name}")]
    Write {
        /// The capture.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Copies a capture file as pcapng. `edit` is asked about every record with its frame number, counted from 1 as
/// [`super::Reader`] does. `comment` goes to the first section.
///
/// Of a pcapng file, every block is kept as it is, in its byte order: interfaces, names, secrets, statistics, custom and unknown
/// blocks, comments that are there already. Only the length of a section becomes "unknown", as it would be wrong.
/// A classic file becomes one section with one interface, whose times have the same resolution; of Kuznetzov's record
/// headers, what they say beyond other headers is lost. What was compressed is not compressed again. Damage ends the
/// copy where it ends the reading.
///
/// # Errors
/// [`CopyError`]: what has been written then is no whole capture.
pub fn copy(
    path: &Path,
    interrupt: &Interrupt,
    comment: Option<&str>,
    out: &mut dyn Write,
    edit: &mut dyn FnMut(u64, &Record<'_>) -> Edit,
) -> Result<Copied, CopyError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| CaptureError::Open { name: name.clone(), source })?;
    let Recognised { mut window, mut format, .. } = recognise(&name, Box::new(file), interrupt)?;
    let mut out = Out { out, name: &name, block: Vec::new(), comment };
    if let Format::Classic(classic) = &format {
        out.classic_start(classic)?;
    }
    let mut copied = Copied::default();
    let mut last_time_ns = 0;
    while !interrupt.is_raised() {
        let offset = window.offset();
        window.record();
        let step = match &mut format {
            Format::Classic(classic) => classic.step(&mut window),
            Format::Pcapng(pcapng) => pcapng.step(&mut window),
        };
        let found = match step {
            Ok(Step::Record(found)) => Some(found),
            Ok(Step::Other) => None,
            Ok(Step::End) => return Ok(copied),
            Ok(Step::Stop(stop)) => {
                copied.truncated = Some(stop.to_string());
                return Ok(copied);
            }
            Err(error) => match Broken::of(error) {
                Broken::Damage(damage) => {
                    copied.truncated = Some(damage.to_string());
                    return Ok(copied);
                }
                Broken::Interrupted => break,
                Broken::Failure(source) => return Err(CopyError::Read { name, offset, source }),
            },
        };
        let Some(raw) = window.recorded() else { return Err(CopyError::BlockTooLong { name, offset }) };
        let Some(found) = found else {
            if let Format::Pcapng(pcapng) = &format {
                out.other(pcapng.order(), raw)?;
            }
            continue;
        };
        copied.frames += 1;
        last_time_ns = found.time_ns.unwrap_or(last_time_ns);
        let Found { link, interface, wire_len, data, .. } = found;
        let record = Record { time_ns: last_time_ns, link, interface, wire_len, data: window.get(data) };
        let Edit::Keep(comments) = edit(copied.frames, &record) else { continue };
        copied.written += 1;
        let commented = match &format {
            Format::Classic(classic) => out.classic_record(classic, raw, record.data, &comments)?,
            Format::Pcapng(pcapng) => out.pcapng_record(pcapng.order(), raw, &record, &comments)?,
        };
        if !commented {
            copied.uncommented.push(copied.frames);
        }
    }
    copied.truncated = Some("the copying was interrupted".to_owned());
    Ok(copied)
}

/// Where the copy goes.
struct Out<'o> {
    out: &'o mut dyn Write,
    name: &'o str,
    /// The block under construction, kept for its storage.
    block: Vec<u8>,
    /// The comment of the first section, until it is written.
    comment: Option<&'o str>,
}

/// Fixed fields of a section header: byte-order magic, version, section length (4.1).
const SECTION_FIXED: usize = 16;
const SECTION_LENGTH: std::ops::Range<usize> = 8..16;
/// Fixed fields of an Enhanced Packet Block, and of the obsolete one (4.3, appendix A).
const PACKET_FIXED: usize = 20;

impl Out<'_> {
    /// The section and the interface that a classic file becomes.
    fn classic_start(&mut self, classic: &Classic) -> Result<(), CopyError> {
        const IF_TSRESOL: u16 = 9;
        const IF_FCSLEN: u16 = 13;
        let order = ByteOrder::Little;
        let described = classic.described();
        let mut section = Vec::with_capacity(SECTION_FIXED);
        order.put_u32(&mut section, pcapng::BYTE_ORDER_MAGIC);
        order.put_u16(&mut section, 1);
        order.put_u16(&mut section, 0);
        section.extend([0xff; 8]);
        self.section(order, &section)?;
        let mut interface = Vec::new();
        order.put_u16(&mut interface, described.link.0);
        order.put_u16(&mut interface, 0);
        order.put_u32(&mut interface, described.snaplen);
        // 10^-6 or 10^-9.
        put_option(
            order,
            &mut interface,
            IF_TSRESOL,
            &[if described.per_second == 1_000_000 { 6 } else { 9 }],
        );
        if let Some(fcs_len) = described.fcs_len {
            put_option(order, &mut interface, IF_FCSLEN, &[fcs_len]);
        }
        order.put_u32(&mut interface, 0);
        self.block(order, pcapng::INTERFACE_DESCRIPTION, &[&interface])
    }

    /// A record of a classic file as an Enhanced Packet Block.
    fn classic_record(
        &mut self,
        classic: &Classic,
        raw: &[u8],
        data: &[u8],
        comments: &[String],
    ) -> Result<bool, CopyError> {
        let order = ByteOrder::Little;
        let (ticks, captured, wire_len) = classic.record_fields(raw);
        let mut fixed = Vec::with_capacity(PACKET_FIXED);
        for field in [0, (ticks >> 32) as u32, ticks as u32, captured, wire_len] {
            order.put_u32(&mut fixed, field);
        }
        let padding = &[0; 3][..data.len().next_multiple_of(4) - data.len()];
        let options = options(order, comments, false);
        self.block(order, pcapng::ENHANCED_PACKET, &[&fixed, data, padding, &options])?;
        Ok(true)
    }

    /// A block that holds no packet.
    fn other(&mut self, order: ByteOrder, raw: &[u8]) -> Result<(), CopyError> {
        if order.u32(raw, 0) == pcapng::SECTION_HEADER && raw.len() >= HEAD_LEN + SECTION_FIXED + TAIL_LEN {
            return self.section(order, &raw[HEAD_LEN..raw.len() - TAIL_LEN]);
        }
        self.write(raw)
    }

    /// A section header: its length is that of another file, and the first one gets the comment.
    fn section(&mut self, order: ByteOrder, body: &[u8]) -> Result<(), CopyError> {
        let (fixed, rest) = body.split_at(SECTION_FIXED);
        let mut fixed = fixed.to_vec();
        fixed[SECTION_LENGTH].fill(0xff);
        let comment: Vec<String> = self.comment.take().map(str::to_owned).into_iter().collect();
        let added = options(order, &comment, !rest.is_empty());
        self.block(order, pcapng::SECTION_HEADER, &[&fixed, &added, rest])
    }

    /// A packet of a pcapng file; false where it has no place for its comments.
    fn pcapng_record(
        &mut self,
        order: ByteOrder,
        raw: &[u8],
        record: &Record<'_>,
        comments: &[String],
    ) -> Result<bool, CopyError> {
        let kind = order.u32(raw, 0);
        let has_options = matches!(kind, pcapng::ENHANCED_PACKET | pcapng::OBSOLETE_PACKET)
            && record.link != LinkType::NOT_A_PACKET;
        if comments.is_empty() || !has_options {
            self.write(raw)?;
            return Ok(comments.is_empty());
        }
        let body = &raw[HEAD_LEN..raw.len() - TAIL_LEN];
        let options_at = (PACKET_FIXED + record.data.len().next_multiple_of(4)).min(body.len());
        let (packet, rest) = body.split_at(options_at);
        // In front of the others: whatever those are, they need not be understood.
        let added = options(order, comments, !rest.is_empty());
        self.block(order, kind, &[packet, &added, rest])?;
        Ok(true)
    }

    /// Writes a block of which these are the parts of its body.
    fn block(&mut self, order: ByteOrder, kind: u32, parts: &[&[u8]]) -> Result<(), CopyError> {
        let body_len: usize = parts.iter().map(|part| part.len()).sum();
        let len = (HEAD_LEN + body_len + TAIL_LEN) as u32;
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        order.put_u32(&mut block, kind);
        order.put_u32(&mut block, len);
        parts.iter().for_each(|part| block.extend_from_slice(part));
        order.put_u32(&mut block, len);
        let result = self.write(&block);
        self.block = block;
        result
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.out.write_all(bytes).map_err(|source| CopyError::Write { name: self.name.to_owned(), source })
    }
}

/// Comments as options (3.5.1), with their end unless more options follow.
fn options(order: ByteOrder, comments: &[String], more_follow: bool) -> Vec<u8> {
    const OPT_COMMENT: u16 = 1;
    let mut options = Vec::new();
    for comment in comments {
        put_option(order, &mut options, OPT_COMMENT, super::pcapng_writer::option_text(comment));
    }
    if !options.is_empty() && !more_follow {
        order.put_u32(&mut options, 0);
    }
    options
}

fn put_option(order: ByteOrder, out: &mut Vec<u8>, code: u16, value: &[u8]) {
    order.put_u16(out, code);
    order.put_u16(out, value.len() as u16);
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}
