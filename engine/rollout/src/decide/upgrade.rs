//! Decides the next step of an upgrade or a rollback.

use vault_api::SecretString;
use vault_api::catalog::PluginType;

use super::upgrade_view::UpgradeView;
use super::{check, nodes};
use crate::consumer::Consumer;
use crate::goal::{Canary, DowngradePolicy, Target, UpgradeGoal};
use crate::observed::deployment::NodeRole;
use crate::observed::{ConsumerObserved, Observed};
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::step::{Step, VersionFrom};
use crate::version::Version;

/// The next step, if there is one and it is not refused.
pub(super) fn step(
    observed: &Observed,
    upgrade: &UpgradeGoal,
    progress: &Progress,
) -> Result<Option<Step>, Refusal> {
    let view = UpgradeView::new(observed, upgrade);
    view.check(progress)?;
    Ok(view
        .clean_up(progress)
        .or_else(|| view.copy())
        .or_else(|| view.canary(progress))
        .or_else(|| view.switch())
        .or_else(|| view.reload())
        .or_else(|| view.smoke_test(progress))
        .or_else(|| view.nodes(progress)))
}

/// The version of a rollback: the newest one that is registered, installed on every node, and older than the running one. If a standby still
/// runs a newer version than the active node, an interrupted rollback has not restarted all standbys, and its version is the one that the
/// active node runs.
///
/// # Errors
/// If no mount runs the plugin, or there is no such version.
pub fn rollback_version(observed: &Observed, kind: PluginType, name: &str) -> Result<Version, Refusal> {
    let running = observed
        .consumers_of(kind, name)
        .filter_map(|(_, mount)| mount.running_version.parse::<Version>().ok())
        .max()
        .ok_or_else(|| Refusal::NoMountOfPlugin { kind, name: name.to_owned() })?;
    if newest_on_standbys(observed, kind, name).is_some_and(|newest| newest > running) {
        return Ok(running);
    }
    let entries = observed.catalog.iter().filter(|entry| entry.kind == kind && entry.name == name);
    let older = entries
        .filter(|entry| entry.missing_on(observed).is_empty())
        .filter_map(|entry| entry.version.parse::<Version>().ok())
        .filter(|version| *version < running);
    older
        .max()
        .ok_or_else(|| Refusal::NoRollbackVersion { name: name.to_owned(), running: running.v_prefixed() })
}

/// The newest version that a standby runs on mounts of a plugin. Standbys of Vault report the versions of the active node.
fn newest_on_standbys(observed: &Observed, kind: PluginType, name: &str) -> Option<Version> {
    let servers = observed
        .deployment
        .iter()
        .flat_map(|deployment| deployment.nodes.values())
        .filter_map(|node| node.server.as_ref());
    let standbys = servers.filter(|vault| vault.role == NodeRole::Standby);
    let of_mounts = standbys.flat_map(|vault| {
        observed.consumers_of(kind, name).filter_map(|(path, _)| vault.running.get(path.as_str()))
    });
    of_mounts.filter_map(|running| running.version.parse().ok()).max()
}

impl UpgradeView<'_> {
    /// Conditions of every step.
    fn check(&self, progress: &Progress) -> Result<(), Refusal> {
        let Self { observed, upgrade, .. } = self;
        match &upgrade.target {
            Target::Provided(plugin) => check::provided_binary(observed, plugin)?,
            Target::Registered { .. } => self.check_registered()?,
        }
        if !upgrade.breaking_changes.is_empty() && self.needs_switch() {
            return Err(Refusal::BreakingChange {
                name: upgrade.name().to_owned(),
                breaks: upgrade.breaking_changes.clone(),
            });
        }
        for path in &upgrade.only_mounts {
            match observed.consumers.get(path.as_str()) {
                None => return Err(Refusal::MountNotFound { path: path.clone() }),
                Some(mount) if mount.kind != upgrade.kind() || mount.plugin != upgrade.name() => {
                    return Err(Refusal::MountConflict { path: path.clone(), plugin: mount.plugin.clone() });
                }
                Some(_) => {}
            }
        }
        if self.needs_switch() || nodes::changes_init_image(observed, upgrade) {
            let file = self.file_name();
            nodes::check_durability(observed, &file, &upgrade.durability)?;
        }
        if self.mounts().next().is_none() {
            return Err(Refusal::NoMountOfPlugin { kind: upgrade.kind(), name: upgrade.name().to_owned() });
        }
        if let Some(pinned) = self.pinned()
            && let Some(path) = self.left_out()
        {
            let (name, pinned) = (upgrade.name().to_owned(), pinned.to_owned());
            return Err(Refusal::PinAffectsOtherMounts { name, pinned, path });
        }
        if self.pinned().is_some_and(|pinned| pinned != self.version_tag) {
            check::root_namespace(self.observed)?;
        }
        for (path, mount) in self.mounts() {
            self.check_downgrade(&path, mount)?;
            check::reloaded(observed, progress, &path)?;
            check::has_process(observed, progress, &path)?;
        }
        check::canary(observed, progress, &upgrade.canary_path(), &self.version_tag, self.sha256())
    }

    fn check_registered(&self) -> Result<(), Refusal> {
        let (name, version) = (self.upgrade.name().to_owned(), self.upgrade.version().clone());
        let Some(entry) = self.observed.catalog_entry(self.upgrade.kind(), &name, &self.version_tag) else {
            return Err(Refusal::NotRegistered { name, version });
        };
        match entry.missing_on(self.observed).into_iter().next() {
            Some(node) => Err(Refusal::FileMissing { name, version, node }),
            None => Ok(()),
        }
    }

    fn check_downgrade(&self, path: &Consumer, mount: &ConsumerObserved) -> Result<(), Refusal> {
        let target = self.upgrade.version();
        let newer = [&mount.configured_version, &mount.running_version].into_iter().find(|version| {
            version.parse::<Version>().is_ok_and(|version| !version.is_builtin() && version > *target)
        });
        match (newer, self.upgrade.downgrade) {
            (Some(newer), DowngradePolicy::Refuse) => {
                Err(Refusal::Downgrade { path: path.clone(), current: newer.clone(), target: target.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Removes the canary mounts and entries of earlier runs, and of this one after its verification.
    fn clean_up(&self, progress: &Progress) -> Option<Step> {
        let (observed, upgrade) = (self.observed, self.upgrade);
        let (own, alias) = (upgrade.name(), upgrade.canary_plugin_name());
        let is_needed = |path: &Consumer| {
            progress.enabled.contains(path) && !progress.smoke_tested.contains(path.as_str())
        };
        let mut canaries = observed.consumers.iter().filter(|(path, mount)| {
            path.is_canary() && mount.kind == upgrade.kind() && (mount.plugin == own || mount.plugin == alias)
        });
        if let Some((path, _)) = canaries.find(|(path, _)| !is_needed(path)) {
            return Some(Step::RemoveCanary { path: path.clone() });
        }
        let is_pending = progress.registered.contains(&alias)
            && !progress.smoke_tested.contains(upgrade.canary_path().as_str());
        let mut entries =
            observed.catalog.iter().filter(|entry| entry.kind == upgrade.kind() && entry.name == alias);
        entries.find(|_| !is_pending).map(|entry| Step::DeregisterVersion {
            kind: entry.kind,
            name: entry.name.clone(),
            version: entry.version.clone(),
        })
    }

    fn copy(&self) -> Option<Step> {
        match &self.upgrade.target {
            Target::Provided(plugin) => super::copy_step(self.observed, plugin)
                .or_else(|| super::register_version_step(self.observed, plugin)),
            Target::Registered { .. } => None,
        }
    }

    fn canary(&self, progress: &Progress) -> Option<Step> {
        let Canary::Mount { writes, source_mount, smoke } = &self.upgrade.canary else {
            return None;
        };
        let path = self.upgrade.canary_path();
        if progress.smoke_tested.contains(path.as_str()) || !self.needs_switch() {
            return None;
        }
        if self.observed.consumers.contains_key(path.as_str()) {
            return Some(Step::VerifyCanary {
                path,
                writes: writes.clone(),
                source_mount: source_mount.clone(),
                smoke_path: smoke.as_ref().map(|smoke| smoke.path.clone()),
                smoke_data: smoke.as_ref().map(|smoke| smoke.data.clone()).unwrap_or_default(),
            });
        }
        let version = self.upgrade.version().clone();
        let mount = |plugin: String, version_from| {
            Some(Step::MountCanary { path, plugin, version: version.clone(), version_from })
        };
        // A pin applies to every mount of a plugin, so a canary with another version is registered under another name.
        match self.pinned() {
            None => return mount(self.upgrade.name().to_owned(), VersionFrom::Mount),
            Some(pinned) if pinned == self.version_tag => {
                return mount(self.upgrade.name().to_owned(), VersionFrom::Pin);
            }
            Some(_) => {}
        }
        let alias = self.upgrade.canary_plugin_name();
        if self.observed.catalog_entry(self.upgrade.kind(), &alias, &self.version_tag).is_some() {
            return mount(alias, VersionFrom::Mount);
        }
        let entry =
            self.observed.catalog_entry(self.upgrade.kind(), self.upgrade.name(), &self.version_tag)?;
        Some(Step::RegisterVersion {
            kind: self.upgrade.kind(),
            name: alias,
            version,
            sha256: entry.sha256.clone(),
            command: entry.command.clone().unwrap_or_else(|| entry.file_name()),
            args: entry.args.clone().unwrap_or_default(),
            env: self.env(),
        })
    }

    /// The environment of the version, as far as the caller provides it: the catalog does not show it.
    fn env(&self) -> Vec<SecretString> {
        match &self.upgrade.target {
            Target::Provided(plugin) => plugin.env.clone(),
            Target::Registered { .. } => Vec::new(),
        }
    }

    /// Moves the pin, if there is one, because then the server refuses to tune mounts.
    fn switch(&self) -> Option<Step> {
        let to = self.upgrade.version().clone();
        match self.pinned() {
            Some(pinned) if pinned == self.version_tag => None,
            Some(pinned) => Some(Step::SetPin {
                kind: self.upgrade.kind(),
                name: self.upgrade.name().to_owned(),
                from: pinned.to_owned(),
                to,
            }),
            None => {
                let (path, mount) = self.mounts().find(|(_, mount)| !self.is_configured(mount))?;
                Some(Step::TuneMount { path, from: mount.configured_version.clone(), to })
            }
        }
    }

    fn reload(&self) -> Option<Step> {
        let (path, _) = self.mounts().find(|(_, mount)| !self.runs(mount))?;
        Some(Step::ReloadMount { path })
    }

    /// Smoke tests of the mounts that this run has moved or reloaded. A moved mount may have been started by a failover, and then needs no reload.
    fn smoke_test(&self, progress: &Progress) -> Option<Step> {
        let is_moved_by_pin = progress.pinned.contains(self.upgrade.name());
        let is_moved = |mount: &Consumer| {
            is_moved_by_pin || progress.tuned.contains(mount) || progress.reloaded.contains(mount)
        };
        let exists = |mount: &Consumer| self.observed.consumers.contains_key(mount.as_str());
        let mut due =
            self.upgrade.smoke_tests.iter().filter(|test| is_moved(&test.mount) && exists(&test.mount));
        due.find(|test| !progress.smoke_tested.contains(&test.full_path())).map(super::run_smoke_test_step)
    }

    fn nodes(&self, progress: &Progress) -> Option<Step> {
        let mounts: Vec<Consumer> = self.mounts().map(|(path, _)| path).collect();
        nodes::step(self.observed, self.upgrade, progress, mounts.iter())
    }
}

#[cfg(test)]
mod tests;
