//! A capture of real programs under load: ab asks nginx over the loopback device, tcpdump captures.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getuid};

use super::check;

/// Connections that ab keeps open at the same time.
const CONNECTIONS: &str = "100";
/// Of the file that is asked for.
const BODY_LEN: usize = 512;

/// How long no more packets must have come for all to be there: twice as long as the kernel keeps them back.
const QUIET: Duration = Duration::from_secs(2);

/// A program that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// Why no such capture can be made here.
pub fn lacking() -> Option<String> {
    if !getuid().is_root() {
        return Some("capturing needs root".to_owned());
    }
    let lacks = |program: &&&str| Command::new(program).arg("-V").output().is_err();
    ["ab", "nginx", "tcpdump"].iter().find(lacks).map(|program| format!("{program} is not installed"))
}

/// Makes a capture of so many requests, and sees that finrace's report of it is right: all of them, and nothing lost.
pub fn capture(folder: &Path, requests: u64) -> anyhow::Result<PathBuf> {
    // The port is free now, and nobody else is likely to take it.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let capture = folder.join("load.pcap");
    let _nginx = nginx(folder, port)?;
    let tcpdump = tcpdump(&capture, port)?;
    ask(port, requests)?;
    let mut len = None;
    while len != Some(fs::metadata(&capture)?.len()) {
        len = Some(fs::metadata(&capture)?.len());
        thread::sleep(QUIET);
    }
    drop(tcpdump);
    let summary = check::same_with_one_thread_and_two(&capture)?;
    anyhow::ensure!(
        (summary.requests, summary.incidents) == (requests, 0),
        "ab was answered {requests} times, finrace reports {summary:?}"
    );
    println!(
        "{} packets, {} MiB, {} connections; all requests were counted and no incident was found, byte for byte the same with \
         one thread as with two.\n",
        summary.packets,
        fs::metadata(&capture)?.len() >> 20,
        summary.connections
    );
    Ok(capture)
}

/// Starts nginx and waits until it accepts connections.
fn nginx(folder: &Path, port: u16) -> anyhow::Result<Running> {
    let site = folder.join("site");
    fs::create_dir_all(&site)?;
    fs::write(site.join("index.html"), "x".repeat(BODY_LEN))?;
    let (site, folder_name) = (site.display(), folder.display());
    let config = folder.join("nginx.conf");
    fs::write(
        &config,
        format!(
            "user root; daemon off; pid {folder_name}/nginx.pid; error_log {folder_name}/nginx.log; worker_processes 1;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off;
                 server {{ listen 127.0.0.1:{port}; root {site}; }}
             }}"
        ),
    )?;
    let mut nginx = Command::new("nginx");
    nginx.arg("-c").arg(&config).stderr(Stdio::null());
    let mut nginx = Running(nginx.spawn().context("starting nginx")?);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = nginx.0.try_wait()?;
        anyhow::ensure!(ended.is_none(), "nginx ended; {folder_name}/nginx.log says why");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(nginx)
}

/// Starts tcpdump and waits until it captures.
fn tcpdump(capture: &Path, port: u16) -> anyhow::Result<Running> {
    let mut tcpdump = Command::new("tcpdump");
    // Without -Z it gives up root, and cannot write here then.
    tcpdump.args(["-Z", "root", "-i", "lo", "-U", "-B", "65536", "-w"]).arg(capture);
    tcpdump.arg(format!("tcp port {port}")).stderr(Stdio::piped());
    let mut tcpdump = Running(tcpdump.spawn().context("starting tcpdump")?);
    let errors = tcpdump.0.stderr.take().context("what tcpdump says")?;
    for line in BufReader::new(errors).lines() {
        if line?.contains("listening on") {
            return Ok(tcpdump);
        }
    }
    anyhow::bail!("tcpdump could not capture on lo")
}

/// Asks so many times; each request must be answered with the file.
fn ask(port: u16, requests: u64) -> anyhow::Result<()> {
    let mut ab = Command::new("ab");
    ab.args(["-q", "-k", "-c", CONNECTIONS, "-n", &requests.to_string()]);
    let output = ab.arg(format!("http://127.0.0.1:{port}/")).output().context("starting ab")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let count = |name: &str| {
        said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let all = count("Complete requests:") == requests;
    let wrong = count("Failed requests:") + count("Non-2xx responses:");
    anyhow::ensure!(all && wrong == 0, "ab was not answered each time: {said}");
    Ok(())
}
