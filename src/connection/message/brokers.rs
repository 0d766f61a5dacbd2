//! Message brokers and coordination services.

use super::{Meaning, be16, be32, walk};

/// AMQP 0-9-1 (specification, sections 2.3 and 1.4 to 1.8): frames that end with 0xCE. `Connection.Close`, `Channel.Close`
/// and what answers them, `Basic.Cancel` and heartbeats are no loss; what is published or acknowledged has no answer.
pub(super) fn amqp_0_9_1(payload: &[u8], len: usize) -> Option<Meaning> {
    const END: u8 = 0xce;
    const METHOD: u8 = 1;
    const HEADER: u8 = 2;
    const BODY: u8 = 3;
    const HEARTBEAT: u8 = 8;
    if payload.starts_with(b"AMQP\0\0\x09\x01") {
        return Some(Meaning::Request);
    }
    walk(payload, len, |rest, left| {
        let (kind, size) = (*rest.first()?, be32(rest, 3).filter(|size| *size < 1 << 24)? as usize);
        let total = 8 + size;
        // Where the last byte was captured, it says whether this is a frame.
        if total <= left && rest.get(total - 1).is_some_and(|last| *last != END) {
            return None;
        }
        let meaning = match kind {
            HEARTBEAT if size == 0 => Meaning::Farewell,
            METHOD if size >= 4 => match (be16(rest, 7)?, be16(rest, 9)?) {
                (10, 50 | 51) | (20, 40 | 41) | (60, 30) => Meaning::Farewell,
                (60, 40 | 80 | 90 | 120) => Meaning::OneWay,
                (10 | 20 | 30 | 40 | 50 | 60 | 85 | 90, 10..=120) => Meaning::Request,
                _ => return None,
            },
            HEADER | BODY => Meaning::OneWay,
            _ => return None,
        };
        Some((total, meaning))
    })
}

/// AMQP 1.0 (OASIS specification, sections 2.3 and 2.7): a size, the offset of the data, and a described performative.
/// `close`, `end`, `detach` and the empty frames that keep a connection alive are no loss.
pub(super) fn amqp_1_0(payload: &[u8], len: usize) -> Option<Meaning> {
    if payload.starts_with(b"AMQP\0\x01\0\0") || payload.starts_with(b"AMQP\x03\x01\0\0") {
        return Some(Meaning::Request);
    }
    walk(payload, len, |rest, _| {
        let size = be32(rest, 0).filter(|size| (8..1 << 24).contains(size))? as usize;
        let [2, kind @ 0..=1, ..] = rest.get(4..)? else { return None };
        let meaning = match (kind, rest.get(8..11)) {
            (0, _) if size == 8 => Meaning::Farewell,
            (0, Some([0, 0x53, 0x16..=0x18])) => Meaning::Farewell,
            (0, Some([0, 0x53, 0x13 | 0x15])) => Meaning::OneWay,
            (0, Some([0, 0x53, 0x10..=0x14])) | (1, Some([0, 0x53, 0x40..=0x44])) => Meaning::Request,
            _ => return None,
        };
        Some((size, meaning))
    })
}

/// MQTT 3.1.1 and 5 (OASIS specifications, sections 2 and 3): `DISCONNECT` and `PINGREQ` are no loss, a `PUBLISH` of
/// quality 0 and acknowledgements have no answer.
pub(super) fn mqtt(payload: &[u8], len: usize) -> Option<Meaning> {
    walk(payload, len, |rest, _| {
        let first = *rest.first()?;
        let (remaining, header) = mqtt_length(rest.get(1..)?)?;
        let body = rest.get(1 + header..).unwrap_or_default();
        let meaning = match (first, remaining) {
            (0x10, 10..) if body.starts_with(b"\0\x04MQTT") || body.starts_with(b"\0\x06MQIsdp") => {
                Meaning::Request
            }
            (0x30..=0x3f, 3..) if mqtt_topic(body, remaining) => match first & 0b110 {
                0 => Meaning::OneWay,
                _ => Meaning::Request,
            },
            (0x40 | 0x50 | 0x70, 2..=4) => Meaning::OneWay,
            (0x62, 2..=4) | (0x82 | 0xa2, 5..) => Meaning::Request,
            (0xc0, 0) | (0xe0, 0) => Meaning::Farewell,
            (0xe0, 1..=127) if matches!(body.first(), Some(0 | 4 | 0x80..=0xa2)) => Meaning::Farewell,
            _ => return None,
        };
        Some((1 + header + remaining, meaning))
    })
}

/// The remaining length, and how many bytes tell it.
fn mqtt_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// A topic that fits and can be read.
fn mqtt_topic(body: &[u8], remaining: usize) -> bool {
    let Some(len) = be16(body, 0) else { return false };
    let topic = body.get(2..).unwrap_or_default();
    let topic = topic.get(..len).unwrap_or(topic);
    len > 0 && len + 2 <= remaining && topic.iter().all(|byte| *byte >= b' ' && *byte != 0x7f)
}

/// Kafka (Apache Kafka protocol guide, "Request header"): a size, a key, a version, a number, the client's name. A client
/// ends without a word, except that a consumer leaves its group.
pub(super) fn kafka(payload: &[u8], len: usize) -> Option<Meaning> {
    const LEAVE_GROUP: usize = 13;
    walk(payload, len, |rest, _| {
        let size = be32(rest, 0).filter(|size| (10..100_000_000).contains(size))? as usize;
        let (key @ 0..=90, 0..=20) = (be16(rest, 4)?, be16(rest, 6)?) else { return None };
        let name = rest.get(14..).unwrap_or_default();
        let named = match be16(rest, 12)? {
            0xffff => true,
            len @ 0..=255 => {
                let name = name.get(..len).unwrap_or(name);
                len + 10 <= size && name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
            }
            _ => false,
        };
        let meaning = if key == LEAVE_GROUP { Meaning::Farewell } else { Meaning::Request };
        named.then_some((4 + size, meaning))
    })
}

/// ZooKeeper (its `Request` and `OpCode`): a size, a number, a type: -11 closes the session, 11 with the number -2 is a ping.
pub(super) fn zookeeper(payload: &[u8], len: usize) -> Option<Meaning> {
    const CLOSE_SESSION: u32 = -11_i32 as u32;
    const PING: u32 = 11;
    walk(payload, len, |rest, _| {
        let header_only = be32(rest, 0) == Some(8);
        match be32(rest, 8)? {
            CLOSE_SESSION | PING if header_only => Some((12, Meaning::Farewell)),
            _ => None,
        }
    })
}

/// STOMP 1.2 (its specification, "Client Frames"): a command, headers, a body that ends with a zero byte. `DISCONNECT` is
/// the goodbye; without a receipt asked for, a message that is sent or acknowledged has no answer.
pub(super) fn stomp(payload: &[u8], len: usize) -> Option<Meaning> {
    let end = payload.iter().position(|byte| *byte == b'\n')?;
    let command = payload[..end].strip_suffix(b"\r").unwrap_or(&payload[..end]);
    let one = payload.len() == len && payload.iter().position(|byte| *byte == 0) == Some(len - 1);
    match command {
        b"DISCONNECT" | b"UNSUBSCRIBE" | b"ABORT" if one => Some(Meaning::Farewell),
        b"SEND" | b"ACK" | b"NACK" | b"SUBSCRIBE" | b"BEGIN" | b"COMMIT" => {
            let asks = payload.windows(9).any(|bytes| bytes == b"\nreceipt:");
            Some(if asks { Meaning::Request } else { Meaning::OneWay })
        }
        b"STOMP" | b"CONNECT" => Some(Meaning::Request),
        _ => None,
    }
}

/// NATS (its "Client Protocol" page): a client ends without a word; `PONG` answers the server's heartbeat, and what is
/// published has no answer.
pub(super) fn nats(payload: &[u8], _len: usize) -> Option<Meaning> {
    if payload == b"PONG\r\n" {
        return Some(Meaning::Farewell);
    }
    let words = [&b"PUB "[..], b"HPUB ", b"SUB ", b"UNSUB "];
    if payload.starts_with(b"CONNECT {") {
        Some(Meaning::Request)
    } else {
        words.iter().any(|word| payload.starts_with(word)).then_some(Meaning::OneWay)
    }
}
