//! Captures of lost requests, made up: as many as are wanted, with whatever paths are wanted.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Microseconds since the epoch of the first packet: 2026-01-05 12:00:00 UTC.
const BEGIN_US: u64 = 1_767_614_400_000_000;
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// How a request is lost.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    CrossedFin,
    StaleReuse,
    UnreadRequest,
    DiedMidRequest,
}

impl Loss {
    pub const ALL: [Loss; 4] =
        [Loss::CrossedFin, Loss::StaleReuse, Loss::UnreadRequest, Loss::DiedMidRequest];
}

/// One connection that loses its second request.
pub struct Telling<'a> {
    /// Makes the client's address and the sequence numbers.
    pub number: u32,
    /// Makes the server's address.
    pub server: u8,
    /// Microseconds after the beginning of the capture.
    pub at_us: u64,
    pub path: &'a str,
    pub loss: Loss,
}

/// Frames with their times, in any order.
#[derive(Default)]
pub struct Capture {
    frames: Vec<(u64, Vec<u8>)>,
}

impl Capture {
    /// Many losses of four kinds at eight servers, a few milliseconds apart.
    pub fn of_many(incidents: u32) -> Capture {
        let paths = ["/orders", "/items/", "/status", "/users/"];
        let mut capture = Capture::default();
        for number in 0..incidents {
            let path = paths[number as usize / 4 % paths.len()];
            let path = if path.ends_with('/') { format!("{path}{number}") } else { path.to_owned() };
            capture.tell(&Telling {
                number,
                server: (number % 8) as u8,
                at_us: u64::from(number) * 5_000,
                path: &path,
                loss: Loss::ALL[(number / 8) as usize % Loss::ALL.len()],
            });
        }
        capture
    }

    pub fn tell(&mut self, telling: &Telling<'_>) {
        const MS: u64 = 1_000;
        let request =
            format!("POST {} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n", telling.path);
        let first: &[u8] = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
        let mut story = Story::of(telling, &mut self.frames);
        story.client(0, SYN, b"");
        story.server(20, SYN | ACK, b"");
        story.client(40, ACK, b"");
        story.client(MS, PSH | ACK, first);
        story.server(2 * MS, PSH | ACK, RESPONSE);
        story.client(2 * MS + 50, ACK, b"");
        let idle = 5_000 * MS;
        match telling.loss {
            Loss::CrossedFin => {
                let unseen = story.next[1];
                story.server(idle, FIN | ACK, b"");
                story.acknowledging(idle + 300, unseen, request.as_bytes());
                story.reset(idle + 320, unseen, RST);
            }
            Loss::StaleReuse => {
                story.server(idle, FIN | ACK, b"");
                story.client(idle + 40 * MS, ACK, b"");
                story.client(idle + 900 * MS, PSH | ACK, request.as_bytes());
                let next = story.next[1];
                story.reset(idle + 900 * MS + 20, next, RST);
            }
            Loss::UnreadRequest => {
                story.client(idle, PSH | ACK, request.as_bytes());
                let next = story.next[1];
                story.reset(idle + 30, next, RST | ACK);
            }
            Loss::DiedMidRequest => {
                story.client(idle, PSH | ACK, request.as_bytes());
                story.server(idle + 20, ACK, b"");
                story.server(idle + 700 * MS, FIN | ACK, b"");
                story.client(idle + 700 * MS + 50, FIN | ACK, b"");
                story.server(idle + 700 * MS + 80, ACK, b"");
            }
        }
    }

    /// Writes a pcap file (little-endian, microseconds, Ethernet).
    pub fn write(mut self, path: &Path) {
        self.frames.sort_by_key(|(time_us, _)| *time_us);
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            bytes.extend(word.to_le_bytes());
        }
        for (time_us, frame) in &self.frames {
            let time_us = BEGIN_US + time_us;
            let len = frame.len() as u32;
            for word in [(time_us / 1_000_000) as u32, (time_us % 1_000_000) as u32, len, len] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(frame);
        }
        fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// One connection in the making.
struct Story<'f> {
    frames: &'f mut Vec<(u64, Vec<u8>)>,
    at_us: u64,
    ends: [(Ipv4Addr, u16); 2],
    /// Next sequence number of client and server.
    next: [u32; 2],
}

impl<'f> Story<'f> {
    fn of(telling: &Telling<'_>, frames: &'f mut Vec<(u64, Vec<u8>)>) -> Story<'f> {
        let [_, high, middle, low] = telling.number.to_be_bytes();
        let number = telling.number.wrapping_mul(0x9e37_79b9);
        Story {
            frames,
            at_us: telling.at_us,
            ends: [
                (Ipv4Addr::new(10, high, middle, low), 40_000),
                (Ipv4Addr::new(192, 0, 2, 10 + telling.server), 8080),
            ],
            next: [number, !number],
        }
    }

    fn client(&mut self, after_us: u64, flags: u8, payload: &[u8]) {
        self.send(after_us, 0, flags, self.next[1], payload);
    }

    fn server(&mut self, after_us: u64, flags: u8, payload: &[u8]) {
        self.send(after_us, 1, flags, self.next[0], payload);
    }

    /// A request whose sender has received everything before `ack`.
    fn acknowledging(&mut self, after_us: u64, ack: u32, payload: &[u8]) {
        self.send(after_us, 0, PSH | ACK, ack, payload);
    }

    /// A RST of the server.
    fn reset(&mut self, after_us: u64, seq: u32, flags: u8) {
        let kept = std::mem::replace(&mut self.next[1], seq);
        self.send(after_us, 1, flags, self.next[0], b"");
        self.next[1] = kept;
    }

    fn send(&mut self, after_us: u64, from: usize, flags: u8, ack: u32, payload: &[u8]) {
        let ack = if flags & ACK == 0 { 0 } else { ack };
        let [(src, src_port), (dst, dst_port)] =
            if from == 0 { self.ends } else { [self.ends[1], self.ends[0]] };
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend((40 + payload.len() as u16).to_be_bytes());
        // Identification 0, do not fragment, TTL 64, TCP; checksums 0 as with offload.
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        frame.extend(src.octets());
        frame.extend(dst.octets());
        frame.extend(src_port.to_be_bytes());
        frame.extend(dst_port.to_be_bytes());
        frame.extend(self.next[from].to_be_bytes());
        frame.extend(ack.to_be_bytes());
        let window: u16 = if flags & RST == 0 { 64_000 } else { 0 };
        frame.extend([0x50, flags]);
        frame.extend(window.to_be_bytes());
        frame.extend([0, 0, 0, 0]);
        frame.extend(payload);
        self.frames.push((self.at_us + after_us, frame));
        let numbers = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.next[from] = self.next[from].wrapping_add(numbers);
    }
}
