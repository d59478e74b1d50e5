//! A run during which the server, or the right to change it, becomes another one than when it was planned.

use super::*;

/// Applies [`goal`] without its smoke test, and calls `meanwhile` after the first step.
async fn run_and_change(cluster: &FakeCluster, meanwhile: impl Fn(&mut FakeState)) -> Outcome {
    let goal = upgrade_with_smoke_tests(Vec::new());
    let plan = plan(&cluster.with_state(|state| state.observed.clone()), &goal).expect("a plan");
    let mut listener = |event: &Event| {
        if let Event::StepDone { number: 1, .. } = event {
            cluster.with_state(&meanwhile);
        }
    };
    apply(&cluster.environment(), &goal, &plan, &mut listener, &CancelFlag::new()).await
}

#[tokio::test]
async fn a_step_that_was_not_confirmed_is_not_done() {
    let cluster = FakeCluster::new();
    let outcome = run_and_change(&cluster, |state| {
        let mut mount = state.observed.consumers["custom/"].clone();
        mount.configured_version = "v1.0.0".into();
        state.observed.consumers.insert("team/".parse().expect("a path"), mount);
    })
    .await;
    let Outcome::RolledBack { error, mounts, .. } = outcome else { panic!("{outcome:?}") };
    assert!(error.contains("the next step would be") && error.contains("team/"), "{error}");
    assert_eq!(mounts, [custom_mount()]);
    let of_team = cluster.with_state(|state| state.changes.iter().any(|change| change.contains("team")));
    assert!(!of_team, "{:?}", cluster.with_state(|state| state.changes.clone()));
}

#[tokio::test]
async fn a_run_that_has_lost_the_right_to_change_does_not_begin_its_next_step() {
    let cluster = FakeCluster::new();
    cluster.with_state(|state| state.lock_lost_after = Some(1));
    let outcome = run_and_change(&cluster, |_| ()).await;
    let Outcome::ManualIntervention { error, remaining_effects, .. } = outcome else { panic!("{outcome:?}") };
    assert!(error.contains("the lock on plugin changes was lost"), "{error}");
    assert!(remaining_effects[0].contains("custom/ was moved from v1.0.0"), "{remaining_effects:?}");
    let changes = cluster.with_state(|state| state.changes.clone());
    assert_eq!(changes, ["POST sys/mounts/custom/tune {\"plugin_version\":\"v1.2.3\"}"]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_for_a_moment_is_asked_again() {
    let cluster = FakeCluster::new();
    cluster.with_state(|state| state.unanswered_observations = 2);
    let outcome = run_and_change(&cluster, |_| ()).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    assert_eq!(cluster.with_state(|state| state.unanswered_observations), 0);
}
