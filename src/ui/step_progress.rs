//! Animated lines on a terminal: the running step, and the progress of each node.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use rollout::{NodeName, printable};

/// The animated lines at the bottom of a terminal.
#[derive(Debug, Default)]
pub(super) struct StepProgress {
    lines: MultiProgress,
    step: Option<ProgressBar>,
    nodes: BTreeMap<NodeName, ProgressBar>,
}

/// Refresh interval of the spinner.
const TICK_INTERVAL: Duration = Duration::from_millis(120);

impl StepProgress {
    /// Starts a step.
    pub(super) fn start(&mut self, text: String) {
        self.finish();
        let step = self.lines.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            step.set_style(style);
        }
        step.set_message(printable(&text));
        step.enable_steady_tick(TICK_INTERVAL);
        self.step = Some(step);
    }

    /// Replaces the text of the running step.
    pub(super) fn set_message(&mut self, text: String) {
        if let Some(step) = &self.step {
            step.set_message(printable(&text));
        }
    }

    /// Sets the progress of a node.
    pub(super) fn set_node_progress(&mut self, node: &NodeName, done: u64, total: u64) {
        let bar = self.nodes.entry(node.clone()).or_insert_with(|| {
            let bar = self.lines.add(ProgressBar::new(total));
            let template = "    {msg:16} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.with_message(node.to_string())
        });
        bar.set_position(done);
    }

    /// Clears the animated lines. Returns how long the step took, if there was one.
    pub(super) fn finish(&mut self) -> Option<Duration> {
        for bar in std::mem::take(&mut self.nodes).into_values() {
            bar.finish_and_clear();
        }
        let step = self.step.take()?;
        let elapsed = step.elapsed();
        step.finish_and_clear();
        Some(elapsed)
    }

    /// Writes above the animated lines.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.lines.suspend(write)
    }
}
