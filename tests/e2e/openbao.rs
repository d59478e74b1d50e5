//! The commands on a single node of OpenBao.

use harness::{Program, build};
use serde_json::{Value, json};

use crate::lab::{BINARY, Lab, NAME};

const VERSION: &str = env!("CARGO_PKG_VERSION");

async fn running(lab: &Lab) -> Value {
    let mounts = lab.vault.api("GET", "sys/mounts", None).await.success();
    mounts["custom/"]["running_plugin_version"].clone()
}

#[tokio::test]
async fn a_plugin_is_registered_upgraded_rolled_back_and_collected_on_openbao() {
    let lab = Lab::openbao().await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let binary = build::next_release(BINARY.as_ref(), VERSION, lab.folder());
    let next = lab.file("next.yaml", &lab.description_of(&binary, &["custom"], "1h"));
    lab.program.run(["upgrade", "-f", next.to_str().unwrap()]).await.success();
    assert_eq!(running(&lab).await, format!("v{}", build::version_of_nines(VERSION)));
    lab.program.run(["rollback", NAME]).await.success();
    assert_eq!(running(&lab).await, format!("v{VERSION}"));

    let status = lab.program.run(["status"]).await.success();
    assert!(status.contains(VERSION) && status.contains(&build::version_of_nines(VERSION)), "{status}");
    let doctor = lab.program.run(["doctor", "--output", "json"]).await.json();
    assert_eq!(doctor["findings"], json!([]), "{doctor:#}");

    let credential =
        lab.program.run(["creds", "get", "custom/creds/developer", "--output", "json"]).await.json();
    let lease = credential["lease_id"].as_str().unwrap();
    lab.program.run(["creds", "renew", lease]).await.success();
    lab.program.run(["creds", "revoke", lease]).await.success();
    assert_eq!(lab.upstream.live().len(), 0);
    lab.program
        .run(["deregister", NAME, "--version", &build::version_of_nines(VERSION), "--yes"])
        .await
        .success();
    lab.program.run(["gc", "--yes"]).await.success();
}

#[tokio::test]
async fn a_plugin_is_developed_on_openbao() {
    let openbao = build::openbao().await.display().to_string();
    let get = ["--", BINARY, "creds", "get", "custom/creds/developer", "--field", "token"];
    let args = [&["dev", "--quiet", "--server", &openbao], &get[..]].concat();
    assert!(Program::new(BINARY).run(args).await.success().starts_with("tok_"));
}
