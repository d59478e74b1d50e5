//! What a mount measures, from the plugin through a real Vault to a real Prometheus.

use std::fs;
use std::time::Duration;

use harness::{Fault, Operation, Program, Prometheus, Target, eventually};
use serde_json::json;

use crate::lab::{BINARY, Lab};

const SLOW: &str = "TokenEngineSlow";

/// The alerts as `manifests` makes them.
async fn rules() -> String {
    let made = Program::new(BINARY).run(["manifests", "rules", "--output", "json"]).await.json();
    made["documents"][0]["content"][0]["data"]["custom-plugin.rules.yaml"].as_str().unwrap().to_owned()
}

/// A token that may read the metrics and nothing else.
async fn scraper(lab: &Lab) -> String {
    let policy = json!({"policy": "path \"custom/metrics\" { capabilities = [\"read\"] }"});
    lab.vault.api("PUT", "sys/policies/acl/scrape", Some(policy)).await.success();
    let wanted =
        json!({"policies": ["scrape"], "no_default_policy": true, "period": "1h", "no_parent": true});
    let token = lab.vault.api("POST", "auth/token/create", Some(wanted)).await.success();
    token["auth"]["client_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_official_cli_and_promtool_read_the_metrics_of_a_mount() {
    let lab = Lab::registered(&["custom"], "1h").await;
    lab.read_credential("custom").await;
    let text = lab.vault.cli(["read", "-format=raw", "custom/metrics"]).await.success();
    assert!(text.contains("custom_plugin_creds_read_count 2\n"), "{text}");
    let promtool = Prometheus::promtool().await;
    let checked = promtool.run_with_input(["check", "metrics"], &text).await;
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{text}");

    let key = fs::read_to_string(lab.api_key_file()).unwrap();
    assert!(!text.contains(&key) && !text.contains("developer"), "{text}");
    let open = lab.vault.cli(["read", "-format=raw", "custom/metrics", "format=openmetrics"]).await.success();
    assert!(open.trim_end().ends_with("# EOF"), "{open}");
}

#[tokio::test]
async fn without_a_policy_the_metrics_are_refused() {
    let lab = Lab::registered(&["custom"], "1h").await;
    let wanted = json!({"policies": ["default"], "no_parent": true});
    let token = lab.vault.api("POST", "auth/token/create", Some(wanted)).await.success();
    let token = token["auth"]["client_token"].as_str().unwrap().to_owned();
    let cli = Program::new(lab.vault.cli_binary()).vault(&lab.vault).env("VAULT_TOKEN", token);
    let output = cli.run(["read", "-format=raw", "custom/metrics"]).await;
    assert!(output.code != Some(0) && output.stderr.contains("permission denied"), "{output:?}");
}

/// The rules as they are delivered, with seconds for minutes so that the test need not wait for a quarter of an hour.
#[tokio::test]
async fn a_real_prometheus_fires_when_the_upstream_is_slow_and_not_before() {
    let lab = Lab::registered(&["custom"], "1h").await;
    let rules = rules()
        .await
        .replace("[5m]", "[10s]")
        .replace("[10m]", "[20s]")
        .replace("[15m]", "[30s]")
        .replace("[30m]", "[60s]")
        .replace("for: 5m", "for: 3s")
        .replace("for: 10m", "for: 6s");
    let target = Target {
        address: lab.vault.address().trim_start_matches("http://").to_owned(),
        path: "/v1/custom/metrics".to_owned(),
        token: scraper(&lab).await,
    };
    let prometheus = Prometheus::start(&target, &rules).await;
    prometheus.wait_scraped().await;

    // Load that is quick, for as long as the rule looks back and waits, and longer.
    let quick = "custom_plugin_creds_read_count";
    let seen = async || prometheus.value(quick).await?.parse::<f64>().ok();
    for _ in 0..40 {
        lab.read_credential("custom").await;
    }
    eventually("Prometheus has seen the load", async || seen().await.filter(|count| *count >= 40.0)).await;
    let judged = format!("count_over_time(({quick} > 0)[1m:1s]) > 15");
    eventually("the rule has looked at it for long enough", async || {
        lab.read_credential("custom").await;
        prometheus.value(&judged).await
    })
    .await;
    assert_eq!(prometheus.firing().await, Vec::<String>::new(), "{}", prometheus.logs());

    lab.upstream.fail(Operation::Mint, Fault::Slow(Duration::from_millis(1500)));
    eventually("the alert fires", async || {
        lab.read_credential("custom").await;
        prometheus.firing().await.contains(&SLOW.to_owned()).then_some(())
    })
    .await;
    assert_eq!(prometheus.firing().await, [SLOW]);
}

/// Alerts are about what exists.
#[tokio::test]
async fn every_metric_that_a_rule_names_is_on_the_page() {
    let lab = Lab::registered(&["custom"], "1h").await;
    let text = lab.vault.cli(["read", "-format=raw", "custom/metrics"]).await.success();
    let rules = rules().await;
    let named = rules.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let mut found = 0;
    for name in named.filter(|word| word.starts_with("custom_plugin_")) {
        let family = name.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum");
        assert!(text.contains(&format!("# TYPE {family} ")), "{name}\n{text}");
        found += 1;
    }
    assert!(found > 5);
}
