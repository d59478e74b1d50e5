//! The alerts and scrape jobs of `manifests`, checked by Prometheus's own tool: they are valid, and each alert fires exactly when it
//! should.

use std::fs;

use harness::{Program, build};
use serde_json::{Value, json};

use crate::lab::BINARY;

/// The output of `manifests` for these parts, in a folder for promtool.
struct GeneratedRules {
    promtool: Program,
    documents: Vec<Value>,
}

impl GeneratedRules {
    async fn for_mounts(mounts: &[&str]) -> GeneratedRules {
        let mut args = vec!["manifests", "rules", "prometheus-rule", "scrape", "--output", "json"];
        args.extend(mounts.iter().flat_map(|mount| ["--mount", mount]));
        let made = Program::new(BINARY).run(args).await.json();
        let promtool = Program::new(build::prometheus().await.with_file_name("promtool"));
        GeneratedRules { promtool, documents: made["documents"].as_array().unwrap().clone() }
    }

    fn content(&self, file: &str) -> &Value {
        &self.documents.iter().find(|document| document["file"] == file).unwrap()["content"]
    }

    /// The rules file in the ConfigMap.
    fn rules(&self) -> String {
        let data = &self.content("prometheus-rules.yaml")[0]["data"];
        data["custom-plugin.rules.yaml"].as_str().unwrap().to_owned()
    }

    async fn promtool(&self, args: &[&str], file: &str, content: String) -> String {
        fs::write(self.promtool.home().join(file), content).unwrap();
        self.promtool.run(args.iter().chain([&file])).await.success()
    }
}

#[tokio::test]
async fn prometheus_takes_the_alerts_and_the_jobs() {
    for mounts in [&["custom"][..], &["custom", "team/b.c"]] {
        let made = GeneratedRules::for_mounts(mounts).await;
        let check = ["check", "rules", "--lint=all", "--lint-fatal"];
        let said = made.promtool(&check, "rules.yaml", made.rules()).await;
        assert!(said.contains("SUCCESS: 10 rules found"), "{said}");
        let of_the_operator = made.content("prometheus-rule.yaml")[0]["spec"].to_string();
        made.promtool(&check, "operator.yaml", of_the_operator).await;
        let jobs = made.content("prometheus-scrape.yaml");
        // The token file belongs to the reader; it is checked only if it exists.
        let token = made.promtool.home().join("token");
        fs::write(&token, "its token").unwrap();
        let place = jobs["scrape_configs"][0]["authorization"]["credentials_file"].as_str().unwrap();
        let jobs = jobs.to_string().replace(place, &token.display().to_string());
        made.promtool(&["check", "config"], "prometheus.yaml", jobs).await;
    }
}

/// An alert, the minute of its evaluation, and series with which it is silent and with which it fires; one value a minute.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str)],
);

const CASES: &[Case] = &[
    (
        "TokenEngineNotAnswering",
        "20m",
        &[("up{job='custom-plugin-custom'}", "1+0x30")],
        &[("up{job='custom-plugin-custom'}", "1 0+0x30")],
    ),
    (
        "TokenEngineSlow",
        "20m",
        &[
            (
                "custom_plugin_request_duration_seconds_bucket{JOB,operation='creds_read',result='ok',le='0.5'}",
                "0+60x30",
            ),
            (
                "custom_plugin_request_duration_seconds_bucket{JOB,operation='creds_read',result='ok',le='1'}",
                "0+60x30",
            ),
            (
                "custom_plugin_request_duration_seconds_bucket{JOB,operation='creds_read',result='ok',le='2.5'}",
                "0+60x30",
            ),
            (
                "custom_plugin_request_duration_seconds_bucket{JOB,operation='creds_read',result='ok',le='+Inf'}",
                "0+60x30",
            ),
            // Other operations may take that long.
            (
                "custom_plugin_request_duration_seconds_bucket{JOB,operation='config_write',result='ok',le='1'}",
                "0+0x30",
            ),
            (
                "custom_plugin_request_duration_seconds_bucket{JOB,operation='config_write',result='ok',le='+Inf'}",
                "0+60x30",
            ),
        ],
        &[
            (
                "custom_plugin_request_duration_seconds_bucket{JOB,operation='creds_read',result='ok',le='0.5'}",
                "0+50x30",
            ),
            (
                "custom_plugin_request_duration_seconds_bucket{JOB,operation='creds_read',result='ok',le='1'}",
                "0+50x30",
            ),
            (
                "custom_plugin_request_duration_seconds_bucket{JOB,operation='creds_read',result='ok',le='2.5'}",
                "0+60x30",
            ),
            (
                "custom_plugin_request_duration_seconds_bucket{JOB,operation='creds_read',result='ok',le='+Inf'}",
                "0+60x30",
            ),
        ],
    ),
    (
        "TokenEngineFailing",
        "20m",
        &[
            (
                "custom_plugin_request_duration_seconds_count{JOB,operation='creds_read',result='ok'}",
                "0+99x30",
            ),
            (
                "custom_plugin_request_duration_seconds_count{JOB,operation='creds_read',result='failed'}",
                "0+1x30",
            ),
            // A request that is denied must not count as a failure.
            (
                "custom_plugin_request_duration_seconds_count{JOB,operation='creds_read',result='refused'}",
                "0+99x30",
            ),
        ],
        &[
            (
                "custom_plugin_request_duration_seconds_count{JOB,operation='creds_read',result='ok'}",
                "0+90x30",
            ),
            (
                "custom_plugin_request_duration_seconds_count{JOB,operation='creds_read',result='failed'}",
                "0+10x30",
            ),
        ],
    ),
    (
        "TokenEngineKeyRefused",
        "20m",
        &[
            ("custom_plugin_upstream_errors_total{JOB,operation='mint',kind='unauthorized'}", "7+0x30"),
            ("custom_plugin_upstream_errors_total{JOB,operation='mint',kind='timeout'}", "0+1x30"),
        ],
        &[("custom_plugin_upstream_errors_total{JOB,operation='mint',kind='unauthorized'}", "0+1x30")],
    ),
    (
        "TokenEngineRevocationsFail",
        "50m",
        &[
            ("custom_plugin_upstream_errors_total{JOB,operation='mint',kind='timeout'}", "0+1x60"),
            ("custom_plugin_upstream_errors_total{JOB,operation='revoke',kind='timeout'}", "9+0x60"),
        ],
        &[("custom_plugin_upstream_errors_total{JOB,operation='revoke',kind='no_connection'}", "0+1x60")],
    ),
    (
        "TokenEngineUnclaimedTokens",
        "50m",
        // Three concurrent requests at every scrape, and three WAL entries: each belongs to a running request.
        &[
            ("custom_plugin_wal_entries{JOB}", "3+0x60"),
            (
                "custom_plugin_request_duration_seconds_sum{JOB,operation='creds_read',result='ok'}",
                "0+181x60",
            ),
        ],
        &[
            ("custom_plugin_wal_entries{JOB}", "3+0x60"),
            ("custom_plugin_request_duration_seconds_sum{JOB,operation='creds_read',result='ok'}", "0+30x60"),
        ],
    ),
    (
        "TokenEngineOrphans",
        "80m",
        // Rollback has revoked the token after half an hour.
        &[
            ("custom_plugin_orphans{JOB}", "1+0x30 0+0x60"),
            ("custom_plugin_oldest_orphan_age_seconds{JOB}", "0+60x30 0+0x60"),
        ],
        &[
            ("custom_plugin_orphans{JOB}", "1+0x90"),
            ("custom_plugin_oldest_orphan_age_seconds{JOB}", "0+60x90"),
        ],
    ),
    (
        "VaultNotAnswering",
        "20m",
        &[("up{job='vault'}", "1+0x30"), ("up{job='other'}", "0+0x30")],
        &[("up{job='vault'}", "1 0+0x30")],
    ),
    (
        "VaultNoSpareServer",
        "20m",
        &[("vault_autopilot_failure_tolerance{job='vault'}", "1+0x30")],
        &[("vault_autopilot_failure_tolerance{job='vault'}", "0+0x30")],
    ),
    (
        "VaultIrrevocableLeases",
        "20m",
        &[("vault_expire_num_irrevocable_leases{job='vault'}", "0+0x30")],
        &[("vault_expire_num_irrevocable_leases{job='vault'}", "0+1x30")],
    ),
];

/// Minutes for which each alert is pending before it fires.
const PENDING: &[(&str, u32)] = &[
    ("TokenEngineNotAnswering", 5),
    ("TokenEngineSlow", 5),
    ("TokenEngineFailing", 5),
    ("TokenEngineKeyRefused", 1),
    ("TokenEngineRevocationsFail", 15),
    ("TokenEngineUnclaimedTokens", 5),
    ("TokenEngineOrphans", 5),
    ("VaultNotAnswering", 5),
    ("VaultNoSpareServer", 10),
    ("VaultIrrevocableLeases", 5),
];

#[tokio::test]
async fn every_alert_fires_when_it_should_and_not_otherwise() {
    let made = GeneratedRules::for_mounts(&["custom"]).await;
    let rules = made.rules();
    for line in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(CASES.iter().any(|(alert, ..)| *alert == line), "no case for {line}");
    }
    fs::write(made.promtool.home().join("rules.yaml"), rules).unwrap();
    let mut tests = Vec::new();
    for (alert, at, quiet, firing) in CASES {
        let value = |value: u32| json!([{"labels": "{}", "value": value}]);
        let (_, minutes) = PENDING.iter().find(|(name, _)| name == alert).unwrap();
        let cases = [(quiet, json!([]), json!([])), (firing, value(1), value(*minutes))];
        for (series, expected, pending) in cases {
            let series = series.iter().map(|(series, values)| {
                let series = series.replace("JOB", "job='custom-plugin-custom'").replace('\'', "\"");
                json!({"series": series, "values": values})
            });
            let alerts = |state: &str| format!("ALERTS{{alertname=\"{alert}\", alertstate=\"{state}\"}}");
            let question = format!("count({})", alerts("firing"));
            let was_pending = format!("sum(count_over_time({}[1h]))", alerts("pending"));
            tests.push(json!({
                "interval": "1m",
                "input_series": series.collect::<Vec<_>>(),
                "promql_expr_test": [
                    {"expr": question, "eval_time": at, "exp_samples": expected},
                    {"expr": was_pending, "eval_time": at, "exp_samples": pending},
                ],
            }));
        }
    }
    let file = json!({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests});
    let said = made.promtool(&["test", "rules"], "tests.yaml", file.to_string()).await;
    assert!(said.contains("SUCCESS"), "{said}");
}
