//! TLS records without content.

use crate::connection::tls;

const HEADER: usize = 5;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const HEARTBEAT: u8 = 24;
/// Handshake type and length; version and random (RFC 8446 section 4.1.2).
const HANDSHAKE_HEADER: usize = 4;
const VERSION_AND_RANDOM: usize = 34;

/// Follows the records of one direction.
#[derive(Debug, Default)]
pub(super) struct RecordFilter {
    /// Bytes still to come of the record in hand.
    left: u64,
}

impl RecordFilter {
    /// So many bytes of the stream passed unseen.
    pub fn skip(&mut self, len: u64) {
        self.left = self.left.saturating_sub(len);
    }

    /// Record headers as they were; instead of handshakes such as say nothing; alerts where they are readable.
    pub fn filtered(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0; bytes.len()];
        let mut at = 0;
        while at < bytes.len() {
            if self.left > 0 {
                let step = (bytes.len() - at).min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= step as u64;
                at += step;
                continue;
            }
            let rest = &bytes[at..];
            // What is no record, the analysis cannot read either.
            if tls::records(rest).is_none() {
                break;
            }
            let Some(&header) = rest.first_chunk::<HEADER>() else { break };
            out[at..at + HEADER].copy_from_slice(&header);
            let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
            let content = instead(header[0], len, rest);
            at += HEADER;
            let there = content.len().min(bytes.len() - at);
            out[at..at + there].copy_from_slice(&content[..there]);
            self.left = len as u64;
        }
        out
    }
}

/// What a record of this kind and length may say; `record` is what it was, as far as it is there.
fn instead(kind: u8, len: usize, record: &[u8]) -> Vec<u8> {
    const READABLE_ALERT: usize = 2;
    let content = record.get(HEADER..).unwrap_or_default();
    match kind {
        ALERT if len == READABLE_ALERT => content[..content.len().min(len)].to_vec(),
        CHANGE_CIPHER_SPEC if len == 1 => vec![1],
        HANDSHAKE => match content.first() {
            Some(1) => client_hello(len, tls::offers_http2(record)),
            Some(2) => server_hello(len),
            _ => finished(len),
        },
        // A response of no bytes (RFC 6520): what is zero would be no message at all.
        HEARTBEAT if len >= 3 => vec![2, 0, 0],
        _ => Vec::new(),
    }
}

/// A handshake message without structure, as encrypted ones look.
fn finished(len: usize) -> Vec<u8> {
    const FINISHED: u8 = 20;
    match len.checked_sub(HANDSHAKE_HEADER) {
        Some(body) => message(FINISHED, body),
        None => Vec::new(),
    }
}

fn message(kind: u8, body: usize) -> Vec<u8> {
    vec![kind, (body >> 16) as u8, (body >> 8) as u8, body as u8]
}

/// A ClientHello of this length that offers one cipher suite, and HTTP/2 (RFC 7301) if asked to.
fn client_hello(len: usize, http2: bool) -> Vec<u8> {
    const CLIENT_HELLO: u8 = 1;
    const SUITES_AND_COMPRESSION: [u8; 6] = [0, 2, 0x13, 0x01, 1, 0];
    const ALPN_H2: [u8; 9] = [0, 16, 0, 5, 0, 3, 2, b'h', b'2'];
    let offer: &[u8] = if http2 { &ALPN_H2 } else { &[] };
    hello(CLIENT_HELLO, len, &SUITES_AND_COMPRESSION, offer)
}

/// A ServerHello of this length.
fn server_hello(len: usize) -> Vec<u8> {
    const SERVER_HELLO: u8 = 2;
    const SUITE_AND_COMPRESSION: [u8; 3] = [0x13, 0x01, 0];
    hello(SERVER_HELLO, len, &SUITE_AND_COMPRESSION, &[])
}

/// Version, random, session identifier, what follows it, and extensions up to the length: padding (RFC 7685), and where there
/// is no room for that, a longer session identifier.
fn hello(kind: u8, len: usize, middle: &[u8], offer: &[u8]) -> Vec<u8> {
    const VERSION: [u8; 2] = [3, 3];
    const PADDING: [u8; 2] = [0, 21];
    const EXTENSION_HEADER: usize = 4;
    let fixed = HANDSHAKE_HEADER + VERSION_AND_RANDOM + 1 + middle.len() + 2 + offer.len();
    let Some(room) = len.checked_sub(fixed) else { return finished(len) };
    let session = if room < EXTENSION_HEADER { room } else { 0 };
    let mut out = message(kind, len - HANDSHAKE_HEADER);
    out.extend(VERSION);
    out.resize(HANDSHAKE_HEADER + VERSION_AND_RANDOM, 0);
    out.push(session as u8);
    out.resize(out.len() + session, 0);
    out.extend_from_slice(middle);
    let extensions = offer.len() + room - session;
    out.extend((extensions as u16).to_be_bytes());
    out.extend_from_slice(offer);
    if room >= EXTENSION_HEADER {
        out.extend(PADDING);
        out.extend(((room - EXTENSION_HEADER) as u16).to_be_bytes());
    }
    out
}
