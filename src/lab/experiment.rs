//! One run of a scenario on the wire: hosts, recorders and programs are put together, traffic is sent, all is taken down.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::events::{self, EventLog, What};
use super::host::Host;
use super::isolation::StopRequest;
use super::process::{self, Server, ServerCommand};
use super::recorder::{Recorder, Recording, compare, expected_packets};
use super::scenario::{Backend, Family, Party, Places, Program, Proxy, Scenario, ToyProxy};
use super::sockets;
use super::traffic::{Attempt, Driver};
use super::wire::{DropRule, HoldRule, Side, Wire, WireEvent, WireEventKind, WireSettings};
use super::{BindError, CaptureFile, LabError, Outcome, ProductLines, backend, proxy};

/// How long a real program may take to end when asked to, and a backend to end its connections when the proxy has gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the backend's connections are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long after the last answer a program may take to write the first line about it.
const LOGS_WITHIN: Duration = Duration::from_millis(200);
/// Lines of a product's log that are kept for the reader.
const LOG_LINES: usize = 3;

/// Runs a scenario between two hosts. Must be called inside [`super::isolation::enter`], in a tokio runtime of the
/// calling thread.
///
/// A stop request ends the run early; what had been found until then is the outcome, marked as interrupted.
///
/// # Errors
/// See [`LabError`]. Files already written stay.
pub async fn run(
    scenario: &Scenario,
    folder: &Path,
    servers: &Path,
    stop: StopRequest,
) -> Result<Outcome, LabError> {
    let began = Instant::now();
    let (edge_ip, origin_ip) = addresses(scenario.wire.family);
    let (edge, edge_tun) = Host::start("edge", edge_ip, origin_ip)?;
    let (origin, origin_tun) = Host::start("origin", origin_ip, edge_ip)?;
    let (edge, origin) = (Arc::new(edge), Arc::new(origin));

    let events_path = folder.join("events.jsonl");
    let events_file =
        File::create(&events_path).map_err(|source| LabError::Write { path: events_path.clone(), source })?;
    let log = EventLog::new(events_file);
    let recorders = (
        Recorder::start(&edge, &folder.join("edge.pcapng"))?,
        Recorder::start(&origin, &folder.join("origin.pcapng"))?,
    );
    let (wire, wire_events) = Wire::start(edge_tun, origin_tun, wire_settings(scenario, edge_ip, origin_ip))?;
    let reporter = tokio::spawn(report_wire(wire_events, log.clone(), scenario.backend.port()));

    let lanes = scenario.lanes() as u16;
    let last_port = scenario.backend_ports() as u16 - 1;
    let backends: Vec<SocketAddr> = (0..lanes)
        .map(|lane| SocketAddr::new(origin_ip, scenario.backend.port() + lane.min(last_port)))
        .collect();
    let proxies: Vec<SocketAddr> = (0..lanes)
        .map(|lane| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), scenario.proxy.port() + lane))
        .collect();
    let hosts = (&edge, &origin);
    let (proxy, backend) =
        start_both(scenario, hosts, (&proxies, &backends), &log, (folder, servers)).await?;

    // What a program logs after the first attempt's second request has set out is about that.
    let logged_before = Arc::new(OnceLock::new());
    let logs = [&proxy, &backend].map(|running| running.log().map(|(_, path)| path.to_owned()));
    let lengths = logged_before.clone();
    let driver = Driver::new(scenario, &proxies, log.clone()).before_second(move || {
        lengths.get_or_init(|| logs.each_ref().map(|path| length(path.as_deref())));
    });
    let (attempts, interrupted) = drive(&edge, driver, stop).await;
    let elapsed = began.elapsed();

    let mut product_lines = Vec::new();
    for (running, from) in [&proxy, &backend].into_iter().zip(logged_before.get().into_iter().flatten()) {
        product_lines.extend(running.said(*from).await);
    }
    let versions = (proxy.version(), backend.version());
    // The backend stays until it has met what was still on its way when the last answer was there: a request that comes
    // upon a stopped backend would be refused by the kernel, whatever the backend meant to do with it.
    proxy.stop().await;
    connections_end(&origin).await;
    backend.stop().await;
    let wire_log = wire.stop();
    reporter.abort();
    let recordings = (
        recorders.0.finish(expected_packets(&wire_log, Side::Edge))?,
        recorders.1.finish(expected_packets(&wire_log, Side::Origin))?,
    );
    log.finish().map_err(|source| LabError::Write { path: events_path, source })?;
    let mut completeness = compare(&wire_log, &recordings.0, &recordings.1);
    if wire_log.strays > 0 {
        completeness
            .missing
            .push(format!("{} packets on the wire were not from or to the lab's addresses", wire_log.strays));
    }
    // A hold waits in vain on a connection that the proxy does not use again.
    let reused = |attempt: &Attempt| attempt.sent_on.is_some() && attempt.sent_on == attempt.connection;
    if wire_log.expired_holds > 0 && attempts.iter().any(reused) {
        completeness.missing.push(format!(
            "{} held packets went on because what they waited for did not come",
            wire_log.expired_holds
        ));
    }
    Ok(Outcome {
        attempts,
        side_by_side: u32::from(lanes),
        elapsed,
        interrupted,
        captures: [recordings.0, recordings.1].map(capture_file).into(),
        complete: completeness.complete,
        missing: completeness.missing,
        versions,
        product_lines,
    })
}

pub(super) fn capture_file(recording: Recording) -> CaptureFile {
    CaptureFile {
        packets: recording.packets.len() as u64,
        dropped: recording.stats.dropped_by_kernel + recording.stats.dropped_by_interface,
        path: recording.file,
    }
}

pub(super) fn addresses(family: Family) -> (IpAddr, IpAddr) {
    match family {
        Family::Ipv4 => (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into()),
        Family::Ipv6 => {
            let host = |number| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number).into();
            (host(1), host(2))
        }
    }
}

/// Starts what a scenario puts onto both hosts, the backend first: the proxy, then the backend are given. Files are made in
/// the run's folder, `servers` holds the packages of real servers.
///
/// # Errors
/// See [`LabError`].
pub(super) async fn start_both(
    scenario: &Scenario,
    (edge, origin): (&Arc<Host>, &Arc<Host>),
    (proxies, backends): (&[SocketAddr], &[SocketAddr]),
    log: &EventLog,
    (folder, servers): (&Path, &Path),
) -> Result<(Running, Running), LabError> {
    let backend = match &scenario.backend {
        Backend::Toy(settings) => {
            let (settings, addresses, log) = (settings.clone(), backends.to_vec(), log.clone());
            serve(
                origin,
                move || async move { backend::Backend::bind(settings, &addresses, log).await },
                backend::Backend::serve,
            )
            .await?
        }
        Backend::Program(program) => {
            let places =
                Places { dir: &folder.join("backend"), listen: backends[0], backend: backends[0], servers };
            start(origin, program, &places).await?
        }
    };
    let proxy = match &scenario.proxy {
        Proxy::Toy(settings) => {
            start_toy_proxy(edge, settings, (proxies, backends), log, &folder.join("proxy")).await?
        }
        Proxy::Program(program) => {
            let places =
                Places { dir: &folder.join("proxy"), listen: proxies[0], backend: backends[0], servers };
            start(edge, program, &places).await?
        }
    };
    Ok((proxy, backend))
}

pub(super) fn wire_settings(scenario: &Scenario, edge: IpAddr, origin: IpAddr) -> WireSettings {
    let mut settings = WireSettings::new(edge, origin, scenario.wire.delay);
    settings.holds = scenario
        .wire
        .hold
        .iter()
        .map(|hold| HoldRule {
            from: side(hold.from),
            packet: hold.packet,
            until: hold.until,
            at_most: hold.at_most,
        })
        .collect();
    settings.drops = scenario
        .wire
        .drop
        .iter()
        .map(|loss| DropRule { from: side(loss.from), packet: loss.packet, count: loss.count })
        .collect();
    settings
}

fn side(party: Party) -> Side {
    match party {
        Party::Proxy => Side::Edge,
        Party::Backend => Side::Origin,
    }
}

fn party(side: Side) -> Party {
    match side {
        Side::Edge => Party::Proxy,
        Side::Origin => Party::Backend,
    }
}

/// Writes what the wire does into the event log, where the driver waits for it.
async fn report_wire(mut wire: UnboundedReceiver<WireEvent>, log: EventLog, first_port: u16) {
    while let Some(event) = wire.recv().await {
        let from = party(event.from);
        let packet = event.packet;
        let what = match event.kind {
            WireEventKind::Held => What::Held { from, packet },
            WireEventKind::Forwarded => What::Forwarded { from, packet },
            WireEventKind::Released { expired } => What::Released { from, packet, expired },
            WireEventKind::Dropped => What::Dropped { from, packet },
        };
        let (edge, origin) = (event.connection.edge, event.connection.origin);
        let connection = events::Connection {
            edge: SocketAddr::new(edge.ip(), edge.port),
            origin: SocketAddr::new(origin.ip(), origin.port),
        };
        let lane = usize::from(origin.port.saturating_sub(first_port));
        log.record_wire(event.time_ns, lane, connection, what);
    }
}

/// Runs the driver on its host and collects what it finds; the flag says that a stop request ended it.
async fn drive(edge: &Host, driver: Driver, stop: StopRequest) -> (Vec<Attempt>, bool) {
    let (sender, mut results) = unbounded_channel();
    let driver = edge.spawn(move || driver.run(sender));
    let mut attempts = Vec::new();
    let mut interrupted = false;
    loop {
        tokio::select! {
            attempt = results.recv() => match attempt {
                Some(attempt) => attempts.push(attempt),
                None => break,
            },
            _ = stop.wait() => {
                interrupted = true;
                break;
            }
        }
    }
    driver.abort();
    // What ended in the moment of the stop request had been found, too.
    attempts.extend(std::iter::from_fn(|| results.try_recv().ok()));
    attempts.sort_by_key(|attempt: &Attempt| attempt.number);
    (attempts, interrupted)
}

/// Waits, but not for long, until no program on the host has a connection any more.
pub(super) async fn connections_end(host: &Host) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // Where it cannot be told there is nothing to wait for.
    while let Ok(Ok(true)) = host.spawn(|| async { sockets::connected() }).await
        && tokio::time::Instant::now() < deadline
    {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A proxy or backend at work.
pub(super) enum Running {
    Toy { task: JoinHandle<()>, log: Option<(String, PathBuf)> },
    Program { server: Server, name: String, version: Option<String>, log: Option<PathBuf> },
}

impl Running {
    pub(super) fn version(&self) -> Option<String> {
        match self {
            Running::Toy { .. } => None,
            Running::Program { version, .. } => version.clone(),
        }
    }

    /// Its own log, with its name.
    fn log(&self) -> Option<(&str, &Path)> {
        match self {
            Running::Program { name, log: Some(path), .. } | Running::Toy { log: Some((name, path)), .. } => {
                Some((name, path))
            }
            _ => None,
        }
    }

    /// The last lines of its own log beyond the first `from` bytes. Some programs log after they have answered.
    async fn said(&self, from: usize) -> Option<ProductLines> {
        let (name, path) = self.log()?;
        let deadline = tokio::time::Instant::now() + LOGS_WITHIN;
        let mut bytes = fs::read(path).ok()?;
        while bytes.len() <= from && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
            bytes = fs::read(path).ok()?;
        }
        let text = String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let lines = lines.iter().rev().take(LOG_LINES).rev().map(|line| printable(line)).collect();
        Some(ProductLines { name: name.to_owned(), file: path.to_owned(), lines })
    }

    pub(super) async fn stop(self) {
        match self {
            Running::Toy { task, .. } => {
                task.abort();
                // Aborted on purpose: that it was is not worth telling.
                let _ = task.await;
            }
            Running::Program { server, .. } => {
                server.stop(PATIENCE).await;
            }
        }
    }
}

/// Bytes in a file; one that is not there yet is empty.
fn length(path: Option<&Path>) -> usize {
    path.and_then(|path| fs::metadata(path).ok()).map_or(0, |file| file.len() as usize)
}

fn printable(line: &str) -> String {
    line.chars().filter(|character| !character.is_control()).collect()
}

/// Starts the toy proxy, with the access log of whom it imitates.
pub(super) async fn start_toy_proxy(
    edge: &Host,
    settings: &ToyProxy,
    (addresses, backends): (&[SocketAddr], &[SocketAddr]),
    log: &EventLog,
    folder: &Path,
) -> Result<Running, LabError> {
    let (settings, log, imitated) = (settings.clone(), log.clone(), settings.imitates);
    let (addresses, backends) = (addresses.to_vec(), backends.to_vec());
    let access_log = match imitated {
        None => None,
        Some(imitated) => {
            let path = folder.join("access.log");
            let file = fs::create_dir_all(folder)
                .and_then(|()| File::create(&path))
                .map_err(|source| LabError::Write { path: path.clone(), source })?;
            Some((imitated.token().to_owned(), path, file))
        }
    };
    let (said, file) = access_log.map(|(name, path, file)| ((name, path), file)).unzip();
    let running = serve(
        edge,
        move || async move {
            let proxy = proxy::Proxy::bind(settings, &addresses, &backends, log).await?;
            Ok(match file {
                Some(file) => proxy.log_accesses_to(file),
                None => proxy,
            })
        },
        proxy::Proxy::serve,
    )
    .await?;
    Ok(match running {
        Running::Toy { task, .. } => Running::Toy { task, log: said },
        program => program,
    })
}

/// Starts a toy on a host: `bind` reports its failure here, `serve` then runs until it is stopped.
pub(super) async fn serve<T, B, F, S>(
    host: &Host,
    bind: impl FnOnce() -> B + Send + 'static,
    run: F,
) -> Result<Running, LabError>
where
    T: 'static,
    B: Future<Output = Result<T, BindError>> + 'static,
    F: FnOnce(T) -> S + Send + 'static,
    S: Future<Output = ()> + 'static,
{
    let (ready, is_ready) = oneshot::channel();
    let task = host.spawn(move || async move {
        match bind().await {
            Ok(toy) => {
                // The receiver waits below.
                let _ = ready.send(Ok(()));
                run(toy).await;
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    });
    is_ready.await.map_err(|_| LabError::Gone { part: format!("host {}", host.name()) })??;
    Ok(Running::Toy { task, log: None })
}

/// Starts a real program on a host, in a folder of its own.
pub(super) async fn start(
    host: &Arc<Host>,
    program: &Program,
    places: &Places<'_>,
) -> Result<Running, LabError> {
    fs::create_dir_all(places.dir)
        .map_err(|source| LabError::Write { path: places.dir.to_owned(), source })?;
    let expanded = program.expand(places);
    expanded.write_files()?;
    let version = process::version(&expanded.version);
    let command = ServerCommand {
        name: program.name.clone(),
        argv: expanded.command,
        env: expanded.env.into_iter().collect(),
        directory: places.dir.to_owned(),
        output: places.dir.join("output.log"),
        port: places.listen.port(),
        ready_timeout: program.ready_timeout,
        needs: program.needs.clone(),
    };
    let server = Server::start(host, command).await?;
    Ok(Running::Program { server, name: program.name.clone(), version, log: expanded.log })
}
