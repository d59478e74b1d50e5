//! Preconditions of a change.

use vault_api::catalog::PluginType;

use super::nodes;
use crate::binary::{Architecture, Binary, Format, Linkage, ProbeOutcome};
use crate::consumer::Consumer;
use crate::goal::{DesiredMount, DowngradePolicy, Plugin, RegisterGoal};
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

/// Checks that the client is in the root namespace: all namespaces share catalog and pins, and only from there all mounts are visible.
pub(super) fn root_namespace(observed: &Observed) -> Result<(), Refusal> {
    match &observed.namespace {
        Some(namespace) => Err(Refusal::NotRootNamespace { namespace: namespace.clone() }),
        None => Ok(()),
    }
}

pub(super) fn register(
    observed: &Observed,
    register: &RegisterGoal,
    progress: &Progress,
) -> Result<(), Refusal> {
    let plugin = &register.plugin;
    provided_binary(observed, plugin)?;
    // A version that is registered already does not become less durable.
    if observed.catalog_entry(plugin.kind, &plugin.name, &plugin.version.v_prefixed()).is_none() {
        nodes::check_durability_unchanged(observed, &plugin.file_name(), &register.durability)?;
    }
    pin(observed, plugin)?;
    register.mounts.iter().try_for_each(|mount| self::mount(observed, register, progress, mount))
}

/// Checks that a binary of the caller runs on every node, and replaces no other.
pub(super) fn provided_binary(observed: &Observed, plugin: &Plugin) -> Result<(), Refusal> {
    let deployment = deployment(observed)?;
    probe_outcome(plugin)?;
    for (name, node) in &deployment.nodes {
        self::node(plugin, deployment, node).map_err(|refusal| refusal.on_node(name))?;
    }
    catalog(observed, plugin)
}

/// Checks that the canary mount of this run runs the new version.
pub(super) fn canary(
    observed: &Observed,
    progress: &Progress,
    path: &Consumer,
    version: &str,
    sha256: &str,
) -> Result<(), Refusal> {
    let Some(mount) = observed.consumers.get(path.as_str()) else { return Ok(()) };
    let runs = mount.running_version == version && mount.running_sha256 == sha256;
    if runs || !progress.enabled.contains(path) {
        return Ok(());
    }
    Err(Refusal::RunningVersionMismatch {
        path: path.clone(),
        running: format!("{} {}", mount.running_version, mount.running_sha256).trim().to_owned(),
        expected: version.to_owned(),
    })
}

/// Checks that a process runs the registered file of a reloaded mount, if processes are visible.
pub(super) fn has_process(observed: &Observed, progress: &Progress, path: &Consumer) -> Result<(), Refusal> {
    let Some(mount) = observed.consumers.get(path.as_str()) else { return Ok(()) };
    let entry = observed.catalog_entry(mount.kind, &mount.plugin, &mount.running_version);
    // Setting the version of a connection starts it.
    let is_started = progress.reloaded.contains(path)
        || (path.kind() == PluginType::Database && progress.tuned.contains(path));
    let (true, Some(entry)) = (is_started, entry) else { return Ok(()) };
    let mut processes = observed
        .deployment
        .iter()
        .flat_map(|deployment| deployment.nodes.values())
        .flat_map(|node| &node.processes);
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

/// Checks that a reloaded mount runs its configured version.
pub(super) fn reloaded(observed: &Observed, progress: &Progress, path: &Consumer) -> Result<(), Refusal> {
    let Some(mount) = observed.consumers.get(path.as_str()) else {
        return Err(Refusal::MountNotFound { path: path.clone() });
    };
    if !progress.reloaded.contains(path) {
        return Ok(());
    }
    let expected = observed.effective_version(mount);
    let entry = observed.catalog_entry(mount.kind, &mount.plugin, expected);
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

fn node(plugin: &Plugin, deployment: &DeploymentObserved, node: &NodeObserved) -> Result<(), Refusal> {
    if let Readiness::NotReady { reason } = &node.readiness {
        return Err(Refusal::NodeNotReady { reason: reason.clone() });
    }
    directory(deployment, node)?;
    binary(plugin, node)?;
    file(plugin, deployment, node)
}

/// Shown instead of a checksum.
const UNREADABLE: &str = "that could not be read";

fn directory(deployment: &DeploymentObserved, node: &NodeObserved) -> Result<(), Refusal> {
    let directory = deployment.directory.clone();
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
        DirectoryState::Symlinked { target } => {
            Refusal::DirectorySymlinked { directory, real: target.clone() }
        }
        DirectoryState::NotPluginDirectory { plugin_directory } => {
            Refusal::DirectoryMismatch { directory, server_directory: plugin_directory.clone() }
        }
    })
}

impl Binary {
    /// Checks that the file can be started on a machine of this architecture.
    ///
    /// # Errors
    /// [`Refusal::NotExecutable`], [`Refusal::WrongArchitecture`] or [`Refusal::NoExecutePermission`].
    pub fn check_runs_on(&self, node: Architecture) -> Result<(), Refusal> {
        let path = self.path.clone();
        let Format::Elf(elf) = &self.format else { return Err(Refusal::NotExecutable { path }) };
        if elf.architecture != node {
            return Err(Refusal::WrongArchitecture { path, binary: elf.architecture, node });
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
        ProbeOutcome::Failed { output } => {
            return Err(Refusal::ProbeFailed { path, output: output.clone() });
        }
        ProbeOutcome::NotRun { .. } => return Ok(()),
    };
    if let Some(reported) = probe.version.as_deref().filter(|version| !version.is_empty())
        && reported.parse::<Version>().ok().as_ref() != Some(&plugin.version)
    {
        let expected = plugin.version.clone();
        return Err(Refusal::VersionMismatch { path, reported: reported.to_owned(), expected });
    }
    match probe.kind {
        Some(reported) if reported != plugin.kind => {
            Err(Refusal::TypeMismatch { path, reported, expected: plugin.kind })
        }
        _ => Ok(()),
    }
}

fn file(plugin: &Plugin, deployment: &DeploymentObserved, node: &NodeObserved) -> Result<(), Refusal> {
    let file = plugin.file_name();
    let directory = deployment.directory.clone();
    let expected = &plugin.binary.sha256;
    match node.files.iter().find(|existing| existing.name == file) {
        Some(existing) if existing.sha256 != *expected => {
            let found =
                if existing.sha256.is_empty() { UNREADABLE.to_owned() } else { existing.sha256.clone() };
            Err(Refusal::FileConflict { directory, file, found, expected: expected.clone() })
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
    let conflict = |property, found: String, expected: String| {
        let entry = format!("{} {}", plugin.name, plugin.version.v_prefixed());
        Err(Refusal::VersionConflict { entry, property, found, expected })
    };
    let file = plugin.file_name();
    if entry.sha256 != plugin.binary.sha256 {
        return conflict("sha256", entry.sha256.clone(), plugin.binary.sha256.clone());
    }
    if let Some(command) = entry.command.as_ref().filter(|command| **command != file) {
        return conflict("command", command.clone(), file);
    }
    if let Some(args) = entry.args.as_ref().filter(|args| **args != plugin.args) {
        return conflict("list of arguments", format!("{args:?}"), format!("{:?}", plugin.args));
    }
    Ok(())
}

fn pin(observed: &Observed, plugin: &Plugin) -> Result<(), Refusal> {
    match observed.pinned_version(plugin.kind, &plugin.name) {
        Some(pinned) if pinned != plugin.version.v_prefixed() => Err(Refusal::Pinned {
            kind: plugin.kind,
            name: plugin.name.clone(),
            pinned: pinned.to_owned(),
            version: plugin.version.clone(),
        }),
        _ => Ok(()),
    }
}

/// Checks that the namespace of a mount exists, unless the token cannot see that.
fn namespace(observed: &Observed, path: &Consumer) -> Result<(), Refusal> {
    let namespace = path.namespace();
    let is_hidden = !observed.caller.hidden_namespaces().is_empty();
    if namespace.is_empty() || observed.namespaces.contains(namespace) || is_hidden {
        return Ok(());
    }
    Err(Refusal::NamespaceNotFound { namespace: namespace.trim_end_matches('/').to_owned() })
}

fn mount(
    observed: &Observed,
    register: &RegisterGoal,
    progress: &Progress,
    goal: &DesiredMount,
) -> Result<(), Refusal> {
    let plugin = &register.plugin;
    let path = goal.path.clone();
    namespace(observed, &path)?;
    // A connection needs settings of its database, with which it is created.
    if path.kind() != plugin.kind
        || (plugin.kind == PluginType::Database && !observed.consumers.contains_key(path.as_str()))
    {
        return Err(Refusal::NotMountable { kind: plugin.kind, path });
    }
    if let Some(other) = observed.consumers.keys().find(|other| path.overlaps(other)) {
        return Err(Refusal::MountsOverlap { path, other: other.to_string() });
    }
    if let Some(other) = register.mounts.iter().find(|other| path.overlaps(&other.path)) {
        return Err(Refusal::MountsOverlap { path, other: other.path.to_string() });
    }
    let Some(current) = observed.consumers.get(path.as_str()) else { return Ok(()) };
    if current.plugin != plugin.name {
        return Err(Refusal::MountConflict { path, plugin: current.plugin.clone() });
    }
    let newer = [&current.configured_version, &current.running_version].into_iter().find(|version| {
        version.parse::<Version>().is_ok_and(|version| !version.is_builtin() && version > plugin.version)
    });
    if let (Some(newer), DowngradePolicy::Refuse) = (newer, register.downgrade) {
        return Err(Refusal::Downgrade { path, current: newer.clone(), target: plugin.version.clone() });
    }
    reloaded(observed, progress, &path)
}
