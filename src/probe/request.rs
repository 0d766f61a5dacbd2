//! Where a request ends, and what it asks of the connection (RFC 9112 sections 6 and 9.3).

use super::response::{Body, Chunks};

/// Most header fields in a request.
const MOST_FIELDS: usize = 128;

/// What matters of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
    /// Whether the connection is to be kept after the response.
    pub persistent: bool,
    /// HTTP/1.0, which is told that its connection is kept (RFC 9112 appendix C.2.2).
    pub is_old: bool,
    /// Waits for an interim response before it sends its body (RFC 9110 section 10.1.1).
    pub expects_continue: bool,
}

/// A request head: what it asks, how long it is, and how its body ends. None where more bytes are needed.
///
/// # Errors
/// It is no HTTP/1 request.
pub(super) fn head(bytes: &[u8]) -> Result<Option<(Asked, usize, Body)>, String> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("it is no HTTP/1 request ({error})")),
    };
    let field = |name: &str| {
        let found = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(found.value).trim().to_ascii_lowercase())
    };
    let connection = field("Connection").unwrap_or_default();
    let says = |word: &str| connection.split(',').any(|it| it.trim() == word);
    let body = match (field("Transfer-Encoding"), field("Content-Length")) {
        (Some(coding), _) if coding.contains("chunked") => Body::Chunked(Chunks::default()),
        (Some(_), _) => return Err("its transfer coding is not known".to_owned()),
        (None, Some(length)) => {
            Body::Length(length.parse().map_err(|_| "its Content-Length is no number".to_owned())?)
        }
        (None, None) => Body::Length(0),
    };
    let is_old = request.version == Some(0);
    let asked = Asked {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        persistent: if is_old { says("keep-alive") } else { !says("close") },
        is_old,
        expects_continue: field("Expect").is_some_and(|value| value == "100-continue"),
    };
    Ok(Some((asked, length, body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> (Asked, Body) {
        let (asked, length, body) = head(text.as_bytes()).unwrap().unwrap();
        assert_eq!(length, text.len());
        (asked, body)
    }

    #[test]
    fn a_proxy_says_whether_it_keeps_the_connection() {
        let (request, body) = asked("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/a?b"));
        assert!(request.persistent && !request.is_old && body == Body::Length(0));
        assert!(!asked("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n").0.persistent);
        assert!(!asked("GET / HTTP/1.0\r\n\r\n").0.persistent);
        assert!(asked("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").0.persistent);
        assert_eq!(head(b"GET / HTTP/1.1\r\n"), Ok(None));
    }

    #[test]
    fn the_end_of_a_body_is_known() {
        assert_eq!(asked("POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\n").1, Body::Length(12));
        let (request, body) =
            asked("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\n");
        assert!(request.expects_continue && body == Body::Chunked(Chunks::default()));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        // HTTP/2 with prior knowledge, the beginning of a TLS handshake, a length that is none.
        for bytes in [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        ] {
            assert!(head(bytes).is_err(), "{bytes:?}");
        }
    }
}
