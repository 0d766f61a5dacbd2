//! Does an extract say what the whole capture says?

use std::collections::BTreeMap;
use std::path::Path;

use crate::analysis::{self, Options};
use crate::capture::Reader;
use crate::report::{Cause, Confidence, Incident, RetrySafe, Role};

use super::{ExtractError, ExtractRequest, Extracted, Written};

/// What an incident has to be in the extract: its verdict, and the frame of each role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Expected {
    verdict: (Cause, Confidence),
    ack_covers_fin: Option<bool>,
    retry_safe: RetrySafe,
    frames: BTreeMap<Role, u64>,
    /// Roles whose frames have not been met, by capture and frame.
    sought: BTreeMap<Role, (u32, u64)>,
    retried: bool,
}

impl Expected {
    /// What the whole capture says; where the frames are in the extract is still to be found.
    pub fn of(incident: &Incident) -> Expected {
        let own = incident.frames.iter().map(|(role, frame)| (*role, (incident.capture, *frame)));
        let elsewhere =
            incident.frames_elsewhere.iter().map(|(role, place)| (*role, (place.capture, place.frame)));
        Expected {
            verdict: (incident.cause, incident.confidence),
            ack_covers_fin: incident.ack_covers_fin,
            retry_safe: incident.retry_safe,
            frames: BTreeMap::new(),
            sought: own.chain(elsewhere).collect(),
            retried: incident.retry.is_some(),
        }
    }

    /// A frame was written, under another number.
    pub fn moved(&mut self, capture: u32, frame: u64, to: u64) {
        let found = |place: &(u32, u64)| *place == (capture, frame);
        let roles: Vec<Role> =
            self.sought.iter().filter(|(_, place)| found(place)).map(|(role, _)| *role).collect();
        for role in roles {
            self.sought.remove(&role);
            self.frames.insert(role, to);
        }
    }

    fn words(&self) -> String {
        format!("{}, {}", self.verdict.0, self.verdict.1)
    }

    fn in_full(&self) -> String {
        let frames: Vec<String> = self.frames.iter().map(|(role, frame)| format!("{role} {frame}")).collect();
        format!("{} (retry safe: {}; frames {})", self.words(), self.retry_safe, frames.join(", "))
    }
}

/// Analyzes the extract and compares.
pub(super) fn checked(
    request: &ExtractRequest<'_>,
    written: &mut Written,
    path: &Path,
    options: &Options,
) -> Result<Extracted, ExtractError> {
    let mut expected = std::mem::take(&mut written.expected);
    expected.sort();
    // The ports that the user named are not those of an anonymised extract.
    let named = if request.anonymize.is_some() { &[][..] } else { &options.server_ports };
    let found = said(path, named, options)?;
    let differs = |found: &[Expected]| !is_same(&expected, found);
    let mut server_port = None;
    if differs(&found) {
        server_port = Some(written.server_port);
        if differs(&said(path, &[written.server_port], options)?) {
            let list = |said: &[Expected]| match said {
                [] => "no lost request".to_owned(),
                said => said.iter().map(Expected::in_full).collect::<Vec<_>>().join("; "),
            };
            return Err(ExtractError::OtherVerdict(format!(
                "the whole capture has {}, the connection alone {}; other connections, a gap between files or dropped packets may \
                 have decided. Keep the whole capture, or cut it with editcap",
                list(&expected),
                list(&found)
            )));
        }
    }
    Ok(Extracted {
        packets: written.packets,
        rebuilt: written.rebuilt,
        verdicts: expected.iter().map(Expected::words).collect(),
        server_port,
        retry_left_out: expected.iter().any(|it| it.retried),
    })
}

fn said(path: &Path, server_ports: &[u16], options: &Options) -> Result<Vec<Expected>, ExtractError> {
    let options = Options { server_ports: server_ports.to_vec(), live: false, ..options.clone() };
    let report = analysis::analyze(vec![Reader::open(path)?], &options);
    let mut said: Vec<Expected> = report
        .incidents
        .iter()
        .map(|incident| {
            let mut said = Expected::of(incident);
            for (role, (_, frame)) in std::mem::take(&mut said.sought) {
                said.frames.insert(role, frame);
            }
            said
        })
        .collect();
    said.sort();
    Ok(said)
}

/// The same verdicts on the same frames. Whether a request was sent again is told by another connection.
fn is_same(expected: &[Expected], found: &[Expected]) -> bool {
    let bare = |it: &Expected| Expected { retried: false, ..it.clone() };
    expected.len() == found.len() && expected.iter().zip(found).all(|(one, other)| bare(one) == bare(other))
}
