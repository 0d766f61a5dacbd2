//! Carries the trial out: in forked processes, so that nothing of it stays.

use std::{
    ffi::CStr,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::UdpSocket,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    libc,
    sched::{CloneFlags, unshare},
    sys::{prctl, wait::waitpid},
    unistd::{ForkResult, Gid, Uid, fork, getegid, geteuid, pipe},
};

use super::{
    libpcap,
    trial::{Failure, Refusal, Step, Trial},
};

/// The device's name inside the trial's own network namespace; nobody outside sees it.
const DEVICE: &CStr = c"tun0";

/// Does what the wire lab does, up to an open capture on a TUN device of its own, and takes nothing of it
/// into the calling process.
pub(super) fn attempt() -> Trial {
    match report_of_child() {
        Ok(trial) => trial,
        Err(error) => {
            Trial { in_user_namespace: !geteuid().is_root(), failure: Some(failed(Step::Start)(error)) }
        }
    }
}

fn report_of_child() -> io::Result<Trial> {
    if !is_single_threaded()? {
        return Err(io::Error::other("the process already has threads and cannot fork"));
    }
    let (reader, writer) = pipe()?;
    // SAFETY: this process has one thread (checked above), so the child finds no lock held by another.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(reader);
            enter_namespaces(writer);
            leave();
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut report = Vec::new();
            File::from(reader).read_to_end(&mut report)?;
            let status = waitpid(child, None)?;
            serde_json::from_slice(&report).map_err(|_| {
                io::Error::other(format!("the trial process ended without a report: {status:?}"))
            })
        }
    }
}

/// In the child: enters the namespaces that a process enters only once, then forks the process that is in
/// all of them. Exactly one of the two reports.
fn enter_namespaces(report_to: OwnedFd) {
    // Root without CAP_SYS_ADMIN, as in most containers, is refused here and goes the way of other users.
    let direct = geteuid().is_root() && unshare(CloneFlags::CLONE_NEWPID).is_ok();
    let entered = if direct {
        Ok(())
    } else {
        enter_user_namespace().map_err(failed(Step::UserNamespace)).and_then(|()| {
            unshare(CloneFlags::CLONE_NEWPID).map_err(io::Error::from).map_err(failed(Step::PidNamespace))
        })
    };
    let report = |outcome: Result<(), Failure>| {
        let trial = Trial { in_user_namespace: !direct, failure: outcome.err() };
        // A report that cannot be sent shows as a missing one.
        if let Ok(bytes) = serde_json::to_vec(&trial) {
            let _ = File::from(report_to).write_all(&bytes);
        }
    };
    if let Err(failure) = entered {
        return report(Err(failure));
    }
    // SAFETY: this process is a fresh fork and has one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            report(become_a_host());
            leave();
        }
        Ok(ForkResult::Parent { child }) => {
            drop(report);
            let _ = waitpid(child, None);
        }
        Err(errno) => report(Err(failed(Step::PidNamespace)(errno.into()))),
    }
}

fn enter_user_namespace() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    // A program with file capabilities is not dumpable, and then /proc/self/uid_map belongs to root.
    prctl::set_dumpable(true)?;
    unshare(CloneFlags::CLONE_NEWUSER)?;
    map_to_itself(user, group)
}

/// Maps the one user and group that a process may map without rights; user_namespaces(7).
fn map_to_itself(user: Uid, group: Gid) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

fn become_a_host() -> Result<(), Failure> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from).map_err(failed(Step::NetworkNamespace))?;
    let tun =
        OpenOptions::new().read(true).write(true).open("/dev/net/tun").map_err(failed(Step::TunOpen))?;
    create_device(&tun).map_err(failed(Step::TunDevice))?;
    libpcap::open_capture(&DEVICE.to_string_lossy()).map_err(failed(Step::Capture))
}

/// Creates the TUN device behind `tun` and brings it up: libpcap does not open a device that is down.
fn create_device(tun: &File) -> io::Result<()> {
    request(tun, libc::TUNSETIFF, libc::IFF_TUN | libc::IFF_NO_PI)?;
    // Any socket of the namespace will do to name the device by.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    request(&socket, libc::SIOCSIFFLAGS, libc::IFF_UP)
}

/// An ioctl that takes the device's name and flags; netdevice(7).
fn request(on: &impl AsRawFd, number: libc::Ioctl, flags: libc::c_int) -> io::Result<()> {
    let mut name = [0; libc::IFNAMSIZ];
    for (place, byte) in name.iter_mut().zip(DEVICE.to_bytes()) {
        *place = byte.cast_signed();
    }
    let flags = flags as libc::c_short;
    let mut asked =
        libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    // SAFETY: both requests take a pointer to an `ifreq`, which lives until the call returns.
    let done = unsafe { libc::ioctl(on.as_raw_fd(), number, &raw mut asked) };
    Errno::result(done).map(drop).map_err(io::Error::from)
}

fn failed(step: Step) -> impl Fn(io::Error) -> Failure {
    move |error| Failure { step, refusal: refusal_of(&error), error: error.to_string() }
}

fn refusal_of(error: &io::Error) -> Refusal {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EUSERS) => Refusal::Limit,
        Some(Errno::EINVAL | Errno::ENOSYS | Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => {
            Refusal::Unsupported
        }
        _ => match error.kind() {
            io::ErrorKind::PermissionDenied => Refusal::Denied,
            io::ErrorKind::Unsupported => Refusal::Unsupported,
            _ => Refusal::Other,
        },
    }
}

fn is_single_threaded() -> io::Result<bool> {
    Ok(fs::read_dir("/proc/self/task")?.count() == 1)
}

/// Ends a forked process without running what its parent has registered for its own end.
fn leave() -> ! {
    // SAFETY: `_exit` has no precondition and does not return.
    unsafe { libc::_exit(0) }
}
