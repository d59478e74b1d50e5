//! Compares the catalog with the plugin files on the nodes.

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
    title: "the file of a registered version is missing",
    severity: Severity::BreaksAtRestart,
    consequence: "The version cannot be started. After the next restart its mounts return 404 and their leases are not revoked.",
    remediation: "Restore the file with `vault-token-plugin register`, from the build whose sha256 was registered. If no mount needs the version, deregister it.",
    log_patterns: &["error verifying checksum: open *: no such file or directory"],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_301_the_file_of_a_version_in_use_is_missing"),
};
const FILE_MISSING_ON_SOME_NODES: FindingKind = FindingKind {
    id: "VTP-302",
    title: "the file of a registered version is missing on some nodes",
    severity: Severity::BreaksAtRestart,
    consequence: "Its mounts return 404 when one of these nodes becomes active.",
    remediation: "Register the same build again with `vault-token-plugin register`, which copies the file to the nodes where it is missing. Or copy it from a node that has it.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::files::vtp_302_only_one_pod_has_the_file"),
};
const CHECKSUM_MISMATCH: FindingKind = FindingKind {
    id: "VTP-303",
    title: "the checksum of a file differs from the registered one",
    severity: Severity::BreaksAtRestart,
    consequence: "The server compares checksums whenever it starts a plugin, and refuses to start this file.",
    remediation: "Remove the file, then restore the registered one with `vault-token-plugin register`, from the build whose sha256 was registered. To keep the new content, register it under a new version.",
    log_patterns: &["checksums did not match"],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_303_a_file_has_another_checksum"),
};
const MODE_NOT_EXECUTABLE: FindingKind = FindingKind {
    id: "VTP-304",
    title: "a registered file is not executable",
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
    remediation: "Register the version again with its checksum.",
    log_patterns: &["no checksum provided", "must provide at least one of sha256 or version"],
    verified_by: VerifiedBy::E2eTest("doctor::legacy_storage::vtp_305_an_entry_without_a_checksum"),
};
const UNVERSIONED_ENTRY: FindingKind = FindingKind {
    id: "VTP-306",
    title: "an unversioned catalog entry takes precedence over versioned ones",
    severity: Severity::Risk,
    consequence: "A mount that is enabled without a version runs the unversioned entry, however old it is.",
    remediation: "Remove the unversioned entry when no mount runs it any more.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_306_a_plugin_is_registered_without_a_version"),
};
const NOT_AN_EXECUTABLE: FindingKind = FindingKind {
    id: "VTP-307",
    title: "a registered file is not an executable",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses to start it. Registering it succeeded because the server only logs this error.",
    remediation: "Register the plugin binary itself, not an archive, a web page or a truncated copy.",
    log_patterns: &["fork/exec *: exec format error"],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_307_a_file_is_no_executable"),
};
const WRONG_ARCHITECTURE: FindingKind = FindingKind {
    id: "VTP-308",
    title: "a registered file is built for another architecture",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses to start it.",
    remediation: "Use the build for the architecture of the nodes.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_308_a_file_is_for_another_machine"),
};
const INTERPRETER_MISSING: FindingKind = FindingKind {
    id: "VTP-309",
    title: "the dynamic linker of a registered file is missing",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel reports that the file itself does not exist. This is typical of glibc binaries in images with musl, such as Alpine's.",
    remediation: "Use a static build.",
    log_patterns: &["fork/exec *: no such file or directory"],
    verified_by: VerifiedBy::E2eTest("doctor::catalog::vtp_309_the_dynamic_linker_of_a_file_is_missing"),
};
const MIXED_ARCHITECTURES: FindingKind = FindingKind {
    id: "VTP-310",
    title: "nodes have different architectures",
    severity: Severity::BreaksAtRestart,
    consequence: "A version has one checksum, and so one architecture. Nodes of another architecture cannot start it.",
    remediation: "Run the servers on machines of one architecture (nodeSelector kubernetes.io/arch).",
    log_patterns: &["plugin hash mismatch: expected"],
    verified_by: VerifiedBy::NotReproduced("it needs machines of two architectures"),
};

const UNREADABLE: FindingKind = FindingKind {
    id: "VTP-311",
    title: "the server cannot read a registered file",
    severity: Severity::BreaksAtRestart,
    consequence: "The server must read the file to compare its checksum before each start, so the plugin does not start.",
    remediation: "Allow the server's user to read and execute the file (mode 755).",
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
    let nodes = observed.deployment.iter().flat_map(|deployment| &deployment.nodes);
    nodes.filter(|(_, node)| node.readiness == Readiness::Ready && has_directory(node)).collect()
}

/// A missing plugin directory has its own finding.
fn has_directory(node: &NodeObserved) -> bool {
    use DirectoryState::{Missing, NotADirectory, NotAccessible, NotPluginDirectory};
    !matches!(node.directory, Missing | NotADirectory | NotAccessible | NotPluginDirectory { .. })
}

/// Returns whether a consumer may start it, as far as consumers of its type can be observed.
fn is_used(observed: &Observed, entry: &CatalogEntry) -> bool {
    let needs = |mount: &crate::observed::ConsumerObserved| {
        mount.kind == entry.kind
            && mount.plugin == entry.name
            && (observed.effective_version(mount) == entry.version || mount.running_version == entry.version)
    };
    let unobserved = match entry.kind {
        PluginType::Secret => false,
        PluginType::Auth => observed.caller.denied.contains("sys/auth"),
        PluginType::Database => observed.caller.denied.iter().any(|path| is_connection_path(path)),
    };
    unobserved || observed.consumers.values().any(needs)
}

/// Returns whether a path lists or shows connections of a database secrets engine.
fn is_connection_path(path: &str) -> bool {
    path.ends_with("/config") || path.contains("/config/")
}

/// Returns whether a mount that runs this entry is not responding, so that a start failure breaks requests now.
fn breaks_requests(observed: &Observed, entry: &CatalogEntry) -> bool {
    observed.consumers.values().any(|mount| {
        mount.kind == entry.kind
            && mount.plugin == entry.name
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
    observed.deployment.as_ref().map(|deployment| deployment.directory.clone()).unwrap_or_default()
}

fn file_path(observed: &Observed, entry: &CatalogEntry) -> String {
    directory(observed).join(entry.file_name()).display().to_string()
}

fn file_of_entry<'a>(node: &'a NodeObserved, entry: &CatalogEntry) -> Option<&'a PluginFile> {
    let name = entry.file_name();
    node.files.iter().find(|file| file.name == name)
}

/// Returns a command line that removes an entry from the catalog.
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
    // A command with a slash is in a subdirectory, which is not inspected.
    for entry in observed.catalog.iter().filter(|entry| !entry.file_name().contains('/')) {
        let lacking: Vec<&NodeName> = nodes
            .iter()
            .filter(|(_, node)| file_of_entry(node, entry).is_none())
            .map(|(name, _)| *name)
            .collect();
        if lacking.is_empty() {
            continue;
        }
        let kind =
            if lacking.len() == nodes.len() { &FILE_MISSING_EVERYWHERE } else { &FILE_MISSING_ON_SOME_NODES };
        let names: Vec<String> = lacking.iter().map(|name| name.to_string()).collect();
        let mut evidence = format!("{} is not on {}", file_path(observed, entry), names.join(", "));
        // OpenBao does not show it if the file is missing.
        if !entry.sha256.is_empty() {
            evidence += &format!("; it was registered with sha256 {}", entry.sha256);
        }
        let severity = severity(observed, entry);
        let finding = kind.finding(subject(entry), evidence).with_severity(severity);
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

/// Returns commands that restore the file of an entry; none if its file name is not the one that `register` uses.
fn register_commands(observed: &Observed, entry: &CatalogEntry) -> Vec<String> {
    match entry.version.parse::<Version>() {
        Ok(version) if entry.file_name() == format!("{}-{version}", entry.name) => {}
        _ => return Vec::new(),
    }
    let mut command =
        format!("register {} --version {}", shell_quote(&entry.name), shell_quote(&entry.version));
    if entry.kind != PluginType::Secret {
        command += &format!(" --type {}", entry.kind);
    }
    for arg in entry.args.iter().flatten() {
        command += &format!(" --arg={}", shell_quote(arg));
    }
    let is_local =
        observed.deployment.as_ref().is_some_and(|deployment| deployment.kind == DeploymentKind::Local);
    if is_local && observed.plugin_directory == PluginDirectory::NotVisible {
        command += &format!(" --plugin-dir {}", shell_quote(&directory(observed).display().to_string()));
    }
    // `register` refuses a directory that others can write to.
    let restrict = |(name, node): Node<'_>| match &node.directory {
        DirectoryState::WorldWritable => {
            Some(chmod_command(observed, name, "go-w", &directory(observed).display().to_string()))
        }
        DirectoryState::Exposed { directory, by } => {
            Some(files::restrict_command(observed, name, directory, *by))
        }
        _ => None,
    };
    let register = own_command(observed, &format!("{command} --binary FILE --yes"));
    ready_nodes(observed).into_iter().filter_map(restrict).chain([register]).collect()
}

/// Returns a command line that copies an entry's file from a node that has the registered content.
fn copy_command(observed: &Observed, entry: &CatalogEntry, to: &NodeName) -> Option<String> {
    let DeploymentKind::Kubernetes { namespace, statefulset: _, container } =
        &observed.deployment.as_ref()?.kind
    else {
        return None;
    };
    let nodes = ready_nodes(observed);
    let has_it =
        |node: &NodeObserved| file_of_entry(node, entry).is_some_and(|file| file.sha256 == entry.sha256);
    let can_provide = |node: &NodeObserved| node.helper_container.is_none() && has_it(node);
    let (from, _) = nodes.iter().find(|(_, node)| !entry.sha256.is_empty() && can_provide(node))?;
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

/// Temporary path of an incomplete copy.
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
    for (name, node) in ready_nodes(observed) {
        let Some(file) = file_of_entry(node, entry).filter(|file| has_other_checksum(entry, file)) else {
            continue;
        };
        let evidence = format!(
            "{} on {name} has sha256 {}, but {} was registered",
            file_path(observed, entry),
            file.sha256,
            entry.sha256
        );
        let copy = copy_command(observed, entry, name);
        removed |= copy.is_none();
        let fix =
            copy.unwrap_or_else(|| remove_file_command(observed, name, &directory(observed), &file.name));
        findings.push(
            CHECKSUM_MISMATCH
                .finding(subject(entry), evidence)
                .with_severity(severity(observed, entry))
                .with_command(fix),
        );
    }
    // Only once, because `register` is refused until all these files are removed.
    if let Some(last) = findings.last_mut().filter(|_| removed) {
        last.commands.extend(register_commands(observed, entry));
    }
    findings
}

fn unreadable(observed: &Observed) -> Vec<Finding> {
    each_file(observed, |entry, (node, _), file| {
        let path = file_path(observed, entry);
        let evidence = format!("the server's user cannot read {path} on {node}; its mode is {:o}", file.mode);
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
    // The list of some servers omits the checksum. An entry that was read separately contains it, and its command.
    let without = observed.catalog.iter().filter(|entry| entry.command.is_some() && entry.sha256.is_empty());
    without
        .map(|entry| {
            NO_CHECKSUM
                .finding(subject(entry), "sys/plugins/catalog shows no checksum")
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
                .finding(subject(entry), format!("the catalog also contains {}", beside.join(", ")));
            if is_used(observed, entry) { finding } else { finding.with_command(deregister_command(entry)) }
        })
    };
    bare.filter_map(finding).collect()
}

fn not_startable(observed: &Observed) -> Vec<Finding> {
    each_file(observed, |entry, (name, node), file| {
        let problem =
            node.file_issues.not_executable.get(&file.name).filter(|_| !has_other_checksum(entry, file))?;
        let path = file_path(observed, entry);
        let (kind, evidence) = match problem {
            NotExecutable::NotABinary => {
                (&NOT_AN_EXECUTABLE, format!("{path} on {name} is neither an ELF file nor a script"))
            }
            NotExecutable::WrongArchitecture(machine) => (
                &WRONG_ARCHITECTURE,
                format!("{path} is built for {machine}; {name} is {}", node.architecture),
            ),
            NotExecutable::MissingInterpreter(linker) => (
                &INTERPRETER_MISSING,
                format!("the interpreter of {path} is {}, which {name} does not have", linker.display()),
            ),
        };
        let finding = kind.finding(subject(entry), evidence);
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
