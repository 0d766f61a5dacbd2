//! Whom to probe: `http://host:port/path`, `https://host/path` or `host:port`.

use std::fmt;
use std::str::FromStr;

use tokio::time::{Instant, timeout_at};

use super::ProbeError;
use super::way::Way;

/// A server that speaks HTTP/1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Within TLS.
    pub tls: bool,
    /// Name or address, an IPv6 address in brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query of the request.
    pub path: String,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let (tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => {
                return Err(format!(
                    "`{scheme}` is no scheme to probe: write http://HOST:PORT/ or https://HOST/"
                ));
            }
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, "/"),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| format!("`{port}` is no port: write HOST:PORT"))?)
            }
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let fits = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || host.contains('@') || !fits(host) || !fits(path) {
            return Err(format!("`{text}` is no server to probe: write http://HOST:PORT/ or HOST:PORT"));
        }
        Ok(Target { tls, host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

impl Target {
    /// The ways to the addresses that the name stands for, IPv6 and IPv4, in the order of the system.
    ///
    /// # Errors
    /// The name is not known, or not in time, or none for TLS.
    pub(super) async fn resolve(&self, deadline: Instant) -> Result<Vec<Way>, ProbeError> {
        let name = format!("{}:{}", self.host, self.port);
        let unknown = |error| ProbeError::Name(name.clone(), error);
        let found = timeout_at(deadline, tokio::net::lookup_host(&name)).await;
        let found = found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map_err(unknown)?;
        let way = |address| if self.tls { Way::tls(address, &self.host) } else { Ok(Way::plain(address)) };
        let ways = found.map(way).collect::<Result<Vec<Way>, ProbeError>>()?;
        if ways.is_empty() {
            return Err(unknown(std::io::Error::new(std::io::ErrorKind::NotFound, "no address")));
        }
        Ok(ways)
    }

    /// A whole request without a body.
    pub(super) fn request(&self, method: &str) -> String {
        self.request_with(method, "", "")
    }

    /// A whole request with a short text for a body.
    pub(super) fn request_with_body(&self, method: &str, body: &str) -> String {
        let fields = format!("Content-Type: text/plain\r\nContent-Length: {}\r\n", body.len());
        self.request_with(method, &fields, body)
    }

    fn request_with(&self, method: &str, fields: &str, body: &str) -> String {
        let agent = concat!("finrace/", env!("CARGO_PKG_VERSION"));
        format!(
            "{method} {} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n{fields}Connection: keep-alive\r\n\r\n{body}",
            self.path, self.host, self.port
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<(String, u16, String), String> {
        text.parse::<Target>().map(|it| (it.host, it.port, it.path))
    }

    #[test]
    fn a_target_is_a_url_or_host_and_port() {
        let is = |host: &str, port, path: &str| Ok((host.to_owned(), port, path.to_owned()));
        assert_eq!(parts("http://example.org"), is("example.org", 80, "/"));
        assert_eq!(parts("http://[::1]:8080/health?x=1"), is("[::1]", 8080, "/health?x=1"));
        assert_eq!(parts("http://[::1]/"), is("[::1]", 80, "/"));
        assert_eq!(parts("https://example.org/a"), is("example.org", 443, "/a"));
        assert!("https://[::1]:8443".parse::<Target>().unwrap().tls);
        assert_eq!(parts("192.0.2.1:3000"), is("192.0.2.1", 3000, "/"));
    }

    #[test]
    fn what_cannot_be_probed_is_refused() {
        for text in ["ftp://x", "host:port", "", "http://a@b", "a b:1", "h:1/\r\nX: y", ":80"] {
            assert!(parts(text).is_err(), "{text}");
        }
    }
}
