//! Pods that are missing, sealed or about to change, and those that are healthy.

use std::time::Instant;

use harness::DoctorRunner;
use serde_json::{Value, json};

use super::pods::on_three_pods;

#[test]
fn three_healthy_pods_are_healthy() {
    on_three_pods(async |pods| {
        // For docs/performance.md; no assertion depends on it.
        let started = Instant::now();
        pods.doctor.assert_healthy().await;
        println!("doctor looked at three pods in {} ms", started.elapsed().as_millis());
    });
}

/// It takes seconds until the others notice the loss of the active node and elect another one. Until then no node is active.
#[test]
fn an_election_is_waited_for_and_not_reported() {
    on_three_pods(async |pods| {
        let active = pods.pods.active().await;
        pods.pods.kill(active).await;
        let findings = DoctorRunner::findings(&pods.doctor.run(&[]).await);
        let named_now = |finding: &Value| finding["severity"] == "breaks_now";
        assert!(!findings.iter().any(named_now), "{findings:#?}");
        pods.pods.wait_all_ready().await;
        pods.doctor.wait_healthy().await;
    });
}

#[test]
fn vtp_801_a_pod_that_does_not_start() {
    on_three_pods(async |pods| {
        // No volume is bound to the claim of the fourth pod.
        pods.patch("merge", &json!({"spec": {"replicas": 4}})).await;
        let findings = pods.doctor.assert_finds(&["VTP-801"], &[]).await;
        assert_eq!(findings[0]["subject"], "vault-3");
        pods.patch("merge", &json!({"spec": {"replicas": 3}})).await;
        pods.doctor.assert_healthy().await;
    });
}

#[test]
fn vtp_802_the_server_of_a_pod_is_sealed() {
    on_three_pods(async |pods| {
        let active = pods.pods.active().await.to_owned();
        pods.pods.seal(&active).await;
        pods.pods.active().await;
        let findings = pods.doctor.assert_finds(&["VTP-802"], &[]).await;
        assert_eq!(findings[0]["subject"], active.as_str());
        pods.pods.delete(&active).await;
        pods.pods.wait_all_ready().await;
        pods.doctor.wait_healthy().await;
    });
}

#[test]
fn vtp_806_another_operator_holds_the_lease() {
    on_three_pods(async |pods| {
        let namespace = pods.pods.namespace();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "vault-token-plugin-vault", "namespace": namespace},
            "spec": {
                "holderIdentity": "alice@laptop", "leaseDurationSeconds": 3600,
                "renewTime": "2999-01-01T00:00:00.000000Z",
            },
        });
        pods.doctor.run_in_shell(&format!("echo '{lease}' | kubectl apply -f -")).await;
        pods.doctor.assert_finds(&["VTP-806"], &[]).await;
        pods.doctor
            .run_in_shell(&format!("kubectl -n {namespace} delete lease vault-token-plugin-vault"))
            .await;
        pods.doctor.assert_healthy().await;
    });
}
