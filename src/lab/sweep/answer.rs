//! Where a response ends (RFC 9112 section 6): all that a sweep wants to know of one.

/// Most header fields in a response.
const MOST_FIELDS: usize = 64;
/// A longer response is not what a sweep should ask for.
pub(super) const LONGEST: usize = 4 << 20;

/// Interim responses before the one that counts: a server seldom sends two.
const MOST_INTERIM: usize = 16;

/// A complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The connection stays open after it.
    pub(super) keep_alive: bool,
}

/// The response at the beginning of `bytes`, once all of it is there.
///
/// # Errors
/// It is no HTTP/1 response, or its length is not known before the connection ends.
pub(super) fn answer(bytes: &[u8], method: &str) -> Result<Option<Answer>, String> {
    let mut rest = bytes;
    for _ in 0..=MOST_INTERIM {
        match first(rest, method)? {
            None => return Ok(None),
            Some(First::Interim { length }) => rest = &rest[length..],
            Some(First::Final(answer)) => return Ok(Some(answer)),
        }
    }
    Err(format!("it sent more than {MOST_INTERIM} interim responses (1xx) and none that counts"))
}

/// A response at the beginning of some bytes.
enum First {
    /// One that announces another, and its length.
    Interim { length: usize },
    /// The one that counts.
    Final(Answer),
}

fn first(bytes: &[u8], method: &str) -> Result<Option<First>, String> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < LONGEST => return Ok(None),
        Ok(httparse::Status::Partial) => return Err("its head does not end".to_owned()),
        Err(error) => return Err(format!("the answer is no HTTP/1 response ({error})")),
    };
    let status = response.code.unwrap_or(0);
    let value = |name: &str| {
        let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok().map(str::to_ascii_lowercase)
    };
    let connection = value("connection").unwrap_or_default();
    let says = |word: &str| connection.split(',').any(|it| it.trim() == word);
    let keep_alive = if response.version == Some(0) { says("keep-alive") } else { !says("close") };
    let body = &bytes[head..];
    let complete = if method == "HEAD" || matches!(status, 204 | 304) {
        true
    } else if status < 200 {
        return Ok(Some(First::Interim { length: head }));
    } else if value("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        chunks_end(body)?
    } else if let Some(length) = value("content-length") {
        let length: usize =
            length.trim().parse().map_err(|_| "its Content-Length is no number".to_owned())?;
        body.len() >= length
    } else {
        return Err("its response has no length, so its connection cannot be used again".to_owned());
    };
    if !complete && bytes.len() >= LONGEST {
        return Err("its response is longer than 4 MiB".to_owned());
    }
    Ok(complete.then_some(First::Final(Answer { status, keep_alive })))
}

/// Whether the last chunk and the trailer are there (RFC 9112 section 7.1).
fn chunks_end(mut body: &[u8]) -> Result<bool, String> {
    loop {
        let (head, size) = match httparse::parse_chunk_size(body) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(_) => return Err("its chunks are malformed".to_owned()),
        };
        if size == 0 {
            let trailer = &body[head..];
            return Ok(trailer.starts_with(b"\r\n") || trailer.windows(4).any(|end| end == b"\r\n\r\n"));
        }
        let next = usize::try_from(size).ok().and_then(|size| size.checked_add(head)?.checked_add(2));
        match next.and_then(|next| body.get(next..)) {
            Some(rest) => body = rest,
            None => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_complete_with_its_last_byte() {
        let responses: [&[u8]; 4] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ];
        for bytes in responses {
            for cut in 0..bytes.len() {
                assert_eq!(answer(&bytes[..cut], "GET"), Ok(None), "{cut}");
            }
            assert!(answer(bytes, "GET").unwrap().unwrap().keep_alive);
        }
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
        assert_eq!(answer(head, "HEAD"), Ok(Some(Answer { status: 200, keep_alive: false })));
    }

    #[test]
    fn what_cannot_be_followed_by_another_request_is_refused() {
        for bytes in [
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        ] {
            assert!(answer(bytes, "GET").is_err(), "{}", bytes.escape_ascii());
        }
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(LONGEST / 25);
        assert!(answer(&interim, "GET").unwrap_err().contains("interim"), "without an end");
        assert_eq!(
            answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", "GET"),
            Ok(None)
        );
    }
}
