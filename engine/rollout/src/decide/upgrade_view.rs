//! The state of an upgrade, derived from a snapshot.

use crate::consumer::Consumer;
use crate::goal::{Target, UpgradeGoal};
use crate::observed::{CatalogEntry, ConsumerObserved, Observed};

/// An upgrade goal, applied to a snapshot.
pub(super) struct UpgradeView<'a> {
    pub(super) observed: &'a Observed,
    pub(super) upgrade: &'a UpgradeGoal,
    /// The version with its `v`.
    pub(super) version_tag: String,
}

impl<'a> UpgradeView<'a> {
    pub(super) fn new(observed: &'a Observed, upgrade: &'a UpgradeGoal) -> Self {
        Self { observed, upgrade, version_tag: upgrade.version().v_prefixed() }
    }

    pub(super) fn mounts(&self) -> impl Iterator<Item = (Consumer, &'a ConsumerObserved)> {
        let Self { observed, upgrade, .. } = *self;
        let mounts = observed.consumers_of(upgrade.kind(), upgrade.name());
        mounts.filter(|(path, _)| upgrade.only_mounts.is_empty() || upgrade.only_mounts.contains(path))
    }

    /// A mount of the plugin that the goal does not include.
    pub(super) fn left_out(&self) -> Option<Consumer> {
        let mut mounts = self.observed.consumers_of(self.upgrade.kind(), self.upgrade.name());
        let left_out = mounts.find(|(path, _)| {
            !self.upgrade.only_mounts.is_empty() && !self.upgrade.only_mounts.contains(path)
        });
        left_out.map(|(path, _)| path)
    }

    pub(super) fn pinned(&self) -> Option<&'a str> {
        self.observed.pinned_version(self.upgrade.kind(), self.upgrade.name())
    }

    pub(super) fn file_name(&self) -> String {
        match &self.upgrade.target {
            Target::Provided(plugin) => plugin.file_name(),
            Target::Registered { kind, name, version } => self
                .observed
                .catalog_entry(*kind, name, &self.version_tag)
                .map_or_else(|| format!("{name}-{version}"), CatalogEntry::file_name),
        }
    }

    pub(super) fn sha256(&self) -> &'a str {
        match &self.upgrade.target {
            Target::Provided(plugin) => &plugin.binary.sha256,
            Target::Registered { kind, name, .. } => self
                .observed
                .catalog_entry(*kind, name, &self.version_tag)
                .map_or("", |entry| entry.sha256.as_str()),
        }
    }

    /// Whether a mount runs the target version after its next start.
    pub(super) fn is_configured(&self, mount: &ConsumerObserved) -> bool {
        self.observed.effective_version(mount) == self.version_tag
    }

    /// Whether a mount runs the target version with the right binary, because an entry can be registered again with another one.
    pub(super) fn runs(&self, mount: &ConsumerObserved) -> bool {
        mount.running_version == self.version_tag && mount.running_sha256 == self.sha256()
    }

    pub(super) fn needs_switch(&self) -> bool {
        self.mounts().any(|(_, mount)| !self.is_configured(mount) || !self.runs(mount))
    }
}

/// Mounts that are configured for the target version and run another one, as a killed run leaves them, with their running version.
pub(crate) fn unreloaded_mounts(observed: &Observed, upgrade: &UpgradeGoal) -> Vec<(Consumer, String)> {
    let view = UpgradeView::new(observed, upgrade);
    let unreloaded = view
        .mounts()
        .filter(|(_, mount)| view.is_configured(mount) && mount.running_version != view.version_tag);
    unreloaded.map(|(path, mount)| (path, mount.running_version.clone())).collect()
}
