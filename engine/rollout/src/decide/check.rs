//! What must hold before anything is changed.

use vault_api::catalog::PluginType;

use super::nodes;
use crate::binary::{Architecture, Binary, Format, Linkage, ProbeOutcome};
use crate::goal::{DesiredMount, DowngradePolicy, Plugin, RegisterGoal};
use crate::mount_path::MountPath;
use crate::observed::deployment::{DeploymentObserved, DirectoryState, NodeObserved, Readiness};
use crate::observed::{Observed, PluginDirectory};
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::version::Version;

pub(super) fn server(observed: &Observed) -> Result<(), Refusal> {
    let address = || observed.server.address.clone();
    if !observed.server.initialized {
        return Err(Refusal::NotInitialized { address: address() });
    }
    if observed.server.sealed {
        return Err(Refusal::Sealed { address: address() });
    }
    Ok(())
}

pub(super) fn register(
    observed: &Observed,
    register: &RegisterGoal,
    progress: &Progress,
) -> Result<(), Refusal> {
    let plugin = &register.plugin;
    provided_binary(observed, plugin)?;
    // What is registered already is not made worse.
    if observed.catalog_entry(plugin.kind, &plugin.name, &plugin.version.v_prefixed()).is_none() {
        nodes::check_durability_unchanged(observed, &plugin.file_name(), &register.durability)?;
    }
    pin(observed, plugin)?;
    register.mounts.iter().try_for_each(|mount| self::mount(observed, register, progress, mount))
}

/// A binary that the caller brings fits every node, and takes no other's place.
pub(super) fn provided_binary(observed: &Observed, plugin: &Plugin) -> Result<(), Refusal> {
    let site = deployment(observed)?;
    probe_outcome(plugin)?;
    for (name, node) in &site.nodes {
        self::node(plugin, site, node).map_err(|refusal| refusal.on_node(name))?;
    }
    catalog(observed, plugin)
}

/// What this run has mounted for a trial must run what it was mounted for.
pub(super) fn canary(
    observed: &Observed,
    progress: &Progress,
    path: &MountPath,
    tagged: &str,
    sha256: &str,
) -> Result<(), Refusal> {
    let Some(mount) = observed.mounts.get(path.as_str()) else { return Ok(()) };
    let runs = mount.running_version == tagged && mount.running_sha256 == sha256;
    if runs || !progress.enabled.contains(path) {
        return Ok(());
    }
    Err(Refusal::RunningVersionMismatch {
        path: path.clone(),
        running: format!("{} {}", mount.running_version, mount.running_sha256).trim().to_owned(),
        expected: tagged.to_owned(),
    })
}

/// After its reload a mount's version has a process that executes the file of the catalog, where processes can be seen.
pub(super) fn has_process(observed: &Observed, progress: &Progress, path: &MountPath) -> Result<(), Refusal> {
    let Some(mount) = observed.mounts.get(path.as_str()) else { return Ok(()) };
    let entry = observed.catalog_entry(PluginType::Secret, &mount.plugin, &mount.running_version);
    let (true, Some(entry)) = (progress.reloaded.contains(path), entry) else { return Ok(()) };
    let mut processes =
        observed.deployment.iter().flat_map(|site| site.nodes.values()).flat_map(|node| &node.processes);
    if processes.next().is_none() {
        return Ok(());
    }
    let file = entry.file_name();
    if observed.executes(&file, &entry.sha256) {
        Ok(())
    } else {
        Err(Refusal::NoProcess { path: path.clone(), file })
    }
}

/// After its reload a mount must run what it is configured to run.
pub(super) fn reloaded(observed: &Observed, progress: &Progress, path: &MountPath) -> Result<(), Refusal> {
    let Some(mount) = observed.mounts.get(path.as_str()) else {
        return Err(Refusal::MountNotFound { path: path.clone() });
    };
    if !progress.reloaded.contains(path) {
        return Ok(());
    }
    let expected = observed.effective_version(mount);
    let entry = observed.catalog_entry(PluginType::Secret, &mount.plugin, expected);
    let other_version = !expected.is_empty() && mount.running_version != expected;
    let other_binary =
        entry.is_some_and(|entry| !entry.sha256.is_empty() && entry.sha256 != mount.running_sha256);
    if other_version || other_binary {
        return Err(Refusal::RunningVersionMismatch {
            path: path.clone(),
            running: format!("{} {}", mount.running_version, mount.running_sha256).trim().to_owned(),
            expected: expected.to_owned(),
        });
    }
    Ok(())
}

fn deployment(observed: &Observed) -> Result<&DeploymentObserved, Refusal> {
    if observed.plugin_directory == PluginDirectory::NotConfigured {
        return Err(Refusal::NoPluginDirectory);
    }
    observed.deployment.as_ref().ok_or(Refusal::PluginDirectoryUnknown)
}

fn node(plugin: &Plugin, site: &DeploymentObserved, node: &NodeObserved) -> Result<(), Refusal> {
    if let Readiness::NotReady { reason: why } = &node.readiness {
        return Err(Refusal::NodeNotReady { why: why.clone() });
    }
    directory(site, node)?;
    binary(plugin, node)?;
    file(plugin, site, node)
}

/// In place of a checksum.
const UNREADABLE: &str = "that could not be read";

fn directory(site: &DeploymentObserved, node: &NodeObserved) -> Result<(), Refusal> {
    let directory = site.directory.clone();
    Err(match &node.directory {
        DirectoryState::Usable => return Ok(()),
        DirectoryState::Missing => Refusal::DirectoryMissing { directory },
        DirectoryState::NotADirectory => Refusal::NotADirectory { directory },
        DirectoryState::NotWritable | DirectoryState::NotAccessible => {
            Refusal::DirectoryNotWritable { directory }
        }
        DirectoryState::ReadOnly => Refusal::DirectoryReadOnly { directory },
        DirectoryState::NoExec => Refusal::DirectoryNoExec { directory },
        DirectoryState::WorldWritable => Refusal::DirectoryWorldWritable { directory },
        DirectoryState::Exposed { directory: exposed, by } => {
            Refusal::DirectoryExposed { directory, exposed: exposed.clone(), by: *by }
        }
        DirectoryState::Symlinked { target: real } => {
            Refusal::DirectorySymlinked { directory, real: real.clone() }
        }
        DirectoryState::NotPluginDirectory { plugin_directory: servers } => {
            Refusal::DirectoryMismatch { directory, servers: servers.clone() }
        }
    })
}

impl Binary {
    /// Whether it can be started on this machine at all, as far as its file tells.
    ///
    /// # Errors
    /// [`Refusal::NotExecutable`], [`Refusal::WrongArchitecture`] or [`Refusal::NoExecutePermission`].
    pub fn check_runs_on(&self, site: Architecture) -> Result<(), Refusal> {
        let path = self.path.clone();
        let Format::Elf(elf) = &self.format else { return Err(Refusal::NotExecutable { path }) };
        if elf.architecture != site {
            return Err(Refusal::WrongArchitecture { path, binary: elf.architecture, site });
        }
        if self.executable { Ok(()) } else { Err(Refusal::NoExecutePermission { path }) }
    }
}

fn binary(plugin: &Plugin, node: &NodeObserved) -> Result<(), Refusal> {
    plugin.binary.check_runs_on(node.architecture)?;
    let path = plugin.binary.path.clone();
    match plugin.binary.format.linkage() {
        Some(Linkage::Dynamic { interpreter }) if !node.interpreter_present => {
            Err(Refusal::InterpreterMissing { path, interpreter: interpreter.clone() })
        }
        _ => Ok(()),
    }
}

fn probe_outcome(plugin: &Plugin) -> Result<(), Refusal> {
    let path = plugin.binary.path.clone();
    let probe = match &plugin.probe {
        ProbeOutcome::Ran(probe) => probe,
        ProbeOutcome::Failed { output: said } => {
            return Err(Refusal::ProbeFailed { path, said: said.clone() });
        }
        ProbeOutcome::NotRun { .. } => return Ok(()),
    };
    if let Some(reported) = probe.version.as_deref().filter(|version| !version.is_empty())
        && reported.parse::<Version>().ok().as_ref() != Some(&plugin.version)
    {
        let wanted = plugin.version.clone();
        return Err(Refusal::VersionMismatch { path, reported: reported.to_owned(), wanted });
    }
    match probe.kind {
        Some(reported) if reported != plugin.kind => {
            Err(Refusal::TypeMismatch { path, reported, wanted: plugin.kind })
        }
        _ => Ok(()),
    }
}

fn file(plugin: &Plugin, site: &DeploymentObserved, node: &NodeObserved) -> Result<(), Refusal> {
    let file = plugin.file_name();
    let directory = site.directory.clone();
    let wanted = &plugin.binary.sha256;
    match node.files.iter().find(|there| there.name == file) {
        Some(there) if there.sha256 != *wanted => {
            let there = if there.sha256.is_empty() { UNREADABLE.to_owned() } else { there.sha256.clone() };
            Err(Refusal::FileConflict { directory, file, there, wanted: wanted.clone() })
        }
        Some(_) => Ok(()),
        None => match node.free_bytes {
            Some(free_bytes) if free_bytes < plugin.binary.size => {
                Err(Refusal::InsufficientSpace { directory, free_bytes, needed_bytes: plugin.binary.size })
            }
            _ => Ok(()),
        },
    }
}

fn catalog(observed: &Observed, plugin: &Plugin) -> Result<(), Refusal> {
    let Some(entry) = observed.catalog_entry(plugin.kind, &plugin.name, &plugin.version.v_prefixed()) else {
        return Ok(());
    };
    let taken = |what, there: String, wanted: String| {
        let entry = format!("{} {}", plugin.name, plugin.version.v_prefixed());
        Err(Refusal::VersionConflict { entry, what, there, wanted })
    };
    let file = plugin.file_name();
    if entry.sha256 != plugin.binary.sha256 {
        return taken("sha256", entry.sha256.clone(), plugin.binary.sha256.clone());
    }
    if let Some(command) = entry.command.as_ref().filter(|command| **command != file) {
        return taken("command", command.clone(), file);
    }
    if let Some(args) = entry.args.as_ref().filter(|args| **args != plugin.args) {
        return taken("list of arguments", format!("{args:?}"), format!("{:?}", plugin.args));
    }
    Ok(())
}

fn pin(observed: &Observed, plugin: &Plugin) -> Result<(), Refusal> {
    match observed.pinned_version(plugin.kind, &plugin.name) {
        Some(pinned) if pinned != plugin.version.v_prefixed() => Err(Refusal::Pinned {
            kind: plugin.kind,
            name: plugin.name.clone(),
            pinned: pinned.to_owned(),
            wanted: plugin.version.clone(),
        }),
        _ => Ok(()),
    }
}

fn mount(
    observed: &Observed,
    register: &RegisterGoal,
    progress: &Progress,
    goal: &DesiredMount,
) -> Result<(), Refusal> {
    let plugin = &register.plugin;
    let path = goal.path.clone();
    if plugin.kind != PluginType::Secret {
        return Err(Refusal::NotMountable { kind: plugin.kind, path });
    }
    if let Some(other) = observed.mounts.keys().find(|other| path.overlaps(other)) {
        return Err(Refusal::MountsOverlap { path, other: other.clone() });
    }
    if let Some(other) = register.mounts.iter().find(|other| path.overlaps(other.path.as_str())) {
        return Err(Refusal::MountsOverlap { path, other: other.path.to_string() });
    }
    let Some(there) = observed.mounts.get(path.as_str()) else { return Ok(()) };
    if there.plugin != plugin.name {
        return Err(Refusal::MountConflict { path, plugin: there.plugin.clone() });
    }
    let newer = [&there.configured_version, &there.running_version].into_iter().find(|version| {
        version.parse::<Version>().is_ok_and(|version| !version.is_builtin() && version > plugin.version)
    });
    if let (Some(newer), DowngradePolicy::Refuse) = (newer, register.downgrade) {
        return Err(Refusal::Downgrade { path, there: newer.clone(), wanted: plugin.version.clone() });
    }
    reloaded(observed, progress, &path)
}
