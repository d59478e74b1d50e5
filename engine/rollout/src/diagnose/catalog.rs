//! The catalog against the files of the nodes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::finding::{Finding, Known, Severity, Shown, beside, chmod, quoted, remove_file, tool};
use super::{Check, files};
use crate::binary::Machine;
use crate::observed::site::{NodeName, NodeObserved, PluginFile, Presence, SiteKind, SiteState, Unfit};
use crate::observed::{CatalogEntry, Observed, PluginDirectory};
use crate::version::Version;
use vault_api::catalog::PluginType;

const MISSING_EVERYWHERE: Known = Known {
    id: "VTP-301",
    title: "a registered version has no file",
    severity: Severity::BreaksAtRestart,
    consequence: "It cannot be started. After the next restart its mounts answer 404, and their leases are not revoked.",
    cure: "Put the file back with `vault-token-plugin register`: the build with the sha256 that was registered. Or deregister the version, if no mount needs it.",
    says: &["error verifying checksum: open *: no such file or directory"],
    shown: Shown::OnServer("doctor::catalog::vtp_301_the_file_of_a_version_in_use_is_missing"),
};
const MISSING_SOMEWHERE: Known = Known {
    id: "VTP-302",
    title: "some nodes lack the file of a registered version",
    severity: Severity::BreaksAtRestart,
    consequence: "Its mounts answer 404 when one of these nodes becomes active.",
    cure: "Copy it from a node that has it. Or register the same build again with `vault-token-plugin register`: it places the file where it is missing.",
    says: &[],
    shown: Shown::OnPods("doctor::files::vtp_302_only_one_pod_has_the_file"),
};
const OTHER_CONTENT: Known = Known {
    id: "VTP-303",
    title: "a file is not what was registered",
    severity: Severity::BreaksAtRestart,
    consequence: "The server compares checksums whenever it starts a plugin, and will not start this one.",
    cure: "Remove the file, and put the registered one there with `vault-token-plugin register`: the build with the sha256 that was registered. If the new content is wanted, give it another version and register that.",
    says: &["checksums did not match"],
    shown: Shown::OnServer("doctor::catalog::vtp_303_a_file_has_another_checksum"),
};
const NOT_EXECUTABLE: Known = Known {
    id: "VTP-304",
    title: "a registered file may not be executed",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses to start it.",
    cure: "Set its mode to 755.",
    says: &["fork/exec *: permission denied"],
    shown: Shown::OnServer("doctor::catalog::vtp_304_a_file_is_not_executable"),
};
const NO_CHECKSUM: Known = Known {
    id: "VTP-305",
    title: "a registered version has no checksum",
    severity: Severity::BreaksAtRestart,
    consequence: "The server refuses to start it.",
    cure: "Register it again with its checksum.",
    says: &["no checksum provided", "must provide at least one of sha256 or version"],
    shown: Shown::OnServer("doctor::stored::vtp_305_an_entry_without_a_checksum"),
};
const SHADOWS: Known = Known {
    id: "VTP-306",
    title: "an entry without a version stands before those with one",
    severity: Severity::Risk,
    consequence: "A mount that is enabled without naming a version runs the entry without one, however old it is.",
    cure: "Remove the entry without a version, once no mount runs it.",
    says: &[],
    shown: Shown::OnServer("doctor::catalog::vtp_306_a_plugin_is_registered_without_a_version"),
};
const NO_PROGRAM: Known = Known {
    id: "VTP-307",
    title: "a registered file is no program",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses to start it. Registering it succeeded, for the server only logs that.",
    cure: "Register the plugin's binary itself, not an archive, a page or a part of it.",
    says: &["fork/exec *: exec format error"],
    shown: Shown::OnServer("doctor::catalog::vtp_307_a_file_is_no_executable"),
};
const WRONG_MACHINE: Known = Known {
    id: "VTP-308",
    title: "a registered file is built for another architecture",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel refuses to start it.",
    cure: "Take the build for the architecture of the nodes.",
    says: &[],
    shown: Shown::OnServer("doctor::catalog::vtp_308_a_file_is_for_another_machine"),
};
const NO_LINKER: Known = Known {
    id: "VTP-309",
    title: "a registered file needs a dynamic linker that is not there",
    severity: Severity::BreaksAtRestart,
    consequence: "The kernel says that the file itself does not exist. Usual for glibc binaries in images with musl, such as Alpine's.",
    cure: "Take a static build.",
    says: &["fork/exec *: no such file or directory"],
    shown: Shown::OnServer("doctor::catalog::vtp_309_the_dynamic_linker_of_a_file_is_missing"),
};
const MIXED_MACHINES: Known = Known {
    id: "VTP-310",
    title: "nodes have different architectures",
    severity: Severity::BreaksAtRestart,
    consequence: "A version has one checksum, and so one architecture: on the other nodes it cannot be started.",
    cure: "Run the servers on machines of one architecture (nodeSelector kubernetes.io/arch).",
    says: &["plugin hash mismatch: expected"],
    shown: Shown::OnSnapshot("it takes machines of two architectures"),
};

const UNREADABLE: Known = Known {
    id: "VTP-311",
    title: "the server may not read a registered file",
    severity: Severity::BreaksAtRestart,
    consequence: "The server compares its checksum before it starts it, and cannot.",
    cure: "Let the server's user read and execute it (mode 755).",
    says: &["error verifying checksum: open *: permission denied"],
    shown: Shown::OnPods("doctor::restricted::vtp_311_the_server_may_not_read_the_file"),
};

pub(super) const ALL: &[&Known] = &[
    &MISSING_EVERYWHERE,
    &MISSING_SOMEWHERE,
    &OTHER_CONTENT,
    &NOT_EXECUTABLE,
    &NO_CHECKSUM,
    &SHADOWS,
    &NO_PROGRAM,
    &WRONG_MACHINE,
    &NO_LINKER,
    &MIXED_MACHINES,
    &UNREADABLE,
];

pub(super) const CHECKS: &[Check] =
    &[missing, other_content, unreadable, not_executable, no_checksum, shadows, unfit, mixed_machines];

type Node<'a> = (&'a NodeName, &'a NodeObserved);

/// The nodes whose files can be seen.
fn seen(observed: &Observed) -> Vec<Node<'_>> {
    if observed.plugin_directory == PluginDirectory::NotConfigured {
        return Vec::new();
    }
    let nodes = observed.site.iter().flat_map(|site| &site.nodes);
    nodes.filter(|(_, node)| node.presence == Presence::Ready && is_there(node)).collect()
}

/// Where the directory itself is missing, that is what is wrong.
fn is_there(node: &NodeObserved) -> bool {
    use SiteState::{Missing, NotADirectory, NotEntered, NotTheServers};
    !matches!(node.directory, Missing | NotADirectory | NotEntered | NotTheServers { .. })
}

/// Whether something would start it: no mount can be seen for other types than secrets engines.
fn is_used(observed: &Observed, entry: &CatalogEntry) -> bool {
    let needs = |mount: &crate::observed::MountObserved| {
        mount.plugin == entry.name
            && (observed.would_run(mount) == entry.version || mount.running_version == entry.version)
    };
    entry.kind != PluginType::Secret || observed.mounts.values().any(needs)
}

/// Whether a mount that would run it does not answer, so that what keeps it from being started breaks requests already.
fn is_missed(observed: &Observed, entry: &CatalogEntry) -> bool {
    entry.kind == PluginType::Secret
        && observed.mounts.values().any(|mount| {
            mount.plugin == entry.name && observed.would_run(mount) == entry.version && !mount.may_answer()
        })
}

fn weight(observed: &Observed, entry: &CatalogEntry) -> Severity {
    if is_missed(observed, entry) {
        Severity::BreaksNow
    } else if is_used(observed, entry) {
        Severity::BreaksAtRestart
    } else {
        Severity::Risk
    }
}

fn title(entry: &CatalogEntry) -> String {
    format!("{} {} {}", entry.kind, entry.name, entry.version).trim_end().to_owned()
}

fn directory(observed: &Observed) -> PathBuf {
    observed.site.as_ref().map(|site| site.directory.clone()).unwrap_or_default()
}

fn path(observed: &Observed, entry: &CatalogEntry) -> String {
    directory(observed).join(entry.file_name()).display().to_string()
}

fn file<'a>(node: &'a NodeObserved, entry: &CatalogEntry) -> Option<&'a PluginFile> {
    let name = entry.file_name();
    node.files.iter().find(|file| file.name == name)
}

/// A command that removes an entry.
fn remove(entry: &CatalogEntry) -> String {
    let at = format!("sys/plugins/catalog/{}/{}", entry.kind, entry.name);
    match entry.version.as_str() {
        "" => format!("vault delete {}", quoted(&at)),
        version => format!(
            "vault plugin deregister -version={} {} {}",
            quoted(version),
            entry.kind,
            quoted(&entry.name)
        ),
    }
}

fn missing(observed: &Observed) -> Vec<Finding> {
    let nodes = seen(observed);
    let mut findings = Vec::new();
    // A command with a slash lies in a folder below, which is not looked into.
    for entry in observed.catalog.iter().filter(|entry| !entry.file_name().contains('/')) {
        let lacking: Vec<&NodeName> =
            nodes.iter().filter(|(_, node)| file(node, entry).is_none()).map(|(name, _)| *name).collect();
        if lacking.is_empty() {
            continue;
        }
        let known = if lacking.len() == nodes.len() { &MISSING_EVERYWHERE } else { &MISSING_SOMEWHERE };
        let names: Vec<String> = lacking.iter().map(|name| name.to_string()).collect();
        let evidence = format!(
            "{} is not on {}; it was registered with sha256 {}",
            path(observed, entry),
            names.join(", "),
            entry.sha256
        );
        let severity = weight(observed, entry);
        let finding = known.at(title(entry), evidence).of(severity);
        let copies: Vec<String> = lacking.iter().filter_map(|to| copy(observed, entry, to)).collect();
        findings.push(if copies.len() == lacking.len() {
            copies.into_iter().fold(finding, Finding::run)
        } else if severity == Severity::Risk {
            finding.run(remove(entry))
        } else {
            register(observed, entry).into_iter().fold(finding, Finding::run)
        });
    }
    findings
}

/// Commands that put the file of an entry where it is missing; none where it is not named as `register` names files.
fn register(observed: &Observed, entry: &CatalogEntry) -> Vec<String> {
    match entry.version.parse::<Version>() {
        Ok(version) if entry.file_name() == format!("{}-{version}", entry.name) => {}
        _ => return Vec::new(),
    }
    let mut command = format!("register --name {} --version {}", quoted(&entry.name), quoted(&entry.version));
    if entry.kind != PluginType::Secret {
        command += &format!(" --type {}", entry.kind);
    }
    for arg in entry.args.iter().flatten() {
        command += &format!(" --args={}", quoted(arg));
    }
    let is_local = observed.site.as_ref().is_some_and(|site| site.kind == SiteKind::Local);
    if is_local && observed.plugin_directory == PluginDirectory::NotShown {
        command += &format!(" --plugin-dir {}", quoted(&directory(observed).display().to_string()));
    }
    // It places nothing in a directory into which others may write.
    let close = |(name, node): Node<'_>| match &node.directory {
        SiteState::WritableByEverybody => {
            Some(chmod(observed, name, "go-w", &directory(observed).display().to_string()))
        }
        SiteState::Exposed { directory, by } => Some(files::close(observed, name, directory, *by)),
        _ => None,
    };
    let register = tool(observed, &format!("{command} --binary FILE --yes"));
    seen(observed).into_iter().filter_map(close).chain([register]).collect()
}

/// A command that copies an entry's file from a node that has it as registered.
fn copy(observed: &Observed, entry: &CatalogEntry, to: &NodeName) -> Option<String> {
    let SiteKind::Kubernetes { namespace, statefulset: _, container } = &observed.site.as_ref()?.kind else {
        return None;
    };
    let nodes = seen(observed);
    let has_it = |node: &NodeObserved| file(node, entry).is_some_and(|file| file.sha256 == entry.sha256);
    let can_give = |node: &NodeObserved| node.beside.is_none() && has_it(node);
    let (from, _) = nodes.iter().find(|(_, node)| !entry.sha256.is_empty() && can_give(node))?;
    if beside(observed, to).is_some() {
        return None;
    }
    let (path, part) = (path(observed, entry), part(observed, entry));
    let script = format!(
        "cat > {part} && echo {sum} | sha256sum -c - && chmod 755 {part} && mv -f {part} {path}",
        sum = quoted(&format!("{}  {part}", entry.sha256)),
        part = quoted(&part),
        path = quoted(&path),
    );
    let exec = format!("kubectl -n {} exec", quoted(namespace));
    let (from, to, container) = (quoted(from.as_str()), quoted(to.as_str()), quoted(container));
    Some(format!(
        "{exec} {from} -c {container} -- cat {} | {exec} -i {to} -c {container} -- sh -c {}",
        quoted(&path),
        quoted(&script)
    ))
}

/// Where a copy is until it is whole.
fn part(observed: &Observed, entry: &CatalogEntry) -> String {
    directory(observed).join(format!(".{}.part", entry.file_name())).display().to_string()
}

fn each_file(
    observed: &Observed,
    check: impl Fn(&CatalogEntry, Node<'_>, &PluginFile) -> Option<Finding>,
) -> Vec<Finding> {
    let nodes = seen(observed);
    let mut findings = Vec::new();
    for entry in &observed.catalog {
        for node in &nodes {
            let found = file(node.1, entry).and_then(|file| check(entry, *node, file));
            findings.extend(found.map(|finding| finding.of(weight(observed, entry))));
        }
    }
    findings
}

fn is_other(entry: &CatalogEntry, file: &PluginFile) -> bool {
    !entry.sha256.is_empty() && !file.sha256.is_empty() && entry.sha256 != file.sha256
}

fn other_content(observed: &Observed) -> Vec<Finding> {
    observed.catalog.iter().flat_map(|entry| of_other_content(observed, entry)).collect()
}

fn of_other_content(observed: &Observed, entry: &CatalogEntry) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut removed = false;
    for (node, there) in seen(observed) {
        let Some(file) = file(there, entry).filter(|file| is_other(entry, file)) else { continue };
        let evidence = format!(
            "{} on {node} has sha256 {} and not {}, which was registered",
            path(observed, entry),
            file.sha256,
            entry.sha256
        );
        let cure = copy(observed, entry, node);
        removed |= cure.is_none();
        let cure = cure.unwrap_or_else(|| remove_file(observed, node, &directory(observed), &file.name));
        findings.push(OTHER_CONTENT.at(title(entry), evidence).of(weight(observed, entry)).run(cure));
    }
    // Once: it is refused until the last of the files is gone.
    if let Some(last) = findings.last_mut().filter(|_| removed) {
        last.commands.extend(register(observed, entry));
    }
    findings
}

fn unreadable(observed: &Observed) -> Vec<Finding> {
    each_file(observed, |entry, (node, _), file| {
        let path = path(observed, entry);
        let evidence =
            format!("{path} on {node} cannot be read by the server's user; its mode is {:o}", file.mode);
        let found = || UNREADABLE.at(title(entry), evidence);
        file.sha256.is_empty().then(|| found().run(chmod(observed, node, "755", &path)))
    })
}

fn not_executable(observed: &Observed) -> Vec<Finding> {
    each_file(observed, |entry, (node, _), file| {
        let path = path(observed, entry);
        let evidence = format!("{path} on {node} has mode {:o}", file.mode);
        let found = || NOT_EXECUTABLE.at(title(entry), evidence);
        (file.mode & 0o111 == 0).then(|| found().run(chmod(observed, node, "755", &path)))
    })
}

fn no_checksum(observed: &Observed) -> Vec<Finding> {
    // The list of some servers leaves it out; the entry itself, which also says its command, does not.
    let without = observed.catalog.iter().filter(|entry| entry.command.is_some() && entry.sha256.is_empty());
    without
        .map(|entry| {
            NO_CHECKSUM.at(title(entry), "sys/plugins/catalog shows none").of(weight(observed, entry))
        })
        .collect()
}

fn shadows(observed: &Observed) -> Vec<Finding> {
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
            let finding =
                SHADOWS.at(title(entry), format!("the catalog has it beside {}", beside.join(", ")));
            if is_used(observed, entry) { finding } else { finding.run(remove(entry)) }
        })
    };
    bare.filter_map(finding).collect()
}

fn unfit(observed: &Observed) -> Vec<Finding> {
    each_file(observed, |entry, (node, there), file| {
        let why = there.oddities.unfit.get(&file.name).filter(|_| !is_other(entry, file))?;
        let path = path(observed, entry);
        let (known, evidence) = match why {
            Unfit::NoProgram => (&NO_PROGRAM, format!("{path} on {node} is neither ELF nor a script")),
            Unfit::Machine(machine) => {
                (&WRONG_MACHINE, format!("{path} is for {machine}, and {node} is {}", there.machine))
            }
            Unfit::Interpreter(linker) => {
                (&NO_LINKER, format!("{path} names {}, which {node} has not", linker.display()))
            }
        };
        let finding = known.at(title(entry), evidence);
        Some(if is_used(observed, entry) { finding } else { finding.run(remove(entry)) })
    })
}

fn mixed_machines(observed: &Observed) -> Vec<Finding> {
    let nodes = seen(observed);
    let machines: BTreeSet<String> = nodes
        .iter()
        .filter(|(_, node)| node.machine != Machine::Other(0))
        .map(|(_, node)| node.machine.to_string())
        .collect();
    if machines.len() < 2 || observed.catalog.is_empty() {
        return Vec::new();
    }
    let each: Vec<String> = nodes.iter().map(|(name, node)| format!("{name} is {}", node.machine)).collect();
    vec![MIXED_MACHINES.at("nodes", each.join(", "))]
}
