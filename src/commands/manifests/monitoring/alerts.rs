//! The alerts. Each expression names numbers that are served, and fires when what its summary says is so.

use std::collections::BTreeMap;

use rollout::MountPath;
use serde::Serialize;

use crate::commands::manifests::names::Names;

/// The job of the servers' own numbers.
pub(super) const SERVERS: &str = "vault";

/// A file of rules.
#[derive(Debug, Serialize)]
pub(super) struct Groups {
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
struct Rule {
    alert: &'static str,
    expr: String,
    #[serde(rename = "for")]
    lasting: &'static str,
    labels: BTreeMap<&'static str, &'static str>,
    annotations: BTreeMap<&'static str, String>,
}

/// The job of one mount's numbers.
pub(super) fn job(names: &Names, mount: &MountPath) -> String {
    format!("{}-{}", names.prefix, mount.as_str().trim_end_matches('/').replace('/', "-"))
}

/// Everything that wakes somebody.
pub(super) fn groups(names: &Names) -> Groups {
    let jobs: Vec<String> = names.mounts.iter().map(|mount| job(names, mount)).collect();
    let own = Jobs::new(&jobs);
    Groups {
        groups: vec![
            Group { name: names.prefix.to_string(), rules: of_the_plugin(&own) },
            Group { name: SERVERS.to_owned(), rules: of_the_servers() },
        ],
    }
}

/// A matcher of jobs. Their names hold letters, digits and -_.@ only, and a dot is escaped.
struct Jobs(String);

impl Jobs {
    fn new(jobs: &[String]) -> Jobs {
        match jobs {
            [job] => Jobs(format!("job=\"{job}\"")),
            jobs => {
                let jobs: Vec<String> = jobs.iter().map(|job| job.replace('.', "\\\\.")).collect();
                Jobs(format!("job=~\"{}\"", jobs.join("|")))
            }
        }
    }
}

fn of_the_plugin(Jobs(own): &Jobs) -> Vec<Rule> {
    Vec::from([
        rule(
            "TokenEngineNotAnswering",
            format!("up{{{own}}} == 0"),
            "5m",
            "critical",
            "{{ $labels.job }} serves no numbers",
            "The servers are sealed or gone, the mount does not run, or the token of Prometheus has ended.",
        ),
    ])
}

fn of_the_servers() -> Vec<Rule> {
    vec![
        rule(
            "VaultNotAnswering",
            format!("up{{job=\"{SERVERS}\"}} == 0"),
            "5m",
            "critical",
            "no active server answers",
            "The servers are sealed, have no active one among them, or the token of Prometheus has ended.",
        ),
        rule(
            "VaultIrrevocableLeases",
            format!("vault_expire_num_irrevocable_leases{{job=\"{SERVERS}\"}} > 0"),
            "5m",
            "warning",
            "{{ $value }} leases could not be revoked in six attempts",
            "Their credentials may live on. Cure the upstream, then `vault lease revoke -prefix` of the mount.",
        ),
    ]
}

fn rule(
    alert: &'static str,
    expr: String,
    lasting: &'static str,
    severity: &'static str,
    summary: &str,
    description: &str,
) -> Rule {
    Rule {
        alert,
        expr,
        lasting,
        labels: BTreeMap::from([("severity", severity)]),
        annotations: BTreeMap::from([
            ("summary", summary.to_owned()),
            ("description", description.to_owned()),
        ]),
    }
}
