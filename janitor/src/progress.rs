//! How far a run is: a bar on a terminal, nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A view of a run's progress.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A view on stderr for people, if `is_shown`.
    #[must_use]
    pub fn new(is_shown: bool) -> Self {
        let bar = if is_shown { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if is_shown {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self { bar }
    }

    /// Something else is read now.
    pub fn begin(&self, what: &'static str) {
        self.bar.set_message(what);
    }

    /// So many more items are to be read.
    pub fn expect(&self, more: usize) {
        self.bar.inc_length(more as u64);
    }

    /// An item was read.
    pub fn step(&self) {
        self.bar.inc(1);
    }

    /// All is done: the view goes away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
