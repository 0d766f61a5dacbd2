//! One connection to the server under probe.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::response::{self, Body, Facts};
use super::way::{ReadEnd, Way, Wire};
use super::{Ending, LateRequest, ProbeError, Sample};

/// How long to wait for a close.
pub(super) type Wait = Duration;

/// How long to wait for a whole response.
const ANSWER: Duration = Duration::from_secs(60);
/// How long a RST may take after a late request: longer than any round trip that is worth measuring across.
const LATE: Duration = Duration::from_secs(1);
/// How long the FIN may take after a close_notify of TLS.
const FIN_AFTER_NOTIFY: Duration = Duration::from_secs(1);
/// How often to look for that RST.
const LOOK: Duration = Duration::from_millis(5);
/// Largest response head.
const LARGEST_HEAD: usize = 64 * 1024;

/// A connection and the time of the last byte on it.
pub(super) struct Link {
    wire: Wire,
    last_byte: Instant,
    buffer: Vec<u8>,
}

impl Link {
    pub(super) async fn open(way: &Way) -> Result<Link, ProbeError> {
        let wire = way.open().await?;
        Ok(Link { wire, last_byte: Instant::now(), buffer: Vec::new() })
    }

    /// The version of TLS, where it is spoken.
    pub(super) fn tls_version(&self) -> Option<String> {
        self.wire.tls_version()
    }

    /// Sends a request and reads its whole response.
    ///
    /// # Errors
    /// In words: why there is no response.
    pub(super) async fn exchange(&mut self, request: &str, method: &str) -> Result<Facts, String> {
        let answered = async {
            self.wire.send(request.as_bytes()).await.map_err(|error| error.to_string())?;
            self.response(method).await
        };
        timeout(ANSWER, answered).await.map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))?
    }

    async fn response(&mut self, method: &str) -> Result<Facts, String> {
        loop {
            self.buffer.clear();
            let (facts, length, mut body) = loop {
                self.more().await?;
                if let Some(head) = response::head(&self.buffer, method)? {
                    break head;
                }
                if self.buffer.len() > LARGEST_HEAD {
                    return Err("its head is larger than 64 KiB".to_owned());
                }
            };
            // An interim response announces the one that counts (RFC 9110 section 15.2).
            if (100..=199).contains(&facts.status) && facts.status != 101 {
                continue;
            }
            self.buffer.drain(..length);
            loop {
                let ended = match &mut body {
                    Body::Length(left) => {
                        *left = left.saturating_sub(self.buffer.len() as u64);
                        *left == 0
                    }
                    Body::Chunked(chunks) => chunks.ends_in(&self.buffer)?,
                    Body::UntilClose => true,
                };
                if ended {
                    return Ok(facts);
                }
                self.buffer.clear();
                self.more().await?;
            }
        }
    }

    /// At least one byte more.
    async fn more(&mut self) -> Result<(), String> {
        match self.wire.receive(&mut self.buffer).await {
            Ok(()) => {
                self.last_byte = Instant::now();
                Ok(())
            }
            Err((_, None)) => Err("the server closed the connection".to_owned()),
            Err((_, Some(error))) => Err(error.to_string()),
        }
    }

    /// Leaves the connection alone until the server closes it or the wait is over.
    pub(super) async fn idle(&mut self, max_wait: Wait) -> Sample {
        self.idle_unless(max_wait, std::future::pending()).await
    }

    /// The same, or until nobody wants to know any more.
    pub(super) async fn idle_unless(&mut self, max_wait: Wait, enough: impl Future<Output = ()>) -> Sample {
        let since = self.last_byte;
        let mut unsolicited_status = None;
        self.buffer.clear();
        let closed = async {
            loop {
                match self.wire.receive(&mut self.buffer).await {
                    // A 408 that nobody asked for, or something else; only its beginning is worth keeping.
                    Ok(()) => {
                        let head = response::head(&self.buffer, "HEAD").ok().flatten();
                        unsolicited_status = unsolicited_status.or(head.map(|(facts, ..)| facts.status));
                        self.buffer.truncate(LARGEST_HEAD);
                    }
                    Err((end, _)) => return Some(end),
                }
            }
        };
        let end = tokio::select! {
            end = closed => end,
            () = tokio::time::sleep(max_wait) => None,
            () = enough => None,
        };
        let idle_ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut close_notify = false;
        let ending = match end {
            None => Ending::StillOpen,
            Some(ReadEnd::Fin) => Ending::Fin,
            Some(ReadEnd::Reset) => Ending::Reset,
            Some(ReadEnd::CloseNotify) => {
                close_notify = true;
                self.after_notify().await
            }
        };
        Sample { idle_ns, ending, close_notify, unsolicited_status }
    }

    /// What follows the close_notify of TLS on the connection below.
    async fn after_notify(&mut self) -> Ending {
        let mut rest = [0; 1024];
        let tcp = self.wire.tcp();
        let ended = async {
            loop {
                match tcp.read(&mut rest).await {
                    Ok(0) => return Ending::Fin,
                    Ok(_) => {}
                    Err(_) => return Ending::Reset,
                }
            }
        };
        timeout(FIN_AFTER_NOTIFY, ended).await.unwrap_or(Ending::NotifyOnly)
    }

    /// After the server's FIN: sends a request and looks whether a RST comes back. None where that cannot be told.
    pub(super) async fn late(mut self, request: &str) -> Option<LateRequest> {
        self.wire.send(request.as_bytes()).await.ok()?;
        let sent = Instant::now();
        while sent.elapsed() < LATE {
            // A reset of a half-closed connection is an error of the socket; reading would only say "end" again.
            if self.wire.tcp().take_error().ok()?.is_some() {
                return Some(LateRequest::Reset);
            }
            tokio::time::sleep(LOOK).await;
        }
        Some(LateRequest::Discarded)
    }
}
