//! Checks of pins, which override the configured version of mounts.

use super::Check;
use super::finding::{Finding, FindingKind, Severity, VerifiedBy};
use crate::consumer::Consumer;
use crate::observed::{Observed, Pins};
use crate::shell::shell_quote;
use vault_api::pins::Pin;

const PIN_OVERRIDES_MOUNT: FindingKind = FindingKind {
    id: "VTP-401",
    title: "a pinned version overrides the version that a mount is configured for",
    severity: Severity::Note,
    consequence: "The mount runs the pinned version. Its configured version takes effect when the pin is removed.",
    remediation: "If the pin is intended, do nothing. Otherwise remove the pin and reload the mount.",
    log_patterns: &[
        "cannot specify plugin_version for * as it is pinned",
        "plugin_version cannot be set for * as a pinned version * is in effect",
    ],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_401_a_mount_runs_another_version_than_the_pin"),
};
const PIN_NOT_REGISTERED: FindingKind = FindingKind {
    id: "VTP-402",
    title: "a pinned version is not registered",
    severity: Severity::BreaksAtRestart,
    consequence: "None of the plugin's mounts can be started.",
    remediation: "Remove the pin to run the versions that the mounts are configured for. Or register the pinned version again, or pin another one.",
    log_patterns: &["cannot delete a pinned version", "no pinned version for this plugin"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::legacy_storage::vtp_402_a_pin_to_a_version_that_is_not_registered",
    ),
};

pub(super) const ALL: &[&FindingKind] = &[&PIN_OVERRIDES_MOUNT, &PIN_NOT_REGISTERED];
pub(super) const CHECKS: &[Check] = &[overriding_pins, unregistered_pins];

fn overriding_pins(observed: &Observed) -> Vec<Finding> {
    let finding = |(path, mount): (&Consumer, &crate::observed::ConsumerObserved)| {
        let pin = observed.pinned_version(mount.kind, &mount.plugin)?;
        // A mount that does not run the pinned version yet has its own finding.
        (pin != mount.configured_version && pin == mount.running_version).then(|| {
            let unpin =
                format!("vault delete sys/plugins/pins/{}/{}", mount.kind, shell_quote(&mount.plugin));
            PIN_OVERRIDES_MOUNT
                .finding(
                    path.as_str(),
                    format!(
                        "it is configured for {:?}, and {} is pinned to {pin}",
                        mount.configured_version, mount.plugin
                    ),
                )
                .with_command(unpin)
                .with_command(super::finding::own_command(
                    observed,
                    &format!("reload --mount {} --yes", shell_quote(path.as_str())),
                ))
        })
    };
    observed.consumers.iter().filter_map(finding).collect()
}

fn unregistered_pins(observed: &Observed) -> Vec<Finding> {
    let Pins::Set(pins) = &observed.pins else { return Vec::new() };
    if observed.caller.denied.contains("sys/plugins/catalog") {
        return Vec::new();
    }
    // A pinned built-in plugin has no entry in this catalog.
    let is_registered =
        |pin: &Pin| observed.catalog.iter().any(|entry| entry.kind == pin.kind && entry.name == pin.name);
    let dangling = pins.iter().filter(|pin| {
        is_registered(pin) && observed.catalog_entry(pin.kind, &pin.name, &pin.version).is_none()
    });
    dangling
        .map(|pin| {
            let unpin = format!("vault delete sys/plugins/pins/{}/{}", pin.kind, shell_quote(&pin.name));
            let finding = PIN_NOT_REGISTERED
                .finding(format!("{} {}", pin.kind, pin.name), format!("it is pinned to {}", pin.version));
            let severities =
                observed.consumers_of(pin.kind, &pin.name).map(|(_, mount)| super::mounts::severity(mount));
            let finding = finding.with_severity(severities.min().unwrap_or(Severity::BreaksAtRestart));
            if is_removable(observed, pin) { finding.with_command(unpin) } else { finding }
        })
        .collect()
}

/// Returns whether every mount of the plugin is configured for a registered version, and runs it.
fn is_removable(observed: &Observed, pin: &Pin) -> bool {
    let mut mounts =
        observed.consumers.values().filter(|mount| mount.kind == pin.kind && mount.plugin == pin.name);
    mounts.all(|mount| {
        let entry = observed.catalog_entry(pin.kind, &pin.name, &mount.configured_version);
        entry.is_some() && mount.configured_version == mount.running_version
    })
}
