//! Captured records: read from files and pipes, written as pcapng.
//!
//! This module moves bytes and times and does not know what a packet means; [`crate::packet`] does.
//! [`Reader`] is the way in, [`PcapngWriter`] the way out. Reading streams through one buffer, so that memory stays
//! bounded whatever the size of the file and nothing is allocated per record. What is compressed by gzip, zstd, lz4 or xz
//! is unpacked on the way, in a thread of its own; pipes are read by one, too, so that an [`Interrupt`] can end the waiting.
//!
//! A broken file is not an error but an early end: every record before the damage is delivered, and
//! [`ReaderSummary::truncated`] says where and why the reading ended.

mod batch;
mod byte_order;
mod classic;
mod clock;
mod compression;
mod copy;
mod error;
mod gzip;
mod interrupt;
mod link_type;
#[cfg(feature = "live")]
pub mod live;
mod lz4;
mod pcapng;
mod pcapng_writer;
mod read_ahead;
mod reader;
mod recognise;
mod step;
mod window;
mod zstandard;

pub use batch::Batch;
pub use copy::{Copied, CopyError, Edit, copy};
pub use error::CaptureError;
pub use interrupt::Interrupt;
pub use link_type::LinkType;
pub use pcapng_writer::{Interface, PcapngWriter};
pub use reader::{Reader, ReaderSummary};

/// One captured packet, borrowed from the reader until the next one is asked for.
///
/// Counted from 1, records have the numbers of Wireshark's frames. For that some are no packets: those of
/// [`LinkType::NOT_A_PACKET`], which have no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Capture time, nanoseconds since 1970-01-01 UTC.
    ///
    /// A pcapng Simple Packet Block has no time of its own and takes that of the record before it.
    pub time_ns: i64,
    /// What the data starts with.
    pub link: LinkType,
    /// Number of the interface that captured it: 0 in classic pcap; in pcapng counted from 0 over all sections of the
    /// file, as Wireshark does.
    pub interface: u32,
    /// Bytes the packet had on the wire, as the capturing program wrote it (it can be wrong, even less than was captured).
    pub wire_len: u32,
    /// The bytes that were captured: all of the packet, or as many as the snap length kept.
    pub data: &'a [u8],
}
