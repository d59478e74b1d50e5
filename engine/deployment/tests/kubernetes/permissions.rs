//! An operator without enough permissions gets the missing rule.

use std::path::PathBuf;

use deployment::{ClusterOptions, KubernetesOptions};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use rollout::Deployment;
use serde_json::{Value, json};

use crate::changes::{IMAGE, init_container};
use crate::lab::{Lab, copy, plugin, query};

/// Every rule that a change needs.
fn rules() -> Vec<Value> {
    [
        ("apps", "statefulsets", vec!["get", "list"]),
        ("", "pods", vec!["get", "list"]),
        ("", "pods/portforward", vec!["get", "create"]),
        ("", "pods/exec", vec!["get", "create"]),
        ("coordination.k8s.io", "leases", vec!["get", "create", "update"]),
    ]
    .into_iter()
    .map(|(group, resource, verbs)| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs}))
    .collect()
}

/// The kubeconfig of the administrator, impersonating a user with a role.
fn kubeconfig(lab: &Lab, folder: &tempfile::TempDir) -> PathBuf {
    let mut config = kube::config::Kubeconfig::read_from(lab.pods.cluster().kubeconfig()).unwrap();
    config.auth_infos[0].auth_info.as_mut().unwrap().impersonate = Some("operator".into());
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, serde_json::to_string(&config).unwrap()).unwrap();
    path
}

async fn run_everything(lab: &Lab, options: KubernetesOptions) -> Result<(), String> {
    let deployment = lab.connect(options).await.map_err(|error| error.to_string())?;
    deployment.observe(&query()).await.map_err(|error| error.to_string())?;
    deployment.acquire_lock().await.map_err(|error| error.to_string())?.release().await;
    copy(&deployment, &plugin().await).await.map_err(|error| error.to_string())?;
    Ok(())
}

#[tokio::test]
async fn each_rule_that_is_missing_is_named() {
    let lab = Lab::new(|pods| pods.replicas(1).init_container(init_container(IMAGE, ":"))).await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig(&lab, &folder);
    let namespace = lab.pods.namespace().to_owned();
    let options = || KubernetesOptions {
        cluster: ClusterOptions {
            kubeconfig: Some(kubeconfig.clone()),
            namespace: Some(namespace.clone()),
            ..ClusterOptions::default()
        },
        ..KubernetesOptions::default()
    };
    let (client, meta) = (lab.pods.client(), json!({"name": "operator"}));
    let roles: Api<Role> = Api::namespaced(client.clone(), &namespace);
    let bindings: Api<RoleBinding> = Api::namespaced(client, &namespace);
    let role = |rules: Vec<Value>| json!({"metadata": meta, "rules": rules});
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "metadata": meta,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "operator"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "operator"}],
    });
    let first = serde_json::from_value(role(Vec::new())).unwrap();
    roles.create(&PostParams::default(), &first).await.unwrap();
    let binding = serde_json::from_value(binding).unwrap();
    bindings.create(&PostParams::default(), &binding).await.unwrap();

    let rules = rules();
    for (at, missing) in rules.iter().enumerate() {
        let others: Vec<Value> = rules
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at)
            .map(|(_, rule)| rule.clone())
            .collect();
        let patch = Patch::Merge(json!({"rules": others}));
        roles.patch("operator", &PatchParams::default(), &patch).await.unwrap();
        let resource = missing["resources"][0].as_str().unwrap();
        // The API server applies changed rules with a delay.
        let error = harness::eventually(&format!("{resource} is refused"), async || {
            run_everything(&lab, options())
                .await
                .err()
                .filter(|error| error.contains(&format!("resources: [\"{resource}\"]")))
        })
        .await;
        assert!(error.contains(&format!("in the namespace {namespace}")), "{error}");
    }
    let patch = Patch::Merge(json!({"rules": rules}));
    roles.patch("operator", &PatchParams::default(), &patch).await.unwrap();
    harness::eventually("everything works with all rules", async || {
        run_everything(&lab, options()).await.ok()
    })
    .await;

    // A forbidden test is skipped and reported.
    let deployment = lab.connect(options()).await.unwrap();
    let unproven = deployment.verify_image_pull(IMAGE).await.unwrap().unwrap();
    assert!(unproven.contains("resources: [\"pods/ephemeralcontainers\"]"), "{unproven}");
}
