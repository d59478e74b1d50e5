//! The plugin directory of each node.

use std::path::Path;

use super::Check;
use super::finding::{
    Finding, FindingKind, Severity, VerifiedBy, chmod_command, own_command, remove_file_command,
    shell_command_on_node,
};
use crate::observed::deployment::{
    DeploymentKind, DeploymentObserved, DirectoryState, Exposure, NodeName, NodeObserved, PluginStorage,
    Readiness, SharedDirectory,
};
use crate::observed::{Observed, PluginDirectory};
use crate::shell::shell_quote;

const DIRECTORY_MISSING: FindingKind = FindingKind {
    id: "VTP-201",
    title: "the plugin directory is not there",
    severity: Severity::BreaksAtRestart,
    consequence: "No external plugin can be started on this node.",
    remediation: "Make the directory, or mount the volume there, and put every registered version into it.",
    log_patterns: &["error while validating the command path: lstat *: no such file or directory"],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_201_the_directory_is_missing"),
};
const NOT_A_DIRECTORY: FindingKind = FindingKind {
    id: "VTP-202",
    title: "the plugin directory is no directory",
    severity: Severity::BreaksAtRestart,
    consequence: "No external plugin can be started on this node.",
    remediation: "Name a directory as plugin_directory in the server's configuration.",
    log_patterns: &["error while validating the command path: lstat *: not a directory"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::plugin_directory::vtp_202_a_file_is_in_the_place_of_the_directory",
    ),
};
const NO_EXEC: FindingKind = FindingKind {
    id: "VTP-203",
    title: "nothing can be started from the plugin directory",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses every plugin with `permission denied`, whatever its mode is.",
    remediation: "Mount the volume without noexec.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::files::vtp_203_the_volume_of_a_pod_is_mounted_noexec"),
};
const WORLD_WRITABLE: FindingKind = FindingKind {
    id: "VTP-204",
    title: "everybody may write to the plugin directory",
    severity: Severity::Risk,
    consequence: "Any user of the node can take a plugin away, or put another in its place before the server has compared it. A \
                  server that checks permissions starts nothing from there.",
    remediation: "Take the right to write from everybody.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest(
        "doctor::plugin_directory::vtp_204_everybody_may_write_to_the_directory",
    ),
};
const EXPOSED: FindingKind = FindingKind {
    id: "VTP-212",
    title: "others than root and the server's user can replace plugins",
    severity: Severity::Risk,
    consequence: "Whoever may write to a directory that leads to the plugins can put another directory or file in its place. No version is \
                  placed there.",
    remediation: "Take the right to write from group and others, or give the directory to root or the server's user.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_212_a_group_may_write_to_the_directory"),
};
const SYMLINKED: FindingKind = FindingKind {
    id: "VTP-205",
    title: "the server's path to its plugins leads over a symbolic link",
    severity: Severity::BreaksAtRestart,
    consequence: "The server resolves the link and finds that plugins lie outside of its directory, so that none can be registered.",
    remediation: "Write the real path as plugin_directory into the server's configuration. In a pod, mount a volume that is no ConfigMap.",
    log_patterns: &["cannot execute files outside of configured plugin directory"],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_205_the_directory_is_a_symbolic_link"),
};
const LEFTOVER: FindingKind = FindingKind {
    id: "VTP-206",
    title: "a copy was begun and not ended",
    severity: Severity::Note,
    consequence: "It takes room and is never run.",
    remediation: "Remove it, if nothing is placed at this moment.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_206_half_a_copy_is_left_behind"),
};
const DISK_FULL: FindingKind = FindingKind {
    id: "VTP-207",
    title: "the volume of the plugin directory is nearly full",
    severity: Severity::Risk,
    consequence: "The next version does not fit. On a volume that holds the server's storage too, the server stops.",
    remediation: "Make the volume larger, or remove versions that nothing needs with `vault-token-plugin gc`.",
    log_patterns: &["no space left on device", "not enough space left on disk"],
    verified_by: VerifiedBy::KubernetesTest("doctor::files::vtp_207_the_volume_of_a_pod_is_full"),
};
const SYMLINK_OUTSIDE_DIRECTORY: FindingKind = FindingKind {
    id: "VTP-208",
    title: "a plugin is a link that leads out of the plugin directory",
    severity: Severity::BreaksAtRestart,
    consequence: "The server refuses to start what lies outside.",
    remediation: "Put the file itself there.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_208_a_plugin_is_a_symbolic_link"),
};
const NOT_WRITABLE: FindingKind = FindingKind {
    id: "VTP-209",
    title: "this user may not write to the plugin directory",
    severity: Severity::Note,
    consequence: "What runs goes on. No version can be placed.",
    remediation: "Run this as the owner of the directory.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest(
        "doctor::non_root::vtp_209_the_server_may_not_write_to_the_directory",
    ),
};
const WRITABLE_FILE: FindingKind = FindingKind {
    id: "VTP-210",
    title: "others than its owner may write to what the server starts",
    severity: Severity::Risk,
    consequence: "Whoever changes it makes it unstartable, for its checksum is not the registered one any more. A server that \
                  checks permissions does not start it.",
    remediation: "Take the right to write from group and others.",
    log_patterns: &["has insecure permissions"],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_210_a_group_may_write_to_a_plugin"),
};

const DIRECTORY_NOT_ACCESSIBLE: FindingKind = FindingKind {
    id: "VTP-211",
    title: "the server may not enter its plugin directory",
    severity: Severity::BreaksAtRestart,
    consequence: "No external plugin can be registered or started.",
    remediation: "Let the server's user read and enter the directory and all that lead to it (mode 755).",
    log_patterns: &["error while validating the command path: lstat *: permission denied"],
    verified_by: VerifiedBy::KubernetesTest(
        "doctor::non_root::vtp_211_the_server_may_not_enter_the_directory",
    ),
};

const SHARED: FindingKind = FindingKind {
    id: "VTP-213",
    title: "others can write to the plugins of a pod",
    severity: Severity::Risk,
    consequence: "Whoever may write there can remove a plugin or replace it after its checksum was registered. The server compares the \
                  checksum whenever it starts a plugin, so the start of a replaced plugin fails, and its mounts fail with it. Only a \
                  file that is replaced between that comparison and the start is run.",
    remediation: "Mount the volume with `readOnly: true` in the other containers, or keep the plugins on a volume of their own, or in a \
           directory that only root or the server's user may write to (mode 755).",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest(
        "doctor::files::vtp_213_another_container_can_write_to_the_plugin_directory",
    ),
};

pub(super) const ALL: &[&FindingKind] = &[
    &DIRECTORY_MISSING,
    &NOT_A_DIRECTORY,
    &NO_EXEC,
    &WORLD_WRITABLE,
    &SYMLINKED,
    &LEFTOVER,
    &DISK_FULL,
    &SYMLINK_OUTSIDE_DIRECTORY,
    &NOT_WRITABLE,
    &WRITABLE_FILE,
    &DIRECTORY_NOT_ACCESSIBLE,
    &EXPOSED,
    &SHARED,
];

pub(super) const CHECKS: &[Check] =
    &[directory, shared, leftovers, nearly_full, links_outside_directory, writable_files];

/// Less than a plugin and what a server needs to go on.
const MIN_FREE_BYTES: u64 = 64 << 20;

fn ready_nodes(observed: &Observed) -> impl Iterator<Item = (&DeploymentObserved, &NodeName, &NodeObserved)> {
    observed.deployment.iter().flat_map(|site| {
        let nodes = site.nodes.iter().filter(|(_, node)| node.readiness == Readiness::Ready);
        nodes.map(move |(name, node)| (site, name, node))
    })
}

fn directory(observed: &Observed) -> Vec<Finding> {
    // Where the server has none, that is what is wrong.
    if observed.plugin_directory == PluginDirectory::NotConfigured {
        return Vec::new();
    }
    let of_node = |(site, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let path = site.directory.display().to_string();
        let known = match &node.directory {
            DirectoryState::Usable | DirectoryState::NotPluginDirectory { .. } => return None,
            // Filled by somebody else, who can write.
            DirectoryState::NotWritable if is_filled_from_image(&site.plugin_storage) => return None,
            // The description of a pod says so: somebody has decided it.
            DirectoryState::ReadOnly if site.kind != DeploymentKind::Local => return None,
            DirectoryState::NotAccessible => &DIRECTORY_NOT_ACCESSIBLE,
            DirectoryState::Missing => &DIRECTORY_MISSING,
            DirectoryState::NotADirectory => &NOT_A_DIRECTORY,
            DirectoryState::NoExec => &NO_EXEC,
            DirectoryState::WorldWritable => &WORLD_WRITABLE,
            DirectoryState::Exposed { .. } => &EXPOSED,
            DirectoryState::Symlinked { .. } => &SYMLINKED,
            DirectoryState::ReadOnly | DirectoryState::NotWritable => &NOT_WRITABLE,
        };
        let evidence = match &node.directory {
            DirectoryState::Symlinked { target: real } => format!("{path} is {}", real.display()),
            DirectoryState::Exposed { directory, by } => format!("{} {by}", directory.display()),
            _ => path.clone(),
        };
        let finding = known.finding(name.to_string(), evidence);
        Some(match &node.directory {
            DirectoryState::WorldWritable => {
                finding.with_command(chmod_command(observed, name, "go-w", &path))
            }
            DirectoryState::Exposed { directory, by } => {
                finding.with_command(restrict_command(observed, name, directory, *by))
            }
            // In a pod it is a volume that is not mounted.
            DirectoryState::Missing if site.kind == DeploymentKind::Local => {
                finding.with_command(format!("mkdir -p -m 755 {}", shell_quote(&path)))
            }
            _ => finding,
        })
    };
    ready_nodes(observed).filter_map(of_node).collect()
}

/// A directory that a server refuses for its mode is another finding.
fn shared(observed: &Observed) -> Vec<Finding> {
    let of_node = |(_, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let SharedDirectory { directory, by, with } = node.file_issues.shared.as_ref()?;
        if node.directory == DirectoryState::WorldWritable {
            return None;
        }
        let evidence =
            format!("{} {by}, and {} can write to its volume", directory.display(), with.join(", "));
        Some(SHARED.finding(name.to_string(), evidence))
    };
    ready_nodes(observed).filter_map(of_node).collect()
}

/// A command line that takes a directory out of the hands of others.
pub(super) fn restrict_command(
    observed: &Observed,
    node: &NodeName,
    directory: &Path,
    by: Exposure,
) -> String {
    let path = directory.display().to_string();
    match by {
        Exposure::Mode { .. } => chmod_command(observed, node, "go-w", &path),
        Exposure::Owner { .. } => format!("chown root {}", shell_quote(&path)),
    }
}

fn is_filled_from_image(keeping: &PluginStorage) -> bool {
    matches!(keeping, PluginStorage::InitContainer { .. } | PluginStorage::ImageVolume { .. })
}

fn leftovers(observed: &Observed) -> Vec<Finding> {
    let of_node = |(site, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let finding = |file: &String| {
            let path = site.directory.join(file).display().to_string();
            LEFTOVER.finding(name.to_string(), path).with_command(remove_file_command(
                observed,
                name,
                &site.directory,
                file,
            ))
        };
        node.file_issues.partial_files.iter().map(finding).collect::<Vec<_>>()
    };
    ready_nodes(observed).flat_map(of_node).collect()
}

fn nearly_full(observed: &Observed) -> Vec<Finding> {
    let of_node = |(site, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let free = node
            .free_bytes
            .filter(|free| *free < MIN_FREE_BYTES && !is_filled_from_image(&site.plugin_storage))?;
        let evidence = format!("{free} bytes are free at {}", site.directory.display());
        Some(DISK_FULL.finding(name.to_string(), evidence).with_command(own_command(observed, "gc --yes")))
    };
    ready_nodes(observed).filter_map(of_node).collect()
}

fn links_outside_directory(observed: &Observed) -> Vec<Finding> {
    let of_node = |(site, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let finding = |(file, target): (&String, &std::path::PathBuf)| {
            let (path, target) =
                (site.directory.join(file).display().to_string(), target.display().to_string());
            // A copy onto a link goes to where it leads.
            let part = shell_quote(&site.directory.join(format!(".{file}.part")).display().to_string());
            let copy = format!("cp {} {part} && mv -f {part} {}", shell_quote(&target), shell_quote(&path));
            let copy = format!("sh -c {}", shell_quote(&copy));
            let found = SYMLINK_OUTSIDE_DIRECTORY.finding(name.to_string(), format!("{path} is {target}"));
            shell_command_on_node(observed, name, &copy).into_iter().fold(found, Finding::with_command)
        };
        node.file_issues.outside_links.iter().map(finding).collect::<Vec<_>>()
    };
    ready_nodes(observed).flat_map(of_node).collect()
}

fn writable_files(observed: &Observed) -> Vec<Finding> {
    let of_node = |(site, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let files = node.files.iter().filter(|file| file.mode & 0o022 != 0);
        let finding = |file: &crate::observed::deployment::PluginFile| {
            let path = site.directory.join(&file.name).display().to_string();
            let found = WRITABLE_FILE.finding(name.to_string(), format!("{path} has mode {:o}", file.mode));
            found.with_command(chmod_command(observed, name, "go-w", &path))
        };
        files.map(finding).collect::<Vec<_>>()
    };
    ready_nodes(observed).flat_map(of_node).collect()
}
