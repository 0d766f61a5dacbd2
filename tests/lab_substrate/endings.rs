//! How a lab ends: nothing may stay behind.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use finrace::lab::host::Host;
use finrace::lab::isolation::{self, IsolationError};
use finrace::lab::tun::Tun;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getegid, geteuid, pipe};

use crate::harness::{Case, block_on, chain, exit_code, fork_child, in_child};

pub const CASES: &[Case] = &[
    ("a rehearsal changes nothing", rehearsal_changes_nothing),
    ("a rehearsal tells what is missing", rehearsal_tells_what_is_missing),
    ("the supervisor takes over the exit code", supervisor_takes_over_the_exit_code),
    ("the supervisor says which signal ended the lab", supervisor_says_which_signal_ended_the_lab),
    ("a lab is refused once threads run", lab_is_refused_once_threads_run),
    ("a signal to the supervisor asks the lab to stop", signal_to_the_supervisor_asks_the_lab_to_stop),
    ("kill -9 of the supervisor leaves nothing", kill_of_the_supervisor_leaves_nothing),
    ("kill -9 of the lab leaves nothing", kill_of_the_lab_leaves_nothing),
    ("SIGQUIT ends a lab that does not answer", sigquit_ends_a_lab_that_does_not_answer),
];

fn rehearsal_changes_nothing() {
    let namespaces =
        || ["net", "pid_for_children", "user"].map(|kind| fs::read_link(format!("/proc/self/ns/{kind}")));
    let before = namespaces().map(|link| link.expect("/proc"));
    isolation::rehearse().expect("a lab");
    assert_eq!(namespaces().map(|link| link.expect("/proc")), before);
}

fn rehearsal_tells_what_is_missing() {
    let root = geteuid().is_root();
    if root {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    } else {
        let user = geteuid();
        let group = getegid();
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        fs::write("/proc/self/setgroups", "deny").expect("groups can be given up");
        fs::write("/proc/self/uid_map", format!("{user} {user} 1")).expect("a user");
        fs::write("/proc/self/gid_map", format!("{group} {group} 1")).expect("a group");
    }
    const NONE: Option<&str> = None;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).expect("mounts become private");
    mount(Some("tmpfs"), "/dev/net", Some("tmpfs"), MsFlags::empty(), NONE).expect("an empty /dev/net");
    let error = isolation::rehearse().expect_err("no /dev/net/tun").to_string();
    assert!(error.starts_with("/dev/net/tun does not exist: load the module (`modprobe tun`)"), "{error}");
}

fn supervisor_takes_over_the_exit_code() {
    let status = in_child(|| {
        isolation::enter().expect("a lab");
        7
    });
    assert_eq!(exit_code(status), Some(7));
}

fn supervisor_says_which_signal_ended_the_lab() {
    let lab = Lab::start(wait_for_ever);
    kill(lab.inner, Signal::SIGKILL).expect("the lab runs");
    let (status, words) = lab.end();
    assert_eq!(exit_code(status), Some(128 + 9));
    assert_eq!(words, "finrace: the lab was ended by SIGKILL\n");
}

fn lab_is_refused_once_threads_run() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || held.recv());
    let refused = isolation::enter().expect_err("two threads run");
    assert!(matches!(refused, IsolationError::Threads { threads: 2 }), "{refused}");
    drop(release);
    thread.join().expect("the thread ends").expect_err("the sender was dropped");
}

fn signal_to_the_supervisor_asks_the_lab_to_stop() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let lab = Lab::start(|entered, ready| {
            block_on(async move {
                ready.send("");
                assert_eq!(
                    entered.stop.wait().await.expect("a signal"),
                    entered.stop.requested().expect("it")
                );
            });
            40 + entered.stop.requested().map_or(0, |signal| signal as i32)
        });
        kill(lab.supervisor, signal).expect("the supervisor runs");
        let (status, words) = lab.end();
        assert_eq!(exit_code(status), Some(40 + signal as i32), "after {signal}: {words}");
    }
}

fn kill_of_the_supervisor_leaves_nothing() {
    let lab = Lab::start(serve_for_ever);
    let namespaces = lab.namespaces();
    kill(lab.supervisor, Signal::SIGKILL).expect("the supervisor runs");
    let (status, _) = lab.end();
    assert!(matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _)), "{status:?}");
    assert_eq!(users_of(&namespaces), Vec::<String>::new());
}

fn kill_of_the_lab_leaves_nothing() {
    let lab = Lab::start(serve_for_ever);
    let namespaces = lab.namespaces();
    kill(lab.inner, Signal::SIGKILL).expect("the lab runs");
    lab.end();
    assert_eq!(users_of(&namespaces), Vec::<String>::new());
}

fn sigquit_ends_a_lab_that_does_not_answer() {
    let lab = Lab::start(serve_for_ever);
    kill(lab.supervisor, Signal::SIGQUIT).expect("the supervisor runs");
    let (status, _) = lab.end();
    assert_eq!(exit_code(status), Some(128 + 9));
}

/// A lab in processes of its own, seen from outside.
struct Lab {
    supervisor: Pid,
    /// PID 1 of the lab, by the number it has outside.
    inner: Pid,
    /// The rest of the line with which it said that it was ready.
    said: String,
    /// Standard error of all its processes; at its end when the last of them is gone.
    words: BufReader<File>,
}

/// The lab's way to say that it is ready.
struct Ready(File);

impl Ready {
    fn send(&self, text: &str) {
        // /proc is the machine's, so this is the number by which the test can kill this process.
        let inner = fs::read_link("/proc/self").expect("/proc");
        writeln!(&self.0, "{} {text}", inner.display()).expect("the test listens");
    }
}

impl Lab {
    fn start(body: impl FnOnce(isolation::Entered, Ready) -> i32) -> Lab {
        // Both ends are inherited by programs that the lab starts, daemons among them: the reader comes to the end only
        // when the last process of the lab has gone.
        let (words, write): (OwnedFd, OwnedFd) = pipe().expect("a pipe");
        let supervisor = fork_child(|| {
            nix::unistd::dup2_stderr(&write).expect("standard error");
            let entered = isolation::enter().unwrap_or_else(|error| panic!("{}", chain(&error)));
            body(entered, Ready(write.into()))
        });
        let mut words = BufReader::new(File::from(words));
        let mut line = String::new();
        words.read_line(&mut line).expect("the lab's words");
        let (inner, said) =
            line.trim_end_matches('\n').split_once(' ').unwrap_or_else(|| panic!("not ready: {line}"));
        let inner = Pid::from_raw(inner.parse().unwrap_or_else(|_| panic!("not ready: {line}")));
        Lab { supervisor, inner, said: said.to_owned(), words }
    }

    fn namespaces(&self) -> Vec<u64> {
        let found: Vec<u64> = self.said.split(' ').map(|inode| inode.parse().expect("an inode")).collect();
        assert!(!users_of(&found).is_empty(), "the lab's namespaces are in use: {found:?}");
        found
    }

    /// Waits until the last process has gone; gives the supervisor's end and what was said on standard error.
    fn end(mut self) -> (WaitStatus, String) {
        let mut words = String::new();
        self.words.read_to_string(&mut words).expect("the lab's words");
        (waitpid(self.supervisor, None).expect("the supervisor is a child"), words)
    }
}

fn wait_for_ever(_: isolation::Entered, ready: Ready) -> i32 {
    ready.send("");
    loop {
        std::thread::park();
    }
}

/// Two hosts with devices, a program on one of them, and a daemon that it has started and that has left its session.
fn serve_for_ever(entered: isolation::Entered, ready: Ready) -> i32 {
    let ends: [IpAddr; 2] = ["192.0.2.1".parse().expect("v4"), "192.0.2.2".parse().expect("v4")];
    let hosts: Vec<(Host, Tun)> = [("edge", ends[0], ends[1]), ("origin", ends[1], ends[0])]
        .map(|(name, address, peer)| {
            Host::start(name, address, peer).unwrap_or_else(|error| panic!("{}", chain(&error)))
        })
        .into();
    let namespaces: Vec<String> = hosts
        .iter()
        .map(|(host, _)| {
            let inode = host.run(|| fs::metadata("/proc/thread-self/ns/net").expect("a namespace").ino());
            inode.expect("the host runs").to_string()
        })
        .collect();
    let started = hosts[0].0.run(|| {
        let mut shell = Command::new("sh")
            .args(["-c", "setsid sleep 1000 & trap '' TERM INT HUP; echo started; sleep 1000 & wait; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("piped")).read_line(&mut line).expect("the shell's words");
        (shell, line)
    });
    let (_shell, line) = started.expect("the host runs");
    assert_eq!(line, "started\n");
    ready.send(&namespaces.join(" "));
    wait_for_ever(entered, Ready(File::open("/dev/null").expect("/dev/null")))
}

/// The tasks that live in one of these network namespaces, by their folders in `/proc`.
fn users_of(namespaces: &[u64]) -> Vec<String> {
    let tasks = fs::read_dir("/proc").expect("/proc").flatten().filter_map(|process| {
        let all = fs::read_dir(process.path().join("task")).ok()?;
        Some(all.flatten().map(|task| task.path()).collect::<Vec<_>>())
    });
    tasks
        .flatten()
        .filter(|task| {
            fs::metadata(task.join("ns/net")).is_ok_and(|namespace| namespaces.contains(&namespace.ino()))
        })
        .map(|task| task.display().to_string())
        .collect()
}
