//! The root causes: what happened, drawn, and proven in a few lines.

use std::fmt::Write;

use super::words::Kind;
use super::{Group, Page, Story, named};
use crate::render::markdown::{code, diagram, escape, heading, list};
use crate::render::report_text::show;
use crate::render::units::{counted, time_of_day};
use crate::report::{Incident, Report, Role, Segment, Side, Trace};

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
                counted(number, "request"),
                named(&group.servers()),
                example.id
            );
        }
        self.paragraph(&words);
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
        let of = if matches!(file, "" | "-") { String::new() } else { format!(" of {}", code(file)) };
        let filter =
            format!("To check it: in Wireshark{of} the display filter `tcp.stream eq {}`", example.stream);
        match show(self.report(), example) {
            Some(which) => {
                self.paragraph(&format!("{filter}, or"));
                self.commands(&[format!("finrace show {which}")]);
            }
            // A capture from a pipe is gone: only whoever kept it can look.
            None => self.paragraph(&format!("{filter}, where the capture was kept.")),
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

/// `frame 285`, with its file where it is not the incident's.
pub(super) fn frame(report: &Report, incident: &Incident, trace: &Trace, segment: &Segment) -> String {
    let number = match (segment.frame, segment.peer_frame) {
        (0, Some(there)) => format!("frame {there} (at the server)"),
        (here, _) => format!("frame {here}"),
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
