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
    title: "the plugin directory does not exist",
    severity: Severity::BreaksAtRestart,
    consequence: "No external plugin can be started on this node.",
    remediation: "Create the directory, or mount the volume there, and put every registered version into it.",
    log_patterns: &["error while validating the command path: lstat *: no such file or directory"],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_201_the_directory_is_missing"),
};
const NOT_A_DIRECTORY: FindingKind = FindingKind {
    id: "VTP-202",
    title: "the plugin directory is not a directory",
    severity: Severity::BreaksAtRestart,
    consequence: "No external plugin can be started on this node.",
    remediation: "Set plugin_directory in the server's configuration to a directory.",
    log_patterns: &["error while validating the command path: lstat *: not a directory"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::plugin_directory::vtp_202_a_file_is_in_the_place_of_the_directory",
    ),
};
const NO_EXEC: FindingKind = FindingKind {
    id: "VTP-203",
    title: "the plugin directory is mounted noexec",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses to start any plugin with `permission denied`, whatever its mode is.",
    remediation: "Mount the volume without noexec.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::files::vtp_203_the_volume_of_a_pod_is_mounted_noexec"),
};
const WORLD_WRITABLE: FindingKind = FindingKind {
    id: "VTP-204",
    title: "the plugin directory is world-writable",
    severity: Severity::Risk,
    consequence: "Any user of the node can remove a plugin, or replace it before the server has compared its checksum. A server that checks permissions starts no plugin from this directory.",
    remediation: "Remove the write permission for others.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest(
        "doctor::plugin_directory::vtp_204_everybody_may_write_to_the_directory",
    ),
};
const EXPOSED: FindingKind = FindingKind {
    id: "VTP-212",
    title: "users other than root and the server's user can replace plugins",
    severity: Severity::Risk,
    consequence: "Any user who can write to a parent directory of the plugins can replace a directory or file below it. No version is copied there.",
    remediation: "Remove the write permission of group and others, or change the owner of the directory to root or the server's user.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_212_a_group_may_write_to_the_directory"),
};
const SYMLINKED: FindingKind = FindingKind {
    id: "VTP-205",
    title: "the path of the plugin directory contains a symbolic link",
    severity: Severity::BreaksAtRestart,
    consequence: "The server resolves the link, finds the plugins outside its plugin directory, and refuses to register them.",
    remediation: "Set plugin_directory in the server's configuration to the real path. In a pod, mount a volume other than a ConfigMap.",
    log_patterns: &["cannot execute files outside of configured plugin directory"],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_205_the_directory_is_a_symbolic_link"),
};
const LEFTOVER: FindingKind = FindingKind {
    id: "VTP-206",
    title: "an incomplete copy was left behind",
    severity: Severity::Note,
    consequence: "It takes up space and is never run.",
    remediation: "Remove it, unless a copy is running now.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_206_half_a_copy_is_left_behind"),
};
const DISK_FULL: FindingKind = FindingKind {
    id: "VTP-207",
    title: "the volume of the plugin directory is nearly full",
    severity: Severity::Risk,
    consequence: "The next version does not fit. If the volume also holds the server's storage, the server stops.",
    remediation: "Enlarge the volume, or remove unused versions with `vault-token-plugin gc`.",
    log_patterns: &["no space left on device", "not enough space left on disk"],
    verified_by: VerifiedBy::KubernetesTest("doctor::files::vtp_207_the_volume_of_a_pod_is_full"),
};
const SYMLINK_OUTSIDE_DIRECTORY: FindingKind = FindingKind {
    id: "VTP-208",
    title: "a plugin is a symbolic link to a file outside the plugin directory",
    severity: Severity::BreaksAtRestart,
    consequence: "The server refuses to start files outside its plugin directory.",
    remediation: "Replace the link with the file itself.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_208_a_plugin_is_a_symbolic_link"),
};
const NOT_WRITABLE: FindingKind = FindingKind {
    id: "VTP-209",
    title: "this user cannot write to the plugin directory",
    severity: Severity::Note,
    consequence: "No version can be copied there. Running plugins are not affected.",
    remediation: "Run this command as the owner of the directory.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest(
        "doctor::non_root::vtp_209_the_server_may_not_write_to_the_directory",
    ),
};
const WRITABLE_FILE: FindingKind = FindingKind {
    id: "VTP-210",
    title: "a registered file is writable by group or others",
    severity: Severity::Risk,
    consequence: "A user who changes the file makes the plugin fail to start, because its checksum no longer matches the registered one. A server that checks permissions does not start the file.",
    remediation: "Remove the write permission of group and others.",
    log_patterns: &["has insecure permissions"],
    verified_by: VerifiedBy::E2eTest("doctor::plugin_directory::vtp_210_a_group_may_write_to_a_plugin"),
};

const DIRECTORY_NOT_ACCESSIBLE: FindingKind = FindingKind {
    id: "VTP-211",
    title: "the server cannot enter its plugin directory",
    severity: Severity::BreaksAtRestart,
    consequence: "No external plugin can be registered or started.",
    remediation: "Allow the server's user to read and enter the directory and all of its parents (mode 755).",
    log_patterns: &["error while validating the command path: lstat *: permission denied"],
    verified_by: VerifiedBy::KubernetesTest(
        "doctor::non_root::vtp_211_the_server_may_not_enter_the_directory",
    ),
};

const SHARED: FindingKind = FindingKind {
    id: "VTP-213",
    title: "another container or user can write to the plugins of a pod",
    severity: Severity::Risk,
    consequence: "Any process with write access can remove a plugin, or replace it after its checksum was registered. The server compares the checksum whenever it starts a plugin, so a replaced plugin does not start and its mounts fail. A replaced file runs only if it is replaced between that comparison and the start.",
    remediation: "Mount the volume with `readOnly: true` in the other containers. Or keep the plugins on a separate volume, or in a directory that only root or the server's user can write to (mode 755).",
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

/// Too little for another plugin file and for the server to keep running.
const MIN_FREE_BYTES: u64 = 64 << 20;

fn ready_nodes(observed: &Observed) -> impl Iterator<Item = (&DeploymentObserved, &NodeName, &NodeObserved)> {
    observed.deployment.iter().flat_map(|deployment| {
        let nodes = deployment.nodes.iter().filter(|(_, node)| node.readiness == Readiness::Ready);
        nodes.map(move |(name, node)| (deployment, name, node))
    })
}

fn directory(observed: &Observed) -> Vec<Finding> {
    // A server without a plugin directory has a finding for that.
    if observed.plugin_directory == PluginDirectory::NotConfigured {
        return Vec::new();
    }
    let of_node = |(deployment, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let path = deployment.directory.display().to_string();
        let kind = match &node.directory {
            DirectoryState::Usable | DirectoryState::NotPluginDirectory { .. } => return None,
            // The init container fills it, and can write to it.
            DirectoryState::NotWritable if is_filled_from_image(&deployment.plugin_storage) => return None,
            // The pod spec mounts it read-only, so this is intended.
            DirectoryState::ReadOnly if deployment.kind != DeploymentKind::Local => return None,
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
            DirectoryState::Symlinked { target } => format!("{path} resolves to {}", target.display()),
            DirectoryState::Exposed { directory, by } => format!("{} {by}", directory.display()),
            _ => path.clone(),
        };
        let finding = kind.finding(name.to_string(), evidence);
        Some(match &node.directory {
            DirectoryState::WorldWritable => {
                finding.with_command(chmod_command(observed, name, "go-w", &path))
            }
            DirectoryState::Exposed { directory, by } => {
                finding.with_command(restrict_command(observed, name, directory, *by))
            }
            // In a pod a missing directory is a volume that is not mounted.
            DirectoryState::Missing if deployment.kind == DeploymentKind::Local => {
                finding.with_command(format!("mkdir -p -m 755 {}", shell_quote(&path)))
            }
            _ => finding,
        })
    };
    ready_nodes(observed).filter_map(of_node).collect()
}

/// A directory that a server refuses because of its mode is reported as `WORLD_WRITABLE` only.
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

/// Returns a command line that removes the write access of other users to a directory.
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

fn is_filled_from_image(storage: &PluginStorage) -> bool {
    matches!(storage, PluginStorage::InitContainer { .. } | PluginStorage::ImageVolume { .. })
}

fn leftovers(observed: &Observed) -> Vec<Finding> {
    let of_node = |(deployment, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let finding = |file: &String| {
            let path = deployment.directory.join(file).display().to_string();
            LEFTOVER.finding(name.to_string(), path).with_command(remove_file_command(
                observed,
                name,
                &deployment.directory,
                file,
            ))
        };
        node.file_issues.partial_files.iter().map(finding).collect::<Vec<_>>()
    };
    ready_nodes(observed).flat_map(of_node).collect()
}

fn nearly_full(observed: &Observed) -> Vec<Finding> {
    let of_node = |(deployment, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let free = node
            .free_bytes
            .filter(|free| *free < MIN_FREE_BYTES && !is_filled_from_image(&deployment.plugin_storage))?;
        let evidence = format!("{free} bytes are free at {}", deployment.directory.display());
        Some(DISK_FULL.finding(name.to_string(), evidence).with_command(own_command(observed, "gc --yes")))
    };
    ready_nodes(observed).filter_map(of_node).collect()
}

fn links_outside_directory(observed: &Observed) -> Vec<Finding> {
    let of_node = |(deployment, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let finding = |(file, target): (&String, &std::path::PathBuf)| {
            let (path, target) =
                (deployment.directory.join(file).display().to_string(), target.display().to_string());
            // Copying onto a symbolic link would write to its target.
            let part = shell_quote(&deployment.directory.join(format!(".{file}.part")).display().to_string());
            let copy = format!("cp {} {part} && mv -f {part} {}", shell_quote(&target), shell_quote(&path));
            let copy = format!("sh -c {}", shell_quote(&copy));
            let found =
                SYMLINK_OUTSIDE_DIRECTORY.finding(name.to_string(), format!("{path} links to {target}"));
            shell_command_on_node(observed, name, &copy).into_iter().fold(found, Finding::with_command)
        };
        node.file_issues.outside_links.iter().map(finding).collect::<Vec<_>>()
    };
    ready_nodes(observed).flat_map(of_node).collect()
}

fn writable_files(observed: &Observed) -> Vec<Finding> {
    let of_node = |(deployment, name, node): (&DeploymentObserved, &NodeName, &NodeObserved)| {
        let files = node.files.iter().filter(|file| file.mode & 0o022 != 0);
        let finding = |file: &crate::observed::deployment::PluginFile| {
            let path = deployment.directory.join(&file.name).display().to_string();
            let found = WRITABLE_FILE.finding(name.to_string(), format!("{path} has mode {:o}", file.mode));
            found.with_command(chmod_command(observed, name, "go-w", &path))
        };
        files.map(finding).collect::<Vec<_>>()
    };
    ready_nodes(observed).flat_map(of_node).collect()
}
