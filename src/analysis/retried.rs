//! What became of a lost request that was sent again: the last try counts.

use std::collections::HashMap;

use crate::connection::{Connection, Exchange, Protocol, Retries};
use crate::report::{self, Cause, Confidence, Retried};

use super::files::Files;

/// The requests of a trace that were lost, by frame.
pub(super) type Lost = HashMap<u64, (Cause, Confidence)>;

/// Tries followed at most: no proxy has more.
const MOST_TRIES: usize = 64;

/// Whether a request is compared with those of other connections at all. For bytes that are not HTTP, equal ones say
/// something, but that there were none says nothing: most protocols number their messages.
pub(super) fn would_be_recognised(connection: &Connection, exchange: &Exchange) -> bool {
    connection.protocol == Protocol::Http && connection.is_comparable(exchange)
}

/// What followed the lost request of a frame, and whether its user saw anything. A chain of tries is followed to its last
/// one; from the first that may be somebody else's on, nothing is certain any more.
pub(super) fn retried(
    files: &Files,
    retries: &Retries,
    lost: &Lost,
    frame: u64,
    recognisable: bool,
) -> (Retried, Option<report::Retry>) {
    let Some(mut retry) = retries.of(frame) else {
        let known = recognisable && retries.is_sure_of(frame);
        return (if known { Retried::No } else { Retried::Unknown }, None);
    };
    let mut certain = retry.certain;
    for _ in 0..MOST_TRIES {
        match retries.of(retry.frame) {
            Some(next) if certain => retry = next,
            _ => break,
        }
        certain = retry.certain;
    }
    let status = retries.answer(retry.frame).and_then(|answer| answer.status);
    let result = match (lost.get(&retry.frame), retries.answer(retry.frame)) {
        _ if !certain => Retried::Maybe,
        // Whoever had asked went away, or the packets do not tell what was lost.
        (Some((Cause::ClientAbort | Cause::ResponseReset, _)), _) => Retried::Unknown,
        (Some((_, Confidence::Inconclusive)), _) => Retried::Unknown,
        (Some(_), _) => Retried::Failed,
        (None, Some(answer)) if answer.is_failure() => Retried::Failed,
        (None, Some(answer)) if answer.status.is_some() => Retried::Yes,
        (None, _) => Retried::Unknown,
    };
    let at = files.locate(retry.frame).frame;
    let found = report::Retry {
        capture: at.capture,
        stream: retry.stream,
        frame: at.frame,
        after_ns: retry.after_ns,
        status,
    };
    (result, Some(found))
}
