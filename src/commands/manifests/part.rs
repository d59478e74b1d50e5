//! Which parts there are, and which files each is.

use clap::ValueEnum;
use serde::Serialize;

use super::manifest_file::ManifestFile;
use super::values::ManifestValues;
use super::{access, application, helm, monitoring, network, server, stateful_set};
use crate::error::CommandError;

/// What can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// Three servers to try things on, where there are none (only when named)
    Server,
    /// What your StatefulSet gets: the init container that brings the plugin, and the directory
    Statefulset,
    /// The line of the servers' configuration that names the directory
    Config,
    /// The same two as values of the official Helm chart (only when named)
    Helm,
    /// Account, role and binding of whoever registers and upgrades
    Rbac,
    /// Policy of the server for the same person
    Policy,
    /// Who may reach the servers
    NetworkPolicy,
    /// How many servers may be away at once
    DisruptionBudget,
    /// Alerts, as a ConfigMap for Prometheus
    Rules,
    /// The same alerts as PrometheusRule for the Prometheus operator (only when named)
    PrometheusRule,
    /// How Prometheus gets the numbers, and the policy of its token
    Scrape,
    /// An application that gets a credential with `creds exec`
    Application,
    /// Every part
    All,
}

/// What is made when nothing is named: everything that fits every cluster with servers in it.
const DEFAULT_PARTS: [Part; 9] = [
    Part::Statefulset,
    Part::Config,
    Part::Rbac,
    Part::Policy,
    Part::NetworkPolicy,
    Part::DisruptionBudget,
    Part::Rules,
    Part::Scrape,
    Part::Application,
];

impl Part {
    /// The parts that are meant, each once, in a fixed order.
    pub(crate) fn select(named: &[Part]) -> Vec<Part> {
        let mut parts = match named {
            [] => DEFAULT_PARTS.to_vec(),
            named if named.contains(&Part::All) => Part::value_variants().to_vec(),
            named => named.to_vec(),
        };
        parts.retain(|part| *part != Part::All);
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// The files of this part.
    ///
    /// # Errors
    /// When a name is missing or too long.
    pub(crate) fn files(self, names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
        match self {
            Part::Server => server::files(names),
            Part::Statefulset => stateful_set::patch(names),
            Part::Config => Ok(stateful_set::config_snippet(names)),
            Part::Helm => helm::files(names),
            Part::Rbac => access::rbac(names),
            Part::Policy => Ok(access::operator_policy(names)),
            Part::NetworkPolicy => network::network_policy(names),
            Part::DisruptionBudget => network::disruption_budget(names),
            Part::Rules => monitoring::rules(names),
            Part::PrometheusRule => monitoring::prometheus_rule(names),
            Part::Scrape => monitoring::scrape(names),
            Part::Application => application::files(names),
            Part::All => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_once_and_in_a_fixed_order() {
        assert_eq!(Part::select(&[Part::Rules, Part::Rbac, Part::Rules]), [Part::Rbac, Part::Rules]);
        assert_eq!(Part::select(&[Part::All]).len(), Part::value_variants().len() - 1);
        assert_eq!(Part::select(&[]), DEFAULT_PARTS);
    }
}
