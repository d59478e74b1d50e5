//! A first step that is cut off by the loss of the active node.

use super::*;

/// How a run ends whose first step, a tune, is carried out by an active node that dies before it answers.
async fn ends(cluster: &Cluster, trials: Vec<Trial>) -> Outcome {
    let goal = moved_and_tried(trials);
    let plan = plan(&cluster.with(|state| state.observed.clone()), &goal).expect("a plan");
    assert!(matches!(plan.steps[0], Step::TuneMount { .. }), "{plan:?}");
    cluster.with(|state| state.lost_answers = 1);
    apply(&cluster.world(), &goal, &plan, &mut |_| (), &CancelFlag::new()).await
}

fn running(cluster: &Cluster) -> String {
    cluster.with(|state| state.observed.mounts["custom/"].running_version.clone())
}

#[tokio::test]
async fn a_mount_that_the_successor_has_started_with_the_version_goes_back_when_it_does_not_work() {
    let cluster = Cluster::new();
    let outcome = ends(&cluster, vec![trial()]).await;
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    assert_eq!(running(&cluster), "v1.0.0");
}

#[tokio::test]
async fn the_node_that_was_lost_is_waited_for_and_is_no_reason_to_refuse() {
    let cluster = Cluster::new();
    cluster.with(|state| state.absence = 2);
    let outcome = ends(&cluster, Vec::new()).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    assert_eq!(running(&cluster), "v1.2.3");
}
