//! What an upgrade or a rollback has come to.

use std::collections::BTreeMap;
use std::process::ExitCode;

use rollout::{MountObserved, MountPath, Version};
use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::commands::execute::{PlanResult, PlanStatus};
use crate::ui::Report;

/// What became of the mounts of a plugin.
#[derive(Debug, Serialize)]
pub struct VersionChangeReport {
    plugin: String,
    version: Version,
    #[serde(flatten)]
    plan_result: PlanResult,
    mounts: BTreeMap<MountPath, MountObserved>,
}

impl VersionChangeReport {
    pub(crate) fn new(plugin: String, version: Version, carried: PlanResult) -> VersionChangeReport {
        let mounts = carried.observed.mounts_of(PluginType::Secret, &plugin);
        let mounts = mounts.map(|(path, mount)| (path, mount.clone())).collect();
        VersionChangeReport { plugin, version, plan_result: carried, mounts }
    }
}

impl Report for VersionChangeReport {
    fn render(&self) -> String {
        let mut lines = match self.plan_result.result {
            PlanStatus::DryRun => return "Nothing was done: this was a dry run\n".to_owned(),
            PlanStatus::NothingToDo => vec!["Nothing to do".to_owned()],
            PlanStatus::Done => self.plan_result.done.iter().map(|step| format!("Done: {step}")).collect(),
        };
        lines.extend(self.mounts.iter().map(|(path, mount)| {
            let MountObserved { plugin, running_version, running_sha256, .. } = mount;
            format!("{path} runs {plugin} {running_version} (sha256 {running_sha256})")
        }));
        lines.join("\n") + "\n"
    }

    fn made_changes(&self) -> bool {
        self.plan_result.result.made_changes()
    }

    fn exit_code(&self) -> ExitCode {
        self.plan_result.result.exit_code()
    }
}
