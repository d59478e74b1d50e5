//! The metrics of a mount, from the plugin through a real Vault to a real Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use harness::{Fault, Operation, Program, Prometheus, ScrapeTarget, eventually};
use serde_json::{Value, json};

use crate::lab::{BINARY, Lab};

const SLOW_ALERT: &str = "TokenEngineSlow";

/// The alerts as `manifests` generates them.
async fn rules() -> String {
    let made = Program::new(BINARY).run(["manifests", "rules", "--output", "json"]).await.json();
    made["documents"][0]["content"][0]["data"]["custom-plugin.rules.yaml"].as_str().unwrap().to_owned()
}

/// A token that may only read the metrics.
async fn scrape_token(lab: &Lab) -> String {
    let policy = json!({"policy": "path \"custom/metrics\" { capabilities = [\"read\"] }"});
    lab.vault.request("PUT", "sys/policies/acl/scrape", Some(policy)).await.success();
    let wanted =
        json!({"policies": ["scrape"], "no_default_policy": true, "period": "1h", "no_parent": true});
    let token = lab.vault.request("POST", "auth/token/create", Some(wanted)).await.success();
    token["auth"]["client_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_official_cli_and_promtool_read_the_metrics_of_a_mount() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
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
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let wanted = json!({"policies": ["default"], "no_parent": true});
    let token = lab.vault.request("POST", "auth/token/create", Some(wanted)).await.success();
    let token = token["auth"]["client_token"].as_str().unwrap().to_owned();
    let cli = Program::new(lab.vault.cli_binary()).vault(&lab.vault).env("VAULT_TOKEN", token);
    let output = cli.run(["read", "-format=raw", "custom/metrics"]).await;
    assert!(output.code != Some(0) && output.stderr.contains("permission denied"), "{output:?}");
}

/// The values of a page of metrics, by series.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let job = "job=\"custom-plugin-custom\"";
        let series = match series.split_once('{') {
            Some((name, labels)) => format!("{name}{{{job},{labels}"),
            None => format!("{series}{{{job}}}"),
        };
        Some((series, value.parse().ok()?))
    });
    samples.collect()
}

/// The alerts that the generated rules raise if each minute repeats what happened between two pages.
async fn alerts_after(minutes: &str, first: &str, second: &str) -> Vec<&'static str> {
    let promtool = Prometheus::promtool().await;
    let rules = rules().await;
    fs::write(promtool.home().join("rules.yaml"), &rules).unwrap();
    let (first, second) = (samples(first), samples(second));
    let series: Vec<Value> = second
        .iter()
        .map(|(series, now)| {
            let before = first.get(series).copied().unwrap_or_default();
            json!({"series": series, "values": format!("{before}{:+}x60", now - before)})
        })
        .chain([json!({"series": "up{job=\"custom-plugin-custom\"}", "values": "1+0x60"})])
        .collect();
    let mut firing = Vec::new();
    let alerts = ["TokenEngineNotAnswering", SLOW_ALERT, "TokenEngineFailing", "TokenEngineKeyRefused"];
    for alert in alerts.into_iter().chain([
        "TokenEngineRevocationsFail",
        "TokenEngineUnclaimedTokens",
        "TokenEngineOrphans",
    ]) {
        let question = format!("count(ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}})");
        let expected = json!([{"labels": "{}", "value": 1}]);
        let test = json!({
            "interval": "1m",
            "input_series": series,
            "promql_expr_test": [{"expr": question, "eval_time": minutes, "exp_samples": expected}],
        });
        let file = json!({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]});
        fs::write(promtool.home().join("tests.yaml"), file.to_string()).unwrap();
        let tested = promtool.run(["test", "rules", "tests.yaml"]).await;
        match tested.code {
            Some(0) => firing.push(alert),
            _ => assert!(
                tested.stderr.contains("got: nil") || tested.stdout.contains("got: nil"),
                "{tested:?}"
            ),
        }
    }
    firing
}

/// The values are from a real mount, the time is promtool's.
#[tokio::test]
async fn the_alerts_fire_when_the_upstream_is_slow_and_not_before() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let page = async || lab.vault.cli(["read", "-format=raw", "custom/metrics"]).await.success();
    let idle = page().await;
    for _ in 0..20 {
        lab.read_credential("custom").await;
    }
    let quick = page().await;
    assert_eq!(alerts_after("60m", &idle, &quick).await, [""; 0]);

    lab.upstream.fail_next(Operation::Mint, 3, Fault::Delayed(Duration::from_millis(1500)));
    for _ in 0..3 {
        lab.read_credential("custom").await;
    }
    let slow = page().await;
    assert_eq!(alerts_after("5m", &quick, &slow).await, [""; 0]);
    assert_eq!(alerts_after("12m", &quick, &slow).await, [SLOW_ALERT]);
}

#[tokio::test]
async fn a_real_prometheus_scrapes_a_mount_and_raises_nothing() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let target = ScrapeTarget {
        address: lab.vault.address().trim_start_matches("http://").to_owned(),
        path: "/v1/custom/metrics".to_owned(),
        token: scrape_token(&lab).await,
    };
    let prometheus = Prometheus::start(&target, &rules().await).await;
    prometheus.wait_scraped().await;
    lab.read_credential("custom").await;
    eventually("Prometheus has seen the credential", async || {
        let count = prometheus.query("sum(custom_plugin_creds_read_count)").await?;
        (count.parse::<f64>().ok()? >= 2.0).then_some(())
    })
    .await;
    assert_eq!(prometheus.firing_alerts().await, [""; 0], "{}", prometheus.logs());
}

/// Alerts refer only to metrics that exist.
#[tokio::test]
async fn every_metric_that_a_rule_names_is_on_the_page() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
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
