//! A capture of real programs under load: ab asks nginx over the loopback device, tcpdump captures.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Connections that ab keeps open at the same time.
const CONNECTIONS: &str = "100";
/// Of the file that is asked for.
const BODY_LEN: usize = 512;

/// A program that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// Makes a capture of so many requests. Nothing of it is known in advance.
pub fn capture(folder: &Path, requests: u64) -> anyhow::Result<PathBuf> {
    // The port is free now, and nobody else is likely to take it.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let site = folder.join("site");
    fs::create_dir_all(&site)?;
    fs::write(site.join("index.html"), "x".repeat(BODY_LEN))?;
    let config = folder.join("nginx.conf");
    fs::write(&config, nginx_config(folder, &site, port))?;
    let capture = folder.join("load.pcap");
    let nginx = Command::new("nginx").arg("-c").arg(&config).stderr(Stdio::null()).spawn();
    let _nginx = Running(nginx.context("starting nginx")?);
    let mut tcpdump = Command::new("tcpdump");
    tcpdump.args(["-i", "lo", "-s", "0", "-B", "65536", "-w"]).arg(&capture).arg(format!("tcp port {port}"));
    let tcpdump = Running(tcpdump.stderr(Stdio::null()).spawn().context("starting tcpdump")?);
    let url = format!("http://127.0.0.1:{port}/");
    // Both are there when a request was captured.
    while !fs::metadata(&capture).is_ok_and(|file| file.len() > 0) || !ask(&url, "1")? {
        thread::sleep(Duration::from_millis(20));
    }
    anyhow::ensure!(ask(&url, &requests.to_string())?, "ab could not ask all of its requests");
    drop(tcpdump);
    println!("{}: {} MiB", capture.display(), fs::metadata(&capture)?.len() >> 20);
    Ok(capture)
}

/// Asks, and tells whether all was answered.
fn ask(url: &str, requests: &str) -> anyhow::Result<bool> {
    let mut ab = Command::new("ab");
    ab.args(["-q", "-k", "-n", requests, "-c", if requests == "1" { "1" } else { CONNECTIONS }, url]);
    Ok(ab.stdout(Stdio::null()).stderr(Stdio::null()).status().context("starting ab")?.success())
}

fn nginx_config(folder: &Path, site: &Path, port: u16) -> String {
    let (folder, site) = (folder.display(), site.display());
    format!(
        "daemon off; pid {folder}/nginx.pid; error_log /dev/null; worker_processes 1;
         events {{ worker_connections 1024; }}
         http {{
             access_log off;
             server {{ listen 127.0.0.1:{port}; root {site}; }}
         }}"
    )
}
