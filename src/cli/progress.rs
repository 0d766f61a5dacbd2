//! How far an analysis is, on a terminal's standard error.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::analysis::{Observer, Progress};
use crate::render::units::counted;

/// What is over sooner needs no progress shown.
const PATIENCE: Duration = Duration::from_secs(1);
/// With a known end. The rest is written here, because the rate is that of the whole time.
const TO_AN_END: &str = "{bar:8} {percent}% of {binary_total_bytes}{wide_msg}";
/// From a pipe.
const WITHOUT_END: &str = "{binary_bytes}{wide_msg}";

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
        let bar = self.bar.get_or_insert_with(|| new_bar(progress));
        bar.set_message(words(progress, self.began.elapsed()));
        bar.set_position(progress.bytes);
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

/// `, 61 MiB/s, 12s left: 812 344 packets, 3 incidents so far`.
fn words(progress: &Progress, elapsed: Duration) -> String {
    let rate = progress.bytes as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
    let left = progress.bytes_total.map(|total| {
        let seconds = total.saturating_sub(progress.bytes) as f64 / rate.max(1.0);
        format!(", {:#} left", HumanDuration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
    });
    format!(
        ", {}/s{}: {}, {} so far",
        BinaryBytes(rate as u64),
        left.unwrap_or_default(),
        counted(progress.packets, "packet"),
        counted(progress.incidents, "incident")
    )
}

impl Observer for ProgressLine {
    fn progress(&mut self, progress: &Progress) {
        self.show(progress);
    }
}

fn new_bar(progress: &Progress) -> ProgressBar {
    let total = progress.bytes_total;
    let template = if total.is_some() { TO_AN_END } else { WITHOUT_END };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr())
        .with_position(progress.bytes)
        .with_style(style.progress_chars("=> "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_whole_time_and_the_rest_takes_as_long() {
        let progress = Progress { bytes: 30 << 20, bytes_total: Some(90 << 20), packets: 344, incidents: 1 };
        let said = words(&progress, Duration::from_secs(3));
        assert_eq!(said, ", 10.00 MiB/s, 6s left: 344 packets, 1 incident so far");
        let of_pipe = words(&Progress { bytes_total: None, ..progress }, Duration::from_secs(3));
        assert_eq!(of_pipe, ", 10.00 MiB/s: 344 packets, 1 incident so far");
    }

    #[test]
    fn nothing_read_in_no_time_has_words_too() {
        let nothing = Progress { bytes_total: Some(u64::MAX), ..Progress::default() };
        assert!(words(&nothing, Duration::ZERO).ends_with(" left: 0 packets, 0 incidents so far"));
    }
}
