//! Captures of millions of connections, made while they are read: nothing of them is ever in memory or on a disk.

use std::io::{self, Read};

/// Raw IPv4 or IPv6.
const LINKTYPE_RAW: u32 = 101;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
/// 2026-01-05 12:00:00 UTC.
const EPOCH_S: u64 = 1_767_614_400;
/// Between two packets.
const STEP_US: u64 = 3;
const REQUEST: &[u8] = b"GET /flood HTTP/1.1\r\nHost: origin\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What every connection of a flood consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A SYN that nobody answers.
    Syn,
    /// A SYN that is answered, and no more.
    Answered,
    /// A SYN that is refused.
    Refused,
    /// A handshake, a request and its response; the connection stays open.
    Idle,
    /// The same without the response.
    Outstanding,
}

/// A capture of `flows` connections from different addresses and ports to one server.
pub struct Flood {
    shape: Shape,
    flows: u32,
    next_flow: u32,
    packets: u64,
    // The packets of the flow in hand, and how much of them was read.
    buffer: Vec<u8>,
    read: usize,
}

impl Flood {
    pub fn new(shape: Shape, flows: u32) -> Flood {
        let mut buffer = Vec::new();
        buffer.extend(0xa1b2_c3d4_u32.to_le_bytes());
        buffer.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        buffer.extend(65_535_u32.to_le_bytes());
        buffer.extend(LINKTYPE_RAW.to_le_bytes());
        Flood { shape, flows, next_flow: 0, packets: 0, buffer, read: 0 }
    }

    fn flow(&mut self) {
        let flow = self.next_flow;
        self.next_flow += 1;
        self.buffer.clear();
        self.read = 0;
        // A multiplication by an odd number gives each flow other bits: neither addresses nor ports come in order.
        let mixed = flow.wrapping_mul(0x9e37_79b1);
        let client = [10, (mixed >> 24) as u8, (mixed >> 16) as u8, (mixed >> 8) as u8];
        let port = 1024 + (flow % 60_000) as u16;
        let (client, server) = ((client, port, mixed), ([192, 0, 2, 2], 80, !mixed));
        let mut send = |from_client: bool, flags: u8, sent: [u32; 2], payload: &[u8]| {
            let (from, to, [own, peer]) =
                if from_client { (client, server, sent) } else { (server, client, [sent[1], sent[0]]) };
            let seq = from.2.wrapping_add(own);
            let ack = if flags & ACK != 0 { to.2.wrapping_add(peer) } else { 0 };
            let time_us = self.packets * STEP_US;
            self.packets += 1;
            record(
                &mut self.buffer,
                time_us,
                self.packets as u16,
                (from.0, from.1),
                (to.0, to.1),
                flags,
                seq,
                ack,
                payload,
            );
        };
        send(true, SYN, [0, 0], b"");
        match self.shape {
            Shape::Syn => return,
            Shape::Refused => return send(false, RST | ACK, [1, 0], b""),
            Shape::Answered | Shape::Idle | Shape::Outstanding => send(false, SYN | ACK, [1, 0], b""),
        }
        if self.shape != Shape::Answered {
            send(true, ACK, [1, 1], b"");
            send(true, PSH | ACK, [1, 1], REQUEST);
        }
        if self.shape == Shape::Idle {
            let asked = 1 + REQUEST.len() as u32;
            send(false, PSH | ACK, [asked, 1], RESPONSE);
            send(true, ACK, [asked, 1 + RESPONSE.len() as u32], b"");
        }
    }
}

impl Read for Flood {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            if self.read == self.buffer.len() {
                if self.next_flow == self.flows {
                    break;
                }
                self.flow();
            }
            let step = (into.len() - filled).min(self.buffer.len() - self.read);
            into[filled..filled + step].copy_from_slice(&self.buffer[self.read..self.read + step]);
            self.read += step;
            filled += step;
        }
        Ok(filled)
    }
}

#[expect(clippy::too_many_arguments, reason = "they are the fields of a packet")]
fn record(
    buffer: &mut Vec<u8>,
    time_us: u64,
    ip_id: u16,
    from: ([u8; 4], u16),
    to: ([u8; 4], u16),
    flags: u8,
    seq: u32,
    ack: u32,
    payload: &[u8],
) {
    let len = 40 + payload.len() as u32;
    let seconds = (EPOCH_S + time_us / 1_000_000) as u32;
    for field in [seconds, (time_us % 1_000_000) as u32, len, len] {
        buffer.extend(field.to_le_bytes());
    }
    buffer.extend([0x45, 0]);
    buffer.extend((len as u16).to_be_bytes());
    buffer.extend(ip_id.to_be_bytes());
    buffer.extend([0x40, 0, 64, 6, 0, 0]);
    buffer.extend(from.0);
    buffer.extend(to.0);
    buffer.extend(from.1.to_be_bytes());
    buffer.extend(to.1.to_be_bytes());
    buffer.extend(seq.to_be_bytes());
    buffer.extend(ack.to_be_bytes());
    buffer.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    buffer.extend(payload);
}
