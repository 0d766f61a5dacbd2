//! HTTP framing over slices of every size.

use super::*;

fn events(framer: &mut Framer, bytes: &[u8], answers: Option<Method>) -> Vec<Event> {
    let mut rest = bytes;
    let mut events = Vec::new();
    while !rest.is_empty() {
        let (used, event) = framer.feed(rest, answers);
        rest = &rest[used..];
        events.extend(event);
    }
    events
}

fn method(name: &str) -> Method {
    Method::at_start(format!("{name} ").as_bytes()).unwrap()
}

#[test]
fn a_request_with_a_body_ends_with_its_last_byte() {
    let mut framer = Framer::requests();
    let head = b"POST /orders?token=secret HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(events(&mut framer, head, None), [Event::Begin, Event::Request(method("POST"))]);
    assert_eq!(framer.path(), "/orders");
    assert_eq!(events(&mut framer, b"ab", None), []);
    assert_eq!(events(&mut framer, b"c", None), [Event::End]);
}

#[test]
fn a_head_split_at_every_byte_reads_the_same() {
    let message = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let whole = events(&mut Framer::requests(), message, None);
    assert_eq!(whole.len(), 6);
    for cut in 1..message.len() {
        let mut framer = Framer::requests();
        let mut parts = events(&mut framer, &message[..cut], None);
        parts.extend(events(&mut framer, &message[cut..], None));
        assert_eq!(parts, whole, "cut at {cut}");
    }
}

#[test]
fn responses_end_as_their_headers_say() {
    let cases: [(&[u8], Option<&str>, bool); 6] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", None, true),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", None, false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Some("HEAD"), true),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", None, true),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil close", None, false),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\nT: 1\r\n\r\n",
            None,
            true,
        ),
    ];
    for (bytes, answers, complete) in cases {
        let mut framer = Framer::responses();
        let met = events(&mut framer, bytes, answers.map(method));
        assert_eq!(met.last() == Some(&Event::End), complete, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn an_interim_response_is_not_the_answer() {
    let mut framer = Framer::responses();
    let met = events(&mut framer, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", None);
    assert_eq!(met, [Event::Begin, Event::Interim, Event::Begin, Event::Response(204), Event::End]);
}

#[test]
fn after_an_upgrade_http_is_over() {
    let mut framer = Framer::responses();
    let met =
        events(&mut framer, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05", None);
    assert_eq!(met, [Event::Begin, Event::Response(101), Event::Upgraded]);
    assert!(framer.ends_with_connection());
}

#[test]
fn proxy_protocol_lines_are_not_requests() {
    let mut framer = Framer::requests();
    let met = events(&mut framer, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n", None);
    assert_eq!(met, [Event::Begin, Event::Begin, Event::Request(method("GET")), Event::End]);
    let mut framer = Framer::requests();
    let v2 = [PROXY_V2.as_slice(), &[0x21, 0x11, 0, 2, 9, 9], b"GET / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(events(&mut framer, &v2, None), [Event::Begin, Event::Request(method("GET")), Event::End]);
}

#[test]
fn a_lost_framer_goes_on_at_the_next_message() {
    let mut framer = Framer::responses();
    events(&mut framer, b"HTTP/1.1 200 OK\r\nContent-Le", None);
    framer.skip(700);
    assert!(framer.is_lost());
    framer.resynchronise(b"body bytes");
    assert!(framer.is_lost());
    framer.resynchronise(b"HTTP/1.1 200 OK\r\n");
    assert!(!framer.is_lost());
}

#[test]
fn a_body_that_the_snap_length_cut_ends_where_it_should() {
    let mut framer = Framer::responses();
    events(&mut framer, b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n", None);
    assert_eq!(framer.skip(600), None);
    assert_eq!(framer.skip(100), Some(Event::End));
    assert!(!framer.in_message() && !framer.is_lost());
}

#[test]
fn a_hostile_path_is_made_printable() {
    let mut framer = Framer::requests();
    events(&mut framer, b"GET /\x1b[31m\xff\\x?q HTTP/1.1\r\n", None);
    assert_eq!(framer.path(), "/\\x1b[31m\\xff\\\\x");
    events(&mut Framer::requests(), &[b'G'; 4096], None);
}

#[test]
fn an_absolute_target_keeps_only_its_path() {
    for (target, path) in
        [("http://internal.example/a/b", "/a/b"), ("http://internal.example", "/"), ("*", "*")]
    {
        let mut framer = Framer::requests();
        events(&mut framer, format!("GET {target} HTTP/1.1\r\n").as_bytes(), None);
        assert_eq!(framer.path(), path);
    }
}
