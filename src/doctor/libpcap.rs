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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_refusal_is_read_from_libpcaps_words() {
        let words = [
            ("socket: Operation not permitted", io::ErrorKind::PermissionDenied),
            (
                "eth0: You don't have permission to capture on that device (socket: Operation not permitted)",
                io::ErrorKind::PermissionDenied,
            ),
            (
                "Attempt to create packet socket failed - CAP_NET_RAW may be required",
                io::ErrorKind::PermissionDenied,
            ),
            ("(cannot open BPF device) /dev/bpf0: Permission denied", io::ErrorKind::PermissionDenied),
            ("socket: Address family not supported by protocol", io::ErrorKind::Unsupported),
            ("tun0: That device is not up", io::ErrorKind::Other),
        ];
        for (words, kind) in words {
            assert_eq!(kind_of(words), kind, "{words}");
        }
    }
}
