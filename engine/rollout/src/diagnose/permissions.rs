//! Checks of the permissions of the token, and the list of what could not be observed.

use super::Check;
use super::finding::{Finding, FindingKind, Severity, Unobserved, VerifiedBy};
use crate::observed::deployment::{DirectoryState, PluginStorage};
use vault_api::catalog::PluginType;

use crate::observed::{CATALOG_PREFIX, Observed, PluginDirectory};

const NO_SUDO: FindingKind = FindingKind {
    id: "VTP-901",
    title: "this token cannot change the catalog",
    severity: Severity::Note,
    consequence: "This token cannot register or deregister a version. Running plugins are not affected.",
    remediation: "Give its policy the capabilities create, update, delete and sudo on sys/plugins/catalog/*.",
    log_patterns: &["permission denied"],
    verified_by: VerifiedBy::E2eTest("doctor::permissions::vtp_901_a_token_may_not_change_the_catalog"),
};

const NAMESPACE_NOT_VISIBLE: FindingKind = FindingKind {
    id: "VTP-902",
    title: "this token cannot see all namespaces",
    severity: Severity::Note,
    consequence: "`gc` and `deregister` refuse to remove anything, because a mount that this token cannot see may run the version. Running plugins are not affected.",
    remediation: "Use a token of the root namespace. Give its policy `list` on sys/namespaces and +/sys/namespaces, and `read` on +/sys/mounts and +/sys/auth. Each deeper level of namespaces needs these rules with one more `+/`. `vault-token-plugin manifests policy` prints them.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("openbao::vtp_902_a_namespace_that_the_token_cannot_see"),
};

pub(super) const ALL: &[&FindingKind] = &[&NO_SUDO, &NAMESPACE_NOT_VISIBLE];
pub(super) const CHECKS: &[Check] = &[sudo, invisible_namespaces];

/// One finding for each namespace of which a list is denied. Without the mounts of the client's own namespace, doctor reports that.
fn invisible_namespaces(observed: &Observed) -> Vec<Finding> {
    if !observed.server.has_active_node {
        return Vec::new();
    }
    let finding = |(namespace, paths): (&str, Vec<&str>)| {
        let subject = match (namespace, &observed.namespace) {
            ("", None) => "the namespaces below the root namespace".to_owned(),
            ("", Some(own)) => format!("the namespaces below {own}"),
            (child, _) => format!("namespace {}", child.trim_end_matches('/')),
        };
        NAMESPACE_NOT_VISIBLE
            .finding(subject, format!("the server denies this token access to {}", paths.join(", ")))
    };
    observed.caller.hidden_namespaces().into_iter().map(finding).collect()
}

fn sudo(observed: &Observed) -> Vec<Finding> {
    let capabilities = observed.caller.capabilities.iter().flatten();
    let lacking = capabilities.filter(|(path, capabilities)| {
        path.starts_with(CATALOG_PREFIX)
            && !["update", "sudo"].into_iter().all(|needed| capabilities.allows(needed))
    });
    lacking
        .map(|(path, capabilities)| {
            NO_SUDO
                .finding(path.clone(), format!("sys/capabilities-self returns {}", capabilities.0.join(", ")))
        })
        .collect()
}

/// Returns what could not be read from the server.
pub(super) fn unread(observed: &Observed) -> Vec<Unobserved> {
    let mut list = Vec::new();
    let mut add = |subject: &str, reason: &str| {
        list.push(Unobserved { subject: subject.into(), reason: reason.into() });
    };
    if !shows(observed) {
        add(
            "catalog, pins, mounts and leases",
            "the server is sealed, is not initialized, or has no active node",
        );
    }
    // Without an active node, missing data does not mean that a permission or a flag is missing.
    for path in observed.caller.denied.iter().filter(|_| observed.server.has_active_node) {
        add(path, "this token has no permission to read it");
    }
    list
}

/// Whether the server shows its mounts.
fn shows(observed: &Observed) -> bool {
    let server = &observed.server;
    server.has_active_node && server.initialized && !server.sealed
}

/// Returns what could not be observed, so that no finding covers it.
pub(super) fn unobserved(observed: &Observed) -> Vec<Unobserved> {
    let mut list = unread(observed);
    let mut add =
        |subject: &str, reason: String| list.push(Unobserved { subject: subject.to_owned(), reason });
    let (has_active_node, shows) = (observed.server.has_active_node, shows(observed));
    match &observed.deployment {
        None if !has_active_node => {}
        None => add(
            "files and processes",
            "their location is unknown: pass the directory with --plugin-dir, or the cluster with -n".into(),
        ),
        Some(deployment) => {
            if has_active_node && observed.plugin_directory == PluginDirectory::NotVisible {
                add(
                    "the server's plugin directory",
                    format!(
                        "this token cannot read it; {} was inspected instead",
                        deployment.directory.display()
                    ),
                );
            }
            for (subject, reason) in &deployment.unobserved {
                add(subject, reason.clone());
            }
            if let PluginStorage::Unknown { reason } = &deployment.plugin_storage {
                add("whether plugins survive a restart", reason.clone());
            }
            if let PluginStorage::InitContainer { image, files: None, .. } = &deployment.plugin_storage {
                add("files of the init container", format!("no pod shows which files {image} contains"));
            }
            for (name, node) in &deployment.nodes {
                if let DirectoryState::NotPluginDirectory { plugin_directory } = &node.directory {
                    add(
                        "the server's files",
                        format!(
                            "they are in {}, not in the directory that was inspected on {name}",
                            plugin_directory.display()
                        ),
                    );
                }
                // Unreadable files have their own finding.
                let unread = node.file_issues.unchecked.iter().filter(|name| {
                    node.files.iter().any(|file| file.name == **name && !file.sha256.is_empty())
                });
                let unread: Vec<&str> = unread.map(String::as_str).collect();
                if !unread.is_empty() {
                    add(
                        "whether files are executable",
                        format!("{name} has no `od` to inspect {}", unread.join(", ")),
                    );
                }
            }
        }
    }
    if observed.caller.capabilities.is_none() && shows {
        add("capabilities of this token", "it has no permission for sys/capabilities-self".into());
    }
    let asked = observed
        .consumers
        .values()
        .filter(|mount| mount.kind != PluginType::Database && !mount.running_sha256.is_empty());
    if has_active_node && asked.clone().any(|mount| mount.health.is_none()) {
        add("whether plugins respond", "this token has no permission to send them a request".into());
    }
    if observed.irrevocable_leases.is_none() && shows {
        add(
            "irrevocable leases",
            "this token has no permission to read sys/leases/count, or the server does not have it".into(),
        );
    }
    list
}
