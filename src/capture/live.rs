//! Packets as they pass a network device, by libpcap.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use pcap::{Active, Capture, Precision};
use thiserror::Error;

use super::LinkType;

/// How to capture.
#[derive(Debug, Clone)]
pub struct LiveOptions {
    /// Bytes kept of each packet. On Linux every packet takes this much of the buffer (on Ethernet at most the MTU),
    /// so a device known to carry small packets should be given a small one.
    pub snaplen: u32,
    /// Size of the kernel's buffer in bytes.
    pub buffer_bytes: u32,
    /// A filter in libpcap's language (pcap-filter(7)); none captures everything.
    pub filter: Option<String>,
}

impl Default for LiveOptions {
    /// Whole packets of any device, in 16 MiB.
    fn default() -> Self {
        LiveOptions { snaplen: 262_144, buffer_bytes: 16 * 1024 * 1024, filter: None }
    }
}

/// Why a device cannot be captured from.
#[derive(Debug, Error)]
pub enum LiveError {
    /// No device has this name.
    #[error("there is no network device {device}; there are: {existing}")]
    NoSuchDevice {
        /// The name asked for.
        device: String,
        /// The names that exist, separated by commas.
        existing: String,
    },
    /// Capturing needs rights that this user has not.
    #[error("may not capture on {device}; run `finrace doctor`, which names the remedy")]
    NotPermitted {
        /// The device.
        device: String,
        /// What libpcap said.
        source: pcap::Error,
    },
    /// The filter does not compile.
    #[error("the capture filter {filter:?} is not valid (see pcap-filter(7))")]
    Filter {
        /// The filter.
        filter: String,
        /// What libpcap said.
        source: pcap::Error,
    },
    /// libpcap counts its options in signed 32-bit numbers.
    #[error("a {option} of {value} bytes is too large; at most {max} are possible", max = i32::MAX)]
    TooLarge {
        /// The option.
        option: &'static str,
        /// Its value.
        value: u32,
    },
    /// Anything else that libpcap refuses.
    #[error("cannot capture on {device}")]
    Failed {
        /// The device.
        device: String,
        /// What libpcap said.
        source: pcap::Error,
    },
}

/// One packet, borrowed from libpcap's buffer.
#[derive(Debug, Clone, Copy)]
pub struct LivePacket<'a> {
    /// When the kernel saw it, in nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Its length on the wire in bytes.
    pub wire_len: u32,
    /// What was kept of it.
    pub data: &'a [u8],
}

/// Counters of the kernel since the capture began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveStats {
    /// Packets that passed the filter.
    pub received: u64,
    /// Packets lost because the buffer was full.
    pub dropped_by_kernel: u64,
    /// Packets lost by the device or its driver, where the kernel tells.
    pub dropped_by_interface: u64,
}

/// A running capture. It can be opened on one thread and read on another: on Linux it stays with the network namespace in
/// which it was opened.
pub struct LiveCapture {
    capture: Capture<Active>,
    device: String,
    link: LinkType,
    snaplen: u32,
}

/// Only Linux stamps with nanoseconds on every device; elsewhere libpcap might ignore the wish without a word.
const PRECISION: Precision = if cfg!(target_os = "linux") { Precision::Nano } else { Precision::Micro };

impl LiveCapture {
    /// Starts capturing; what passes the device from now on is kept until [`LiveCapture::next`] takes it.
    ///
    /// Packets are handed over at once (immediate mode), and the device is not put into promiscuous mode.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn open(device: &str, options: &LiveOptions) -> Result<Self, LiveError> {
        let devices = devices();
        if device != "any" && !devices.iter().any(|known| known.name == device) {
            let existing: Vec<&str> = devices.iter().map(|known| known.name.as_str()).collect();
            return Err(LiveError::NoSuchDevice { device: device.to_owned(), existing: existing.join(", ") });
        }
        let failed = |source| failure(device, source);
        let mut capture = Capture::from_device(device)
            .map_err(failed)?
            .immediate_mode(true)
            .precision(PRECISION)
            .snaplen(signed("snap length", options.snaplen)?)
            .buffer_size(signed("capture buffer", options.buffer_bytes)?)
            .open()
            .and_then(Capture::setnonblock)
            .map_err(failed)?;
        if let Some(filter) = &options.filter {
            capture
                .filter(filter, true)
                .map_err(|source| LiveError::Filter { filter: filter.clone(), source })?;
        }
        let link = link_type(capture.get_datalink().0);
        Ok(LiveCapture { capture, device: device.to_owned(), link, snaplen: options.snaplen })
    }

    /// The next packet; none when none waits now. Poll the descriptor ([`AsFd`]) to wait for one.
    ///
    /// # Errors
    /// [`LiveError::Failed`], for example when the device has gone.
    // The name that the file reader's method has, too; an Iterator cannot lend.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<LivePacket<'_>>, LiveError> {
        match self.capture.next_packet() {
            Ok(packet) => Ok(Some(LivePacket {
                time_ns: nanoseconds(&packet.header.ts),
                wire_len: packet.header.len,
                data: packet.data,
            })),
            Err(pcap::Error::TimeoutExpired) => Ok(None),
            Err(source) => Err(failure(&self.device, source)),
        }
    }

    /// What the kernel counted so far.
    ///
    /// # Errors
    /// [`LiveError::Failed`] if libpcap cannot say.
    pub fn stats(&mut self) -> Result<LiveStats, LiveError> {
        let stats = self.capture.stats().map_err(|source| failure(&self.device, source))?;
        Ok(LiveStats {
            received: stats.received.into(),
            dropped_by_kernel: stats.dropped.into(),
            dropped_by_interface: stats.if_dropped.into(),
        })
    }

    /// Name of the device.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// How the packets begin.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// Bytes kept of each packet at most.
    pub fn snaplen(&self) -> u32 {
        self.snaplen
    }

    /// Whether time stamps are finer than a microsecond.
    pub fn has_nanoseconds(&self) -> bool {
        matches!(PRECISION, Precision::Nano)
    }
}

impl AsFd for LiveCapture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.capture.as_fd()
    }
}

/// A network device of this machine (on Linux: of the calling thread's network namespace).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Whether it leads back to the machine itself.
    pub loopback: bool,
    /// Whether it is up.
    pub up: bool,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// All network devices, in the system's order.
pub fn devices() -> Vec<Device> {
    pnet::datalink::interfaces()
        .into_iter()
        .map(|interface| Device {
            loopback: interface.is_loopback(),
            up: interface.is_up(),
            addresses: interface.ips.iter().map(|network| network.ip()).collect(),
            name: interface.name,
        })
        .collect()
}

fn signed(option: &'static str, value: u32) -> Result<i32, LiveError> {
    i32::try_from(value).map_err(|_| LiveError::TooLarge { option, value })
}

/// libpcap names this cause in words only.
fn failure(device: &str, source: pcap::Error) -> LiveError {
    let device = device.to_owned();
    let denied = match &source {
        pcap::Error::PcapError(text) => {
            let text = text.to_ascii_lowercase();
            text.contains("permission") || text.contains("not permitted")
        }
        pcap::Error::IoError(kind) => *kind == io::ErrorKind::PermissionDenied,
        _ => false,
    };
    if denied { LiveError::NotPermitted { device, source } } else { LiveError::Failed { device, source } }
}

/// libpcap's own numbers (DLT) differ by system for some links, those in files (LINKTYPE) do not
/// (<https://www.tcpdump.org/linktypes.html>). Raw IP is 12, or 14 on OpenBSD.
fn link_type(dlt: i32) -> LinkType {
    match dlt {
        12 | 14 => LinkType::RAW,
        // Negative numbers are libpcap's errors, which an open capture does not give.
        other => LinkType(u16::try_from(other).unwrap_or(u16::MAX)),
    }
}

/// The fraction is in the unit asked for, whatever the field's name says.
// Both fields are narrower on some systems.
#[allow(clippy::useless_conversion)]
fn nanoseconds(stamp: &nix::libc::timeval) -> i64 {
    let unit = if matches!(PRECISION, Precision::Nano) { 1 } else { 1_000 };
    i64::from(stamp.tv_sec)
        .saturating_mul(1_000_000_000)
        .saturating_add(i64::from(stamp.tv_usec).saturating_mul(unit))
}
