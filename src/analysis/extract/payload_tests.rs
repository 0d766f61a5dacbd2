use proptest::prelude::*;

use super::*;
use crate::packet::Flags;

fn end(port: u16) -> Endpoint {
    Endpoint::v4(u32::from_be_bytes([192, 0, 2, 1]), port)
}

/// Two directions of one connection.
struct Talk {
    filter: Filter,
    next: [u32; 2],
}

impl Talk {
    fn new() -> Talk {
        Talk { filter: Filter::default(), next: [1, 1] }
    }

    /// What is left of the next bytes of one side.
    fn say(&mut self, side: usize, payload: &[u8]) -> String {
        String::from_utf8(self.bytes(side, payload, 0)).expect("text").replace('\0', ".")
    }

    /// The same as bytes, with some behind them that the capture does not hold.
    fn bytes(&mut self, side: usize, payload: &[u8], cut: u32) -> Vec<u8> {
        let segment = Segment {
            src: end(side as u16),
            dst: end(1 - side as u16),
            tunnel: 0,
            seq: self.next[side],
            ack: self.next[1 - side],
            flags: Flags(Flags::ACK),
            window: 1,
            payload_len: payload.len() as u32 + cut,
            payload,
            ttl: 64,
            ip_id: None,
            timestamps: None,
        };
        self.next[side] = self.next[side].wrapping_add(payload.len() as u32 + cut);
        let out = self.filter.payload(&segment, 1, 0);
        assert_eq!(out.len(), payload.len(), "as long as it was");
        out
    }
}

const REQUEST: &[u8] = b"POST /users/jane?token=7 HTTP/1.1\r\nHost: db.example\r\nCookie: sid=8\r\n\
    content-length: 4\r\nConnection: keep-alive, X-Jane\r\n\r\njane";

#[test]
fn of_a_request_survives_what_frames_it() {
    let mut talk = Talk::new();
    assert_eq!(
        talk.say(0, REQUEST),
        "POST /xxxxxxxxxxxxxxxxxx HTTP/1.1\r\nxxxx: xxxxxxxxxx\r\nCoxxxx: xxxxx\r\ncontent-length: 4\r\n\
         Connection: keep-alive, xxxxxx\r\n\r\n...."
    );
    assert_eq!(
        talk.say(1, b"HTTP/1.1 404 jane\r\nServer: x/1\r\nContent-Length: 2\r\n\r\nno"),
        "HTTP/1.1 404 xxxx\r\nxxxxxx: xxx\r\nContent-Length: 2\r\n\r\n.."
    );
}

#[test]
fn a_request_cut_anywhere_comes_out_the_same() {
    let whole = Talk::new().say(0, REQUEST);
    // A segment that does not begin with a whole method is no request to the analysis either.
    for cut in 5..REQUEST.len() {
        let mut talk = Talk::new();
        let parts = talk.say(0, &REQUEST[..cut]) + &talk.say(0, &REQUEST[cut..]);
        assert_eq!(parts, whole, "cut at {cut}");
    }
}

#[test]
fn chunks_keep_their_sizes() {
    let mut talk = Talk::new();
    talk.say(0, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(
        talk.say(1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;jane=1\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"),
        "HTTP/1.1 200 xx\r\nTransfer-Encoding: chunked\r\n\r\n5xxxxxxx\r\n.....\r\n0\r\nxxxxx: x\r\n\r\n"
    );
    assert_eq!(talk.say(0, b"GET /a HTTP/1.1\r\n\r\n"), "GET /x HTTP/1.1\r\n\r\n");
}

#[test]
fn an_answer_to_head_has_no_body() {
    let mut talk = Talk::new();
    talk.say(0, b"HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    assert_eq!(
        talk.say(1, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No\r\n\r\n"),
        "HTTP/1.1 200 xx\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 xx\r\n\r\n"
    );
}

#[test]
fn after_an_upgrade_nothing_survives() {
    let mut talk = Talk::new();
    talk.say(0, b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
    talk.say(1, b"HTTP/1.1 101 x\r\n\r\n");
    assert_eq!(talk.say(0, b"GET /secret"), "...........");
    assert_eq!(talk.say(1, b"HTTP/1.1 200"), "............");
}

#[test]
fn other_protocols_are_zero() {
    let mut talk = Talk::new();
    assert_eq!(talk.say(1, b"220 mail.example ready\r\n"), ".".repeat(24));
    assert_eq!(talk.say(0, b"AUTH PLAIN amFuZQ==\r\n"), ".".repeat(21));
}

#[test]
fn addresses_of_the_proxy_protocol_do_not_survive() {
    let mut talk = Talk::new();
    assert_eq!(
        talk.say(0, b"PROXY TCP4 203.0.113.7 198.51.100.2 443 80\r\nGET /a HTTP/1.1\r\n\r\n"),
        "PROXY TCP4 111.1.111.1 111.11.111.1 111 11\r\nGET /x HTTP/1.1\r\n\r\n"
    );
}

const STARTS: [&[u8]; 8] = [
    b"",
    b"POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 101 x\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"PROXY TCP4 ",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
    b"\x16\x03\x03\0\x50\x01",
];

proptest! {
    #[test]
    fn anything_comes_out_as_long_as_it_was(
        parts in prop::collection::vec((0..2_usize, 0..8_usize, prop::collection::vec(any::<u8>(), 0..80), 0..20_u32), 1..12)
    ) {
        let mut talk = Talk::new();
        for (side, start, bytes, cut) in parts {
            let payload = [STARTS[start], &bytes].concat();
            // The length is asserted there.
            talk.bytes(side, &payload, cut.saturating_sub(15));
        }
    }

    #[test]
    fn no_word_of_a_head_or_body_survives(
        words in prop::collection::vec("[a-z]{6,12}", 6), cuts in prop::collection::vec(1..60_usize, 0..4)
    ) {
        let [path, name, value, token, reason, body] = words.as_slice() else { unreachable!() };
        let request = format!(
            "PUT /{path} HTTP/1.1\r\n{name}: {value}\r\nConnection: {token}, close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let response = format!("HTTP/1.1 200 {reason}\r\nTransfer-Encoding: chunked\r\n\r\n5;{name}\r\n{}\r\n0\r\n{name}: {value}\r\n\r\n", &body[..5]);
        let mut talk = Talk::new();
        for (side, message) in [(0, request), (1, response)] {
            let mut out = String::new();
            let mut rest = message.as_bytes();
            for cut in &cuts {
                let (part, behind) = rest.split_at((*cut).min(rest.len()));
                out += &talk.say(side, part);
                rest = behind;
            }
            out += &talk.say(side, rest);
            for word in &words {
                let known = ["chunked", "identity", "websocket", "connection", "upgrade", "expect"];
                prop_assert!(!out.contains(word.as_str()) || known.contains(&word.as_str()), "{}", out);
            }
        }
    }
}
