//! The toy backend: an HTTP/1.1 keep-alive server whose way of closing is a setting.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::BindError;
use super::events::{Actor, Connection, EventLog, What};
use super::http::{HttpError, HttpStream, Request, Response};
use super::scenario::{Close, ToyBackend};

/// How long a half-closed connection is read and thrown away: the value of nginx's `lingering_timeout`.
const LINGER: Duration = Duration::from_secs(5);

/// How long `close = "unread"` waits for the request that it will not read.
const UNREAD_WAIT: Duration = Duration::from_secs(5);

/// A toy backend that listens and does not answer yet.
pub struct Backend {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    settings: ToyBackend,
    log: EventLog,
}

impl Backend {
    /// Listens on one address for each lane. Must be called where its sockets are to live: in the host's thread.
    ///
    /// # Errors
    /// [`BindError`], for example when another program has the port.
    pub async fn bind(
        settings: ToyBackend,
        addresses: &[SocketAddr],
        log: EventLog,
    ) -> Result<Self, BindError> {
        let (listeners, addresses) = super::listen("backend", addresses).await?;
        Ok(Self { listeners, addresses, settings, log })
    }

    /// Where it listens, by lane.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until dropped, which closes everything.
    pub async fn serve(self) {
        let mut lanes = JoinSet::new();
        for (lane, listener) in self.listeners.into_iter().enumerate() {
            lanes.spawn(serve_lane(listener, lane, self.settings.clone(), self.log.clone()));
        }
        while lanes.join_next().await.is_some() {}
    }
}

async fn serve_lane(listener: TcpListener, lane: usize, settings: ToyBackend, log: EventLog) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that is gone before it could be accepted needs no answer.
                if let Ok((stream, _)) = accepted && let Ok(served) = Served::new(stream, lane, &settings, &log) {
                    connections.spawn(served.run());
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One accepted connection.
struct Served {
    http: HttpStream,
    connection: Connection,
    lane: usize,
    settings: ToyBackend,
    log: EventLog,
}

/// Why a connection is closed.
enum End {
    /// By the backend, in its own way: the idle timer, or the limit of requests.
    Own,
    /// After a response, because one side had said `Connection: close`, or the request was no HTTP.
    Agreed,
    /// The proxy ended it.
    Peer,
}

impl Served {
    fn new(stream: TcpStream, lane: usize, settings: &ToyBackend, log: &EventLog) -> io::Result<Self> {
        let connection = Connection { edge: stream.peer_addr()?, origin: stream.local_addr()? };
        let http = HttpStream::new(stream)?;
        Ok(Self { http, connection, lane, settings: settings.clone(), log: log.clone() })
    }

    async fn run(mut self) {
        self.record(What::Accepted);
        let end = self.serve().await;
        self.close(end).await;
    }

    async fn serve(&mut self) -> End {
        let mut answered = 0;
        loop {
            let patience =
                if answered == 0 { self.settings.header_timeout } else { self.settings.idle_timeout };
            let request = tokio::select! {
                // A request that is already here wins over a timer that is also due.
                biased;
                begun = self.http.first_byte() => match begun {
                    Ok(()) => self.http.read_request().await,
                    Err(error) => Err(error),
                },
                () = sleep(patience) => {
                    self.record(What::IdleTimer);
                    return End::Own;
                }
            };
            let request = match request {
                Ok(request) => request,
                Err(HttpError::Malformed(_) | HttpError::TooLarge(_)) => return self.refuse().await,
                Err(HttpError::Closed | HttpError::Failed(_) | HttpError::CutOff) => return End::Peer,
            };
            self.record(What::RequestRead { request: format!("{} {}", request.method, request.target) });
            answered += 1;
            let last = answered == self.settings.max_requests;
            let keep_alive = request.keep_alive && !(last && self.settings.announce_close);
            if self.respond(&request, keep_alive).await.is_err() {
                return End::Peer;
            }
            self.record(What::Responded);
            if !keep_alive {
                return End::Agreed;
            }
            if last {
                return End::Own;
            }
        }
    }

    async fn respond(&mut self, request: &Request, keep_alive: bool) -> Result<(), HttpError> {
        if !self.settings.response_delay.is_zero() {
            sleep(self.settings.response_delay).await;
        }
        let mut response = Response::text(200, "OK", vec![b'.'; self.settings.response_bytes]);
        response.keep_alive = keep_alive;
        self.http.send(&response.encode(&request.method)).await
    }

    async fn refuse(&mut self) -> End {
        let mut response =
            Response::text(400, "Bad Request", "finrace toy backend: this is no HTTP/1.1 request\n");
        response.keep_alive = false;
        match self.http.send(&response.encode("")).await {
            Ok(()) => End::Agreed,
            Err(_) => End::Peer,
        }
    }

    async fn close(self, end: End) {
        let Self { http, connection, lane, settings, log } = self;
        let mut stream = http.into_tcp();
        let how = match end {
            End::Peer => None,
            End::Agreed => Some(Close::Fin),
            End::Own => Some(settings.close),
        };
        match how {
            None | Some(Close::Fin) => {}
            Some(Close::HalfClose) => {
                // It fails only when the proxy has reset the connection, and then there is nothing to half-close.
                if stream.shutdown().await.is_ok() {
                    log.record(Actor::Backend, lane, Some(connection), What::HalfClosed);
                    let _ = timeout(LINGER, discard(&mut stream)).await;
                }
            }
            // It fails only on a socket that is no longer connected, where close() sends nothing at all.
            Some(Close::Reset) => {
                let _ = stream.set_zero_linger();
            }
            Some(Close::Unread) => {
                // Sees the request without taking it, so that close() finds it unread.
                let _ = timeout(UNREAD_WAIT, stream.peek(&mut [0])).await;
            }
        }
        drop(stream);
        log.record(Actor::Backend, lane, Some(connection), What::Closed { how });
    }

    fn record(&self, what: What) {
        self.log.record(Actor::Backend, self.lane, Some(self.connection), what);
    }
}

/// Reads and throws away until the peer ends the connection.
async fn discard(stream: &mut TcpStream) {
    let mut scrap = [0; 4096];
    while matches!(stream.read(&mut scrap).await, Ok(1..)) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::events::testing::wait_for;
    use std::io::ErrorKind;
    use tokio::io::Interest;
    use tokio::sync::mpsc::UnboundedReceiver;

    const REQUEST: &[u8] = b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";

    /// A raw client of a backend that runs for as long as the test does.
    struct Setup {
        client: HttpStream,
        events: UnboundedReceiver<crate::lab::events::Event>,
        _serving: JoinSet<()>,
    }

    /// A client that has had one response from a backend with a short idle timer.
    async fn after_one_response(settings: ToyBackend) -> Setup {
        let mut setup = connected(settings).await;
        setup.client.send(REQUEST).await.unwrap();
        assert_eq!(setup.client.read_response("POST").await.unwrap().code, 200);
        setup
    }

    async fn connected(settings: ToyBackend) -> Setup {
        let log = EventLog::new(io::sink());
        let events = log.follow(0);
        let backend = Backend::bind(settings, &["127.0.0.1:0".parse().unwrap()], log).await.unwrap();
        let client = HttpStream::new(TcpStream::connect(backend.addresses()[0]).await.unwrap()).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(backend.serve());
        Setup { client, events, _serving: serving }
    }

    fn closing(close: Close) -> ToyBackend {
        ToyBackend { close, idle_timeout: Duration::from_millis(20), ..ToyBackend::default() }
    }

    fn is_closed(what: &What) -> bool {
        matches!(what, What::Closed { .. })
    }

    #[tokio::test]
    async fn fin_ends_the_stream_and_a_later_request_is_reset() {
        let mut setup = after_one_response(closing(Close::Fin)).await;
        assert!(matches!(setup.client.first_byte().await, Err(HttpError::Closed)), "the client reads EOF");
        wait_for(&mut setup.events, is_closed).await;
        setup.client.send(REQUEST).await.unwrap();
        setup.client.tcp().ready(Interest::ERROR).await.unwrap();
        let error =
            setup.client.tcp().take_error().unwrap().expect("the kernel answered the request with RST");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "a RST after an EOF");
    }

    #[tokio::test]
    async fn half_close_ends_the_stream_and_takes_a_later_request_without_reset() {
        let mut setup = after_one_response(closing(Close::HalfClose)).await;
        assert!(matches!(setup.client.first_byte().await, Err(HttpError::Closed)), "the client reads EOF");
        setup.client.send(REQUEST).await.unwrap();
        let mut client = setup.client.into_tcp();
        client.shutdown().await.unwrap();
        let closed = wait_for(&mut setup.events, is_closed).await;
        assert_eq!(closed.what, What::Closed { how: Some(Close::HalfClose) });
        assert!(client.take_error().unwrap().is_none(), "the request was taken, and no RST came");
    }

    #[tokio::test]
    async fn reset_is_read_as_connection_reset() {
        let mut setup = after_one_response(closing(Close::Reset)).await;
        assert!(setup.client.first_byte().await.unwrap_err().is_reset());
    }

    #[tokio::test]
    async fn unread_lets_a_request_land_and_resets_it() {
        let mut setup = after_one_response(closing(Close::Unread)).await;
        wait_for(&mut setup.events, |what| *what == What::IdleTimer).await;
        setup.client.send(REQUEST).await.unwrap();
        match setup.client.read_response("POST").await.unwrap_err() {
            HttpError::Failed(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            other => panic!("expected a reset, got {other}"),
        }
    }

    #[tokio::test]
    async fn the_limit_of_requests_closes_and_is_announced_only_when_asked() {
        for announce_close in [false, true] {
            let settings = ToyBackend { max_requests: 2, announce_close, ..ToyBackend::default() };
            let mut setup = after_one_response(settings).await;
            setup.client.send(REQUEST).await.unwrap();
            let last = setup.client.read_response("POST").await.unwrap();
            assert_eq!(last.keep_alive, !announce_close);
            assert!(matches!(setup.client.first_byte().await, Err(HttpError::Closed)));
        }
    }

    #[tokio::test]
    async fn a_connection_that_never_sends_a_request_has_a_timer_of_its_own() {
        let settings = ToyBackend { header_timeout: Duration::from_millis(20), ..ToyBackend::default() };
        let mut setup = connected(settings).await;
        assert!(matches!(setup.client.first_byte().await, Err(HttpError::Closed)));
        wait_for(&mut setup.events, |what| *what == What::IdleTimer).await;
    }

    #[tokio::test]
    async fn connection_close_in_a_request_is_honoured() {
        let mut setup = connected(ToyBackend::default()).await;
        setup.client.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.unwrap();
        assert!(!setup.client.read_response("GET").await.unwrap().keep_alive);
        assert!(matches!(setup.client.first_byte().await, Err(HttpError::Closed)));
    }

    #[tokio::test]
    async fn a_response_has_the_size_asked_for_and_no_body_for_head() {
        let mut setup = connected(ToyBackend { response_bytes: 70_000, ..ToyBackend::default() }).await;
        setup.client.send(b"GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(setup.client.read_response("GET").await.unwrap().body.len(), 70_000);
        assert_eq!(setup.client.read_response("HEAD").await.unwrap().body.len(), 0);
        assert!(!setup.client.has_leftover());
    }

    #[tokio::test]
    async fn what_is_no_request_is_answered_400() {
        let mut setup = connected(ToyBackend::default()).await;
        setup.client.send(b"\x16\x03\x01 hello\r\n\r\n").await.unwrap();
        assert_eq!(setup.client.read_response("GET").await.unwrap().code, 400);
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error =
            Backend::bind(ToyBackend::default(), &[address], EventLog::new(io::sink())).await.err().unwrap();
        let expected = format!(
            "the toy backend cannot listen on {address}; end the program that does, or change [backend] port in the scenario"
        );
        assert_eq!(error.to_string(), expected);
    }
}
