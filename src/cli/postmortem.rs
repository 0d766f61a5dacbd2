//! `finrace analyze … --postmortem DIR`: the page, its pictures, and what else belongs beside it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::analysis::{self, Options, TraceFile, TraceRequest};
use crate::capture::Interrupt;
use crate::destination::Destination;
use crate::render::postmortem::{self, Group, Picture, Postmortem, Story};
use crate::render::{self, Theme, quoted};
use crate::report::{Incident, Redaction, Report, Server, Timeline, Trace, Verdict};

use super::{annotated, output, picture};

/// The page in its folder.
const PAGE: &str = "postmortem.md";
/// Larger captures are not copied, bytes: `--annotate` does that where it is wanted.
const LARGEST_COPY: u64 = 256 << 20;
/// Fewer closes are told in words: they are no distribution.
const FEWEST_CLOSES: u64 = 3;
/// Charts of one kind; more are looked at by nobody.
const MAX_CHARTS: usize = 4;
/// What is said instead of a command line full of names.
const REDACTED_COMMAND: &str = "finrace analyze CAPTURE... --redact --postmortem DIR";

/// An empty folder that the postmortem is written into.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Names of the files written, and what they are.
    files: Vec<(String, String)>,
}

impl Folder {
    /// Makes the folder, or takes one that is empty: what somebody else wrote must not be overwritten, and old pictures
    /// must not be taken for new ones. Done before the capture is read, so that nobody waits for nothing.
    ///
    /// # Errors
    /// When it holds something, is no folder, or cannot be made.
    pub fn prepare(path: &Path) -> anyhow::Result<Folder> {
        let shown = path.display();
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the folder {shown}: name another one with --postmortem"))?;
        let mut entries = fs::read_dir(path).with_context(|| format!("cannot look into {shown}"))?;
        if entries.next().is_some() {
            bail!("{shown} is not empty: empty it, or name another folder with --postmortem");
        }
        Ok(Folder { path: path.to_owned(), files: Vec::new() })
    }

    /// Writes the page, its pictures and annotated copies of the captures, and says on standard error what was written.
    ///
    /// With a `redaction` page and pictures name nobody, and the captures, which do, are not copied.
    ///
    /// # Errors
    /// When a file cannot be written, or a capture cannot be read a second time.
    pub fn write(
        mut self,
        report: &Report,
        captures: &[PathBuf],
        options: &Options,
        redaction: Option<&mut Redaction>,
    ) -> anyhow::Result<()> {
        let mut traces = Vec::new();
        for group in &postmortem::groups(report) {
            traces.push(trace(report, group, captures, options)?);
        }
        let mut timelines = timelines(report, captures, options)?;
        let digests: Vec<Option<String>> = report
            .captures
            .iter()
            .map(|capture| digest(given(captures, &capture.file)?, &options.interrupt))
            .collect();
        let mut shown = Cow::Borrowed(report);
        let redacted = redaction.is_some();
        if let Some(redaction) = redaction {
            redaction.report(shown.to_mut());
            traces.iter_mut().flatten().for_each(|trace| redaction.trace(trace));
            timelines.iter_mut().for_each(|timeline| redaction.timeline(timeline));
        }
        let mut stories = Vec::new();
        for (group, trace) in postmortem::groups(&shown).iter().zip(traces) {
            stories.push(self.story(group, trace)?);
        }
        let charts = self.charts(&shown, &timelines)?;
        if !redacted {
            self.annotate(report, captures, options)?;
        }
        let page = postmortem::page(&Postmortem {
            report: &shown,
            stories: &stories,
            digests: &digests,
            charts: &charts,
            files: &self.files,
            command: &if redacted { REDACTED_COMMAND.to_owned() } else { command() },
        });
        self.add(PAGE, page.as_bytes(), "")?;
        let beside: Vec<&str> =
            self.files.iter().map(|(name, _)| name.as_str()).filter(|name| *name != PAGE).collect();
        let page = self.path.join(PAGE);
        output::complain(&match beside.as_slice() {
            [] => format!("wrote {}", page.display()),
            some => format!("wrote {}, and beside it {}", page.display(), some.join(", ")),
        });
        Ok(())
    }

    /// The ladder of a group's example as SVG and PNG, light: it will be printed and projected.
    fn story(&mut self, group: &Group<'_>, trace: Option<Trace>) -> anyhow::Result<Story> {
        let Some(trace) = trace else { return Ok(Story::default()) };
        let example = group.example();
        let ladder = render::ladder::layout(&trace, Some(example), &Default::default());
        let svg = render::ladder::themed_svg(&ladder, Theme::Light);
        let name = format!("ladder-{}-{}", example.id, example.cause);
        let what = format!("incident {}, packet by packet", example.id);
        let picture = self.picture(&name, &svg, &what, format!("{}.", ladder.title))?;
        Ok(Story { trace: Some(trace), picture: Some(picture) })
    }

    /// The capture on an axis of time, and the idle times of the servers that matter.
    fn charts(&mut self, report: &Report, timelines: &[Timeline]) -> anyhow::Result<Vec<Picture>> {
        let mut charts = Vec::new();
        for (number, timeline) in (1..).zip(timelines) {
            let svg = render::timeline::timeline(timeline, None, timeline.first_ns, Theme::Light)
                .map_err(|error| picture::refused(error.as_ref()))?;
            let what = "connections on an axis of time: requests, idle times, closes, losses";
            let caption = format!("Timeline of {}.", timeline.files.join(", "));
            charts.push(self.picture(&format!("{}{number}", postmortem::TIMELINE), &svg, what, caption)?);
        }
        let closes = |server: &Server| {
            let both = [&server.server_idle_close, &server.client_idle_close];
            both.into_iter().flatten().map(|close| close.count).sum::<u64>()
        };
        let lost = |server: &Server| {
            report.incidents.iter().any(|incident| incident.race && incident.server == server.server)
        };
        let concerned = |server: &&Server| {
            closes(server) >= FEWEST_CLOSES && (server.verdict == Verdict::AtRisk || lost(server))
        };
        for (number, server) in (1..=MAX_CHARTS).zip(report.servers.iter().filter(concerned)) {
            let drawn = render::histogram::idle_times(server, Theme::Light);
            let Some(svg) = drawn.map_err(|error| picture::refused(error.as_ref()))? else { continue };
            let what = format!("idle times at {}, and the danger zone between both timers", server.server);
            let caption = format!("Idle times at {}.", server.server);
            charts.push(self.picture(&format!("idle-times-{number}"), &svg, &what, caption)?);
        }
        Ok(charts)
    }

    /// A picture as SVG, for the page, and as PNG.
    fn picture(&mut self, name: &str, svg: &str, what: &str, caption: String) -> anyhow::Result<Picture> {
        let png = render::ladder::png(svg)?;
        let picture = Picture { file: format!("{name}.svg"), caption };
        self.add(&picture.file, svg.as_bytes(), what)?;
        self.add(&format!("{name}.png"), &png, "the same picture for a slide or a chat")?;
        Ok(picture)
    }

    /// A copy of each capture that shows a loss, with verdict and role as comments on the deciding packets.
    fn annotate(&mut self, report: &Report, captures: &[PathBuf], options: &Options) -> anyhow::Result<()> {
        let mut taken = BTreeSet::new();
        for (index, capture) in (0..).zip(&report.captures) {
            let shows = |incident: &Incident| {
                incident.capture == index
                    || incident.frames_elsewhere.values().any(|frame| frame.capture == index)
            };
            let Some(path) = given(captures, &capture.file) else { continue };
            let small = fs::metadata(path).is_ok_and(|it| it.len() <= LARGEST_COPY);
            if !small || !report.incidents.iter().any(shows) {
                continue;
            }
            let name = annotated::free_name(path, &mut taken);
            analysis::annotate(
                report,
                index,
                path,
                &Destination::of_our_own(&self.path.join(&name)),
                &options.interrupt,
            )?;
            let what = "the capture, with verdict and role as comments on the deciding packets: in Wireshark, the display \
                        filter frame.comment finds them";
            self.files.push((name.display().to_string(), what.to_owned()));
        }
        Ok(())
    }

    fn add(&mut self, name: &str, bytes: &[u8], what: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        Destination::of_our_own(&path)
            .write(bytes)
            .context("make room there, or name another folder with --postmortem")?;
        self.files.push((name.to_owned(), what.to_owned()));
        Ok(())
    }
}

/// The packets of a group's example; none where its capture came by a pipe.
fn trace(
    report: &Report,
    group: &Group<'_>,
    captures: &[PathBuf],
    options: &Options,
) -> anyhow::Result<Option<Trace>> {
    let example = group.example();
    let indexes = report.trace_of(example.capture);
    let files: Option<Vec<TraceFile<'_>>> = indexes
        .iter()
        .map(|&capture| Some(TraceFile { path: given(captures, report.file_of(capture))?, capture }))
        .collect();
    let Some(files) = files else { return Ok(None) };
    let request = TraceRequest {
        stream: example.stream,
        capture: example.capture,
        incident: Some(example),
        names: ("client", "server"),
        products: (None, None),
        server_capture: None,
    };
    Ok(analysis::trace(&files, &request, options)?)
}

/// The connections of the traces that hold losses, or of all of them where nothing was lost, on an axis of time; as many as
/// somebody looks at.
fn timelines(report: &Report, captures: &[PathBuf], options: &Options) -> anyhow::Result<Vec<Timeline>> {
    let mut wanted: Vec<u32> = report.incidents.iter().map(|incident| incident.capture).collect();
    if wanted.is_empty() {
        wanted = (0..).zip(&report.captures).map(|(index, _)| index).collect();
    }
    let mut traces: Vec<Vec<u32>> = Vec::new();
    for capture in wanted {
        if traces.len() < MAX_CHARTS && !traces.iter().any(|trace| trace.contains(&capture)) {
            traces.push(report.trace_of(capture));
        }
    }
    let mut timelines = Vec::new();
    for indexes in traces {
        let files = indexes
            .iter()
            .map(|&capture| Some(TraceFile { path: given(captures, report.file_of(capture))?, capture }));
        let Some(files) = files.collect::<Option<Vec<TraceFile<'_>>>>() else { continue };
        let timeline = analysis::timeline(&files, report, None, options)?;
        if !timeline.lanes.is_empty() {
            timelines.push(timeline);
        }
    }
    Ok(timelines)
}

/// The path of a capture that can be read a second time.
fn given<'p>(captures: &'p [PathBuf], name: &str) -> Option<&'p Path> {
    let path = captures.iter().find(|path| path.display().to_string() == name)?;
    path.is_file().then_some(path)
}

/// SHA-256 in hexadecimal, as `sha256sum` prints it; none where reading fails or is interrupted.
fn digest(path: &Path, interrupt: &Interrupt) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => break,
            _ if interrupt.is_raised() => return None,
            read => hasher.update(&buffer[..read]),
        }
    }
    Some(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The command line of this run, to be copied.
fn command() -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    std::iter::once("finrace".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}
