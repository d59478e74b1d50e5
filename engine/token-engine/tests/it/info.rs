//! `info`.

use harness::Upstream;
use serde_json::json;
use token_engine::engine;
use vault_plugin::logical::Product;
use vault_plugin::testing::TestMount;

use crate::{assert_accepted, data, mount_configured};

#[tokio::test]
async fn a_mount_shows_its_versions_its_counts_and_its_presets() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    for (name, preset) in [("hub", "jupyterhub"), ("other-hub", "jupyterhub")] {
        let connection = json!({"preset": preset, "api_endpoint": upstream.endpoint(), "api_key": "hunter2"});
        assert_accepted(mount.write(&format!("config/{name}"), connection).await);
    }
    let description = data(mount.read("presets/gitea").await.unwrap())["api"].to_string();
    let connection = json!({
        "api": description, "api_endpoint": upstream.endpoint(), "api_key": "hunter2", "parameters": {"username": "ada"},
    });
    let described = mount.write("config/described", connection).await;
    assert_accepted(described);
    mount.system().update(|host| host.plugin_env.version = "1.21.4".to_owned());
    let info = data(mount.read("info").await.unwrap());
    assert_eq!(
        info,
        json!({
            "version": env!("CARGO_PKG_VERSION"), "sdk_version": vault_plugin::VERSION, "plugin_protocol_version": 5,
            "host_product": "vault", "host_version": "1.21.4", "connections": 4, "roles": 1,
            "presets": ["jupyterhub", "tokens"], "described_connections": 1,
        })
    );
    assert!(!info.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_new_mount_shows_what_it_runs_on() {
    let mount = TestMount::for_product(Product::OpenBao, engine()).await.unwrap();
    let info = data(mount.read("info").await.unwrap());
    assert_eq!(
        (&info["host_product"], &info["connections"], &info["roles"]),
        (&json!("openbao"), &json!(0), &json!(0))
    );
    assert_eq!(info["presets"], json!([]));
}
