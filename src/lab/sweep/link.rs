//! One connection of a sweep.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::{Attempt, Ending, Plan};

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Connecting,
    FirstSent,
    Idle,
    SecondSent,
}

/// One connection.
pub(super) struct Link {
    pub(super) stream: TcpStream,
    pub(super) number: u32,
    pub(super) plan: Plan,
    pub(super) state: State,
    pub(super) opened: Instant,
    pub(super) handshake: Option<Duration>,
    pub(super) local: Option<SocketAddr>,
    /// The first response was read.
    pub(super) idle_since: Option<Instant>,
    pub(super) due: Option<Instant>,
    pub(super) sent: Option<Instant>,
    /// What has been read of the response.
    pub(super) received: Vec<u8>,
    /// The second request, ready to be sent.
    pub(super) second: Vec<u8>,
    /// What was lost elsewhere and is sent again on this connection.
    pub(super) lost: Option<Attempt>,
}

impl Link {
    /// Begins to open a connection; it comes about later, or does not.
    ///
    /// # Errors
    /// What the kernel says at once.
    pub(super) fn open(number: u32, plan: Plan, backend: SocketAddr) -> io::Result<Link> {
        let socket = Socket::new(Domain::for_address(backend), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        let opened = Instant::now();
        match socket.connect(&backend.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
            Err(error) => return Err(error),
        }
        let stream = TcpStream::from(socket);
        Ok(Link {
            local: stream.local_addr().ok(),
            stream,
            number,
            plan,
            state: State::Connecting,
            opened,
            handshake: None,
            idle_since: None,
            due: None,
            sent: None,
            received: Vec::new(),
            second: Vec::new(),
            lost: None,
        })
    }
}

/// What an error after the second request means.
pub(super) fn lost_by(error: &io::Error) -> Ending {
    match error.kind() {
        ErrorKind::ConnectionReset => Ending::Reset,
        // A RST that came after a FIN.
        ErrorKind::BrokenPipe => Ending::Eof,
        _ => Ending::CutOff,
    }
}
