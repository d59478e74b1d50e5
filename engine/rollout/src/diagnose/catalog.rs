//! The catalog against the files of the nodes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::finding::{
    Finding, FindingKind, Severity, VerifiedBy, chmod_command, helper_container, own_command,
    remove_file_command,
};
use super::{Check, files};
use crate::binary::Architecture;
use crate::observed::deployment::{
    DeploymentKind, DirectoryState, NodeName, NodeObserved, NotExecutable, PluginFile, Readiness,
};
use crate::observed::{CatalogEntry, Observed, PluginDirectory};
use crate::shell::shell_quote;
use crate::version::Version;
use vault_api::catalog::PluginType;

const FILE_MISSING_EVERYWHERE: FindingKind = FindingKind {
    id: "VTP-301",
    title: "a registered version has no file",
    severity: Severity::BreaksAtRestart,
    consequence: "It cannot be started. After the next restart its mounts answer 404, and their leases are not revoked.",
    remediation: "Put the file back with `vault-token-plugin register`: the build with the sha256 that was registered. Or deregister the version, if no mount needs it.",
    log_patterns: &["error verifying checksum: open *: no such file or directory"],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_301_the_file_of_a_version_in_use_is_missing"),
};
const FILE_MISSING_ON_SOME_NODES: FindingKind = FindingKind {
    id: "VTP-302",
    title: "some nodes lack the file of a registered version",
    severity: Severity::BreaksAtRestart,
    consequence: "Its mounts answer 404 when one of these nodes becomes active.",
    remediation: "Copy it from a node that has it. Or register the same build again with `vault-token-plugin register`: it places the file where it is missing.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::files::vtp_302_only_one_pod_has_the_file"),
};
const CHECKSUM_MISMATCH: FindingKind = FindingKind {
    id: "VTP-303",
    title: "a file is not what was registered",
    severity: Severity::BreaksAtRestart,
    consequence: "The server compares checksums whenever it starts a plugin, and will not start this one.",
    remediation: "Remove the file, and put the registered one there with `vault-token-plugin register`: the build with the sha256 that was registered. If the new content is wanted, give it another version and register that.",
    log_patterns: &["checksums did not match"],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_303_a_file_has_another_checksum"),
};
const MODE_NOT_EXECUTABLE: FindingKind = FindingKind {
    id: "VTP-304",
    title: "a registered file may not be executed",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses to start it.",
    remediation: "Set its mode to 755.",
    log_patterns: &["fork/exec *: permission denied"],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_304_a_file_is_not_executable"),
};
const NO_CHECKSUM: FindingKind = FindingKind {
    id: "VTP-305",
    title: "a registered version has no checksum",
    severity: Severity::BreaksAtRestart,
    consequence: "The server refuses to start it.",
    remediation: "Register it again with its checksum.",
    log_patterns: &["no checksum provided", "must provide at least one of sha256 or version"],
    verified_by: VerifiedBy::E2eTest("doctor::legacy_storage::vtp_305_an_entry_without_a_checksum"),
};
const UNVERSIONED_ENTRY: FindingKind = FindingKind {
    id: "VTP-306",
    title: "an entry without a version stands before those with one",
    severity: Severity::Risk,
    consequence: "A mount that is enabled without naming a version runs the entry without one, however old it is.",
    remediation: "Remove the entry without a version, once no mount runs it.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_306_a_plugin_is_registered_without_a_version"),
};
const NOT_AN_EXECUTABLE: FindingKind = FindingKind {
    id: "VTP-307",
    title: "a registered file is no program",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses to start it. Registering it succeeded, for the server only logs that.",
    remediation: "Register the plugin's binary itself, not an archive, a page or a part of it.",
    log_patterns: &["fork/exec *: exec format error"],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_307_a_file_is_no_executable"),
};
const WRONG_ARCHITECTURE: FindingKind = FindingKind {
    id: "VTP-308",
    title: "a registered file is built for another architecture",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses to start it.",
    remediation: "Take the build for the architecture of the nodes.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_308_a_file_is_for_another_machine"),
};
const INTERPRETER_MISSING: FindingKind = FindingKind {
    id: "VTP-309",
    title: "a registered file needs a dynamic linker that is not there",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel says that the file itself does not exist. Usual for glibc binaries in images with musl, such as Alpine's.",
    remediation: "Take a static build.",
    log_patterns: &["fork/exec *: no such file or directory"],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_309_the_dynamic_linker_of_a_file_is_missing"),
};
const MIXED_ARCHITECTURES: FindingKind = FindingKind {
    id: "VTP-310",
    title: "nodes have different architectures",
    severity: Severity::BreaksAtRestart,
    consequence: "A version has one checksum, and so one architecture: on the other nodes it cannot be started.",
    remediation: "Run the servers on machines of one architecture (nodeSelector kubernetes.io/arch).",
    log_patterns: &["plugin hash mismatch: expected"],
    verified_by: VerifiedBy::UnitTest("it takes machines of two architectures"),
};

const UNREADABLE: FindingKind = FindingKind {
    id: "VTP-311",
    title: "the server may not read a registered file",
    severity: Severity::BreaksAtRestart,
    consequence: "The server compares its checksum before it starts it, and cannot.",
    remediation: "Let the server's user read and execute it (mode 755).",
    log_patterns: &["error verifying checksum: open *: permission denied"],
    verified_by: VerifiedBy::KubernetesTest("doctor::non_root::vtp_311_the_server_may_not_read_the_file"),
};

pub(super) const ALL: &[&FindingKind] = &[
    &FILE_MISSING_EVERYWHERE,
    &FILE_MISSING_ON_SOME_NODES,
    &CHECKSUM_MISMATCH,
    &MODE_NOT_EXECUTABLE,
    &NO_CHECKSUM,
    &UNVERSIONED_ENTRY,
    &NOT_AN_EXECUTABLE,
    &WRONG_ARCHITECTURE,
    &INTERPRETER_MISSING,
    &MIXED_ARCHITECTURES,
    &UNREADABLE,
];

pub(super) const CHECKS: &[Check] = &[
    missing_files,
    checksum_mismatches,
    unreadable,
    not_executable,
    no_checksum,
    unversioned_entries,
    not_startable,
    mixed_architectures,
];

type Node<'a> = (&'a NodeName, &'a NodeObserved);

/// The nodes whose files can be seen.
fn ready_nodes(observed: &Observed) -> Vec<Node<'_>> {
    if observed.plugin_directory == PluginDirectory::NotConfigured {
        return Vec::new();
    }
    let nodes = observed.deployment.iter().flat_map(|site| &site.nodes);
    nodes.filter(|(_, node)| node.readiness == Readiness::Ready && has_directory(node)).collect()
}

/// Where the directory itself is missing, that is what is wrong.
fn has_directory(node: &NodeObserved) -> bool {
    use DirectoryState::{Missing, NotADirectory, NotAccessible, NotPluginDirectory};
    !matches!(node.directory, Missing | NotADirectory | NotAccessible | NotPluginDirectory { .. })
}

/// Whether something would start it: no mount can be seen for other types than secrets engines.
fn is_used(observed: &Observed, entry: &CatalogEntry) -> bool {
    let needs = |mount: &crate::observed::MountObserved| {
        mount.plugin == entry.name
            && (observed.effective_version(mount) == entry.version || mount.running_version == entry.version)
    };
    entry.kind != PluginType::Secret || observed.mounts.values().any(needs)
}

/// Whether a mount that would run it does not answer, so that what keeps it from being started breaks requests already.
fn breaks_requests(observed: &Observed, entry: &CatalogEntry) -> bool {
    entry.kind == PluginType::Secret
        && observed.mounts.values().any(|mount| {
            mount.plugin == entry.name
                && observed.effective_version(mount) == entry.version
                && !mount.may_answer()
        })
}

fn severity(observed: &Observed, entry: &CatalogEntry) -> Severity {
    if breaks_requests(observed, entry) {
        Severity::BreaksNow
    } else if is_used(observed, entry) {
        Severity::BreaksAtRestart
    } else {
        Severity::Risk
    }
}

fn subject(entry: &CatalogEntry) -> String {
    format!("{} {} {}", entry.kind, entry.name, entry.version).trim_end().to_owned()
}

fn directory(observed: &Observed) -> PathBuf {
    observed.deployment.as_ref().map(|site| site.directory.clone()).unwrap_or_default()
}

fn file_path(observed: &Observed, entry: &CatalogEntry) -> String {
    directory(observed).join(entry.file_name()).display().to_string()
}

fn file_of_entry<'a>(node: &'a NodeObserved, entry: &CatalogEntry) -> Option<&'a PluginFile> {
    let name = entry.file_name();
    node.files.iter().find(|file| file.name == name)
}

/// A command that removes an entry.
fn deregister_command(entry: &CatalogEntry) -> String {
    let at = format!("sys/plugins/catalog/{}/{}", entry.kind, entry.name);
    match entry.version.as_str() {
        "" => format!("vault delete {}", shell_quote(&at)),
        version => format!(
            "vault plugin deregister -version={} {} {}",
            shell_quote(version),
            entry.kind,
            shell_quote(&entry.name)
        ),
    }
}

fn missing_files(observed: &Observed) -> Vec<Finding> {
    let nodes = ready_nodes(observed);
    let mut findings = Vec::new();
    // A command with a slash lies in a folder below, which is not looked into.
    for entry in observed.catalog.iter().filter(|entry| !entry.file_name().contains('/')) {
        let lacking: Vec<&NodeName> = nodes
            .iter()
            .filter(|(_, node)| file_of_entry(node, entry).is_none())
            .map(|(name, _)| *name)
            .collect();
        if lacking.is_empty() {
            continue;
        }
        let known =
            if lacking.len() == nodes.len() { &FILE_MISSING_EVERYWHERE } else { &FILE_MISSING_ON_SOME_NODES };
        let names: Vec<String> = lacking.iter().map(|name| name.to_string()).collect();
        let evidence = format!(
            "{} is not on {}; it was registered with sha256 {}",
            file_path(observed, entry),
            names.join(", "),
            entry.sha256
        );
        let severity = severity(observed, entry);
        let finding = known.finding(subject(entry), evidence).with_severity(severity);
        let copies: Vec<String> = lacking.iter().filter_map(|to| copy_command(observed, entry, to)).collect();
        findings.push(if copies.len() == lacking.len() {
            copies.into_iter().fold(finding, Finding::with_command)
        } else if severity == Severity::Risk {
            finding.with_command(deregister_command(entry))
        } else {
            register_commands(observed, entry).into_iter().fold(finding, Finding::with_command)
        });
    }
    findings
}

/// Commands that put the file of an entry where it is missing; none where it is not named as `register` names files.
fn register_commands(observed: &Observed, entry: &CatalogEntry) -> Vec<String> {
    match entry.version.parse::<Version>() {
        Ok(version) if entry.file_name() == format!("{}-{version}", entry.name) => {}
        _ => return Vec::new(),
    }
    let mut command =
        format!("register --name {} --version {}", shell_quote(&entry.name), shell_quote(&entry.version));
    if entry.kind != PluginType::Secret {
        command += &format!(" --type {}", entry.kind);
    }
    for arg in entry.args.iter().flatten() {
        command += &format!(" --args={}", shell_quote(arg));
    }
    let is_local = observed.deployment.as_ref().is_some_and(|site| site.kind == DeploymentKind::Local);
    if is_local && observed.plugin_directory == PluginDirectory::NotVisible {
        command += &format!(" --plugin-dir {}", shell_quote(&directory(observed).display().to_string()));
    }
    // It places nothing in a directory into which others may write.
    let close = |(name, node): Node<'_>| match &node.directory {
        DirectoryState::WorldWritable => {
            Some(chmod_command(observed, name, "go-w", &directory(observed).display().to_string()))
        }
        DirectoryState::Exposed { directory, by } => {
            Some(files::restrict_command(observed, name, directory, *by))
        }
        _ => None,
    };
    let register = own_command(observed, &format!("{command} --binary FILE --yes"));
    ready_nodes(observed).into_iter().filter_map(close).chain([register]).collect()
}

/// A command that copies an entry's file from a node that has it as registered.
fn copy_command(observed: &Observed, entry: &CatalogEntry, to: &NodeName) -> Option<String> {
    let DeploymentKind::Kubernetes { namespace, statefulset: _, container } =
        &observed.deployment.as_ref()?.kind
    else {
        return None;
    };
    let nodes = ready_nodes(observed);
    let has_it =
        |node: &NodeObserved| file_of_entry(node, entry).is_some_and(|file| file.sha256 == entry.sha256);
    let can_give = |node: &NodeObserved| node.helper_container.is_none() && has_it(node);
    let (from, _) = nodes.iter().find(|(_, node)| !entry.sha256.is_empty() && can_give(node))?;
    if helper_container(observed, to).is_some() {
        return None;
    }
    let (path, part) = (file_path(observed, entry), temporary_path(observed, entry));
    let script = format!(
        "cat > {part} && echo {sum} | sha256sum -c - && chmod 755 {part} && mv -f {part} {path}",
        sum = shell_quote(&format!("{}  {part}", entry.sha256)),
        part = shell_quote(&part),
        path = shell_quote(&path),
    );
    let exec = format!("kubectl -n {} exec", shell_quote(namespace));
    let (from, to, container) =
        (shell_quote(from.as_str()), shell_quote(to.as_str()), shell_quote(container));
    Some(format!(
        "{exec} {from} -c {container} -- cat {} | {exec} -i {to} -c {container} -- sh -c {}",
        shell_quote(&path),
        shell_quote(&script)
    ))
}

/// Where a copy is until it is whole.
fn temporary_path(observed: &Observed, entry: &CatalogEntry) -> String {
    directory(observed).join(format!(".{}.part", entry.file_name())).display().to_string()
}

fn each_file(
    observed: &Observed,
    check: impl Fn(&CatalogEntry, Node<'_>, &PluginFile) -> Option<Finding>,
) -> Vec<Finding> {
    let nodes = ready_nodes(observed);
    let mut findings = Vec::new();
    for entry in &observed.catalog {
        for node in &nodes {
            let found = file_of_entry(node.1, entry).and_then(|file| check(entry, *node, file));
            findings.extend(found.map(|finding| finding.with_severity(severity(observed, entry))));
        }
    }
    findings
}

fn has_other_checksum(entry: &CatalogEntry, file: &PluginFile) -> bool {
    !entry.sha256.is_empty() && !file.sha256.is_empty() && entry.sha256 != file.sha256
}

fn checksum_mismatches(observed: &Observed) -> Vec<Finding> {
    observed.catalog.iter().flat_map(|entry| checksum_mismatches_of(observed, entry)).collect()
}

fn checksum_mismatches_of(observed: &Observed, entry: &CatalogEntry) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut removed = false;
    for (node, there) in ready_nodes(observed) {
        let Some(file) = file_of_entry(there, entry).filter(|file| has_other_checksum(entry, file)) else {
            continue;
        };
        let evidence = format!(
            "{} on {node} has sha256 {} and not {}, which was registered",
            file_path(observed, entry),
            file.sha256,
            entry.sha256
        );
        let cure = copy_command(observed, entry, node);
        removed |= cure.is_none();
        let cure =
            cure.unwrap_or_else(|| remove_file_command(observed, node, &directory(observed), &file.name));
        findings.push(
            CHECKSUM_MISMATCH
                .finding(subject(entry), evidence)
                .with_severity(severity(observed, entry))
                .with_command(cure),
        );
    }
    // Once: it is refused until the last of the files is gone.
    if let Some(last) = findings.last_mut().filter(|_| removed) {
        last.commands.extend(register_commands(observed, entry));
    }
    findings
}

fn unreadable(observed: &Observed) -> Vec<Finding> {
    each_file(observed, |entry, (node, _), file| {
        let path = file_path(observed, entry);
        let evidence =
            format!("{path} on {node} cannot be read by the server's user; its mode is {:o}", file.mode);
        let found = || UNREADABLE.finding(subject(entry), evidence);
        file.sha256.is_empty().then(|| found().with_command(chmod_command(observed, node, "755", &path)))
    })
}

fn not_executable(observed: &Observed) -> Vec<Finding> {
    each_file(observed, |entry, (node, _), file| {
        let path = file_path(observed, entry);
        let evidence = format!("{path} on {node} has mode {:o}", file.mode);
        let found = || MODE_NOT_EXECUTABLE.finding(subject(entry), evidence);
        (file.mode & 0o111 == 0).then(|| found().with_command(chmod_command(observed, node, "755", &path)))
    })
}

fn no_checksum(observed: &Observed) -> Vec<Finding> {
    // The list of some servers leaves it out; the entry itself, which also says its command, does not.
    let without = observed.catalog.iter().filter(|entry| entry.command.is_some() && entry.sha256.is_empty());
    without
        .map(|entry| {
            NO_CHECKSUM
                .finding(subject(entry), "sys/plugins/catalog shows none")
                .with_severity(severity(observed, entry))
        })
        .collect()
}

fn unversioned_entries(observed: &Observed) -> Vec<Finding> {
    let same = |a: &CatalogEntry, b: &CatalogEntry| a.kind == b.kind && a.name == b.name;
    let bare = observed.catalog.iter().filter(|entry| entry.version.is_empty());
    let finding = |entry: &CatalogEntry| {
        let beside: Vec<&str> = observed
            .catalog
            .iter()
            .filter(|other| same(entry, other) && !other.version.is_empty())
            .map(|other| other.version.as_str())
            .collect();
        (!beside.is_empty()).then(|| {
            let finding = UNVERSIONED_ENTRY
                .finding(subject(entry), format!("the catalog has it beside {}", beside.join(", ")));
            if is_used(observed, entry) { finding } else { finding.with_command(deregister_command(entry)) }
        })
    };
    bare.filter_map(finding).collect()
}

fn not_startable(observed: &Observed) -> Vec<Finding> {
    each_file(observed, |entry, (node, there), file| {
        let why =
            there.file_issues.not_executable.get(&file.name).filter(|_| !has_other_checksum(entry, file))?;
        let path = file_path(observed, entry);
        let (known, evidence) = match why {
            NotExecutable::NotABinary => {
                (&NOT_AN_EXECUTABLE, format!("{path} on {node} is neither ELF nor a script"))
            }
            NotExecutable::WrongArchitecture(machine) => (
                &WRONG_ARCHITECTURE,
                format!("{path} is for {machine}, and {node} is {}", there.architecture),
            ),
            NotExecutable::MissingInterpreter(linker) => {
                (&INTERPRETER_MISSING, format!("{path} names {}, which {node} has not", linker.display()))
            }
        };
        let finding = known.finding(subject(entry), evidence);
        Some(if is_used(observed, entry) { finding } else { finding.with_command(deregister_command(entry)) })
    })
}

fn mixed_architectures(observed: &Observed) -> Vec<Finding> {
    let nodes = ready_nodes(observed);
    let machines: BTreeSet<String> = nodes
        .iter()
        .filter(|(_, node)| node.architecture != Architecture::Other(0))
        .map(|(_, node)| node.architecture.to_string())
        .collect();
    if machines.len() < 2 || observed.catalog.is_empty() {
        return Vec::new();
    }
    let each: Vec<String> =
        nodes.iter().map(|(name, node)| format!("{name} is {}", node.architecture)).collect();
    vec![MIXED_ARCHITECTURES.finding("nodes", each.join(", "))]
}
