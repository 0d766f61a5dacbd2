//! Where a response ends, and what it says of the connection (RFC 9112 sections 6 and 9.3).

use serde::Serialize;

/// Most header fields in a response.
const MOST_FIELDS: usize = 128;

/// What a response says of its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The status code.
    pub status: u16,
    /// The Server field.
    pub server: Option<String>,
    /// The Connection field.
    pub connection: Option<String>,
    /// The Keep-Alive field.
    pub keep_alive: Option<String>,
    /// Where it redirects to, of a 3xx. Nothing follows it.
    pub location: Option<String>,
    /// Whether the connection stays open after it: HTTP/1.1 without `close`, and a length that is known.
    pub keeps_alive: bool,
}

impl Facts {
    /// The time that the server names in `Keep-Alive: timeout=N`, s.
    pub fn named_timeout_s(&self) -> Option<u64> {
        let fields = self.keep_alive.as_deref()?.split(',');
        fields
            .filter_map(|field| field.trim().strip_prefix("timeout="))
            .find_map(|value| value.trim().parse().ok())
    }
}

/// A response has no body larger than this, or a smaller page is better to be probed.
pub(super) const LARGEST_BODY: u64 = 16 << 20;

/// How much of the body is still to come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// That many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// Everything up to the close.
    UntilClose,
}

/// A response head: what it says, how long it is, and how its body ends. None where more bytes are needed.
///
/// # Errors
/// It is no HTTP/1 response.
pub(super) fn head(bytes: &[u8], method: &str) -> Result<Option<(Facts, usize, Body)>, String> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(no_response(bytes, &error)),
    };
    let field = |name: &str| {
        let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        // From outside, to be shown on a terminal: printable ASCII only.
        let shown = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' };
        Some(found.value.iter().map(shown).collect::<String>())
    };
    let status = response.code.unwrap_or(0);
    let connection = field("Connection");
    let says = |word: &str| {
        connection.iter().flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(word))
    };
    let body = if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
        Body::Length(0)
    } else if field("Transfer-Encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked")) {
        Body::Chunked(Chunks::default())
    } else {
        match field("Content-Length").map(|value| value.trim().parse()) {
            None => Body::UntilClose,
            Some(Ok(length)) if length <= LARGEST_BODY => Body::Length(length),
            Some(Ok(length)) => return Err(too_large(&format!("it announces a body of {length} bytes"))),
            Some(Err(_)) => return Err("its Content-Length is no number of bytes".to_owned()),
        }
    };
    let persistent = if response.version == Some(0) { says("keep-alive") } else { !says("close") };
    let facts = Facts {
        status,
        server: field("Server"),
        keep_alive: field("Keep-Alive"),
        location: field("Location").filter(|_| (300..400).contains(&status)),
        keeps_alive: persistent && body != Body::UntilClose,
        connection,
    };
    Ok(Some((facts, length, body)))
}

/// Why a body is not read to its end.
pub(super) fn too_large(what: &str) -> String {
    format!(
        "{what}, more than the {} MiB that a probe reads: choose a smaller page with --path",
        LARGEST_BODY >> 20
    )
}

/// What came instead of a response.
fn no_response(bytes: &[u8], error: &httparse::Error) -> String {
    // The begin of a TLS record: an alert, or a handshake (RFC 8446 section 5.1).
    if let [0x14..=0x17, 0x03, ..] = bytes {
        return "it speaks TLS: write https://".to_owned();
    }
    if !bytes.starts_with(b"HTTP/1.") {
        return "its answer does not begin with a status line: it speaks HTTP/0.9 or no HTTP at all"
            .to_owned();
    }
    format!("it is no HTTP/1 response ({error})")
}

/// A chunked body as it passes by (RFC 9112 section 7.1): only its end matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    // Bytes of the chunk in hand with its line end.
    left: u64,
    // The line in hand: a size, or a trailer field. Only its beginning is kept.
    line: Vec<u8>,
    in_trailer: bool,
}

impl Chunks {
    /// Longest line that means anything here: a size of 64 bits in hexadecimal.
    const LONGEST_LINE: usize = 32;

    /// Takes bytes in; true once the last one of the body was among them.
    pub(super) fn ends_in(&mut self, mut bytes: &[u8]) -> Result<bool, String> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.left > 0 {
                let passed = self.left.min(bytes.len() as u64);
                self.left -= passed;
                bytes = &bytes[passed as usize..];
                continue;
            }
            bytes = rest;
            if byte != b'\n' {
                if self.line.len() < Self::LONGEST_LINE {
                    self.line.push(byte);
                }
                continue;
            }
            let line = String::from_utf8_lossy(&self.line).trim().to_owned();
            self.line.clear();
            if self.in_trailer {
                if line.is_empty() {
                    return Ok(true);
                }
                continue;
            }
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| "its chunks cannot be read".to_owned())?;
            self.in_trailer = size == 0;
            if size > 0 {
                self.left = size.saturating_add(2);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> (Facts, Body) {
        let (facts, _, body) = head(text.as_bytes(), "GET").unwrap().unwrap();
        (facts, body)
    }

    #[test]
    fn a_connection_is_kept_only_where_the_response_has_an_end() {
        assert!(facts("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").0.keeps_alive);
        assert!(!facts("HTTP/1.1 200 OK\r\n\r\n").0.keeps_alive);
        assert!(!facts("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\n").0.keeps_alive);
        assert!(!facts("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n").0.keeps_alive);
        assert!(
            facts("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n").0.keeps_alive
        );
        assert_eq!(head(b"HTTP/1.1 200 OK\r\n", "GET"), Ok(None));
        let refused = |bytes: &[u8]| head(bytes, "GET").expect_err("no response");
        assert!(refused(b"SSH-2.0-OpenSSH\r\n").contains("no HTTP at all"));
        assert!(refused(b"<html>hello").contains("HTTP/0.9"));
        assert!(refused(b"\x15\x03\x03\x00\x02\x02\x46").contains("https://"));
        assert!(
            refused(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n").contains("--path")
        );
        assert!(refused(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").contains("no number"));
        assert_eq!(
            head(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD").unwrap().unwrap().2,
            Body::Length(0)
        );
    }

    #[test]
    fn the_time_that_a_server_names_is_read() {
        let (facts, _) = facts(
            "HTTP/1.1 204 No\r\nKeep-Alive: max=9, timeout=5\r\nServer: a\x7fb\r\n\r\n"
                .replace('\x7f', "x")
                .as_str(),
        );
        assert_eq!(facts.named_timeout_s(), Some(5));
        assert_eq!(facts.server.as_deref(), Some("axb"));
    }

    #[test]
    fn chunks_end_where_they_end_however_they_are_cut() {
        let body = b"5;x=y\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: 1\r\n\r\n";
        for cut in 0..body.len() {
            let mut chunks = Chunks::default();
            assert_eq!(chunks.ends_in(&body[..cut]), Ok(false), "{cut}");
            assert_eq!(chunks.ends_in(&body[cut..]), Ok(true), "{cut}");
        }
        assert!(Chunks::default().ends_in(b"nonsense\r\n").is_err());
    }
}
