//! Standbys of OpenBao are restarted one at a time, as real pods are: they take a while to be back.

use std::time::Duration;

use harness::{
    AbsenceRecorder, FailedRequest, LoadGenerator, PluginVolume, Product, Program, Retries, build,
};
use serde_json::json;

use crate::pods::{MOUNTS, PACKAGE, Pods, VERSION, next, only};
use crate::{BINARY, NAME};

/// A pod of a real cluster takes about this long to be back.
const RESTART_DELAY: Duration = Duration::from_secs(20);

/// Three pods of OpenBao whose active node runs the next version, and whose standbys run the one before.
async fn with_stale_standbys(delay: Duration) -> Pods {
    let lab = Pods::new(|pods| {
        pods.product(Product::OpenBao).plugin_volume(PluginVolume::Persistent).restart_delay(delay)
    })
    .await;
    let static_binary = build::static_binary(PACKAGE).await;
    let file = lab.description(&static_binary);
    lab.program.run(["register", "-f", file.to_str().unwrap()]).await.success();
    let binary = build::with_next_version(&static_binary, VERSION, lab.folder.path());
    let command = format!("{NAME}-{}", next());
    for pod in lab.pods.names() {
        lab.pods.copy_to_plugin_directory(pod, &binary, &command).await;
    }
    let sha256 = rollout::Binary::read(&binary, &mut |_, _| ()).unwrap().sha256;
    let version = format!("v{}", next());
    let active = lab.pods.active().await.to_owned();
    let entry = json!({"command": command, "version": version, "sha256": sha256});
    let path = format!("sys/plugins/catalog/secret/{NAME}");
    lab.pods.request(&active, "POST", &path, Some(entry)).await.success();
    move_mounts_by_hand(&lab, &version).await;
    lab
}

/// As an operator moves mounts without this program: the standbys go on with what they run.
async fn move_mounts_by_hand(lab: &Pods, version: &str) {
    let active = lab.pods.active().await.to_owned();
    for mount in MOUNTS {
        let tune = format!("sys/mounts/{mount}/tune");
        lab.pods.request(&active, "POST", &tune, Some(json!({"plugin_version": version}))).await.success();
    }
    let reload = json!({"mounts": MOUNTS.map(|mount| format!("{mount}/"))});
    lab.pods.request(&active, "POST", "sys/plugins/reload/backend", Some(reload)).await.success();
}

async fn uids(lab: &Pods) -> Vec<Option<String>> {
    let mut uids = Vec::new();
    for pod in lab.pods.names() {
        uids.push(lab.pods.uid(pod).await);
    }
    uids
}

/// A token that may do everything but see the servers of raft.
async fn token_without_raft(lab: &Pods) -> String {
    let policy = r#"
        path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
        path "sys/storage/raft/*" { capabilities = ["deny"] }
    "#;
    let active = lab.pods.active().await;
    let body = Some(json!({"policy": policy}));
    lab.pods.request(active, "PUT", "sys/policies/acl/without-raft", body).await.success();
    let body = Some(json!({"policies": ["without-raft"], "no_default_policy": true}));
    let token = lab.pods.request(active, "POST", "auth/token/create", body).await.success();
    token["auth"]["client_token"].as_str().unwrap().to_owned()
}

/// What OpenBao answers in the instant in which it reloads the mount of a lease; see docs/limits.md.
const RENEW_DURING_RELOAD_ERROR: &str = "unable to retrieve system view from router";

/// Every request that may be repeated is answered; others fail only at a standby that is away itself.
async fn assert_served(lab: &Pods, load: LoadGenerator) {
    let account = load.stop().await;
    let active = lab.pods.active().await;
    let is_excused = |failed: &FailedRequest| {
        let away = failed.retries == Retries::Never && failed.pods.iter().all(|pod| pod != active);
        away || (failed.request.ends_with("sys/leases/renew")
            && failed.response.contains(RENEW_DURING_RELOAD_ERROR))
    };
    let failed: Vec<_> = account.failed.iter().filter(|failed| !is_excused(failed)).collect();
    assert!(
        failed.is_empty() && account.wrong_responses.is_empty(),
        "{failed:#?}\n{:#?}",
        account.wrong_responses
    );
}

#[tokio::test]
async fn standbys_that_are_slow_to_return_are_restarted_one_at_a_time_and_never_against_a_budget() {
    let lab = with_stale_standbys(RESTART_DELAY).await;
    let namespace = lab.pods.namespace().to_owned();
    let load = LoadGenerator::start(&lab.pods, &lab.upstream, &MOUNTS);
    load.wait_progress().await;
    let reload = ["reload", NAME, "-n", &namespace];

    lab.pods.set_disruption_budget(3).await;
    let before = uids(&lab).await;
    let without_raft =
        Program::new(BINARY).pods(&lab.pods).env("VAULT_TOKEN", token_without_raft(&lab).await);
    let refused = without_raft.run([&reload[..], &["--timeout", "10s"]].concat()).await;
    assert_eq!(refused.code, Some(5), "{refused:?}");
    let hidden = "the token has no permission to read sys/storage/raft/autopilot/state";
    for words in [hidden, "PodDisruptionBudget keep-quorum", "still run the previous version", "--timeout"] {
        assert!(refused.stderr.contains(words), "{words:?} is not in: {}", refused.stderr);
    }
    assert_eq!(uids(&lab).await, before, "no pod was restarted");

    lab.pods.set_disruption_budget(2).await;
    let absences = AbsenceRecorder::start(&lab.pods);
    lab.program.run(reload).await.success();
    let absent = absences.concurrent_absences();
    assert!(absent.iter().all(|together| together.len() < 2), "absent at the same time: {absent:?}");
    assert_eq!(absent.len(), 3, "both standbys were restarted: {absent:?}");
    // It has ended when they were back.
    for pod in lab.pods.names() {
        assert_eq!(lab.running_on(pod).await, only(&next()), "{pod}");
    }
    load.wait_progress().await;
    assert_served(&lab, load).await;
}

#[tokio::test]
async fn long_twenty_rollbacks_and_reloads_in_a_row_never_restart_two_standbys_at_once() {
    let lab = with_stale_standbys(Duration::from_secs(5)).await;
    let namespace = lab.pods.namespace().to_owned();
    lab.pods.set_disruption_budget(2).await;
    let load = LoadGenerator::start(&lab.pods, &lab.upstream, &MOUNTS);
    load.wait_progress().await;
    let absences = AbsenceRecorder::start(&lab.pods);
    for round in 0..10 {
        lab.program.run(["reload", NAME, "-n", &namespace]).await.success();
        for pod in lab.pods.names() {
            assert_eq!(lab.running_on(pod).await, only(&next()), "{pod} in round {round}");
        }
        lab.program.run(["rollback", NAME, "--version", VERSION, "-n", &namespace]).await.success();
        for pod in lab.pods.names() {
            assert_eq!(lab.running_on(pod).await, only(VERSION), "{pod} in round {round}");
        }
        let absent = absences.concurrent_absences();
        assert!(absent.iter().all(|together| together.len() < 2), "absent at the same time: {absent:?}");
        move_mounts_by_hand(&lab, &format!("v{}", next())).await;
    }
    load.wait_progress().await;
    assert_served(&lab, load).await;
}

/// Raft gives a server that has joined a vote when it has been stable for a while; none without a vote can become active.
#[tokio::test]
async fn long_a_failover_test_right_after_a_pod_has_joined_waits_until_it_has_a_vote() {
    let mut lab =
        Pods::new(|pods| pods.replicas(2).plugin_volume(PluginVolume::Persistent).stabilization_time("60s"))
            .await;
    let static_binary = build::static_binary(PACKAGE).await;
    let file = lab.description(&static_binary);
    lab.program.run(["register", "-f", file.to_str().unwrap()]).await.success();
    lab.pods.scale(3).await;
    lab.pods.wait_ready("vault-2").await;
    let upgrade = ["upgrade", "-f", file.to_str().unwrap(), "--no-canary", "--test-failover"];
    let said = lab.program.run(upgrade).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("waiting for the raft server vault-2"), "{}", said.stderr);
}
