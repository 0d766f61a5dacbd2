//! `finrace analyze … --postmortem DIR`: the page, its pictures, and what else belongs beside it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::analysis::{self, Options, TraceFile, TraceRequest};
use crate::capture::Interrupt;
use crate::render::postmortem::{self, Group, Picture, Postmortem, Story};
use crate::render::{self, Theme, quoted};
use crate::report::{Report, Trace};

use super::output;

/// The page in its folder.
const PAGE: &str = "postmortem.md";

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

    /// Writes the page and its pictures, and says on standard error what was written.
    ///
    /// # Errors
    /// When a file cannot be written, or a capture cannot be read a second time.
    pub fn write(mut self, report: &Report, captures: &[PathBuf], options: &Options) -> anyhow::Result<()> {
        let groups = postmortem::groups(report);
        let mut stories = Vec::new();
        for group in &groups {
            stories.push(self.story(report, group, captures, options)?);
        }
        let digests: Vec<Option<String>> = report
            .captures
            .iter()
            .map(|capture| digest(given(captures, &capture.file)?, &options.interrupt))
            .collect();
        let page = postmortem::page(&Postmortem {
            report,
            stories: &stories,
            digests: &digests,
            charts: &[],
            files: &self.files,
            command: &command(),
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

    /// The packets of a group's example, and its ladder as SVG and PNG, light: it will be printed and projected.
    fn story(
        &mut self,
        report: &Report,
        group: &Group<'_>,
        captures: &[PathBuf],
        options: &Options,
    ) -> anyhow::Result<Story> {
        let Some(trace) = trace(report, group, captures, options)? else { return Ok(Story::default()) };
        let example = group.example();
        let ladder = render::ladder::layout(&trace, Some(example), &Default::default());
        let svg = render::ladder::themed_svg(&ladder, Theme::Light);
        let png = render::ladder::png(&svg)?;
        let name = format!("ladder-{}-{}", example.id, example.cause);
        let picture = Picture { file: format!("{name}.svg"), caption: format!("{}.", ladder.title) };
        self.add(&picture.file, svg.as_bytes(), &format!("incident {}, packet by packet", example.id))?;
        self.add(&format!("{name}.png"), &png, "the same picture for a slide or a chat")?;
        Ok(Story { trace: Some(trace), picture: Some(picture) })
    }

    fn add(&mut self, name: &str, bytes: &[u8], what: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        fs::write(&path, bytes).with_context(|| {
            format!(
                "cannot write {}: make room there, or name another folder with --postmortem",
                path.display()
            )
        })?;
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
