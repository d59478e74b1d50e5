//! The preset of service account tokens on a real API server.

use std::fs;

use data_encoding::BASE64;
use harness::{
    Cluster, HoldingProxy, Output, Program, VaultServer, build, eventually, interrupt_at_every_request,
};
use serde_json::{Value, json};

use crate::operator_permissions::kubeconfig;
use crate::{BINARY, NAME};

/// The account `app`, whose tokens are issued, and the account `issuer` with what the connection needs.
const ACCOUNTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: app}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: issuer}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: issuer}
rules:
- {apiGroups: [''], resources: [secrets], verbs: [create, delete]}
- {apiGroups: [''], resources: [serviceaccounts/token], resourceNames: [app], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: issuer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: issuer}
subjects:
- {kind: ServiceAccount, name: issuer}
";

/// A Vault that issues tokens of a service account, and an administrator of the cluster.
struct TokenLab {
    vault: VaultServer,
    kubectl: Program,
    namespace: String,
    config: Value,
}

impl TokenLab {
    async fn new() -> TokenLab {
        let cluster = Cluster::shared().await;
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let kubectl = Program::new(build::kubectl().await).env("KUBECONFIG", &kubeconfig);
        let namespace = format!("presets-{}", uuid::Uuid::new_v4().simple());
        kubectl.run(["create", "namespace", &namespace]).await.success();
        let accounts = kubectl.home().join("accounts.yaml");
        fs::write(&accounts, ACCOUNTS).unwrap();
        kubectl
            .run(["apply", "--namespace", &namespace, "--filename", accounts.to_str().unwrap()])
            .await
            .success();
        let issuer = ["create", "token", "issuer", "--namespace", &namespace, "--duration=1h"];
        let api_key = kubectl.run(issuer).await.success();

        let cluster: Value = yaml::from_str(&fs::read_to_string(&kubeconfig).unwrap()).unwrap();
        let cluster = &cluster["clusters"][0]["cluster"];
        let authority = match cluster["certificate-authority-data"].as_str() {
            Some(data) => String::from_utf8(BASE64.decode(data.as_bytes()).unwrap()).unwrap(),
            None => fs::read_to_string(cluster["certificate-authority"].as_str().unwrap()).unwrap(),
        };
        let config = json!({
            "preset": "kubernetes", "api_endpoint": cluster["server"], "api_key": api_key.trim(), "ca_cert": authority,
        });

        let vault = VaultServer::builder().raw_storage().start().await;
        let register = ["register", NAME, "--binary", BINARY, "--mount", "custom", "--yes"];
        Program::new(BINARY).vault(&vault).run(register).await.success();
        TokenLab { vault, kubectl, namespace, config }
    }

    async fn write(&self, path: &str, body: Value) -> Value {
        self.vault.request("POST", path, Some(body)).await.success()
    }

    /// What the API server says of who presents a token.
    async fn whoami(&self, token: &str) -> Output {
        let cluster = Cluster::shared().await;
        let config = kubeconfig(&self.kubectl, cluster.kubeconfig(), token);
        self.kubectl.run(["auth", "whoami", "--kubeconfig", &config, "--output=json"]).await
    }

    /// The Secrets that tokens are bound to.
    async fn secrets(&self) -> Vec<Value> {
        let listed =
            self.kubectl.run(["get", "secrets", "--namespace", &self.namespace, "--output=json"]).await;
        listed.json()["items"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn tokens_of_a_service_account_are_issued_renewed_and_revoked_by_vault() {
    let lab = TokenLab::new().await;
    let version = lab.kubectl.run(["version", "--output=json"]).await.json();
    let version = version["serverVersion"]["gitVersion"].as_str().unwrap().trim_start_matches('v');
    let preset = lab.vault.request("GET", "custom/presets/kubernetes", None).await.success();
    let evidence = preset["data"]["evidence"].as_str().unwrap();
    assert!(evidence.contains(&format!("Kubernetes {version}")), "{evidence}, not {version}");

    let mut wrong = lab.config.clone();
    wrong["api_key"] = json!("not-the-key");
    lab.write("custom/config", wrong).await;
    let role = json!({"namespace": lab.namespace, "service_account": "app"});
    lab.write("custom/roles/app", json!({"parameters": role, "ttl": "30m", "max_ttl": "2h"})).await;
    for path in ["custom/check", "custom/creds/app"] {
        let refused = lab.vault.request("GET", path, None).await.body["errors"].to_string();
        assert!(
            refused.contains("the key is refused (status 401 Unauthorized); set a valid api_key"),
            "{path}: {refused}"
        );
    }
    assert_eq!(lab.secrets().await, Vec::<Value>::new());

    lab.write("custom/config", lab.config.clone()).await;
    let checked = lab.vault.request("GET", "custom/check", None).await.success();
    assert_eq!(checked["data"]["checked"], true);
    let issue = async || lab.vault.request("GET", "custom/creds/app", None).await.success();
    let (first, second) = (issue().await, issue().await);
    let user = format!("system:serviceaccount:{}:app", lab.namespace);
    let accepted = async |issued: &Value| {
        let answer = lab.whoami(issued["data"]["token"].as_str().unwrap()).await;
        if answer.code == Some(0) {
            assert_eq!(answer.json()["status"]["userInfo"]["username"], user);
            return true;
        }
        assert!(answer.stderr.contains("Unauthorized"), "{answer:?}");
        false
    };
    assert!(accepted(&first).await && accepted(&second).await);
    assert_eq!(lab.secrets().await.len(), 2);

    let lease = json!({"lease_id": first["lease_id"], "increment": 1800, "sync": true});
    let renewed = lab.write("sys/leases/renew", lease.clone()).await;
    assert_eq!(renewed["lease_duration"], 1800);
    lab.write("sys/leases/revoke", lease).await;
    // The API server remembers for ten seconds whom it has accepted.
    eventually("the token is refused", async || (!accepted(&first).await).then_some(())).await;
    assert!(accepted(&second).await);

    let [left] = &lab.secrets().await[..] else { panic!("not one Secret is left") };
    let name = left["metadata"]["name"].as_str().unwrap();
    lab.kubectl.run(["delete", "secret", name, "--namespace", &lab.namespace]).await.success();
    lab.write("sys/leases/revoke", json!({"lease_id": second["lease_id"], "sync": true})).await;
    let leases = lab.vault.request("LIST", "sys/leases/lookup/custom/creds/app", None).await;
    assert_eq!(leases.status, 404, "{leases:?}");
}

#[tokio::test]
async fn an_interrupted_request_leaves_no_token_of_a_service_account() {
    let lab = TokenLab::new().await;
    let server = lab.config["api_endpoint"].as_str().unwrap();
    let proxy = HoldingProxy::start(server, lab.config["ca_cert"].as_str()).await;
    let mut config = lab.config.clone();
    config["api_endpoint"] = json!(proxy.address());
    config.as_object_mut().unwrap().remove("ca_cert");
    lab.write("custom/config", config).await;
    let role = json!({"namespace": lab.namespace, "service_account": "app"});
    lab.write("custom/roles/app", json!({"parameters": role, "ttl": "30m", "max_ttl": "2h"})).await;
    // Each token takes two requests.
    let points = interrupt_at_every_request(&lab.vault, &proxy, "custom/creds/app").await;
    assert!(points >= 10, "only {points} points");
    let moved = lab.vault.roll_back_wal("custom").await;
    assert_eq!(lab.vault.wal_entries(&moved).await, [], "{}", lab.vault.logs());
    eventually("no Secret is left, and so no token", async || match &lab.secrets().await[..] {
        [] => Ok(()),
        left => Err(format!("{} Secrets", left.len())),
    })
    .await;
}
