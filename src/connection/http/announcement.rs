//! What a response says of the future of its connection.

use std::num::NonZeroU16;

use super::head::{contains_token, number};

/// The `Connection` and `Keep-Alive` headers of one message (RFC 9112 sections 9.3 and 9.6; RFC 2068 section 19.7.1.1).
///
/// Every connection keeps the last one of its server: six bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Announcement {
    persistence: Persistence,
    /// One more than the number, so that none takes no memory.
    timeout: Option<NonZeroU16>,
    max: Option<NonZeroU16>,
}

/// Whether the connection goes on, the stronger word last: close wins wherever it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Persistence {
    /// HTTP/1.1 goes on unless told otherwise.
    #[default]
    Http11,
    /// HTTP/1.0 closes unless told otherwise.
    Http10,
    KeepAlive,
    /// Said by the client, with the request.
    CloseByClient,
    Close,
}

impl Announcement {
    /// That of a message whose first line says HTTP/1.0, or not.
    pub(super) fn of_version(http_1_0: bool) -> Announcement {
        let persistence = if http_1_0 { Persistence::Http10 } else { Persistence::Http11 };
        Announcement { persistence, ..Announcement::default() }
    }

    /// Takes the value of a `Connection` header.
    pub(super) fn connection(&mut self, value: &[u8]) {
        if contains_token(value, b"close") {
            self.persistence = Persistence::Close;
        } else if contains_token(value, b"keep-alive") {
            self.persistence = self.persistence.max(Persistence::KeepAlive);
        }
    }

    /// Takes the value of a `Keep-Alive` header: `timeout=5, max=100`.
    pub(super) fn keep_alive(&mut self, value: &[u8]) {
        for part in value.split(|&byte| byte == b',') {
            let Some(equals) = part.iter().position(|&byte| byte == b'=') else { continue };
            let (name, value) = (part[..equals].trim_ascii(), part[equals + 1..].trim_ascii());
            let value = value.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(value);
            let value = number(value).map(|value| u16::try_from(value).unwrap_or(u16::MAX));
            let value = value.and_then(|value| NonZeroU16::new(value.saturating_add(1)));
            if name.eq_ignore_ascii_case(b"timeout") {
                self.timeout = value;
            } else if name.eq_ignore_ascii_case(b"max") {
                self.max = value;
            }
        }
    }

    /// The connection ends with this exchange: whoever received it must not send another request (RFC 9112 section 9.6).
    /// A word for it as it is in the headers.
    pub fn closes(&self) -> Option<&'static str> {
        match self.persistence {
            Persistence::Close | Persistence::CloseByClient => Some("Connection: close"),
            Persistence::Http10 => Some("HTTP/1.0 without keep-alive"),
            _ if self.max_requests() == Some(0) => Some("Keep-Alive: max=0"),
            Persistence::Http11 | Persistence::KeepAlive => None,
        }
    }

    /// It was asked for in so many words.
    pub(in crate::connection) fn says_close(&self) -> bool {
        self.persistence == Persistence::Close
    }

    /// The same where the request had asked for it.
    pub(in crate::connection) fn of_client_that_closes(self) -> Announcement {
        Announcement { persistence: self.persistence.max(Persistence::CloseByClient), ..self }
    }

    /// Not the server has said that the connection ends, but the client.
    pub fn is_said_by_client(&self) -> bool {
        self.persistence == Persistence::CloseByClient
    }

    /// The idle time after which the connection is said to close, s.
    pub fn timeout_s(&self) -> Option<u16> {
        self.timeout.map(|timeout| timeout.get() - 1)
    }

    /// The requests that the connection is said to take still.
    pub fn max_requests(&self) -> Option<u16> {
        self.max.map(|max| max.get() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(http_1_0: bool, lines: &[(&str, &str)]) -> Announcement {
        let mut said = Announcement::of_version(http_1_0);
        for (name, value) in lines {
            match *name {
                "connection" => said.connection(value.as_bytes()),
                _ => said.keep_alive(value.as_bytes()),
            }
        }
        said
    }

    #[test]
    fn close_wins_wherever_it_stands_and_http_1_0_needs_to_be_told_to_go_on() {
        let close = Some("Connection: close");
        assert_eq!(said(false, &[]).closes(), None);
        assert_eq!(said(false, &[("connection", "close"), ("connection", "keep-alive")]).closes(), close);
        assert_eq!(said(false, &[("connection", "Upgrade, Close")]).closes(), close);
        assert_eq!(said(false, &[("connection", "closed")]).closes(), None);
        assert_eq!(said(true, &[]).closes(), Some("HTTP/1.0 without keep-alive"));
        assert_eq!(said(true, &[("connection", "Keep-Alive")]).closes(), None);
        assert_eq!(said(true, &[("connection", "keep-alive, close")]).closes(), close);
        assert_eq!(said(false, &[("keep-alive", "timeout=5, max=0")]).closes(), Some("Keep-Alive: max=0"));
    }

    #[test]
    fn times_and_numbers_are_read_as_servers_write_them() {
        let read = |value: &str| {
            let said = said(false, &[("keep-alive", value)]);
            (said.timeout_s(), said.max_requests())
        };
        assert_eq!(read("timeout=5, max=100"), (Some(5), Some(100)));
        assert_eq!(read("timeout=5,max=99"), (Some(5), Some(99)));
        assert_eq!(read("max=7"), (None, Some(7)));
        assert_eq!(read("Timeout = \"15\""), (Some(15), None));
        assert_eq!(read("timeout=0"), (Some(0), None));
        assert_eq!(read("timeout=4294967296"), (Some(u16::MAX - 1), None));
        for odd in ["300", "", "timeout=", "timeout=5s", "timeout=-1", "timeouts=5"] {
            assert_eq!(read(odd), (None, None), "{odd}");
        }
    }

    #[test]
    fn an_announcement_takes_six_bytes_also_where_there_may_be_none() {
        assert_eq!(size_of::<Option<Announcement>>(), 6);
    }
}
