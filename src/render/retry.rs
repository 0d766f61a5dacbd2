//! What is said of a lost request that was sent again, or perhaps was.

use crate::report::{Incident, Retried, Retry};

use super::units::{count, duration};

/// A remark for a list of lost requests; none where there is nothing to say, or nothing that could be told.
pub fn remark(incident: &Incident) -> Option<String> {
    match (incident.retried, incident.retry) {
        (Retried::Yes, _) => Some("retried: the user saw nothing".to_owned()),
        (Retried::Failed, retry) => {
            Some(format!("the same request was sent again and failed, too{}", status(retry)))
        }
        (Retried::Maybe, Some(retry)) => Some(format!(
            "an equal request followed {} later on {}{}: a retry, or somebody else’s",
            duration(retry.after_ns),
            stream(incident, retry),
            if is_failure(retry) { " and failed, too" } else { "" }
        )),
        (Retried::Unknown, Some(retry)) => Some(format!(
            "sent again on {}; whether that helped is not in the capture",
            stream(incident, retry)
        )),
        (Retried::No | Retried::Maybe | Retried::Unknown, _) => None,
    }
}

/// The same for a fact sheet, which says in each case what is known.
pub fn fact(incident: &Incident) -> String {
    match (incident.retried, incident.retry) {
        (Retried::Yes, Some(retry)) => format!(
            "yes, {} later on {}, and answered{} there: the user saw nothing",
            duration(retry.after_ns),
            stream(incident, retry),
            status(Some(retry))
        ),
        (Retried::No, _) => "not seen in this capture".to_owned(),
        (Retried::Unknown, None) => format!("cannot be told: {}", why_unknown(incident)),
        (Retried::Maybe, _) => format!("maybe: {}", remark(incident).unwrap_or_default()),
        _ => remark(incident).unwrap_or_default(),
    }
}

/// One word for a column.
pub const fn word(retried: Retried) -> &'static str {
    match retried {
        Retried::Yes => "yes",
        Retried::No => "no",
        Retried::Maybe => "maybe",
        Retried::Failed => "yes, failed",
        Retried::Unknown => "not told",
    }
}

fn why_unknown(incident: &Incident) -> &'static str {
    match incident.request.protocol.as_str() {
        _ if incident.request.bytes == 0 => "no request was sent yet",
        "tls" => "it is encrypted, and what is encrypted is never twice the same",
        "http2" => "in HTTP/2 the same request has other bytes on another connection",
        "http" if incident.request.method.is_some() => {
            "too many were lost at the same time, or too little of it was captured"
        }
        _ => "in this protocol the same request may have other bytes the second time",
    }
}

fn stream(incident: &Incident, retry: Retry) -> String {
    let stream = count(retry.stream.into());
    if retry.capture == incident.capture {
        format!("stream {stream}")
    } else {
        format!("stream {stream} of another file")
    }
}

/// ` (503)`.
fn status(retry: Option<Retry>) -> String {
    retry.and_then(|retry| retry.status).map_or_else(String::new, |status| format!(" ({status})"))
}

fn is_failure(retry: Retry) -> bool {
    retry.status.is_some_and(|status| status >= 500)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    fn incident(retried: Retried, status: Option<u16>) -> Incident {
        let (_, incident) = fixtures::retried();
        Incident { retried, retry: incident.retry.map(|retry| Retry { status, ..retry }), ..incident }
    }

    #[test]
    fn only_an_answered_retry_leaves_the_user_unharmed() {
        let harmless: Vec<Retried> = Retried::ALL
            .iter()
            .copied()
            .filter(|&retried| {
                let incident = incident(retried, Some(200));
                let said = [remark(&incident).unwrap_or_default(), fact(&incident)].concat();
                said.contains("saw nothing")
            })
            .collect();
        assert_eq!(harmless, [Retried::Yes]);
    }

    #[test]
    fn what_is_said_names_the_other_request() {
        let said: Vec<String> = [
            (Retried::Yes, Some(200)),
            (Retried::Maybe, Some(200)),
            (Retried::Maybe, Some(503)),
            (Retried::Failed, Some(503)),
            (Retried::Failed, None),
            (Retried::Unknown, None),
        ]
        .into_iter()
        .map(|(retried, status)| fact(&incident(retried, status)))
        .collect();
        insta::assert_snapshot!(said.join("\n"), @"
        yes, 0.400 s later on stream 9, and answered (200) there: the user saw nothing
        maybe: an equal request followed 0.400 s later on stream 9: a retry, or somebody else’s
        maybe: an equal request followed 0.400 s later on stream 9 and failed, too: a retry, or somebody else’s
        the same request was sent again and failed, too (503)
        the same request was sent again and failed, too
        sent again on stream 9; whether that helped is not in the capture
        ");
    }

    #[test]
    fn why_nothing_can_be_told_depends_on_the_bytes() {
        let said = ["tls", "http2", "http", "data"].map(|protocol| {
            let mut incident = Incident { retry: None, ..incident(Retried::Unknown, None) };
            incident.request.protocol = protocol.to_owned();
            (remark(&incident), fact(&incident))
        });
        assert!(said.iter().all(|(remark, fact)| remark.is_none() && fact.starts_with("cannot be told: ")));
        assert!(said[0].1.contains("encrypted") && !said[3].1.contains("encrypted"));
    }
}
