//! The methods that a request is recognised by.

pub(crate) const METHODS: [&str; 24] = [
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "REPORT",
    "SEARCH",
    "LOCK",
    "UNLOCK",
    "MERGE",
    "QUERY",
    "PURGE",
    "NOTIFY",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
];

/// A method name from the closed list that finrace recognises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method(u8);

impl Method {
    /// The method at the start of `bytes`, if a known one followed by a space stands there.
    pub fn at_start(bytes: &[u8]) -> Option<Method> {
        METHODS
            .iter()
            .position(|name| {
                bytes.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b' '))
            })
            .map(|index| Method(index as u8))
    }

    /// Whether `bytes`, which may be cut, can be the beginning of a known one and the space behind it.
    pub fn may_be_at_start(bytes: &[u8]) -> bool {
        METHODS.iter().any(|name| {
            let (name, len) = (name.as_bytes(), name.len().min(bytes.len()));
            bytes[..len] == name[..len] && bytes.get(len).is_none_or(|&next| next == b' ')
        })
    }

    /// The name.
    pub fn name(self) -> &'static str {
        METHODS[usize::from(self.0)]
    }

    /// Idempotent by definition (RFC 9110 section 9.2.2), so that clients retry it by themselves.
    pub fn is_idempotent(self) -> bool {
        !matches!(self.name(), "POST" | "PATCH" | "CONNECT")
    }
}
