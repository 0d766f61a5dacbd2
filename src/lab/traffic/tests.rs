//! Whole attempts on plain loopback: driver, toy proxy, toy backend.

use super::*;
use crate::lab::backend;
use crate::lab::proxy;
use crate::lab::scenario::ToyBackend;
use std::io;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc::unbounded_channel;

/// A built-in scenario with timers short enough for a test.
fn scenario(name: &str, attempts: u32) -> Scenario {
    let mut scenario = Scenario::builtin(name).unwrap();
    scenario.traffic.attempts = attempts;
    toy(&mut scenario).idle_timeout = Duration::from_millis(30);
    scenario
}

fn toy(scenario: &mut Scenario) -> &mut ToyBackend {
    match &mut scenario.backend {
        Backend::Toy(toy) => toy,
        Backend::Program(_) => panic!("a toy scenario"),
    }
}

/// Runs a scenario of toys on loopback; the results are in the order of their numbers.
async fn run(scenario: &Scenario) -> Vec<Attempt> {
    let log = EventLog::new(io::sink());
    let (Proxy::Toy(proxy), Backend::Toy(backend)) = (&scenario.proxy, &scenario.backend) else {
        panic!("a toy scenario");
    };
    let lanes = vec![SocketAddr::from(([127, 0, 0, 1], 0)); scenario.lanes()];
    let backend = backend::Backend::bind(backend.clone(), &lanes, log.clone()).await.unwrap();
    let proxy = proxy::Proxy::bind(proxy.clone(), &lanes, backend.addresses(), log.clone()).await.unwrap();
    let driver = Driver::new(scenario, proxy.addresses(), log);
    let mut tasks = JoinSet::new();
    tasks.spawn(backend.serve());
    tasks.spawn(proxy.serve());
    let (sender, mut receiver) = unbounded_channel();
    driver.run(sender).await;
    let mut attempts: Vec<_> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
    attempts.sort_by_key(|attempt| attempt.number);
    attempts
}

#[tokio::test]
async fn the_race_scenarios_of_the_loopback_lab_give_502_at_every_attempt() {
    for name in ["unread-request", "stale-reuse"] {
        let attempts = run(&scenario(name, 5)).await;
        assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        for attempt in attempts {
            assert_eq!(attempt.warm_up.status(), Some(200), "{name}: {attempt:?}");
            assert_eq!(attempt.outcome.status(), Some(502), "{name}: {attempt:?}");
            assert_eq!(attempt.closed_first, Some(Party::Backend), "{name}: {attempt:?}");
            assert!(
                attempt.connection.is_some() && attempt.sent_on == attempt.connection,
                "{name}: {attempt:?}"
            );
        }
    }
}

#[tokio::test]
async fn when_the_proxy_closes_first_nothing_dies() {
    let mut scenario = Scenario::builtin("fixed").unwrap();
    let (proxy_idle, backend_idle) = (Duration::from_millis(30), Duration::from_secs(20));
    toy(&mut scenario).idle_timeout = backend_idle;
    if let Proxy::Toy(proxy) = &mut scenario.proxy {
        proxy.idle_timeout = proxy_idle;
    }
    scenario.traffic.idle = Some([Duration::ZERO, Duration::from_millis(60)]);
    let attempts = run(&scenario).await;
    assert_eq!(attempts.len(), 10);
    for attempt in &attempts {
        assert_eq!(attempt.outcome.status(), Some(200), "{attempt:?}");
        assert_ne!(attempt.closed_first, Some(Party::Backend), "{attempt:?}");
    }
    let longest_idle = attempts.last().unwrap();
    assert_eq!(longest_idle.closed_first, Some(Party::Proxy));
    assert_ne!(longest_idle.sent_on, longest_idle.connection, "the second request had to open a connection");
}

#[tokio::test]
async fn waiting_for_a_backend_that_is_closed_after_the_proxy_ends_with_the_proxys_close() {
    let mut scenario = scenario("stale-reuse", 1);
    toy(&mut scenario).idle_timeout = Duration::from_secs(20);
    if let Proxy::Toy(proxy) = &mut scenario.proxy {
        proxy.idle_timeout = Duration::from_millis(30);
    }
    let attempts = run(&scenario).await;
    assert_eq!(attempts[0].closed_first, Some(Party::Proxy));
    assert_eq!(attempts[0].outcome.status(), Some(200));
}

#[tokio::test]
async fn a_moment_that_does_not_come_is_an_outcome_that_says_so() {
    let scenario = scenario("stale-reuse", 1);
    let log = EventLog::new(io::sink());
    // A proxy that answers and reports nothing: no FIN will ever be heard of.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut driver = Driver::new(&scenario, &[address], log);
    driver.trigger_at_most = Duration::from_millis(10);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut client = HttpStream::new(listener.accept().await.unwrap().0).unwrap();
        client.read_request().await.unwrap();
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    });
    let (sender, mut receiver) = unbounded_channel();
    driver.run(sender).await;
    let attempt = receiver.recv().await.unwrap();
    assert_eq!(
        attempt.outcome.to_string(),
        "not sent: a FIN of the toy backend was not delivered within 10ms of the first answer; is its idle timeout \
         longer than the scenario says?"
    );
    assert_eq!((attempt.connection, attempt.sent_ns), (None, None));
}

/// What the driver makes of a proxy that does this with its first connection.
async fn outcome_of<F: Future<Output = ()> + Send + 'static>(proxy: impl FnOnce(TcpStream) -> F) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let driver = Driver::new(&scenario("stale-reuse", 1), &[address], EventLog::new(io::sink()));
    let serve = async { proxy(listener.accept().await.unwrap().0).await };
    let mut client = None;
    tokio::join!(driver.request(1, 0, Turn::WarmUp, &mut client), serve).0
}

#[tokio::test]
async fn what_the_user_sees_is_told_apart() {
    let empty = outcome_of(|stream| async move {
        HttpStream::new(stream).unwrap().read_request().await.unwrap();
    });
    assert_eq!(empty.await, Outcome::EmptyReply);

    let reset = outcome_of(|stream| async move {
        let mut client = HttpStream::new(stream).unwrap();
        client.read_request().await.unwrap();
        client.into_tcp().set_zero_linger().unwrap();
    });
    assert_eq!(reset.await, Outcome::Reset);

    let cut = outcome_of(|stream| async move {
        let mut client = HttpStream::new(stream).unwrap();
        client.read_request().await.unwrap();
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
    });
    assert_eq!(cut.await, Outcome::Failed { reason: "the connection ended within a message".into() });

    let answered = outcome_of(|stream| async move {
        let mut client = HttpStream::new(stream).unwrap();
        client.read_request().await.unwrap();
        client.send(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<h1>\x1b[31mno</h1>\r\n").await.unwrap();
    });
    assert_eq!(answered.await, Outcome::Status { code: 502, body_excerpt: "<h1> [31mno</h1>".into() });
}

#[tokio::test]
async fn a_proxy_that_does_not_listen_is_refused_and_no_second_request_is_sent() {
    // Bound and not listening: refuses, and nobody else can take the port meanwhile.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = deaf.local_addr().unwrap();
    let scenario = scenario("stale-reuse", 1);
    let driver = Driver::new(&scenario, &[address], EventLog::new(io::sink()));
    let (sender, mut receiver) = unbounded_channel();
    driver.run(sender).await;
    let attempt = receiver.recv().await.unwrap();
    assert_eq!(attempt.warm_up, Outcome::Refused);
    let reason = "the first request already failed (connection refused)".into();
    assert_eq!(attempt.outcome, Outcome::NotSent { reason });
}

#[test]
fn attempts_are_spread_evenly_over_the_idle_range_both_ends_included() {
    let scenario = Scenario::builtin("fixed").unwrap();
    let driver = Driver::new(&scenario, &[], EventLog::new(io::sink()));
    let idle: Vec<_> = (1..=10).map(|number| driver.idle_of(number).as_millis()).collect();
    assert_eq!(idle, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
}
