//! The parts of `manifests`, and which of them are made when none is named.

use clap::ValueEnum;
use serde::Serialize;

/// A part that `manifests` can make.
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
