//! A real Prometheus on a free loopback port that scrapes one target every second.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::GuardedProcess;
use crate::{Program, build, eventually, http_client, port};

/// Dropping it kills it and removes its files.
pub struct Prometheus {
    address: String,
    client: Client,
    directory: TempDir,
    _process: GuardedProcess,
}

/// The target and its credentials.
pub struct ScrapeTarget {
    /// Host and port.
    pub address: String,
    /// Path of the metrics.
    pub path: String,
    /// Bearer token, passed as a file.
    pub token: String,
}

impl Prometheus {
    /// Starts a Prometheus that evaluates the rules file `rules` every second, and waits until it responds.
    pub async fn start(target: &ScrapeTarget, rules: &str) -> Prometheus {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            fs::write(&path, content).expect("a new directory is writable");
            path
        };
        file("token", &target.token);
        file("rules.yaml", rules);
        let configuration = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{
                "job_name": "custom-plugin-custom",
                "metrics_path": target.path,
                "authorization": {"type": "Bearer", "credentials_file": "token"},
                "static_configs": [{"targets": [target.address]}],
            }],
        });
        let configuration = file("prometheus.yaml", &configuration.to_string());
        let address = format!("127.0.0.1:{}", port::free_port());
        let log = fs::File::create(directory.path().join("log")).expect("a new directory is writable");
        let mut command = Command::new(build::prometheus().await);
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .env_clear()
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("an open file can be cloned"))
            .stderr(log);
        let process = GuardedProcess::spawn(&mut command);
        let client = http_client::builder().build().expect("a client without settings can be built");
        let prometheus =
            Prometheus { address: format!("http://{address}"), client, directory, _process: process };
        eventually("Prometheus answers", async || prometheus.get("targets").await).await;
        prometheus
    }

    /// `promtool`, which checks rules and metrics.
    pub async fn promtool() -> Program {
        Program::new(build::prometheus().await.with_file_name("promtool"))
    }

    /// Waits for a successful scrape.
    pub async fn wait_scraped(&self) {
        eventually("the target is scraped", async || {
            let targets = self.get("targets").await?;
            (targets["data"]["activeTargets"][0]["health"] == "up").then_some(())
        })
        .await;
    }

    /// The value of an expression with a single result, as text.
    pub async fn query(&self, expression: &str) -> Option<String> {
        let query: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.get(&format!("query?query={query}")).await?;
        Some(answer["data"]["result"][0]["value"][1].as_str()?.to_owned())
    }

    /// The names of the firing alerts.
    pub async fn firing_alerts(&self) -> Vec<String> {
        let answer = self.get("alerts").await.unwrap_or_default();
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let firing = alerts.into_iter().filter(|alert| alert["state"] == "firing");
        firing.filter_map(|alert| Some(alert["labels"]["alertname"].as_str()?.to_owned())).collect()
    }

    /// Its log.
    pub fn logs(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    async fn get(&self, what: &str) -> Option<Value> {
        let answer = self.client.get(format!("{}/api/v1/{what}", self.address)).send().await.ok()?;
        answer.json().await.ok()
    }
}
