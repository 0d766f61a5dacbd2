//! What tshark says of a capture: the numbers that finrace states must be those that a sceptic finds.

use std::path::Path;

use serde_json::Value;

use crate::common::tshark;

pub const FIN: u16 = 0x01;
pub const RST: u16 = 0x04;
const SYN: u16 = 0x02;
const PSH: u16 = 0x08;
const ACK: u16 = 0x10;

/// One frame of a capture with a TCP segment, numbers as Wireshark shows them.
#[derive(Debug)]
pub struct Frame {
    pub number: u64,
    pub stream: u64,
    pub flags: u16,
    pub length: u64,
    pub seq: u64,
    pub ack: u64,
    /// `address:port`, an IPv6 address in brackets.
    pub from: String,
}

/// Every frame of a capture.
pub fn dissect(capture: &Path) -> Vec<Frame> {
    const FIELDS: [&str; 9] = [
        "frame.number",
        "tcp.stream",
        "tcp.flags",
        "tcp.len",
        "tcp.seq",
        "tcp.ack",
        "ip.src",
        "ipv6.src",
        "tcp.srcport",
    ];
    tshark::fields(capture, &FIELDS).iter().map(|fields| frame(fields)).collect()
}

fn frame(fields: &[String]) -> Frame {
    let [number, stream, flags, length, seq, ack, v4, v6, port] = fields else {
        panic!("tshark said: {fields:?}")
    };
    let decimal = |field: &String| tshark::number(field);
    Frame {
        number: decimal(number),
        stream: decimal(stream),
        flags: tshark::number(flags),
        length: decimal(length),
        seq: decimal(seq),
        ack: decimal(ack),
        from: if v6.is_empty() { format!("{v4}:{port}") } else { format!("[{v6}]:{port}") },
    }
}

/// Checks every frame that an incident names: its stream, its sender, its flags, and the rule that decided.
pub fn confirm(incident: &Value, frames: &[Frame]) {
    let (client, server) = (&incident["client"], &incident["server"]);
    let named = |role: &str| {
        let number = incident["frames"].get(role)?.as_u64().expect("a frame number");
        Some(
            frames.iter().find(|frame| frame.number == number).unwrap_or_else(|| panic!("no frame {number}")),
        )
    };
    for role in incident["frames"].as_object().expect("frames by role").keys() {
        let frame = named(role).expect("a role of this incident");
        let (from, wanted, unwanted, has_payload) = match role.as_str() {
            "syn" => (client, SYN, ACK | FIN | RST, Some(false)),
            "previous_response" | "response" => (server, PSH | ACK, SYN | RST, Some(true)),
            "request" => (client, PSH | ACK, SYN | RST, Some(true)),
            "request_ack" => (server, ACK, SYN | FIN | RST, Some(false)),
            "fin" => (server, FIN | ACK, SYN | RST, None),
            "fin_ack" => (client, ACK, SYN | RST, None),
            "reset" => (server, RST, SYN | FIN, Some(false)),
            "client_fin" => (client, FIN | ACK, SYN | RST, None),
            "client_reset" => (client, RST, SYN | FIN, Some(false)),
            other => panic!("unknown role {other}"),
        };
        assert_eq!(incident["stream"], frame.stream, "{role}: {frame:?}");
        assert_eq!(from, &Value::from(frame.from.as_str()), "{role}: {frame:?}");
        assert_eq!((frame.flags & wanted, frame.flags & unwanted), (wanted, 0), "{role}: {frame:?}");
        assert!(has_payload.is_none_or(|has| has == (frame.length > 0)), "{role}: {frame:?}");
    }
    let request = named("request").expect("the request that was lost");
    // An unread request meets no FIN; of all others the acknowledgement number tells whether its sender had it.
    let covers_fin = named("fin").map(|fin| request.ack > fin.seq + fin.length);
    assert_eq!(incident["ack_covers_fin"], Value::from(covers_fin), "{request:?}");
}

/// Frames of one end of a connection that carry one of these flags.
pub fn sent_with(frames: &[Frame], stream: u64, from: &Value, flags: u16) -> usize {
    let of_connection = frames.iter().filter(|frame| frame.stream == stream && *from == frame.from.as_str());
    of_connection.filter(|frame| frame.flags & flags != 0).count()
}
