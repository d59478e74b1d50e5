//! Pins, which come before what a mount is told.

use super::Check;
use super::finding::{Finding, Known, Severity, Shown, quoted};
use crate::observed::{Observed, Pins};
use vault_api::catalog::PluginType;
use vault_api::pins::Pin;

const OVERRIDES: Known = Known {
    id: "VTP-401",
    title: "a pin stands before the version that a mount is told to run",
    severity: Severity::Note,
    consequence: "The mount runs what is pinned. Its own version comes into force when the pin is removed.",
    cure: "Nothing, if that is meant; else remove the pin and reload the mount.",
    says: &[
        "cannot specify plugin_version for * as it is pinned",
        "plugin_version cannot be set for * as a pinned version * is in effect",
    ],
    shown: Shown::OnServer("doctor::mounts::vtp_401_a_mount_runs_another_version_than_the_pin"),
};
const DANGLES: Known = Known {
    id: "VTP-402",
    title: "a pinned version is not in the catalog",
    severity: Severity::BreaksAtRestart,
    consequence: "None of the plugin's mounts can be started.",
    cure: "Remove the pin, if the mounts are to run what they are told; else register that version again, or pin another.",
    says: &["cannot delete a pinned version", "no pinned version for this plugin"],
    shown: Shown::OnServer("doctor::stored::vtp_402_a_pin_to_a_version_that_is_not_registered"),
};

pub(super) const ALL: &[&Known] = &[&OVERRIDES, &DANGLES];
pub(super) const CHECKS: &[Check] = &[overrides, dangles];

fn overrides(observed: &Observed) -> Vec<Finding> {
    let finding = |(path, mount): (&String, &crate::observed::MountObserved)| {
        let pin = observed.pinned(PluginType::Secret, &mount.plugin)?;
        // What does not run the pinned version yet is told so.
        (pin != mount.configured_version && pin == mount.running_version).then(|| {
            let unpin = format!("vault delete sys/plugins/pins/secret/{}", quoted(&mount.plugin));
            OVERRIDES
                .at(
                    path.clone(),
                    format!(
                        "it is told {:?}, and {} is pinned to {pin}",
                        mount.configured_version, mount.plugin
                    ),
                )
                .run(unpin)
                .run(super::finding::tool(observed, &format!("reload --mount {} --yes", quoted(path))))
        })
    };
    observed.mounts.iter().filter_map(finding).collect()
}

fn dangles(observed: &Observed) -> Vec<Finding> {
    let Pins::Set(pins) = &observed.pins else { return Vec::new() };
    if observed.caller.denied.contains("sys/plugins/catalog") {
        return Vec::new();
    }
    // A pin of a plugin that comes with the server has no entry here.
    let known = |name: &str| observed.catalog.iter().any(|entry| entry.name == name);
    let dangling = pins
        .iter()
        .filter(|pin| known(&pin.name) && observed.entry(pin.kind, &pin.name, &pin.version).is_none());
    dangling
        .map(|pin| {
            let unpin = format!("vault delete sys/plugins/pins/{}/{}", pin.kind, quoted(&pin.name));
            let finding =
                DANGLES.at(format!("{} {}", pin.kind, pin.name), format!("it is pinned to {}", pin.version));
            let held = observed.mounts_of(pin.kind, &pin.name).map(|(_, mount)| super::mounts::weight(mount));
            let finding = finding.of(held.min().unwrap_or(Severity::BreaksAtRestart));
            if can_do_without(observed, pin) { finding.run(unpin) } else { finding }
        })
        .collect()
}

/// Whether every mount of the plugin is told to run what is registered, and runs that.
fn can_do_without(observed: &Observed, pin: &Pin) -> bool {
    let mounts = observed.mounts.values().filter(|mount| mount.plugin == pin.name);
    pin.kind == PluginType::Secret
        && mounts.into_iter().all(|mount| {
            let entry = observed.entry(pin.kind, &pin.name, &mount.configured_version);
            entry.is_some() && mount.configured_version == mount.running_version
        })
}
