//! Why a capture could not be read at all.

use std::io;

use thiserror::Error;

/// A capture from which nothing, or nothing more, can be read. Damage inside a capture is no error: see
/// [`super::ReaderSummary::truncated`].
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The name is that of a directory.
    #[error("{name} is a directory: name the capture files in it")]
    Directory {
        /// The name given.
        name: String,
    },
    /// There is no such file.
    #[error("there is no file {name}: check the name, or give - to read from a pipe")]
    NotFound {
        /// The name given.
        name: String,
    },
    /// The file exists and this user may not read it.
    #[error(
        "no permission to read {name}: make it readable, or pipe it in (sudo cat {name} | finrace analyze -)"
    )]
    NotPermitted {
        /// The name given.
        name: String,
    },
    /// The file cannot be opened for another reason.
    #[error("cannot open {name}")]
    Open {
        /// The name given.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The input has no bytes.
    #[error(
        "{name} is empty: nothing has been written to it (tcpdump writes only when its buffer is full or when it ends; -U makes it write every packet)"
    )]
    Empty {
        /// The name given.
        name: String,
    },
    /// The input is packed in a way that is not undone on the way.
    #[error("{name} is {packed}: unpack it on the way ({unpack} | finrace analyze -)")]
    Compressed {
        /// The name given.
        name: String,
        /// What it is, such as `bzip2-compressed` or `a zip archive`.
        packed: &'static str,
        /// The command that unpacks to standard output.
        unpack: String,
    },
    /// The input is compressed, what it unpacks to is, and so on.
    #[error("{name} is compressed more than {limit} times over ({methods}): unpack it first")]
    CompressedTooOften {
        /// The name given.
        name: String,
        /// The methods, outermost first.
        methods: String,
        /// How many are undone.
        limit: usize,
    },
    /// The input is compressed and ends, or is damaged, before a packet is unpacked.
    #[error("{name} holds no packet that can be read: {damage}; {remedy}")]
    Damaged {
        /// The name given.
        name: String,
        /// What is wrong, as half a sentence.
        damage: String,
        /// What to do, as half a sentence.
        remedy: &'static str,
    },
    /// An [`super::Interrupt`] came before the input had shown what it is, or before what was wanted of it was read.
    #[error("the reading of {name} was interrupted")]
    Interrupted {
        /// The name given.
        name: String,
    },
    /// The input does not start as a pcap or pcapng file does.
    #[error(
        "{name} is not a pcap or pcapng capture (it starts with the bytes {first_bytes}): if Wireshark opens it, convert it with editcap -F pcapng"
    )]
    NotACapture {
        /// The name given.
        name: String,
        /// The first bytes, in hexadecimal.
        first_bytes: String,
    },
    /// The input ends before its file header does, so that it can hold no packet.
    #[error(
        "{name} ends inside its file header ({present} of {needed} bytes): it holds no packet; capture again"
    )]
    HeaderCut {
        /// The name given.
        name: String,
        /// Bytes there are.
        present: usize,
        /// Bytes the header has.
        needed: usize,
    },
    /// Reading failed on the way; what was read before stays valid.
    #[error("reading {name} failed at byte {offset}")]
    Read {
        /// The name given.
        name: String,
        /// Where in the input.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
}
