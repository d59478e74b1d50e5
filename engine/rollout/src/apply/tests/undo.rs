//! What is undone when a run fails, and what must not be.

use super::*;

/// The steps of [`goal`] up to the reload, on a cluster that lacked the version.
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
    };
    let tune = Step::TuneMount { path: custom(), from: "v1.0.0".into(), to: version };
    let place = Step::PlaceBinary { nodes, directory, file, sha256: SHA.into(), size: 1000 };
    vec![place, entry, tune, Step::ReloadMount { path: custom() }]
}

fn restart(node: &str) -> Step {
    Step::RestartNode { node: NodeName::new(node) }
}

fn hand_over(turn: usize) -> Step {
    Step::HandOver { turn, of: 3 }
}

/// A run that has done `done` and fails at `step`: how it ends.
async fn fails(cluster: &Cluster, done: Vec<Step>, step: Option<Step>) -> Outcome {
    let held = cluster.hold().await.expect("nobody else has the right to change");
    cluster.with(|state| done.iter().for_each(|step| state.after(step)));
    let (world, goal) = (cluster.world(), goal());
    let run = Run {
        world: &world,
        goal: &goal,
        listener: &mut |_| (),
        this_run: done.iter().fold(ThisRun::default(), ThisRun::with),
        of: done.len() + 1,
        switched: done.iter().filter_map(|step| Switched::by(step, &[])).collect(),
        done,
        left: step.iter().cloned().collect(),
        seen: Some(cluster.with(|state| state.observed.clone())),
        led: BTreeSet::new(),
        leases: Vec::new(),
        refused_since: None,
        cut_off: None,
        nodes_are_known: false,
        held: Some(&held),
        unproven_pull: None,
    };
    run.failed(step, "it failed".to_owned(), StepEffect::Unknown).await
}

/// The sentences of a run that needs a person.
fn left(outcome: Outcome) -> String {
    match outcome {
        Outcome::NeedsPerson { left, .. } => left.join("\n"),
        other => panic!("{other:?}"),
    }
}

/// Whether the entry and every node's file of 1.2.3 are there.
fn is_there(cluster: &Cluster) -> bool {
    cluster.with(|state| {
        let site = state.observed.site.as_ref().expect("a site");
        state.observed.catalog.iter().any(|entry| entry.version == "v1.2.3")
            && site.lacking("custom-1.2.3", |_| true).is_empty()
    })
}

#[tokio::test]
async fn nothing_is_undone_once_a_standby_was_restarted_with_the_new_version() {
    let persist = Step::Persist { container: "fill".into(), from: "a".into(), to: "b".into(), files: None };
    let place = moved_steps().remove(0);
    let cases = [
        (vec![restart("vault-1"), hand_over(1)], Some(hand_over(2))),
        (vec![restart("vault-1"), hand_over(1)], None),
        (vec![restart("vault-1"), persist], Some(hand_over(1))),
        (vec![restart("vault-1"), place], Some(restart("vault-2"))),
    ];
    for (later, step) in cases {
        let cluster = Cluster::new();
        let outcome = fails(&cluster, [moved_steps(), later].concat(), step.clone()).await;
        let left = left(outcome);
        for words in ["vault-1", "the same command", "vault-token-plugin rollback custom --to 1.0.0"] {
            assert!(left.to_lowercase().contains(words), "{step:?}: {words:?} is not in: {left}");
        }
        assert_eq!(cluster.with(|state| state.changes.clone()), Vec::<String>::new(), "{step:?}");
        assert!(is_there(&cluster), "{step:?}");
    }
}

#[tokio::test]
async fn a_version_that_a_standby_still_runs_stays_registered_and_in_place() {
    let cluster = Cluster::new();
    // It is asked again until it says what it runs.
    cluster.with(|state| state.silence = 1);
    // A standby that was restarted by its cluster after the mount was moved.
    let done = [moved_steps(), vec![restart("vault-1")]].concat();
    cluster.with(|state| done.iter().for_each(|step| state.after(step)));
    let step = Step::TryMount { path: "custom/creds/dev".into() };
    let left = left(fails(&cluster, moved_steps(), Some(step)).await);
    for words in ["vault-1 still run", "1.2.3", "vault-token-plugin reload --plugin custom"] {
        assert!(left.contains(words), "{words:?} is not in: {left}");
    }
    assert!(is_there(&cluster));
    assert_eq!(cluster.with(|state| state.observed.mounts["custom/"].running_version.clone()), "v1.0.0");
}

#[tokio::test]
async fn what_no_node_runs_is_undone() {
    let cluster = Cluster::new();
    let step = Step::TryMount { path: "custom/creds/dev".into() };
    let outcome = fails(&cluster, moved_steps(), Some(step)).await;
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert!(!is_there(&cluster));
}

#[tokio::test]
async fn an_undo_stops_when_the_right_to_change_is_lost() {
    let cluster = Cluster::new();
    cluster.with(|state| state.lost_after = Some(1));
    let step = Step::TryMount { path: "custom/creds/dev".into() };
    let left = left(fails(&cluster, moved_steps(), Some(step)).await);
    let changes = cluster.with(|state| state.changes.clone());
    assert_eq!(changes, ["POST sys/mounts/custom/tune {\"plugin_version\":\"v1.0.0\"}"]);
    let words = "custom/ could not be reloaded (the right to change plugins here was lost to somebody)";
    assert!(left.contains(words), "{left}");

    // Mounts are back, and what the version has brought is not.
    let cluster = Cluster::new();
    cluster.with(|state| state.lost_after = Some(3));
    let step = Step::TryMount { path: "custom/creds/dev".into() };
    let left = self::left(fails(&cluster, moved_steps(), Some(step)).await);
    assert!(left.contains("this could not be undone: place custom-1.2.3"), "{left}");
    assert_eq!(cluster.with(|state| state.changes.len()), 3);
}

/// Moves back what was moved by a run that has ended, under the right to change that it has kept.
async fn rolled_back(cluster: &Cluster, held: &HeldLease) -> Result<Vec<MountPath>, Vec<String>> {
    cluster.with(|state| moved_steps().iter().for_each(|step| state.after(step)));
    let because = "custom/creds/dev does not work";
    crate::roll_back(&cluster.world(), held, Failover::Awaited, &moved_steps(), because, &mut |_| ()).await
}

#[tokio::test]
async fn what_was_moved_is_moved_back_only_with_the_right_to_change() {
    let cluster = Cluster::new();
    let held = cluster.hold().await.expect("nobody else has the right to change");
    assert_eq!(rolled_back(&cluster, &held).await, Ok(vec![custom()]));
    cluster.with(|state| {
        assert_eq!(state.changes.len(), 2, "{:?}", state.changes);
        assert_eq!(state.unheld, Vec::<String>::new());
    });

    let cluster = Cluster::new();
    let held = cluster.hold().await.expect("nobody else has the right to change");
    cluster.with(|state| {
        let lost = LeaseLost::Taken { holder: "somebody".into() };
        state.lease.as_ref().expect("it is held").send_replace(Some(lost));
    });
    let left = rolled_back(&cluster, &held).await.expect_err("somebody changes plugins").join("\n");
    assert!(left.contains("somebody") && left.contains("custom/"), "{left}");
    assert_eq!(cluster.with(|state| state.changes.clone()), Vec::<String>::new());
}

#[tokio::test]
async fn a_run_that_has_ended_well_keeps_the_right_to_change_for_the_trial_of_what_it_has_done() {
    let cluster = Cluster::new();
    let goal = moved_and_tried(Vec::new());
    let (world, observed) = (cluster.world(), cluster.with(|state| state.observed.clone()));
    let planned = plan(&observed, &goal).expect("a plan");
    let (outcome, held) = apply_and_hold(&world, &goal, &planned, &mut |_| (), &CancelFlag::new()).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    assert!(cluster.with(|state| state.lease.is_some()), "it is held until the trial has ended");
    held.release().await;
    assert!(cluster.with(|state| state.lease.is_none()));
}
