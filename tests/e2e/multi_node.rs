//! Servers with several nodes outside of Kubernetes: this machine's directory belongs to one node only.

use std::fs;
use std::path::Path;

use harness::{
    Output, Program, Storage, Upstream, VaultServer, VaultServerBuilder, build, copy_program, eventually,
};
use serde_json::{Value, json};

use crate::lab::{BINARY, Lab, NAME};

/// Raft id of the other node.
const SECOND_NODE: &str = "second";
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn raft() -> VaultServerBuilder {
    VaultServer::builder().storage(Storage::Raft)
}

/// A Vault of two nodes with separate plugin directories; that of the lab is the active one.
async fn two_nodes() -> (Lab, VaultServer) {
    let lab = Lab::with_upstream(raft(), Upstream::start().await).await;
    let second = raft().join(&lab.vault, SECOND_NODE).await;
    (lab, second)
}

/// Runs `register` with more flags.
async fn register(lab: &Lab, flags: &[&str]) -> Output {
    let file = lab.file("plugin.yaml", &lab.description(&["custom"], "1h"));
    let command = ["register", "-f", file.to_str().unwrap(), "--yes"];
    lab.program.run(command.iter().chain(flags)).await
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

/// A host and port, as `sys/ha-status` shows a node.
fn host_and_port(server: &VaultServer) -> &str {
    server.address().trim_start_matches("http://")
}

async fn catalog(lab: &Lab) -> Value {
    lab.vault
        .request("GET", &format!("sys/plugins/catalog/secret/{NAME}?version=v{VERSION}"), None)
        .await
        .body
}

#[tokio::test]
async fn a_binary_that_only_one_of_two_nodes_has_is_refused_until_the_other_is_accounted_for() {
    let (lab, second) = two_nodes().await;
    for flags in
        [&[][..], &["--installed-on", "unknown-host"], &["--installed-on", host_and_port(&lab.vault)]]
    {
        let output = register(&lab, flags).await;
        assert_eq!(output.code, Some(1), "{flags:?}: {output:?}");
        for words in [SECOND_NODE, "--installed-on", "--this-node-only"] {
            assert!(output.stderr.contains(words), "{words:?} is not in {}", output.stderr);
        }
        assert_eq!(files(lab.vault.plugin_directory()), 0);
        assert!(catalog(&lab).await["errors"].is_array());
    }

    // The binary is copied by hand, and the node is named.
    let file = format!("{NAME}-{VERSION}");
    copy_program(BINARY, second.plugin_directory().join(&file));
    let output = register(&lab, &["--installed-on", SECOND_NODE]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("not verified"), "{}", output.stderr);

    lab.vault.step_down().await;
    second.wait_active().await;
    let issued = second.request("GET", "custom/creds/developer", None).await.success();
    assert!(issued["data"]["token"].is_string(), "{issued}");
}

#[tokio::test]
async fn vtp_807_a_failover_to_a_node_without_the_file_breaks_the_mount() {
    let (lab, second) = two_nodes().await;
    let output = register(&lab, &["--this-node-only"]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains(SECOND_NODE), "{}", output.stderr);

    let doctor = lab.program.run(["doctor", "--output", "json"]).await;
    assert_eq!(doctor.code, Some(3), "{doctor:?}");
    let report = serde_json::from_str::<Value>(&doctor.stdout).unwrap();
    assert_eq!(report["findings"][0]["id"], "VTP-807", "{report:#}");
    assert!(report["findings"][0]["evidence"].as_str().unwrap().contains(SECOND_NODE), "{report:#}");

    lab.vault.step_down().await;
    second.wait_active().await;
    let reply = second.request("GET", "custom/creds/developer", None).await;
    assert!(reply.status >= 400, "{reply:?}");
}

#[tokio::test]
async fn a_node_that_is_down_is_not_forgotten() {
    let (lab, mut second) = two_nodes().await;
    let third = raft().join(&lab.vault, "third").await;
    second.stop().await;
    eventually("the active node has forgotten the one that is down", async || {
        let nodes = lab.vault.request("GET", "sys/ha-status", None).await.success()["data"]["nodes"].clone();
        (nodes.as_array()?.len() == 2).then_some(())
    })
    .await;
    let output = register(&lab, &["--installed-on", host_and_port(&third)]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains(SECOND_NODE), "{}", output.stderr);
}

/// Simulates a machine outside of the server's nodes, so no plugin directory can be inspected.
#[tokio::test]
async fn a_rollback_that_sees_no_plugin_directory_names_the_nodes_that_are_not_proven_and_is_done() {
    let (lab, _second) = two_nodes().await;
    for version in ["v1.0.0", "v2.0.0"] {
        let binary = build::go_kv(version).await;
        let plugin = ["register", NAME, "--mount", "custom", "--binary", binary.to_str().unwrap()];
        lab.program.run([&plugin[..], &["--this-node-only", "--yes"]].concat()).await.success();
    }
    let policy = r#"
        path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
        path "sys/config/state/sanitized" { capabilities = ["deny"] }
    "#;
    lab.vault.request("PUT", "sys/policies/acl/elsewhere", Some(json!({"policy": policy}))).await.success();
    let token = json!({"policies": ["elsewhere"], "no_default_policy": true});
    let token = lab.vault.request("POST", "auth/token/create", Some(token)).await.success();
    let token = token["auth"]["client_token"].as_str().unwrap();
    let elsewhere = Program::new(BINARY).vault(&lab.vault).env("VAULT_TOKEN", token);

    let planned = elsewhere.run(["rollback", NAME, "--dry-run"]).await;
    assert_eq!(planned.code, Some(3), "{planned:?}");
    let said = format!("{NAME}-1.0.0 is verified on the active node only");
    for words in [said.as_str(), SECOND_NODE] {
        assert!(planned.stderr.contains(words), "{words:?} is not in {}", planned.stderr);
    }
    let vouched = elsewhere.run(["rollback", NAME, "--dry-run", "--installed-on", SECOND_NODE]).await;
    assert!(!vouched.stderr.contains(SECOND_NODE), "{}", vouched.stderr);
    elsewhere.run(["rollback", NAME, "--yes"]).await.success();
    let mount = lab.vault.request("GET", "sys/mounts/custom", None).await.success();
    assert_eq!(mount["data"]["running_plugin_version"], "v1.0.0", "{mount:#}");
}
