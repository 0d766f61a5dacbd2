//! Frames as a capture at the client's host holds them: Ethernet, IPv4 or IPv6, TCP with timestamps.

use std::net::IpAddr;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;

const ETHERNET_LEN: usize = 14;
const TCP_LEN: u8 = 32;

/// The fields of a segment that differ from one to the next.
#[derive(Clone, Copy)]
pub struct Fields {
    pub src: (IpAddr, u16),
    pub dst: (IpAddr, u16),
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub ip_id: u16,
    /// Milliseconds of the sender's timestamp clock.
    pub timestamp: u32,
}

/// Writes a frame in place of what `frame` held. Checksums are left 0, as with offload.
pub fn write(frame: &mut Vec<u8>, fields: &Fields, payload: &[u8]) {
    frame.clear();
    frame.extend([0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2]);
    let tcp_len = usize::from(TCP_LEN) + payload.len();
    match (fields.src.0, fields.dst.0) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + tcp_len as u16).to_be_bytes());
            frame.extend(fields.ip_id.to_be_bytes());
            frame.extend([0x40, 0, 64, 6, 0, 0]);
            frame.extend(src.octets());
            frame.extend(dst.octets());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((tcp_len as u16).to_be_bytes());
            frame.extend([6, 64]);
            frame.extend(src.octets());
            frame.extend(dst.octets());
        }
        _ => unreachable!("both ends speak one IP version"),
    }
    frame.extend(fields.src.1.to_be_bytes());
    frame.extend(fields.dst.1.to_be_bytes());
    frame.extend(fields.seq.to_be_bytes());
    frame.extend(fields.ack.to_be_bytes());
    frame.extend([(TCP_LEN / 4) << 4, fields.flags, 0xfa, 0xf0, 0, 0, 0, 0, 1, 1, 8, 10]);
    frame.extend(fields.timestamp.to_be_bytes());
    frame.extend(fields.timestamp.wrapping_sub(1).to_be_bytes());
    frame.extend(payload);
}

/// Gives the frame of a labelled capture (addresses that end with 1, 2, …) addresses of its own, `number` in the place of the
/// network, and sequence numbers of its own: one story can then be told many times in a capture without the tellings being
/// taken for one connection on several hops.
pub fn move_to_network(frame: &mut [u8], number: u32) {
    let [_, high, middle, low] = number.to_be_bytes();
    let tcp = if frame.get(12..14) == Some(&[0x86, 0xdd]) {
        for address in [ETHERNET_LEN + 8, ETHERNET_LEN + 24] {
            frame[address + 4..address + 8].copy_from_slice(&[high, middle, low, 0]);
        }
        ETHERNET_LEN + 40
    } else {
        for address in [ETHERNET_LEN + 12, ETHERNET_LEN + 16] {
            frame[address..address + 3].copy_from_slice(&[10 + high, middle, low]);
        }
        ETHERNET_LEN + 20
    };
    let moved = number.wrapping_mul(0x9e37_79b9);
    let has_ack = frame[tcp + 13] & ACK != 0;
    for field in [Some(tcp + 4), has_ack.then_some(tcp + 8)].into_iter().flatten() {
        if let Some(bytes) = frame[field..].first_chunk_mut::<4>() {
            *bytes = u32::from_be_bytes(*bytes).wrapping_add(moved).to_be_bytes();
        }
    }
}
