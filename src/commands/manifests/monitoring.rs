//! How the plugin and its servers are watched: what Prometheus reads, and when it wakes somebody.

mod alerts;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use rollout::ServerRight;
use serde_json::{Value, json};

use super::document::{Content, Document, value};
use super::hcl;
use super::kubernetes_name::Label;
use super::names::{Names, beside};
use super::objects::metadata;
use super::part::Part;
use crate::error::CommandError;

/// Where Prometheus finds the token of its policy.
const TOKEN_FILE: &str = "/etc/prometheus/secrets/vault/token";
const AUTHORITY_FILE: &str = "/etc/prometheus/secrets/vault/ca.crt";

/// Name of the file in the ConfigMap: `rule_files: [.../*.rules.yaml]` finds it.
fn file(names: &Names) -> String {
    format!("{}.rules.yaml", names.prefix)
}

/// The alerts as a file of Prometheus in a ConfigMap.
pub(super) fn rules(names: &Names) -> Result<Vec<Document>, CommandError> {
    let groups = super::document::yaml(&value(&alerts::groups(names))?)?;
    let rules = ConfigMap {
        metadata: metadata(names, &name(names)?, &names.monitoring_namespace),
        data: Some(BTreeMap::from([(file(names), groups)])),
        ..ConfigMap::default()
    };
    Ok(vec![Document {
        part: Part::Rules,
        file: "prometheus-rules.yaml".to_owned(),
        about: "Mount it into Prometheus and name the file under rule_files. The numbers come from the part `scrape`.",
        content: Content::Objects(vec![value(&rules)?]),
    }])
}

/// The same alerts for the Prometheus operator.
pub(super) fn prometheus_rule(names: &Names) -> Result<Vec<Document>, CommandError> {
    let rule = json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": value(&metadata(names, &name(names)?, &names.monitoring_namespace))?,
        "spec": value(&alerts::groups(names))?,
    });
    Ok(vec![Document {
        part: Part::PrometheusRule,
        file: "prometheus-rule.yaml".to_owned(),
        about: "For the Prometheus operator, which may ask for a label of its own on rules that it takes.",
        content: Content::Objects(vec![rule]),
    }])
}

/// What Prometheus asks the servers, and the policy of the token that it asks with.
pub(super) fn scrape(names: &Names) -> Result<Vec<Document>, CommandError> {
    let own = names.mounts.iter().map(|mount| {
        let path = mount.as_str().trim_end_matches('/');
        job(names, &alerts::job(names, mount), &format!("/v1/{path}/metrics"), json!({}))
    });
    let servers = job(names, alerts::servers(names), "/v1/sys/metrics", json!({"format": ["prometheus"]}));
    let jobs: Vec<Value> = own.chain([servers]).collect();
    let rights: Vec<ServerRight> = names
        .mounts
        .iter()
        .map(|mount| mount.join("metrics"))
        .chain(["sys/metrics".to_owned()])
        .map(|path| ServerRight { path, capabilities: &["read"], reason: "numbers, no secrets" })
        .collect();
    Ok(vec![
        Document {
            part: Part::Scrape,
            file: "prometheus-scrape.yaml".to_owned(),
            about: "For scrape_configs of Prometheus. The active server answers, whichever is asked. The servers need \
                    `telemetry { prometheus_retention_time = \"1h\" }` for their own numbers.",
            content: Content::Settings(json!({"scrape_configs": jobs})),
        },
        Document {
            part: Part::Scrape,
            file: "prometheus-policy.hcl".to_owned(),
            about: "For the token of Prometheus, which has to be renewed or periodic.",
            content: Content::Hcl(hcl::policy(&rights)),
        },
    ])
}

fn name(names: &Names) -> Result<Label, CommandError> {
    beside(&names.prefix, "alerts")
}

fn job(names: &Names, name: &str, path: &str, params: Value) -> Value {
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
        job["tls_config"] = json!({"ca_file": AUTHORITY_FILE});
    }
    job
}
