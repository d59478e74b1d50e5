//! The commands on a single node of OpenBao.

use harness::{Program, build};
use serde_json::{Value, json};

use crate::lab::{BINARY, Lab, NAME};

const VERSION: &str = env!("CARGO_PKG_VERSION");

async fn running_version(lab: &Lab) -> Value {
    let mounts = lab.vault.request("GET", "sys/mounts", None).await.success();
    mounts["custom/"]["running_plugin_version"].clone()
}

#[tokio::test]
async fn a_plugin_is_registered_upgraded_rolled_back_and_collected_on_openbao() {
    let lab = Lab::openbao().await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let binary = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let next = lab.file("next.yaml", &lab.description_of(&binary, &["custom"], "1h"));
    lab.program.run(["upgrade", "-f", next.to_str().unwrap()]).await.success();
    assert_eq!(running_version(&lab).await, format!("v{}", build::highest_version(VERSION)));
    lab.program.run(["rollback", NAME]).await.success();
    assert_eq!(running_version(&lab).await, format!("v{VERSION}"));

    let status = lab.program.run(["status"]).await.success();
    assert!(status.contains(VERSION) && status.contains(&build::highest_version(VERSION)), "{status}");
    let doctor = lab.program.run(["doctor", "--output", "json"]).await.json();
    assert_eq!(doctor["findings"], json!([]), "{doctor:#}");

    let credential =
        lab.program.run(["creds", "get", "custom/creds/developer", "--output", "json"]).await.json();
    let lease = credential["lease_id"].as_str().unwrap();
    lab.program.run(["creds", "renew", lease]).await.success();
    lab.program.run(["creds", "revoke", lease]).await.success();
    assert_eq!(lab.upstream.live().len(), 0);
    lab.program
        .run(["deregister", NAME, "--version", &build::highest_version(VERSION), "--yes"])
        .await
        .success();
    lab.program.run(["gc", "--yes"]).await.success();
}

#[tokio::test]
async fn the_token_of_a_static_role_is_rotated_on_openbao() {
    let lab = Lab::openbao().await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let request = async |method: &str, path: &str, body: Value| {
        lab.vault.request(method, &format!("custom/{path}"), Some(body)).await.success()
    };
    let token = async || {
        let read = lab.vault.request("GET", "custom/static-creds/app", None).await.success();
        read["data"]["token"].as_str().unwrap().to_owned()
    };
    let role = json!({"permissions": "read", "rotation_schedule": "0 3 * * SAT", "rotation_window": "2h"});
    request("POST", "static-roles/app", role).await;
    let mut tokens = vec![token().await];
    for _ in 0..2 {
        request("POST", "rotate-role/app", json!({})).await;
        tokens.push(token().await);
    }
    let accepted: Vec<bool> = tokens.iter().map(|token| lab.upstream.accepts(token)).collect();
    assert_eq!(accepted, [false, true, true], "the current and the previous one");
    let listed = lab.vault.request("LIST", "custom/static-roles", None).await.success();
    assert_eq!(listed["data"]["keys"], json!(["app"]));

    // A mount that is removed leaves no token.
    lab.vault.request("DELETE", "sys/mounts/custom", None).await.success();
    lab.upstream.wait_all_revoked().await;
}

#[tokio::test]
async fn what_another_namespace_runs_is_neither_collected_nor_deregistered() {
    let lab = Lab::openbao().await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let binary = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let next = lab.file("next.yaml", &lab.description_of(&binary, &["custom"], "1h"));
    for namespace in ["sys/namespaces/team", "team/sys/namespaces/sub"] {
        lab.vault.request("POST", namespace, Some(json!({}))).await.success();
    }
    let tagged = format!("v{VERSION}");
    let mount = json!({"type": NAME, "config": {"plugin_version": tagged}});
    lab.vault.request("POST", "team/sub/sys/mounts/theirs", Some(mount)).await.success();
    lab.program.run(["upgrade", "-f", next.to_str().unwrap(), "--mount", "custom"]).await.success();

    let entry = format!("sys/plugins/catalog/secret/{NAME}?version={tagged}");
    let collected = lab.program.run(["gc", "--keep", "0", "--yes"]).await.success();
    assert_eq!(collected, "Nothing to do\n");
    let refused = lab.program.run(["deregister", NAME, "--version", VERSION, "--yes"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("team/sub/theirs/ runs it"), "{}", refused.stderr);

    // A child namespace does not see the rest.
    for command in [&["gc", "--yes"][..], &["deregister", NAME, "--version", VERSION, "--yes"]] {
        let below = lab.program.run(["--namespace", "team"].iter().chain(command)).await;
        assert_eq!(below.code, Some(1), "{below:?}");
        assert!(below.stderr.contains("root namespace"), "{}", below.stderr);
    }

    // A namespace name of kubectl's.
    let mistaken = lab.program.run(["status", "--namespace", "vault-system"]).await;
    assert_eq!(mistaken.code, Some(1), "{mistaken:?}");
    for words in ["namespace not found", "the server has none of that name", "-n/--kube-namespace"] {
        assert!(mistaken.stderr.contains(words), "{}", mistaken.stderr);
    }

    // Nor with a token that may not read it.
    let policy = r#"
        path "sys/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
        path "sys/namespaces" { capabilities = ["deny"] }"#;
    lab.vault.request("PUT", "sys/policies/acl/limited", Some(json!({"policy": policy}))).await.success();
    let token = json!({"policies": ["limited"]});
    let token = lab.vault.request("POST", "auth/token/create", Some(token)).await.success();
    let limited = Program::new(BINARY)
        .env("VAULT_ADDR", lab.vault.address())
        .env("VAULT_TOKEN", token["auth"]["client_token"].as_str().unwrap());
    let refused = limited.run(["gc", "--keep", "0", "--yes"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("sys/namespaces"), "{}", refused.stderr);
    lab.vault.request("GET", &entry, None).await.success();

    // The generated policy for operators permits it, whatever the number of plugins and namespaces.
    let other =
        json!({"command": format!("{NAME}-{VERSION}"), "version": "v9.9.9", "sha256": "0".repeat(64)});
    lab.vault.request("PUT", "sys/plugins/catalog/secret/other", Some(other)).await.success();
    let policy =
        lab.program.run(["manifests", "policy", "--name", NAME, "--mount", "custom"]).await.success();
    lab.vault.request("PUT", "sys/policies/acl/limited", Some(json!({"policy": policy}))).await.success();
    assert_eq!(limited.run(["gc", "--keep", "0", "--yes"]).await.success(), "Nothing to do\n");
    lab.vault.request("DELETE", "sys/plugins/catalog/secret/other?version=v9.9.9", None).await.success();

    // Consumers that were removed there no longer need it.
    lab.vault.request("DELETE", "team/sub/sys/mounts/theirs", None).await.success();
    lab.program.run(["gc", "--keep", "0", "--yes"]).await.success();
    assert_eq!(lab.vault.request("GET", &entry, None).await.status, 404);
}

#[tokio::test]
async fn vtp_902_a_namespace_that_the_token_cannot_see() {
    let lab = Lab::openbao().await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    lab.vault.request("POST", "sys/namespaces/team", Some(json!({}))).await.success();
    let whole = lab.program.run(["manifests", "policy", "--name", NAME, "--mount", "custom"]).await.success();
    let denied = r#"path "team/sys/mounts" { capabilities = ["deny"] }"#;
    let set_policy = async |policy: String| {
        let body = json!({"policy": policy});
        lab.vault.request("PUT", "sys/policies/acl/operator", Some(body)).await.success();
    };
    set_policy(format!("{whole}\n{denied}")).await;
    let token = json!({"policies": ["operator"]});
    let token = lab.vault.request("POST", "auth/token/create", Some(token)).await.success();
    let operator = Program::new(BINARY)
        .env("VAULT_ADDR", lab.vault.address())
        .env("VAULT_TOKEN", token["auth"]["client_token"].as_str().unwrap());
    let findings = async || operator.run(["doctor", "--output", "json"]).await.json()["findings"].clone();

    let found = findings().await;
    assert_eq!(found.as_array().unwrap().len(), 1, "{found:#}");
    assert_eq!((&found[0]["id"], &found[0]["subject"]), (&json!("VTP-902"), &json!("namespace team")));
    for command in [&["gc", "--yes"][..], &["deregister", NAME, "--version", VERSION, "--yes"]] {
        let refused = operator.run(command).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(r#"path "team/sys/mounts""#), "{}", refused.stderr);
    }

    // As the remediation says.
    set_policy(whole).await;
    assert_eq!(findings().await, json!([]));
    operator.run(["gc", "--yes"]).await.success();
}

#[tokio::test]
async fn a_registration_in_a_namespace_is_refused_and_says_where_the_catalog_is() {
    let lab = Lab::openbao().await;
    lab.vault.request("POST", "sys/namespaces/team", Some(json!({}))).await.success();
    let directory = lab.vault.plugin_directory();
    let register = ["register", NAME, "--arg", "serve", "--mount", "custom"];
    let below = ["--namespace", "team", "--plugin-dir", directory.to_str().unwrap()];
    let refused = lab.program.run([&register[..], &below].concat()).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for words in ["the plugin catalog belongs to the root namespace", "of each mount: team/PATH"] {
        assert!(refused.stderr.contains(words), "{words:?} is not in: {}", refused.stderr);
    }
    assert_eq!(directory.read_dir().unwrap().count(), 0, "nothing was copied");

    // As the hint says.
    lab.program.run(["register", NAME, "--arg", "serve", "--mount", "team/custom"]).await.success();
    let mounts = lab.vault.request("GET", "team/sys/mounts", None).await.success();
    assert_eq!(mounts["data"]["custom/"]["running_plugin_version"], format!("v{VERSION}"), "{mounts}");
}

#[tokio::test]
async fn a_mount_that_follows_the_latest_version_goes_along() {
    let lab = Lab::openbao().await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let latest = json!({"plugin_version": "latest"});
    lab.vault.request("POST", "sys/mounts/custom/tune", Some(latest)).await.success();
    let doctor = lab.program.run(["doctor", "--output", "json"]).await.json();
    assert_eq!(doctor["findings"], json!([]), "{doctor:#}");

    let binary = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let next = lab.file("next.yaml", &lab.description_of(&binary, &["custom"], "1h"));
    let upgraded = lab.program.run(["upgrade", "-f", next.to_str().unwrap()]).await;
    assert_eq!(upgraded.code, Some(0), "{upgraded:?}");
    assert!(
        upgraded.stderr.contains("custom/ is configured to run the latest version"),
        "{}",
        upgraded.stderr
    );
    assert_eq!(running_version(&lab).await, format!("v{}", build::highest_version(VERSION)));
    let mounts = lab.vault.request("GET", "sys/mounts", None).await.success();
    assert_eq!(mounts["custom/"]["plugin_version"], "latest");
    let needed = ["deregister", NAME, "--version", &build::highest_version(VERSION), "--yes"];
    assert_eq!(lab.program.run(needed).await.code, Some(1));

    lab.program.run(["rollback", NAME]).await.success();
    assert_eq!(running_version(&lab).await, format!("v{VERSION}"));
}

#[tokio::test]
async fn a_plugin_is_developed_on_openbao() {
    let openbao = build::openbao().await.display().to_string();
    let get = ["--", BINARY, "creds", "get", "custom/creds/developer", "--field", "token"];
    let args = [&["dev", "--quiet", "--server", &openbao], &get[..]].concat();
    assert!(Program::new(BINARY).run(args).await.success().starts_with("tok_"));
}
