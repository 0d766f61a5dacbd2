//! Sweeps without the wire: a toy on the loopback device, and a server elsewhere.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use super::driver::Driven;
use super::wire::many_descriptors;
use super::{Observer, Requests, Settings, Swept, drive};
use crate::capture::Interrupt;
use crate::capture::live::{LiveCapture, LiveOptions, devices};
use crate::lab::events::EventLog;
use crate::lab::loopback::{SNAPLEN, record};
use crate::lab::scenario::{Backend, Family, Scenario, ToyBackend};
use crate::lab::{BindError, CaptureFile, LabError, backend};

/// Sweeps a server that runs already; nothing is captured. Blocks until the end.
///
/// # Errors
/// See [`LabError`].
pub fn live(
    settings: &Settings,
    requests: Requests,
    server: SocketAddr,
    stop: Interrupt,
    observer: Observer,
) -> Result<Swept, LabError> {
    let began = Instant::now();
    many_descriptors();
    let driven = drive(settings, requests, server, stop, observer)?;
    Ok(swept(driven, began))
}

/// Sweeps the toy backend of a scenario on the loopback device. Blocks until the end.
///
/// # Errors
/// See [`LabError`]; without the right to capture, [`LabError::Capture`].
pub fn loopback(
    scenario: &Scenario,
    settings: &Settings,
    folder: &Path,
    stop: Interrupt,
    observer: Observer,
) -> Result<Swept, LabError> {
    let began = Instant::now();
    many_descriptors();
    let Backend::Toy(toy) = &scenario.backend else { return Err(LabError::NeedsWire) };
    let device =
        devices().into_iter().find(|device| device.loopback && device.up).ok_or(LabError::NoLoopback)?;
    let any_port = match scenario.wire.family {
        Family::Ipv4 => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        Family::Ipv6 => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0),
    };
    let (address, stop_toy) = serve(toy.clone(), any_port)?;
    let options = LiveOptions {
        filter: Some(format!("tcp port {}", address.port())),
        snaplen: SNAPLEN,
        ..LiveOptions::default()
    };
    let capture = LiveCapture::open(&device.name, &options)?;
    let finish = Arc::new(AtomicBool::new(false));
    let path = folder.join("loopback.pcapng");
    let recording = thread::spawn({
        let (path, finish) = (path.clone(), Arc::clone(&finish));
        move || record(capture, &path, &finish)
    });
    let requests = Requests { host: address.to_string(), ..requests_of(scenario) };
    let driven = drive(settings, requests, address, stop, observer);
    drop(stop_toy);
    finish.store(true, Ordering::Release);
    let (packets, dropped) = recording
        .join()
        .map_err(|_| LabError::Gone { part: "the capture".to_owned() })?
        .map_err(|source| LabError::Write { path: path.clone(), source })?;
    let mut swept = swept(driven?, began);
    swept.captures.push(CaptureFile { path, packets, dropped });
    swept.complete = dropped == 0;
    if dropped > 0 {
        swept.missing.push(format!("the kernel dropped {dropped} packets"));
    }
    Ok(swept)
}

fn requests_of(scenario: &Scenario) -> Requests {
    Requests::new(&scenario.traffic, "")
}

/// A toy on a thread of its own, until the sender is dropped.
fn serve(toy: ToyBackend, address: SocketAddr) -> Result<(SocketAddr, oneshot::Sender<()>), LabError> {
    let (ready, is_ready) = mpsc::channel::<Result<SocketAddr, BindError>>();
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| LabError::Sweep { source })?;
    let run = async move {
        match backend::Backend::bind(toy, &[address], EventLog::new(std::io::sink())).await {
            Ok(toy) => {
                // The receiver waits below.
                let _ = ready.send(Ok(toy.addresses()[0]));
                tokio::select! {
                    () = toy.serve() => {}
                    // The sender was dropped: the sweep is over.
                    _ = stopped => {}
                }
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    };
    thread::Builder::new()
        .name("backend".to_owned())
        .spawn(move || runtime.block_on(run))
        .map_err(|source| LabError::Sweep { source })?;
    let address = is_ready.recv().map_err(|_| LabError::Gone { part: "the toy backend".to_owned() })??;
    Ok((address, stop))
}

fn swept(driven: Driven, began: Instant) -> Swept {
    Swept {
        attempts: driven.attempts,
        elapsed: began.elapsed(),
        interrupted: driven.interrupted,
        out_of_time: driven.out_of_time,
        side_by_side: driven.side_by_side,
        captures: Vec::new(),
        complete: true,
        missing: Vec::new(),
        version: None,
    }
}
