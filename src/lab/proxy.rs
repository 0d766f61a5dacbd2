//! The toy proxy: takes a request, sends it over a pooled connection, answers 502 when that fails.

mod alb;
mod pool;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::pool::{Pool, Upstream};
use super::BindError;
use super::events::{Actor, EventLog, What, now_ns};
use super::http::{HttpError, HttpStream, Request, Response};
use super::scenario::{Imitated, ToyProxy};

/// How long the proxy tries to connect to the backend: two SYN retransmissions of Linux (1 s and 3 s) and their answers.
const CONNECT_AT_MOST: Duration = Duration::from_secs(5);

/// A toy proxy that listens and does not forward yet.
pub struct Proxy {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    lanes: Vec<Arc<Lane>>,
    access_log: AccessLog,
}

/// Where an imitated proxy writes its access log.
type AccessLog = Option<Arc<Mutex<dyn Write + Send>>>;

/// One listener, one backend, one pool.
struct Lane {
    number: usize,
    backend: SocketAddr,
    settings: ToyProxy,
    pool: Pool,
    log: EventLog,
}

impl Proxy {
    /// Listens on one address for each lane, in front of the backend address of the same lane. Must be called where
    /// its sockets are to live: in the host's thread.
    ///
    /// # Errors
    /// [`BindError`], for example when another program has the port.
    pub async fn bind(
        settings: ToyProxy,
        addresses: &[SocketAddr],
        backends: &[SocketAddr],
        log: EventLog,
    ) -> Result<Self, BindError> {
        let (listeners, addresses) = super::listen("proxy", addresses).await?;
        let lane = |(number, backend): (usize, &SocketAddr)| {
            let pool = Pool::new(&settings, number, log.clone());
            Arc::new(Lane { number, backend: *backend, settings: settings.clone(), pool, log: log.clone() })
        };
        let lanes = backends.iter().enumerate().map(lane).collect();
        Ok(Self { listeners, addresses, lanes, access_log: None })
    }

    /// Lets an imitated proxy write the access log that the real one would write.
    pub fn log_accesses_to(mut self, file: impl Write + Send + 'static) -> Self {
        self.access_log = Some(Arc::new(Mutex::new(file)));
        self
    }

    /// Where it listens, by lane.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Forwards until dropped, which closes everything.
    pub async fn serve(self) {
        let mut tasks = JoinSet::new();
        for (listener, lane) in self.listeners.into_iter().zip(self.lanes) {
            let swept = lane.clone();
            tasks.spawn(async move { swept.pool.sweep().await });
            tasks.spawn(serve_lane(listener, lane, self.access_log.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }
}

async fn serve_lane(listener: TcpListener, lane: Arc<Lane>, access_log: AccessLog) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A client that is gone before it could be accepted needs no answer.
                if let Ok((stream, address)) = accepted && let Ok(client) = HttpStream::new(stream) {
                    clients.spawn(serve_client(client, address, lane.clone(), access_log.clone()));
                }
            }
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn serve_client(mut client: HttpStream, address: SocketAddr, lane: Arc<Lane>, access_log: AccessLog) {
    loop {
        let request = match client.read_request().await {
            Ok(request) => request,
            Err(HttpError::Malformed(_) | HttpError::TooLarge(_)) => {
                let mut response =
                    Response::text(400, "Bad Request", "finrace toy proxy: this is no HTTP/1.1 request\n");
                response.keep_alive = false;
                // Nothing more can be done for a client that does not take its answer.
                let _ = client.send(&response.encode("")).await;
                return;
            }
            Err(HttpError::Closed | HttpError::Failed(_) | HttpError::CutOff) => return,
        };
        let keep_alive = request.keep_alive;
        let received_ns = now_ns();
        let Answer { mut response, from_backend } = lane.forward(request.clone()).await;
        response.keep_alive = keep_alive;
        let bytes = response.encode(&request.method);
        if let (Some(Imitated::AwsAlb), Some(log)) = (lane.settings.imitates, &access_log) {
            let access = alb::Access {
                client: address,
                target: lane.backend,
                request: &request,
                received_ns,
                answered_ns: now_ns(),
                status: response.code,
                from_target: from_backend,
                bytes: (request.encode().len(), bytes.len()),
            };
            // A log that cannot be written must not end what it tells of.
            let _ = log.lock().unwrap_or_else(PoisonError::into_inner).write_all(access.line().as_bytes());
        }
        if client.send(&bytes).await.is_err() || !keep_alive {
            return;
        }
    }
}

/// What the client gets.
struct Answer {
    response: Response,
    /// Not the proxy's own.
    from_backend: bool,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Answer { response, from_backend: true }
    }
}

impl Lane {
    /// The backend's response, or the proxy's own 502.
    async fn forward(&self, mut request: Request) -> Answer {
        // Towards the backend the proxy's own wish counts, not the client's.
        request.keep_alive = true;
        let Some(pooled) = self.pool.take() else { return self.forward_on_new_connection(&request).await };
        self.record(&pooled, What::Reuse);
        match self.exchange(pooled, &request).await {
            Ok(response) => response.into(),
            // RFC 9110 section 9.2.2 and RFC 9112 section 9.3.1: only where the connection may have been dead before
            // the request, only before any byte of an answer, and once.
            Err((failed, error))
                if self.settings.retry.allows(&request.method)
                    && matches!(error, HttpError::Closed | HttpError::Failed(_)) =>
            {
                self.record(&failed, What::Retry);
                drop(failed);
                self.forward_on_new_connection(&request).await
            }
            Err((_, error)) => self.bad_gateway(&error, "a reused connection"),
        }
    }

    async fn forward_on_new_connection(&self, request: &Request) -> Answer {
        let upstream = match self.connect().await {
            Ok(upstream) => upstream,
            Err(error) => {
                let reason = format!("cannot connect to {}: {error}", self.backend);
                self.log.record(
                    Actor::Proxy,
                    self.number,
                    None,
                    What::UpstreamFailed { reason: reason.clone() },
                );
                return self.failed(&reason);
            }
        };
        self.record(&upstream, What::NewConnection);
        match self.exchange(upstream, request).await {
            Ok(response) => response.into(),
            Err((_, error)) => self.bad_gateway(&error, "a new connection"),
        }
    }

    async fn connect(&self) -> io::Result<Upstream> {
        let connecting = timeout(CONNECT_AT_MOST, TcpStream::connect(self.backend));
        Upstream::new(connecting.await.map_err(|_| io::ErrorKind::TimedOut)??)
    }

    /// Sends the request and reads the response; a connection that can be used again goes to the pool.
    async fn exchange(
        &self,
        mut upstream: Upstream,
        request: &Request,
    ) -> Result<Response, (Upstream, HttpError)> {
        let exchanged = match upstream.http.send(&request.encode()).await {
            Ok(()) => upstream.http.read_response(&request.method).await,
            Err(error) => Err(error),
        };
        match exchanged {
            Ok(response) => {
                if response.keep_alive && !upstream.http.has_leftover() {
                    self.pool.put(upstream);
                }
                Ok(response)
            }
            Err(error) => {
                let what = match &error {
                    HttpError::Closed => What::UpstreamEof,
                    reset if reset.is_reset() => What::UpstreamReset,
                    other => What::UpstreamFailed { reason: other.to_string() },
                };
                self.record(&upstream, what);
                Err((upstream, error))
            }
        }
    }

    fn bad_gateway(&self, error: &HttpError, connection: &str) -> Answer {
        let reason = match error {
            HttpError::Closed => "the connection ended (EOF) before any byte of an answer".into(),
            reset if reset.is_reset() => "the connection was reset before any byte of an answer".into(),
            other => other.to_string(),
        };
        self.failed(&format!("{}, on {connection}: {reason}", self.backend))
    }

    /// The proxy's own answer, in the words of whom it imitates.
    fn failed(&self, reason: &str) -> Answer {
        let response = match self.settings.imitates {
            Some(Imitated::AwsAlb) => alb::bad_gateway(),
            None => {
                Response::text(502, "Bad Gateway", format!("502 Bad Gateway\nfinrace toy proxy: {reason}\n"))
            }
        };
        Answer { response, from_backend: false }
    }

    fn record(&self, upstream: &Upstream, what: What) {
        self.log.record(Actor::Proxy, self.number, Some(upstream.connection), what);
    }
}

#[cfg(test)]
mod tests;
