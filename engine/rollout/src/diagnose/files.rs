//! The plugin directory of each node.

use std::path::Path;

use super::Check;
use super::finding::{Finding, Known, Severity, Shown, chmod, on, quoted, remove_file, tool};
use crate::observed::site::{
    Exposure, Keeping, NodeName, NodeObserved, Presence, SharedDirectory, SiteKind, SiteObserved, SiteState,
};
use crate::observed::{Observed, PluginDirectory};

const NO_DIRECTORY: Known = Known {
    id: "VTP-201",
    title: "the plugin directory is not there",
    severity: Severity::BreaksAtRestart,
    consequence: "No external plugin can be started on this node.",
    cure: "Make the directory, or mount the volume there, and put every registered version into it.",
    says: &["error while validating the command path: lstat *: no such file or directory"],
    shown: Shown::OnServer("doctor::directory::vtp_201_the_directory_is_missing"),
};
const NOT_A_DIRECTORY: Known = Known {
    id: "VTP-202",
    title: "the plugin directory is no directory",
    severity: Severity::BreaksAtRestart,
    consequence: "No external plugin can be started on this node.",
    cure: "Name a directory as plugin_directory in the server's configuration.",
    says: &["error while validating the command path: lstat *: not a directory"],
    shown: Shown::OnServer("doctor::directory::vtp_202_a_file_is_in_the_place_of_the_directory"),
};
const NO_EXEC: Known = Known {
    id: "VTP-203",
    title: "nothing can be started from the plugin directory",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses every plugin with `permission denied`, whatever its mode is.",
    cure: "Mount the volume without noexec.",
    says: &[],
    shown: Shown::OnPods("doctor::files::vtp_203_the_volume_of_a_pod_is_mounted_noexec"),
};
const WRITABLE_BY_ALL: Known = Known {
    id: "VTP-204",
    title: "everybody may write to the plugin directory",
    severity: Severity::Risk,
    consequence: "Any user of the node can take a plugin away, or put another in its place before the server has compared it. A \
                  server that checks permissions starts nothing from there.",
    cure: "Take the right to write from everybody.",
    says: &[],
    shown: Shown::OnServer("doctor::directory::vtp_204_everybody_may_write_to_the_directory"),
};
const EXPOSED: Known = Known {
    id: "VTP-212",
    title: "others than root and the server's user can replace plugins",
    severity: Severity::Risk,
    consequence: "Whoever may write to a directory that leads to the plugins can put another directory or file in its place. No version is \
                  placed there.",
    cure: "Take the right to write from group and others, or give the directory to root or the server's user.",
    says: &[],
    shown: Shown::OnServer("doctor::directory::vtp_212_a_group_may_write_to_the_directory"),
};
const SYMLINKED: Known = Known {
    id: "VTP-205",
    title: "the server's path to its plugins leads over a symbolic link",
    severity: Severity::BreaksAtRestart,
    consequence: "The server resolves the link and finds that plugins lie outside of its directory, so that none can be registered.",
    cure: "Write the real path as plugin_directory into the server's configuration. In a pod, mount a volume that is no ConfigMap.",
    says: &["cannot execute files outside of configured plugin directory"],
    shown: Shown::OnServer("doctor::directory::vtp_205_the_directory_is_a_symbolic_link"),
};
const LEFTOVER: Known = Known {
    id: "VTP-206",
    title: "a copy was begun and not ended",
    severity: Severity::Note,
    consequence: "It takes room and is never run.",
    cure: "Remove it, if nothing is placed at this moment.",
    says: &[],
    shown: Shown::OnServer("doctor::directory::vtp_206_half_a_copy_is_left_behind"),
};
const DISK_FULL: Known = Known {
    id: "VTP-207",
    title: "the volume of the plugin directory is nearly full",
    severity: Severity::Risk,
    consequence: "The next version does not fit. On a volume that holds the server's storage too, the server stops.",
    cure: "Make the volume larger, or remove versions that nothing needs with `vault-token-plugin gc`.",
    says: &["no space left on device", "not enough space left on disk"],
    shown: Shown::OnPods("doctor::files::vtp_207_the_volume_of_a_pod_is_full"),
};
const LINK_OUT: Known = Known {
    id: "VTP-208",
    title: "a plugin is a link that leads out of the plugin directory",
    severity: Severity::BreaksAtRestart,
    consequence: "The server refuses to start what lies outside.",
    cure: "Put the file itself there.",
    says: &[],
    shown: Shown::OnServer("doctor::directory::vtp_208_a_plugin_is_a_symbolic_link"),
};
const NOT_WRITABLE: Known = Known {
    id: "VTP-209",
    title: "this user may not write to the plugin directory",
    severity: Severity::Note,
    consequence: "What runs goes on. No version can be placed.",
    cure: "Run this as the owner of the directory.",
    says: &[],
    shown: Shown::OnPods("doctor::restricted::vtp_209_the_server_may_not_write_to_the_directory"),
};
const WRITABLE_FILE: Known = Known {
    id: "VTP-210",
    title: "others than its owner may write to what the server starts",
    severity: Severity::Risk,
    consequence: "Whoever changes it makes it unstartable, for its checksum is not the registered one any more. A server that \
                  checks permissions does not start it.",
    cure: "Take the right to write from group and others.",
    says: &["has insecure permissions"],
    shown: Shown::OnServer("doctor::directory::vtp_210_a_group_may_write_to_a_plugin"),
};

const NOT_ENTERED: Known = Known {
    id: "VTP-211",
    title: "the server may not enter its plugin directory",
    severity: Severity::BreaksAtRestart,
    consequence: "No external plugin can be registered or started.",
    cure: "Let the server's user read and enter the directory and all that lead to it (mode 755).",
    says: &["error while validating the command path: lstat *: permission denied"],
    shown: Shown::OnPods("doctor::restricted::vtp_211_the_server_may_not_enter_the_directory"),
};

const SHARED: Known = Known {
    id: "VTP-213",
    title: "others can write to the plugins of a pod",
    severity: Severity::Risk,
    consequence: "Whoever may write there can remove a plugin or replace it after its checksum was registered. The server compares the \
                  checksum whenever it starts a plugin, so the start of a replaced plugin fails, and its mounts fail with it. Only a \
                  file that is replaced between that comparison and the start is run.",
    cure: "Mount the volume with `readOnly: true` in the other containers, or keep the plugins on a volume of their own, or in a \
           directory that only root or the server's user may write to (mode 755).",
    says: &[],
    shown: Shown::OnPods("doctor::files::vtp_213_another_container_can_write_to_the_plugin_directory"),
};

pub(super) const ALL: &[&Known] = &[
    &NO_DIRECTORY,
    &NOT_A_DIRECTORY,
    &NO_EXEC,
    &WRITABLE_BY_ALL,
    &SYMLINKED,
    &LEFTOVER,
    &DISK_FULL,
    &LINK_OUT,
    &NOT_WRITABLE,
    &WRITABLE_FILE,
    &NOT_ENTERED,
    &EXPOSED,
    &SHARED,
];

pub(super) const CHECKS: &[Check] = &[directory, shared, leftovers, nearly_full, links, writable_files];

/// Less than a plugin and what a server needs to go on.
const ENOUGH_BYTES: u64 = 64 << 20;

fn ready(observed: &Observed) -> impl Iterator<Item = (&SiteObserved, &NodeName, &NodeObserved)> {
    observed.site.iter().flat_map(|site| {
        let nodes = site.nodes.iter().filter(|(_, node)| node.presence == Presence::Ready);
        nodes.map(move |(name, node)| (site, name, node))
    })
}

fn directory(observed: &Observed) -> Vec<Finding> {
    // Where the server has none, that is what is wrong.
    if observed.plugin_directory == PluginDirectory::NotConfigured {
        return Vec::new();
    }
    let of_node = |(site, name, node): (&SiteObserved, &NodeName, &NodeObserved)| {
        let path = site.directory.display().to_string();
        let known = match &node.directory {
            SiteState::Usable | SiteState::NotTheServers { .. } => return None,
            // Filled by somebody else, who can write.
            SiteState::NotWritable if is_filled(&site.keeping) => return None,
            // The description of a pod says so: somebody has decided it.
            SiteState::ReadOnly if site.kind != SiteKind::Local => return None,
            SiteState::NotEntered => &NOT_ENTERED,
            SiteState::Missing => &NO_DIRECTORY,
            SiteState::NotADirectory => &NOT_A_DIRECTORY,
            SiteState::NoExec => &NO_EXEC,
            SiteState::WritableByEverybody => &WRITABLE_BY_ALL,
            SiteState::Exposed { .. } => &EXPOSED,
            SiteState::Symlinked { .. } => &SYMLINKED,
            SiteState::ReadOnly | SiteState::NotWritable => &NOT_WRITABLE,
        };
        let evidence = match &node.directory {
            SiteState::Symlinked { real } => format!("{path} is {}", real.display()),
            SiteState::Exposed { directory, by } => format!("{} {by}", directory.display()),
            _ => path.clone(),
        };
        let finding = known.at(name.to_string(), evidence);
        Some(match &node.directory {
            SiteState::WritableByEverybody => finding.run(chmod(observed, name, "go-w", &path)),
            SiteState::Exposed { directory, by } => finding.run(close(observed, name, directory, *by)),
            // In a pod it is a volume that is not mounted.
            SiteState::Missing if site.kind == SiteKind::Local => {
                finding.run(format!("mkdir -p -m 755 {}", quoted(&path)))
            }
            _ => finding,
        })
    };
    ready(observed).filter_map(of_node).collect()
}

/// A directory that a server refuses for its mode is another finding.
fn shared(observed: &Observed) -> Vec<Finding> {
    let of_node = |(_, name, node): (&SiteObserved, &NodeName, &NodeObserved)| {
        let SharedDirectory { directory, by, with } = node.oddities.shared.as_ref()?;
        if node.directory == SiteState::WritableByEverybody {
            return None;
        }
        let evidence =
            format!("{} {by}, and {} can write to its volume", directory.display(), with.join(", "));
        Some(SHARED.at(name.to_string(), evidence))
    };
    ready(observed).filter_map(of_node).collect()
}

/// A command line that takes a directory out of the hands of others.
pub(super) fn close(observed: &Observed, node: &NodeName, directory: &Path, by: Exposure) -> String {
    let path = directory.display().to_string();
    match by {
        Exposure::Mode { .. } => chmod(observed, node, "go-w", &path),
        Exposure::Owner { .. } => format!("chown root {}", quoted(&path)),
    }
}

fn is_filled(keeping: &Keeping) -> bool {
    matches!(keeping, Keeping::InitContainer { .. } | Keeping::ImageVolume { .. })
}

fn leftovers(observed: &Observed) -> Vec<Finding> {
    let of_node = |(site, name, node): (&SiteObserved, &NodeName, &NodeObserved)| {
        let finding = |file: &String| {
            let path = site.directory.join(file).display().to_string();
            LEFTOVER.at(name.to_string(), path).run(remove_file(observed, name, &site.directory, file))
        };
        node.oddities.leftovers.iter().map(finding).collect::<Vec<_>>()
    };
    ready(observed).flat_map(of_node).collect()
}

fn nearly_full(observed: &Observed) -> Vec<Finding> {
    let of_node = |(site, name, node): (&SiteObserved, &NodeName, &NodeObserved)| {
        let free = node.free_bytes.filter(|free| *free < ENOUGH_BYTES && !is_filled(&site.keeping))?;
        let evidence = format!("{free} bytes are free at {}", site.directory.display());
        Some(DISK_FULL.at(name.to_string(), evidence).run(tool(observed, "gc --yes")))
    };
    ready(observed).filter_map(of_node).collect()
}

fn links(observed: &Observed) -> Vec<Finding> {
    let of_node = |(site, name, node): (&SiteObserved, &NodeName, &NodeObserved)| {
        let finding = |(file, target): (&String, &std::path::PathBuf)| {
            let (path, target) =
                (site.directory.join(file).display().to_string(), target.display().to_string());
            // A copy onto a link goes to where it leads.
            let part = quoted(&site.directory.join(format!(".{file}.part")).display().to_string());
            let copy = format!("cp {} {part} && mv -f {part} {}", quoted(&target), quoted(&path));
            let copy = format!("sh -c {}", quoted(&copy));
            let found = LINK_OUT.at(name.to_string(), format!("{path} is {target}"));
            on(observed, name, &copy).into_iter().fold(found, Finding::run)
        };
        node.oddities.links.iter().map(finding).collect::<Vec<_>>()
    };
    ready(observed).flat_map(of_node).collect()
}

fn writable_files(observed: &Observed) -> Vec<Finding> {
    let of_node = |(site, name, node): (&SiteObserved, &NodeName, &NodeObserved)| {
        let files = node.files.iter().filter(|file| file.mode & 0o022 != 0);
        let finding = |file: &crate::observed::site::PluginFile| {
            let path = site.directory.join(&file.name).display().to_string();
            let found = WRITABLE_FILE.at(name.to_string(), format!("{path} has mode {:o}", file.mode));
            found.run(chmod(observed, name, "go-w", &path))
        };
        files.map(finding).collect::<Vec<_>>()
    };
    ready(observed).flat_map(of_node).collect()
}
