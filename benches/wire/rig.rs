//! Two hosts of the lab and the wire between them, with nothing on them but what a measurement starts.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use finrace::lab::host::Host;
use finrace::lab::recorder::{Recorder, Recording, compare, expected_packets};
use finrace::lab::wire::{Side, Wire, WireLog, WireSettings};

/// A running lab without proxy and backend.
pub struct Rig {
    edge: Host,
    origin: Host,
    wire: Wire,
    recorders: Option<[Recorder; 2]>,
}

/// What a lab leaves.
pub struct Carried {
    pub log: WireLog,
    /// Of the edge, of the origin.
    pub recordings: Option<[Recording; 2]>,
}

impl Carried {
    /// Whether both captures hold every packet of the wire; none where there are none.
    pub fn complete(&self) -> Option<bool> {
        let [edge, origin] = self.recordings.as_ref()?;
        Some(compare(&self.log, edge, origin).complete)
    }
}

impl Rig {
    /// Starts both hosts, with captures in the folder if there is one, as every run of the lab makes them.
    pub fn start(delay: Duration, captures: Option<&Path>) -> anyhow::Result<Rig> {
        let (edge_ip, origin_ip) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
        let (edge, edge_tun) = Host::start("edge", edge_ip, origin_ip)?;
        let (origin, origin_tun) = Host::start("origin", origin_ip, edge_ip)?;
        let recorders = match captures {
            Some(folder) => Some([
                Recorder::start(&edge, &folder.join("edge.pcapng"))?,
                Recorder::start(&origin, &folder.join("origin.pcapng"))?,
            ]),
            None => None,
        };
        // Nobody listens to its events, as in a sweep.
        let (wire, _) = Wire::start(edge_tun, origin_tun, WireSettings::new(edge_ip, origin_ip, delay))?;
        Ok(Rig { edge, origin, wire, recorders })
    }

    /// Connections across the wire: the ends at the edge, and in the same order those at the origin.
    pub fn connect(&self, port: u16, count: usize) -> anyhow::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
        let address = SocketAddr::new(self.origin.address(), port);
        // A socket stays with the namespace in which it was made, whatever thread uses it.
        let listener = self.origin.run(move || TcpListener::bind(address))??;
        let mut ends = (Vec::new(), Vec::new());
        for _ in 0..count {
            ends.0.push(self.edge.run(move || TcpStream::connect(address))??);
            ends.1.push(listener.accept()?.0);
        }
        for end in ends.0.iter().chain(&ends.1) {
            end.set_nodelay(true)?;
        }
        Ok(ends)
    }

    /// How long the wire's thread has been on a processor, ns (`/proc/PID/task/TID/schedstat`, proc(5)).
    pub fn wire_cpu_ns(&self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(self.wire_task()?.join("schedstat"))?;
        Ok(text.split_whitespace().next().context("an empty schedstat")?.parse()?)
    }

    /// Whether the wire's thread has real-time priority (field 41 of `/proc/PID/task/TID/stat`, proc(5)).
    pub fn is_real_time(&self) -> anyhow::Result<bool> {
        let text = fs::read_to_string(self.wire_task()?.join("stat"))?;
        // Counted behind the name, which may hold blanks: the first field after it is the third.
        let policy = text.rsplit(')').next().and_then(|fields| fields.split_whitespace().nth(41 - 3));
        Ok(policy.context("a short stat")? != "0")
    }

    fn wire_task(&self) -> anyhow::Result<PathBuf> {
        for task in fs::read_dir("/proc/self/task")? {
            let path = task?.path();
            // Threads end while the directory is read.
            if fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim_end() == "wire") {
                return Ok(path);
            }
        }
        anyhow::bail!("no thread is called wire")
    }

    /// Takes the lab down.
    pub fn stop(self) -> anyhow::Result<Carried> {
        let log = self.wire.stop();
        if let Some(failure) = &log.failure {
            anyhow::bail!("{failure}");
        }
        let recordings = match self.recorders {
            Some([edge, origin]) => Some([
                edge.finish(expected_packets(&log, Side::Edge))?,
                origin.finish(expected_packets(&log, Side::Origin))?,
            ]),
            None => None,
        };
        Ok(Carried { log, recordings })
    }
}
