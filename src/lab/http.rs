//! HTTP/1.1 messages over TCP (RFC 9112), as far as a keep-alive proxy and backend need them.
//!
//! Whole messages are held in memory: the lab's bodies are small, and a proxy that has the whole request can send it
//! twice.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest head accepted. Real servers stop at 8 to 64 KiB.
const HEAD_AT_MOST: usize = 64 * 1024;

/// Largest body accepted; scenarios allow a quarter of it.
const BODY_AT_MOST: usize = 64 * 1024 * 1024;

/// Most header fields in one head.
const FIELDS_AT_MOST: usize = 128;

/// Fields about one connection only; a proxy must not pass them on (RFC 9110 section 7.6.1). Content-Length is among
/// them because every message is framed anew.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Why a message could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The peer ended the connection before the first byte.
    #[error("the connection was closed before the first byte")]
    Closed,
    /// The connection failed before the first byte.
    #[error("the connection failed before the first byte")]
    Failed(#[source] io::Error),
    /// The connection ended or failed within a message.
    #[error("the connection ended within a message")]
    CutOff,
    /// Not HTTP/1.
    #[error("not an HTTP/1 message: {0}")]
    Malformed(String),
    /// Larger than the lab handles.
    #[error("the message is larger than {0} bytes, the most the lab handles")]
    TooLarge(usize),
}

impl HttpError {
    /// Whether the peer's kernel reset the connection before a byte arrived.
    pub fn is_reset(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        matches!(self, HttpError::Failed(error)
            if matches!(error.kind(), ConnectionReset | BrokenPipe | ConnectionAborted))
    }
}

/// Header fields in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    fn new(fields: &[httparse::Header<'_>]) -> Self {
        Self(fields.iter().map(|field| (field.name.to_owned(), field.value.to_owned())).collect())
    }

    /// Adds a field.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The value of the first field of this name, if it is text.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.values(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether a comma-separated field holds this word.
    fn has_word(&self, name: &str, word: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Whether the connection may be used again (RFC 9112 section 9.3).
    fn keep_alive(&self, version: u8) -> bool {
        if version == 0 {
            self.has_word("connection", "keep-alive")
        } else {
            !self.has_word("connection", "close")
        }
    }

    fn body(&self) -> Result<Option<Body>, HttpError> {
        let malformed = |problem: &str| Err(HttpError::Malformed(problem.into()));
        let mut lengths = self.values("content-length");
        let length = lengths.next();
        if self.values("transfer-encoding").next().is_some() {
            // Both at once is how requests are smuggled (RFC 9112 section 6.1).
            return match (length, self.has_word("transfer-encoding", "chunked")) {
                (None, true) => Ok(Some(Body::Chunked)),
                (Some(_), _) => malformed("both Transfer-Encoding and Content-Length"),
                (None, false) => malformed("a transfer coding other than chunked"),
            };
        }
        let Some(length) = length else { return Ok(None) };
        if lengths.any(|other| other != length) {
            return malformed("two different Content-Lengths");
        }
        let digits =
            std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|digits| digits.parse().ok()) {
            Some(length) if length <= BODY_AT_MOST => Ok(Some(Body::Length(length))),
            Some(_) => Err(HttpError::TooLarge(BODY_AT_MOST)),
            None => malformed("a Content-Length that is no number"),
        }
    }

    /// The fields to pass on, framed for `body`.
    fn encode(&self, head: &mut Vec<u8>, body: Option<usize>) {
        let named_by_connection = |name: &str| self.has_word("connection", name);
        for (name, value) in &self.0 {
            let lower = name.to_ascii_lowercase();
            if !HOP_BY_HOP.contains(&lower.as_str()) && !named_by_connection(&lower) {
                head.extend_from_slice(name.as_bytes());
                head.extend_from_slice(b": ");
                head.extend_from_slice(value);
                head.extend_from_slice(b"\r\n");
            }
        }
        if let Some(length) = body {
            head.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
    }
}

/// How a body is framed (RFC 9112 section 6.3).
#[derive(Clone, Copy)]
enum Body {
    Length(usize),
    Chunked,
    UntilClose,
}

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Fields, without those of the connection once encoded.
    pub fields: Fields,
    /// Whether the sender means to use the connection again.
    pub keep_alive: bool,
    /// Body, unframed.
    pub body: Vec<u8>,
}

impl Request {
    /// The bytes to send. `Connection: close` is sent where the connection is not to be used again.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let bodiless =
            self.body.is_empty() && matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "DELETE");
        self.fields.encode(&mut bytes, (!bodiless).then_some(self.body.len()));
        end_head(&mut bytes, self.keep_alive);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub code: u16,
    /// Reason phrase.
    pub reason: String,
    /// Fields, without those of the connection once encoded.
    pub fields: Fields,
    /// Whether the sender means to use the connection again.
    pub keep_alive: bool,
    /// Body, unframed.
    pub body: Vec<u8>,
}

impl Response {
    /// A plain text response on a connection that stays open.
    pub fn text(code: u16, reason: &str, body: impl Into<Vec<u8>>) -> Self {
        let fields = Fields::default().with("Content-Type", "text/plain; charset=utf-8");
        Self { code, reason: reason.into(), fields, keep_alive: true, body: body.into() }
    }

    /// The bytes to send in answer to a request with this method.
    pub fn encode(&self, method: &str) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} {}\r\n", self.code, self.reason).into_bytes();
        let never_has_body = self.code < 200 || self.code == 204 || self.code == 304;
        // A forwarded answer to HEAD has lost the length of the body that it stands for.
        let length_unknown = never_has_body || (method == "HEAD" && self.body.is_empty());
        self.fields.encode(&mut bytes, (!length_unknown).then_some(self.body.len()));
        end_head(&mut bytes, self.keep_alive);
        if !never_has_body && method != "HEAD" {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn end_head(bytes: &mut Vec<u8>, keep_alive: bool) {
    if !keep_alive {
        bytes.extend_from_slice(b"Connection: close\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
}

/// A TCP connection that carries HTTP/1 messages.
#[derive(Debug)]
pub struct HttpStream {
    stream: TcpStream,
    /// Bytes received and not yet taken by a message.
    received: Vec<u8>,
}

impl HttpStream {
    /// Wraps a connection and sends small segments at once (`TCP_NODELAY`), as proxies and servers do.
    ///
    /// # Errors
    /// The socket option failed: the connection is already gone.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// The connection below.
    pub fn tcp(&self) -> &TcpStream {
        &self.stream
    }

    /// The connection below, for closing it in a special way.
    pub fn into_tcp(self) -> TcpStream {
        self.stream
    }

    /// Whether bytes have come that belong to no message read so far.
    pub fn has_leftover(&self) -> bool {
        !self.received.is_empty()
    }

    /// Waits until a message begins; may be abandoned at any time without losing bytes.
    ///
    /// # Errors
    /// [`HttpError::Closed`] or [`HttpError::Failed`].
    pub async fn first_byte(&mut self) -> Result<(), HttpError> {
        if self.received.is_empty() { self.receive(false).await } else { Ok(()) }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// [`HttpError::Failed`].
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        self.stream.write_all(bytes).await.map_err(HttpError::Failed)
    }

    /// Reads one request.
    ///
    /// # Errors
    /// Any [`HttpError`].
    pub async fn read_request(&mut self) -> Result<Request, HttpError> {
        let (mut request, body) = self.read_head(parse_request).await?;
        if let Some(body) = body {
            request.body = self.read_body(body).await?;
        }
        Ok(request)
    }

    /// Reads the response to a request with this method; interim responses (1xx) are passed over.
    ///
    /// # Errors
    /// Any [`HttpError`].
    pub async fn read_response(&mut self, method: &str) -> Result<Response, HttpError> {
        loop {
            let (mut response, body) = self.read_head(parse_response).await?;
            if response.code < 200 {
                continue;
            }
            if method != "HEAD" && !matches!(response.code, 204 | 304) {
                response.keep_alive &= !matches!(body, Body::UntilClose);
                response.body = self.read_body(body).await?;
            }
            return Ok(response);
        }
    }

    async fn read_head<T>(&mut self, parse: fn(&[u8]) -> Head<T>) -> Result<T, HttpError> {
        loop {
            if let Some((head, length)) = parse(&self.received)? {
                self.received.drain(..length);
                return Ok(head);
            }
            if self.received.len() > HEAD_AT_MOST {
                return Err(HttpError::TooLarge(HEAD_AT_MOST));
            }
            self.receive(!self.received.is_empty()).await?;
        }
    }

    async fn read_body(&mut self, body: Body) -> Result<Vec<u8>, HttpError> {
        match body {
            Body::Length(length) => self.take(length).await,
            Body::Chunked => self.read_chunks().await,
            Body::UntilClose => loop {
                match self.receive(true).await {
                    Ok(()) if self.received.len() > BODY_AT_MOST => {
                        return Err(HttpError::TooLarge(BODY_AT_MOST));
                    }
                    Ok(()) => {}
                    Err(HttpError::CutOff) => return Ok(std::mem::take(&mut self.received)),
                    Err(other) => return Err(other),
                }
            },
        }
    }

    /// Chunks, then trailer fields, which are thrown away (RFC 9112 section 7.1).
    async fn read_chunks(&mut self) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        loop {
            let size = self.read_chunk_size().await?;
            if size > (BODY_AT_MOST - body.len()) as u64 {
                return Err(HttpError::TooLarge(BODY_AT_MOST));
            }
            if size == 0 {
                while !self.take_line().await?.is_empty() {}
                return Ok(body);
            }
            // Fits: it is below the limit above.
            body.extend(self.take(size as usize).await?);
            if !self.take_line().await?.is_empty() {
                return Err(HttpError::Malformed("a chunk that is longer than its size says".into()));
            }
        }
    }

    async fn read_chunk_size(&mut self) -> Result<u64, HttpError> {
        loop {
            match httparse::parse_chunk_size(&self.received) {
                Ok(httparse::Status::Complete((length, size))) => {
                    self.received.drain(..length);
                    return Ok(size);
                }
                Ok(httparse::Status::Partial) if self.received.len() > HEAD_AT_MOST => {
                    return Err(HttpError::TooLarge(HEAD_AT_MOST));
                }
                Ok(httparse::Status::Partial) => self.receive(true).await?,
                Err(_) => return Err(HttpError::Malformed("a chunk size that is no number".into())),
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>, HttpError> {
        while self.received.len() < length {
            self.receive(true).await?;
        }
        let rest = self.received.split_off(length);
        Ok(std::mem::replace(&mut self.received, rest))
    }

    /// One line without its end.
    async fn take_line(&mut self) -> Result<Vec<u8>, HttpError> {
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let mut line = self.take(end + 2).await?;
                line.truncate(end);
                return Ok(line);
            }
            if self.received.len() > HEAD_AT_MOST {
                return Err(HttpError::TooLarge(HEAD_AT_MOST));
            }
            self.receive(true).await?;
        }
    }

    /// Receives what there is; `begun` says whether a message is under way.
    async fn receive(&mut self, begun: bool) -> Result<(), HttpError> {
        match self.stream.read_buf(&mut self.received).await {
            Ok(0) if begun => Err(HttpError::CutOff),
            Ok(0) => Err(HttpError::Closed),
            Ok(_) => Ok(()),
            Err(_) if begun => Err(HttpError::CutOff),
            Err(error) => Err(HttpError::Failed(error)),
        }
    }
}

/// A head and its length in bytes, once all of it is there.
type Head<T> = Result<Option<(T, usize)>, HttpError>;

fn malformed(error: httparse::Error) -> HttpError {
    HttpError::Malformed(error.to_string())
}

fn parse_request(bytes: &[u8]) -> Head<(Request, Option<Body>)> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_AT_MOST];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(malformed)? else { return Ok(None) };
    let fields = Fields::new(head.headers);
    let body = fields.body()?;
    let request = Request {
        method: head.method.unwrap_or_default().into(),
        target: head.path.unwrap_or_default().into(),
        keep_alive: fields.keep_alive(head.version.unwrap_or(0)),
        fields,
        body: Vec::new(),
    };
    Ok(Some(((request, body), length)))
}

fn parse_response(bytes: &[u8]) -> Head<(Response, Body)> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_AT_MOST];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(malformed)? else { return Ok(None) };
    let fields = Fields::new(head.headers);
    let body = fields.body()?.unwrap_or(Body::UntilClose);
    let response = Response {
        code: head.code.unwrap_or_default(),
        reason: head.reason.unwrap_or_default().into(),
        keep_alive: fields.keep_alive(head.version.unwrap_or(0)),
        fields,
        body: Vec::new(),
    };
    Ok(Some(((response, body), length)))
}

#[cfg(test)]
mod tests;
