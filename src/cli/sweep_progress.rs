//! The window as it is found, on a terminal's standard error: one line, the share lost over idle times.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::lab::sweep::{Observer, Progress};
use crate::render::units;

/// How often the line changes.
const EVERY: Duration = Duration::from_millis(200);

/// The line. Without a terminal it never comes.
pub struct WindowLine {
    bar: Option<ProgressBar>,
    last: Arc<Mutex<Option<Instant>>>,
}

impl WindowLine {
    /// A line that says nothing yet.
    pub fn new() -> WindowLine {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        WindowLine { bar, last: Arc::default() }
    }

    /// What the sweep tells its progress to.
    pub fn observer(&self) -> Observer {
        let (bar, last) = (self.bar.clone(), Arc::clone(&self.last));
        Box::new(move |progress| {
            let Some(bar) = &bar else { return };
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_none_or(|last| last.elapsed() >= EVERY) {
                *last = Some(Instant::now());
                bar.set_message(words(progress));
                bar.tick();
            }
        })
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `489.2 ms ▏  ▂██████▁  ▕ 501.9 ms  1 204 of 2 000, 388 lost`.
fn words(progress: &Progress) -> String {
    let of =
        format!("{} of {}", units::count(progress.planned.into()), units::count(progress.attempts.into()));
    match progress.range_ns {
        None => format!("{of} connections: watching when the backend closes idle ones"),
        Some((from, to)) => {
            let picture: String = progress.shares.iter().map(|share| block(*share)).collect();
            let lost = units::count(progress.lost.into());
            format!("{} ▏{picture}▕ {}  {of}, {lost} lost", units::duration(from), units::duration(to))
        }
    }
}

/// An eighth of a line for each eighth that is lost; a dot where nothing was tried.
fn block(share: Option<f64>) -> char {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let Some(share) = share else { return '·' };
    // The smallest share is not nothing.
    let eighths = if share > 0.0 { (share * 8.0).round().max(1.0) } else { 0.0 };
    BLOCKS.get(eighths as usize).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_a_picture_of_the_window() {
        let mut progress = Progress { planned: 24, attempts: 2000, calibrating: true, ..Progress::default() };
        assert_eq!(words(&progress), "24 of 2 000 connections: watching when the backend closes idle ones");
        progress.range_ns = Some((485_000_000, 505_000_000));
        progress.shares = vec![Some(0.0), None, Some(0.01), Some(0.5), Some(1.0)];
        progress.lost = 7;
        assert_eq!(words(&progress), "0.485 s ▏ ·▁▄█▕ 0.505 s  24 of 2 000, 7 lost");
    }
}
