//! The lock, interrupted copies, restarts, and the image of an init container.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use deployment::KubernetesError;
use harness::{FaultyProxy, UpdateStrategy, eventually, within_timeout};
use k8s_openapi::api::core::v1::Container;
use rollout::{
    CancelFlag, ConnectionMode, Deployment, DeploymentError, Environment, Event, Goal, NodeName, Outcome,
    PluginStorage, ReloadGoal, ReloadTarget, RestartConsent, UnreadyPodPolicy, apply, observe, plan,
};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;
use vault_api::Client;

use crate::lab::{FILE, Lab, copy, kubernetes_error, observe_pods, plugin};

#[tokio::test]
async fn one_operator_holds_the_lease_and_the_other_gets_its_name() {
    let lab = Lab::new(|pods| pods.replicas(1)).await;
    let (first, second) = (lab.deployment().await, lab.deployment().await);
    let lock = first.acquire_lock().await.unwrap();
    assert_eq!(observe_pods(&first).await.lock_holder, None, "its own lock is not reported");
    // This process is one holder, so another operator is simulated.
    let leases: Leases = kube::Api::namespaced(lab.pods.client(), lab.pods.namespace());
    assert_eq!(lock.lost_reason(), None);
    lock.release().await;
    let free = leases.get("vault-token-plugin-vault").await.unwrap();
    assert_eq!(free.spec.unwrap().holder_identity, None);

    write_lease(&leases, "alice@laptop", 600, 0).await;
    let refused = second.acquire_lock().await;
    let Some(KubernetesError::LockHeld { holder, .. }) = kubernetes_error(&refused) else {
        panic!("two operators hold it: {refused:?}");
    };
    assert_eq!(holder, "alice@laptop");
    write_lease(&leases, "", 600, 0).await;
    let lock = second.acquire_lock().await.unwrap();
    drop(lock);
    eventually("a dropped lock is released", async || {
        let lease = leases.get("vault-token-plugin-vault").await.ok()?;
        lease.spec?.holder_identity.is_none().then_some(())
    })
    .await;
}

type Leases = kube::Api<k8s_openapi::api::coordination::v1::Lease>;

/// Writes the Lease as a holder whose clock is `ahead` by some seconds.
async fn write_lease(leases: &Leases, holder: &str, duration: u32, ahead: i64) {
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(ahead);
    let spec = json!({
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": duration, "renewTime": format!("{now:.6}")},
    });
    let patch = kube::api::Patch::Merge(&spec);
    leases.patch("vault-token-plugin-vault", &kube::api::PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_lease_is_valid_while_it_is_renewed_whatever_the_clock_of_its_holder() {
    let lab = Lab::new(|pods| pods.replicas(1)).await;
    let deployment = lab.deployment().await;
    deployment.acquire_lock().await.unwrap().release().await;
    let leases: Leases = kube::Api::namespaced(lab.pods.client(), lab.pods.namespace());

    // A running holder whose clock is an hour behind.
    write_lease(&leases, "alice@laptop", 5, -3600).await;
    let renewing = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            write_lease(&leases, "alice@laptop", 5, -3600).await;
        }
    };
    let refused = tokio::select! {
        lock = deployment.acquire_lock() => lock,
        () = renewing => unreachable!(),
    };
    assert!(matches!(kubernetes_error(&refused), Some(KubernetesError::LockHeld { .. })), "{refused:?}");

    // A dead holder whose clock is an hour ahead.
    write_lease(&leases, "bob@laptop", 2, 3600).await;
    let taken = within_timeout("the Lease of a dead holder", deployment.acquire_lock()).await;
    taken.unwrap().release().await;
}

#[tokio::test]
async fn long_a_run_stops_before_its_next_step_when_its_lease_cannot_be_renewed() {
    let lab = Lab::new(|pods| pods.replicas(1)).await;
    let folder = tempfile::tempdir().unwrap();
    let proxy = FaultyProxy::start(lab.pods.cluster().kubeconfig(), folder.path()).await;
    let mut options = lab.options();
    options.cluster.kubeconfig = Some(proxy.kubeconfig().to_owned());
    let deployment = lab.connect(options).await.unwrap();
    let binary = plugin().await;
    copy(&deployment, &binary).await.unwrap();
    let entry = json!({"sha256": binary.sha256, "command": FILE, "version": "v1.0.0"});
    lab.pods.request("vault-0", "PUT", "sys/plugins/catalog/secret/kv-go", Some(entry)).await.success();
    for mount in ["first", "second"] {
        let mounted = json!({"type": "kv-go", "config": {"plugin_version": "v1.0.0"}});
        lab.pods.request("vault-0", "POST", &format!("sys/mounts/{mount}"), Some(mounted)).await.success();
    }

    // Connect to the server without the API server.
    let mut config = lab.client_config();
    config.address = lab.pods.url("vault-0");
    let environment = Environment {
        client: Client::new(&config).unwrap(),
        deployment: Some(Arc::new(deployment)),
        connection_mode: ConnectionMode::Address,
    };
    let paths = ["first", "second"].map(|path| path.parse().unwrap());
    let goal = Goal::Reload(ReloadGoal {
        target: ReloadTarget::Mounts(paths.to_vec()),
        restart_consent: RestartConsent::default(),
    });
    let observed = observe(&environment, Some(&goal)).await.unwrap();
    let plan = plan(&observed, &goal).unwrap();
    assert_eq!(plan.steps.len(), 2);
    let mut on_event = |event: &Event| {
        if let Event::StepDone { number: 1, .. } = event {
            proxy.black_hole();
        }
    };
    let cancel = CancelFlag::new();
    let run = apply(&environment, &goal, &plan, &mut on_event, &cancel);
    let outcome = tokio::time::timeout(Duration::from_secs(180), run).await.expect("it stops");
    let Outcome::ManualIntervention { done, remaining_effects, error, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(done, plan.steps[..1]);
    assert!(error.contains("the Lease vault-token-plugin-vault could not be renewed for"), "{error}");
    assert!(remaining_effects[0].starts_with("first/ was reloaded"), "{remaining_effects:?}");
    assert!(
        remaining_effects.last().unwrap().starts_with("Run the same command again"),
        "{remaining_effects:?}"
    );
}

#[tokio::test]
async fn an_interrupted_copy_leaves_nothing_that_the_next_one_does_not_remove() {
    let lab = Lab::new(|pods| pods.replicas(1)).await;
    let deployment = lab.deployment().await;
    let (binary, pod) = (plugin().await, NodeName::new("vault-0"));
    observe_pods(&deployment).await;
    {
        let (progress, mut reports) = unbounded_channel();
        let copying = deployment.copy(&binary, FILE, std::slice::from_ref(&pod), progress);
        tokio::select! {
            ended = copying => panic!("it ended before it could be interrupted: {ended:?}"),
            copied = reports.recv() => assert!(copied.unwrap().done < binary.size),
        }
    }
    eventually("the partial file is removed", async || {
        let files = lab.files("vault-0").await;
        assert!(!files.contains(&FILE.to_owned()), "a partial file is not renamed");
        files.is_empty().then_some(())
    })
    .await;
    // A copy that was killed with its pod leaves its partial file.
    let left = lab.pods.plugin_directory("vault-0").await.join(".kv-1.0.0.0123.vtp-part");
    std::fs::write(left, "half").unwrap();
    copy(&deployment, &binary).await.unwrap();
    assert_eq!(lab.files("vault-0").await, [FILE]);

    let directory = lab.pods.plugin_directory("vault-0").await;
    std::fs::write(directory.join(FILE), "something else").unwrap();
    let taken = copy(&deployment, &binary).await;
    assert!(matches!(kubernetes_error(&taken), Some(KubernetesError::FileConflict { .. })), "{taken:?}");
}

/// An image that every node has.
pub(crate) const IMAGE: &str = "localhost/vault:1.21.4";

/// An init container that runs a script with the plugin directory at `/to`.
pub(crate) fn init_container(image: &str, script: &str) -> Container {
    let mounts = json!([{"name": "plugins", "mountPath": "/to"}]);
    let command = json!(["/bin/sh", "-c", script]);
    serde_json::from_value(
        json!({"name": "fill", "image": image, "command": command, "imagePullPolicy": "Never", "volumeMounts": mounts}),
    )
    .unwrap()
}

#[tokio::test]
async fn the_files_of_an_init_container_are_derived_from_the_pods() {
    const BUNDLED: &str = "kv-0.9.0";
    let fill = init_container(IMAGE, &format!("echo an older version > /to/{BUNDLED}"));
    let lab = Lab::new(|pods| pods.replicas(2).init_container(fill)).await;
    let deployment = lab.deployment().await;
    let bundled_files = async || match observe_pods(&deployment).await.plugin_storage {
        PluginStorage::InitContainer { files, .. } => files.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(bundled_files().await, [BUNDLED.to_owned()].into());

    copy(&deployment, &plugin().await).await.unwrap();
    assert_eq!(lab.files("vault-0").await, [BUNDLED, FILE]);
    assert_eq!(bundled_files().await, [BUNDLED.to_owned()].into(), "a file copied later is not in the image");

    // A file changed in one pod is unchanged in the other.
    let directory = lab.pods.plugin_directory("vault-0").await;
    std::fs::write(directory.join(BUNDLED), "something else").unwrap();
    assert_eq!(bundled_files().await, [BUNDLED.to_owned()].into());
}

#[tokio::test]
async fn an_image_is_set_for_the_next_start_and_nothing_is_restarted() {
    let by_hand = Lab::new(|pods| pods.replicas(1).init_container(init_container(IMAGE, ":"))).await;
    let deployment = by_hand.deployment().await;
    let before = by_hand.pods.uid("vault-0").await;
    let of = |image: &str, files: Option<BTreeSet<String>>| PluginStorage::InitContainer {
        name: "fill".into(),
        image: image.into(),
        files,
    };
    assert_eq!(observe_pods(&deployment).await.plugin_storage, of(IMAGE, Some(BTreeSet::new())));
    assert_eq!(deployment.verify_image_pull(IMAGE).await.unwrap(), None);
    let unpulled = deployment.verify_image_pull("localhost/plugins:2").await.unwrap_err().to_string();
    assert!(unpulled.contains("ErrImageNeverPull"), "{unpulled}");
    let files = BTreeSet::from(["custom-1.0.0".to_owned()]);
    deployment.set_init_image("localhost/plugins:2", Some(&files)).await.unwrap();
    deployment.set_init_image("localhost/plugins:2", Some(&files)).await.unwrap();
    assert_eq!(
        observe_pods(&deployment).await.plugin_storage,
        of("localhost/plugins:2", Some(files)),
        "no pod has the image yet, and its files were recorded"
    );
    // The files of another image are unknown. The cluster may be updating the status at the same time.
    eventually("another image is set", async || {
        deployment.set_init_image("localhost/plugins:3", None).await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(observe_pods(&deployment).await.plugin_storage, of("localhost/plugins:3", None));
    assert_eq!(by_hand.pods.uid("vault-0").await, before);

    let rolling = Lab::new(|pods| {
        pods.replicas(1)
            .init_container(init_container(IMAGE, ":"))
            .update_strategy(UpdateStrategy::RollingUpdate)
    })
    .await;
    let deployment = rolling.deployment().await;
    let refused = deployment.set_init_image("localhost/plugins:2", None).await;
    assert!(matches!(kubernetes_error(&refused), Some(KubernetesError::WouldRestart { .. })), "{refused:?}");
    assert_eq!(observe_pods(&deployment).await.plugin_storage, of(IMAGE, Some(BTreeSet::new())));
}

/// A pod with a sidecar that is unready while a file exists.
async fn unready_pod() -> Lab {
    let probe = json!(["/bin/busybox", "test", "!", "-e", "/vault/audit/not-ready"]);
    let sidecar = json!({
        "name": "beside",
        "imagePullPolicy": "Never",
        "command": ["/bin/busybox", "sleep", "3600"],
        "readinessProbe": {"exec": {"command": probe}, "periodSeconds": 1},
        "volumeMounts": [{"name": "audit", "mountPath": "/vault/audit"}],
    });
    Lab::new(|pods| pods.replicas(1).sidecar(serde_json::from_value(sidecar).unwrap())).await
}

#[tokio::test]
async fn a_pod_is_evicted_once_and_against_a_budget_only_where_it_is_not_ready_anyway() {
    let lab = unready_pod().await;
    let mut options = lab.options();
    options.pods.container = Some("vault".into());
    let deployment = lab.connect(options).await.unwrap();
    let (pods, name) = (&lab.pods, NodeName::new("vault-0"));
    let recreated = async |before: &str| {
        eventually("the pod is recreated", async || {
            let now = pods.uid("vault-0").await;
            now.filter(|now| now != before)
        })
        .await;
        pods.wait_all_ready().await;
        observe_pods(&deployment).await.nodes[&name].uid.clone().unwrap()
    };
    let first = observe_pods(&deployment).await.nodes[&name].uid.clone().unwrap();
    deployment.restart_node(&name, &first, UnreadyPodPolicy::Evict).await.unwrap();
    let second = recreated(&first).await;
    // A repeated request whose first response was lost.
    deployment.restart_node(&name, &first, UnreadyPodPolicy::Delete).await.unwrap();
    assert_eq!(pods.uid("vault-0").await.as_ref(), Some(&second), "the new pod is left alone");

    pods.set_disruption_budget(1).await;
    for unready in [UnreadyPodPolicy::Evict, UnreadyPodPolicy::Delete] {
        let refused = deployment.restart_node(&name, &second, unready).await;
        let Err(DeploymentError::DisruptionBudget(refused)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(refused.budget, "keep-quorum");
    }
    pods.exec("vault-0", &["touch", "/vault/audit/not-ready"]).await.success();
    eventually("the pod is not ready", async || {
        let pod = pods.pods().get("vault-0").await.unwrap();
        let conditions = pod.status.unwrap().conditions.unwrap();
        conditions.iter().any(|it| it.type_ == "Ready" && it.status == "False").then_some(())
    })
    .await;
    assert!(deployment.restart_node(&name, &second, UnreadyPodPolicy::Evict).await.is_err());
    deployment.restart_node(&name, &second, UnreadyPodPolicy::Delete).await.unwrap();
    eventually("the pod is recreated", async || {
        let now = pods.uid("vault-0").await;
        (now.is_some() && now.as_ref() != Some(&second)).then_some(())
    })
    .await;
}
