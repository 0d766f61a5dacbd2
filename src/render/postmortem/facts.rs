//! What the captures cannot tell, and what they are.

use std::fmt::Write;

use super::{Page, moment};
use crate::render::markdown::{code, escape};
use crate::render::report_text::vantage;
use crate::render::units::{count, counted, duration};
use crate::report::{Cause, Confidence, Retried, Vantage};

/// Below, a capture shows no rate and few closes.
const SHORT_NS: i64 = 600_000_000_000;

impl Page<'_> {
    pub(super) fn open_questions(&mut self) {
        let mut questions = Vec::new();
        self.about_people(&mut questions);
        self.about_certainty(&mut questions);
        self.about_captures(&mut questions);
        self.heading("Open questions");
        self.paragraph("What these captures cannot tell; somebody who was there can:");
        for question in questions {
            let _ = writeln!(self.text, "- {question}");
        }
        self.text.push('\n');
    }

    /// What happened around the packets.
    fn about_people(&self, questions: &mut Vec<String>) {
        let incidents = &self.report().incidents;
        if !incidents.is_empty() {
            let unseen = incidents.iter().any(|incident| incident.retried != Retried::Yes);
            if unseen {
                questions.push(
                    "What did users see? Only this hop was captured. A client may have answered `502` or `503`, or have \
                     sent the request again over another host or another path."
                        .to_owned(),
                );
            }
            questions.push(
                "Since when does it happen, and how often outside of these captures? The client's log knows (see the log \
                 lines above)."
                    .to_owned(),
            );
        }
        let processed = incidents.iter().any(|incident| incident.retry_safe != crate::report::RetrySafe::Yes);
        if processed {
            questions.push(
                "Was the work of the lost requests done? Where the packets do not rule it out, the application's log or \
                 data does."
                    .to_owned(),
            );
        }
        let tls = incidents.iter().any(|incident| incident.request.protocol == "tls");
        if tls {
            questions.push(
                "Which requests were they? They are encrypted: that one was sent again cannot be recognised either."
                    .to_owned(),
            );
        }
    }

    /// Which parts of the story are inferred.
    fn about_certainty(&self, questions: &mut Vec<String>) {
        for group in self.groups {
            let open =
                group.incidents.iter().filter(|it| it.confidence != Confidence::Certain).count() as u64;
            if open > 0 {
                questions.push(format!(
                    "Is it {} in {}? The packets fit, but something that would prove it is missing (see the root cause).",
                    code(group.kind.cause.token()),
                    if open == group.incidents.len() as u64 {
                        counted(open, "incident")
                    } else {
                        format!("{} of {} incidents", count(open), count(group.incidents.len() as u64))
                    }
                ));
            }
        }
        let asks = |cause| self.groups.iter().any(|group| group.kind.cause == cause);
        if asks(Cause::StateLost) {
            questions.push("Which device was it, or was the server restarted in the meantime?".to_owned());
        }
        if asks(Cause::DiedMidRequest) || asks(Cause::TruncatedResponse) {
            questions.push(
                "Why did the server close? Packets show that it did, its own log shows why.".to_owned(),
            );
        }
        let servers = self.servers_with_timers();
        if servers.iter().any(|server| server.client_idle_close.is_none()) {
            questions.push(
                "After how long does the client give up idle connections? It did not close one here. Its configuration \
                 tells, or `finrace probe --upstream`."
                    .to_owned(),
            );
        }
        if !servers.is_empty() {
            questions.push(
                "What are client and server? Products are recognised by their default timers only; versions and \
                 configurations are not in the packets."
                    .to_owned(),
            );
        }
    }

    /// What else the captures leave open.
    fn about_captures(&self, questions: &mut Vec<String>) {
        let report = self.report();
        if report.captures.iter().any(|capture| capture.dropped_by_kernel.is_none()) {
            questions.push(
                "Did the capturing machine drop packets? Not every file records it (pcap cannot). What tcpdump printed at \
                 its end says so."
                    .to_owned(),
            );
        }
        let short = |capture: &crate::report::Capture| matches!((capture.first_ns, capture.last_ns), (Some(first), Some(last)) if last.saturating_sub(first) < SHORT_NS);
        if !report.captures.is_empty() && report.captures.iter().all(short) {
            questions.push(
                "How often does it happen in a day? The captures are too short for a rate; `finrace odds` estimates one \
                 from timers and traffic."
                    .to_owned(),
            );
        }
        if report.captures.len() == 1 {
            questions.push(
                "When did each packet leave and arrive at the other end? One capture has one clock. The verdict does not \
                 depend on it; a capture at the other end would show both times."
                    .to_owned(),
            );
        }
    }

    pub(super) fn capture_facts(&mut self) {
        let report = self.report();
        self.heading("Capture facts");
        let summary = &report.summary;
        self.paragraph(&format!(
            "{}, of them {} of TCP; {} on {}.",
            counted(summary.packets, "packet"),
            count(summary.tcp_packets),
            counted(summary.requests, "request"),
            counted(summary.connections, "connection")
        ));
        for (index, capture) in report.captures.iter().enumerate() {
            let name = if capture.file == "-" { "standard input" } else { &capture.file };
            let digest = match self.postmortem.digests.get(index).and_then(Option::as_deref) {
                Some(digest) => format!("`{digest}`"),
                None => "not known: it came by a pipe, or could not be read again".to_owned(),
            };
            let taken = match vantage(report, index) {
                Vantage::Client => "at the client (from the packets)",
                Vantage::Server => "at the server (from the packets)",
                Vantage::Between => "between client and server (from the packets)",
                Vantage::Unknown => "not told by the packets",
            };
            let dropped = match capture.dropped_by_kernel {
                Some(0) => "none".to_owned(),
                Some(dropped) => format!("**{}: some packets are missing here**", count(dropped)),
                None => "not recorded in this file".to_owned(),
            };
            let skipped: Vec<String> = capture
                .skipped
                .iter()
                .map(|(reason, number)| format!("{} {}", count(*number), escape(reason)))
                .collect();
            let skipped = if skipped.is_empty() { "nothing".to_owned() } else { skipped.join(", ") };
            let span = match (capture.first_ns, capture.last_ns) {
                (Some(first), Some(last)) => format!(
                    "{} to {} UTC, {}",
                    moment(first),
                    moment(last),
                    duration(last.saturating_sub(first))
                ),
                _ => "no packet".to_owned(),
            };
            let links: Vec<String> = capture.link_types.iter().map(|link| escape(link)).collect();
            let _ = write!(self.text, "| | {} |\n|---|---|\n", code(name));
            for (fact, value) in [
                ("SHA-256", digest),
                ("format", format!("{}; {}", escape(&capture.format), links.join(", "))),
                ("packets", count(capture.packets)),
                ("time", span),
                ("taken", taken.to_owned()),
                ("dropped by the capturing kernel", dropped),
                ("skipped", skipped),
            ] {
                let _ = writeln!(self.text, "| {fact} | {value} |");
            }
            if let Some(reason) = &capture.truncated {
                let _ = writeln!(self.text, "| **ends early** | {} |", escape(reason));
            }
            self.text.push('\n');
        }
        let notes: &[String] = if summary.conclusive { &summary.notes } else { &[] };
        for note in notes {
            let _ = writeln!(self.text, "- {}", escape(note));
        }
        if !notes.is_empty() {
            self.text.push('\n');
        }
    }
}
