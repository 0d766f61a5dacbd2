//! What a client's message wants, in protocols that are neither HTTP nor TLS: an answer, nothing, or to say goodbye.
//!
//! One recogniser a protocol, each with its source. It looks at the first bytes of a segment as it passes, and one byte of
//! meaning and one of protocol is all that is kept. A goodbye is recognised only where every byte that there is fits: one
//! seen in the middle of a connection says as much as one at its beginning.

mod binary;
mod brokers;
mod databases;
mod services;
mod text;

/// What its sender expects of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// Nothing, and nobody misses it: a goodbye, a heartbeat, the release of what ends with the connection anyway.
    Farewell,
    /// No answer, but what it carries is lost with it: a log line, a published message.
    OneWay,
    /// Unknown.
    Unknown,
    /// An answer.
    Request,
}

/// What is known of a client's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// What its sender expects. Of several messages in a row, the most demanding counts.
    pub meaning: Meaning,
    protocol: u8,
}

/// Looks at a payload of `len` bytes, of which the first were captured; none where it is not of the protocol.
type Recogniser = fn(payload: &[u8], len: usize) -> Option<Meaning>;

/// The recognisers, the most particular first.
const RECOGNISERS: [(&str, Recogniser); 40] = [
    ("TLS", binary::tls),
    ("HTTP/2", binary::http2),
    ("AMQP 0-9-1", brokers::amqp_0_9_1),
    ("AMQP 1.0", brokers::amqp_1_0),
    ("SMB", services::smb),
    ("SSH", services::ssh),
    ("BGP", services::bgp),
    ("RDP", services::rdp),
    ("PPTP", services::pptp),
    ("MySQL", databases::mysql),
    ("PostgreSQL", databases::postgres),
    ("Redis", databases::redis),
    ("MongoDB", databases::mongodb),
    ("memcached", databases::memcached),
    ("Cassandra", databases::cassandra),
    ("SQL Server", databases::tds),
    ("Oracle", databases::tns),
    ("ZooKeeper", brokers::zookeeper),
    ("SMPP", services::smpp),
    ("Kafka", brokers::kafka),
    ("LDAP", services::ldap),
    ("DCE/RPC", services::dce_rpc),
    ("ONC RPC", services::onc_rpc),
    ("Diameter", services::diameter),
    ("FIX", services::fix),
    ("Modbus", services::modbus),
    ("IEC 60870-5-104", services::iec104),
    ("DLMS", services::dlms),
    ("OpenFlow", services::openflow),
    ("DNS", services::dns),
    ("AJP", binary::ajp),
    ("FastCGI", binary::fastcgi),
    ("uwsgi", binary::uwsgi),
    ("MQTT", brokers::mqtt),
    ("WebSocket", binary::websocket),
    ("STOMP", brokers::stomp),
    ("NATS", brokers::nats),
    ("JSON-RPC", text::json_rpc),
    ("syslog", text::syslog),
    ("text", text::commands),
];

const NO_PROTOCOL: u8 = u8::MAX;

impl Message {
    /// One that nothing is known of.
    pub const UNKNOWN: Message = Message { meaning: Meaning::Unknown, protocol: NO_PROTOCOL };

    /// Reads the messages at the start of a payload of `len` bytes, of which the first were captured. `spoken` is the message
    /// by which the protocol of the connection was recognised: what looks like another one asks for nothing that is certain.
    pub fn read(payload: &[u8], len: u32, spoken: Message) -> Message {
        if let Some(message) = spoken.read_same(payload, len) {
            return message;
        }
        let whole = len as usize;
        let other = (0..)
            .zip(RECOGNISERS)
            .find_map(|(protocol, (_, read))| Some(Message { meaning: read(payload, whole)?, protocol }));
        match other {
            Some(other) if spoken.protocol == NO_PROTOCOL || other.meaning == Meaning::Farewell => other,
            _ => Message { meaning: Meaning::Unknown, ..spoken },
        }
    }

    fn read_same(self, payload: &[u8], len: u32) -> Option<Message> {
        let (_, read) = RECOGNISERS.get(usize::from(self.protocol))?;
        Some(Message { meaning: read(payload, len as usize)?, ..self })
    }

    /// Whether another message of the same protocol begins here.
    pub(super) fn is_followed_by(self, payload: &[u8], len: u32) -> bool {
        self.read_same(payload, len).is_some()
    }

    /// The protocol, where it was recognised.
    pub fn protocol(self) -> Option<&'static str> {
        RECOGNISERS.get(usize::from(self.protocol)).map(|(name, _)| *name)
    }

    /// Takes in the next `len` bytes of the same burst. Of what its beginning did not tell, they are the rest.
    pub(super) fn go_on(&mut self, payload: &[u8], len: u32) {
        let more = match (self.meaning, self.read_same(payload, len)) {
            (Meaning::OneWay | Meaning::Farewell, Some(more)) => more.meaning,
            (Meaning::Farewell, None) => Meaning::Unknown,
            _ => return,
        };
        self.meaning = self.meaning.max(more);
    }
}

/// Whether a server announces with these bytes that it closes the connection, unasked. A line of SMTP, FTP or IMAP does so, too
/// (RFC 5321 section 3.8, RFC 959 section 4.2.2, RFC 9051 section 7.1.5).
pub(super) fn server_says_goodbye(payload: &[u8]) -> bool {
    databases::says_goodbye(payload) || payload.starts_with(b"421 ") || payload.starts_with(b"* BYE ")
}

/// Follows messages of which each says how long it is. `next` gives the length of the one at the start of its argument and
/// what it means; none ends the walk: the payload is of another protocol. What is not whole is no goodbye.
fn walk(
    payload: &[u8],
    len: usize,
    next: impl Fn(&[u8], usize) -> Option<(usize, Meaning)>,
) -> Option<Meaning> {
    let mut found: Option<Meaning> = None;
    let mut at = 0;
    while at < len {
        let Some(rest) = payload.get(at..).filter(|rest| !rest.is_empty()) else {
            return found.map(|meaning| meaning.max(Meaning::Unknown));
        };
        let (size, meaning) = next(rest, len - at)?;
        let whole = size <= len - at;
        if !whole && len < FULL_SEGMENT {
            return None;
        }
        let meaning = if whole { meaning } else { meaning.max(Meaning::Unknown) };
        found = found.max(Some(meaning));
        at += size.max(1);
    }
    found
}

/// A message that goes on in another segment fills the one it begins in, nearly always: the least MSS that hosts offer is
/// 536 (RFC 9293 section 3.7.1).
const FULL_SEGMENT: usize = 536;

/// A number of the network's byte order.
fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn be24(bytes: &[u8], at: usize) -> Option<usize> {
    let [high, middle, low] = bytes.get(at..)?.first_chunk()?;
    Some(usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low))
}

fn le16(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|bytes| usize::from(u16::from_le_bytes(*bytes)))
}

fn le24(bytes: &[u8], at: usize) -> Option<usize> {
    let [low, middle, high] = bytes.get(at..)?.first_chunk()?;
    Some(usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
