//! The alerts. A test verifies for each expression when it fires.

use std::collections::BTreeMap;

use rollout::Consumer;
use serde::Serialize;

use crate::commands::manifests::values::ManifestValues;

/// A rules file.
#[derive(Debug, Serialize)]
pub(super) struct AlertGroups {
    groups: Vec<AlertGroup>,
}

#[derive(Debug, Serialize)]
struct AlertGroup {
    name: String,
    rules: Vec<AlertRule>,
}

#[derive(Debug, Serialize)]
struct AlertRule {
    alert: &'static str,
    expr: String,
    #[serde(rename = "for")]
    pending_for: &'static str,
    labels: BTreeMap<&'static str, &'static str>,
    annotations: BTreeMap<&'static str, String>,
}

/// Name of the scrape job of a mount.
pub(super) fn mount_job_name(names: &ManifestValues, mount: &Consumer) -> String {
    format!("{}-{}", names.prefix, mount.as_str().trim_end_matches('/').replace('/', "-"))
}

/// Name of the scrape job of the servers.
pub(super) fn server_job_name(names: &ManifestValues) -> &'static str {
    names.product.chart_name()
}

/// Returns all alerts.
pub(super) fn alert_groups(names: &ManifestValues) -> AlertGroups {
    let jobs: Vec<String> = names.mounts.iter().map(|mount| mount_job_name(names, mount)).collect();
    let plugin = PluginMetrics { prefix: names.metrics_prefix.as_str(), jobs: job_matcher(&jobs) };
    AlertGroups {
        groups: vec![
            AlertGroup { name: names.prefix.to_string(), rules: plugin.rules() },
            AlertGroup {
                name: server_job_name(names).to_owned(),
                rules: server_rules(server_job_name(names)),
            },
        ],
    }
}

/// A matcher of jobs. Their names contain only letters, digits and -_.@, of which the dot must be escaped.
fn job_matcher(jobs: &[String]) -> String {
    match jobs {
        [job] => format!("job=\"{job}\""),
        jobs => {
            let jobs: Vec<String> = jobs.iter().map(|job| job.replace('.', "\\\\.")).collect();
            format!("job=~\"{}\"", jobs.join("|"))
        }
    }
}

/// The metrics of the plugin, with one scrape job per mount.
struct PluginMetrics<'a> {
    prefix: &'a str,
    jobs: String,
}

impl PluginMetrics<'_> {
    fn rules(&self) -> Vec<AlertRule> {
        let own = &self.jobs;
        let creds = "operation=\"creds_read\"";
        let slowest = self.rate("request_duration_seconds_bucket", creds, "job, le", "5m");
        let failed =
            self.rate("request_duration_seconds_count", &format!("{creds}, result=\"failed\""), "job", "5m");
        let tried = self.rate(
            "request_duration_seconds_count",
            &format!("{creds}, result=~\"ok|failed\""),
            "job",
            "5m",
        );
        // The rate of the time spent in requests is the average number of concurrent requests.
        let at_work = self.rate("request_duration_seconds_sum", creds, "job", "30m");
        let entries = format!("{}_wal_entries{{{own}}}", self.prefix);
        let oldest_orphan = format!("{}_oldest_orphan_age_seconds{{{own}}}", self.prefix);
        let wal = format!("min by (job) (min_over_time({entries}[30m]))");
        // A rate over half an hour is too low while the series is younger than that.
        let known = format!("max by (job) ({entries} offset 30m) >= 0");
        vec![
            alert_rule(
                "TokenEngineNotAnswering",
                format!("up{{{own}}} == 0"),
                "5m",
                "critical",
                "{{ $labels.job }} serves no metrics",
                "The servers are sealed or unreachable, the mount does not run, or the token of Prometheus has expired.",
            ),
            alert_rule(
                "TokenEngineSlow",
                format!("histogram_quantile(0.99, {slowest}) > 1"),
                "5m",
                "warning",
                "1 % of the credentials take more than a second ({{ $value | humanizeDuration }})",
                "Check whether the token service is slow: upstream_duration_seconds.",
            ),
            alert_rule(
                "TokenEngineFailing",
                format!("{failed} / {tried} > 0.05"),
                "5m",
                "critical",
                "{{ $value | humanizePercentage }} of the credentials fail",
                "Check the kinds of errors in errors_total, and those of the token service in upstream_errors_total.",
            ),
            alert_rule(
                "TokenEngineKeyRefused",
                format!("{} > 0", self.increase("upstream_errors_total", "kind=\"unauthorized\"", "10m")),
                "1m",
                "critical",
                "the token service rejects the API key of {{ $labels.job }}",
                "Write a valid api_key to the mount's config.",
            ),
            alert_rule(
                "TokenEngineRevocationsFail",
                format!("{} > 0", self.increase("upstream_errors_total", "operation=\"revoke\"", "15m")),
                "15m",
                "warning",
                "revoking tokens of {{ $labels.job }} fails: they outlive their leases",
                "The server tries six times and then gives up. Check whether the token service is reachable.",
            ),
            alert_rule(
                "TokenEngineUnclaimedTokens",
                format!("{wal} > {at_work} and {known}"),
                "5m",
                "warning",
                "{{ $labels.job }} has had tokens without a lease for half an hour",
                "There are more WAL entries than running requests, so they are not rolled back. Check whether the token service is reachable.",
            ),
            alert_rule(
                "TokenEngineOrphans",
                format!("max by (job) ({oldest_orphan}) > 3600"),
                "5m",
                "warning",
                "a token of {{ $labels.job }} may have been live without a lease for {{ $value | humanizeDuration }}",
                "The response to its creation was lost, and no rollback could revoke it. See `vault list -detailed MOUNT/orphans`, and docs/orphans.md.",
            ),
        ]
    }

    /// Increase per second.
    fn rate(&self, name: &str, labels: &str, by: &str, over: &str) -> String {
        format!("sum by ({by}) (rate({}_{name}{{{}, {labels}}}[{over}]))", self.prefix, self.jobs)
    }

    /// Increase over a time.
    fn increase(&self, name: &str, labels: &str, over: &str) -> String {
        format!("sum by (job) (increase({}_{name}{{{}, {labels}}}[{over}]))", self.prefix, self.jobs)
    }
}

fn server_rules(job: &str) -> Vec<AlertRule> {
    vec![
        alert_rule(
            "VaultNotAnswering",
            format!("up{{job=\"{job}\"}} == 0"),
            "5m",
            "critical",
            "no active server responds",
            "The servers are sealed, none of them is active, or the token of Prometheus has expired.",
        ),
        alert_rule(
            "VaultNoSpareServer",
            format!("vault_autopilot_failure_tolerance{{job=\"{job}\"}} < 1"),
            "10m",
            "warning",
            "the loss of one more server costs the quorum",
            "A server is sealed, unreachable or behind: see `vault operator raft autopilot state`.",
        ),
        alert_rule(
            "VaultIrrevocableLeases",
            format!("vault_expire_num_irrevocable_leases{{job=\"{job}\"}} > 0"),
            "5m",
            "warning",
            "{{ $value }} leases could not be revoked in six attempts",
            "Their credentials may stay valid. Fix the upstream, then run `vault lease revoke -prefix` for the mount.",
        ),
    ]
}

fn alert_rule(
    alert: &'static str,
    expr: String,
    lasting: &'static str,
    severity: &'static str,
    summary: &str,
    description: &str,
) -> AlertRule {
    AlertRule {
        alert,
        expr,
        pending_for: lasting,
        labels: BTreeMap::from([("severity", severity)]),
        annotations: BTreeMap::from([
            ("summary", summary.to_owned()),
            ("description", description.to_owned()),
        ]),
    }
}
