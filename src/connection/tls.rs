//! TLS records without keys: enough to tell application data from a goodbye.

/// What the records at the start of a payload are (RFC 8446 section 5.1, RFC 5246 section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// Handshake, change-cipher-spec or heartbeat; in TLS 1.3 also the encrypted record right behind a change-cipher-spec, which is
    /// the rest of the handshake (RFC 8446 appendix D.4).
    Handshake,
    /// Application data that can hold a request.
    ApplicationData,
    /// Only alerts: content type 21, or in TLS 1.3 a type-23 record of 19 bytes, which is what an encrypted alert
    /// weighs (2 bytes, content type, 16-byte tag) and no HTTP request can (measured: 24 and 31 bytes on the wire).
    Alert,
    /// The rest of a record that began in an earlier segment, and nothing else.
    Continuation,
    /// The same, and alerts behind it.
    ContinuationAndAlert,
}

const HEADER: usize = 5;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// RFC 6520.
const HEARTBEAT: u8 = 24;
/// Largest record: 2^14 bytes of plaintext and 2048 of expansion (RFC 5246 section 6.2.3).
const MAX_RECORD: usize = (1 << 14) + 2048;
/// An encrypted TLS 1.3 alert.
const TLS13_ALERT: usize = 19;

/// Follows the records of one direction, which may be longer than a segment.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordReader {
    /// Bytes still to come of the record in hand; it is at most as long as a length field tells.
    left: u16,
}

impl RecordReader {
    /// Reads the next `len` bytes of the stream, of which `payload` was captured; none when they cannot be told.
    pub fn read(&mut self, payload: &[u8], len: u32) -> Option<Records> {
        let continued = u32::from(self.left).min(len);
        self.skip(continued);
        if continued == len {
            return Some(Records::Continuation);
        }
        let fresh = payload.get(continued as usize..)?;
        let mut at = 0;
        while let Some((_, record)) = fresh.get(at..).and_then(header) {
            at += HEADER + record;
        }
        self.left = u16::try_from((at as u32).saturating_sub(len - continued)).unwrap_or_default();
        match records(fresh) {
            Some(Records::Alert) if continued > 0 => Some(Records::ContinuationAndAlert),
            read => read,
        }
    }

    /// `len` bytes passed that the capture does not hold (yet): the rest of the record in hand, or more.
    pub fn skip(&mut self, len: u32) {
        self.left = self.left.saturating_sub(u16::try_from(len).unwrap_or(u16::MAX));
    }
}

/// Reads the records that begin at the start of `payload`; none when it does not begin with a TLS record.
pub fn records(payload: &[u8]) -> Option<Records> {
    let mut rest = payload;
    let mut found = None;
    let mut before = 0;
    while let Some((kind, len)) = header(rest) {
        let this = match kind {
            APPLICATION_DATA if before == CHANGE_CIPHER_SPEC => Records::Handshake,
            HANDSHAKE | CHANGE_CIPHER_SPEC | HEARTBEAT => Records::Handshake,
            ALERT => Records::Alert,
            _ if len == TLS13_ALERT => Records::Alert,
            _ => Records::ApplicationData,
        };
        found = match (found, this) {
            (None, _) | (Some(Records::Alert), _) => Some(this),
            (Some(_), Records::ApplicationData) => Some(this),
            (kept, _) => kept,
        };
        before = kind;
        rest = rest.get(HEADER + len..).unwrap_or_default();
    }
    found
}

/// Whether a payload can be nothing but `HTTP/1.1 100 Continue` (25 bytes with its empty line) in a record, by the lengths
/// that the usual ciphers give it: with the content type of TLS 1.3; ChaCha20, GCM and the block ciphers of TLS 1.2. An
/// answer of just this length looks the same.
pub fn may_be_interim(payload: &[u8]) -> bool {
    let is_one = |len| payload.get(HEADER + len..).is_none_or(<[u8]>::is_empty);
    matches!(header(payload), Some((APPLICATION_DATA, len @ (41 | 42 | 49 | 56 | 64 | 80))) if is_one(len))
}

/// Whether the payload opens a TLS connection from the client's side (a ClientHello).
pub fn is_client_hello(payload: &[u8]) -> bool {
    matches!(header(payload), Some((HANDSHAKE, _))) && payload.get(HEADER) == Some(&1)
}

/// Whether a ClientHello offers HTTP/2 by ALPN (RFC 8446 section 4.1.2, RFC 7301 section 3.1). What the snap length
/// cut off is not known to be offered.
pub fn offers_http2(payload: &[u8]) -> bool {
    is_client_hello(payload) && alpn(payload.get(HEADER..).unwrap_or_default()).is_some_and(names_http2)
}

/// The protocol name list of a ClientHello's ALPN extension.
fn alpn(hello: &[u8]) -> Option<&[u8]> {
    /// Handshake type and length, version and random.
    const FIXED: usize = 4 + 2 + 32;
    const ALPN: u16 = 16;
    let number = |bytes: &[u8]| bytes.first_chunk().copied().map(u16::from_be_bytes);
    let session_id = usize::from(*hello.get(FIXED)?);
    let rest = hello.get(FIXED + 1 + session_id..)?;
    let cipher_suites = usize::from(number(rest)?);
    let rest = rest.get(2 + cipher_suites..)?;
    let compression = usize::from(*rest.first()?);
    let mut extensions = rest.get(1 + compression + 2..)?;
    loop {
        let (kind, len) = (number(extensions)?, usize::from(number(extensions.get(2..)?)?));
        let body = extensions.get(4..4 + len)?;
        if kind == ALPN {
            return body.get(2..);
        }
        extensions = extensions.get(4 + len..)?;
    }
}

fn names_http2(mut names: &[u8]) -> bool {
    while let Some((&len, rest)) = names.split_first() {
        let Some(name) = rest.get(..usize::from(len)) else { return false };
        if name == b"h2" {
            return true;
        }
        names = &rest[usize::from(len)..];
    }
    false
}

/// Whether the payload is a ServerHello.
pub fn is_server_hello(payload: &[u8]) -> bool {
    matches!(header(payload), Some((HANDSHAKE, _))) && payload.get(HEADER) == Some(&2)
}

fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let [kind, major, minor, high, low] = *bytes.first_chunk::<HEADER>()?;
    let len = usize::from(u16::from_be_bytes([high, low]));
    let plausible =
        (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&kind) && major == 3 && minor <= 4 && len <= MAX_RECORD;
    (plausible && len > 0).then_some((kind, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, len: usize) -> Vec<u8> {
        let mut bytes = vec![kind, 3, 3, (len >> 8) as u8, len as u8];
        bytes.resize(HEADER + len, 0xaa);
        bytes
    }

    #[test]
    fn alerts_of_both_versions_are_goodbyes() {
        assert_eq!(records(&record(21, 26)), Some(Records::Alert), "TLS 1.2, 31 bytes on the wire");
        assert_eq!(records(&record(23, 19)), Some(Records::Alert), "TLS 1.3, 24 bytes on the wire");
    }

    #[test]
    fn a_larger_application_record_can_be_a_request() {
        assert_eq!(records(&record(23, 45)), Some(Records::ApplicationData));
    }

    #[test]
    fn data_followed_by_an_alert_is_still_data() {
        let both = [record(23, 45), record(23, 19)].concat();
        assert_eq!(records(&both), Some(Records::ApplicationData));
    }

    #[test]
    fn the_end_of_a_handshake_is_no_request() {
        let finished = [record(20, 1), record(23, 53)].concat();
        assert_eq!(records(&finished), Some(Records::Handshake));
        let with_request = [finished, record(23, 94)].concat();
        assert_eq!(records(&with_request), Some(Records::ApplicationData));
    }

    #[test]
    fn a_record_over_several_segments_is_one() {
        let mut reader = RecordReader::default();
        let stream = [record(24, 3000), record(23, 94)].concat();
        assert_eq!(reader.read(&stream[..1000], 1000), Some(Records::Handshake), "a heartbeat");
        assert_eq!(reader.read(&stream[1000..2000], 1000), Some(Records::Continuation));
        assert_eq!(reader.read(&stream[2000..], 1104), Some(Records::ApplicationData));
    }

    #[test]
    fn a_record_whose_rest_was_not_captured_is_followed_by_its_length() {
        let mut reader = RecordReader::default();
        assert_eq!(reader.read(&record(23, 3000)[..42], 1448), Some(Records::ApplicationData));
        assert_eq!(reader.read(&[0xaa; 42], 1448), Some(Records::Continuation));
        assert_eq!(reader.read(&[0xaa; 42], 109), Some(Records::Continuation));
        assert_eq!(reader.read(&record(21, 26), 31), Some(Records::Alert));
    }

    fn client_hello(protocols: &[&[u8]]) -> Vec<u8> {
        let names: Vec<u8> =
            protocols.iter().flat_map(|name| [&[name.len() as u8], *name].concat()).collect();
        let list = [&(names.len() as u16).to_be_bytes(), names.as_slice()].concat();
        let server_name = [0, 0, 0, 2, 9, 9];
        let alpn = [&16u16.to_be_bytes(), &(list.len() as u16).to_be_bytes(), list.as_slice()].concat();
        let extensions = [server_name.as_slice(), &alpn].concat();
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let mut hello = vec![HANDSHAKE, 3, 1];
        hello.extend((body.len() as u16 + 4).to_be_bytes());
        hello.extend([1, 0]);
        hello.extend((body.len() as u16).to_be_bytes());
        hello.extend(body);
        hello
    }

    #[test]
    fn an_offer_of_http2_is_read_from_the_client_hello() {
        assert!(offers_http2(&client_hello(&[b"h2", b"http/1.1"])));
        assert!(offers_http2(&client_hello(&[b"http/1.1", b"h2"])));
        assert!(!offers_http2(&client_hello(&[b"http/1.1"])));
        assert!(!offers_http2(&client_hello(&[])));
    }

    #[test]
    fn a_client_hello_cut_anywhere_offers_nothing_it_does_not_show() {
        let hello = client_hello(&[b"h2"]);
        for len in 0..hello.len() {
            assert!(!offers_http2(&hello[..len]), "{len}");
        }
    }

    #[test]
    fn text_is_not_tls() {
        assert_eq!(records(b"GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn a_record_cut_by_the_snap_length_is_still_named() {
        assert_eq!(records(&record(23, 400)[..20]), Some(Records::ApplicationData));
    }
}
