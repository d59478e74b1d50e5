//! What a run has done so far. No server can report it, so it is an input of each decision beside the observed state.

use std::collections::BTreeSet;

use crate::consumer::Consumer;
use crate::observed::deployment::NodeName;
use crate::step::Step;

/// The progress of a run; empty before its first step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Mounts that it has created.
    pub enabled: BTreeSet<Consumer>,
    /// Mounts that it has configured to run another version.
    pub tuned: BTreeSet<Consumer>,
    /// Plugins whose pin it has set.
    pub pinned: BTreeSet<String>,
    /// Mounts that it has reloaded.
    pub reloaded: BTreeSet<Consumer>,
    /// Full paths that it has written.
    pub written: BTreeSet<String>,
    /// Files that it has copied.
    pub copied: BTreeSet<String>,
    /// Plugins of which it has registered a version.
    pub registered: BTreeSet<String>,
    /// Mounts and full paths that it has smoke-tested.
    pub smoke_tested: BTreeSet<String>,
    /// Nodes that it has restarted.
    pub restarted: BTreeSet<NodeName>,
    /// Number of step-downs.
    pub step_downs: usize,
    /// Number of steps.
    pub steps: usize,
}

impl Progress {
    /// The progress after one more step.
    #[must_use]
    pub fn with_step(mut self, step: &Step) -> Self {
        self.steps += 1;
        match step {
            Step::EnableMount { path, .. } | Step::MountCanary { path, .. } => {
                self.enabled.insert(path.clone());
            }
            Step::RegisterVersion { name, .. } => {
                self.registered.insert(name.clone());
            }
            Step::VerifyCanary { path, .. } => {
                self.smoke_tested.insert(path.to_string());
            }
            Step::SmokeTestMount { path, .. } => {
                self.smoke_tested.insert(path.clone());
            }
            Step::RestartNode { node, .. } => {
                self.restarted.insert(node.clone());
            }
            Step::StepDown { .. } => self.step_downs += 1,
            Step::ReloadMount { path } => {
                self.reloaded.insert(path.clone());
            }
            Step::Write { path, .. } => {
                self.written.insert(path.clone());
            }
            Step::TuneMount { path, .. } => {
                self.tuned.insert(path.clone());
            }
            Step::SetPin { name, .. } => {
                self.pinned.insert(name.clone());
            }
            Step::CopyBinary { file, .. } => {
                self.copied.insert(file.clone());
            }
            Step::RemoveCanary { .. }
            | Step::DeregisterVersion { .. }
            | Step::RemoveBinary { .. }
            | Step::PatchInitImage { .. } => {}
        }
        self
    }
}
