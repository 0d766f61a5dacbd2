//! TUN devices: a network device whose cable end is a file descriptor (kernel documentation,
//! `networking/tuntap`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;
use thiserror::Error;

const CONTROL: &str = "/dev/net/tun";

/// Why there is no TUN device.
#[derive(Debug, Error)]
pub enum TunError {
    /// `/dev/net/tun` does not exist.
    #[error(
        "{CONTROL} does not exist: load the module (`modprobe tun`), \
         or give the container the device (`--device {CONTROL}`)"
    )]
    Missing,
    /// `/dev/net/tun` is closed to this user.
    #[error(
        "may not open {CONTROL}: its mode should be 0666 (`chmod 0666 {CONTROL}`); `finrace doctor` tells more"
    )]
    NotPermitted,
    /// `/dev/net/tun` failed to open for another reason.
    #[error("cannot open {CONTROL}")]
    Open(#[source] io::Error),
    /// The kernel did not make the device.
    #[error("cannot create the TUN device {name}")]
    Create {
        /// Name of the device.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The cable end of a TUN device. The device exists as long as this or a clone of it does.
#[derive(Debug)]
pub struct Tun(OwnedFd);

mod request {
    //! The one request that nix does not wrap.
    use nix::libc;

    nix::ioctl_write_ptr_bad!(
        /// Attaches an open `/dev/net/tun` to a device.
        attach,
        libc::TUNSETIFF,
        libc::ifreq
    );
}

/// Whether this user may ask for TUN devices at all.
///
/// # Errors
/// [`TunError::Missing`], [`TunError::NotPermitted`] or [`TunError::Open`].
pub fn usable() -> Result<(), TunError> {
    open_control().map(drop)
}

fn open_control() -> Result<File, TunError> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(CONTROL).map_err(|error| {
        match error.kind() {
            io::ErrorKind::NotFound => TunError::Missing,
            io::ErrorKind::PermissionDenied => TunError::NotPermitted,
            // Without the driver, the node exists but nobody answers for it (ENODEV, ENXIO).
            _ if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => TunError::Missing,
            _ => TunError::Open(error),
        }
    })
}

impl Tun {
    /// Makes a device in the network namespace of the calling thread. It is down and has no address.
    ///
    /// Packets come without a header before the IP header, and no checksum or segmentation is left to the device: each
    /// packet is what a cable would carry, and what a capture on the device shows.
    ///
    /// # Errors
    /// See [`TunError`].
    pub fn create(name: &str) -> Result<Tun, TunError> {
        let file = open_control()?;
        let failed = |source| TunError::Create { name: name.to_owned(), source };
        if name.is_empty() || name.len() >= libc::IFNAMSIZ {
            return Err(failed(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the name must have 1 to 15 bytes",
            )));
        }

        // SAFETY: ifreq is a C struct of integers, arrays and unions of them, for which all zeroes is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, &from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
            *to = from as libc::c_char;
        }
        // Both flags fit the 16 bits that the field has (0x1001).
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: the descriptor is open, and the request is a complete ifreq, as TUNSETIFF takes it.
        unsafe { request::attach(file.as_raw_fd(), &request) }.map_err(|errno| failed(errno.into()))?;
        Ok(Tun(file.into()))
    }

    /// A second handle to the same device.
    ///
    /// # Errors
    /// When the process has too many open files.
    pub fn try_clone(&self) -> io::Result<Tun> {
        self.0.try_clone().map(Tun)
    }

    /// Reads one packet that the host sent; `EAGAIN` when none waits.
    ///
    /// # Errors
    /// The error number of read(2).
    pub fn read(&self, packet: &mut [u8]) -> nix::Result<usize> {
        nix::unistd::read(&self.0, packet)
    }

    /// Gives one packet to the host.
    ///
    /// # Errors
    /// The error number of write(2): `EAGAIN` when there is no room now, `EIO` when the device is down.
    pub fn write(&self, packet: &[u8]) -> nix::Result<()> {
        nix::unistd::write(&self.0, packet).map(drop)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
