//! The root causes: what happened, drawn, and proven in a few lines.

use std::fmt::Write;

use super::words::Kind;
use super::{Group, Page, Story, named};
use crate::render::markdown::{code, diagram, escape, heading, list};
use crate::render::report_text::show;
use crate::render::units::{duration, time_of_day};
use crate::report::{Cause, Incident, Report, Role, Segment, Side, Trace, Vantage};

/// Lines of evidence.
const LINES: usize = 5;

impl Page<'_> {
    pub(super) fn root_causes(&mut self) {
        self.heading(if self.groups.len() == 1 { "Root cause" } else { "Root causes" });
        for (group, story) in self.told() {
            self.root_cause(group, story);
        }
    }

    fn root_cause(&mut self, group: &Group<'_>, story: &Story) {
        let example = group.example();
        let number = group.incidents.len() as u64;
        let token = group.kind.cause.token();
        let _ = write!(self.text, "### {token}: {}\n\n", group.kind.heading());
        let mut words = escape(&example.what_happened);
        if number > 1 {
            words = format!(
                "{} to {}. No. {} of them, in detail: {words}",
                group.kind.counted(number),
                named(&group.servers()),
                example.id
            );
        }
        self.paragraph(&words);
        if let Some(sentence) = order_of_capture(example) {
            self.paragraph(&sentence);
        }
        // A restart, a limit: what many connections of the server have in common.
        for note in self.report().summary.notes.iter().filter(|note| note.starts_with(&example.server)) {
            self.paragraph(&format!("Seen beside it: {}.", escape(note)));
        }
        if let Some(picture) = &story.picture {
            self.picture(picture);
        }
        self.evidence(example, group.kind, story.trace.as_ref());
        let _ = write!(self.text, "{}:\n\n{}\n", heading(example), list(&example.evidence));
        if !example.counter_evidence.is_empty() {
            let against = list(&example.counter_evidence);
            let _ = write!(self.text, "What would speak against it was looked for:\n\n{against}\n");
        }
        if let Some(trace) = &story.trace {
            let _ = write!(
                self.text,
                "<details><summary>The same as a diagram in text, for issues and wikis</summary>\n\n{}\n</details>\n\n",
                diagram(trace, Some(example))
            );
        }
        let file = self.report().file_of(example.capture);
        let file = if matches!(file, "" | "-") { "the capture".to_owned() } else { code(file) };
        let stream = format!("`tcp.stream eq {}`", example.stream);
        let filter = format!("To check it: open {file} in Wireshark with the display filter {stream}");
        match show(self.report(), example) {
            Some(which) => {
                self.paragraph(&format!("{filter}, or"));
                self.commands(&[format!("finrace show {which}")]);
            }
            // A capture from a pipe is gone: only whoever kept it can look.
            None => self.paragraph(&format!("{filter}, if it was kept.")),
        }
    }

    /// The deciding frames in order, five at most.
    fn evidence(&mut self, example: &Incident, kind: Kind, trace: Option<&Trace>) {
        let Some(trace) = trace else {
            self.frames_only(example, kind);
            return;
        };
        let report = self.report();
        let mut segments: Vec<&Segment> = trace.segments.iter().filter(|it| it.role.is_some()).collect();
        while segments.len() > LINES {
            let least = (0..segments.len()).max_by_key(|&index| weight(segments[index].role)).unwrap_or(0);
            segments.remove(least);
        }
        self.text += "| frame | UTC | who | what | why it matters |\n|---|---|---|---|---|\n";
        for segment in segments {
            let Some(role) = segment.role else { continue };
            let [client, server] = [&trace.lanes[0].name, &trace.lanes[1].name];
            let who = match segment.from {
                Side::Client => client,
                Side::Server => server,
            };
            let _ = writeln!(
                self.text,
                "| {} | {} | {} | {} | {} |",
                frame(report, example, trace, segment),
                time_of_day(segment.sent_ns),
                escape(who),
                what(segment),
                escape(kind.why(role, example))
            );
        }
        self.text.push('\n');
    }

    /// The same without times, where the capture cannot be read again.
    fn frames_only(&mut self, example: &Incident, kind: Kind) {
        let mut frames: Vec<(u64, Role)> =
            example.frames.iter().map(|(role, &frame)| (frame, *role)).collect();
        frames.sort_by_key(|(_, role)| weight(Some(*role)));
        frames.truncate(LINES);
        frames.sort_unstable();
        self.text += "| frame | what | why it matters |\n|--:|---|---|\n";
        for (frame, role) in frames {
            let why = escape(kind.why(role, example));
            let _ = writeln!(self.text, "| {frame} | {} | {why} |", role.token().replace('_', " "));
        }
        self.text.push('\n');
    }
}

/// Why the frames of a crossing stand in the order in which they do: the first question of whoever looks at the capture.
fn order_of_capture(incident: &Incident) -> Option<String> {
    let crossed = matches!(incident.cause, Cause::CrossedFin | Cause::DiscardedRequest);
    let between_ns =
        incident.fin_to_request_ns.filter(|_| crossed && incident.ack_covers_fin == Some(false))?;
    let gap = duration(between_ns.saturating_abs());
    let place = match incident.vantage {
        Vantage::Server => ", which was taken at the server,",
        Vantage::Client => ", which was taken at the client,",
        Vantage::Between => ", which was taken on the way,",
        Vantage::Unknown => "",
    };
    Some(if between_ns >= 0 {
        format!(
            "In this capture{place} the request stands {gap} behind the close. It was sent all the same before its sender \
             could know: not the order of capture tells that, but the acknowledgement number of the request. It says what \
             the sender had received so far, and the close was not part of it."
        )
    } else {
        format!(
            "In this capture{place} the request stands {gap} before the close: that is how a crossing looks from there. \
             The acknowledgement number of the request proves the same: it says what the sender had received so far, and \
             the close was not part of it."
        )
    })
}

/// How dispensable a role is.
fn weight(role: Option<Role>) -> u8 {
    match role {
        Some(Role::Request) => 0,
        Some(Role::Fin | Role::Goaway) => 1,
        Some(Role::Reset | Role::ClientReset) => 2,
        Some(Role::RequestAck | Role::Response) => 3,
        Some(Role::FinAck) => 4,
        Some(Role::PreviousResponse) => 5,
        Some(Role::ClientFin) => 6,
        Some(Role::Syn) => 7,
        None => 8,
    }
}

/// `285`, with its file where it is not the incident's.
pub(super) fn frame(report: &Report, incident: &Incident, trace: &Trace, segment: &Segment) -> String {
    let number = match (segment.frame, segment.peer_frame) {
        (0, Some(there)) => format!("{there} (at the server)"),
        (here, _) => here.to_string(),
    };
    match trace.files.get(segment.file as usize) {
        Some(file) if file != report.file_of(incident.capture) => format!("{number} of {}", code(file)),
        _ => number,
    }
}

/// Flags, numbers and size: what a sceptic finds in that frame.
fn what(segment: &Segment) -> String {
    let mut facts = vec![segment.flags.clone(), format!("seq {}", segment.seq)];
    facts.extend(segment.ack.map(|ack| format!("ack {ack}")));
    if segment.len > 0 {
        facts.push(format!("{} B", segment.len));
    }
    let text = escape(&facts.join(", "));
    match (segment.len, segment.count) {
        (1.., 1) => format!("{}: {text}", code(&segment.label)),
        (1.., count) => format!("{} (×{count}): {text}", code(&segment.label)),
        (0, 1) => text,
        (0, count) => format!("{text} (×{count})"),
    }
}
