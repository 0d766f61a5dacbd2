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

/// Heads of every kind, from which changed ones are made.
const HEADS: [&[u8]; 8] = [
    b"GET /a/b?c=d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nrest",
    b"POST /orders HTTP/1.1\r\nHost: x\r\ncontent-length: 17\r\nCookie: c\r\n\r\nbody",
    b"PUT /x#y HTTP/1.0\nTransfer-Encoding: gzip, chunked\n\n5\r\nhello\r\n0\r\n\r\n",
    b"CONNECT example:443 HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 304 Not Modified\r\nConnection: keep-alive\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\0\x01",
];

/// What a framer tells of a payload, byte positions included, and how it stands after it.
fn told(framer: &mut Framer, payload: &[u8], answers: Option<Method>, ahead: bool) -> String {
    let head = Head::read(payload).filter(|_| ahead);
    let is_mine = |head: &&Head| head.request(payload).is_some() == (framer.kind == Kind::Request);
    let (mut used, mut told) = (0, Vec::new());
    let mut path = Vec::new();
    if let Some(head) = head.as_ref().filter(is_mine) {
        told.push((0, Event::Begin));
        if let Some((method, plain)) = head.request(payload) {
            told.push((0, Event::Request(method)));
            path = plain.to_vec();
            assert_eq!(head.fingerprint(), Some(fingerprint(payload)));
        }
        told.extend(head.status().map(|status| (0, Event::Response(status))));
        let (len, event) = framer.pass(head, answers);
        used = len;
        told.extend(event.map(|event| (used, event)));
    }
    while used < payload.len() {
        let (step, event) = framer.feed(&payload[used..], answers);
        used += step;
        if let Some(Event::Request(_)) = event {
            path = framer.path().as_bytes().to_vec();
        }
        // A head that was passed tells nothing of the places within it.
        let at = if matches!(event, Some(Event::End | Event::Interim | Event::Upgraded)) { used } else { 0 };
        told.extend(event.map(|event| (at, event)));
    }
    format!("{told:?} {path:?} {:?} {:?}", framer.state, framer.fields)
}

proptest::proptest! {
    #[test]
    fn a_head_read_ahead_is_what_the_framer_reads(
        which in 0..HEADS.len(),
        changes in proptest::collection::vec((0..120_usize, proptest::prelude::any::<u8>()), 0..4),
        cut in 0..140_usize,
        long in 0..600_usize,
        answers in 0..3_usize,
    ) {
        let mut payload = HEADS[which].to_vec();
        for (at, byte) in changes {
            let at = at % payload.len();
            payload[at] = byte;
        }
        if long > 200 {
            let space = payload.iter().position(|&byte| byte == b'/').unwrap_or(3);
            payload.splice(space..space, std::iter::repeat_n(b'/', long - 200));
        }
        payload.truncate(cut.max(long));
        let answers = [None, Some(method("HEAD")), Some(method("CONNECT"))][answers];
        for framer in [Framer::requests, Framer::responses] {
            let ahead = told(&mut framer(), &payload, answers, true);
            proptest::prop_assert_eq!(ahead, told(&mut framer(), &payload, answers, false));
        }
    }
}

#[test]
fn the_usual_heads_are_read_ahead() {
    for payload in HEADS.into_iter().filter(|payload| !payload.starts_with(b"CONNECT")) {
        let text = String::from_utf8_lossy(payload);
        let end = ["\r\n\r\n", "\n\n"].into_iter().filter_map(|end| Some(text.find(end)? + end.len())).min();
        assert_eq!(Head::read(payload).map(|head| head.end()), end, "{text}");
    }
    assert!(Head::read(HEADS[3]).is_none(), "what it asks for is no path");
    assert!(Head::read(b"GET / HTTP/1.1\r\nHost: x\r\n").is_none(), "its end is in another segment");
    assert!(Head::read(b"").is_none());
}

#[test]
fn a_length_that_contradicts_itself_is_not_believed() {
    for lengths in ["Content-Length: 9\r\nContent-Length: 5", "Content-Length: 9, 5", "Content-Length: five"]
    {
        let mut framer = Framer::responses();
        events(&mut framer, format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nhello").as_bytes(), None);
        assert!(framer.is_lost(), "{lengths}");
    }
    let mut framer = Framer::responses();
    let met = events(&mut framer, b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", None);
    assert_eq!(met.last(), Some(&Event::End));
}

#[test]
fn what_is_no_message_begins_none() {
    for stray in [&b"\0"[..], b"and more", b"HTTP/1.1 200 OK\r\n"] {
        let mut framer = Framer::requests();
        assert_eq!(events(&mut framer, stray, None), [], "{}", String::from_utf8_lossy(stray));
        assert!(framer.is_lost());
    }
    let mut framer = Framer::responses();
    assert_eq!(events(&mut framer, b"HTTP/1.x abc", None), []);
    let mut framer = Framer::requests();
    assert_eq!(events(&mut framer, b"PO", None), [Event::Begin], "the rest may come in the next segment");
}

#[test]
fn a_request_line_has_a_version() {
    assert!(holds_request_line(b"GET /a HTTP/1.1\r\nHost"));
    assert!(holds_request_line(b"GET /a HTTP/1.0\n"));
    for other in
        [&b"GET key\r\n"[..], b"GET /a HTTP/1.1", b"OPTIONS * RTSP/1.0\r\n", b"GET HTTP/1.1\r\n", b""]
    {
        assert!(!holds_request_line(other), "{}", String::from_utf8_lossy(other));
    }
}
