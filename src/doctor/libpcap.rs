//! What is asked of libpcap.

use std::{
    ffi::{CStr, c_char},
    io,
};

use pcap::Capture;

unsafe extern "C" {
    // The `pcap` crate links libpcap but does not pass this function on.
    fn pcap_lib_version() -> *const c_char;
}

/// libpcap's description of itself, such as `libpcap version 1.10.3 (with TPACKET_V3)`.
pub(super) fn version() -> String {
    // SAFETY: pcap_lib_version(3PCAP) takes nothing and returns a string that lives as long as the process.
    let version = unsafe { CStr::from_ptr(pcap_lib_version()) };
    version.to_string_lossy().into_owned()
}

/// Opens a live capture and closes it again.
///
/// # Errors
///
/// libpcap's message. libpcap gives no error number, so the kind is read from the words: `PermissionDenied`,
/// `Unsupported`, or `Other`.
pub(super) fn open_capture(device: &str) -> io::Result<()> {
    Capture::from_device(device).and_then(|capture| capture.immediate_mode(true).open()).map(drop).map_err(
        |error| {
            let words = match error {
                pcap::Error::PcapError(words) => words,
                other => other.to_string(),
            };
            io::Error::new(kind_of(&words), words)
        },
    )
}

/// The words are those of libpcap 1.8 to 1.10 on Linux and of strerror(3).
fn kind_of(words: &str) -> io::ErrorKind {
    let says = |part| words.contains(part);
    if says("CAP_NET_RAW") || says("permission") || says("Permission") || says("not permitted") {
        io::ErrorKind::PermissionDenied
    } else if says("not supported") {
        io::ErrorKind::Unsupported
    } else {
        io::ErrorKind::Other
    }
}
