//! A finding as an incident of the report.

use crate::connection::{Connection, Exchange, Moment, Protocol, Retries, Seq};
use crate::diagnosis::{self, Finding, Place, ServerTimers};
use crate::packet::Endpoint;
use crate::report::{self, Cause, Confidence, Incident, Retried, Root, Side, Vantage};

use super::files::Files;
use super::retried::{self, Lost};

/// A finding that waits for its words: advice needs the timers of all connections.
pub(super) struct Pending {
    pub incident: Incident,
    pub finding: Finding,
    pub client: Endpoint,
    pub server: Endpoint,
    /// Number of its trace.
    pub trace: u32,
    /// Where it begins: the request, or the SYN where there was none. Frames are counted through the trace.
    pub start: Moment,
    /// Its numbers and length, where it has all of its own.
    pub numbers: Option<(Seq, Seq, u32)>,
    /// An equal request would be recognised.
    pub recognisable: bool,
    /// It is kept only because a filter asks for it: without one there was no more room.
    pub asked_for: bool,
}

impl Pending {
    /// The incident of a finding; none where the capture lacks what it begins with.
    pub fn of(
        files: &Files,
        connection: &Connection,
        mut finding: Finding,
        vantage: Vantage,
    ) -> Option<Pending> {
        let exchange = finding.exchange.and_then(|index| connection.exchanges.get(index));
        let start = exchange
            .map(|exchange| exchange.request.into())
            .or_else(|| connection.half(Side::Client).syn().map(Moment::from))?;
        let (place, stream) = files.stream_at(connection, start);
        let mut incident = Incident {
            id: 0,
            cause: finding.cause,
            confidence: finding.confidence,
            capture: place.frame.capture,
            stream,
            client: connection.endpoint(Side::Client).to_string(),
            server: connection.endpoint(Side::Server).to_string(),
            time_ns: start.time_ns,
            idle_ns: finding.idle_ns,
            idle_at_least_ns: finding.idle_at_least_ns,
            idle_at_close_ns: finding.idle_at_close_ns(),
            silence_ns: finding.silence_ns,
            path_loss: finding.path_loss,
            requests_before: finding.requests_before,
            first_request: finding.place == Place::First,
            announced: finding.announced,
            ack_covers_fin: finding.ack_covers_fin,
            fin_to_request_ns: finding.fin_to_request_ns(),
            request: request(connection, exchange),
            frames: Default::default(),
            frames_elsewhere: Default::default(),
            resets: connection.half(Side::Server).rsts(),
            evidence: std::mem::take(&mut finding.evidence),
            counter_evidence: std::mem::take(&mut finding.counter_evidence),
            retry_safe: finding.retry_safe,
            retried: Retried::Unknown,
            retry: None,
            vantage,
            race: finding.is_race(),
            root: Root::Cause,
            would_log: Default::default(),
            what_happened: String::new(),
            advice: String::new(),
        };
        for (role, moment) in &finding.frames {
            let found = files.locate(moment.frame());
            if found.file == place.file {
                incident.frames.insert(*role, found.frame.frame);
            } else {
                incident.frames_elsewhere.insert(*role, found.frame);
            }
        }
        Some(Pending {
            incident,
            client: connection.endpoint(Side::Client),
            server: connection.endpoint(Side::Server),
            trace: files.trace,
            start,
            numbers: exchange.map(|Exchange { request, .. }| (request.seq, request.ack, request.len)),
            recognisable: exchange.is_some_and(|exchange| retried::would_be_recognised(connection, exchange)),
            finding,
            asked_for: false,
        })
    }

    /// Takes over what is known by now of further tries.
    pub fn follow(&mut self, files: &Files, retries: &Retries, lost: &Lost) {
        if self.numbers.is_some() {
            let frame = self.start.frame();
            (self.incident.retried, self.incident.retry) =
                retried::retried(files, retries, lost, frame, self.recognisable);
        }
    }

    /// The cause by its packets, and the one that the timers of its server may make of it ([`Pending::told`]).
    pub fn possible_causes(&self) -> [Cause; 2] {
        match self.incident.cause {
            Cause::DiedMidRequest => [Cause::DiedMidRequest, Cause::DiscardedRequest],
            other => [other; 2],
        }
    }

    /// The incident with its number, in the words that the server's timers suggest.
    pub fn told(self, id: u32, timers: &ServerTimers) -> Incident {
        let Pending { mut incident, mut finding, start, client, .. } = self;
        if diagnosis::discarded_by_timer(&mut finding, timers) {
            incident.cause = finding.cause;
            incident.confidence = finding.confidence;
            incident.retry_safe = finding.retry_safe;
            incident.evidence = std::mem::take(&mut finding.evidence);
            incident.counter_evidence = std::mem::take(&mut finding.counter_evidence);
            incident.race = finding.is_race();
        }
        diagnosis::bound_idle_time(&mut finding, start.time_ns, timers);
        incident.idle_at_least_ns = finding.idle_at_least_ns;
        let story = diagnosis::tell(&finding, timers, timers.paths.of(client.ip()).as_ref());
        incident.id = id;
        incident.root = diagnosis::root(&finding, timers);
        // The packets are those of the race; what made them was a restart, and timers cannot cure it.
        incident.race &= incident.root != Root::Restart;
        incident.what_happened = story.what_happened;
        incident.advice = story.advice;
        incident.would_log = diagnosis::would_log(incident.cause);
        incident
    }

    /// What it died of, and how sure that is.
    pub fn verdict(&self) -> (Cause, Confidence) {
        (self.incident.cause, self.incident.confidence)
    }

    /// A request that its server's host refused to connect for.
    pub fn is_refusal(&self) -> bool {
        self.incident.cause == Cause::Refused
    }
}

fn request(connection: &Connection, exchange: Option<&Exchange>) -> report::Request {
    let protocol = match connection.protocol {
        Protocol::Http => "http",
        Protocol::Http2 => "http2",
        Protocol::Tls => "tls",
        Protocol::Data | Protocol::Unknown => "data",
    };
    report::Request {
        method: exchange.and_then(|exchange| exchange.method).map(|method| method.name().to_owned()),
        path: exchange
            .filter(|exchange| exchange.method.is_some())
            .map(|exchange| String::from_utf8_lossy(&exchange.path).into_owned()),
        bytes: exchange.map_or(0, |exchange| u64::from(exchange.bytes())),
        protocol: protocol.to_owned(),
    }
}
