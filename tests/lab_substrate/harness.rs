//! Runs cases in forked processes and counts.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitCode;

use finrace::lab::isolation::{self, Entered};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, alarm, fork, geteuid, setgroups, setresgid, setresuid};

/// A name that is a sentence, and the body. A case passes unless it panics.
pub type Case = (&'static str, fn());

/// A user that owns nothing and needs no entry in `/etc/passwd`.
const ORDINARY: u32 = 64_999;

/// A case that takes longer never ends; SIGALRM makes that a failure.
const HANGS_AFTER_S: u32 = 120;

#[derive(Clone, Copy, PartialEq)]
enum User {
    /// Whoever runs the tests.
    Same,
    /// Root becomes an ordinary user.
    Ordinary,
}

/// Runs the cases whose names contain the words on the command line.
pub fn run(cases: &[Case]) -> ExitCode {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let users: &[User] = if geteuid().is_root() { &[User::Same, User::Ordinary] } else { &[User::Same] };
    if let Err(lack) = machine_has_what_a_lab_needs() {
        println!("\nNone of these cases can run here: {lack}.");
        println!("test result: ok. 0 passed; 0 failed; {} ignored", cases.len());
        return ExitCode::SUCCESS;
    }
    let (mut passed, mut failed) = (0, Vec::new());
    for &(name, body) in cases {
        for &user in users {
            let name = format!("{name} ({})", title(user));
            if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
                continue;
            }
            print!("test {name} ... ");
            flush();
            let status = in_child(|| {
                alarm::set(HANGS_AFTER_S);
                become_user(user);
                body();
                0
            });
            if exit_code(status) == Some(0) {
                println!("ok");
                passed += 1;
            } else {
                println!("FAILED ({status:?})");
                failed.push(name);
            }
        }
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    for name in &failed {
        println!("failed: {name}");
    }
    println!("\ntest result: {verdict}. {passed} passed; {} failed; 0 ignored", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Asks the kernel itself, so that a mistake in the code under test cannot pass for a lack of the machine.
fn machine_has_what_a_lab_needs() -> Result<(), String> {
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        return Err(format!("/dev/net/tun cannot be opened ({error})"));
    }
    let namespaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID;
    let granted = in_child(|| {
        let as_root = geteuid().is_root() && unshare(namespaces).is_ok();
        let granted =
            as_root || unshare(CloneFlags::CLONE_NEWUSER).and_then(|()| unshare(namespaces)).is_ok();
        i32::from(!granted)
    });
    if exit_code(granted) == Some(0) { Ok(()) } else { Err("namespaces are refused".to_owned()) }
}

fn title(user: User) -> &'static str {
    match user {
        User::Ordinary => "ordinary user",
        User::Same if geteuid().is_root() => "root",
        User::Same => "this user",
    }
}

fn flush() {
    io::stdout().flush().expect("standard output is open");
}

/// Forks; the child's result, or 101 if it panicked, is its exit code.
pub fn fork_child(body: impl FnOnce() -> i32) -> Pid {
    flush();
    // SAFETY: this program has a single thread wherever a case forks: cases that start threads do so in processes of
    // their own, behind `enter`.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            // A case that fails leaves no lab of its own behind.
            prctl::set_pdeathsig(Signal::SIGKILL).expect("a valid signal");
            let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(101);
            // The caller's own code must not run twice.
            #[allow(clippy::exit)]
            std::process::exit(code)
        }
    }
}

/// Forks and waits.
pub fn in_child(body: impl FnOnce() -> i32) -> WaitStatus {
    waitpid(fork_child(body), None).expect("the child can be waited for")
}

pub fn exit_code(status: WaitStatus) -> Option<i32> {
    match status {
        WaitStatus::Exited(_, code) => Some(code),
        _ => None,
    }
}

/// Enters a lab in a forked process and runs an async body in it, on a runtime of its own.
pub fn in_lab<B>(body: B)
where
    B: FnOnce(Entered) -> Pin<Box<dyn Future<Output = ()>>>,
{
    let status = in_child(|| {
        let entered = isolation::enter().unwrap_or_else(|error| panic!("{}", chain(&error)));
        block_on(body(entered));
        0
    });
    assert_eq!(exit_code(status), Some(0), "the lab failed: {status:?}");
}

pub fn block_on<F: Future>(body: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(body)
}

/// An error with its causes, as the program would print it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn become_user(user: User) {
    if user == User::Same {
        return;
    }
    open_tun_to_everyone();
    let (uid, gid) = (Uid::from_raw(ORDINARY), Gid::from_raw(ORDINARY));
    setgroups(&[]).expect("root may drop its groups");
    setresgid(gid, gid, gid).expect("root may change its group");
    setresuid(uid, uid, uid).expect("root may change its user");
    // Changing user makes a process undumpable, and then /proc/self belongs to root.
    prctl::set_dumpable(true).expect("a process may be dumpable");
}

fn open_tun_to_everyone() {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).expect("root may make a mount namespace");
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).expect("mounts become private");
    mount(Some("tmpfs"), "/dev/net", Some("tmpfs"), MsFlags::empty(), NONE).expect("an empty /dev/net");
    umask(Mode::empty());
    mknod("/dev/net/tun", SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(10, 200))
        .expect("the TUN node");
}
