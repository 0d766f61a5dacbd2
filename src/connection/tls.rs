//! TLS records without keys: enough to tell application data from a goodbye.

/// What the records at the start of a payload are (RFC 8446 section 5.1, RFC 5246 section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// Handshake or change-cipher-spec.
    Handshake,
    /// Application data that can hold a request.
    ApplicationData,
    /// Only alerts: content type 21, or in TLS 1.3 a type-23 record of 19 bytes, which is what an encrypted alert
    /// weighs (2 bytes, content type, 16-byte tag) and no HTTP request can (measured: 24 and 31 bytes on the wire).
    Alert,
}

const HEADER: usize = 5;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Largest record: 2^14 bytes of plaintext and 2048 of expansion (RFC 5246 section 6.2.3).
const MAX_RECORD: usize = (1 << 14) + 2048;
/// An encrypted TLS 1.3 alert.
const TLS13_ALERT: usize = 19;

/// Reads the records that begin at the start of `payload`; none when it does not begin with a TLS record.
pub fn records(payload: &[u8]) -> Option<Records> {
    let mut rest = payload;
    let mut found = None;
    while let Some((kind, len)) = header(rest) {
        let this = match kind {
            HANDSHAKE | CHANGE_CIPHER_SPEC => Records::Handshake,
            ALERT => Records::Alert,
            _ if len == TLS13_ALERT => Records::Alert,
            _ => Records::ApplicationData,
        };
        found = match (found, this) {
            (None, _) | (Some(Records::Alert), _) => Some(this),
            (Some(_), Records::ApplicationData) => Some(this),
            (kept, _) => kept,
        };
        rest = rest.get(HEADER + len..).unwrap_or_default();
    }
    found
}

/// Whether the payload opens a TLS connection from the client's side (a ClientHello).
pub fn is_client_hello(payload: &[u8]) -> bool {
    matches!(header(payload), Some((HANDSHAKE, _))) && payload.get(HEADER) == Some(&1)
}

/// Whether the payload is a ServerHello.
pub fn is_server_hello(payload: &[u8]) -> bool {
    matches!(header(payload), Some((HANDSHAKE, _))) && payload.get(HEADER) == Some(&2)
}

fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let [kind, major, minor, high, low] = *bytes.first_chunk::<HEADER>()?;
    let len = usize::from(u16::from_be_bytes([high, low]));
    let plausible = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind)
        && major == 3
        && minor <= 4
        && len <= MAX_RECORD;
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
    fn text_is_not_tls() {
        assert_eq!(records(b"GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn a_record_cut_by_the_snap_length_is_still_named() {
        assert_eq!(records(&record(23, 400)[..20]), Some(Records::ApplicationData));
    }
}
