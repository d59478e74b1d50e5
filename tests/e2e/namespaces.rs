//! Mounts of child namespaces are registered, moved, rolled back and reloaded from the root namespace, on a real OpenBao.

use harness::{Output, Product, Program, VaultServer, build};
use serde_json::{Value, json};

use crate::lab::{BINARY, Lab, NAME};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The mounts of the token engine, in three namespaces.
const MOUNTS: [&str; 3] = ["custom/", "team/custom/", "team/sub/custom/"];

async fn with_namespaces(server: &VaultServer) {
    for namespace in ["sys/namespaces/team", "team/sys/namespaces/sub"] {
        server.request("POST", namespace, Some(json!({}))).await.success();
    }
}

/// The token engine on [`MOUNTS`].
async fn registered() -> Lab {
    let lab = Lab::openbao().await;
    with_namespaces(&lab.vault).await;
    let description = lab.description(&["custom", "team/custom", "team/sub/custom"], "1h");
    lab.register(&description).await.success();
    lab
}

/// The upgrade of the plugin to another version, with more flags.
async fn upgrade(lab: &Lab, more: &[&str]) -> Output {
    let binary = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let line = ["upgrade", NAME, "--binary", binary.to_str().unwrap(), "--output", "json"];
    lab.program.run([&line[..], more].concat()).await
}

/// What each of [`MOUNTS`] runs.
async fn running(lab: &Lab) -> [String; 3] {
    let mut versions = Vec::new();
    for mount in MOUNTS {
        let namespace = mount.strip_suffix("custom/").unwrap();
        let mounts = lab.vault.request("GET", &format!("{namespace}sys/mounts"), None).await.success();
        versions.push(mounts["data"]["custom/"]["running_plugin_version"].as_str().unwrap().to_owned());
    }
    versions.try_into().unwrap()
}

async fn lease(lab: &Lab, mount: &str) -> String {
    let credential = lab.vault.request("GET", &format!("{mount}creds/developer"), None).await.success();
    credential["lease_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_plugin_is_operated_in_all_namespaces_at_once() {
    let lab = registered().await;
    let (old, new) = (format!("v{VERSION}"), format!("v{}", build::highest_version(VERSION)));
    assert_eq!(running(&lab).await, [&*old; 3]);
    let mut leases = Vec::new();
    for mount in MOUNTS {
        leases.push(lease(&lab, mount).await);
    }

    let upgraded = result(upgrade(&lab, &["--smoke", "creds/developer"]).await);
    assert_eq!(running(&lab).await, [&*new; 3], "{upgraded}");
    assert_eq!(upgraded["mounts"].as_object().unwrap().keys().collect::<Vec<_>>(), MOUNTS);
    let steps = upgraded["done"].as_array().unwrap().iter();
    let tested = steps.filter(|step| step["step"] == "smoke_test_mount").map(|step| &step["path"]);
    let expected = MOUNTS.map(|mount| json!(format!("{mount}creds/developer")));
    assert_eq!(tested.collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    assert_eq!(lab.upstream.live().len(), 3, "the credentials of the smoke tests are revoked");

    let again = upgrade(&lab, &["--dry-run"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let status = lab.program.run(["status"]).await.success();
    assert!(status.contains("custom/ (namespace team/sub)"), "{status}");
    let doctor = lab.program.run(["doctor", "--output", "json"]).await.json();
    assert_eq!(doctor["findings"], json!([]), "{doctor:#}");
    let needed = lab.program.run(["deregister", NAME, "--version", &new[1..], "--yes"]).await;
    assert!(needed.stderr.contains("is in use"), "{}", needed.stderr);

    lab.program.run(["reload", NAME]).await.success();
    lab.program.run(["reload", "--mount", "team/sub/custom"]).await.success();
    lab.program.run(["rollback", NAME]).await.success();
    assert_eq!(running(&lab).await, [&*old; 3]);
    for lease in leases {
        lab.program.run(["creds", "revoke", &lease]).await.success();
    }
    assert_eq!(lab.upstream.live().len(), 0);
}

#[tokio::test]
async fn one_mount_of_a_namespace_is_moved_alone() {
    let lab = registered().await;
    let (old, new) = (format!("v{VERSION}"), format!("v{}", build::highest_version(VERSION)));
    upgrade(&lab, &["--mount", "team/custom"]).await.success();
    assert_eq!(running(&lab).await, [&*old, &new, &old]);
    let doctor = lab.program.run(["doctor", "--output", "json"]).await.json();
    assert_eq!(doctor["findings"], json!([]), "{doctor:#}");
    lab.program.run(["rollback", NAME, "--mount", "team/custom"]).await.success();
    assert_eq!(running(&lab).await, [&*old; 3]);
}

#[tokio::test]
async fn a_failed_smoke_test_in_a_namespace_undoes_the_upgrade_in_all() {
    let lab = registered().await;
    lab.vault.request("DELETE", "team/sub/custom/roles/developer", None).await.success();
    let failed = upgrade(&lab, &["--smoke", "creds/developer", "--canary-config", "none"]).await;
    assert_eq!(failed.code, Some(4), "{failed:?}");
    assert!(failed.stderr.contains("team/sub/custom/creds/developer"), "{}", failed.stderr);
    assert_eq!(running(&lab).await, [&*format!("v{VERSION}"); 3]);
    assert_eq!(lab.upstream.live().len(), 0);
}

#[tokio::test]
async fn a_mount_in_a_namespace_that_does_not_exist_is_refused() {
    let lab = Lab::openbao().await;
    with_namespaces(&lab.vault).await;
    let description = lab.description(&["custom"], "1h");
    let elsewhere = description.replacen("path: custom", "path: custom\n  namespace: teem", 1);
    assert_ne!(description, elsewhere);
    let refused = lab.register(&elsewhere).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("there is no namespace teem"), "{}", refused.stderr);
    assert_eq!(lab.vault.plugin_directory().read_dir().unwrap().count(), 0, "nothing was copied");
}

/// The policy that `manifests policy` prints is enough, and what a token cannot see is named.
#[tokio::test]
async fn an_operator_without_root_moves_what_the_token_sees() {
    let lab = registered().await;
    let (old, new) = (format!("v{VERSION}"), format!("v{}", build::highest_version(VERSION)));
    let file = lab.file("policy.yaml", &lab.description(&["custom", "custom"], "1h"));
    let text = std::fs::read_to_string(&file).unwrap().replacen(
        "path: custom",
        "path: custom\n  namespace: team",
        1,
    );
    std::fs::write(&file, text).unwrap();
    let policy = lab.program.run(["manifests", "policy", "-f", file.to_str().unwrap()]).await.success();
    let hidden = r#"path "team/sub/sys/mounts" { capabilities = ["deny"] }"#;
    let body = json!({"policy": format!("{policy}\n{hidden}")});
    lab.vault.request("PUT", "sys/policies/acl/operator", Some(body)).await.success();
    let token = json!({"policies": ["operator"]});
    let token = lab.vault.request("POST", "auth/token/create", Some(token)).await.success();
    let operator = Program::new(BINARY)
        .env("VAULT_ADDR", lab.vault.address())
        .env("VAULT_TOKEN", token["auth"]["client_token"].as_str().unwrap());
    let binary = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let directory = lab.vault.plugin_directory().to_str().unwrap().to_owned();
    let line = ["upgrade", NAME, "--binary", binary.to_str().unwrap(), "--plugin-dir", &directory];
    let moved = operator.run([&line[..], &["--smoke", "creds/developer", "--yes"]].concat()).await;
    assert_eq!(moved.code, Some(0), "{moved:?}");
    assert!(moved.stderr.contains("no permission to read team/sub/sys/mounts"), "{}", moved.stderr);
    assert_eq!(running(&lab).await, [&*new, &new, &old]);
}

/// OpenBao does not show the entries of the catalog there.
#[tokio::test]
async fn a_registered_version_is_moved_to_with_the_token_of_a_namespace() {
    let lab = registered().await;
    let (old, new) = (format!("v{VERSION}"), format!("v{}", build::highest_version(VERSION)));
    let binary = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let version = ["--binary", binary.to_str().unwrap(), "--arg", "serve"];
    lab.program.run([&["register", NAME][..], &version].concat()).await.success();
    let directory = lab.vault.plugin_directory().to_str().unwrap().to_owned();
    let there = ["--namespace", "team", "--plugin-dir", &directory];
    let smoke = ["--smoke", "creds/developer"];
    lab.program.run([&["upgrade", NAME][..], &version, &smoke, &there].concat()).await.success();
    assert_eq!(running(&lab).await, [&*old, &new, &new], "its own namespace and those below");
    lab.program.run([&["rollback", NAME][..], &there].concat()).await.success();
    assert_eq!(running(&lab).await, [&*old; 3]);
}

#[tokio::test]
async fn an_auth_method_of_a_namespace_is_tested_by_a_login_there() {
    let server = VaultServer::builder().product(Product::OpenBao).start().await;
    with_namespaces(&server).await;
    let program = Program::new(BINARY).vault(&server);
    let folder = tempfile::tempdir().unwrap();
    let doorman = |version| {
        let example = build::prebuilt_example("doorman");
        build::with_patched_version(&example, "1.0.0", version, folder.path()).to_str().unwrap().to_owned()
    };
    let old = doorman("1.0.0");
    let register = ["register", "doorman", "--type", "auth", "--binary", &old];
    program.run([&register[..], &["--mount", "team/door"]].concat()).await.success();
    let role = json!({"token_ttl": "1h"});
    server.request("POST", "team/auth/door/roles/guest", Some(role)).await.success();
    let ticket = json!({"name": "test"});
    let ticket = server.request("POST", "team/auth/door/tickets/guest", Some(ticket)).await.success();
    let ticket_file = folder.path().join("ticket");
    std::fs::write(&ticket_file, ticket["data"]["ticket"].as_str().unwrap()).unwrap();

    let smoke = format!("login:ticket=@{}", ticket_file.display());
    let new = doorman("9.9.9");
    let line = ["upgrade", "doorman", "--binary", &new, "--smoke", &smoke, "--output", "json"];
    let upgraded = result(program.run(line).await);
    assert_eq!(upgraded["mounts"]["team/auth/door/"]["running_version"], "v9.9.9", "{upgraded}");
    let accessors = server.request("LIST", "team/auth/token/accessors", None).await;
    assert_eq!(accessors.status, 404, "the token of the login is revoked: {}", accessors.body);
    program.run(["reload", "--mount", "team/door"]).await.success();
    program.run(["rollback", "doorman"]).await.success();
    let mounts = server.request("GET", "team/sys/auth", None).await.success();
    assert_eq!(mounts["data"]["door/"]["running_plugin_version"], "v1.0.0", "{mounts}");
}

/// The report at the end of a stream of events.
fn result(output: Output) -> Value {
    let events = output.success();
    serde_json::from_str(events.lines().last().unwrap()).unwrap()
}
