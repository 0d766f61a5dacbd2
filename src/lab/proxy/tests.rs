//! The proxy against the toy backend and against scripted ones.

use super::*;
use crate::lab::backend::Backend;
use crate::lab::events::testing::wait_for;
use crate::lab::events::{Connection, Event};
use crate::lab::http::Fields;
use crate::lab::scenario::{Close, Retry, Reuse, ToyBackend};
use tokio::net::TcpSocket;
use tokio::sync::mpsc::UnboundedReceiver;

/// A proxy in front of `backend`, for as long as the test runs.
struct Setup {
    proxy: SocketAddr,
    events: UnboundedReceiver<Event>,
    tasks: JoinSet<()>,
}

async fn proxy_to(backend: SocketAddr, settings: ToyProxy, log: EventLog) -> Setup {
    let events = log.follow(0);
    let proxy = Proxy::bind(settings, &[loopback()], &[backend], log).await.unwrap();
    let address = proxy.addresses()[0];
    let mut tasks = JoinSet::new();
    tasks.spawn(proxy.serve());
    Setup { proxy: address, events, tasks }
}

/// A proxy in front of a toy backend.
async fn with_toys(proxy: ToyProxy, backend: ToyBackend) -> Setup {
    let log = EventLog::new(io::sink());
    let backend = Backend::bind(backend, &[loopback()], log.clone()).await.unwrap();
    let mut setup = proxy_to(backend.addresses()[0], proxy, log).await;
    setup.tasks.spawn(backend.serve());
    setup
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

impl Setup {
    async fn send(&self, method: &str) -> HttpStream {
        let mut client = HttpStream::new(TcpStream::connect(self.proxy).await.unwrap()).unwrap();
        let request = Request {
            method: method.into(),
            target: "/orders".into(),
            fields: Fields::default().with("Host", "a"),
            keep_alive: false,
            body: Vec::new(),
        };
        client.send(&request.encode()).await.unwrap();
        client
    }

    async fn ask(&self, method: &str) -> Response {
        self.send(method).await.read_response(method).await.unwrap()
    }

    /// Waits for an event and returns its connection.
    async fn connection_of(&mut self, matches: impl Fn(&What) -> bool) -> Connection {
        wait_for(&mut self.events, matches).await.connection.unwrap()
    }
}

fn closing(close: Close) -> ToyBackend {
    ToyBackend { close, idle_timeout: Duration::from_millis(20), ..ToyBackend::default() }
}

/// The backend's close() has returned before: under load, loopback delivers its FIN later than that.
fn is_noted_end(what: &What) -> bool {
    matches!(what, What::PeerClosed { .. })
}

/// A backend that gives each accepted connection to the test.
async fn scripted(settings: ToyProxy) -> (Setup, TcpListener) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let setup = proxy_to(listener.local_addr().unwrap(), settings, EventLog::new(io::sink())).await;
    (setup, listener)
}

async fn accept(listener: &TcpListener) -> HttpStream {
    HttpStream::new(listener.accept().await.unwrap().0).unwrap()
}

async fn answer(upstream: &mut HttpStream) {
    let request = upstream.read_request().await.unwrap();
    upstream.send(&Response::text(200, "OK", "fine").encode(&request.method)).await.unwrap();
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let mut setup = with_toys(ToyProxy::default(), ToyBackend::default()).await;
    assert_eq!(setup.ask("POST").await.code, 200);
    assert_eq!(setup.ask("POST").await.code, 200);
    let opened = setup.connection_of(|what| *what == What::NewConnection).await;
    assert_eq!(setup.connection_of(|what| *what == What::Reuse).await, opened);
}

#[tokio::test]
async fn the_connection_used_last_is_used_first() {
    let (mut setup, listener) = scripted(ToyProxy::default()).await;
    // Two requests at one time need two connections; they become idle in the order of their answers.
    let mut one = setup.send("POST").await;
    let mut first = accept(&listener).await;
    let mut two = setup.send("POST").await;
    let mut second = accept(&listener).await;
    for (client, upstream) in [(&mut two, &mut second), (&mut one, &mut first)] {
        answer(upstream).await;
        client.read_response("POST").await.unwrap();
    }
    setup.connection_of(|what| *what == What::Pooled).await;
    let pooled_last = setup.connection_of(|what| *what == What::Pooled).await;
    let _three = setup.send("POST").await;
    assert_eq!(setup.connection_of(|what| *what == What::Reuse).await, pooled_last);
    assert_eq!(pooled_last.edge, first.tcp().peer_addr().unwrap());
}

#[tokio::test]
async fn a_full_pool_closes_the_longest_idle_connection() {
    let (mut setup, listener) = scripted(ToyProxy { max_idle: 1, ..ToyProxy::default() }).await;
    let (mut one, mut two) = (setup.send("POST").await, setup.send("POST").await);
    let (mut first, mut second) = (accept(&listener).await, accept(&listener).await);
    answer(&mut first).await;
    let pooled_first = setup.connection_of(|what| *what == What::Pooled).await;
    answer(&mut second).await;
    let closed = setup.connection_of(|what| *what == What::IdleClose { pool_full: true }).await;
    assert_eq!(closed, pooled_first);
    assert!(matches!(first.first_byte().await, Err(HttpError::Closed)));
    assert_eq!(one.read_response("POST").await.unwrap().code, 200);
    assert_eq!(two.read_response("POST").await.unwrap().code, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_by_the_proxys_own_timer() {
    let settings = ToyProxy { idle_timeout: Duration::from_millis(20), ..ToyProxy::default() };
    let (mut setup, listener) = scripted(settings).await;
    let mut client = setup.send("POST").await;
    let mut upstream = accept(&listener).await;
    answer(&mut upstream).await;
    client.read_response("POST").await.unwrap();
    let pooled = wait_for(&mut setup.events, |what| *what == What::Pooled).await;
    let closed = wait_for(&mut setup.events, |what| matches!(what, What::IdleClose { .. })).await;
    assert_eq!(closed.connection, pooled.connection);
    assert!(closed.time_ns - pooled.time_ns >= 20_000_000, "not before its time");
    assert!(
        matches!(upstream.first_byte().await, Err(HttpError::Closed)),
        "the backend reads the proxy's FIN"
    );
}

#[tokio::test]
async fn with_the_check_a_dead_connection_is_discarded_and_the_user_sees_nothing() {
    let mut setup = with_toys(ToyProxy::default(), closing(Close::Fin)).await;
    assert_eq!(setup.ask("POST").await.code, 200);
    setup.connection_of(is_noted_end).await;
    assert_eq!(setup.ask("POST").await.code, 200);
    let discarded = wait_for(&mut setup.events, |what| matches!(what, What::StaleDiscarded { .. })).await;
    assert_eq!(discarded.what, What::StaleDiscarded { found: "EOF".into() });
}

#[tokio::test]
async fn without_the_check_a_dead_connection_is_reused_and_the_user_sees_502() {
    let proxy = ToyProxy { check_before_reuse: false, ..ToyProxy::default() };
    let mut setup = with_toys(proxy, closing(Close::Fin)).await;
    assert_eq!(setup.ask("POST").await.code, 200);
    setup.connection_of(is_noted_end).await;
    let response = setup.ask("POST").await;
    assert_eq!(response.code, 502);
    let body = String::from_utf8(response.body).unwrap();
    assert!(body.contains("finrace toy proxy") && body.contains("on a reused connection"), "{body}");
    setup.connection_of(|what| *what == What::UpstreamEof).await;
}

#[tokio::test]
async fn a_reset_pooled_connection_is_discarded_too() {
    let mut setup = with_toys(ToyProxy::default(), closing(Close::Reset)).await;
    assert_eq!(setup.ask("POST").await.code, 200);
    setup.connection_of(is_noted_end).await;
    assert_eq!(setup.ask("POST").await.code, 200);
    setup.connection_of(|what| matches!(what, What::StaleDiscarded { .. })).await;
}

#[tokio::test]
async fn a_request_that_the_backend_leaves_unread_is_seen_as_a_reset() {
    let mut setup = with_toys(ToyProxy::default(), closing(Close::Unread)).await;
    assert_eq!(setup.ask("POST").await.code, 200);
    setup.connection_of(|what| *what == What::IdleTimer).await;
    let response = setup.ask("POST").await;
    assert_eq!(response.code, 502);
    assert!(String::from_utf8(response.body).unwrap().contains("reset"));
    setup.connection_of(|what| *what == What::UpstreamReset).await;
}

/// The user's status when a reused connection ends under a request with this method.
async fn raced(method: &str, retry: Retry) -> u16 {
    let (setup, listener) = scripted(ToyProxy { retry, ..ToyProxy::default() }).await;
    let mut client = setup.send(method).await;
    let mut upstream = accept(&listener).await;
    answer(&mut upstream).await;
    client.read_response(method).await.unwrap();
    // The backend takes the request and ends the connection without a byte, as the proxy sees it in a race.
    let mut client = setup.send(method).await;
    upstream.read_request().await.unwrap();
    drop(upstream);
    tokio::select! {
        response = client.read_response(method) => response.unwrap().code,
        mut again = accept(&listener) => {
            answer(&mut again).await;
            client.read_response(method).await.unwrap().code
        }
    }
}

#[tokio::test]
async fn only_what_the_policy_allows_is_repeated() {
    for (method, retry, seen) in [
        ("GET", Retry::Never, 502),
        ("GET", Retry::Idempotent, 200),
        ("PUT", Retry::Idempotent, 200),
        ("POST", Retry::Idempotent, 502),
        ("PATCH", Retry::Idempotent, 502),
        ("POST", Retry::Always, 200),
    ] {
        assert_eq!(raced(method, retry).await, seen, "{method} with {retry:?}");
    }
}

#[tokio::test]
async fn a_failure_on_a_new_connection_is_not_repeated() {
    let (setup, listener) = scripted(ToyProxy { retry: Retry::Always, ..ToyProxy::default() }).await;
    let mut client = setup.send("GET").await;
    accept(&listener).await.read_request().await.unwrap();
    assert_eq!(client.read_response("GET").await.unwrap().code, 502);
}

#[tokio::test]
async fn a_response_that_began_is_not_repeated() {
    let (setup, listener) = scripted(ToyProxy { retry: Retry::Always, ..ToyProxy::default() }).await;
    let mut client = setup.send("GET").await;
    let mut upstream = accept(&listener).await;
    answer(&mut upstream).await;
    client.read_response("GET").await.unwrap();
    let mut client = setup.send("GET").await;
    upstream.read_request().await.unwrap();
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
    drop(upstream);
    let response = client.read_response("GET").await.unwrap();
    assert_eq!(response.code, 502);
    assert!(String::from_utf8(response.body).unwrap().contains("ended within a message"));
}

#[tokio::test]
async fn a_backend_that_does_not_listen_is_502_with_the_reason() {
    // Bound and not listening: refuses, and nobody else can take the port meanwhile.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind(loopback()).unwrap();
    let address = deaf.local_addr().unwrap();
    let setup = proxy_to(address, ToyProxy::default(), EventLog::new(io::sink())).await;
    let response = setup.ask("GET").await;
    assert_eq!(response.code, 502);
    assert!(String::from_utf8(response.body).unwrap().contains("refused"));
}

#[tokio::test]
async fn a_connection_that_the_backend_announces_to_close_is_not_pooled() {
    let backend = ToyBackend { max_requests: 1, announce_close: true, ..ToyBackend::default() };
    let mut setup = with_toys(ToyProxy::default(), backend).await;
    assert_eq!(setup.ask("POST").await.code, 200);
    assert_eq!(setup.ask("POST").await.code, 200);
    let first = setup.connection_of(|what| *what == What::NewConnection).await;
    assert_ne!(setup.connection_of(|what| *what == What::NewConnection).await, first);
}

#[tokio::test]
async fn lanes_have_pools_of_their_own() {
    let log = EventLog::new(io::sink());
    let events = log.follow(1);
    let backend = Backend::bind(ToyBackend::default(), &[loopback(); 2], log.clone()).await.unwrap();
    let proxy = Proxy::bind(ToyProxy::default(), &[loopback(); 2], backend.addresses(), log).await.unwrap();
    let [first, second] = [proxy.addresses()[0], proxy.addresses()[1]];
    let mut tasks = JoinSet::new();
    tasks.spawn(backend.serve());
    tasks.spawn(proxy.serve());
    let mut setup = Setup { proxy: first, events, tasks };
    assert_eq!(setup.ask("POST").await.code, 200);
    setup.proxy = second;
    assert_eq!(setup.ask("POST").await.code, 200);
    let is_choice = |what: &What| matches!(what, What::NewConnection | What::Reuse);
    let chosen = wait_for(&mut setup.events, is_choice).await;
    assert_eq!(chosen.what, What::NewConnection, "the first lane's idle connection is not for the second");
}

#[tokio::test]
async fn the_pool_uses_the_connection_that_its_setting_says() {
    for (reuse, expected) in [(Reuse::Lifo, Some(1)), (Reuse::Fifo, Some(0)), (Reuse::Random, None)] {
        let settings = ToyProxy { reuse, ..ToyProxy::default() };
        let mut setup = with_toys(
            settings,
            ToyBackend { response_delay: Duration::from_millis(5), ..ToyBackend::default() },
        )
        .await;
        // Two requests under way at once make two connections.
        let (mut one, mut other) = (setup.send("GET").await, setup.send("GET").await);
        one.read_response("GET").await.unwrap();
        other.read_response("GET").await.unwrap();
        let pooled = |what: &What| *what == What::Pooled;
        let idle = [setup.connection_of(pooled).await, setup.connection_of(pooled).await];
        assert_ne!(idle[0], idle[1]);
        setup.ask("GET").await;
        let reused = setup.connection_of(|what| *what == What::Reuse).await;
        match expected {
            Some(index) => assert_eq!(reused, idle[index], "{reuse:?}"),
            None => assert!(idle.contains(&reused)),
        }
    }
}
