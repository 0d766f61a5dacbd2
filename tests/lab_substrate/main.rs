//! The lab's ground, on real kernels: isolation, hosts, wire, captures, processes.
//!
//! Every case runs in a process of its own, forked while this program has a single thread. As root each case runs
//! twice: as root, and as an ordinary user who finds `/dev/net/tun` open to all, as it is on an ordinary Linux; that
//! node lies in a mount namespace of the case, the machine's own is left alone.

#[cfg(target_os = "linux")]
mod endings;
#[cfg(target_os = "linux")]
mod harness;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod traffic;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    // A case about processes needs a program that is certainly installed: this one.
    if let Some(role) = std::env::args().nth(1).filter(|argument| argument.starts_with("act-as-")) {
        return processes::act(&role);
    }
    let cases = [endings::CASES, traffic::CASES, processes::CASES].concat();
    harness::run(&cases)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("test result: ok. 0 passed; 0 failed; 0 ignored (network namespaces are Linux's)");
}
