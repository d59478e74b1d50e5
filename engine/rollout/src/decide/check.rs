//! What must hold before anything is changed.

use vault_api::catalog::PluginType;

use super::nodes;
use crate::binary::{Linkage, Probed};
use crate::goal::{Downgrade, MountGoal, MountPath, Plugin, Register};
use crate::observed::site::{NodeObserved, Presence, SiteObserved, SiteState};
use crate::observed::{Observed, PluginDirectory};
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

pub(super) fn register(observed: &Observed, register: &Register) -> Result<(), Refusal> {
    let plugin = &register.plugin;
    brought(observed, plugin)?;
    // What is registered already is not made worse.
    if observed.entry(plugin.kind, &plugin.name, &plugin.version.tagged()).is_none() {
        nodes::kept_as_it_is(observed, &plugin.file_name(), &register.survival)?;
    }
    pin(observed, plugin)?;
    register.mounts.iter().try_for_each(|mount| self::mount(observed, register, mount))
}

/// A binary that the caller brings fits every node, and takes no other's place.
pub(super) fn brought(observed: &Observed, plugin: &Plugin) -> Result<(), Refusal> {
    let site = site(observed)?;
    probed(plugin)?;
    for (name, node) in &site.nodes {
        self::node(plugin, site, node).map_err(|refusal| refusal.on(name))?;
    }
    catalog(observed, plugin)
}

/// What this run has mounted for a trial must run what it was mounted for.
pub(super) fn canary(
    observed: &Observed,
    path: &MountPath,
    tagged: &str,
    sha256: &str,
) -> Result<(), Refusal> {
    let Some(mount) = observed.mounts.get(path.as_str()) else { return Ok(()) };
    let runs = mount.running_version == tagged && mount.running_sha256 == sha256;
    if runs || !observed.this_run.enabled.contains(path) {
        return Ok(());
    }
    Err(Refusal::RunsSomethingElse {
        path: path.clone(),
        running: format!("{} {}", mount.running_version, mount.running_sha256).trim().to_owned(),
        expected: tagged.to_owned(),
    })
}

/// After its reload a mount's version has a process that executes the file of the catalog, where processes can be seen.
pub(super) fn process(observed: &Observed, path: &MountPath) -> Result<(), Refusal> {
    let Some(mount) = observed.mounts.get(path.as_str()) else { return Ok(()) };
    let entry = observed.entry(PluginType::Secret, &mount.plugin, &mount.running_version);
    let (true, Some(entry)) = (observed.this_run.reloaded.contains(path), entry) else { return Ok(()) };
    let mut processes =
        observed.site.iter().flat_map(|site| site.nodes.values()).flat_map(|node| &node.processes);
    if processes.next().is_none() {
        return Ok(());
    }
    let file = entry.file_name();
    if observed.executes(&file, &entry.sha256) {
        Ok(())
    } else {
        Err(Refusal::NotProven { path: path.clone(), file })
    }
}

/// After its reload a mount must run what it is configured to run.
pub(super) fn reloaded(observed: &Observed, path: &MountPath) -> Result<(), Refusal> {
    let Some(mount) = observed.mounts.get(path.as_str()) else {
        return Err(Refusal::NoSuchMount { path: path.clone() });
    };
    if !observed.this_run.reloaded.contains(path) {
        return Ok(());
    }
    let expected = observed.would_run(mount);
    let entry = observed.entry(PluginType::Secret, &mount.plugin, expected);
    let other_version = !expected.is_empty() && mount.running_version != expected;
    let other_binary =
        entry.is_some_and(|entry| !entry.sha256.is_empty() && entry.sha256 != mount.running_sha256);
    if other_version || other_binary {
        return Err(Refusal::RunsSomethingElse {
            path: path.clone(),
            running: format!("{} {}", mount.running_version, mount.running_sha256).trim().to_owned(),
            expected: expected.to_owned(),
        });
    }
    Ok(())
}

fn site(observed: &Observed) -> Result<&SiteObserved, Refusal> {
    if observed.plugin_directory == PluginDirectory::NotConfigured {
        return Err(Refusal::NoPluginDirectory);
    }
    observed.site.as_ref().ok_or(Refusal::NoSite)
}

fn node(plugin: &Plugin, site: &SiteObserved, node: &NodeObserved) -> Result<(), Refusal> {
    if let Presence::NotReady { why } = &node.presence {
        return Err(Refusal::NodeNotReady { why: why.clone() });
    }
    directory(site, node)?;
    binary(plugin, node)?;
    file(plugin, site, node)
}

/// In place of a checksum.
const UNREADABLE: &str = "that could not be read";

fn directory(site: &SiteObserved, node: &NodeObserved) -> Result<(), Refusal> {
    let directory = site.directory.clone();
    Err(match &node.directory {
        SiteState::Usable => return Ok(()),
        SiteState::Missing => Refusal::DirectoryMissing { directory },
        SiteState::NotADirectory => Refusal::NotADirectory { directory },
        SiteState::NotWritable | SiteState::NotEntered => Refusal::DirectoryNotWritable { directory },
        SiteState::ReadOnly => Refusal::DirectoryReadOnly { directory },
        SiteState::NoExec => Refusal::DirectoryNoExec { directory },
        SiteState::WritableByEverybody => Refusal::DirectoryInsecure { directory },
        SiteState::Exposed { directory: exposed, by } => {
            Refusal::DirectoryExposed { directory, exposed: exposed.clone(), by: *by }
        }
        SiteState::Symlinked { real } => Refusal::DirectorySymlinked { directory, real: real.clone() },
        SiteState::NotTheServers { servers } => {
            Refusal::NotTheServersDirectory { directory, servers: servers.clone() }
        }
    })
}

fn binary(plugin: &Plugin, node: &NodeObserved) -> Result<(), Refusal> {
    plugin.binary.fit_for(node.machine)?;
    let path = plugin.binary.path.clone();
    match plugin.binary.format.linkage() {
        Some(Linkage::Dynamic { interpreter }) if !node.interpreter_present => {
            Err(Refusal::InterpreterMissing { path, interpreter: interpreter.clone() })
        }
        _ => Ok(()),
    }
}

fn probed(plugin: &Plugin) -> Result<(), Refusal> {
    let path = plugin.binary.path.clone();
    let probe = match &plugin.probed {
        Probed::Ran(probe) => probe,
        Probed::Failed { said } => return Err(Refusal::NotAPlugin { path, said: said.clone() }),
        Probed::NotRun { .. } => return Ok(()),
    };
    if let Some(reported) = probe.version.as_deref().filter(|version| !version.is_empty())
        && reported.parse::<Version>().ok().as_ref() != Some(&plugin.version)
    {
        let wanted = plugin.version.clone();
        return Err(Refusal::ReportsAnotherVersion { path, reported: reported.to_owned(), wanted });
    }
    match probe.kind {
        Some(reported) if reported != plugin.kind => {
            Err(Refusal::ReportsAnotherType { path, reported, wanted: plugin.kind })
        }
        _ => Ok(()),
    }
}

fn file(plugin: &Plugin, site: &SiteObserved, node: &NodeObserved) -> Result<(), Refusal> {
    let file = plugin.file_name();
    let directory = site.directory.clone();
    let wanted = &plugin.binary.sha256;
    match node.files.iter().find(|there| there.name == file) {
        Some(there) if there.sha256 != *wanted => {
            let there = if there.sha256.is_empty() { UNREADABLE.to_owned() } else { there.sha256.clone() };
            Err(Refusal::FileTaken { directory, file, there, wanted: wanted.clone() })
        }
        Some(_) => Ok(()),
        None => match node.free_bytes {
            Some(free_bytes) if free_bytes < plugin.binary.size => {
                Err(Refusal::NoSpace { directory, free_bytes, needed_bytes: plugin.binary.size })
            }
            _ => Ok(()),
        },
    }
}

fn catalog(observed: &Observed, plugin: &Plugin) -> Result<(), Refusal> {
    let Some(entry) = observed.entry(plugin.kind, &plugin.name, &plugin.version.tagged()) else {
        return Ok(());
    };
    let taken = |what, there: String, wanted: String| {
        let entry = format!("{} {}", plugin.name, plugin.version.tagged());
        Err(Refusal::VersionTaken { entry, what, there, wanted })
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
    match observed.pinned(plugin.kind, &plugin.name) {
        Some(pinned) if pinned != plugin.version.tagged() => Err(Refusal::Pinned {
            kind: plugin.kind,
            name: plugin.name.clone(),
            pinned: pinned.to_owned(),
            wanted: plugin.version.clone(),
        }),
        _ => Ok(()),
    }
}

fn mount(observed: &Observed, register: &Register, goal: &MountGoal) -> Result<(), Refusal> {
    let plugin = &register.plugin;
    let path = goal.path.clone();
    if plugin.kind != PluginType::Secret {
        return Err(Refusal::CannotBeMounted { kind: plugin.kind, path });
    }
    if let Some(other) = observed.mounts.keys().find(|other| path.overlaps(other)) {
        return Err(Refusal::MountsOverlap { path, other: other.clone() });
    }
    if let Some(other) = register.mounts.iter().find(|other| path.overlaps(other.path.as_str())) {
        return Err(Refusal::MountsOverlap { path, other: other.path.to_string() });
    }
    let Some(there) = observed.mounts.get(path.as_str()) else { return Ok(()) };
    if there.plugin != plugin.name {
        return Err(Refusal::MountTaken { path, plugin: there.plugin.clone() });
    }
    let newer = [&there.configured_version, &there.running_version].into_iter().find(|version| {
        version.parse::<Version>().is_ok_and(|version| !version.is_builtin() && version > plugin.version)
    });
    if let (Some(newer), Downgrade::Refuse) = (newer, register.downgrade) {
        return Err(Refusal::Downgrade { path, there: newer.clone(), wanted: plugin.version.clone() });
    }
    reloaded(observed, &path)
}
