//! What an analysis says while it runs.

use crate::report::Incident;

/// How far an analysis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes read of all captures, as they lie in their files.
    pub bytes: u64,
    /// Bytes that all captures have; none when one of them is a pipe.
    pub bytes_total: Option<u64>,
    /// Packets read.
    pub packets: u64,
    /// Incidents found so far. More come when the connections that are still open are judged.
    pub incidents: u64,
}

/// Is told while an analysis runs. The analysis itself stays silent; by default nothing is done with what it tells.
pub trait Observer {
    /// Called every few thousand packets.
    fn progress(&mut self, progress: &Progress) {
        let _ = progress;
    }

    /// Called with each incident, once its words are final: with [`super::Options::live`] as soon as it is certain, otherwise
    /// at the end.
    fn incident(&mut self, incident: &Incident) {
        let _ = incident;
    }
}

/// Nobody looks.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {}
