//! The lab for machines without namespaces or TUN: the same toys on the loopback device, one capture, no wire.
//!
//! Loopback delivers a segment within the sender's own system call, so nothing can be made to cross in flight; gates
//! between the toys make what remains possible ([`Scenario::loopback_support`] says what is not, and why).

use std::fs::File;
use std::io::{self, BufWriter};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::unbounded_channel;

use super::backend::Backend;
use super::events::EventLog;
use super::proxy::Proxy;
use super::scenario::{self, Family, Scenario};
use super::traffic::{Attempt, Driver};
use super::{CaptureFile, LabError, Outcome};
use crate::capture::live::{LiveCapture, LiveOptions, devices};
use crate::capture::{Interface, PcapngWriter};

/// Bytes kept of a packet: headers and more than any head of the toys. libpcap reserves this much for every packet in
/// its buffer, so a larger one would make the buffer hold fewer packets than a burst has (measured).
pub(super) const SNAPLEN: u32 = 4096;
/// Silence, in milliseconds, after which everything that the toys' kernel had to say has been captured.
const QUIET: u8 = 100;
/// The capture ends then at the latest: other traffic on the toys' ports cannot be, but may never keep a run alive.
const QUIET_AT_MOST: Duration = Duration::from_secs(3);

/// Runs a scenario of toys on the loopback device; `stopped` ends it early.
///
/// # Errors
/// See [`LabError`]; without the right to capture, [`LabError::Capture`].
pub async fn run(
    scenario: &Scenario,
    folder: &Path,
    stopped: impl Future<Output = ()>,
) -> Result<Outcome, LabError> {
    let began = Instant::now();
    let (scenario::Proxy::Toy(proxy), scenario::Backend::Toy(backend)) = (&scenario.proxy, &scenario.backend)
    else {
        return Err(LabError::NeedsWire);
    };
    let device =
        devices().into_iter().find(|device| device.loopback && device.up).ok_or(LabError::NoLoopback)?;
    let events_path = folder.join("events.jsonl");
    let events_file =
        File::create(&events_path).map_err(|source| LabError::Write { path: events_path.clone(), source })?;
    let log = EventLog::new(events_file);

    // Ports of this machine are other people's too: the kernel chooses free ones.
    let any_port = match scenario.wire.family {
        Family::Ipv4 => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        Family::Ipv6 => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0),
    };
    let wanted = vec![any_port; scenario.lanes()];
    let backend = Backend::bind(backend.clone(), &wanted, log.clone()).await?;
    let backends = backend.addresses().to_vec();
    let proxy = Proxy::bind(proxy.clone(), &wanted, &backends, log.clone()).await?;
    let driver = Driver::new(scenario, proxy.addresses(), log.clone());

    let filter = backends
        .iter()
        .map(|address| format!("tcp port {}", address.port()))
        .collect::<Vec<_>>()
        .join(" or ");
    let capture = LiveCapture::open(
        &device.name,
        &LiveOptions { filter: Some(filter), snaplen: SNAPLEN, ..LiveOptions::default() },
    )?;
    let finish = Arc::new(AtomicBool::new(false));
    let file = folder.join("loopback.pcapng");
    let recording = thread::spawn({
        let (file, finish) = (file.clone(), Arc::clone(&finish));
        move || record(capture, &file, &finish)
    });

    let backend = tokio::spawn(backend.serve());
    let proxy = tokio::spawn(proxy.serve());
    let (attempts, interrupted) = drive(driver, stopped).await;
    let elapsed = began.elapsed();
    for toy in [proxy, backend] {
        toy.abort();
        // Aborted on purpose: that it was is not worth telling.
        let _ = toy.await;
    }
    finish.store(true, Ordering::Release);
    let (packets, dropped) = recording
        .join()
        .map_err(|_| LabError::Gone { part: "the capture".to_owned() })?
        .map_err(|source| LabError::Write { path: file.clone(), source })?;
    log.finish().map_err(|source| LabError::Write { path: events_path, source })?;
    let missing =
        if dropped == 0 { Vec::new() } else { vec![format!("the kernel dropped {dropped} packets")] };
    Ok(Outcome {
        attempts,
        side_by_side: scenario.lanes() as u32,
        elapsed,
        interrupted,
        captures: vec![CaptureFile { path: file, packets, dropped }],
        complete: missing.is_empty(),
        missing,
        versions: (None, None),
        product_lines: Vec::new(),
    })
}

async fn drive(driver: Driver, stopped: impl Future<Output = ()>) -> (Vec<Attempt>, bool) {
    let (sender, mut results) = unbounded_channel();
    let driver = tokio::spawn(driver.run(sender));
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut interrupted = false;
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            attempt = results.recv() => match attempt {
                Some(attempt) => attempts.push(attempt),
                None => break,
            },
            () = &mut stopped => {
                interrupted = true;
                break;
            }
        }
    }
    driver.abort();
    // What ended in the moment of the stop request had been found, too.
    attempts.extend(std::iter::from_fn(|| results.try_recv().ok()));
    attempts.sort_by_key(|attempt| attempt.number);
    (attempts, interrupted)
}

/// Writes packets until told to finish and the device has been quiet; returns how many, and how many were dropped.
pub(super) fn record(mut capture: LiveCapture, file: &Path, finish: &AtomicBool) -> io::Result<(u64, u64)> {
    let interface =
        Interface { name: capture.device().to_owned(), link: capture.link(), snaplen: capture.snaplen() };
    let mut writer = PcapngWriter::new(BufWriter::new(File::create(file)?), &[interface])?;
    let mut packets = 0;
    let mut finish_by = None;
    loop {
        while let Some(packet) = capture.next().map_err(io::Error::other)? {
            writer.packet(0, packet.time_ns, packet.wire_len, packet.data, None)?;
            packets += 1;
        }
        writer.flush()?;
        if finish_by.is_none() && finish.load(Ordering::Acquire) {
            finish_by = Some(Instant::now() + QUIET_AT_MOST);
        }
        let mut fds = [PollFd::new(capture.as_fd(), PollFlags::POLLIN)];
        let quiet = poll(&mut fds, PollTimeout::from(QUIET))? == 0;
        if finish_by.is_some_and(|end| quiet || Instant::now() >= end) {
            break;
        }
    }
    let stats = capture.stats().map_err(io::Error::other)?;
    let dropped = stats.dropped_by_kernel + stats.dropped_by_interface;
    writer.statistics(0, super::events::now_ns(), stats.received, dropped)?;
    writer.flush()?;
    Ok((packets, dropped))
}
