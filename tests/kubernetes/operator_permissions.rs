//! An operator with only the role and the policy that `manifests` generates, on a real cluster.

use std::fs;
use std::path::Path;

use harness::{Cluster, Output, PluginVolume, Program, Upstream, VaultPods, build, eventually};
use serde_json::{Value, json};

use crate::{BINARY, NAME};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Servers in pods, their administrator, and our program with the permissions of an operator.
struct OperatorLab {
    pods: VaultPods,
    upstream: Upstream,
    kubectl: Program,
    operator: Program,
}

impl OperatorLab {
    /// With the role and policy that `manifests` generates.
    async fn new() -> OperatorLab {
        let cluster = Cluster::shared().await;
        let upstream = Upstream::builder().in_network_of(cluster).start().await;
        let pods =
            VaultPods::builder(cluster).replicas(1).plugin_volume(PluginVolume::Persistent).start().await;
        let administrator = cluster.kubeconfig().display().to_string();
        let kubectl = Program::new(build::kubectl().await).env("KUBECONFIG", &administrator);
        let made = kubectl.home().join("made").display().to_string();
        let namespace = pods.namespace().to_owned();
        let manifests = [
            "manifests",
            "rbac",
            "policy",
            "-n",
            &namespace,
            "--name",
            NAME,
            "--mount",
            "custom",
            "--kustomize",
            &made,
        ];
        Program::new(BINARY).run(manifests).await.success();
        kubectl.run(["apply", "--server-side", "--kustomize", &made]).await.success();

        let account = format!("{NAME}-operator");
        let lasts = ["create", "token", &account, "--namespace", &namespace, "--duration=1h"];
        let identity = kubectl.run(lasts).await.success();
        let policy = fs::read_to_string(Path::new(&made).join("operator-policy.hcl")).unwrap();
        let lab = OperatorLab { operator: Program::new(BINARY), pods, upstream, kubectl };
        lab.policy(&policy).await;
        let token = json!({"policies": ["operator"], "no_default_policy": true});
        let token = lab.request_as_root("POST", "auth/token/create", token).await;
        let operator = Program::new(BINARY)
            .env("KUBECONFIG", kubeconfig(&lab.kubectl, cluster.kubeconfig(), identity.trim()))
            .env("VAULT_TOKEN", token["auth"]["client_token"].as_str().unwrap());
        fs::write(operator.home().join("api-key"), lab.upstream.api_key()).unwrap();
        OperatorLab { operator, ..lab }
    }

    async fn request_as_root(&self, method: &str, path: &str, body: impl Into<Option<Value>>) -> Value {
        self.pods.request(self.pods.active().await, method, path, body.into()).await.success()
    }

    async fn policy(&self, policy: &str) {
        self.request_as_root("PUT", "sys/policies/acl/operator", json!({"policy": policy})).await;
    }

    /// Removes a path from the policy. Returns the previous policy.
    async fn policy_without(&self, path: &str) -> String {
        let policy = self.request_as_root("GET", "sys/policies/acl/operator", None).await;
        let policy = policy["data"]["policy"].as_str().unwrap().to_owned();
        let other = policy.replace(&format!("path \"{path}\""), "path \"nothing\"");
        assert_ne!(other, policy, "{path} is not in it");
        self.policy(&other).await;
        policy
    }

    /// Removes the rules for a resource from the role, and restores them after `command` was refused because of that.
    async fn assert_refused_without(
        &self,
        resource: &str,
        asks: &[&str],
        command: impl AsyncFnOnce() -> Output,
    ) {
        let role = format!("{NAME}-operator");
        let of_role = ["role", &role, "--namespace", self.pods.namespace()];
        let whole = self.kubectl.run(["get", "--output=json"].iter().chain(&of_role)).await.json();
        let mut rules = whole["rules"].as_array().unwrap().clone();
        rules.retain(|rule| rule["resources"] != json!([resource]));
        assert_ne!(whole["rules"], json!(rules), "{resource} is not in it");
        self.patch(&of_role, &json!(rules), asks, "no").await;
        let refused = command().await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let told = format!("resources: [\"{resource}\"]");
        assert!(refused.stderr.contains(&told), "{told} is not in: {}", refused.stderr);
        self.patch(&of_role, &whole["rules"], asks, "yes").await;
    }

    /// Replaces the rules of the role, and waits until they are in effect.
    async fn patch(&self, of_role: &[&str], rules: &Value, asks: &[&str], answer: &str) {
        let patch = json!({ "rules": rules }).to_string();
        let args = ["patch", "--type=merge", "--patch", &patch];
        self.kubectl.run(args.iter().chain(of_role)).await.success();
        let operator = format!("--as=system:serviceaccount:{}:{NAME}-operator", self.pods.namespace());
        let args = ["auth", "can-i", "--namespace", self.pods.namespace(), &operator];
        eventually("the cluster's own view of its rules follows", async || {
            let said = self.kubectl.run(args.iter().chain(asks)).await;
            (said.stdout.trim() == answer).then_some(())
        })
        .await;
    }

    async fn register(&self, binary: &Path) -> Output {
        let endpoint = format!("api_endpoint={}", self.upstream.endpoint());
        let binary = binary.display().to_string();
        let args = [
            "register",
            NAME,
            "-n",
            self.pods.namespace(),
            "--mount",
            "custom",
            "--binary",
            &binary,
            "--arg",
            "serve",
            "--config",
            &endpoint,
            "--config",
            "api_key=@api-key",
            "--role",
            "developer:permissions=read",
            "--role",
            "developer:ttl=1h",
            "--smoke",
            "creds/developer",
        ];
        self.operator.run(args).await
    }

    async fn upgrade(&self, binary: &Path) -> Output {
        let args = [
            "upgrade",
            NAME,
            "--binary",
            &*binary.display().to_string(),
            "--arg",
            "serve",
            "-n",
            self.pods.namespace(),
        ]
        .map(str::to_owned);
        self.operator.run(args).await
    }

    async fn running_version(&self) -> Value {
        self.request_as_root("GET", "sys/mounts", None).await["custom/"]["running_plugin_version"].clone()
    }
}

/// The administrator's kubeconfig, with another user.
pub(crate) fn kubeconfig(near: &Program, administrators: &Path, token: &str) -> String {
    let mut config: Value = yaml::from_str(&fs::read_to_string(administrators).unwrap()).unwrap();
    config["users"][0]["user"] = json!({ "token": token });
    let path = near.home().join("operator.kubeconfig");
    fs::write(&path, config.to_string()).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn the_role_and_the_policy_that_are_made_are_enough_and_what_is_taken_from_them_is_named() {
    let lab = OperatorLab::new().await;
    let binary = build::static_binary("vault-token-plugin").await;
    let next = build::with_next_version(&binary, VERSION, lab.operator.home());

    let policy = lab.policy_without("sys/plugins/catalog/secret/custom-plugin").await;
    let refused = lab.register(&binary).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("path \"sys/plugins/catalog/secret/custom-plugin\""),
        "{}",
        refused.stderr
    );
    lab.policy(&policy).await;
    lab.assert_refused_without("pods/exec", &["create", "pods", "--subresource=exec"], async || {
        lab.register(&binary).await
    })
    .await;
    lab.register(&binary).await.success();
    assert_eq!(lab.running_version().await, format!("v{VERSION}"));

    let policy = lab.policy_without("sys/mounts/custom/tune").await;
    let refused = lab.upgrade(&next).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("path \"sys/mounts/custom/tune\""), "{}", refused.stderr);
    lab.policy(&policy).await;
    lab.assert_refused_without("leases", &["get", "leases.coordination.k8s.io"], async || {
        lab.upgrade(&next).await
    })
    .await;
    assert_eq!(lab.running_version().await, format!("v{VERSION}"), "what is refused has changed nothing");
    lab.upgrade(&next).await.success();
    assert_eq!(lab.running_version().await, format!("v{}", build::highest_version(VERSION)));

    // The other commands that the role is for.
    let namespace = lab.pods.namespace();
    lab.operator.run(["status", "-n", namespace]).await.success();
    let doctor = ["doctor", "-n", namespace, "--logs", "--output", "json"];
    let healthy = lab.operator.run(doctor).await.json();
    assert_eq!((&healthy["healthy"], &healthy["unobserved"]), (&json!(true), &json!([])), "{healthy:#}");
    lab.operator.run(["rollback", NAME, "-n", namespace]).await.success();
    assert_eq!(lab.running_version().await, format!("v{VERSION}"));
    lab.operator.run(["gc", "-n", namespace, "--yes"]).await.success();
    assert_eq!(lab.upstream.live().len(), 0, "every trial credential is revoked");
}
