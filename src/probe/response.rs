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
        Err(error) => return Err(format!("it is no HTTP/1 response ({error})")),
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
        field("Content-Length")
            .and_then(|value| value.trim().parse().ok())
            .map_or(Body::UntilClose, Body::Length)
    };
    let persistent = if response.version == Some(0) { says("keep-alive") } else { !says("close") };
    let facts = Facts {
        status,
        server: field("Server"),
        keep_alive: field("Keep-Alive"),
        keeps_alive: persistent && body != Body::UntilClose,
        connection,
    };
    Ok(Some((facts, length, body)))
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
        assert!(head(b"SSH-2.0-OpenSSH\r\n", "GET").is_err());
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
