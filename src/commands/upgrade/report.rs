//! What an upgrade or a rollback has come to.

use std::collections::BTreeMap;
use std::process::ExitCode;

use rollout::{MountObserved, MountPath, Version};
use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::commands::carry_out::{Carried, Ended};
use crate::error::Kind;
use crate::ui::Report;

/// What became of the mounts of a plugin.
#[derive(Debug, Serialize)]
pub struct MoveReport {
    plugin: String,
    version: Version,
    #[serde(flatten)]
    carried: Carried,
    mounts: BTreeMap<MountPath, MountObserved>,
}

impl MoveReport {
    pub(crate) fn new(plugin: String, version: Version, carried: Carried) -> MoveReport {
        let mounts = carried.observed.mounts_of(PluginType::Secret, &plugin);
        let mounts = mounts.map(|(path, mount)| (path, mount.clone())).collect();
        MoveReport { plugin, version, carried, mounts }
    }
}

impl Report for MoveReport {
    fn render(&self) -> String {
        let mut lines = match self.carried.result {
            Ended::DryRun => return "Nothing was done: this was a dry run\n".to_owned(),
            Ended::NothingToDo => vec!["Nothing to do".to_owned()],
            Ended::Done => self.carried.done.iter().map(|step| format!("Done: {step}")).collect(),
        };
        lines.extend(self.mounts.iter().map(|(path, mount)| {
            let MountObserved { plugin, running_version, running_sha256, .. } = mount;
            format!("{path} runs {plugin} {running_version} (sha256 {running_sha256})")
        }));
        lines.join("\n") + "\n"
    }

    fn is_of_a_change(&self) -> bool {
        self.carried.result == Ended::Done
    }

    fn exit_code(&self) -> ExitCode {
        match self.carried.result {
            Ended::DryRun => Kind::Drift.exit_code(),
            Ended::NothingToDo | Ended::Done => ExitCode::SUCCESS,
        }
    }
}
