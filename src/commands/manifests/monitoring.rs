//! Monitoring of the plugin and its servers: the scrape jobs of Prometheus, and the alerts.

mod alerts;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use rollout::PolicyRule;
use serde_json::{Value, json};

use super::hcl;
use super::manifest_file::{FileContent, ManifestFile, to_value};
use super::object_name::ObjectName;
use super::objects::metadata;
use super::part::Part;
use super::values::{ManifestValues, suffixed_name};
use crate::error::CommandError;

/// Path of the token for Prometheus.
const TOKEN_FILE: &str = "/etc/prometheus/secrets/vault/token";
const CA_FILE: &str = "/etc/prometheus/secrets/vault/ca.crt";

/// Name of the file in the ConfigMap, which matches `rule_files: [.../*.rules.yaml]`.
fn rules_file_name(names: &ManifestValues) -> String {
    format!("{}.rules.yaml", names.prefix)
}

/// The alerts as a rules file in a ConfigMap.
pub(super) fn rules(names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    let groups = super::manifest_file::to_yaml(&to_value(&alerts::alert_groups(names))?)?;
    let rules = ConfigMap {
        metadata: metadata(names, &rules_object_name(names)?, &names.monitoring_namespace),
        data: Some(BTreeMap::from([(rules_file_name(names), groups)])),
        ..ConfigMap::default()
    };
    Ok(vec![ManifestFile {
        part: Part::Rules,
        file: "prometheus-rules.yaml".to_owned(),
        about: "Mount this file into Prometheus and add it to rule_files. The metrics come from the part `scrape`.",
        content: FileContent::Objects(vec![to_value(&rules)?]),
    }])
}

/// The same alerts for the Prometheus operator.
pub(super) fn prometheus_rule(names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    let rule = json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": to_value(&metadata(names, &rules_object_name(names)?, &names.monitoring_namespace))?,
        "spec": to_value(&alerts::alert_groups(names))?,
    });
    Ok(vec![ManifestFile {
        part: Part::PrometheusRule,
        file: "prometheus-rule.yaml".to_owned(),
        about: "For the Prometheus operator. Its ruleSelector may require another label on this object.",
        content: FileContent::Objects(vec![rule]),
    }])
}

/// The scrape jobs, and the policy of the token that they use.
pub(super) fn scrape(names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    let own = names.mounts.iter().map(|mount| {
        let path = mount.as_str().trim_end_matches('/');
        scrape_job(names, &alerts::mount_job_name(names, mount), &format!("/v1/{path}/metrics"), json!({}))
    });
    let servers = scrape_job(
        names,
        alerts::server_job_name(names),
        "/v1/sys/metrics",
        json!({"format": ["prometheus"]}),
    );
    let jobs: Vec<Value> = own.chain([servers]).collect();
    let rights: Vec<PolicyRule> = names
        .mounts
        .iter()
        .map(|mount| mount.join("metrics"))
        .chain(["sys/metrics".to_owned()])
        .map(|path| PolicyRule { path, capabilities: &["read"], reason: "metrics, no secrets" })
        .collect();
    Ok(vec![
        ManifestFile {
            part: Part::Scrape,
            file: "prometheus-scrape.yaml".to_owned(),
            about: "For scrape_configs of Prometheus. The active server responds, whichever address is scraped. The servers \
                    need `telemetry { prometheus_retention_time = \"1h\" }` for their own metrics.",
            content: FileContent::Settings(json!({"scrape_configs": jobs})),
        },
        ManifestFile {
            part: Part::Scrape,
            file: "prometheus-policy.hcl".to_owned(),
            about: "Policy for the token of Prometheus. The token must be renewed, or be periodic.",
            content: FileContent::Hcl(hcl::policy(&rights)),
        },
    ])
}

fn rules_object_name(names: &ManifestValues) -> Result<ObjectName, CommandError> {
    suffixed_name(&names.prefix, "alerts")
}

fn scrape_job(names: &ManifestValues, name: &str, path: &str, params: Value) -> Value {
    let address = &names.server_address;
    let mut job = json!({
        "job_name": name,
        "metrics_path": path,
        "scheme": address.scheme,
        "authorization": {"type": "Bearer", "credentials_file": TOKEN_FILE},
        "static_configs": [{"targets": [address.host_and_port]}],
    });
    if params.as_object().is_some_and(|params| !params.is_empty()) {
        job["params"] = params;
    }
    if names.ca_secret.is_some() {
        job["tls_config"] = json!({"ca_file": CA_FILE});
    }
    job
}
