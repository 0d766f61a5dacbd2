//! `finrace probe` against servers of the test itself: each closes by a timer of its own, and the probe says how.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::common::finrace::{finrace, json, output, text};
use serde_json::Value;

/// Idle time after which the toys close.
const IDLE: Duration = Duration::from_millis(700);

/// How a toy ends a connection that was idle.
#[derive(Clone, Copy)]
enum Closes {
    Fin,
    Reset,
    /// Closes its own direction, then reads until the client is gone.
    Half,
    Status408,
    Never,
}

/// What a toy does.
#[derive(Clone, Copy)]
struct Toy {
    closes: Closes,
    /// Header fields of its responses.
    fields: &'static str,
    /// Answers so many requests on a connection, the last one with `Connection: close`.
    requests: usize,
}

const PLAIN: Toy = Toy { closes: Closes::Fin, fields: "", requests: usize::MAX };

impl Toy {
    /// Listens on the loopback device for as long as the test runs.
    fn start(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket on the loopback device");
        let address = listener.local_addr().expect("a socket on the loopback device");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || self.serve(stream));
            }
        });
        address
    }

    fn serve(self, mut stream: TcpStream) {
        if !matches!(self.closes, Closes::Never) {
            stream.set_read_timeout(Some(IDLE)).expect("a socket on the loopback device");
        }
        let mut answered = 0;
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => request.extend_from_slice(&buffer[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return self.close(stream);
                }
                Err(_) => return,
            }
            if request.ends_with(b"\r\n\r\n") {
                request.clear();
                answered += 1;
                let last = answered >= self.requests;
                let close = if last { "Connection: close\r\n" } else { "" };
                let fields = self.fields;
                let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{fields}{close}\r\nok");
                if stream.write_all(response.as_bytes()).is_err() || last {
                    return;
                }
            }
        }
    }

    fn close(self, mut stream: TcpStream) {
        match self.closes {
            Closes::Fin | Closes::Never => {}
            Closes::Reset => socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .expect("a socket on the loopback device"),
            Closes::Half => {
                stream.shutdown(Shutdown::Write).expect("a socket on the loopback device");
                stream.set_read_timeout(None).expect("a socket on the loopback device");
                let mut rest = [0; 4096];
                while matches!(stream.read(&mut rest), Ok(read) if read > 0) {}
            }
            Closes::Status408 => {
                stream
                    .write_all(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
                    .expect("a socket on the loopback device");
            }
        }
    }
}

fn probed(toy: Toy, options: &[&str], code: i32) -> Value {
    let address = toy.start().to_string();
    let words = ["probe", &address, "--format", "json"];
    json(&output(&mut finrace(words.iter().chain(options))), code)
}

fn endings(measured: &Value) -> Vec<&str> {
    let samples = measured["samples"].as_array().expect("samples");
    samples.iter().map(|sample| sample["ending"].as_str().expect("a token")).collect()
}

#[test]
fn a_server_that_closes_with_fin_is_measured_on_every_connection() {
    let toy = Toy { fields: "Keep-Alive: timeout=5\r\n", ..PLAIN };
    let measured = probed(toy, &["--connections", "4", "--first-request"], 0);
    assert_eq!(endings(&measured), ["fin"; 4]);
    assert!(measured["idle_min_ns"].as_u64() <= measured["idle_max_ns"].as_u64());
    assert_eq!(measured["response"]["keep_alive"], "timeout=5");
    assert_eq!(measured["late_request"], "reset");
    assert_eq!(measured["unused"]["ending"], "fin");
    assert_eq!(measured["request_limit"], Value::Null);
}

#[test]
fn a_half_close_is_recognised_by_a_request_that_nobody_refuses() {
    let measured = probed(Toy { closes: Closes::Half, ..PLAIN }, &[], 0);
    assert_eq!(endings(&measured), ["fin"; 3]);
    assert_eq!(measured["late_request"], "discarded");
}

#[test]
fn a_reset_is_told_from_a_fin() {
    let measured = probed(Toy { closes: Closes::Reset, ..PLAIN }, &[], 0);
    assert_eq!(endings(&measured), ["reset"; 3]);
    assert_eq!(measured["late_request"], Value::Null);
}

#[test]
fn a_response_that_nobody_asked_for_is_seen() {
    let measured = probed(Toy { closes: Closes::Status408, ..PLAIN }, &["--first-request"], 0);
    assert_eq!(measured["samples"][0]["unsolicited_status"], 408);
    assert_eq!(measured["unused"]["unsolicited_status"], 408);
}

#[test]
fn a_limit_on_requests_is_found() {
    // Toys without a timer: only the limit ends a connection.
    let patient = Toy { closes: Closes::Never, ..PLAIN };
    let options = ["--max-requests", "20", "--max-wait", "200ms"];
    let measured = probed(Toy { requests: 7, ..patient }, &options, 3);
    let expected = serde_json::json!({"answered": 7, "reached": true, "announced": true});
    assert_eq!(measured["request_limit"], expected);
    let measured = probed(patient, &options, 3);
    let expected = serde_json::json!({"answered": 20, "reached": false, "announced": false});
    assert_eq!(measured["request_limit"], expected);
}

#[test]
fn a_server_that_keeps_no_connection_has_no_idle_timeout() {
    let measured = probed(Toy { requests: 1, ..PLAIN }, &[], 0);
    assert_eq!(measured["response"]["keeps_alive"], false);
    assert_eq!(endings(&measured), [""; 0]);
}

#[test]
fn a_server_that_never_closes_ends_the_wait_with_a_clear_answer() {
    let address = Toy { closes: Closes::Never, ..PLAIN }.start().to_string();
    let printed = output(&mut finrace(["probe", &address, "--max-wait", "200ms"]));
    let said = text(&printed.stdout);
    assert_eq!(printed.status.code(), Some(3), "{said}");
    assert!(said.contains("or none: all 3 connections were still open"), "{said}");
    assert!(!said.contains("Looks like"), "{said}");
}

#[test]
fn a_pair_is_checked_against_the_live_server() {
    let live = format!("http://{}/", PLAIN.start());
    let safe = ["check", "--proxy", "100ms", "--backend", &live, "--margin", "1ms", "--format", "json"];
    let check = json(&output(&mut finrace(safe)), 0);
    assert_eq!(check["pairs"][0]["backend_timer"]["idle"], "closes");
    let wrong = ["check", "--proxy", "60s", "--backend", &live];
    let printed = output(&mut finrace(wrong));
    assert_eq!(printed.status.code(), Some(1), "{}", text(&printed.stderr));
    assert!(text(&printed.stdout).contains("measured on 3 connections"), "{}", text(&printed.stdout));
    let proxy = ["check", "--proxy", &live, "--backend", "60s"];
    let printed = output(&mut finrace(proxy));
    assert_eq!(printed.status.code(), Some(2));
    assert!(text(&printed.stderr).contains("only of a server"), "{}", text(&printed.stderr));
}

#[test]
fn a_server_that_is_not_there_or_no_server_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"SSH-2.0-toy\r\n");
        }
    });
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (target, answer) in [
        (free.as_str(), "cannot connect"),
        (address.as_str(), "gave no response"),
        (&format!("https://{address}/"), "does not complete a TLS handshake"),
    ] {
        let printed = output(&mut finrace(["probe", target]));
        assert_eq!(printed.status.code(), Some(2), "{target}");
        assert!(text(&printed.stderr).contains(answer), "{target}: {}", text(&printed.stderr));
    }
}
