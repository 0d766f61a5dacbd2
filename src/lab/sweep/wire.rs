//! A sweep between two hosts: the backend on one, the driver on the other, a wire with nothing but delay between them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::oneshot;

use super::{Observer, Requests, Settings, Swept, drive};
use crate::capture::Interrupt;
use crate::lab::events::EventLog;
use crate::lab::experiment::{addresses, capture_file, connections_end, serve, start};
use crate::lab::host::Host;
use crate::lab::isolation::StopRequest;
use crate::lab::recorder::{Recorder, compare, expected_packets};
use crate::lab::scenario::{Backend, Places, Scenario};
use crate::lab::wire::{Side, Wire, WireSettings};
use crate::lab::{LabError, backend};

/// Runs a sweep against the backend of a scenario. Of its wire only the delay counts: nothing is held or lost. Must be
/// called inside [`crate::lab::isolation::enter`], in a tokio runtime of the calling thread.
///
/// # Errors
/// See [`LabError`]. Files already written stay.
pub async fn run(
    scenario: &Scenario,
    settings: &Settings,
    (folder, servers): (&Path, &Path),
    stop: StopRequest,
    observer: Observer,
) -> Result<Swept, LabError> {
    let began = Instant::now();
    many_descriptors();
    let (edge_ip, origin_ip) = addresses(scenario.wire.family);
    let (edge, edge_tun) = Host::start("edge", edge_ip, origin_ip)?;
    let (origin, origin_tun) = Host::start("origin", origin_ip, edge_ip)?;
    let (edge, origin) = (Arc::new(edge), Arc::new(origin));
    let recorders = (
        Recorder::start(&edge, &folder.join("edge.pcapng"))?,
        Recorder::start(&origin, &folder.join("origin.pcapng"))?,
    );
    let wire_settings = WireSettings::new(edge_ip, origin_ip, scenario.wire.delay);
    let (wire, wire_events) = Wire::start(edge_tun, origin_tun, wire_settings)?;
    drop(wire_events);

    let address = SocketAddr::new(origin_ip, scenario.backend.port());
    let running = match &scenario.backend {
        Backend::Toy(toy) => {
            // What the backend did is in the captures; writing it down as well would make its timers late.
            let (toy, log) = (toy.clone(), EventLog::new(std::io::sink()));
            serve(
                &origin,
                move || async move { backend::Backend::bind(toy, &[address], log).await },
                backend::Backend::serve,
            )
            .await?
        }
        Backend::Program(program) => {
            let places = Places { dir: &folder.join("backend"), listen: address, backend: address, servers };
            start(&origin, program, &places).await?
        }
    };

    let requests = Requests::new(&scenario.traffic, &address.to_string());
    let driven = on_edge(&edge, settings, requests, address, stop, observer).await?;
    let elapsed = began.elapsed();

    let version = running.version();
    connections_end(&origin).await;
    running.stop().await;
    let wire_log = wire.stop();
    let recordings = (
        recorders.0.finish(expected_packets(&wire_log, Side::Edge))?,
        recorders.1.finish(expected_packets(&wire_log, Side::Origin))?,
    );
    let completeness = compare(&wire_log, &recordings.0, &recordings.1);
    Ok(Swept {
        attempts: driven.attempts,
        elapsed,
        interrupted: driven.interrupted,
        out_of_time: driven.out_of_time,
        side_by_side: driven.side_by_side,
        captures: [recordings.0, recordings.1].map(capture_file).into(),
        complete: completeness.complete,
        missing: completeness.missing,
        version,
    })
}

/// Drives from a thread of its own in the edge's network namespace: threads inherit it.
async fn on_edge(
    edge: &Host,
    settings: &Settings,
    requests: Requests,
    address: SocketAddr,
    stop: StopRequest,
    observer: Observer,
) -> Result<super::driver::Driven, LabError> {
    let (done, mut is_done) = oneshot::channel();
    let raised = Interrupt::default();
    let (settings, stopped) = (settings.clone(), raised.clone());
    let driver = edge.run(move || {
        thread::Builder::new().name("driver".to_owned()).spawn(move || {
            // The receiver waits below.
            let _ = done.send(drive(&settings, requests, address, stopped, observer));
        })
    })?;
    driver.map_err(|source| LabError::Sweep { source })?;
    let driven = tokio::select! {
        driven = &mut is_done => driven,
        _ = stop.wait() => {
            raised.raise();
            is_done.await
        }
    };
    driven.map_err(|_| LabError::Gone { part: "the driver".to_owned() })?
}

/// A connection is a descriptor at each end, and the usual limit of 1024 is only the soft one.
pub(super) fn many_descriptors() {
    // Refused, it leaves what there was: then the driver says that descriptors are short.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
