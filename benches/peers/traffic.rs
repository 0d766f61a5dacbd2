//! Healthy traffic of a proxy and its backends: kept-alive HTTP, short connections, TLS, some retransmissions and reordering.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::frame::{self, ACK, FIN, Fields, PSH, SYN};
use super::random::Random;

const SERVERS: u64 = 40;
const SEGMENT_LEN: u64 = 1448;
const MS: u64 = 1_000_000;

/// One segment of a connection's script.
#[derive(Clone, Copy)]
struct Step {
    at_ns: u64,
    from_client: bool,
    seq: u32,
    ack: u32,
    flags: u8,
    payload: Payload,
    ip_id: u16,
}

/// What a segment carries; its bytes are made when they are written.
#[derive(Clone, Copy)]
enum Payload {
    Nothing,
    Request { len: u32, number: u32 },
    Response { len: u32, body: u32 },
    Body { len: u32 },
    Hello { len: u32 },
    Record { len: u32 },
}

impl Payload {
    fn len(self) -> u32 {
        match self {
            Payload::Nothing => 0,
            Payload::Request { len, .. }
            | Payload::Response { len, .. }
            | Payload::Body { len }
            | Payload::Hello { len }
            | Payload::Record { len } => len,
        }
    }

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.clear();
        let len = self.len() as usize;
        match self {
            Payload::Nothing => {}
            Payload::Request { number, .. } => {
                let head = format!(
                    "GET /items/{number} HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\nCookie: "
                );
                bytes.extend(head.bytes());
                bytes.resize(len - 4, b'c');
                bytes.extend(b"\r\n\r\n");
            }
            Payload::Response { body, .. } => {
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body}\r\n\r\n");
                bytes.extend(head.bytes());
                bytes.resize(len, b'x');
            }
            Payload::Body { .. } => bytes.resize(len, b'x'),
            // A record of the handshake, and one of application data (RFC 8446 section 5.1).
            Payload::Hello { .. } => record(bytes, 22, len),
            Payload::Record { .. } => record(bytes, 23, len),
        }
    }
}

fn record(bytes: &mut Vec<u8>, kind: u8, len: usize) {
    bytes.extend([kind, 3, 3]);
    bytes.extend((len as u16 - 5).to_be_bytes());
    bytes.resize(len, 0);
}

/// One connection: its script, and how far it was played.
pub struct Connection {
    ends: [(IpAddr, u16); 2],
    begun_ns: u64,
    steps: Vec<Step>,
    played: usize,
}

/// Writes a script.
struct Author<'r> {
    random: &'r mut Random,
    steps: Vec<Step>,
    now_ns: u64,
    // Next sequence number of client and server.
    next: [u32; 2],
    ip_id: [u16; 2],
}

impl Author<'_> {
    fn send(&mut self, from_client: bool, flags: u8, payload: Payload) {
        let (me, peer) = if from_client { (0, 1) } else { (1, 0) };
        self.ip_id[me] = self.ip_id[me].wrapping_add(1);
        let ack = if flags & ACK == 0 { 0 } else { self.next[peer] };
        self.steps.push(Step {
            at_ns: self.now_ns,
            from_client,
            seq: self.next[me],
            ack,
            flags,
            payload,
            ip_id: self.ip_id[me],
        });
        let numbers = payload.len() + u32::from(flags & (SYN | FIN) != 0);
        self.next[me] = self.next[me].wrapping_add(numbers);
    }

    fn wait(&mut self, least_ns: u64, below_ns: u64) {
        self.now_ns += self.random.between(least_ns, below_ns);
    }

    fn handshake(&mut self) {
        self.send(true, SYN, Payload::Nothing);
        self.wait(MS, 2 * MS);
        self.send(false, SYN | ACK, Payload::Nothing);
        self.wait(10_000, 30_000);
        self.send(true, ACK, Payload::Nothing);
    }

    fn exchange(&mut self, tls: bool) {
        self.wait(10 * MS, 400 * MS);
        let len = self.random.between(180, 420) as u32;
        let number = self.random.between(0, 1_000_000) as u32;
        self.send(
            true,
            PSH | ACK,
            if tls { Payload::Record { len } } else { Payload::Request { len, number } },
        );
        self.lose();
        self.wait(MS, 2 * MS);
        self.send(false, ACK, Payload::Nothing);
        self.wait(MS, 20 * MS);
        let segments = if self.random.per_mille(80) { self.random.between(2, 5) } else { 1 };
        let last = self.random.between(120, 400);
        let total = ((segments - 1) * SEGMENT_LEN + last) as u32;
        let first_of_answer = self.steps.len();
        for segment in 0..segments {
            let len = if segment + 1 == segments { last } else { SEGMENT_LEN } as u32;
            let payload = match (tls, segment) {
                (true, _) => Payload::Record { len },
                (false, 0) => Payload::Response { len, body: body_len(total) },
                (false, _) => Payload::Body { len },
            };
            self.send(false, if segment + 1 == segments { PSH | ACK } else { ACK }, payload);
            self.wait(5_000, 20_000);
        }
        self.lose();
        if segments > 2 && self.random.per_mille(100) {
            self.reorder(first_of_answer + 1);
        }
        self.wait(10_000, 30_000);
        self.send(true, ACK, Payload::Nothing);
    }

    /// Now and then the newest segment is sent once more.
    fn lose(&mut self) {
        if self.random.per_mille(5)
            && let Some(mut again) = self.steps.last().copied()
        {
            self.wait(200 * MS, 220 * MS);
            let me = usize::from(!again.from_client);
            self.ip_id[me] = self.ip_id[me].wrapping_add(1);
            (again.at_ns, again.ip_id) = (self.now_ns, self.ip_id[me]);
            self.steps.push(again);
        }
    }

    /// Two segments overtake each other: they change places and keep the times.
    fn reorder(&mut self, at: usize) {
        let times = (self.steps[at].at_ns, self.steps[at + 1].at_ns);
        self.steps.swap(at, at + 1);
        (self.steps[at].at_ns, self.steps[at + 1].at_ns) = times;
    }

    fn farewell(&mut self) {
        self.wait(MS, 3000 * MS);
        self.send(true, FIN | ACK, Payload::Nothing);
        self.wait(MS, 2 * MS);
        self.send(false, FIN | ACK, Payload::Nothing);
        self.wait(10_000, 30_000);
        self.send(true, ACK, Payload::Nothing);
    }
}

/// The body that makes a response of this length in all, by the length of its own number.
fn body_len(total: u32) -> u32 {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: \r\n\r\n".len() as u32;
    let digits = |number: u32| number.to_string().len() as u32;
    (1..=5).map(|width| total - head - width).find(|body| head + digits(*body) + body == total).unwrap_or(0)
}

impl Connection {
    /// A connection that begins at `begun_ns`. `number` makes its addresses and ports.
    pub fn new(random: &mut Random, number: u64, begun_ns: u64) -> Connection {
        let port = 1024 + (number % 60_000) as u16;
        let (client, server) = ((number / 60_000) as u8, (number % SERVERS) as u8);
        let ends: [IpAddr; 2] = if random.per_mille(200) {
            let address =
                |net, host: u8| Ipv6Addr::new(0x2001, 0xdb8, 0xffff, net, 0, 0, 0, host.into()).into();
            [address(1, client), address(2, server)]
        } else {
            [Ipv4Addr::new(172, 16, 0, client).into(), Ipv4Addr::new(172, 17, 0, server).into()]
        };
        let tls = random.per_mille(150);
        let exchanges = if random.per_mille(300) { 1 } else { random.between(5, 60) };
        let next = [random.next() as u32, random.next() as u32];
        let mut author = Author { random, steps: Vec::new(), now_ns: 0, next, ip_id: [1, 1] };
        author.handshake();
        if tls {
            author.wait(10_000, 30_000);
            author.send(true, PSH | ACK, Payload::Hello { len: 300 });
            author.wait(MS, 3 * MS);
            author.send(false, PSH | ACK, Payload::Hello { len: 1400 });
        }
        for _ in 0..exchanges {
            author.exchange(tls);
        }
        author.farewell();
        let steps = author.steps;
        Connection {
            ends: [(ends[0], port), (ends[1], if tls { 443 } else { 8080 })],
            begun_ns,
            steps,
            played: 0,
        }
    }

    /// When the next segment is captured; none once all were.
    pub fn next_ns(&self) -> Option<u64> {
        Some(self.begun_ns + self.steps.get(self.played)?.at_ns)
    }

    /// Writes the next segment's frame.
    pub fn write(&mut self, frame: &mut Vec<u8>, payload: &mut Vec<u8>) {
        let step = self.steps[self.played];
        self.played += 1;
        step.payload.write(payload);
        let (src, dst) = if step.from_client { (0, 1) } else { (1, 0) };
        let fields = Fields {
            src: self.ends[src],
            dst: self.ends[dst],
            seq: step.seq,
            ack: step.ack,
            flags: step.flags,
            ip_id: step.ip_id,
            timestamp: ((self.begun_ns + step.at_ns) / MS) as u32,
        };
        frame::write(frame, &fields, payload);
    }
}
