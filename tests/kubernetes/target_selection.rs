//! Selection of cluster and pods if there are several of each.

use std::fs;

use harness::{Cluster, Product, Program, VaultPods};
use serde_json::{Value, json};

use crate::BINARY;

/// Servers of one pod, and our program with the administrator's kubeconfig as changed by `change`.
async fn start_servers(change: impl FnOnce(&mut Value, &str)) -> (VaultPods, Program) {
    let cluster = Cluster::shared().await;
    let pods = VaultPods::builder(cluster).replicas(1).start().await;
    let mut kubeconfig: Value = yaml::from_str(&fs::read_to_string(cluster.kubeconfig()).unwrap()).unwrap();
    change(&mut kubeconfig, pods.namespace());
    let program = Program::new(BINARY).pods(&pods);
    let file = program.home().join("kubeconfig");
    fs::write(&file, kubeconfig.to_string()).unwrap();
    (pods, program.env("KUBECONFIG", file.display().to_string()))
}

#[tokio::test]
async fn a_context_chooses_cluster_and_namespace() {
    let (pods, program) = start_servers(|kubeconfig, namespace| {
        let user = kubeconfig["users"][0]["name"].clone();
        let cluster = kubeconfig["clusters"][0]["name"].clone();
        let away = json!({"name": "away", "cluster": {"server": "https://127.0.0.1:1"}});
        kubeconfig["clusters"].as_array_mut().unwrap().push(away);
        kubeconfig["contexts"] = json!([
            {"name": "elsewhere", "context": {"cluster": "away", "user": user, "namespace": namespace}},
            {"name": "here", "context": {"cluster": cluster, "user": user, "namespace": namespace}},
        ]);
        kubeconfig["current-context"] = json!("elsewhere");
    })
    .await;

    let status = program.run(["status", "--context", "here"]).await.success();
    assert!(status.contains("1 of 1") || status.contains(pods.names()[0]), "{status}");
    let current = program.run(["status", "--statefulset", "vault"]).await;
    assert_eq!(current.code, Some(1), "{current:?}");
    assert!(current.stderr.contains("127.0.0.1:1"), "{current:?}");
    let unknown = program.run(["status", "--context", "nowhere"]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("nowhere"), "{unknown:?}");
}

/// A load balancer over all pods, or a port-forward to one of them, may connect to a standby, which forwards requests.
#[tokio::test]
async fn an_address_that_leads_to_a_standby_is_as_good_as_any() {
    let pods = VaultPods::builder(Cluster::shared().await).replicas(2).start().await;
    let standby = pods.standbys().await[0].to_owned();
    let program = Program::new(BINARY).pods(&pods).env("VAULT_ADDR", pods.url(&standby));
    let status = program.run(["status", "-n", pods.namespace()]).await.success();
    assert!(!status.contains("no active node"), "{status}");
    let reload = program.run(["reload", "--mount", "nowhere", "-n", pods.namespace()]).await;
    assert_eq!(reload.code, Some(1), "{reload:?}");
    assert!(reload.stderr.contains("nowhere"), "{reload:?}");
}

/// `-n` is that of kubectl, and `--namespace` is Vault's.
#[tokio::test]
async fn a_wrong_kind_of_namespace_is_said() {
    let (pods, program) = start_servers(|_, _| {}).await;
    let mistaken = program.run(["status", "-n", "team"]).await;
    assert_eq!(mistaken.code, Some(1), "{mistaken:?}");
    for words in ["in the namespace team", "-n team is a Kubernetes namespace", "give it with --namespace"] {
        assert!(mistaken.stderr.contains(words), "{mistaken:?}");
    }
    let mistaken = program.run(["status", "-n", pods.namespace(), "--namespace", pods.namespace()]).await;
    assert_eq!(mistaken.code, Some(1), "{mistaken:?}");
    for words in ["has no namespaces", "-n/--kube-namespace"] {
        assert!(mistaken.stderr.contains(words), "{mistaken:?}");
    }
}

/// Only the root namespace of OpenBao returns the raft servers.
#[tokio::test]
async fn a_mount_in_a_namespace_of_openbao_is_found() {
    let pods =
        VaultPods::builder(Cluster::shared().await).product(Product::OpenBao).replicas(1).start().await;
    pods.request(pods.active().await, "POST", "sys/namespaces/team", Some(json!({}))).await.success();
    let program = Program::new(BINARY).pods(&pods);
    let reload =
        program.run(["reload", "--mount", "nowhere", "-n", pods.namespace(), "--namespace", "team"]).await;
    assert_eq!(reload.code, Some(1), "{reload:?}");
    assert!(reload.stderr.contains("nowhere"), "{reload:?}");
}

#[tokio::test]
async fn of_two_stateful_sets_the_one_that_is_named_or_owns_the_selected_pods_is_meant() {
    let (pods, program) = start_servers(|_, _| {}).await;
    let mut other = pods.stateful_sets().get(pods.stateful_set()).await.unwrap();
    other.metadata.name = Some("other".to_owned());
    other.metadata.resource_version = None;
    other.metadata.uid = None;
    other.spec.as_mut().unwrap().replicas = Some(0);
    other.status = None;
    pods.stateful_sets().create(&Default::default(), &other).await.unwrap();

    let status =
        async |chosen: &[&str]| program.run(["status", "-n", pods.namespace()].iter().chain(chosen)).await;
    let unclear = status(&[]).await;
    assert_eq!(unclear.code, Some(1), "{unclear:?}");
    let asked = "could be the StatefulSet";
    assert!(
        unclear.stderr.contains(asked) && unclear.stderr.contains("(found: other, vault)"),
        "{unclear:?}"
    );

    let pod = pods.names()[0];
    for chosen in [["--statefulset", "vault"], ["--selector", "app.kubernetes.io/name=vault"]] {
        let picture = status(&chosen).await.success();
        assert!(picture.contains(pod), "{chosen:?}: {picture}");
    }
    let unmatched = status(&["--selector", "app.kubernetes.io/name=unmatched"]).await;
    assert_eq!(unmatched.code, Some(1), "{unmatched:?}");
    assert!(unmatched.stderr.contains("pods of app.kubernetes.io/name=unmatched"), "{unmatched:?}");
}
