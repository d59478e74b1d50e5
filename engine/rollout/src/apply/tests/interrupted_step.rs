//! A step that is interrupted by the loss of the active node.

use super::*;

/// Returns the outcome of a run whose first step, a tune, is executed by an active node that fails before it responds.
async fn run_with_dropped_response(cluster: &FakeCluster, smoke_tests: Vec<SmokeTest>) -> Outcome {
    let goal = upgrade_with_smoke_tests(smoke_tests);
    let plan = plan(&cluster.with_state(|state| state.observed.clone()), &goal).expect("a plan");
    assert!(matches!(plan.steps[0], Step::TuneMount { .. }), "{plan:?}");
    cluster.with_state(|state| state.dropped_responses = 1);
    apply(&cluster.environment(), &goal, &plan, &mut |_| (), &CancelFlag::new()).await
}

#[tokio::test]
async fn a_mount_that_the_successor_has_started_with_the_version_goes_back_when_it_does_not_work() {
    let cluster = FakeCluster::new();
    let outcome = run_with_dropped_response(&cluster, vec![smoke_test()]).await;
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_eq!(running_version(&cluster), "v1.0.0");
}

#[tokio::test]
async fn a_mount_that_the_successor_has_started_with_the_version_is_tried_and_stays_when_it_works() {
    let cluster = FakeCluster::new();
    cluster.with_state(|state| state.leases = Some(BTreeSet::new()));
    let outcome = run_with_dropped_response(&cluster, vec![smoke_test()]).await;
    let Outcome::Done { done, .. } = outcome else { panic!("{outcome:?}") };
    assert!(done.iter().any(|step| matches!(step, Step::SmokeTestMount { .. })), "{done:?}");
    assert_eq!(running_version(&cluster), "v1.2.3");
}

#[tokio::test]
async fn the_node_that_was_lost_is_waited_for_and_is_no_reason_to_refuse() {
    let cluster = FakeCluster::new();
    cluster.with_state(|state| state.absent_observations = 2);
    let outcome = run_with_dropped_response(&cluster, Vec::new()).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    assert_eq!(running_version(&cluster), "v1.2.3");
}

/// The lookup and the revocation of the lease meet the lost node. The credential of the first attempt is revoked too.
#[tokio::test]
async fn a_smoke_test_that_meets_the_lost_node_is_repeated_on_its_successor_and_leaves_no_credential() {
    for sealed in 1..=2 {
        let cluster = FakeCluster::new();
        cluster.with_state(|state| {
            state.leases = Some(BTreeSet::new());
            state.sealed_responses = sealed;
        });
        let goal = upgrade_with_smoke_tests(vec![smoke_test()]);
        let plan = plan(&cluster.with_state(|state| state.observed.clone()), &goal).expect("a plan");
        let outcome = apply(&cluster.environment(), &goal, &plan, &mut |_| (), &CancelFlag::new()).await;
        assert!(matches!(outcome, Outcome::Done { .. }), "{sealed}: {outcome:?}");
        assert_eq!(running_version(&cluster), "v1.2.3");
        assert_eq!(cluster.with_state(|state| state.leases.clone()), Some(BTreeSet::new()), "{sealed}");
    }
}
