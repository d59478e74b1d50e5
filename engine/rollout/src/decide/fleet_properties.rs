//! Properties of plans for any mixture of versions on nodes and mounts: a plan ends, removes nothing that is in use, and can be
//! interrupted after any step.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vault_api::catalog::PluginType;
use vault_api::health::Product;
use vault_api::pins::Pin;

use super::samples::{SHA, Simulation, decide, old_fleet, plan, simulate, upgrade};
use super::*;
use crate::goal::{
    Canary, DeregisterGoal, DowngradePolicy, FailoverTest, GarbageCollectGoal, SmokeTest, Target,
    UpgradeGoal, VersionSelector,
};
use crate::observed::deployment::{NodeName, Process, RunningVersion};
use crate::observed::{CatalogEntry, Pins};

const VERSIONS: [&str; 5] = ["0.9.0", "1.0.0", "1.2.3", "1.3.0-rc.1", "2.0.0"];
const CANARY_MOUNT: &str = "vault-token-plugin-canary/custom-1.2.3/";

/// The configured and the running version of a mount.
type ConfiguredAndRunning = (&'static str, &'static str);

fn version() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&VERSIONS[..])
}

fn sha(version: &str) -> String {
    if version == "1.2.3" { SHA.to_owned() } else { format!("sha-{version}") }
}

/// One or three nodes, up to five mounts of any version, any files, and optionally a pin and the canary mount of a killed run.
fn fleet() -> impl Strategy<Value = Observed> {
    (
        proptest::collection::vec((version(), version()), 1..6),
        proptest::collection::btree_set(version(), 0..5),
        proptest::option::of(version()),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        proptest::option::of(version()),
    )
        .prop_map(|(mounts, registered, pin, single_node, openbao, canary, missing_on_last)| {
            build_fleet(&mounts, &registered, pin, (single_node, openbao, canary), missing_on_last)
        })
}

fn build_fleet(
    mounts: &[ConfiguredAndRunning],
    registered: &BTreeSet<&'static str>,
    pin: Option<&'static str>,
    (single_node, openbao, canary): (bool, bool, bool),
    missing_on_last: Option<&'static str>,
) -> Observed {
    let mut observed = old_fleet();
    if openbao {
        observed.server.product = Product::OpenBao;
    }
    let pin = pin.filter(|_| !openbao);
    observed.consumers.clear();
    for (number, (configured, running)) in mounts.iter().enumerate() {
        let mount = ConsumerObserved {
            plugin: "custom".into(),
            configured_version: format!("v{configured}"),
            running_version: format!("v{running}"),
            running_sha256: sha(running),
            ..ConsumerObserved::default()
        };
        observed.consumers.insert(format!("mount-{number}").parse().expect("a path"), mount);
    }
    if canary {
        let mount = observed.consumers["mount-0/"].clone();
        observed.consumers.insert(CANARY_MOUNT.parse().expect("a path"), mount);
    }
    let used = mounts.iter().flat_map(|(configured, running)| [*configured, *running]).chain(pin);
    let all: BTreeSet<&str> = used.chain(registered.iter().copied()).collect();
    observed.catalog = all
        .iter()
        .map(|version| CatalogEntry {
            kind: PluginType::Secret,
            name: "custom".into(),
            version: format!("v{version}"),
            sha256: sha(version),
            command: None,
            args: None,
        })
        .collect();
    if let Some(version) = pin {
        let pin = Pin { kind: PluginType::Secret, name: "custom".into(), version: format!("v{version}") };
        observed.pins = Pins::Set(vec![pin]);
    }
    let running: BTreeMap<String, RunningVersion> = observed
        .consumers
        .iter()
        .map(|(path, mount)| {
            let (version, sha256) = (mount.running_version.clone(), mount.running_sha256.clone());
            (path.to_string(), RunningVersion { version, sha256 })
        })
        .collect();
    let deployment = observed.deployment.as_mut().expect("a deployment");
    if single_node {
        deployment.nodes.retain(|name, _| *name == NodeName::new("vault-0"));
    }
    for (name, node) in &mut deployment.nodes {
        let last = *name == NodeName::new("vault-2");
        node.files = all
            .iter()
            .filter(|version| !last || missing_on_last != Some(**version))
            .map(|version| PluginFile {
                name: format!("custom-{version}"),
                sha256: sha(version),
                mode: 0o755,
            })
            .collect();
        node.processes = if node.processes.is_empty() {
            Vec::new()
        } else {
            let files: BTreeSet<&str> = mounts.iter().map(|(_, running)| *running).collect();
            let process = |version: &&str| Process {
                pid: 7,
                file: format!("custom-{version}"),
                sha256: Some(sha(version)),
            };
            files.iter().map(process).collect()
        };
        node.server.as_mut().expect("a server").running = running.clone();
    }
    observed
}

fn any_goal() -> impl Strategy<Value = Goal> {
    let to = prop_oneof![
        Just(upgrade().target),
        version().prop_map(|version| Target::Registered {
            kind: PluginType::Secret,
            name: "custom".into(),
            version: version.parse().expect("a version"),
        })
    ];
    let upgrade_goal = (to, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(target, downgrade, canary, failover_test, only_first)| {
            let first: Consumer = "mount-0".parse().expect("a path");
            Goal::Upgrade(Box::new(UpgradeGoal {
                target,
                only_mounts: if only_first { vec![first.clone()] } else { Vec::new() },
                downgrade: if downgrade { DowngradePolicy::Allow } else { DowngradePolicy::Refuse },
                canary: if canary { upgrade().canary } else { Canary::Skip },
                smoke_tests: vec![SmokeTest { mount: first, request: "creds/dev".into() }],
                failover_test: if failover_test { FailoverTest::EveryNode } else { FailoverTest::None },
                ..upgrade()
            }))
        },
    );
    let gc = (0..3_usize).prop_map(|keep| Goal::GarbageCollect(GarbageCollectGoal { name: None, keep }));
    let deregister = version().prop_map(|version| {
        let versions = VersionSelector::Only(vec![version.parse().expect("a version")]);
        Goal::Deregister(DeregisterGoal { kind: PluginType::Secret, name: "custom".into(), versions })
    });
    prop_oneof![4 => upgrade_goal, 1 => gc, 1 => deregister]
}

/// Checks that a step removes nothing that a mount uses, other than a canary mount.
fn check_harmless(state: &Simulation, step: &Step) -> Result<(), TestCaseError> {
    let before = &state.observed;
    let mounts = || before.consumers_of(PluginType::Secret, "custom");
    match step {
        Step::RemoveCanary { path } => prop_assert!(path.is_canary(), "{step}"),
        Step::DeregisterVersion { name, version, .. } if name == "custom" => {
            for (path, mount) in mounts() {
                let used =
                    [&mount.running_version, &mount.configured_version, before.effective_version(mount)];
                prop_assert!(!used.contains(&version.as_str()), "{step}: {path}");
            }
        }
        Step::RemoveBinary { file, .. } => {
            for (path, mount) in mounts() {
                for version in [&mount.running_version, before.effective_version(mount)] {
                    let file_of = version.replacen('v', "custom-", 1);
                    prop_assert!(file_of != *file, "{step}: {path}");
                }
            }
        }
        _ => {}
    }
    let after = simulate(state, [step]).observed;
    let removed: Vec<&Consumer> =
        before.consumers.keys().filter(|path| !after.consumers.contains_key(*path)).collect();
    let canaries = removed.iter().all(|path| path.is_canary());
    prop_assert!(canaries, "{step} removes {removed:?}");
    Ok(())
}

/// Checks the state in which there is nothing left to do.
fn check_end(end: &Observed, goal: &Goal) -> Result<(), TestCaseError> {
    let Goal::Upgrade(upgrade) = goal else { return Ok(()) };
    let target = upgrade.version().v_prefixed();
    for (path, mount) in end.consumers_of(PluginType::Secret, "custom") {
        if upgrade.only_mounts.is_empty() || upgrade.only_mounts.contains(&path) {
            prop_assert_eq!(&mount.running_version, &target, "{}", path);
            prop_assert_eq!(end.effective_version(mount), target.as_str(), "{}", path);
        }
    }
    prop_assert!(!end.consumers.contains_key(CANARY_MOUNT));
    prop_assert!(end.catalog.iter().all(|entry| entry.name != "custom-canary"));
    if let Target::Provided(plugin) = &upgrade.target {
        let nodes = end.deployment.iter().flat_map(|deployment| &deployment.nodes).count();
        prop_assert_eq!(end.nodes_with_file(&plugin.file_name()).len(), nodes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_plan_ends_where_it_should_and_takes_nothing_away_that_is_needed(
        observed in fleet(), goal in any_goal()
    ) {
        if let Ok(made) = plan(&observed, &goal) {
            let mut then = simulate(&observed, []);
            for step in &made.steps {
                prop_assert_eq!(decide(&then, &goal), Decision::Do(step.clone()));
                check_harmless(&then, step)?;
                then = simulate(&then, [step]);
            }
            prop_assert_eq!(decide(&then, &goal), Decision::Done);
            check_end(&then.observed, &goal)?;
        }
    }

    #[test]
    fn killed_after_any_step_the_same_goal_is_reached(observed in fleet(), goal in any_goal()) {
        let Ok(made) = plan(&observed, &goal) else { return Ok(()) };
        let mut killed = observed;
        for step in &made.steps {
            killed = simulate(&killed, [step]).observed;
            let again = plan(&killed, &goal);
            prop_assert!(again.is_ok(), "after {step}: {again:?}");
            let mut then = simulate(&killed, []);
            for step in again.expect("checked above").steps {
                check_harmless(&then, &step)?;
                then = simulate(&then, [&step]);
            }
            check_end(&then.observed, &goal)?;
        }
    }

    #[test]
    fn whatever_a_killed_run_has_moved_is_known_with_what_it_runs(observed in fleet(), goal in any_goal()) {
        let Goal::Upgrade(upgrade) = &goal else { return Ok(()) };
        let target = upgrade.version().v_prefixed();
        for (path, running) in unreloaded_mounts(&observed, upgrade) {
            let mount = &observed.consumers[path.as_str()];
            prop_assert_eq!(&mount.running_version, &running);
            prop_assert!(running != target && observed.effective_version(mount) == target);
        }
    }
}
