//! The report of `upgrade` and `rollback`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use rollout::{Consumer, ConsumerObserved, Version};
use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::commands::execute::{PlanResult, PlanStatus};
use crate::commands::plan_summary::{list_or_count, previous_versions};
use crate::ui::Report;

/// Direction of a version change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionChange {
    /// To the version that was asked for.
    Upgrade,
    /// To the previous version.
    Rollback,
}

/// The version and the mounts of a plugin after an upgrade or a rollback.
#[derive(Debug, Serialize)]
pub struct VersionChangeReport {
    plugin: String,
    version: Version,
    #[serde(flatten)]
    plan_result: PlanResult,
    mounts: BTreeMap<Consumer, ConsumerObserved>,
    #[serde(skip)]
    change: VersionChange,
}

impl VersionChangeReport {
    pub(crate) fn new(
        change: VersionChange,
        (kind, plugin): (PluginType, String),
        version: Version,
        plan_result: PlanResult,
    ) -> VersionChangeReport {
        let mounts = plan_result.observed.consumers_of(kind, &plugin);
        let mounts = mounts.map(|(path, mount)| (path, mount.clone())).collect();
        VersionChangeReport { plugin, version, plan_result, mounts, change }
    }

    /// `Upgraded ldap-x from v1.0.0 to v1.1.0 on custom/ and team-a/`.
    fn describe_done(&self, version: &str, moved: &[&str]) -> String {
        let Self { plugin, plan_result, .. } = self;
        let verb = match self.change {
            VersionChange::Upgrade => "Upgraded",
            VersionChange::Rollback => "Rolled back",
        };
        let previous = previous_versions(&plan_result.done);
        let from = if previous.is_empty() {
            String::new()
        } else {
            format!(" from {}", list_or_count(&previous, "versions"))
        };
        let on =
            if moved.is_empty() { String::new() } else { format!(" on {}", list_or_count(moved, "mounts")) };
        format!("{verb} {plugin}{from} to {version}{on}")
    }
}

impl Report for VersionChangeReport {
    fn render(&self) -> String {
        let version = self.version.v_prefixed();
        let is_moved = |mount: &ConsumerObserved| mount.running_version == version;
        let moved: Vec<&str> =
            self.mounts.iter().filter(|(_, mount)| is_moved(mount)).map(|(path, _)| path.as_str()).collect();
        let unchanged = match moved.as_slice() {
            [] => None,
            [mount] => Some(format!("{mount} runs {} {version}", self.plugin)),
            mounts => Some(format!("{} run {} {version}", list_or_count(mounts, "mounts"), self.plugin)),
        };
        let done = self.describe_done(&version, &moved);
        let mut text = self.plan_result.summary(&done, unchanged.as_deref()) + "\n";
        // A dry run has moved nothing, and its plan was shown.
        if self.plan_result.result != PlanStatus::DryRun {
            for (path, mount) in self.mounts.iter().filter(|(_, mount)| !is_moved(mount)) {
                text += &format!("{path} still runs {}\n", running_version(mount));
            }
        }
        text
    }

    fn made_changes(&self) -> bool {
        self.plan_result.result.made_changes()
    }

    fn exit_code(&self) -> ExitCode {
        self.plan_result.result.exit_code()
    }
}

fn running_version(mount: &ConsumerObserved) -> &str {
    if mount.running_version.is_empty() { "an unversioned binary" } else { &mount.running_version }
}
