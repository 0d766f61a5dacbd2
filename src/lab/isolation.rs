//! Isolation of one lab run: namespaces that vanish, with every process in them, when the run ends in any way.
//!
//! [`enter`] splits the process in two:
//!
//! ```text
//! finrace (supervisor) ── fork ──► finrace (PID 1 of a PID namespace of its own)
//!   waits, forwards signals          ├─ threads in network namespaces: the hosts
//!   exits with the child's code      └─ real servers, their workers, grandchildren
//! ```
//!
//! When PID 1 of a namespace dies, the kernel kills all others in it, and PID 1 is killed with the supervisor
//! (`PR_SET_PDEATHSIG`). So `kill -9` of either half leaves nothing behind. Network namespaces and TUN devices are
//! held only by the threads and descriptors of those processes and go with them.
//!
//! Orphans that a server leaves to PID 1 stay zombies until the run ends: reaping them with `waitpid(-1)` would
//! steal the exit status of children that others wait for, and their number is bounded by what one run starts.
//! `/proc` stays that of the machine: `/proc/self` is right in it, numbers of other processes are the machine's.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, sigaction, sigprocmask,
};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getegid, geteuid, pipe2, write};
use tokio::net::unix::pipe;

use super::host::{DEVICE, HostError};
use super::tun::Tun;

/// Why a lab cannot be isolated on this machine.
#[derive(Debug, thiserror::Error)]
pub enum IsolationError {
    /// A thread besides the caller exists; `fork` would copy its locks but not the thread.
    #[error("the lab has to be entered before any thread starts, but {threads} threads are running")]
    Threads {
        /// Threads of the process, the caller included.
        threads: usize,
    },
    /// `/proc` is missing or unreadable.
    #[error("cannot read {path}; the lab needs /proc mounted")]
    Proc {
        /// The file.
        path: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// An ordinary user may not create user namespaces here: a sysctl, AppArmor, a container's seccomp filter.
    #[error(
        "this system does not let an ordinary user create a user namespace; \
         `finrace doctor` names the remedy, or run as root"
    )]
    UserNamespace {
        /// What the kernel said.
        source: io::Error,
    },
    /// The user namespace was made, but its user could not be mapped.
    #[error(
        "cannot write {path} for the lab's user namespace; `finrace doctor` names the remedy, or run as root"
    )]
    UserMap {
        /// The file.
        path: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The PID namespace was refused although a user namespace was granted: typical of Ubuntu's AppArmor restriction,
    /// which grants the namespace and withholds its capabilities.
    #[error("this system refuses a PID namespace; `finrace doctor` names the remedy, or run as root")]
    PidNamespace {
        /// What the kernel said.
        source: io::Error,
    },
    /// A rehearsal failed.
    #[error("{reason}")]
    Rehearsal {
        /// What failed and what to do about it, as told by the process that tried.
        reason: String,
    },
    /// A system call that fails only when the machine is out of something.
    #[error("cannot {action} for the lab")]
    System {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What the inner half of the process knows after [`enter`].
#[derive(Debug, Clone, Copy)]
pub struct Entered {
    /// Whether a user namespace was needed (not root, or root without the right to make namespaces).
    pub user_namespace: bool,
    /// Tells of Ctrl-C and of requests to end.
    pub stop: StopRequest,
}

/// Splits the process; returns in the inner half only, as PID 1 of its own PID namespace.
///
/// Call it before any thread or runtime exists. The calling process becomes the supervisor: it never returns from
/// here but exits with the inner half's exit code, or 128 + n if signal n ended that. SIGINT from the terminal
/// reaches both halves and is left to the inner one; SIGINT, SIGTERM and SIGHUP that were sent to the supervisor
/// are passed on; SIGQUIT (Ctrl-\) ends the run at once.
///
/// Whoever calls `unshare(CLONE_NEWUSER)` maps only its own user and group to themselves: inside, an ordinary user is
/// still an ordinary user, so that servers started there do not take themselves for root and try to change user.
/// The inner half keeps all capabilities over namespaces it makes, programs it executes have none.
///
/// # Errors
/// When namespaces cannot be had; nothing has been changed for the caller that would matter to a program that then
/// reports the error and exits.
pub fn enter() -> Result<Entered, IsolationError> {
    check_single_thread()?;
    let user_namespace = unshare_processes()?;

    // Until each half has its own way of taking signals none may be lost or kill only one of them.
    let supervised = supervised_signals();
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&supervised), Some(&mut before))
        .map_err(system("block signals"))?;
    let (parent_gone, parent_lives) = pipe2(OFlag::O_CLOEXEC).map_err(system("create a pipe"))?;

    // SAFETY: the process has a single thread (checked above), so the child's copy of memory holds no lock that a
    // vanished thread owns, and it may go on like any freshly started process.
    match unsafe { fork() }.map_err(system("fork"))? {
        ForkResult::Parent { child } => supervise(child, &supervised, parent_lives),
        ForkResult::Child => {
            drop(parent_lives);
            die_with_parent(parent_gone.as_fd())?;
            let stop = StopRequest::install()?;
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None).map_err(system("restore signals"))?;
            Ok(Entered { user_namespace, stop })
        }
    }
}

/// Tries, in a process that then ends, whether a lab can be entered and get a network device here, for those who have
/// something else to do if not. Takes some milliseconds, and like [`enter`] wants a process with a single thread.
///
/// # Errors
/// What is lacking, with its remedy.
pub fn rehearse() -> Result<(), IsolationError> {
    check_single_thread()?;
    let (told, tell) = pipe2(OFlag::O_CLOEXEC).map_err(system("create a pipe"))?;
    // SAFETY: as in `enter`.
    match unsafe { fork() }.map_err(system("fork"))? {
        ForkResult::Child => {
            let words = attempt().err().map(|error| with_causes(error.as_ref())).unwrap_or_default();
            // A reader that has gone does not want to know.
            let _ = write(&tell, words.as_bytes());
            // SAFETY: _exit is always safe to call; what the parent has buffered is the parent's to write.
            unsafe { libc::_exit(i32::from(!words.is_empty())) }
        }
        ForkResult::Parent { child } => {
            drop(tell);
            let mut reason = String::new();
            let read = File::from(told).read_to_string(&mut reason);
            let end = waitpid(child, None).map_err(system("wait for a process"))?;
            read.map_err(|source| IsolationError::System { action: "read from a pipe", source })?;
            match end {
                WaitStatus::Exited(_, 0) => Ok(()),
                // A seccomp filter may answer unshare with a signal.
                WaitStatus::Signaled(_, signal, _) => {
                    let reason = format!("this system ends a process that asks for namespaces ({signal})");
                    Err(IsolationError::Rehearsal { reason })
                }
                _ => Err(IsolationError::Rehearsal { reason }),
            }
        }
    }
}

fn attempt() -> Result<(), Box<dyn Error>> {
    unshare_processes()?;
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|errno| HostError::Namespace { host: "edge".to_owned(), source: errno.into() })?;
    Tun::create(DEVICE)?;
    Ok(())
}

fn with_causes(error: &dyn Error) -> String {
    std::iter::successors(error.source(), |&cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Counts the threads of this process in `/proc/self/status` (proc(5)).
fn check_single_thread() -> Result<(), IsolationError> {
    const PATH: &str = "/proc/self/status";
    let proc_error = |source| IsolationError::Proc { path: PATH, source };
    let status = fs::read_to_string(PATH).map_err(proc_error)?;
    match status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok()) {
        Some(1) => Ok(()),
        Some(threads) => Err(IsolationError::Threads { threads }),
        None => Err(proc_error(io::Error::new(io::ErrorKind::InvalidData, "it has no Threads line"))),
    }
}

/// Makes the next child PID 1 of a new PID namespace; says whether that took a user namespace.
fn unshare_processes() -> Result<bool, IsolationError> {
    if geteuid().is_root() {
        match unshare(CloneFlags::CLONE_NEWPID) {
            Ok(()) => return Ok(false),
            // Root of a container without CAP_SYS_ADMIN fares like an ordinary user.
            Err(Errno::EPERM) => {}
            Err(errno) => return Err(IsolationError::PidNamespace { source: errno.into() }),
        }
    }
    let (user, group) = (geteuid(), getegid());
    // A program with file capabilities (setcap) is not dumpable, and then /proc/self/uid_map belongs to root (measured).
    prctl::set_dumpable(true).map_err(system("own its files in /proc"))?;
    unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(|errno| IsolationError::UserNamespace { source: errno.into() })?;
    // Without CAP_SETGID outside, the kernel demands that setgroups be given up first (user_namespaces(7)).
    write_map("/proc/self/setgroups", "deny")?;
    write_map("/proc/self/uid_map", &format!("{user} {user} 1"))?;
    write_map("/proc/self/gid_map", &format!("{group} {group} 1"))?;
    unshare(CloneFlags::CLONE_NEWPID)
        .map_err(|errno| IsolationError::PidNamespace { source: errno.into() })?;
    Ok(true)
}

fn write_map(path: &'static str, text: &str) -> Result<(), IsolationError> {
    fs::write(path, text).map_err(|source| IsolationError::UserMap { path, source })
}

fn system(action: &'static str) -> impl Fn(Errno) -> IsolationError {
    move |errno| IsolationError::System { action, source: errno.into() }
}

/// Signals that the supervisor takes from a queue instead of dying of them. SIGTSTP is among them because a run cannot
/// pause: the kernels' timers would go on.
fn supervised_signals() -> SigSet {
    [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGTSTP]
        .into_iter()
        .collect()
}

/// Asks the kernel to kill this process with its parent, and covers a parent that died before the asking.
fn die_with_parent(parent_gone: BorrowedFd<'_>) -> Result<(), IsolationError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(system("tie the lab to its supervisor"))?;
    // getppid() cannot tell: the parent of PID 1 is outside the namespace and reads as 0, alive or dead.
    let mut fds = [PollFd::new(parent_gone, PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).map_err(system("look for the supervisor"))?;
    if fds[0].any().unwrap_or(false) {
        return Err(IsolationError::System {
            action: "find the supervisor",
            source: io::Error::new(io::ErrorKind::BrokenPipe, "it is gone"),
        });
    }
    Ok(())
}

/// Waits for the inner half and becomes its exit code. `_alive` is what the inner half sees close if this one dies.
fn supervise(child: Pid, signals: &SigSet, _alive: OwnedFd) -> ! {
    let code = match SignalFd::new(signals) {
        Ok(queue) => loop {
            if let Some(code) = exit_code(child) {
                break code;
            }
            if let Ok(Some(info)) = queue.read_signal() {
                pass_on(child, &info);
            }
        },
        Err(errno) => {
            eprintln!("finrace: cannot watch over the lab: {errno}");
            1
        }
    };
    // SAFETY: _exit is always safe to call. Handlers and buffers of the state before the fork belong to the inner
    // half, which has already run them; running them here again would print buffered output twice.
    unsafe { libc::_exit(code) }
}

/// The exit code to take over from the inner half, once that has ended.
fn exit_code(child: Pid) -> Option<i32> {
    match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Some(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            eprintln!("finrace: the lab was ended by {signal}");
            Some(128 + signal as i32)
        }
        Ok(_) | Err(Errno::EINTR) => None,
        Err(errno) => {
            eprintln!("finrace: lost the lab's process: {errno}");
            Some(1)
        }
    }
}

/// Gives a signal to the inner half, unless the terminal already has.
fn pass_on(child: Pid, info: &libc::signalfd_siginfo) {
    // Positive codes are the kernel's own: a key on the terminal, which signals the whole foreground group.
    let from_terminal = info.ssi_code > libc::SI_USER;
    // The kernel's numbers of these signals fit an i32.
    let forwarded = match Signal::try_from(info.ssi_signo as i32) {
        Ok(Signal::SIGQUIT) => Some(Signal::SIGKILL),
        Ok(Signal::SIGINT) if from_terminal => None,
        Ok(signal @ (Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP)) => Some(signal),
        _ => None,
    };
    if let Some(signal) = forwarded {
        // The only failure is a child that has just ended, which the next round of the caller's loop sees.
        let _ = kill(child, signal);
    }
}

/// The first SIGINT, SIGTERM or SIGHUP, for whoever wants to end in good order.
///
/// PID 1 of a namespace gets no signal for which it has no handler, not even from outside (pid_namespaces(7)), so
/// these are caught from the first moment on and kept: asking late loses nothing. Repeated signals change nothing.
#[derive(Debug, Clone, Copy)]
pub struct StopRequest(());

struct StopState {
    /// 0 until a signal came.
    signal: AtomicI32,
    /// A pipe that has a byte from then on. It is never read, so that any number of waiters see it.
    told: OwnedFd,
    tell: OwnedFd,
}

static STOP: OnceLock<StopState> = OnceLock::new();

impl StopRequest {
    fn install() -> Result<Self, IsolationError> {
        let (told, tell) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(system("create a pipe"))?;
        STOP.get_or_init(|| StopState { signal: AtomicI32::new(0), told, tell });
        let action = SigAction::new(SigHandler::Handler(note_stop), SaFlags::SA_RESTART, SigSet::empty());
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            // SAFETY: the handler does only what signal-safety(7) allows: atomics and write(2).
            unsafe { sigaction(signal, &action) }.map_err(system("install a signal handler"))?;
        }
        Ok(Self(()))
    }

    /// The signal that asked to stop, if one came.
    pub fn requested(&self) -> Option<Signal> {
        Signal::try_from(STOP.get()?.signal.load(Ordering::Acquire)).ok()
    }

    /// Waits, in any tokio runtime with I/O enabled, until a signal asks to stop.
    ///
    /// # Errors
    /// When the runtime cannot watch the descriptor.
    pub async fn wait(&self) -> io::Result<Signal> {
        let state = STOP.get().ok_or_else(|| io::Error::other("no lab was entered"))?;
        pipe::Receiver::from_owned_fd(state.told.try_clone()?)?.readable().await?;
        self.requested().ok_or_else(|| io::Error::other("woken without a signal"))
    }
}

extern "C" fn note_stop(signal: libc::c_int) {
    if let Some(state) = STOP.get() {
        let interrupted = Errno::last_raw();
        if state.signal.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            let _ = write(&state.tell, &[1]);
        }
        Errno::set_raw(interrupted);
    }
}
