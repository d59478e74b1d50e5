//! What this token may do, and what was not seen for whatever reason.

use super::Check;
use super::finding::{Finding, FindingKind, Severity, Unobserved, VerifiedBy};
use crate::observed::deployment::{DirectoryState, PluginStorage};
use crate::observed::{CATALOG_PREFIX, Observed, PluginDirectory};

const NO_SUDO: FindingKind = FindingKind {
    id: "VTP-901",
    title: "this token may not change the catalog",
    severity: Severity::Note,
    consequence: "What runs goes on. This token cannot register or deregister a version.",
    remediation: "Give its policy the capabilities create, update, delete and sudo on sys/plugins/catalog/*.",
    log_patterns: &["permission denied"],
    verified_by: VerifiedBy::E2eTest("doctor::permissions::vtp_901_a_token_may_not_change_the_catalog"),
};

pub(super) const ALL: &[&FindingKind] = &[&NO_SUDO];
pub(super) const CHECKS: &[Check] = &[sudo];

fn sudo(observed: &Observed) -> Vec<Finding> {
    let held = observed.caller.capabilities.iter().flatten();
    let lacking = held.filter(|(path, held)| {
        path.starts_with(CATALOG_PREFIX) && !["update", "sudo"].into_iter().all(|needed| held.allows(needed))
    });
    lacking
        .map(|(path, held)| {
            NO_SUDO.finding(path.clone(), format!("sys/capabilities-self says {}", held.0.join(", ")))
        })
        .collect()
}

/// What no finding says anything of.
pub(super) fn unobserved(observed: &Observed) -> Vec<Unobserved> {
    let mut list = Vec::new();
    let mut add = |what: &str, why: String| list.push(Unobserved { subject: what.to_owned(), reason: why });
    // While no node is active nothing that the server leaves out is for want of a permission, or of a flag.
    let is_led = observed.server.has_active_node;
    let shows = is_led && observed.server.initialized && !observed.server.sealed;
    if !shows {
        add("catalog, pins, mounts and leases", "the server is not in a state to show them".into());
    }
    for path in observed.caller.denied.iter().filter(|_| is_led) {
        add(path, "this token may not read it".into());
    }
    match &observed.deployment {
        None if !is_led => {}
        None => add(
            "files and processes",
            "it is not known where they are: name the directory with --plugin-dir, or the cluster with -n"
                .into(),
        ),
        Some(site) => {
            if is_led && observed.plugin_directory == PluginDirectory::NotVisible {
                add(
                    "the server's plugin directory",
                    format!("it is not shown to this token; {} was looked at", site.directory.display()),
                );
            }
            for (what, why) in &site.unobserved {
                add(what, why.clone());
            }
            if let PluginStorage::Unknown { reason: why } = &site.plugin_storage {
                add("what a restart keeps", why.clone());
            }
            if let PluginStorage::InitContainer { image, files: None, .. } = &site.plugin_storage {
                add("what the init container brings", format!("no pod shows what {image} has brought"));
            }
            for (name, node) in &site.nodes {
                if let DirectoryState::NotPluginDirectory { plugin_directory: servers } = &node.directory {
                    add(
                        "the server's files",
                        format!(
                            "they are in {} and not in the directory that was looked at on {name}",
                            servers.display()
                        ),
                    );
                }
                // Those that cannot be read are a finding of their own.
                let unread = node.file_issues.unchecked.iter().filter(|name| {
                    node.files.iter().any(|file| file.name == **name && !file.sha256.is_empty())
                });
                let unread: Vec<&str> = unread.map(String::as_str).collect();
                if !unread.is_empty() {
                    add(
                        "whether files can be started",
                        format!("{name} has no `od` that could show what {} is", unread.join(", ")),
                    );
                }
            }
        }
    }
    if observed.caller.capabilities.is_none() && shows {
        add("what this token may do", "it may not ask sys/capabilities-self".into());
    }
    let asked = observed.mounts.values().filter(|mount| !mount.running_sha256.is_empty());
    if is_led && asked.clone().any(|mount| mount.health.is_none()) {
        add("whether plugins answer", "this token may not ask them".into());
    }
    if observed.irrevocable_leases.is_none() && shows {
        add(
            "leases that could not be revoked",
            "this token may not read sys/leases/count, or the server has no such count".into(),
        );
    }
    list
}
