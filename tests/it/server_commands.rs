//! The commands that bring a plugin to a server and operate it there.

use crate::lab::{Lab, assert_snapshot};

#[tokio::test]
async fn register_shows_its_plan_and_what_it_did() {
    let lab = Lab::new().await;
    let dry = lab.program.run(["register", "-f", "plugin.yaml", "--dry-run"]).await;
    assert_snapshot("register --dry-run", &lab.snapshot_text(&dry));
    assert_eq!(std::fs::read_dir(lab.plugin_directory()).unwrap().count(), 0);
    let done = lab.program.run(["register", "-f", "plugin.yaml"]).await;
    assert_snapshot("register", &lab.snapshot_text(&done));
    let again = lab.program.run(["register", "-f", "plugin.yaml"]).await;
    assert_snapshot("register, a second time", &lab.snapshot_text(&again));
}

#[tokio::test]
async fn register_tells_a_pipeline_the_same_in_json() {
    let lab = Lab::new().await;
    let args = ["register", "-f", "plugin.yaml", "--quiet", "--output", "json"];
    assert_snapshot("register --output json", &lab.snapshot_text(&lab.program.run(args).await));
    assert_snapshot(
        "register --output json, a second time",
        &lab.snapshot_text(&lab.program.run(args).await),
    );
}

#[tokio::test]
async fn register_refuses_what_cannot_work_and_says_what_to_do() {
    let lab = Lab::new().await;
    std::fs::write(lab.file("other.yaml"), lab.description("/bin/true").to_string()).unwrap();
    let refused = lab.program.run(["register", "-f", "other.yaml"]).await;
    assert_snapshot("register of no plugin", &lab.snapshot_text(&refused));
    let refused = lab.program.run(["register", "-f", "other.yaml", "--output", "json"]).await;
    assert_snapshot("register of no plugin --output json", &lab.snapshot_text(&refused));
    let usage = lab.program.run(["register", "-f", "plugin.yaml", "--role", "ttl=1h"]).await;
    assert_snapshot("register with a role without its name", &lab.snapshot_text(&usage));
    assert_eq!(std::fs::read_dir(lab.plugin_directory()).unwrap().count(), 0);
}

#[tokio::test]
async fn status_shows_disk_catalog_mounts_and_processes() {
    let lab = Lab::with_registered_plugin().await;
    assert_snapshot("status", &lab.snapshot_text(&lab.program.run(["status"]).await));
    let json = lab.program.run(["status", "--output", "json"]).await.json();
    assert_eq!(json["schema_version"], 2);
    assert_eq!(json["mounts"]["custom/"]["plugin"], "custom-plugin", "{json}");
}

#[tokio::test]
async fn reload_proves_what_runs() {
    let lab = Lab::with_registered_plugin().await;
    assert_snapshot("reload", &lab.snapshot_text(&lab.program.run(["reload", "--mount", "custom"]).await));
    let json = lab.program.run(["reload", "custom-plugin", "-q", "--output", "json"]).await;
    assert_snapshot("reload --output json", &lab.snapshot_text(&json));
    let unknown = lab.program.run(["reload", "--mount", "nowhere"]).await;
    assert_snapshot("reload of a mount that is not there", &lab.snapshot_text(&unknown));
}

#[tokio::test]
async fn a_credential_is_got_renewed_and_revoked() {
    let lab = Lab::with_registered_plugin().await;
    assert_snapshot(
        "creds get",
        &lab.snapshot_text(&lab.program.run(["creds", "get", "custom/creds/developer"]).await),
    );
    let get = ["creds", "get", "custom/creds/developer", "--output", "json"];
    let got = lab.program.run(get).await;
    assert_snapshot("creds get --output json", &lab.snapshot_text(&got));
    let field = lab.program.run(["creds", "get", "custom/creds/developer", "--field", "token"]).await;
    assert_snapshot("creds get --field", &lab.snapshot_text(&field));
    let got = got.json();
    let lease = got["lease_id"].as_str().unwrap();
    assert_snapshot("creds renew", &lab.snapshot_text(&lab.program.run(["creds", "renew", lease]).await));
    let renewed = lab.program.run(["creds", "renew", lease, "--output", "json"]).await;
    assert_snapshot("creds renew --output json", &lab.snapshot_text(&renewed));
    assert_snapshot("creds revoke", &lab.snapshot_text(&lab.program.run(["creds", "revoke", lease]).await));
    let gone = lab.program.run(["creds", "renew", lease]).await;
    assert_snapshot("creds renew of a revoked lease", &lab.snapshot_text(&gone));
}

#[tokio::test]
async fn an_unknown_role_and_a_missing_token_are_told_with_their_cure() {
    let lab = Lab::with_registered_plugin().await;
    let unknown = lab.program.run(["creds", "get", "custom/creds/nobody"]).await;
    assert_snapshot("creds get of an unknown role", &lab.snapshot_text(&unknown));
    let unknown = lab.program.run(["creds", "get", "custom/creds/nobody", "--output", "json"]).await;
    assert_snapshot("creds get of an unknown role --output json", &lab.snapshot_text(&unknown));
    let nobody = harness::Program::new(crate::lab::BINARY).env("VAULT_ADDR", lab.vault.address());
    let anonymous = nobody.run(["status"]).await;
    assert_snapshot("status without a token", &lab.snapshot_text(&anonymous));
}
