//! What is undone after a failed run, and what is not.

use std::collections::BTreeMap;

use super::*;
use crate::decide::samples::register;

/// The steps of [`goal`] up to the reload, on a cluster without the version.
fn moved_steps() -> Vec<Step> {
    let nodes = ["vault-0", "vault-1", "vault-2"].map(NodeName::new).to_vec();
    let (directory, file) = ("/vault/plugins".into(), "custom-1.2.3".to_owned());
    let version: crate::Version = "1.2.3".parse().expect("a version");
    let entry = Step::RegisterVersion {
        kind: vault_api::catalog::PluginType::Secret,
        name: "custom".into(),
        version: version.clone(),
        sha256: SHA.into(),
        command: file.clone(),
        args: Vec::new(),
        env: Vec::new(),
    };
    let tune = Step::TuneMount { path: custom_mount(), from: "v1.0.0".into(), to: version };
    let binary = register().plugin.binary;
    let place = Step::CopyBinary { nodes, directory, file, binary };
    vec![place, entry, tune, Step::ReloadMount { path: custom_mount() }]
}

fn step_down_step(turn: usize) -> Step {
    Step::StepDown { turn, total: 3 }
}

/// Returns the outcome of a run that has applied `done` and fails at `step`.
async fn fail_after(cluster: &FakeCluster, done: Vec<Step>, step: Option<Step>) -> Outcome {
    let lock = cluster.acquire_lock().await.expect("no other operator holds it");
    cluster.with_state(|state| done.iter().for_each(|step| state.apply_step(step)));
    let (environment, goal) = (cluster.environment(), goal());
    let run = Run {
        environment: &environment,
        goal: &goal,
        listener: &mut |_| (),
        progress: done.iter().fold(Progress::default(), Progress::with_step),
        total_steps: done.len() + 1,
        switched: done.iter().filter_map(|step| VersionSwitch::from_step(step, &[])).collect(),
        done,
        remaining: step.iter().cloned().collect(),
        last_observed: Some(cluster.with_state(|state| state.observed.clone())),
        led_nodes: BTreeSet::new(),
        unrevoked_leases: Vec::new(),
        retry_wait: None,
        interrupted_step: None,
        nodes_are_fresh: false,
        lock: &lock,
        untested_pull: None,
    };
    run.fail(step, "it failed".to_owned(), StepEffect::Unknown).await
}

/// The remaining effects of a run that needs manual intervention.
fn remaining_effects(outcome: Outcome) -> String {
    match outcome {
        Outcome::ManualIntervention { remaining_effects, .. } => remaining_effects.join("\n"),
        other => panic!("{other:?}"),
    }
}

/// Whether 1.2.3 is registered, and every node has its file.
fn is_installed(cluster: &FakeCluster) -> bool {
    cluster.with_state(|state| {
        let deployment = state.observed.deployment.as_ref().expect("a deployment");
        state.observed.catalog.iter().any(|entry| entry.version == "v1.2.3")
            && deployment.nodes_lacking("custom-1.2.3", |_| true).is_empty()
    })
}

#[tokio::test]
async fn nothing_is_undone_once_a_standby_was_restarted_with_the_new_version() {
    let patch_image =
        Step::PatchInitImage { container: "fill".into(), from: "a".into(), to: "b".into(), files: None };
    let place = moved_steps().remove(0);
    let cases = [
        (vec![restart_step("vault-1"), step_down_step(1)], Some(step_down_step(2))),
        (vec![restart_step("vault-1"), step_down_step(1)], None),
        (vec![restart_step("vault-1"), patch_image], Some(step_down_step(1))),
        (vec![restart_step("vault-1"), place], Some(restart_step("vault-2"))),
    ];
    for (later, step) in cases {
        let cluster = FakeCluster::new();
        let outcome = fail_after(&cluster, [moved_steps(), later].concat(), step.clone()).await;
        let left = remaining_effects(outcome);
        for words in ["vault-1", "the same command", "vault-token-plugin rollback custom --version 1.0.0"] {
            assert!(left.to_lowercase().contains(words), "{step:?}: {words:?} is not in: {left}");
        }
        assert_eq!(cluster.with_state(|state| state.changes.clone()), Vec::<String>::new(), "{step:?}");
        assert!(is_installed(&cluster), "{step:?}");
    }
}

#[tokio::test]
async fn a_version_that_a_standby_still_runs_stays_registered_and_in_place() {
    let cluster = FakeCluster::new();
    // It is queried again until it reports what it runs.
    cluster.with_state(|state| state.silent_observations = 1);
    // A standby that was restarted by its cluster after the mount was moved.
    let done = [moved_steps(), vec![restart_step("vault-1")]].concat();
    cluster.with_state(|state| done.iter().for_each(|step| state.apply_step(step)));
    let step = Step::SmokeTestMount {
        mount: "custom".parse().expect("a path"),
        path: "custom/creds/dev".into(),
        data: BTreeMap::new(),
    };
    let left = remaining_effects(fail_after(&cluster, moved_steps(), Some(step)).await);
    for words in ["vault-1 still run", "1.2.3", "vault-token-plugin reload custom"] {
        assert!(left.contains(words), "{words:?} is not in: {left}");
    }
    assert!(is_installed(&cluster));
    assert_eq!(
        cluster.with_state(|state| state.observed.consumers["custom/"].running_version.clone()),
        "v1.0.0"
    );
}

#[tokio::test]
async fn what_no_node_runs_is_undone() {
    let cluster = FakeCluster::new();
    let step = Step::SmokeTestMount {
        mount: "custom".parse().expect("a path"),
        path: "custom/creds/dev".into(),
        data: BTreeMap::new(),
    };
    let outcome = fail_after(&cluster, moved_steps(), Some(step)).await;
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert!(!is_installed(&cluster));
}

/// The version that runs after the mount has gone back may not be able to revoke it.
#[tokio::test]
async fn a_credential_that_a_smoke_test_has_left_is_revoked_before_its_mount_goes_back() {
    for failing in [1, 2] {
        let cluster = FakeCluster::new();
        cluster.with_state(|state| {
            state.leases = Some(BTreeSet::new());
            state.failing_revocations = failing;
        });
        let plan = plan(&cluster.with_state(|state| state.observed.clone()), &goal()).expect("a plan");
        let outcome = apply(&cluster.environment(), &goal(), &plan, &mut |_| (), &CancelFlag::new()).await;
        let changes = cluster.with_state(|state| state.changes.clone());
        let last = |text: &str| changes.iter().rposition(|change| change.contains(text)).expect(text);
        assert!(last("sys/leases/revoke") < last("sys/mounts/custom/tune"), "{changes:#?}");
        assert_eq!(running_version(&cluster), "v1.0.0");
        if failing == 1 {
            assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
            assert_eq!(cluster.with_state(|state| state.leases.clone()), Some(BTreeSet::new()));
        } else {
            let left = remaining_effects(outcome);
            assert!(left.contains("creds revoke custom/creds/dev/0"), "{left}");
        }
    }
}

/// Its server starts what is in the plugin directory when it is back.
#[tokio::test]
async fn a_node_that_is_away_while_files_are_removed_is_waited_for() {
    let cluster = FakeCluster::new();
    // The mount is moved back and reloaded, and the entry removed.
    cluster.with_state(|state| (state.absent_after, state.absent_observations) = (3, 2));
    let step = Step::SmokeTestMount {
        mount: "custom".parse().expect("a path"),
        path: "custom/creds/dev".into(),
        data: BTreeMap::new(),
    };
    let outcome = fail_after(&cluster, moved_steps(), Some(step)).await;
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    cluster.with_state(|state| {
        assert_eq!(state.absent_observations, 0);
        assert_eq!(state.observed.nodes_with_file("custom-1.2.3"), []);
    });
}

#[tokio::test]
async fn a_mount_that_does_not_run_the_version_before_after_its_reload_is_left_to_a_person() {
    let cluster = FakeCluster::new();
    cluster.with_state(|state| state.ignored_reloads = 1);
    let step = Step::SmokeTestMount {
        mount: "custom".parse().expect("a path"),
        path: "custom/creds/dev".into(),
        data: BTreeMap::new(),
    };
    let left = remaining_effects(fail_after(&cluster, moved_steps(), Some(step)).await);
    assert_eq!(left, "custom/ runs \"v1.2.3\", expected v1.0.0");
    assert!(is_installed(&cluster), "what runs keeps its file and its entry");
}

#[tokio::test]
async fn an_undo_that_the_loss_of_the_active_node_cuts_off_goes_on_at_its_successor() {
    let cluster = FakeCluster::new();
    cluster.with_state(|state| state.dropped_responses = 1);
    let step = Step::SmokeTestMount {
        mount: "custom".parse().expect("a path"),
        path: "custom/creds/dev".into(),
        data: BTreeMap::new(),
    };
    let outcome = fail_after(&cluster, moved_steps(), Some(step)).await;
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert!(!is_installed(&cluster));
}

#[tokio::test]
async fn an_undo_stops_when_the_right_to_change_is_lost() {
    let cluster = FakeCluster::new();
    cluster.with_state(|state| state.lock_lost_after = Some(1));
    let step = Step::SmokeTestMount {
        mount: "custom".parse().expect("a path"),
        path: "custom/creds/dev".into(),
        data: BTreeMap::new(),
    };
    let left = remaining_effects(fail_after(&cluster, moved_steps(), Some(step)).await);
    let changes = cluster.with_state(|state| state.changes.clone());
    assert_eq!(changes, ["POST sys/mounts/custom/tune {\"plugin_version\":\"v1.0.0\"}"]);
    let words = "custom/ could not be reloaded (the lock on plugin changes was lost to alice)";
    assert!(left.contains(words), "{left}");

    // The mounts are moved back, but the version is not removed.
    let cluster = FakeCluster::new();
    cluster.with_state(|state| state.lock_lost_after = Some(3));
    let step = Step::SmokeTestMount {
        mount: "custom".parse().expect("a path"),
        path: "custom/creds/dev".into(),
        data: BTreeMap::new(),
    };
    let left = remaining_effects(fail_after(&cluster, moved_steps(), Some(step)).await);
    assert!(left.contains("could not be undone: copy custom-1.2.3"), "{left}");
    assert_eq!(cluster.with_state(|state| state.changes.len()), 3);
}

#[tokio::test]
async fn what_a_copy_left_that_died_with_its_pod_is_removed_and_nothing_else() {
    let cluster = FakeCluster::new();
    let place = moved_steps().remove(0);
    cluster.with_state(|state| {
        let deployment = state.observed.deployment.as_mut().expect("a deployment");
        for node in deployment.nodes.values_mut() {
            node.files.retain(|file| file.name != "custom-1.2.3");
        }
        let killed = deployment.nodes.get_mut(&NodeName::new("vault-2")).expect("a node");
        killed.file_issues.partial_files =
            vec![".custom-1.2.3.170b.vtp-part".to_owned(), ".other-1.0.0.22f5.vtp-part".to_owned()];
    });
    let outcome = fail_after(&cluster, Vec::new(), Some(place)).await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    let removed = cluster.with_state(|state| state.changes.clone());
    assert_eq!(removed, ["remove .custom-1.2.3.170b.vtp-part"]);
}
