//! `finrace probe` against servers that never come to an end, and as a backend of clients that mean no good: it ends, and
//! says what is true. Whoever does not end makes its test hang.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::common::finrace::{FINRACE, finrace, json, output, text};

/// What a server does with a connection once a request has come.
type Answer = fn(&mut TcpStream) -> std::io::Result<()>;

/// Listens for as long as the test runs.
fn server(listen: &str, answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind(listen).expect("a socket on the loopback device");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                // A client that is gone ends it.
                let _ = stream.read(&mut [0; 4096]).and_then(|_| answer(&mut stream));
                let _ = stream.read(&mut [0; 4096]);
            });
        }
    });
    address
}

fn goes_on(stream: &mut TcpStream, begin: &str, again: &[u8]) -> std::io::Result<()> {
    stream.write_all(begin.as_bytes())?;
    let many = again.repeat(65_536 / again.len());
    loop {
        stream.write_all(&many)?;
    }
}

fn trickles(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
    loop {
        // Paces the server; nothing waits for it.
        thread::sleep(Duration::from_millis(100));
        stream.write_all(b"x")?;
    }
}

fn said(target: &str, options: &[&str], code: i32) -> String {
    said_within("1s", target, options, code)
}

fn said_within(max_wait: &str, target: &str, options: &[&str], code: i32) -> String {
    let words = ["probe", target, "--max-wait", max_wait];
    let printed = output(&mut finrace(words.iter().chain(options)));
    let said = text(&printed.stdout) + &text(&printed.stderr);
    assert_eq!(printed.status.code(), Some(code), "{said}");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn whatever_the_server_sends_the_probe_ends_with_a_true_sentence() {
    let cases: [(Answer, &str); 11] = [
        (|_| Ok(()), "no whole response within "),
        (trickles, "no whole response within "),
        (
            |stream| {
                goes_on(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nxxxx\r\n")
            },
            "its body goes on, more than the 16 MiB",
        ),
        (
            |stream| {
                goes_on(
                    stream,
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                    b"Trailer: x\r\n",
                )
            },
            "its body goes on, more than the 16 MiB",
        ),
        (
            |stream| goes_on(stream, "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n", b"x"),
            "it announces a body of 18446744073709551615 bytes",
        ),
        (
            |stream| goes_on(stream, "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", b"x"),
            "its Content-Length is no number of bytes",
        ),
        (
            |stream| goes_on(stream, "", b"HTTP/1.1 100 Continue\r\n\r\n"),
            "more than 16 interim responses (1xx)",
        ),
        (|stream| goes_on(stream, "HTTP/1.1 200 OK\r\n", &[b'a'; 64]), "its head is larger than 64 KiB"),
        (|stream| goes_on(stream, "<html>", b"hello\n"), "it speaks HTTP/0.9 or no HTTP at all"),
        (|stream| stream.write_all(b"\x15\x03\x01\x00\x02\x02\x16"), "it speaks TLS: write https://"),
        (|stream| goes_on(stream, "", b"\0"), "gave no response"),
    ];
    for (answer, sentence) in cases {
        // What sends without end meets its cap, however slow the machine; what does not waits for the deadline.
        let max_wait = if sentence == "no whole response within " { "1s" } else { "5min" };
        let said = said_within(max_wait, &server("127.0.0.1:0", answer).to_string(), &[], 2);
        assert!(said.contains(sentence), "{sentence}: {said}");
    }
}

#[test]
fn a_handshake_that_never_ends_is_one_that_fails() {
    let address = server("127.0.0.1:0", |_| Ok(()));
    let said = said(&format!("https://{address}/"), &[], 2);
    assert!(said.contains("does not complete a TLS handshake"), "{said}");
}

#[test]
fn a_server_that_goes_on_sending_was_never_idle() {
    let address = server("127.0.0.1:0", |stream| {
        goes_on(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", &[b'x'; 4096])
    });
    let said = said(&address.to_string(), &[], 3);
    assert!(said.contains("goes on sending without being asked"), "{said}");
}

#[test]
fn an_interim_response_may_come_together_with_the_one_that_counts() {
    let address = server("127.0.0.1:0", |stream| {
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")?;
        stream.shutdown(std::net::Shutdown::Both)
    });
    let words = ["probe", &address.to_string(), "--format", "json"];
    let measured = json(&output(&mut finrace(words)), 0);
    assert_eq!(measured["response"]["status"], 204);
}

#[test]
fn errors_redirections_and_compressed_pages_are_measured_like_any_other() {
    let cases: [(Answer, &str); 4] = [
        (
            |stream| stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            "Status 404. An error is a response",
        ),
        (
            |stream| stream.write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"),
            "Status 500. An error is a response",
        ),
        (
            |stream| {
                stream.write_all(
                    b"HTTP/1.1 301 There\r\nLocation: https://a.example/\r\nContent-Length: 0\r\n\r\n",
                )
            },
            "It redirects to https://a.example/",
        ),
        (
            |stream| {
                stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x00\xff",
                )
            },
            "Status 200.",
        ),
    ];
    for (answer, sentence) in cases {
        let said = said(&server("127.0.0.1:0", answer).to_string(), &[], 3);
        assert!(
            said.contains(sentence) && said.contains("still open when the wait was over"),
            "{sentence}: {said}"
        );
    }
}

#[test]
fn each_address_of_a_name_is_tried_and_ipv6_is_as_good() {
    let answer: Answer =
        |stream| stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let v4 = server("127.0.0.1:0", answer);
    assert!(said(&format!("http://localhost:{}/", v4.port()), &[], 0).contains("127.0.0.1"));
    // A machine without IPv6 has no such address.
    if TcpListener::bind("[::1]:0").is_ok() {
        let v6 = server("[::1]:0", answer);
        assert!(said(&format!("http://{v6}/"), &[], 0).contains(&v6.to_string()));
    }
}

#[test]
fn patience_that_ends_is_no_limit_on_requests() {
    let address = server("127.0.0.1:0", |stream| {
        loop {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            if stream.read(&mut [0; 4096])? == 0 {
                return Ok(());
            }
        }
    });
    let words =
        ["probe", &address.to_string(), "--max-wait", "1s", "--max-requests", "1000000", "--format", "json"];
    let measured = json(&output(&mut finrace(words)), 3);
    assert_eq!(measured["request_limit"]["reached"], false);
}

/// Silent clients, half a request, garbage, a body without an end, and more of them than there are descriptors: the probe
/// ends when its time is over, and says what it saw.
#[test]
fn a_backend_of_clients_that_mean_no_good_ends_in_time() {
    for descriptors in ["4096", "40"] {
        let limited = format!("ulimit -n {descriptors} && exec \"$0\" probe --upstream 0 --max-wait 2s");
        let mut child = Command::new("sh")
            .args(["-c", &limited, FINRACE])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stderr.take().expect("standard error")).read_line(&mut line).expect("a line");
        let address = line
            .split_once("listening on ")
            .and_then(|(_, rest)| rest.split_once(": "))
            .expect("the address")
            .0;
        assert!(address.starts_with("127.0.0.1:"), "{address}: loopback unless told otherwise");
        let connect = || TcpStream::connect(address).expect("a place in the queue");
        let mut held: Vec<TcpStream> = (0..60).map(|_| connect()).collect();
        for begin in [
            &b"GET / HT"[..],
            b"\x16\x03\x01\xff",
            b"\n\n\n\n",
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        ] {
            let mut stream = connect();
            // It may be closed at once.
            let _ = stream.write_all(begin);
            held.push(stream);
        }
        let ended = child.wait_with_output().expect("an end");
        assert_eq!(ended.status.code(), Some(3), "{}", text(&ended.stdout));
        assert!(text(&ended.stdout).contains("no request came"), "{}", text(&ended.stdout));
    }
}
