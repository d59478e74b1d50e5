//! The next step of an upgrade, and of a rollback, which is one to an older version.

use vault_api::catalog::PluginType;

use super::{check, nodes};
use crate::goal::{Canary, Downgrade, MountPath, Target, Upgrade};
use crate::observed::site::Role;
use crate::observed::{CatalogEntry, MountObserved, Observed};
use crate::refusal::Refusal;
use crate::step::{Step, VersionFrom};
use crate::version::Version;

/// What a goal means for what is there.
pub(super) struct View<'a> {
    observed: &'a Observed,
    upgrade: &'a Upgrade,
    /// The version with its `v`.
    tagged: String,
}

/// The next step, if there is one and nothing forbids it.
pub(super) fn step(observed: &Observed, upgrade: &Upgrade) -> Result<Option<Step>, Refusal> {
    let view = View { observed, upgrade, tagged: upgrade.version().tagged() };
    view.check()?;
    Ok(view
        .clear()
        .or_else(|| view.place())
        .or_else(|| view.canary())
        .or_else(|| view.switch())
        .or_else(|| view.reload())
        .or_else(|| view.trial())
        .or_else(|| view.nodes()))
}

/// Mounts that are told to run one version and run another, as a run that was killed leaves them: where they are, and what
/// they run.
pub(crate) fn half_switched(observed: &Observed, upgrade: &Upgrade) -> Vec<(MountPath, String)> {
    let view = View { observed, upgrade, tagged: upgrade.version().tagged() };
    let half = view.mounts().filter(|(_, mount)| view.is_told(mount) && mount.running_version != view.tagged);
    half.map(|(path, mount)| (path, mount.running_version.clone())).collect()
}

/// The version that a rollback goes to: the newest one that is registered, in place everywhere, and older than what runs. Where a
/// standby still runs a newer version than the active node, a rollback was cut off before it had restarted all of them, and it is
/// the one that the active node runs already.
///
/// # Errors
/// When nothing runs the plugin, or there is no such version.
pub fn version_before(observed: &Observed, kind: PluginType, name: &str) -> Result<Version, Refusal> {
    let running = observed
        .mounts_of(kind, name)
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
    older.max().ok_or_else(|| Refusal::NoVersionBefore { name: name.to_owned(), running: running.tagged() })
}

/// The newest version that a standby runs on mounts of a plugin. Standbys of Vault run none, and say what the active node runs.
fn newest_on_standbys(observed: &Observed, kind: PluginType, name: &str) -> Option<Version> {
    let servers =
        observed.site.iter().flat_map(|site| site.nodes.values()).filter_map(|node| node.vault.as_ref());
    let standbys = servers.filter(|vault| vault.role == Role::Standby);
    let of_mounts = standbys.flat_map(|vault| {
        observed.mounts_of(kind, name).filter_map(|(path, _)| vault.running.get(path.as_str()))
    });
    of_mounts.filter_map(|running| running.version.parse().ok()).max()
}

impl<'a> View<'a> {
    /// What forbids the next step, whichever it is.
    fn check(&self) -> Result<(), Refusal> {
        let Self { observed, upgrade, .. } = self;
        match &upgrade.target {
            Target::Brought(plugin) => check::brought(observed, plugin)?,
            Target::Registered { .. } => self.check_registered()?,
        }
        if !upgrade.breaks.is_empty() && self.needs_switch() {
            return Err(Refusal::Breaking {
                name: upgrade.name().to_owned(),
                breaks: upgrade.breaks.clone(),
            });
        }
        for path in &upgrade.only {
            match observed.mounts.get(path.as_str()) {
                None => return Err(Refusal::NoSuchMount { path: path.clone() }),
                Some(there) if there.plugin != upgrade.name() => {
                    return Err(Refusal::MountTaken { path: path.clone(), plugin: there.plugin.clone() });
                }
                Some(_) => {}
            }
        }
        if self.needs_switch() || nodes::names_image(observed, upgrade) {
            let file = self.file_name();
            nodes::kept(observed, &file, &upgrade.survival)?;
        }
        if self.mounts().next().is_none() {
            return Err(Refusal::NoMountOfPlugin { kind: upgrade.kind(), name: upgrade.name().to_owned() });
        }
        if let Some(pinned) = self.pinned()
            && let Some(path) = self.left_out()
        {
            let (name, pinned) = (upgrade.name().to_owned(), pinned.to_owned());
            return Err(Refusal::PinMovesAll { name, pinned, path });
        }
        if let Some(pinned) = self.pinned().filter(|pinned| *pinned != self.tagged) {
            self.check_pin(pinned)?;
        }
        for (path, mount) in self.mounts() {
            self.check_order(&path, mount)?;
            check::reloaded(observed, &path)?;
            check::process(observed, &path)?;
        }
        check::canary(observed, &upgrade.canary_path(), &self.tagged, self.sha256())
    }

    /// A pin holds the mounts of every namespace, and only those of this one are moved, proven and undone.
    fn check_pin(&self, pinned: &str) -> Result<(), Refusal> {
        if let Some(namespace) = &self.observed.namespace {
            return Err(Refusal::NamespaceSeesPart { namespace: namespace.clone() });
        }
        let mut below = self.observed.below.iter().filter(|(_, mount)| mount.plugin == self.upgrade.name());
        match below.next() {
            Some((path, _)) => Err(Refusal::PinMovesBelow {
                name: self.upgrade.name().to_owned(),
                pinned: pinned.to_owned(),
                path: path.clone(),
            }),
            None => Ok(()),
        }
    }

    fn check_registered(&self) -> Result<(), Refusal> {
        let (name, version) = (self.upgrade.name().to_owned(), self.upgrade.version().clone());
        let Some(entry) = self.observed.entry(self.upgrade.kind(), &name, &self.tagged) else {
            return Err(Refusal::NotRegistered { name, version });
        };
        match entry.missing_on(self.observed).into_iter().next() {
            Some(node) => Err(Refusal::NotInPlace { name, version, node }),
            None => Ok(()),
        }
    }

    fn check_order(&self, path: &MountPath, mount: &MountObserved) -> Result<(), Refusal> {
        let wanted = self.upgrade.version();
        let newer = [&mount.configured_version, &mount.running_version].into_iter().find(|version| {
            version.parse::<Version>().is_ok_and(|version| !version.is_builtin() && version > *wanted)
        });
        match (newer, self.upgrade.downgrade) {
            (Some(newer), Downgrade::Refuse) => {
                Err(Refusal::Downgrade { path: path.clone(), there: newer.clone(), wanted: wanted.clone() })
            }
            _ => Ok(()),
        }
    }

    /// What an earlier run has left, and what this one needs no more.
    fn clear(&self) -> Option<Step> {
        let (observed, upgrade) = (self.observed, self.upgrade);
        let run = &observed.this_run;
        let (own, alias) = (upgrade.name(), upgrade.canary_name());
        let at_work = |path: &MountPath| run.enabled.contains(path) && !run.tried.contains(path.as_str());
        let mut canaries = observed.mounts.iter().filter_map(|(path, mount)| {
            let path: MountPath = path.parse().ok()?;
            let ours = path.is_canary() && (mount.plugin == own || mount.plugin == alias);
            ours.then_some(path)
        });
        if let Some(path) = canaries.find(|path| !at_work(path)) {
            return Some(Step::RemoveCanary { path });
        }
        let waits = run.registered.contains(&alias) && !run.tried.contains(upgrade.canary_path().as_str());
        let mut entries = observed.catalog.iter().filter(|entry| entry.name == alias);
        entries.find(|_| !waits).map(|entry| Step::DeregisterVersion {
            kind: entry.kind,
            name: entry.name.clone(),
            version: entry.version.clone(),
        })
    }

    fn place(&self) -> Option<Step> {
        match &self.upgrade.target {
            Target::Brought(plugin) => {
                super::place(self.observed, plugin).or_else(|| super::catalog(self.observed, plugin))
            }
            Target::Registered { .. } => None,
        }
    }

    fn canary(&self) -> Option<Step> {
        let Canary::Mount { writes, live, read } = &self.upgrade.canary else { return None };
        let path = self.upgrade.canary_path();
        let run = &self.observed.this_run;
        if run.tried.contains(path.as_str()) || !self.needs_switch() {
            return None;
        }
        if self.observed.mounts.contains_key(path.as_str()) {
            let writes = writes.iter().map(|write| write.path.clone()).collect();
            return Some(Step::TryCanary { path, writes, live: live.clone(), read: read.clone() });
        }
        let version = self.upgrade.version().clone();
        let mount = |plugin: String, version_from| {
            Some(Step::MountCanary { path, plugin, version: version.clone(), version_from })
        };
        // A pin holds every mount of a name, so that a canary of another version needs a name of its own.
        match self.pinned() {
            None => return mount(self.upgrade.name().to_owned(), VersionFrom::Mount),
            Some(pinned) if pinned == self.tagged => {
                return mount(self.upgrade.name().to_owned(), VersionFrom::Pin);
            }
            Some(_) => {}
        }
        let alias = self.upgrade.canary_name();
        if self.observed.entry(self.upgrade.kind(), &alias, &self.tagged).is_some() {
            return mount(alias, VersionFrom::Mount);
        }
        let entry = self.observed.entry(self.upgrade.kind(), self.upgrade.name(), &self.tagged)?;
        Some(Step::RegisterVersion {
            kind: self.upgrade.kind(),
            name: alias,
            version,
            sha256: entry.sha256.clone(),
            command: entry.command.clone().unwrap_or_else(|| entry.file_name()),
            args: entry.args.clone().unwrap_or_default(),
        })
    }

    /// The pin where there is one, because under it the server refuses to tune.
    fn switch(&self) -> Option<Step> {
        let to = self.upgrade.version().clone();
        match self.pinned() {
            Some(pinned) if pinned == self.tagged => None,
            Some(pinned) => Some(Step::SetPin {
                kind: self.upgrade.kind(),
                name: self.upgrade.name().to_owned(),
                from: pinned.to_owned(),
                to,
            }),
            None => {
                let (path, mount) = self.mounts().find(|(_, mount)| !self.is_told(mount))?;
                Some(Step::TuneMount { path, from: mount.configured_version.clone(), to })
            }
        }
    }

    fn reload(&self) -> Option<Step> {
        let (path, _) = self.mounts().find(|(_, mount)| !self.runs(mount))?;
        Some(Step::ReloadMount { path })
    }

    /// Only what this run has moved or started anew: the rest was tried by whoever did. What was moved may have been started
    /// by a failover, and then needs no reload.
    fn trial(&self) -> Option<Step> {
        let run = &self.observed.this_run;
        let by_pin = run.pinned.contains(self.upgrade.name());
        let is_new = |mount: &MountPath| by_pin || run.moved.contains(mount) || run.reloaded.contains(mount);
        let is_there = |mount: &MountPath| self.observed.mounts.contains_key(mount.as_str());
        let due = self.upgrade.trials.iter().filter(|trial| is_new(&trial.mount) && is_there(&trial.mount));
        let mut paths = due.map(|trial| trial.mount.join(&trial.below));
        paths.find(|path| !run.tried.contains(path)).map(|path| Step::TryMount { path })
    }

    fn nodes(&self) -> Option<Step> {
        let mounts: Vec<MountPath> = self.mounts().map(|(path, _)| path).collect();
        nodes::step(self.observed, self.upgrade, mounts.iter())
    }

    fn mounts(&self) -> impl Iterator<Item = (MountPath, &'a MountObserved)> {
        let Self { observed, upgrade, .. } = *self;
        let mounts = observed.mounts_of(upgrade.kind(), upgrade.name());
        mounts.filter(|(path, _)| upgrade.only.is_empty() || upgrade.only.contains(path))
    }

    /// A mount of the plugin that the goal leaves as it is.
    fn left_out(&self) -> Option<MountPath> {
        let mut mounts = self.observed.mounts_of(self.upgrade.kind(), self.upgrade.name());
        let left_out =
            mounts.find(|(path, _)| !self.upgrade.only.is_empty() && !self.upgrade.only.contains(path));
        left_out.map(|(path, _)| path)
    }

    fn pinned(&self) -> Option<&'a str> {
        self.observed.pinned(self.upgrade.kind(), self.upgrade.name())
    }

    fn file_name(&self) -> String {
        match &self.upgrade.target {
            Target::Brought(plugin) => plugin.file_name(),
            Target::Registered { kind, name, version } => self
                .observed
                .entry(*kind, name, &self.tagged)
                .map_or_else(|| format!("{name}-{version}"), CatalogEntry::file_name),
        }
    }

    fn sha256(&self) -> &'a str {
        match &self.upgrade.target {
            Target::Brought(plugin) => &plugin.binary.sha256,
            Target::Registered { kind, name, .. } => {
                self.observed.entry(*kind, name, &self.tagged).map_or("", |entry| entry.sha256.as_str())
            }
        }
    }

    /// Whether the next start of a mount is of the wanted version.
    fn is_told(&self, mount: &MountObserved) -> bool {
        self.observed.would_run(mount) == self.tagged
    }

    /// The version alone proves nothing: an entry can have been registered again with another binary.
    fn runs(&self, mount: &MountObserved) -> bool {
        mount.running_version == self.tagged && mount.running_sha256 == self.sha256()
    }

    fn needs_switch(&self) -> bool {
        self.mounts().any(|(_, mount)| !self.is_told(mount) || !self.runs(mount))
    }
}

#[cfg(test)]
mod tests;
