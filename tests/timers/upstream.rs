//! `finrace probe --upstream`: the lab's toy proxy in front of the probe, with short timers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use finrace::lab::events::EventLog;
use finrace::lab::proxy::Proxy;
use finrace::lab::scenario::{Retry, ToyProxy};
use finrace::probe::Ending;
use finrace::probe::upstream::{Again, Backend, Measurement, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::finrace::{finrace, output, text};

/// Idle time after which the toy gives up a connection; longer than the probe's limit for a pool without room.
const IDLE: Duration = Duration::from_millis(500);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

fn patient() -> Options {
    Options { via: None, samples: 3, max_wait: Duration::from_secs(60), test_retry: false }
}

async fn toy(settings: ToyProxy, backend: SocketAddr) -> Proxy {
    Proxy::bind(settings, &[loopback()], &[backend], EventLog::new(io::sink()))
        .await
        .expect("a socket on the loopback device")
}

/// What a probe finds that sends its requests through a toy.
fn measured(settings: ToyProxy, options: Options) -> Measurement {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let backend = Backend::bind(loopback()).await.expect("a socket on the loopback device");
        let proxy = toy(settings, backend.address()).await;
        let via = Some(format!("http://{}/health?x=1", proxy.addresses()[0]).parse().expect("a URL"));
        let serving = tokio::spawn(proxy.serve());
        let measured = backend
            .run(&Options { via, ..options }, std::future::pending(), |_| ())
            .await
            .expect("a measurement");
        serving.abort();
        measured
    })
}

#[test]
fn the_idle_timeout_of_a_proxy_is_measured_on_connections_side_by_side() {
    let found = measured(ToyProxy { idle_timeout: IDLE, ..ToyProxy::default() }, patient());
    assert!(found.samples.len() >= 3, "{found:?}");
    assert!(found.samples.iter().all(|sample| sample.ending == Ending::Fin), "{found:?}");
    // The proxy's timer begins after the response is written, and the FIN arrives after it.
    assert!(found.idle_ns().unwrap().0 >= IDLE.as_nanos() as u64, "{found:?}");
    assert!(found.retries.is_empty() && !found.keeps_none(), "{found:?}");
}

#[test]
fn a_proxy_that_sends_again_is_told_from_one_that_does_not() {
    for (retry, again) in [
        (Retry::Never, [Again::NotSent; 4]),
        (Retry::Idempotent, [Again::Sent, Again::Sent, Again::NotSent, Again::NotSent]),
        (Retry::Always, [Again::Sent; 4]),
    ] {
        let settings = ToyProxy { idle_timeout: IDLE, retry, ..ToyProxy::default() };
        let found = measured(settings, Options { test_retry: true, ..patient() });
        let seen: Vec<Again> = found.retries.iter().map(|retry| retry.again).collect();
        assert_eq!(seen, again, "{retry:?} {found:?}");
        for retried in &found.retries {
            let status = if retried.again == Again::Sent { 200 } else { 502 };
            assert_eq!(retried.client_status, Some(status), "{retry:?} {retried:?}");
            assert_eq!(retried.after_ns.is_some(), retried.again == Again::Sent, "{retry:?} {retried:?}");
        }
        assert!(found.reused >= 4, "{found:?}");
    }
}

#[test]
fn a_proxy_that_gives_nothing_up_ends_the_wait_with_a_clear_answer() {
    let options = Options { max_wait: Duration::from_millis(300), test_retry: true, ..patient() };
    let found = measured(ToyProxy { retry: Retry::Idempotent, ..ToyProxy::default() }, options);
    assert_eq!(found.samples, []);
    assert!(found.still_open_ns.len() >= 3 && found.is_open_ended() && !found.keeps_none(), "{found:?}");
    assert_eq!(found.retries[0].again, Again::Sent, "the trials do not wait for a close");
}

#[test]
fn a_proxy_that_asks_for_the_close_keeps_no_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(async {
        let backend = Backend::bind(loopback()).await.unwrap();
        let address = backend.address();
        let proxy = tokio::spawn(async move {
            for _ in 0..3 {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                stream.write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await.unwrap();
                let mut response = String::new();
                stream.read_to_string(&mut response).await.unwrap();
                assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
            }
        });
        let found = backend.run(&patient(), std::future::pending(), |_| ()).await.unwrap();
        proxy.await.unwrap();
        found
    });
    assert!(found.keeps_none(), "{found:?}");
    assert_eq!((found.requests, found.not_kept), (3, 3));
}

/// The program as a backend, and where it listens.
struct Program {
    child: std::process::Child,
    address: SocketAddr,
}

impl Program {
    fn start(options: &[&str]) -> Program {
        let words = ["probe", "--upstream", "127.0.0.1:0"];
        let mut command = finrace(words.iter().chain(options));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stderr.take().expect("standard error")).read_line(&mut line).expect("a line");
        let address = line
            .split_once("listening on ")
            .and_then(|(_, rest)| rest.split_once(": "))
            .expect("the address");
        Program { child, address: address.0.parse().expect("an address") }
    }

    /// Standard output, after an end with this code.
    fn said(self, code: i32) -> String {
        let ended = self.child.wait_with_output().expect("an end of the program");
        let said = text(&ended.stdout);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A toy in a thread of its own, for as long as the test runs.
fn toy_in_front_of(backend: SocketAddr, settings: ToyProxy) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let proxy = toy(settings, backend).await;
            tell.send(proxy.addresses()[0]).expect("a test that listens");
            proxy.serve().await;
        });
    });
    told.recv().expect("a toy that listens")
}

fn asked(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a socket on the loopback device");
    stream.write_all(request).expect("a socket on the loopback device");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("an answer");
    response
}

#[test]
fn requests_of_others_serve_as_well() {
    let program = Program::start(&["--samples", "1", "--test-retry"]);
    let settings = ToyProxy { idle_timeout: 2 * IDLE, retry: Retry::Always, ..ToyProxy::default() };
    let proxy = toy_in_front_of(program.address, settings);
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    // The first opens a connection, each of the others meets a close and comes again.
    for request in [REQUEST, REQUEST, REQUEST, post, post] {
        assert!(asked(proxy, request).starts_with("HTTP/1.1 200 "));
    }
    let said = program.said(0);
    assert!(said.contains("The proxy sent GET again after a FIN and after a RST."), "{said}");
    assert!(said.contains("The proxy sent POST again after a FIN and after a RST."), "{said}");
    assert!(said.contains("(1 connection given up, with FIN)"), "{said}");
    assert!(said.contains("finrace check --proxy 1"), "{said}");
}

#[test]
fn silence_and_what_is_no_http_are_said_so() {
    let said = Program::start(&["--max-wait", "100ms"]).said(3);
    assert!(said.contains("no request came to 127.0.0.1:"), "{said}");
    let program = Program::start(&["--max-wait", "2s"]);
    let answer = asked(program.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let said = program.said(3);
    assert!(said.contains("1 connection: it is no HTTP/1 request"), "{said}");
}

#[test]
fn what_cannot_be_measured_is_an_error() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("http://{}/", server.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in server.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
    });
    for (options, answer) in [
        (vec!["--upstream", &taken], "cannot listen on"),
        (vec!["--upstream", "127.0.0.1:0", "--via", &elsewhere], "answered 404 without asking the backend"),
        (vec!["--upstream", "localhost"], "give an address of this machine and a port"),
        (vec!["--upstream", "127.0.0.1:0", "--connections", "3"], "cannot be used with"),
        (vec!["127.0.0.1:1", "--test-retry"], "cannot be used with"),
        (vec!["--test-retry"], "--upstream"),
    ] {
        let printed = output(&mut finrace(["probe"].iter().chain(&options)));
        assert_eq!(printed.status.code(), Some(2), "{options:?}");
        assert!(text(&printed.stderr).contains(answer), "{options:?}: {}", text(&printed.stderr));
    }
}
