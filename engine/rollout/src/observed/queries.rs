//! What rules ask of a snapshot.

use std::collections::BTreeSet;

use vault_api::catalog::PluginType;

use super::deployment::{NodeName, Process, Readiness};
use super::{CatalogEntry, MountObserved, Observed};
use crate::mount_path::MountPath;
use crate::version::Version;

impl Observed {
    /// The mounts of a plugin that people use; a canary's is none of them.
    pub fn mounts_of<'a>(
        &'a self,
        kind: PluginType,
        name: &str,
    ) -> impl Iterator<Item = (MountPath, &'a MountObserved)> + use<'a> {
        let name = name.to_owned();
        let mounts =
            self.mounts.iter().filter(move |(_, mount)| kind == PluginType::Secret && mount.plugin == name);
        let paths = mounts.filter_map(|(path, mount)| Some((path.parse::<MountPath>().ok()?, mount)));
        paths.filter(|(path, _)| !path.is_canary())
    }

    /// The files of all nodes, by name.
    pub(crate) fn file_names(&self) -> BTreeSet<&str> {
        let nodes = self.deployment.iter().flat_map(|site| site.nodes.values());
        nodes.flat_map(|node| &node.files).map(|file| file.name.as_str()).collect()
    }

    /// The nodes that have a file of that name.
    pub(crate) fn nodes_with_file(&self, file: &str) -> Vec<NodeName> {
        let nodes = self.deployment.iter().flat_map(|site| &site.nodes);
        let having = nodes.filter(|(_, node)| node.files.iter().any(|there| there.name == file));
        having.map(|(name, _)| name.clone()).collect()
    }

    /// A process that runs a file, and where.
    pub(crate) fn process_of(&self, file: &str) -> Option<(NodeName, u32)> {
        let mut running = self.processes().filter(|(_, process)| process.runs_file(file));
        running.next().map(|(name, process)| (name.clone(), process.pid))
    }

    /// Whether a process executes that file with that content, as far as its content can be seen.
    pub(crate) fn executes(&self, file: &str, sha256: &str) -> bool {
        let same = |process: &Process| process.sha256.as_ref().is_none_or(|there| there == sha256);
        self.processes().any(|(_, process)| process.runs_file(file) && same(process))
    }

    fn processes(&self) -> impl Iterator<Item = (&NodeName, &Process)> {
        let nodes = self.deployment.iter().flat_map(|site| &site.nodes);
        nodes.flat_map(|(name, node)| node.processes.iter().map(move |process| (name, process)))
    }
}

/// What the kernel adds to the name of an executable that is gone.
const DELETED_SUFFIX: &str = " (deleted)";

impl Process {
    fn runs_file(&self, file: &str) -> bool {
        self.file.strip_suffix(DELETED_SUFFIX).unwrap_or(&self.file) == file
    }
}

impl CatalogEntry {
    /// The file it starts.
    pub fn file_name(&self) -> String {
        match (&self.command, self.version.parse::<Version>()) {
            (Some(command), _) => command.clone(),
            (None, Ok(version)) => format!("{}-{version}", self.name),
            (None, Err(_)) => self.name.clone(),
        }
    }

    /// The nodes on which its file is not, or is another; a node that cannot be looked at is none of them.
    pub fn missing_on(&self, observed: &Observed) -> Vec<NodeName> {
        let Some(site) = &observed.deployment else { return Vec::new() };
        let file = self.file_name();
        let same = |sha256: &str| self.sha256.is_empty() || self.sha256 == sha256;
        let mut missing = site.nodes_lacking(&file, |there| same(&there.sha256) && there.mode & 0o111 != 0);
        missing.retain(|name| site.nodes.get(name).is_some_and(|node| node.readiness == Readiness::Ready));
        missing
    }
}
