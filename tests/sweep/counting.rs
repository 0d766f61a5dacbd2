//! A server that counts: connections, how many at one time, requests on each, and requests before their answer.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, recv};

/// Idle time after which it closes a connection.
pub const IDLE: Duration = Duration::from_millis(150);
/// How long to wait for something that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server has seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub connections: usize,
    pub most_open: usize,
    pub most_requests_on_one: usize,
    /// More bytes came with a request than the request itself.
    pub more_than_one_in_flight: bool,
    pub methods: Vec<String>,
    /// When each connection came.
    pub came: Vec<Instant>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

/// A server on the loopback device, for as long as the test runs.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket on the loopback device");
        let address = listener.local_addr().expect("a socket on the loopback device");
        let shared = Arc::new(Shared::default());
        let counts = Arc::clone(&shared);
        thread::spawn(move || {
            let mut open: Vec<Weak<TcpStream>> = Vec::new();
            for stream in listener.incoming().flatten() {
                let (counts, stream) = (Arc::clone(&counts), Arc::new(stream));
                // Those of which the client's FIN is there are over, whether their thread has got to run or not.
                open.retain(|stream| stream.upgrade().is_some_and(|stream| is_open(&stream)));
                open.push(Arc::downgrade(&stream));
                counts.change(|seen| {
                    seen.connections += 1;
                    seen.most_open = seen.most_open.max(open.len());
                    seen.came.push(Instant::now());
                });
                thread::spawn(move || counts.serve(&stream));
            }
        });
        Server { address, shared }
    }

    pub fn seen(&self) -> Seen {
        self.shared.seen.lock().expect("no thread of the server panics").clone()
    }

    /// Waits until what has been seen is as wanted; the bound only ends a test that has failed.
    pub fn wait_until(&self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let seen = self.shared.seen.lock().expect("no thread of the server panics");
        let (seen, waited) = self
            .shared
            .changed
            .wait_timeout_while(seen, PATIENCE, |seen| !wanted(seen))
            .expect("no thread of the server panics");
        assert!(!waited.timed_out(), "waited in vain: {seen:?}");
        seen.clone()
    }
}

fn is_open(stream: &TcpStream) -> bool {
    let found = recv(stream.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
    !matches!(found, Ok(0) | Err(nix::errno::Errno::ECONNRESET))
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().expect("no thread of the server panics"));
        self.changed.notify_all();
    }

    fn serve(&self, mut stream: &TcpStream) {
        stream.set_read_timeout(Some(IDLE)).expect("a socket on the loopback device");
        let mut requests = 0;
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Its end, or the idle time is over.
                _ => break,
            }
            let Some(end) = request.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            requests += 1;
            let method = String::from_utf8_lossy(&request).split(' ').next().unwrap_or_default().to_owned();
            self.change(|seen| {
                seen.more_than_one_in_flight |= request.len() > end + 4;
                seen.most_requests_on_one = seen.most_requests_on_one.max(requests);
                if !seen.methods.contains(&method) {
                    seen.methods.push(method);
                }
            });
            request.clear();
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                break;
            }
        }
    }
}
