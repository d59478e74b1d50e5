//! The output of `manifests`, applied to a real API server.

use std::fs;

use harness::{Cluster, Output, Program, build};
use serde_json::{Value, json};

use crate::BINARY;

const IMAGE: &str = "registry.example.com/custom-plugin:0.1.0";

/// Our program and the official client, both configured for the cluster.
struct ClusterClients {
    program: Program,
    kubectl: Program,
}

impl ClusterClients {
    /// With the namespaces of one test's manifests.
    async fn new(namespaces: &[&str]) -> ClusterClients {
        let cluster = Cluster::shared().await;
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let hands = ClusterClients {
            program: Program::new(BINARY).env("KUBECONFIG", &kubeconfig),
            kubectl: Program::new(build::kubectl().await).env("KUBECONFIG", &kubeconfig),
        };
        for name in namespaces {
            hands.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await;
        }
        hands
    }

    async fn apply(&self, object: &Value) {
        self.kubectl(&[
            "apply",
            "--server-side",
            "--filename",
            &self.file("object.json", &object.to_string()),
        ])
        .await;
    }

    async fn kubectl(&self, args: &[&str]) {
        let _ = self.kubectl.run(args).await.success();
    }

    /// Waits until a controller may create one with this label.
    async fn wait_for_pod(&self, namespace: &str, label: &str) {
        let args =
            ["wait", "--for=create", "pod", "--selector", label, "--namespace", namespace, "--timeout=60s"];
        self.kubectl(&args).await;
    }

    /// A file that both can read.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.program.home().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }
}

#[tokio::test]
async fn the_api_server_takes_every_manifest_and_a_comparison_tells_what_differs() {
    let hands = ClusterClients::new(&["taken", "taken-front", "taken-watch"]).await;
    let definition = prometheus_rule_definition();
    hands.apply(&definition).await;
    let name = format!("crd/{}", definition["metadata"]["name"].as_str().unwrap());
    hands.kubectl(&["wait", "--for=condition=Established", &name, "--timeout=60s"]).await;

    let manifests = async |args: &[&str]| {
        let names = [
            "manifests",
            "all",
            "-n",
            "taken",
            "--app-namespace",
            "taken-front",
            "--monitoring-namespace",
            "taken-watch",
        ];
        hands.program.run(names.iter().chain(args)).await
    };
    let compared = |output: &Output| -> Vec<Value> {
        let json: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        json["objects"].as_array().unwrap().clone()
    };

    // Nothing exists, so everything would be created. The API server has validated each of them.
    let before = manifests(&["--image", IMAGE, "--diff", "--output", "json"]).await;
    assert_eq!(before.code, Some(3), "{before:?}");
    let objects = compared(&before);
    assert!(objects.len() >= 16, "{objects:#?}");
    assert!(objects.iter().all(|object| object["drift"] == "missing"), "{objects:#?}");

    // Combined by kustomize, first validated in the API server's strictest mode, and then applied.
    let _ = manifests(&["--image", IMAGE, "--kustomize", "made"]).await.success();
    let made = hands.program.home().join("made").display().to_string();
    for dry_run in ["server", "none"] {
        let flag = format!("--dry-run={dry_run}");
        let args = ["apply", "--server-side", "--validate=strict", &flag, "--kustomize", &made];
        hands.kubectl(&args).await;
    }
    let after = manifests(&["--image", IMAGE, "--diff"]).await;
    assert_eq!(after.code, Some(0), "{after:?}");

    let other = manifests(&["--image", "registry.example.com/custom-plugin:0.2.0", "--diff"]).await;
    assert_eq!(other.code, Some(3), "{other:?}");
    for place in [
        "StatefulSet taken/vault: would change",
        "  spec.template.spec.initContainers[custom-plugin-loader].image: \
         \"registry.example.com/custom-plugin:0.1.0\" becomes \"registry.example.com/custom-plugin:0.2.0\"",
        "Deployment taken-front/app: would change",
        "Role taken/custom-plugin-operator: unchanged",
    ] {
        assert!(other.stdout.contains(place), "{place} is not in:\n{}", other.stdout);
    }
    hands.kubectl(&["delete", "--wait=false", "--kustomize", &made]).await;
}

/// Judged by the API server's own admission: a forbidden pod is never created.
#[tokio::test]
async fn every_pod_that_is_generated_is_allowed_in_a_namespace_that_restricts_its_pods() {
    let hands = ClusterClients::new(&["restricted", "restricted-front"]).await;
    for namespace in ["restricted", "restricted-front"] {
        hands
            .kubectl(&["label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"])
            .await;
        let run = ["run", "ordinary", "--namespace", namespace, "--image", "nowhere.example.com/ordinary:1"];
        let refused = hands.kubectl.run(run).await;
        assert!(refused.stderr.contains("violates PodSecurity \"restricted:latest\""), "{refused:?}");
    }
    let names = ["--image", IMAGE, "-n", "restricted", "--app-namespace", "restricted-front"];
    let parts = ["manifests", "server", "statefulset", "application", "--kustomize", "made"];
    let _ = hands.program.run(parts.iter().chain(&names)).await.success();
    let made = hands.program.home().join("made").display().to_string();
    hands.kubectl(&["apply", "--server-side", "--kustomize", &made]).await;

    hands.wait_for_pod("restricted", "app.kubernetes.io/name=vault").await;
    hands.wait_for_pod("restricted-front", "app.kubernetes.io/name=app").await;
    hands.kubectl(&["delete", "--wait=false", "--kustomize", &made]).await;
}

/// A StatefulSet without an update strategy gets a default rolling update, beside which OnDelete is refused.
#[tokio::test]
async fn a_patch_is_taken_by_a_stateful_set_that_was_updated_otherwise() {
    let hands = ClusterClients::new(&["rolling"]).await;
    let labels = json!({"app": "servers"});
    let container = json!({"name": "vault", "image": "nowhere.example.com/vault:1"});
    let stateful_set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "vault", "namespace": "rolling"},
        "spec": {
            "replicas": 0, "serviceName": "vault", "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    });
    let servers = hands.file("servers.json", &stateful_set.to_string());
    hands.kubectl(&["create", "--filename", &servers]).await;

    let names = ["manifests", "statefulset", "-n", "rolling", "--image", IMAGE];
    let compared = hands.program.run(names.iter().chain(&["--diff"])).await;
    assert_eq!(compared.code, Some(3), "{compared:?}");
    for line in [
        "spec.updateStrategy.type: \"RollingUpdate\" becomes \"OnDelete\"",
        "spec.template.spec.containers[vault].volumeMounts[custom-plugin-plugins].mountPath: \"/vault/plugins\" is added",
    ] {
        assert!(compared.stdout.contains(line), "{line} is not in:\n{}", compared.stdout);
    }
    let patch = hands.file("patch.yaml", &hands.program.run(names).await.success());
    hands.kubectl(&["patch", "statefulset", "vault", "--namespace", "rolling", "--patch-file", &patch]).await;
    let again = hands.program.run(names.iter().chain(&["--diff"])).await;
    assert_eq!(again.code, Some(0), "{again:?}");
}

/// The part of the operator's definition that an API server needs.
fn prometheus_rule_definition() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"groups": {"type": "array", "items": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "rules": {"type": "array", "items": {
                    "type": "object",
                    "required": ["expr"],
                    "properties": {
                        "alert": {"type": "string"},
                        "expr": {"type": "string"},
                        "for": {"type": "string"},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                }},
            },
        }}}}},
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "prometheusrules.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": "PrometheusRule", "listKind": "PrometheusRuleList", "plural": "prometheusrules",
                      "singular": "prometheusrule"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}
