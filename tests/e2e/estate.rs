//! One `plugin.yaml` describes plugins of all types in several namespaces, on real servers.

use std::path::PathBuf;

use harness::{Output, PluginYamlBuilder, Product, build};
use serde_json::{Value, json};

use crate::database_plugin::{PASSWORD, Redis};
use crate::lab::{BINARY, Lab, NAME};

/// A server, a Redis, and the file that describes their plugins.
struct Estate {
    lab: Lab,
    redis: Redis,
    file: PathBuf,
}

impl Estate {
    async fn start(product: Product) -> Estate {
        let lab = match product {
            Product::OpenBao => Lab::openbao().await,
            Product::Vault => Lab::new().await,
        };
        let doorman = build::prebuilt_example("doorman");
        let redis_plugin = build::go_redis("v0.7.0").await;
        let custom = PluginYamlBuilder::new(BINARY, lab.upstream.endpoint(), lab.api_key_file())
            .mounts(&["custom", "team-custom"])
            .role(r#"permissions: "read,write", ttl: 1h"#)
            .for_local_server(lab.vault.plugin_directory())
            .to_string();
        let mut text = format!(
            "{custom}
---
plugin: {{name: doorman, type: auth, binary: {}}}
mounts:
- {{path: door, write: {{roles/guest: {{token_ttl: 1h}}}}}}
---
plugin: {{name: redis-x, type: database, binary: {}}}
",
            doorman.display(),
            redis_plugin.display()
        );
        if product == Product::OpenBao {
            lab.vault.request("POST", "sys/namespaces/team", Some(json!({}))).await.success();
            text = text.replacen("path: team-custom", "path: custom\n  namespace: team", 1).replacen(
                "path: door",
                "path: door, namespace: team",
                1,
            );
        }
        let file = lab.file("estate.yaml", &text);
        Estate { lab, redis: Redis::new().await, file }
    }

    async fn run(&self, line: &[&str]) -> Output {
        let file = ["-f", self.file.to_str().unwrap(), "--output", "json"];
        self.lab.program.run([line, &file].concat()).await
    }

    /// The result for each plugin.
    async fn apply(&self) -> Vec<String> {
        results(&self.run(&["register", "--yes"]).await.json())
    }

    /// Connects the database secrets engine to Redis with the registered plugin, and adds the connection to the file.
    async fn connect_database(&self) {
        self.lab.vault.cli(["secrets", "enable", "database"]).await.success();
        let connection = json!({
            "plugin_name": "redis-x",
            "plugin_version": "v0.7.0",
            "host": "127.0.0.1",
            "port": self.redis.port,
            "username": "default",
            "password": PASSWORD,
            "allowed_roles": "*",
        });
        self.lab.vault.request("POST", "database/config/orders", Some(connection)).await.success();
        let role = json!({"db_name": "orders", "creation_statements": r#"["+@read"]"#, "default_ttl": "1h"});
        self.lab.vault.request("POST", "database/roles/app", Some(role)).await.success();
        let text = std::fs::read_to_string(&self.file).unwrap();
        let mounts = "mounts:\n- {path: database/config/orders, smoke: creds/app}\n";
        std::fs::write(&self.file, text + mounts).unwrap();
    }
}

fn results(report: &Value) -> Vec<String> {
    let plugins = report["plugins"].as_array().unwrap_or_else(|| panic!("no plugins in {report}"));
    let text = |plugin: &Value| {
        format!("{} {}", plugin["plugin"].as_str().unwrap(), plugin["result"].as_str().unwrap())
    };
    plugins.iter().map(text).collect()
}

#[tokio::test]
async fn a_file_of_three_plugins_is_applied_once_and_shows_drift() {
    for product in [Product::OpenBao, Product::Vault] {
        let estate = Estate::start(product).await;
        let planned = estate.run(&["register", "--dry-run"]).await;
        assert_eq!(planned.code, Some(3), "{planned:?}");
        assert_eq!(estate.lab.vault.plugin_directory().read_dir().unwrap().count(), 0, "{product:?}");

        assert_eq!(estate.apply().await, [&format!("{NAME} done"), "doorman done", "redis-x done"]);
        estate.connect_database().await;
        let unchanged = [&format!("{NAME} nothing_to_do"), "doorman nothing_to_do", "redis-x nothing_to_do"];
        assert_eq!(estate.apply().await, unchanged, "{product:?}");
        let planned = estate.run(&["register", "--dry-run"]).await;
        assert_eq!(planned.code, Some(0), "{planned:?}");

        // A role of one plugin is changed by hand.
        let role = match product {
            Product::OpenBao => "team/auth/door/roles/guest",
            Product::Vault => "auth/door/roles/guest",
        };
        estate.lab.vault.request("POST", role, Some(json!({"token_ttl": "2h"}))).await.success();
        let drifted = estate.run(&["register", "--dry-run"]).await;
        assert_eq!(drifted.code, Some(3), "{drifted:?}");
        let report: Value = serde_json::from_str(&drifted.stdout).unwrap();
        assert_eq!(results(&report)[1], "doorman dry_run");
        assert_eq!(report["plugins"][1]["plan"]["steps"][0]["path"], role, "{report}");
        assert_eq!(estate.apply().await[1], "doorman done");
        assert_eq!(estate.apply().await, unchanged);
    }
}

#[tokio::test]
async fn nothing_of_a_file_is_applied_if_one_of_its_plugins_is_refused() {
    let estate = Estate::start(Product::OpenBao).await;
    let text = std::fs::read_to_string(&estate.file).unwrap();
    std::fs::write(&estate.file, text.replace("name: redis-x, type: database", "name: redis-x, type: auth"))
        .unwrap();
    let refused = estate.run(&["register", "--yes"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for words in
        ["is a plugin of type database, expected auth", "This is about redis-x. Nothing was changed."]
    {
        assert!(refused.stderr.contains(words), "{words:?} is not in: {}", refused.stderr);
    }
    assert_eq!(estate.lab.vault.plugin_directory().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn one_plugin_of_a_file_is_named() {
    let estate = Estate::start(Product::Vault).await;
    let ambiguous = estate.run(&["register", "--mount", "elsewhere", "--yes"]).await;
    assert_eq!(ambiguous.code, Some(2), "{ambiguous:?}");
    assert!(ambiguous.stderr.contains("and --mount is about one"), "{}", ambiguous.stderr);
    let registered = estate.run(&["register", "doorman", "--mount", "gate", "--yes"]).await.json();
    assert_eq!(registered["plugin"], "doorman", "{registered}");
    let mounts = estate.lab.vault.request("GET", "sys/auth", None).await.success();
    assert!(mounts["data"]["gate/"].is_object() && mounts["data"]["door/"].is_object(), "{mounts}");
    let ambiguous = estate.run(&["upgrade", "--yes"]).await;
    assert_eq!(ambiguous.code, Some(2), "{ambiguous:?}");
    assert!(
        ambiguous.stderr.contains("Name one of them: custom-plugin, doorman, redis-x"),
        "{}",
        ambiguous.stderr
    );
}
