//! A postmortem: one Markdown page that tells a capture's losses to a manager, a vendor and whoever has to change a
//! setting, each statement with the frames that prove it.
//!
//! The page is made from the report, the packets of one example of each kind of loss, and the digests of the captures. It
//! holds no time of writing: the same captures give the same page.

mod cause;
mod change;
mod facts;
mod impact;
mod verify;
mod words;

use std::fmt::Write;

use super::markdown::{code, escape};
use super::units::{count, counted, date, duration, time_of_day};
use super::visible::visible;
use crate::report::{Confidence, Incident, Report, Trace, Verdict};

pub use words::Kind;

/// How the file name of a timeline begins.
pub const TIMELINE: &str = "timeline-";

/// What the page is made of.
#[derive(Debug)]
pub struct Postmortem<'a> {
    /// What the captures show.
    pub report: &'a Report,
    /// One for each of [`groups`], in that order.
    pub stories: &'a [Story],
    /// SHA-256 of each capture of the report, in hexadecimal; none where it came by a pipe or could not be read again.
    pub digests: &'a [Option<String>],
    /// Charts of the whole capture.
    pub charts: &'a [Picture],
    /// The other files that lie beside the page: name, and what it is.
    pub files: &'a [(String, String)],
    /// The command that made the page.
    pub command: &'a str,
}

/// The packets of the example of a group.
#[derive(Debug, Default)]
pub struct Story {
    /// None where the capture cannot be read again.
    pub trace: Option<Trace>,
    /// The ladder.
    pub picture: Option<Picture>,
}

/// A picture beside the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its file name.
    pub file: String,
    /// What it shows, in a sentence.
    pub caption: String,
}

/// Incidents with one explanation and one cure.
#[derive(Debug)]
pub struct Group<'a> {
    /// Their kind.
    pub kind: Kind,
    /// All of them, in the order of the report.
    pub incidents: Vec<&'a Incident>,
}

impl<'a> Group<'a> {
    /// The one that is shown: the first that is certain, else the first.
    pub fn example(&self) -> &'a Incident {
        let certain = self.incidents.iter().find(|incident| incident.confidence == Confidence::Certain);
        certain.unwrap_or(&self.incidents[0])
    }

    /// Their servers, each once, in the order of the report.
    fn servers(&self) -> Vec<&'a str> {
        each_once(self.incidents.iter().map(|incident| incident.server.as_str()))
    }
}

/// The incidents of a report by kind: first the race, then in the order in which kinds first occur. No group is empty.
pub fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for incident in &report.incidents {
        let kind = Kind::of(incident);
        match groups.iter_mut().find(|group| group.kind == kind) {
            Some(group) => group.incidents.push(incident),
            None => groups.push(Group { kind, incidents: vec![incident] }),
        }
    }
    groups.sort_by_key(|group| !group.incidents[0].race);
    groups
}

/// Writes the page.
pub fn page(postmortem: &Postmortem<'_>) -> String {
    let groups = groups(postmortem.report);
    let mut page = Page { postmortem, groups: &groups, text: String::new() };
    page.title();
    page.summary();
    if groups.is_empty() {
        page.looked_for();
        page.timers();
    } else {
        page.impact();
        page.timeline();
        page.root_causes();
    }
    page.charts();
    page.changes();
    page.verification();
    page.open_questions();
    page.capture_facts();
    page.files();
    page.text
}

/// The page so far.
struct Page<'a> {
    postmortem: &'a Postmortem<'a>,
    groups: &'a [Group<'a>],
    text: String,
}

impl<'a> Page<'a> {
    fn report(&self) -> &'a Report {
        self.postmortem.report
    }

    fn heading(&mut self, heading: &str) {
        let _ = write!(self.text, "## {heading}\n\n");
    }

    fn paragraph(&mut self, words: &str) {
        self.text += words;
        self.text += "\n\n";
    }

    /// Groups with what is known of their examples.
    fn told(&self) -> impl Iterator<Item = (&'a Group<'a>, &'a Story)> + use<'a> {
        self.groups.iter().zip(self.postmortem.stories)
    }

    fn title(&mut self) {
        let title = title(self.report(), self.groups);
        let form = if self.groups.is_empty() { "" } else { "Postmortem: " };
        let _ = write!(self.text, "# {form}{title}\n\n");
        self.paragraph(
            "*Written by finrace from packets alone. Frame numbers and streams are Wireshark's, times are UTC by the clock \
             of the capturing machine. “Client” is the side that sends requests (often a load balancer or a reverse proxy), \
             “server” the side that answers. A word in code type, such as `crossed-fin`, is finrace's name for a cause.*",
        );
    }

    fn summary(&mut self) {
        let report = self.report();
        self.heading("Summary");
        if !report.summary.conclusive {
            self.paragraph(
                "**Inconclusive: these captures could not have shown every lost request.** What follows may be \
                 incomplete, and that nothing is listed does not mean that nothing was lost. The reasons:",
            );
            for note in &report.summary.notes {
                let _ = writeln!(self.text, "- {}", escape(note));
            }
            self.text.push('\n');
        }
        if report.incidents.is_empty() {
            self.nothing_lost();
            return;
        }
        for group in self.groups {
            let sentence = summary_of(report, group);
            self.paragraph(&sentence);
        }
        if report.summary.filtered_out > 0 {
            let left_out = counted(report.summary.filtered_out, "more incident");
            self.paragraph(&format!(
                "{left_out} of these captures were left out by the filter of the command."
            ));
        }
    }

    fn nothing_lost(&mut self) {
        let summary = &self.report().summary;
        let (requests, connections) =
            (counted(summary.requests, "request"), counted(summary.connections, "connection"));
        let mut words = if summary.filtered_out > 0 {
            format!(
                "No lost request matches the filter; {} left out. The captures hold {requests} on {connections}.",
                counted(summary.filtered_out, "incident")
            )
        } else if summary.conclusive {
            format!("**No request was lost** among {requests} on {connections}.")
        } else {
            format!("No lost request was found among {requests} on {connections}.")
        };
        let at_risk = self.at_risk().count() as u64;
        if at_risk > 0 {
            let _ = write!(
                words,
                " But **it can happen with the timers that were seen**: {} closes idle connections that a client \
                 would still have used ({} at risk).",
                if at_risk == 1 { "one server" } else { "each of several servers" },
                counted(at_risk, "server")
            );
        }
        self.paragraph(&words);
    }

    fn at_risk(&self) -> impl Iterator<Item = &'a crate::report::Server> + use<'a> {
        self.report().servers.iter().filter(|server| server.verdict == Verdict::AtRisk)
    }

    fn looked_for(&mut self) {
        self.heading("What was looked for");
        let words: Vec<&str> =
            crate::report::Cause::ALL.iter().map(|&cause| words::looked_for(cause)).collect();
        self.paragraph(&format!("On each connection: {}.", words.join("; ")));
    }

    fn timers(&mut self) {
        let servers = super::markdown::servers(&self.report().servers);
        if servers.is_empty() {
            return;
        }
        self.heading("The timers that were seen");
        self.text += servers.trim_start();
        self.text.push('\n');
    }

    fn charts(&mut self) {
        // Where something was lost, timelines stand in the section of that name.
        let told = |picture: &&Picture| !self.groups.is_empty() && picture.file.starts_with(TIMELINE);
        let charts: Vec<&Picture> = self.postmortem.charts.iter().filter(|it| !told(it)).collect();
        if charts.is_empty() {
            return;
        }
        self.heading("The captures in pictures");
        for picture in charts {
            self.picture(picture);
        }
    }

    fn picture(&mut self, picture: &Picture) {
        let _ = write!(self.text, "![{}]({})\n\n", escape(&picture.caption), picture.file);
    }

    fn files(&mut self) {
        if self.postmortem.files.is_empty() {
            return;
        }
        self.heading("Files beside this page");
        self.text += "| file | what it is |\n|---|---|\n";
        for (name, what) in self.postmortem.files {
            let _ = writeln!(self.text, "| {} | {} |", code(name), escape(what));
        }
        self.text.push('\n');
        self.paragraph(concat!(
            "Made by finrace ",
            env!("CARGO_PKG_VERSION"),
            " with this command; the same captures give the same page:"
        ));
        self.commands(&[self.postmortem.command.to_owned()]);
    }

    /// Commands to copy. One that holds a backtick is fenced by more of them.
    fn commands(&mut self, lines: &[String]) {
        let text = lines.iter().map(|line| visible(line).into_owned()).collect::<Vec<_>>().join("\n");
        let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat((longest + 1).max(3));
        let _ = write!(self.text, "{fence}sh\n{text}\n{fence}\n\n");
    }
}

/// What became of how many requests.
fn title(report: &Report, groups: &[Group<'_>]) -> String {
    let lost = report.incidents.len() as u64;
    let race = report.incidents.iter().filter(|incident| incident.race).count() as u64;
    let failures = || match groups.iter().any(|group| group.kind.is_of_connecting()) {
        true => counted(lost, "failure"),
        false => format!("{} without an answer", counted(lost, "request")),
    };
    match (groups, lost) {
        ([], _) if !report.summary.conclusive => {
            "Inconclusive: whether requests were lost cannot be told".to_owned()
        }
        ([], _) if report.summary.filtered_out > 0 => "No lost request matches the filter".to_owned(),
        ([], _) if report.servers.iter().any(|server| server.verdict == Verdict::AtRisk) => {
            "No request was lost yet: idle timers in the wrong order".to_owned()
        }
        ([], _) => "No request was lost".to_owned(),
        (_, lost) if lost == race => format!("{} lost to the keep-alive race", counted(lost, "request")),
        ([only], lost) if only.kind.is_of_connecting() => {
            format!("{} failed: {}", only.kind.counted(lost), only.kind.heading())
        }
        ([only], _) => format!("{}: {}", failures(), only.kind.heading()),
        _ if race > 0 => format!("{}, {} of them lost to the keep-alive race", failures(), count(race)),
        (groups, _) => format!("{} of {} kinds", failures(), groups.len()),
    }
}

/// One kind of loss for a manager: how often, when, where; what happened; whose it is.
fn summary_of(report: &Report, group: &Group<'_>) -> String {
    let example = group.example();
    let number = group.incidents.len() as u64;
    let times: Vec<i64> = group.incidents.iter().map(|incident| incident.time_ns).collect();
    let (first, last) = (times.iter().min().copied().unwrap_or(0), times.iter().max().copied().unwrap_or(0));
    let when = if number == 1 || first == last {
        format!("at {} UTC", moment(first))
    } else {
        format!("between {} and {} UTC", moment(first), moment(last))
    };
    let got = if group.kind.is_of_connecting() { "failed" } else { "got no complete answer" };
    let of_all = match report.summary.requests {
        _ if group.kind.is_of_connecting() => String::new(),
        0 => String::new(),
        all => format!(" of {} in the captures", count(all)),
    };
    let servers = group.servers();
    let mut text = format!(
        "**{}{of_all} to {} {got}**, {when} ({}{}).",
        group.kind.counted(number),
        named(&servers),
        code(group.kind.cause.token()),
        match example.confidence {
            Confidence::Certain => "",
            Confidence::Likely => ", likely",
            Confidence::Inconclusive => ", not certain",
        },
    );
    let idle: Vec<i64> = group.incidents.iter().filter_map(|incident| incident.idle_ns).collect();
    if let (true, Some(least), Some(most)) =
        (group.kind.is_of_silence(), idle.iter().min(), idle.iter().max())
    {
        let (least, most) = (duration(*least), duration(*most));
        let range = if least == most { least } else { format!("{least} to {most}") };
        let noun = if number == 1 { "connection" } else { "connections" };
        let _ = write!(text, " Before, the {noun} had been idle for {range}.");
    }
    let _ = write!(
        text,
        "\n\n{}\n\n**Who can end it:** {}.\n\n**Cure:** {}",
        group.kind.background(),
        group.kind.owner(),
        escape(&example.advice)
    );
    text
}

/// Servers for a sentence, at most three by name.
fn named(servers: &[&str]) -> String {
    let named: Vec<String> = servers.iter().take(3).map(|server| code(server)).collect();
    match (named.as_slice(), servers.len()) {
        ([one], _) => one.clone(),
        ([init @ .., last], 2 | 3) => format!("{} and {last}", init.join(", ")),
        (some, all) => format!("{} and {} more", some.join(", "), all - some.len()),
    }
}

/// Date and time of day to the microsecond.
fn moment(ns: i64) -> String {
    format!("{} {}", date(ns), time_of_day(ns))
}

/// Values in the order in which they first occur.
fn each_once<'a>(values: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = std::collections::BTreeSet::new();
    values.filter(|value| seen.insert(*value)).collect()
}

#[cfg(test)]
mod tests;
