//! How far an analysis is, on a terminal's standard error.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::analysis::{Observer, Progress};
use crate::render::units::counted;

/// What is over sooner needs no progress shown.
const PATIENCE: Duration = Duration::from_secs(1);
/// With a known end: how much, how fast, how much longer.
const TO_AN_END: &str =
    "{bar:24} {percent}% of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left: {msg}";
/// From a pipe.
const WITHOUT_END: &str = "{spinner} {binary_bytes}, {binary_bytes_per_sec}: {msg}";

/// A line that comes after a second and goes when the analysis is over. Without a terminal it never comes.
pub struct ProgressLine {
    wanted: bool,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl ProgressLine {
    /// A line that is not shown yet.
    pub fn new() -> ProgressLine {
        ProgressLine { wanted: io::stderr().is_terminal(), began: Instant::now(), bar: None }
    }

    /// Shows how far the analysis is.
    fn show(&mut self, progress: &Progress) {
        if !self.wanted || (self.bar.is_none() && self.began.elapsed() < PATIENCE) {
            return;
        }
        let bar =
            self.bar.get_or_insert_with(|| new_bar(progress.bytes_total).with_elapsed(self.began.elapsed()));
        bar.set_position(progress.bytes);
        bar.set_message(format!(
            "{}, {} so far",
            counted(progress.packets, "packet"),
            counted(progress.incidents, "incident")
        ));
    }

    /// Writes something else to the terminal, which may be the same for standard output.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for ProgressLine {
    fn progress(&mut self, progress: &Progress) {
        self.show(progress);
    }
}

fn new_bar(total: Option<u64>) -> ProgressBar {
    let template = if total.is_some() { TO_AN_END } else { WITHOUT_END };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()).with_style(style.progress_chars("=> "))
}
