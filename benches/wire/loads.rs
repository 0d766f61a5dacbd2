//! What is sent across the wire, by threads that end when they are told to.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::rig::Rig;

/// Bytes of a probe: a length that no other packet has.
const PROBE: usize = 777;
/// Length of a probe's IP packet: IPv4 header, TCP header with timestamps.
pub const PROBE_PACKET: u32 = 20 + 32 + PROBE as u32;
/// Connections that take turns with the probes: so few are under way on each that TCP does not join two.
const PROBE_CONNECTIONS: usize = 16;
/// From one probe to the next.
const PROBE_EVERY: Duration = Duration::from_millis(1);

/// Connections with one small message under way on each.
const RING: usize = 64;
/// Bytes of such a message.
const SMALL: usize = 16;

/// Threads at work on some connections.
pub struct Load {
    /// Bytes that have come through.
    pub received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    sockets: Vec<TcpStream>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Load {
    fn new(sockets: &[&[TcpStream]]) -> io::Result<Load> {
        let sockets = sockets.iter().flat_map(|ends| ends.iter()).map(TcpStream::try_clone);
        Ok(Load {
            received: Arc::default(),
            stop: Arc::default(),
            sockets: sockets.collect::<Result<_, _>>()?,
            threads: Vec::new(),
        })
    }

    /// Repeats something until the load is stopped.
    fn repeat(&mut self, mut step: impl FnMut() -> io::Result<()> + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        self.threads.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                step()?;
            }
            Ok(())
        }));
    }

    /// Ends the threads and, so that none of them waits, their connections.
    pub fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for socket in &self.sockets {
            // The other end may have ended it already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(())) => {}
                // Its connection was ended while it used it.
                Ok(Err(error)) if ended(&error) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => anyhow::bail!("a load panicked"),
            }
        }
        Ok(())
    }
}

fn ended(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
}

/// A transfer from the origin to the edge, as fast as TCP goes or at most so many bytes a millisecond.
pub fn bulk(rig: &Rig, port: u16, per_millisecond: Option<usize>) -> anyhow::Result<Load> {
    let (edge, origin) = rig.connect(port, 1)?;
    let mut load = Load::new(&[&edge, &origin])?;
    let received = Arc::clone(&load.received);
    for mut to in edge {
        let mut chunk = vec![0; 256 * 1024];
        let received = Arc::clone(&received);
        load.repeat(move || match to.read(&mut chunk)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                received.fetch_add(read as u64, Ordering::Relaxed);
                Ok(())
            }
        });
    }
    for mut from in origin {
        let chunk = vec![0x2e; per_millisecond.unwrap_or(256 * 1024)];
        load.repeat(move || {
            from.write_all(&chunk)?;
            if per_millisecond.is_some() {
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        });
    }
    Ok(load)
}

/// Small messages to and fro on many connections, each sent as soon as the one before it has come back.
pub fn ring(rig: &Rig, port: u16) -> anyhow::Result<Load> {
    let (edge, origin) = rig.connect(port, RING)?;
    let mut load = Load::new(&[&edge, &origin])?;
    for end in &edge {
        (&mut &*end).write_all(&[0; SMALL])?;
    }
    for mut ends in [origin, edge] {
        load.repeat(move || {
            let mut message = [0; SMALL];
            for end in &mut ends {
                end.read_exact(&mut message)?;
                end.write_all(&message)?;
            }
            Ok(())
        });
    }
    Ok(load)
}

/// A thousand packets a second each way, whose time on the wire is to be measured.
pub fn probes(rig: &Rig, port: u16) -> anyhow::Result<Load> {
    let (edge, origin) = rig.connect(port, PROBE_CONNECTIONS)?;
    let mut load = Load::new(&[&edge, &origin])?;
    let mut back = edge.iter().map(TcpStream::try_clone).collect::<Result<Vec<_>, _>>()?;
    let (mut sending, mut turning) = (edge, origin);
    let mut next = Instant::now();
    load.repeat(move || {
        for end in &mut sending {
            next += PROBE_EVERY;
            thread::sleep(next.saturating_duration_since(Instant::now()));
            end.write_all(&[0x2e; PROBE])?;
        }
        Ok(())
    });
    load.repeat(move || {
        let mut probe = [0; PROBE];
        for end in &mut turning {
            end.read_exact(&mut probe)?;
            end.write_all(&probe)?;
        }
        Ok(())
    });
    load.repeat(move || {
        let mut probe = [0; PROBE];
        for end in &mut back {
            end.read_exact(&mut probe)?;
        }
        Ok(())
    });
    Ok(load)
}

/// A thread for each processor that never waits.
pub fn spin() -> anyhow::Result<Load> {
    let mut load = Load::new(&[])?;
    for _ in 0..thread::available_parallelism()?.get() {
        load.repeat(|| {
            std::hint::black_box((0..10_000_u64).fold(0, |sum, n| sum ^ std::hint::black_box(n)));
            Ok(())
        });
    }
    Ok(load)
}
