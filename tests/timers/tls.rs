//! `finrace probe https://...` against TLS servers of the test itself, and the truth of their own clocks.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion, version};
use serde_json::Value;

use crate::common::finrace::{finrace, json, output, text};

/// Idle time after which the toys close.
const IDLE: Duration = Duration::from_millis(700);
/// How far a measurement may be from the truth.
const NEAR: Duration = Duration::from_millis(50);

/// How a toy ends a connection that was idle.
#[derive(Clone, Copy)]
enum Closes {
    NotifyAndFin,
    FinAlone,
    NotifyAndReset,
}

/// A server, and the idle times that it has seen by its own clock: from the end of the response to its close.
struct Toy {
    address: SocketAddr,
    idle: Arc<Mutex<Vec<Duration>>>,
}

impl Toy {
    /// Listens on the loopback device for as long as the test runs, with a certificate that nobody trusts.
    fn start(closes: Closes, version: &'static SupportedProtocolVersion) -> Toy {
        let own = rcgen::generate_simple_self_signed(["toy.invalid".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .expect("a version that ring speaks")
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .expect("a key that fits");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket on the loopback device");
        let toy = Toy {
            address: listener.local_addr().expect("a socket on the loopback device"),
            idle: Arc::default(),
        };
        let idle = toy.idle.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, idle) = (config.clone(), idle.clone());
                thread::spawn(move || serve(stream, config, closes, &idle));
            }
        });
        toy
    }

    fn probed(&self) -> Value {
        let url = format!("https://{}/", self.address);
        json(&output(&mut finrace(["probe", &url, "--format", "json"])), 0)
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, closes: Closes, idle: &Mutex<Vec<Duration>>) {
    stream.set_read_timeout(Some(IDLE)).expect("a socket on the loopback device");
    let mut tls = StreamOwned::new(ServerConnection::new(config).expect("a server's configuration"), stream);
    let mut answered = None;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match tls.read(&mut buffer) {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            // The probe has what it wanted.
            Ok(_) | Err(_) => return,
        }
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("a client that reads");
            tls.flush().expect("a client that reads");
            answered = Some(Instant::now());
        }
    }
    if !matches!(closes, Closes::FinAlone) {
        tls.conn.send_close_notify();
        // A probe that has gone needs no goodbye.
        let _ = tls.flush();
    }
    if matches!(closes, Closes::NotifyAndReset) {
        socket2::SockRef::from(&tls.sock)
            .set_linger(Some(Duration::ZERO))
            .expect("a socket on the loopback device");
    }
    let closed = Instant::now();
    drop(tls);
    if let Some(answered) = answered {
        idle.lock().expect("no thread has failed").push(closed - answered);
    }
}

fn ends(measured: &Value) -> Vec<(&str, bool)> {
    let samples = measured["samples"].as_array().expect("samples");
    samples
        .iter()
        .map(|it| (it["ending"].as_str().expect("a token"), it["close_notify"].as_bool().expect("a flag")))
        .collect()
}

#[test]
fn a_goodbye_of_tls_is_told_from_a_bare_fin_and_from_a_reset() {
    let measured = Toy::start(Closes::NotifyAndFin, &version::TLS13).probed();
    assert_eq!(ends(&measured), [("fin", true); 3]);
    assert_eq!((&measured["tls"], &measured["late_request"]), (&"TLS 1.3".into(), &"reset".into()));
    let measured = Toy::start(Closes::FinAlone, &version::TLS12).probed();
    assert_eq!(ends(&measured), [("fin", false); 3]);
    assert_eq!(measured["tls"], "TLS 1.2");
    let measured = Toy::start(Closes::NotifyAndReset, &version::TLS13).probed();
    assert_eq!(ends(&measured), [("reset", true); 3]);
}

#[test]
fn people_are_told_of_the_goodbye_and_of_the_certificate() {
    let toy = Toy::start(Closes::NotifyAndFin, &version::TLS13);
    let printed = output(&mut finrace(["probe", &format!("https://{}/", toy.address)]));
    let said = text(&printed.stdout);
    assert!(said.contains("With a TLS close_notify, then FIN;"), "{said}");
    assert!(said.contains("TLS 1.3. The certificate was not verified."), "{said}");
}

#[test]
fn the_idle_time_is_that_of_the_servers_own_clock() {
    let toy = Toy::start(Closes::NotifyAndFin, &version::TLS13);
    let measured = toy.probed();
    let truth = toy.idle.lock().unwrap().clone();
    let samples = measured["samples"].as_array().unwrap();
    let mut off: Vec<Duration> = samples
        .iter()
        .map(|sample| Duration::from_nanos(sample["idle_ns"].as_u64().unwrap()))
        .map(|idle| truth.iter().map(|own| own.abs_diff(idle)).min().expect("a close"))
        .collect();
    off.sort_unstable();
    // A machine under load may hand over one event late, not most of them.
    assert!(off[off.len() / 2] < NEAR, "{off:?} {measured} {truth:?}");
}
