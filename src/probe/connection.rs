//! One connection to the server under probe.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout, timeout_at};

use crate::duration::format_duration;

use super::response::{self, Body, Facts, LARGEST_BODY};
use super::way::{ReadEnd, Way, Wire};
use super::{Ending, LateRequest, ProbeError, Sample};

/// How long to wait for a whole response, if the deadline is not sooner.
const ANSWER: Duration = Duration::from_secs(60);
/// Interim responses before one that counts: a server seldom sends two.
const MOST_INTERIM: u32 = 16;
/// How long a RST may take after a late request: longer than any round trip that is worth measuring across.
const LATE: Duration = Duration::from_secs(1);
/// How long the FIN may take after a close_notify of TLS.
const FIN_AFTER_NOTIFY: Duration = Duration::from_secs(1);
/// How often to look for that RST.
const LOOK: Duration = Duration::from_millis(5);
/// Largest response head.
const LARGEST_HEAD: usize = 64 * 1024;

/// Bytes on an idle connection after which it is none.
const MOST_UNSOLICITED: usize = 1 << 20;

/// To hundredths of a second: nobody reads more digits of a patience.
fn rounded(waited: Duration) -> Duration {
    Duration::from_millis(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX).saturating_add(5) / 10 * 10)
}

/// A connection, the time of the last byte on it, and when everything must be over.
pub(super) struct Link {
    wire: Wire,
    last_byte: Instant,
    deadline: Instant,
    buffer: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Not in time.
    TooLate(Duration),
    /// The server ended the connection instead.
    Ended(String),
    /// What came is no response that can be used.
    Unusable(String),
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoAnswer::TooLate(waited) => write!(f, "no whole response within {}", format_duration(*waited)),
            NoAnswer::Ended(why) | NoAnswer::Unusable(why) => f.write_str(why),
        }
    }
}

impl Link {
    pub(super) async fn open(way: &Way, deadline: Instant) -> Result<Link, ProbeError> {
        let wire = way.open(deadline).await?;
        Ok(Link { wire, last_byte: Instant::now(), deadline, buffer: Vec::new() })
    }

    /// The version of TLS, where it is spoken.
    pub(super) fn tls_version(&self) -> Option<String> {
        self.wire.tls_version()
    }

    /// Sends a request and reads its whole response, until the deadline or for a minute.
    ///
    /// # Errors
    /// Why there is no response.
    pub(super) async fn exchange(&mut self, request: &str, method: &str) -> Result<Facts, NoAnswer> {
        let begun = Instant::now();
        let until = self.deadline.min(begun + ANSWER);
        let answered = async {
            self.wire.send(request.as_bytes()).await.map_err(|error| NoAnswer::Ended(error.to_string()))?;
            self.response(method).await
        };
        timeout_at(until, answered).await.unwrap_or_else(|_| Err(NoAnswer::TooLate(rounded(until - begun))))
    }

    async fn response(&mut self, method: &str) -> Result<Facts, NoAnswer> {
        self.buffer.clear();
        let mut interim = 0;
        let (facts, mut body) = loop {
            let Some((facts, length, body)) =
                response::head(&self.buffer, method).map_err(NoAnswer::Unusable)?
            else {
                if self.buffer.len() > LARGEST_HEAD {
                    return Err(NoAnswer::Unusable("its head is larger than 64 KiB".to_owned()));
                }
                self.more().await?;
                continue;
            };
            self.buffer.drain(..length);
            // An interim response announces the one that counts (RFC 9110 section 15.2).
            if !(100..=199).contains(&facts.status) || facts.status == 101 {
                break (facts, body);
            }
            interim += 1;
            if interim > MOST_INTERIM {
                let why =
                    format!("it sent more than {MOST_INTERIM} interim responses (1xx) and none that counts");
                return Err(NoAnswer::Unusable(why));
            }
        };
        let mut read = 0;
        loop {
            read += self.buffer.len() as u64;
            let ended = match &mut body {
                Body::Length(left) => {
                    *left = left.saturating_sub(self.buffer.len() as u64);
                    *left == 0
                }
                Body::Chunked(chunks) => chunks.ends_in(&self.buffer).map_err(NoAnswer::Unusable)?,
                Body::UntilClose => true,
            };
            if ended {
                return Ok(facts);
            }
            if read > LARGEST_BODY {
                return Err(NoAnswer::Unusable(response::too_large("its body goes on")));
            }
            self.buffer.clear();
            self.more().await?;
        }
    }

    /// At least one byte more.
    async fn more(&mut self) -> Result<(), NoAnswer> {
        match self.wire.receive(&mut self.buffer).await {
            Ok(()) => {
                self.last_byte = Instant::now();
                Ok(())
            }
            Err((_, None)) => Err(NoAnswer::Ended("the server closed the connection".to_owned())),
            Err((_, Some(error))) => Err(NoAnswer::Ended(error.to_string())),
        }
    }

    /// Leaves the connection alone until the server closes it or the wait is over.
    pub(super) async fn idle(&mut self) -> Sample {
        self.idle_unless(std::future::pending()).await
    }

    /// The same, or until nobody wants to know any more.
    pub(super) async fn idle_unless(&mut self, enough: impl Future<Output = ()>) -> Sample {
        let since = self.last_byte;
        let mut unsolicited_status = None;
        self.buffer.clear();
        let mut talks = false;
        let deadline = self.deadline;
        let closed = async {
            let mut unsolicited = 0;
            loop {
                let before = self.buffer.len();
                match self.wire.receive(&mut self.buffer).await {
                    // A 408 that nobody asked for, or something else; only its beginning is worth keeping.
                    Ok(()) => {
                        if unsolicited_status.is_none() && before < LARGEST_HEAD {
                            let head = response::head(&self.buffer, "HEAD").ok().flatten();
                            unsolicited_status = head.map(|(facts, ..)| facts.status);
                        }
                        unsolicited += self.buffer.len() - before;
                        self.buffer.truncate(LARGEST_HEAD);
                        if unsolicited > MOST_UNSOLICITED {
                            talks = true;
                            return None;
                        }
                    }
                    Err((end, _)) => return Some(end),
                }
            }
        };
        let end = tokio::select! {
            end = closed => end,
            () = tokio::time::sleep_until(deadline) => None,
            () = enough => None,
        };
        let idle_ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut close_notify = false;
        let ending = match end {
            None if talks => Ending::Talks,
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
        let until = self.deadline.min(Instant::now() + LATE);
        while Instant::now() < until {
            // A reset of a half-closed connection is an error of the socket; reading would only say "end" again.
            if self.wire.tcp().take_error().ok()?.is_some() {
                return Some(LateRequest::Reset);
            }
            tokio::time::sleep(LOOK).await;
        }
        // Not the whole time was waited for: nothing is known.
        (until < self.deadline).then_some(LateRequest::Discarded)
    }
}
