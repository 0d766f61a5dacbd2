//! A capture for Wireshark in which the packets that decide say what they decide.

use std::collections::BTreeMap;
use std::path::Path;

use thiserror::Error;

use crate::capture::{self, Copied, CopyError, Edit, Interrupt, Record};
use crate::destination::{Destination, DestinationError};
use crate::report::{Cause, Incident, Report, Role};

use super::notes::time_of_day;

/// Incidents listed in the comment of a section; more would not fit (65 535 bytes), and nobody reads as many there.
const MAX_LISTED: usize = 100;

/// An annotated capture that could not be written.
#[derive(Debug, Error)]
pub enum AnnotateError {
    /// The copy failed.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The report has no such capture.
    #[error("the report has no capture {0}")]
    NoSuchCapture(u32),
    /// The user wants no more.
    #[error("interrupted: the annotated copy was not written")]
    Interrupted,
    /// The file cannot be made.
    #[error(transparent)]
    Destination(#[from] DestinationError),
}

/// Writes a copy of a capture of the report as pcapng: the frames that prove an incident carry its verdict and their role as
/// comments, the first section the summary. All else is as it was (see [`capture::copy`]). The file appears when it is whole.
///
/// # Errors
/// The capture cannot be read again, or the copy cannot be written.
pub fn annotate(
    report: &Report,
    capture: u32,
    path: &Path,
    output: &Destination,
    interrupt: &Interrupt,
) -> Result<Copied, AnnotateError> {
    if usize::try_from(capture).map_or(true, |at| at >= report.captures.len()) {
        return Err(AnnotateError::NoSuchCapture(capture));
    }
    let comments = frame_comments(report, capture);
    let summary = section_comment(report, capture);
    let mut edit = |frame, _: &Record<'_>| Edit::Keep(comments.get(&frame).cloned().unwrap_or_default());
    let mut staged = output.stage()?;
    let copied = capture::copy(path, interrupt, Some(&summary), staged.file(), &mut edit)?;
    if interrupt.is_raised() {
        return Err(AnnotateError::Interrupted);
    }
    staged.keep()?;
    Ok(copied)
}

/// What the deciding frames of a capture say, by frame number: a comment for each incident that they decide.
fn frame_comments(report: &Report, capture: u32) -> BTreeMap<u64, Vec<String>> {
    let mut comments: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for incident in &report.incidents {
        for (role, frame) in frames_in(incident, capture) {
            comments.entry(frame).or_default().push(frame_comment(incident, role));
        }
    }
    comments
}

/// The frames of an incident that lie in a capture.
fn frames_in(incident: &Incident, capture: u32) -> impl Iterator<Item = (Role, u64)> + '_ {
    let own = incident.frames.iter().filter(move |_| incident.capture == capture);
    let elsewhere = incident.frames_elsewhere.iter().filter(move |(_, it)| it.capture == capture);
    own.map(|(role, frame)| (*role, *frame)).chain(elsewhere.map(|(role, it)| (*role, it.frame)))
}

/// `finrace: incident 3, crossed-fin: the lost request, POST /orders. …`
fn frame_comment(incident: &Incident, role: Role) -> String {
    let mut comment = format!(
        "finrace: incident {}, {} ({}): {}",
        incident.id,
        incident.cause,
        incident.confidence,
        meaning(role, incident)
    );
    let is_first =
        role == Role::Request || role == Role::Syn && !incident.frames.contains_key(&Role::Request);
    if is_first {
        for sentence in &incident.evidence {
            comment.push_str("; ");
            comment.push_str(sentence);
        }
    }
    comment
}

/// What a frame is to an incident, in words that stand alone.
fn meaning(role: Role, incident: &Incident) -> String {
    let text = match role {
        Role::Request => return format!("the lost request, {}", incident.request.label()),
        Role::PreviousResponse => "the last answer before it; from here the connection is idle",
        Role::Syn => "the client tries to open the connection",
        Role::Fin => match incident.ack_covers_fin {
            Some(false) => "the server's FIN, which the request's sender had not received",
            Some(true) => "the server's FIN, which the request's sender already had",
            None => "the server's FIN",
        },
        Role::FinAck => "the client's kernel has received the server's FIN",
        Role::RequestAck if incident.cause == Cause::DiscardedRequest => {
            "the request is received and thrown away: the server's sending side is closed"
        }
        Role::RequestAck => "the server's kernel has received the request",
        Role::Response => "the answer begins here",
        Role::Reset => match incident.cause {
            Cause::UnreadRequest => "the RST of a process that closed with the request unread",
            Cause::ResetIdle => "the server resets the idle connection",
            Cause::Refused => "nothing listens on this port",
            Cause::StateLost => "the connection is unknown there",
            Cause::CrossedFin | Cause::StaleReuse => "the RST that answers the lost request",
            _ => "the server's RST",
        },
        Role::Goaway => "the server's GOAWAY: it takes no request above the stream it names",
        Role::ClientFin => "the client closes",
        Role::ClientReset => "the client resets",
    };
    text.to_owned()
}

/// What all incidents of a capture come to.
fn section_comment(report: &Report, capture: u32) -> String {
    let of_capture = |incident: &&Incident| frames_in(incident, capture).next().is_some();
    let incidents: Vec<&Incident> = report.incidents.iter().filter(of_capture).collect();
    let mut by_cause: BTreeMap<Cause, usize> = BTreeMap::new();
    for incident in &incidents {
        *by_cause.entry(incident.cause).or_default() += 1;
    }
    let found = match incidents.len() {
        0 => "no request was lost here".to_owned(),
        count => {
            let s = if count == 1 { "" } else { "s" };
            let causes: Vec<String> =
                by_cause.iter().map(|(cause, count)| format!("{count} {cause}")).collect();
            format!("{count} lost request{s}: {}", causes.join(", "))
        }
    };
    let mut comment = format!("finrace {}: {found}", env!("CARGO_PKG_VERSION"));
    if !report.summary.conclusive {
        comment.push_str("\nThe captures could not have shown every lost request");
    }
    for incident in incidents.iter().take(MAX_LISTED) {
        let frames: Vec<String> =
            frames_in(incident, capture).map(|(role, frame)| format!("{role} {frame}")).collect();
        comment.push_str(&format!(
            "\nincident {}: {}, {}, {}, {} to {}, {}, frames: {}",
            incident.id,
            incident.cause,
            incident.confidence,
            time_of_day(incident.time_ns),
            incident.client,
            incident.server,
            incident.request.label(),
            frames.join(", ")
        ));
    }
    if incidents.len() > MAX_LISTED {
        comment.push_str(&format!("\nand {} more", incidents.len() - MAX_LISTED));
    }
    comment
}
