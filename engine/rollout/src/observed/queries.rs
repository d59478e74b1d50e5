//! Queries on a snapshot that several rules use.

use std::collections::BTreeSet;

use vault_api::catalog::PluginType;

use super::deployment::{NodeName, Process, Readiness};
use super::{CatalogEntry, ConsumerObserved, Observed};
use crate::consumer::Consumer;
use crate::version::Version;

impl Observed {
    /// The consumers of a plugin, except canary mounts.
    pub fn consumers_of<'a>(
        &'a self,
        kind: PluginType,
        name: &str,
    ) -> impl Iterator<Item = (Consumer, &'a ConsumerObserved)> + use<'a> {
        let name = name.to_owned();
        let consumers =
            self.consumers.iter().filter(move |(_, mount)| mount.kind == kind && mount.plugin == name);
        consumers.filter(|(path, _)| !path.is_canary()).map(|(path, mount)| (path.clone(), mount))
    }

    /// The consumer of a plugin of `kind` that users mean with a path.
    #[must_use]
    pub fn resolve(&self, path: Consumer, kind: PluginType) -> Consumer {
        path.resolve(kind, &self.namespaces)
    }

    /// File names on all nodes.
    pub(crate) fn file_names(&self) -> BTreeSet<&str> {
        let nodes = self.deployment.iter().flat_map(|deployment| deployment.nodes.values());
        nodes.flat_map(|node| &node.files).map(|file| file.name.as_str()).collect()
    }

    /// The nodes that have a file with this name.
    pub(crate) fn nodes_with_file(&self, file: &str) -> Vec<NodeName> {
        let nodes = self.deployment.iter().flat_map(|deployment| &deployment.nodes);
        let matching = nodes.filter(|(_, node)| node.files.iter().any(|other| other.name == file));
        matching.map(|(name, _)| name.clone()).collect()
    }

    /// A process that runs a file, with its node.
    pub(crate) fn process_of(&self, file: &str) -> Option<(NodeName, u32)> {
        let mut running = self.processes().filter(|(_, process)| process.runs_file(file));
        running.next().map(|(name, process)| (name.clone(), process.pid))
    }

    /// Whether a process runs a file with this content, or with unknown content.
    pub(crate) fn executes(&self, file: &str, sha256: &str) -> bool {
        let same = |process: &Process| process.sha256.as_ref().is_none_or(|other| other == sha256);
        self.processes().any(|(_, process)| process.runs_file(file) && same(process))
    }

    fn processes(&self) -> impl Iterator<Item = (&NodeName, &Process)> {
        let nodes = self.deployment.iter().flat_map(|deployment| &deployment.nodes);
        nodes.flat_map(|(name, node)| node.processes.iter().map(move |process| (name, process)))
    }
}

/// Suffix that the kernel adds to the name of a removed executable.
const DELETED_SUFFIX: &str = " (deleted)";

impl Process {
    fn runs_file(&self, file: &str) -> bool {
        self.file.strip_suffix(DELETED_SUFFIX).unwrap_or(&self.file) == file
    }
}

impl CatalogEntry {
    /// The file that it runs.
    pub fn file_name(&self) -> String {
        match (&self.command, self.version.parse::<Version>()) {
            (Some(command), _) => command.clone(),
            (None, Ok(version)) => format!("{}-{version}", self.name),
            (None, Err(_)) => self.name.clone(),
        }
    }

    /// The observed nodes on which its file is missing or different.
    pub fn missing_on(&self, observed: &Observed) -> Vec<NodeName> {
        let Some(deployment) = &observed.deployment else { return Vec::new() };
        let file = self.file_name();
        let same = |sha256: &str| self.sha256.is_empty() || self.sha256 == sha256;
        let mut missing =
            deployment.nodes_lacking(&file, |other| same(&other.sha256) && other.mode & 0o111 != 0);
        missing
            .retain(|name| deployment.nodes.get(name).is_some_and(|node| node.readiness == Readiness::Ready));
        missing
    }
}
